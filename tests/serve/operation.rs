//! What tells how the server is doing.

use crate::common::bounded;
use crate::program::{Folder, Server, evserve};

#[test]
fn each_request_has_a_line_that_nobody_can_forge() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a b.txt", "12345");
    let mut server = Server::start(&folder.0);
    server.curl("a%20b.txt?q=%0d%0a1");
    let line = server.log();
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [time, peer, method, target, status, bytes, took] = parts[..] else {
        panic!("{line}");
    };
    assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
    assert!(peer.starts_with("127.0.0.1:"), "{line}");
    assert_eq!((method, target), ("\"GET", "/a%20b.txt?q=%0d%0a1\""));
    assert_eq!((status, bytes), ("200", "5"));
    assert!(took.ends_with("ms"), "{line}");
    server.curl("ä\"x");
    // curl escapes in lower case.
    let line = server.log().to_uppercase();
    assert!(line.contains("\"GET /%C3%A4\\\"X\" 404 "), "{line}");
    server.curl_with("a%20b.txt", &["-I"]);
    assert!(server.log().contains("\"HEAD /a%20b.txt\" 200 0 "));
}

#[test]
fn a_log_that_nobody_reads_is_no_reason_to_end() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let mut server = Server::start(&folder.0);
    assert_eq!(server.curl("a.txt").text(), "text");
    server.out = None;
    for _ in 0..3 {
        assert_eq!(server.curl("a.txt").text(), "text");
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_log_has_the_format_that_was_asked_for() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let start =
        |flags: &[&str]| Server::with(evserve().arg(&folder.0).args(["-p", "0"]).args(flags));

    let mut server = start(&["--log", "common"]);
    server.curl("a.txt?q");
    let line = server.log();
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(
        line.ends_with(" +0000] \"GET /a.txt?q HTTP/1.1\" 200 4\n"),
        "{line}"
    );

    let mut server = start(&["--log", "json"]);
    server.curl_with("a.txt", &["-A", "\"me\""]);
    let line: serde_json::Value = serde_json::from_str(&server.log()).unwrap();
    assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &4.into()));
    assert_eq!(
        (&line["target"], &line["user_agent"]),
        (&"/a.txt".into(), &"\"me\"".into())
    );

    let mut server = start(&["--quiet"]);
    server.curl("a.txt");
    server.signal(libc::SIGTERM);
    assert!(server.wait().success());
    assert_eq!(server.log(), "");
}

#[test]
fn its_numbers_are_a_page_json_and_text_for_prometheus() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let server = Server::with(evserve().arg(&folder.0).args(["-p", "0", "--auth", "a:b"]));
    let ask = |path: &str, accept: &str| {
        let answer = server.curl_with(path, &["-u", "a:b", "-H", &format!("Accept: {accept}")]);
        assert_eq!(answer.status, 200);
        answer
    };
    ask("a.txt", "*/*");
    assert_eq!(server.curl("a.txt").status, 401);
    assert_eq!(
        server.curl("__stats").status,
        401,
        "they are not for everybody"
    );
    assert_eq!(
        server.curl("__health").text(),
        "ok\n",
        "but that it is there is"
    );

    let page = ask("__stats", "text/html,*/*;q=0.8");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let json: serde_json::Value =
        serde_json::from_slice(&ask("__stats?format=json", "*/*").body).unwrap();
    assert_eq!(
        (&json["requests"], &json["in_flight"]),
        (&5.into(), &1.into())
    );
    assert_eq!(
        (&json["status"]["2xx"], &json["status"]["4xx"]),
        (&3.into(), &2.into())
    );
    assert!(
        json["memory_bytes"]
            .as_u64()
            .is_none_or(|bytes| bytes > 100_000)
    );
    let text = ask(
        "__stats",
        "application/openmetrics-text;q=0.9,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    );
    assert!(
        text.header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        text.text()
            .contains("\nevserve_requests_total{status=\"2xx\"} 4\n"),
        "{}",
        text.text()
    );
    assert!(
        text.text()
            .contains("evserve_request_duration_seconds_count 6\n")
    );
}

#[test]
fn a_proxy_that_is_believed_says_who_the_client_is() {
    let _bounded = bounded();
    let forwarded = [
        "-H",
        "X-Forwarded-For: 192.0.2.7",
        "-H",
        "X-Forwarded-Proto: https",
    ];
    let mut server = Server::with(evserve().args(["-p", "0", "--echo"]));
    server.curl_with("x", &forwarded);
    assert!(
        server.log().contains(" 127.0.0.1:"),
        "nobody is believed without a word"
    );
    let flags = [
        "-p",
        "0",
        "--echo",
        "--trusted-proxy",
        "127.0.0.0/8",
        "--log",
        "common",
    ];
    let mut server = Server::with(evserve().args(flags));
    server.curl_with("x", &forwarded);
    assert!(server.log().starts_with("192.0.2.7 - - ["));
    let out = evserve()
        .args(["--echo", "--trusted-proxy", "nonsense"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--trusted-proxy"));
}
