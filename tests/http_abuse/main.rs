//! Programs that others have written to bring servers down, or to see how much they bear. A client
//! that is none of them is served all the time.
#![cfg(feature = "http")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../http_client/mod.rs"]
mod http_client;

use common::Watchdog;
use common::peers::peer;
use http_client::{get, with_server};
use libevent2::http::{Limits, Request, Server, StatusCode};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

static LARGE: [u8; 1 << 20] = [b'x'; 1 << 20];

/// What the program has printed; meanwhile somebody else asks, and does not wait long.
fn beside(mut program: Command, addr: SocketAddr) -> String {
    let program = program.stdin(Stdio::null()).stderr(Stdio::piped());
    let child = program.stdout(Stdio::piped()).spawn().unwrap();
    let ended = thread::spawn(move || child.wait_with_output().unwrap());
    let mut slowest = Duration::ZERO;
    while !ended.is_finished() {
        let before = Instant::now();
        assert_eq!(get(addr, "/").text(), "hello");
        slowest = slowest.max(before.elapsed());
        thread::sleep(Duration::from_millis(10));
    }
    let output = ended.join().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{text}\nslowest of the other client: {slowest:?}");
    assert!(output.status.success(), "{text}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    text.into_owned()
}

/// Runs `program` against a server with short times, and looks at what it says.
fn against(
    program: &'static str,
    arguments: impl FnOnce(&mut Command, SocketAddr) + Send + 'static,
    judge: impl FnOnce(&str) + Send + 'static,
) {
    let _bounded = Watchdog::new(Duration::from_secs(120));
    let Some(mut command) = peer(program) else {
        return;
    };
    let setup = |server: &Server| {
        let limits = Limits::new().idle(Duration::from_secs(1));
        server.set_limits(limits.request_time(Duration::from_secs(2)));
        server.fallback(|request: Request| match request.path() {
            "/large" => request.reply(StatusCode::OK, &LARGE[..]),
            _ => request.reply(StatusCode::OK, "hello"),
        });
    };
    with_server(setup, move |addr| {
        arguments(&mut command, addr);
        judge(&beside(command, addr));
    });
}

/// A thousand slow clients of a kind, for some seconds: the server stays there for others.
fn slow(kind: &'static [&'static str], path: &'static str, judge: fn(&str)) {
    let arguments = move |command: &mut Command, addr: SocketAddr| {
        command
            .args(kind)
            .args(["-c", "1000", "-r", "500", "-l", "8", "-p", "2"]);
        command.args(["-u", &format!("http://{addr}{path}")]);
    };
    against("slowhttptest", arguments, move |text| {
        let text: String = without_colours(text);
        assert!(text.contains("Exit status"), "{text}");
        assert!(!text.contains("service available:   NO"), "{text}");
        assert!(text.contains("service available:   YES"), "{text}");
        judge(&text);
    });
}

fn all_are_ended(text: &str) {
    assert!(text.contains("No open connections left"), "{text}");
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

#[test]
fn slowhttptest_with_slow_heads() {
    slow(&["-H", "-i", "1"], "/", all_are_ended);
}

#[test]
fn slowhttptest_with_slow_bodies() {
    slow(&["-B", "-i", "1"], "/", all_are_ended);
}

#[test]
fn slowhttptest_with_slow_reading() {
    // The server has closed them; they read on what the system had taken before.
    slow(&["-X", "-n", "1", "-z", "32"], "/large", |_| ());
}

#[test]
fn ab_has_no_failed_request() {
    let arguments = |command: &mut Command, addr: SocketAddr| {
        command.args([
            "-q",
            "-k",
            "-n",
            "20000",
            "-c",
            "50",
            &format!("http://{addr}/"),
        ]);
    };
    against("ab", arguments, |text| {
        let has = |line: &str| text.lines().any(|found| found.trim_end() == line);
        assert!(has("Failed requests:        0"), "{text}");
        assert!(has("Complete requests:      20000"), "{text}");
        assert!(!text.contains("Non-2xx"), "{text}");
    });
}

#[test]
fn ab_has_no_failed_request_on_connections_of_their_own() {
    let arguments = |command: &mut Command, addr: SocketAddr| {
        command.args([
            "-q",
            "-n",
            "5000",
            "-c",
            "50",
            &format!("http://{addr}/large"),
        ]);
    };
    against("ab", arguments, |text| {
        assert!(text.contains("Failed requests:        0\n"), "{text}");
        assert!(text.contains("Complete requests:      5000\n"), "{text}");
    });
}

#[test]
fn wrk_has_no_errors() {
    let arguments = |command: &mut Command, addr: SocketAddr| {
        command.args([
            "-t",
            "1",
            "-c",
            "200",
            "-d",
            "2",
            &format!("http://{addr}/"),
        ]);
    };
    against("wrk", arguments, |text| {
        assert!(text.contains("Requests/sec"), "{text}");
        assert!(!text.contains("Non-2xx"), "{text}");
        assert!(!text.contains("Socket errors"), "{text}");
    });
}

#[test]
fn httperf_has_no_errors() {
    let arguments = |command: &mut Command, addr: SocketAddr| {
        let (host, port) = (addr.ip().to_string(), addr.port().to_string());
        command.args(["--hog", "--server", &host, "--port", &port, "--uri", "/"]);
        command.args([
            "--num-conns",
            "1000",
            "--num-calls",
            "20",
            "--rate",
            "500",
            "--timeout",
            "5",
        ]);
    };
    against("httperf", arguments, |text| {
        assert!(
            text.contains("Total: connections 1000 requests 20000 replies 20000"),
            "{text}"
        );
        assert!(text.contains("Errors: total 0 "), "{text}");
    });
}
