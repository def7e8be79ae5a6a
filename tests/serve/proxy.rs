//! Paths that another server answers.

use crate::common::bounded;
use crate::program::{Folder, Server, evserve};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

fn start(flags: &[&str]) -> Server {
    Server::with(evserve().args(["-p", "0"]).args(flags))
}

fn echoed(answer: &crate::program::Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_path_is_answered_by_another_server() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "a file");
    let other = start(&["--echo", "-H", "X-Other: 1"]);
    let other_url = other.url.trim_end_matches('/');
    let kept = format!("/api={other_url}");
    let replaced = format!("/v1={other_url}/v2");
    let dir = folder.0.to_str().unwrap();
    let server = start(&[
        dir,
        "--proxy",
        &kept,
        "--proxy",
        &replaced,
        "-H",
        "X-Mine: 1",
    ]);

    assert_eq!(server.curl("a.txt").text(), "a file");
    let json = ["-H", "Accept: application/json"];
    let answer = server.curl_with("api/users?b=c", &[&json[..], &["-d", "the body"]].concat());
    assert_eq!(
        (answer.header("x-other"), answer.header("x-mine")),
        (Some("1"), Some("1"))
    );
    let told = echoed(&answer);
    assert_eq!(
        (&told["method"], &told["path"]),
        (&json!("POST"), &json!("/api/users"))
    );
    assert_eq!(
        (&told["query"], &told["body"]),
        (&json!([["b", "c"]]), &json!("the body"))
    );
    let headers = &told["headers"];
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(
        headers["x-forwarded-host"].as_str(),
        Some(server.addr().as_str())
    );
    assert_eq!(headers["host"].as_str(), Some(other.addr().as_str()));
    assert!(headers.get("connection").is_none() && headers.get("expect").is_none());
    assert_eq!(echoed(&server.curl_with("v1/x", &json))["path"], "/v2/x");
    assert_eq!(server.curl("apis").status, 404);
    let head = server.curl_with("api/x", &["-I"]);
    assert_eq!((head.status, head.text()), (200, ""));
}

#[test]
fn the_password_stays_here() {
    let _bounded = bounded();
    let other = start(&["--echo"]);
    let flag = format!("/api={}", other.url.trim_end_matches('/'));
    let options = ["-u", "a:b", "-H", "Accept: application/json"];
    let keeps = start(&["--proxy", &flag, "--auth", "a:b"]);
    assert_eq!(keeps.curl("api/x").status, 401);
    let told = echoed(&keeps.curl_with("api/x", &options));
    assert!(told["headers"].get("authorization").is_none());
    let passes = start(&["--proxy", &flag]);
    let told = echoed(&passes.curl_with("api/x", &options));
    assert_eq!(told["headers"]["authorization"], "Basic YTpi");
}

#[test]
fn a_long_answer_and_a_long_body_pass_through() {
    let _bounded = bounded();
    let (public, uploads) = (Folder::new(), Folder::new());
    let bytes: Vec<u8> = (0..2_000_000u32).flat_map(u32::to_le_bytes).collect();
    public.put("big.bin", &bytes);
    let source = public.path("big.bin");
    let other = start(&[uploads.0.to_str().unwrap(), "--upload"]);
    let files = start(&[public.0.to_str().unwrap()]);
    let server = start(&[
        "--proxy",
        &format!("/up={}", other.url),
        "--proxy",
        &format!("/files={}", files.url),
    ]);
    assert!(server.curl("files/big.bin").body == bytes);
    let range = server.curl_with("files/big.bin", &["-r", "4-7"]);
    assert_eq!((range.status, &range.body[..]), (206, &[1, 0, 0, 0][..]));
    let source = source.to_str().unwrap();
    for (name, options) in [
        ("a.bin", &[][..]),
        ("b.bin", &["-H", "Transfer-Encoding: chunked"]),
    ] {
        let made = server.curl_with(&format!("up/{name}"), &[&["-T", source], options].concat());
        assert_eq!(made.status, 201);
        assert!(std::fs::read(uploads.path(name)).unwrap() == bytes);
    }
    // A client that takes its time.
    let mut slow = Command::new("curl")
        .args(["-sS", "--max-time", "50", "--limit-rate", "8M"])
        .arg(format!("{}files/big.bin", server.url))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut got = Vec::new();
    slow.stdout.take().unwrap().read_to_end(&mut got).unwrap();
    assert!(slow.wait().unwrap().success() && got == bytes);
}

#[test]
fn a_server_that_is_not_there_is_a_bad_gateway() {
    let _bounded = bounded();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let flag = format!("/api=http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let server = start(&["--proxy", &flag, "--echo"]);
    let answer = server.curl("api/x");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("--proxy"), "{}", answer.text());
    assert_eq!(server.curl_with("api/x", &["-d", "body"]).status, 502);
    assert_eq!(server.curl("other").status, 200);
}

#[test]
fn half_an_answer_is_not_taken_for_a_whole_one() {
    let _bounded = bounded();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let flag = format!("/api=http://{}", listener.local_addr().unwrap());
    let server = start(&["--proxy", &flag]);
    for head in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let listener = listener.try_clone().unwrap();
        let other = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            crate::proxy::head(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nhalf\r\n").unwrap();
        });
        let out = Command::new("curl")
            .args(["-sS", "--max-time", "30"])
            .arg(format!("{}api/x", server.url))
            .output()
            .unwrap();
        assert!(
            !out.status.success(),
            "{head}: {}",
            String::from_utf8_lossy(&out.stdout)
        );
        other.join().unwrap();
    }
}

#[test]
fn a_connection_that_changes_its_protocol_is_passed_through() {
    let _bounded = bounded();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let flag = format!("/ws=http://{}", listener.local_addr().unwrap());
    let server = start(&["--proxy", &flag]);
    let other = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = head(&mut stream);
        let lower = request.to_lowercase();
        assert!(lower.contains("\r\nupgrade: echo\r\n"), "{request}");
        assert!(lower.contains("\r\nconnection: upgrade\r\n"), "{request}");
        assert!(lower.contains("\r\nsec-websocket-key: k\r\n"), "{request}");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: a\r\n\r\nfirst";
        stream.write_all(answer.as_bytes()).unwrap();
        let mut bytes = vec![0; 1 << 20];
        loop {
            match stream.read(&mut bytes).unwrap() {
                0 => break,
                read => stream.write_all(&bytes[..read]).unwrap(),
            }
        }
    });
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    let request = "GET /ws/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\
                   Sec-WebSocket-Key: k\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let answer = head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let lower = answer.to_lowercase();
    assert!(lower.contains("upgrade: echo\r\n") && lower.contains("sec-websocket-accept: a\r\n"));
    let mut first = [0; 5];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first");
    // More than waits on the way, so that both ends have to wait for each other.
    let sent: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    let (mut writer, all) = (stream.try_clone().unwrap(), sent.clone());
    let writing = thread::spawn(move || writer.write_all(&all).unwrap());
    let mut got = vec![0; sent.len()];
    stream.read_exact(&mut got).unwrap();
    assert!(got == sent);
    writing.join().unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    other.join().unwrap();
}

#[test]
fn a_server_that_does_not_change_its_protocol_is_heard() {
    let _bounded = bounded();
    let other = start(&["--respond", "/{*all}=404:no"]);
    let flag = format!("/={}", other.url.trim_end_matches('/'));
    let server = start(&["--proxy", &flag]);
    let upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: echo"];
    assert_eq!(server.curl_with("ws", &upgrade).status, 404);
}

/// Up to the empty line.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}
