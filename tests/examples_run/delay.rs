//! `delay_server` and `delay_load`.

use crate::common::bounded;
use crate::common::peers::peer;
use crate::program::{Program, connect};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn server(arguments: &[&str]) -> (Program, String) {
    let arguments = [&["--port", "0"], arguments].concat();
    let server = Program::start("delay_server", &arguments);
    let address = format!("127.0.0.1:{}", server.port());
    (server, address)
}

fn port(address: &str) -> u16 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_request_is_answered_after_the_delay() {
    let _watchdog = bounded();
    let (server, address) = server(&["--delay", "0.3"]);
    let mut client = connect(port(&address));
    let begun = Instant::now();
    // In pieces, and half-closed: it still wants its answer.
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
    client.write_all(b"\r\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(290));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(body.len(), 9);
    server.line_with("0 live, 1 answered");
    server.signal(libc::SIGINT);
    let end = server.end();
    assert!(end.status.success(), "{end:?}");
}

#[test]
fn many_wait_at_once_and_each_gets_an_answer() {
    let _watchdog = bounded();
    for workers in ["1", "3"] {
        let (server, address) = server(&["--delay", "1.5", "--workers", workers]);
        let load = ["--connections", "900", "--rate", "3000", "--from"];
        let load = [&[&*address], &load[..], &["127.0.1.1"]].concat();
        let end = Program::start("delay_load", &load).end();
        assert!(end.status.success(), "{end:?}");
        let expected = "900 connections, 900 at once; 900 answered after ";
        assert!(end.stdout.starts_with(expected), "{end:?}");
        assert!(end.stdout.ends_with("; 0 failed\n"), "{end:?}");
        let line = server.line_with("900 answered");
        assert!(
            line.starts_with("0 live") && line.contains(" 0 failed"),
            "{line}"
        );
        server.signal(libc::SIGTERM);
        let end = server.end();
        assert!(end.status.success(), "{end:?}");
    }
}

#[test]
fn who_asks_nothing_or_too_much_fails_alone() {
    let _watchdog = bounded();
    let (server, address) = server(&["--delay", "0"]);
    let port = port(&address);
    drop(connect(port));
    let mut flood = connect(port);
    let _ = flood.write_all(&[b'x'; 100_000]);
    let mut rest = Vec::new();
    let _ = flood.read_to_end(&mut rest);
    assert!(rest.is_empty());
    let mut client = connect(port);
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nanswered\n"));
    server.line_with("0 live, 1 answered");
}

/// curl, `simple_proxy` and `delay_server`, one behind the other.
#[test]
fn the_examples_work_together() {
    let _watchdog = bounded();
    let Some(mut curl) = peer("curl") else { return };
    let (_server, address) = server(&["--delay", "0.05"]);
    let proxy = Program::start("simple_proxy", &["127.0.0.1:0", &address]);
    let url = format!("http://127.0.0.1:{}/", proxy.port());
    let output = curl.args(["--silent", "--fail", &url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"answered\n");
    let end = Program::start("rate_limited_download", &[&url]).end();
    assert_eq!(end.stdout, "answered\n");
}

#[test]
fn the_load_counts_what_fails() {
    let _watchdog = bounded();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let end = Program::start("delay_load", &[&address, "--connections", "7"]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.stdout.ends_with("; 7 failed\n"), "{end:?}");
    assert!(end.stderr.contains("connection refused"), "{end:?}");
}
