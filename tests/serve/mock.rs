//! REST over a JSON file.

use crate::common::bounded;
use crate::program::{Answer, Folder, Server, evserve};
use serde_json::{Value, json};
use std::fs;

const DB: &str = r#"{
  "posts": [
    {"id": 1, "title": "One", "views": 10, "author": {"name": "Ada"}},
    {"id": 2, "title": "Two", "views": 30, "author": {"name": "Bob"}},
    {"id": 3, "title": "Three", "views": 20, "author": {"name": "Ada"}}
  ],
  "comments": [{"id": 1, "postId": 1, "text": "first"}],
  "profile": {"name": "me"}
}"#;

struct Mock {
    folder: Folder,
    server: Server,
}

impl Mock {
    fn start() -> Self {
        let folder = Folder::new();
        folder.put("db.json", DB);
        let mut command = evserve();
        command
            .args(["-p", "0", "--mock"])
            .arg(folder.path("db.json"));
        let server = Server::with(&mut command);
        Mock { folder, server }
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.server.curl(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/json"))
        );
        json_of(&answer)
    }

    fn ids(&self, path: &str) -> Vec<u64> {
        let all = self.get(path);
        all.as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_u64().unwrap())
            .collect()
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.server.curl_with(path, &["-X", method, "-d", body])
    }

    fn saved(&self) -> Value {
        serde_json::from_slice(&fs::read(self.folder.path("db.json")).unwrap()).unwrap()
    }
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn what_is_in_the_file_can_be_read() {
    let _bounded = bounded();
    let mock = Mock::start();
    assert_eq!(mock.ids("posts"), [1, 2, 3]);
    assert_eq!(mock.get("posts/2")["title"], "Two");
    assert_eq!(mock.get("profile")["name"], "me");
    assert_eq!(mock.get("posts/1/comments")[0]["text"], "first");
    assert_eq!(mock.get("posts/2/comments"), json!([]));
    assert_eq!(mock.get("db")["posts"][0]["id"], 1);
    assert!(
        mock.server
            .curl("")
            .text()
            .contains("href=\"/posts\">/posts</a> (3)")
    );
    for path in [
        "nothing",
        "posts/9",
        "posts/1/nothing",
        "posts/1/comments/1",
        "profile/name",
    ] {
        assert_eq!(mock.server.curl(path).status, 404, "{path}");
    }
    let head = mock.server.curl_with("posts/1", &["-I"]);
    assert_eq!((head.status, head.text()), (200, ""));
}

#[test]
fn a_collection_is_filtered_sorted_and_cut_into_pages() {
    let _bounded = bounded();
    let mock = Mock::start();
    assert_eq!(mock.ids("posts?author.name=Ada&views_gte=20"), [3]);
    assert_eq!(mock.ids("posts?_sort=views&_order=desc"), [2, 3, 1]);
    let page = mock.server.curl("posts?_page=2&_limit=1&_sort=id");
    assert_eq!(json_of(&page)[0]["id"], 2);
    assert_eq!(page.header("x-total-count"), Some("3"));
    let link = page.header("link").unwrap();
    for (page, rel) in [(1, "first"), (1, "prev"), (3, "next"), (3, "last")] {
        let part = format!("</posts?_limit=1&_sort=id&_page={page}>; rel=\"{rel}\"");
        assert!(link.contains(&part), "{link}");
    }
    let wrong = mock.server.curl("posts?_limit=x");
    assert_eq!(wrong.status, 400);
    assert!(
        json_of(&wrong)["error"]
            .as_str()
            .unwrap()
            .contains("_limit")
    );
}

