//! What a prototype needs.

use crate::common::bounded;
use crate::program::{Folder, Server, evserve};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

fn start(flags: &[&str]) -> Server {
    Server::with(evserve().args(["-p", "0"]).args(flags))
}

#[test]
fn what_is_always_answered() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("down.html", "<p>down");
    let file = format!("/down=503:@{}", folder.path("down.html").display());
    let server = start(&[
        "--respond",
        "/pay=402:{\"error\": \"no money\"}",
        "--respond",
        "GET /users/{id}=200:somebody",
        "--respond",
        "DELETE /users/{id}=204",
        "--respond",
        &file,
        "--respond",
        "/any/{*rest}=404:a:b=c",
    ]);
    let answer = server.curl("pay");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (402, Some("application/json"))
    );
    assert_eq!(answer.text(), "{\"error\": \"no money\"}");
    assert_eq!(server.curl("users/17").text(), "somebody");
    assert_eq!(
        server
            .curl_with("users/17", &["-I"])
            .header("content-length"),
        Some("8")
    );
    assert_eq!(server.curl_with("users/17", &["-X", "DELETE"]).status, 204);
    let refused = server.curl_with("users/17", &["-X", "PUT"]);
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, Some("GET, DELETE"))
    );
    let answer = server.curl("down");
    assert_eq!((answer.status, answer.text()), (503, "<p>down"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    folder.put("down.html", "<p>still down");
    assert_eq!(server.curl("down").text(), "<p>still down");
    fs::remove_file(folder.path("down.html")).unwrap();
    assert_eq!(server.curl("down").status, 500);
    assert_eq!(server.curl("any/x/y?z").text(), "a:b=c");
    assert_eq!(
        server.curl("").status,
        404,
        "no folder is served unless it is named"
    );
}

#[test]
fn the_request_comes_back() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "a file");
    let server = start(&["--echo"]);
    let answer = server.curl_with(
        "a/b?c=d&e",
        &["-X", "PUT", "-H", "X-A: 1", "-d", "the body"],
    );
    let text = answer.text();
    assert!(text.starts_with("PUT /a/b?c=d&e HTTP/1.1\n"), "{text}");
    assert!(
        text.contains("\nx-a: 1\n") && text.ends_with("\n\nthe body"),
        "{text}"
    );
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );

    let json = |options: &[&str]| -> Value {
        let options = [options, &["-H", "Accept: application/json"]].concat();
        serde_json::from_slice(&server.curl_with("a?b=c%20d", &options).body).unwrap()
    };
    let told = json(&["-d", "{\"x\": 1}", "-H", "X-A: 1", "-H", "X-A: 2"]);
    assert_eq!(
        (&told["method"], &told["path"]),
        (&json!("POST"), &json!("/a"))
    );
    assert_eq!(told["query"], json!([["b", "c d"]]));
    assert_eq!(told["headers"]["x-a"], json!(["1", "2"]));
    assert_eq!((&told["json"]["x"], &told["bytes"]), (&json!(1), &json!(8)));
    folder.put("raw", [0xff, 0]);
    let file = format!("@{}", folder.path("raw").display());
    assert_eq!(json(&["--data-binary", &file])["body_base64"], "/wA=");

    // A folder comes first.
    let server = start(&["--echo", folder.0.to_str().unwrap()]);
    assert_eq!(server.curl("a.txt").text(), "a file");
    assert!(server.curl("b.txt").text().starts_with("GET /b.txt"));
    assert!(
        server
            .curl_with("a.txt", &["-d", "x"])
            .text()
            .starts_with("POST /a.txt")
    );
}

#[test]
fn an_answer_may_be_late() {
    let _bounded = bounded();
    let server = start(&["--echo", "--delay", "300"]);
    let begun = Instant::now();
    assert_eq!(server.curl("a").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let begun = Instant::now();
    assert_eq!(server.curl("__health").status, 200);
    assert!(
        begun.elapsed() < Duration::from_millis(300),
        "that it is there is told at once"
    );
}

#[test]
fn every_answer_has_the_headers_that_were_asked_for() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.js", "x");
    let dir = folder.0.to_str().unwrap();
    let server = start(&[dir, "-H", "X-A: 1", "--header", "Content-Type: a/b"]);
    for path in ["a.js", "missing", "__health"] {
        let answer = server.curl(path);
        assert_eq!(answer.header("x-a"), Some("1"), "{path}");
        assert_eq!(answer.header("content-type"), Some("a/b"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn pages_from_anywhere_may_ask() {
    let _bounded = bounded();
    let server = start(&["--echo", "--cors", "--auth", "a:b"]);
    let preflight = server.curl_with(
        "x",
        &[
            "-X",
            "OPTIONS",
            "-H",
            "Origin: http://other",
            "-H",
            "Access-Control-Request-Method: PUT",
            "-H",
            "Access-Control-Request-Headers: authorization, x-a",
        ],
    );
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        Some("PUT")
    );
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        Some("authorization, x-a")
    );
    let answer = server.curl_with("x", &["-u", "a:b", "-H", "Origin: http://other"]);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        server.curl("x").header("access-control-allow-origin"),
        Some("*"),
        "also to refusals"
    );
}

#[test]
fn nobody_comes_in_without_the_password() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    folder.put("password", "me:pass:word\n");
    let file = format!("@{}", folder.path("password").display());
    for auth in ["me:pass:word", &file] {
        let server = start(&[folder.0.to_str().unwrap(), "--auth", auth]);
        let refused = server.curl("a.txt");
        assert_eq!(refused.status, 401);
        assert!(
            refused
                .header("www-authenticate")
                .unwrap()
                .starts_with("Basic realm=")
        );
        for wrong in ["me:pass", "me:", "you:pass:word", "me:pass:word2"] {
            assert_eq!(
                server.curl_with("a.txt", &["-u", wrong]).status,
                401,
                "{wrong}"
            );
        }
        assert_eq!(server.curl_with("nothing", &["-u", "me:x"]).status, 401);
        assert_eq!(
            server.curl_with("a.txt", &["-u", "me:pass:word"]).text(),
            "text"
        );
    }
}
