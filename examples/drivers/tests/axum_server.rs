//! An axum router on the loop, asked by curl.

mod support;

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/axum_server.rs"]
mod axum_server;

use axum::routing::get;
use axum_server::{router, serve};
use libevent2::net::{TcpListener, TcpStream};
use libevent2::task::promise;
use libevent2::{Error, LoopHandle};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use support::{Program, base, bounded, example, output, program};
use tokio::sync::Notify;

fn curl() -> Option<Command> {
    let mut curl = program("curl")?;
    curl.args(["--silent", "--show-error", "--max-time", "30"]);
    Some(curl)
}

/// Runs `test` beside the router, with its address, and stops it then.
fn beside_router(test: impl AsyncFnOnce(&LoopHandle, SocketAddr)) {
    let mut base = base();
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    base.block_on(async {
        let (stop, stopped) = promise::<()>();
        let (server, router) = (handle.clone(), router(&handle));
        let served = handle.spawn(async move {
            serve(&server, listener, router, stopped)
                .await
                .map_err(|error| error.to_string())
        });
        test(&handle, address).await;
        stop.resolve(());
        served.await.unwrap().unwrap();
    })
    .unwrap();
}

fn asked_by_curl(version: &str) {
    let _bounded = bounded();
    if curl().is_none() {
        return;
    }
    beside_router(async |handle, address| {
        let ask = async |path: &str, args: &[&str]| {
            let mut curl = curl().unwrap();
            curl.args([version, "--write-out", " %{http_code}"])
                .args(args);
            output(handle, {
                curl.arg(format!("http://{address}{path}"));
                curl
            })
            .await
        };
        assert_eq!(ask("/hello/w%C3%B6rld", &[]).await, "hello, wörld\n 200");
        assert_eq!(ask("/nowhere", &[]).await, " 404");
        assert_eq!(
            ask("/after/x", &[])
                .await
                .split_off(1)
                .split_whitespace()
                .last(),
            Some("400")
        );
        let json = ["--json", r#"{"a": 40, "b": 2}"#];
        assert_eq!(ask("/add", &json).await, r#"{"sum":42} 200"#);
        let broken = ["--json", "{"];
        assert!(ask("/add", &broken).await.ends_with(" 400"));
        // A handler that waits for a timer of the loop.
        assert_eq!(ask("/after/20", &[]).await, "after 20 ms\n 200");
    });
}

#[test]
fn routes_by_http1() {
    asked_by_curl("--http1.1");
}

#[test]
fn routes_by_http2() {
    asked_by_curl("--http2-prior-knowledge");
}

#[test]
fn five_thousand_requests_by_http2() {
    let _bounded = bounded();
    let Some(mut h2load) = program("h2load") else {
        return;
    };
    beside_router(async |handle, address| {
        h2load.args(["-n", "5000", "-c", "10", "-m", "20", "-t", "1"]);
        h2load.arg(format!("http://{address}/hello/x"));
        let printed = output(handle, h2load).await;
        assert!(
            printed.contains("5000 succeeded, 0 failed, 0 errored"),
            "{printed}"
        );
    });
}

/// What was asked before is answered, a connection that only waits is closed, and nobody gets in
/// any more.
#[test]
fn a_request_that_has_begun_is_answered_while_the_server_stops() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        async move || {
            begun.notify_one();
            go_on.notified().await;
            "at last"
        }
    };
    let router = router(&handle).route("/slow", get(slow));
    base.block_on(async {
        let (stop, stopped) = promise::<()>();
        let server = handle.clone();
        let served = handle.spawn(async move {
            let served = serve(&server, listener, router, stopped).await;
            served.map_err(|error| error.to_string())
        });
        let waiting = TcpStream::connect(&handle, address).await.unwrap();
        let asking = TcpStream::connect(&handle, address).await.unwrap();
        let request = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
        asking.write_all(request.as_bytes()).await.unwrap();
        begun.notified().await;
        stop.resolve(());
        assert_eq!(waiting.read(&mut [0; 16]).await.unwrap(), 0);
        let refused = TcpStream::connect(&handle, address).await.unwrap_err();
        let Error::Os { source, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
        assert!(!served.is_finished());
        go_on.notify_one();

        let mut answer = Vec::new();
        asking.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("at last"), "{answer}");
        served.await.unwrap().unwrap();
    })
    .unwrap();
}

#[test]
fn the_example_ends_on_sigint_when_it_has_answered() {
    let _bounded = bounded();
    let server = Program::start(example("axum_server").arg("127.0.0.1:0"), "KILL");
    let line = server.line_with("listening on ");
    let address = line.strip_prefix("listening on http://").unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    let head = "POST /add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 15\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    client.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.signal("INT");
    client.write_all(br#"{"a":40, "b":2}"#).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"{"sum":42}"#), "{answer}");
    assert!(server.wait().success());
}
