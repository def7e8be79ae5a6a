//! Files that clients bring.

use crate::common::bounded;
use crate::common::peers::peer;
use crate::program::{Answer, Folder, Server, evserve};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

struct Uploads {
    folder: Folder,
    server: Server,
}

impl Uploads {
    fn start(flags: &[&str]) -> Self {
        let folder = Folder::new();
        fs::create_dir(folder.path("public")).unwrap();
        folder.put("source.bin", pattern());
        let mut command = evserve();
        command
            .arg(folder.path("public"))
            .args(["-p", "0", "--upload"])
            .args(flags);
        let server = Server::with(&mut command);
        Uploads { folder, server }
    }

    fn put(&self, path: &str, options: &[&str]) -> Answer {
        let source = self.folder.path("source.bin");
        let source = source.to_str().unwrap();
        self.server
            .curl_with(path, &[&["-T", source], options].concat())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path("public").join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path("public")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

fn pattern() -> Vec<u8> {
    (0..750_000u32).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn a_file_is_put_where_there_is_none() {
    let _bounded = bounded();
    let uploads = Uploads::start(&[]);
    fs::create_dir(uploads.folder.path("public/sub")).unwrap();
    let made = uploads.put("sub/a%20b.bin", &[]);
    assert_eq!(
        (made.status, made.header("location")),
        (201, Some("/sub/a%20b.bin"))
    );
    assert!(uploads.read("sub/a b.bin") == pattern());
    // In chunks too.
    assert_eq!(
        uploads
            .put("c.bin", &["-H", "Transfer-Encoding: chunked"])
            .status,
        201
    );
    assert!(uploads.read("c.bin") == pattern());
    assert!(uploads.server.curl("c.bin").body == pattern());

    let refused = uploads.put("c.bin", &[]);
    assert_eq!(refused.status, 409);
    for (path, status) in [
        ("none/c.bin", 404),
        ("c.bin/d.bin", 404),
        (".hidden", 400),
        ("../out.bin", 400),
        ("%2e%2e/out.bin", 400),
        ("sub%2f..%2f..%2fout.bin", 400),
    ] {
        assert_eq!(uploads.put(path, &[]).status, status, "{path}");
    }
    let empty = uploads
        .server
        .curl_with("empty", &["-X", "PUT", "-H", "Content-Length: 0"]);
    assert_eq!(empty.status, 201);
    assert_eq!(uploads.read("empty"), b"");
    assert_eq!(uploads.names(), ["c.bin", "empty", "sub"]);
    assert!(!uploads.folder.path("out.bin").exists());
    assert_eq!(
        uploads.server.curl_with("c.bin", &["-X", "DELETE"]).status,
        405
    );
}

#[test]
fn a_form_brings_files_and_none_is_overwritten() {
    let _bounded = bounded();
    let uploads = Uploads::start(&[]);
    let source = uploads.folder.path("source.bin");
    let field = |name: &str| format!("file=@{};filename={name}", source.display());
    let form = |options: &[&str]| uploads.server.curl_with("", options);

    let made = form(&[
        "-F",
        &field("a.bin"),
        "-F",
        &field("b.bin"),
        "-F",
        "note=hello",
    ]);
    assert_eq!(made.status, 201, "{}", made.text());
    let told: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(
        (&told[0]["name"], &told[0]["size"]),
        (&"a.bin".into(), &3_000_000.into())
    );
    assert!(uploads.read("a.bin") == pattern() && uploads.read("b.bin") == pattern());

    // A browser goes back to the listing, in which there is the form.
    let browser = form(&["-H", "Accept: text/html,*/*;q=0.8", "-F", &field("a.bin")]);
    assert_eq!(
        (browser.status, browser.header("location")),
        (303, Some("/"))
    );
    assert_eq!(uploads.names(), ["a-1.bin", "a.bin", "b.bin"]);
    let page = uploads.server.curl("");
    assert!(
        page.text().contains("enctype=\"multipart/form-data\""),
        "{}",
        page.text()
    );

    // A name is a name, and no path.
    assert_eq!(form(&["-F", &field("../../up.bin")]).status, 201);
    assert!(uploads.folder.path("public/up.bin").exists());
    assert_eq!(form(&["-d", "a=b"]).status, 415);
    assert_eq!(
        uploads
            .server
            .curl_with("none/", &["-F", &field("a.bin")])
            .status,
        404
    );
}

#[test]
fn what_is_too_long_leaves_nothing() {
    let _bounded = bounded();
    let uploads = Uploads::start(&["--upload-limit", "1M"]);
    let source = uploads.folder.path("source.bin");
    let field = format!("file=@{}", source.display());
    let no_length = ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"];
    for answer in [
        uploads.put("a.bin", &[]),
        uploads.put("a.bin", &no_length),
        uploads.server.curl_with("", &["-F", &field]),
    ] {
        assert_eq!(answer.status, 413);
    }
    assert!(uploads.names().is_empty(), "{:?}", uploads.names());
    let small = uploads
        .server
        .curl_with("a.txt", &["-X", "PUT", "-d", "small"]);
    assert_eq!(small.status, 201);
}

#[test]
fn a_full_disk_is_told_and_leaves_room_for_others() {
    let _bounded = bounded();
    let Some(mut unshare) = peer("unshare") else {
        return;
    };
    let folder = Folder::new();
    fs::create_dir(folder.path("small")).unwrap();
    folder.put("source.bin", pattern());
    // A disk of a megabyte, which nobody else sees.
    let script = format!(
        "mount -t tmpfs -o size=1m none {0} && exec {1} {0} -p 0 --upload",
        folder.path("small").display(),
        env!("CARGO_BIN_EXE_evserve")
    );
    let allowed = peer("unshare").map(|mut probe| probe.args(["-rm", "true"]).status());
    if !allowed.is_some_and(|status| status.is_ok_and(|status| status.success())) {
        return eprintln!("skipped: no namespaces here");
    }
    let server = Server::with(unshare.args(["-rm", "sh", "-c", &script]));
    let source = folder.path("source.bin");
    let field = format!("file=@{}", source.display());
    let source = source.to_str().unwrap();
    for options in [["-T", source], ["-F", field.as_str()]] {
        let path = if options[0] == "-T" { "a.bin" } else { "" };
        let answer = server.curl_with(path, &options);
        assert_eq!(answer.status, 507, "{}", answer.text());
        assert!(answer.text().contains("no room"));
    }
    let small = server.curl_with("b.txt", &["-X", "PUT", "-d", "small"]);
    assert_eq!(small.status, 201, "what was written of the others is gone");
    let json = server.curl_with("", &["-H", "Accept: application/json"]);
    let names: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(names.as_array().unwrap().len(), 1);
}

#[test]
fn half_a_file_leaves_nothing() {
    let _bounded = bounded();
    let mut uploads = Uploads::start(&[]);
    let addr = uploads.server.addr();
    let multipart = "--X\r\nContent-Disposition: form-data; name=f; filename=b.bin\r\n\r\nhalf";
    for (request, body) in [
        ("PUT /a.bin HTTP/1.1\r\n", "half"),
        (
            "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=X\r\n",
            multipart,
        ),
    ] {
        let mut stream = TcpStream::connect(&addr).unwrap();
        write!(
            stream,
            "{request}Host: h\r\nContent-Length: 1000\r\n\r\n{body}"
        )
        .unwrap();
        // It has begun.
        while uploads.names().is_empty() {}
        assert!(
            uploads.names()[0].starts_with('.'),
            "not under its name before it is whole"
        );
        assert_eq!(uploads.server.curl("").text().matches("half").count(), 0);
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        while !uploads.names().is_empty() {}
    }
    // A form that ends in the middle.
    let cut = uploads.server.curl_with(
        "",
        &[
            "-H",
            "Content-Type: multipart/form-data; boundary=X",
            "--data-binary",
            multipart,
        ],
    );
    assert_eq!(cut.status, 400);
    assert!(uploads.names().is_empty());
    uploads.server.signal(libc::SIGTERM);
    assert!(uploads.server.wait().success());
}

#[test]
fn another_site_may_not_bring_anything() {
    let _bounded = bounded();
    let uploads = Uploads::start(&[]);
    let foreign = uploads.put("a.bin", &["-H", "Origin: http://evil.example"]);
    assert_eq!(foreign.status, 403);
    assert_eq!(uploads.put("a.bin", &["-H", "Origin: null"]).status, 403);
    let own = format!("Origin: {}", uploads.server.url.trim_end_matches('/'));
    assert_eq!(uploads.put("a.bin", &["-H", &own]).status, 201);
    assert_eq!(uploads.names(), ["a.bin"]);
}

#[test]
fn nothing_is_brought_unless_it_may_be() {
    let _bounded = bounded();
    let folder = Folder::new();
    let server = Server::start(&folder.0);
    for method in ["PUT", "POST"] {
        assert_eq!(
            server.curl_with("a.txt", &["-X", method, "-d", "x"]).status,
            405
        );
    }
    assert!(!server.curl("").text().contains("<form"));
}