#[test]
fn what_is_changed_is_in_the_file() {
    let _bounded = bounded();
    let mock = Mock::start();
    let made = mock.send("POST", "posts", r#"{"title": "Four"}"#);
    assert_eq!(
        (made.status, made.header("location")),
        (201, Some("/posts/4"))
    );
    assert_eq!(json_of(&made), json!({"id": 4, "title": "Four"}));
    assert_eq!(mock.saved()["posts"][3]["title"], "Four");

    assert_eq!(mock.send("PUT", "posts/4", r#"{"a": 1}"#).status, 200);
    assert_eq!(mock.saved()["posts"][3], json!({"id": 4, "a": 1}));
    assert_eq!(mock.send("PATCH", "posts/4", r#"{"b": 2}"#).status, 200);
    assert_eq!(mock.saved()["posts"][3], json!({"id": 4, "a": 1, "b": 2}));
    assert_eq!(mock.send("DELETE", "posts/4", "").status, 200);
    assert_eq!(mock.saved()["posts"].as_array().unwrap().len(), 3);
    assert_eq!(mock.send("DELETE", "posts/4", "").status, 404);

    let reply = mock.send("POST", "posts/2/comments", r#"{"text": "second"}"#);
    assert_eq!(
        json_of(&reply),
        json!({"id": 2, "text": "second", "postId": 2})
    );
    assert_eq!(mock.send("PATCH", "profile", r#"{"age": 1}"#).status, 200);
    assert_eq!(mock.saved()["profile"], json!({"name": "me", "age": 1}));
    assert_eq!(mock.send("PUT", "profile", r#"{"age": 2}"#).status, 200);
    assert_eq!(mock.saved()["profile"], json!({"age": 2}));

    // Only the file is in the folder.
    assert_eq!(fs::read_dir(&mock.folder.0).unwrap().count(), 1);
}

#[test]
fn what_makes_no_sense_changes_nothing_and_says_where() {
    let _bounded = bounded();
    let mock = Mock::start();
    for (method, path, body, status, said) in [
        ("POST", "posts", "{\"a\": }", 400, "line 1 column 7"),
        ("POST", "posts", "[1]", 400, "no JSON object"),
        ("POST", "posts", "{\"id\": 1}", 409, "id 1"),
        ("PUT", "posts/1", "{\"id\": 2}", 400, "id is 1"),
        ("PATCH", "posts/1", "", 400, "line 1"),
        ("PUT", "posts/9", "{}", 404, "no such thing"),
    ] {
        let answer = mock.send(method, path, body);
        assert_eq!(answer.status, status, "{method} {path} {body}");
        let error = json_of(&answer)["error"].as_str().unwrap().to_owned();
        assert!(error.contains(said), "{error}");
    }
    for (method, path, allow) in [
        ("DELETE", "posts", "GET, HEAD, OPTIONS, POST"),
        ("POST", "posts/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("DELETE", "profile", "GET, HEAD, OPTIONS, PATCH, PUT"),
    ] {
        let answer = mock.send(method, path, "{}");
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
    }
    assert_eq!(mock.send("OPTIONS", "posts", "").status, 204);
    assert_eq!(mock.saved(), serde_json::from_str::<Value>(DB).unwrap());
}

#[test]
fn the_file_may_be_changed_by_hand_and_a_folder_served_beside_it() {
    let _bounded = bounded();
    let mock = Mock::start();
    mock.folder.put("db.json", r#"{"others": [{"id": "a b"}]}"#);
    assert_eq!(mock.get("others/a%20b")["id"], "a b");
    assert_eq!(mock.server.curl("posts").status, 404);

    mock.folder.put("public/index.html", "the page");
    let mut command = evserve();
    command
        .args(["-p", "0", "--mock"])
        .arg(mock.folder.path("db.json"));
    let both = Server::with(command.arg(mock.folder.path("public")));
    assert_eq!(both.curl("").text(), "the page");
    assert_eq!(both.curl("others").status, 200);
    assert_eq!(both.curl_with("others", &["-d", "{}"]).status, 201);
}

#[test]
fn what_cannot_be_saved_is_not_changed() {
    let _bounded = bounded();
    let mock = Mock::start();
    // Nothing can be written beside it, not even by root.
    fs::rename(&mock.folder.0, mock.folder.0.with_extension("away")).unwrap();
    let answer = mock.send("POST", "posts", "{}");
    fs::rename(mock.folder.0.with_extension("away"), &mock.folder.0).unwrap();
    assert_eq!(answer.status, 500);
    assert!(
        json_of(&answer)["error"]
            .as_str()
            .unwrap()
            .contains("cannot be saved")
    );
    assert_eq!(mock.ids("posts"), [1, 2, 3]);
}

#[test]
fn a_file_that_is_no_such_thing_is_refused() {
    let _bounded = bounded();
    let folder = Folder::new();
    for (text, said) in [("{\"a\": 1}", "'a'"), ("[]", "line 1"), ("{\n,", "line 2")] {
        folder.put("db.json", text);
        let out = evserve()
            .args(["-p", "0", "--mock"])
            .arg(folder.path("db.json"))
            .output()
            .unwrap();
        let errors = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("--mock") && errors.contains("db.json") && errors.contains(said),
            "{errors}"
        );
    }
}
