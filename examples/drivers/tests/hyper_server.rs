//! hyper's server on the loop, asked by curl and by nghttp2's h2load.

mod support;

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/hyper_server.rs"]
mod hyper_server;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Response, server::conn::http1};
use libevent2::LoopHandle;
use libevent2::net::{TcpListener, TcpStream};
use libevent2::task::OnLoop;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{base, bounded, example, output, program};

/// Runs `test` beside the example's server, with its address.
fn beside_server(test: impl AsyncFnOnce(&LoopHandle, SocketAddr)) {
    let mut base = base();
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = handle.clone();
    handle.spawn(async move { hyper_server::serve(&server, listener).await });
    base.block_on(test(&handle, address)).unwrap();
}

fn curl() -> Option<Command> {
    let mut curl = program("curl")?;
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "30"]);
    Some(curl)
}

fn a_page_by(version: &str, number: &str) {
    let _bounded = bounded();
    let Some(mut curl) = curl() else { return };
    beside_server(async |handle, address| {
        curl.args([version, "--write-out", "%{http_version}"]);
        curl.arg(format!("http://{address}/"));
        let printed = output(handle, curl).await;
        assert_eq!(printed, format!("hello from libevent\n{number}"));
    });
}

#[test]
fn curl_gets_a_page_by_http1() {
    a_page_by("--http1.1", "1.1");
}

#[test]
fn curl_gets_a_page_by_http2() {
    a_page_by("--http2-prior-knowledge", "2");
}

/// Both directions are full at a time, and neither side holds more than its buffers.
fn an_echo_by(version: &str) {
    let _bounded = bounded();
    let Some(mut curl) = curl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (sent, got) = (folder.path().join("sent"), folder.path().join("got"));
    let bytes: Vec<u8> = (0..8_u32 << 20).map(|i| (i ^ (i >> 8)) as u8).collect();
    std::fs::write(&sent, &bytes).unwrap();
    beside_server(async |handle, address| {
        curl.args([version, "--header", "expect:", "--data-binary"]);
        curl.arg(format!("@{}", sent.display())).arg("--output");
        curl.arg(&got).arg(format!("http://{address}/echo"));
        output(handle, curl).await;
        assert!(
            std::fs::read(&got).unwrap() == bytes,
            "other bytes came back"
        );
    });
}

#[test]
fn a_body_of_8_mib_is_echoed_by_http1() {
    an_echo_by("--http1.1");
}

#[test]
fn a_body_of_8_mib_is_echoed_by_http2() {
    an_echo_by("--http2-prior-knowledge");
}

fn load(args: &[&str]) {
    let _bounded = bounded();
    let Some(mut h2load) = program("h2load") else {
        return;
    };
    beside_server(async |handle, address| {
        h2load.args(args).args(["-n", "5000", "-t", "1"]);
        h2load.arg(format!("http://{address}/"));
        let printed = output(handle, h2load).await;
        let all = "5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed, 0 errored";
        assert!(printed.contains(all), "{printed}");
        assert!(printed.contains("5000 2xx"), "{printed}");
    });
}

#[test]
fn five_thousand_requests_over_50_connections_by_http1() {
    load(&["--h1", "-c", "50"]);
}

#[test]
fn five_thousand_requests_over_10_connections_with_50_streams_each() {
    load(&["-c", "10", "-m", "50"]);
}

#[test]
fn who_keeps_the_head_of_a_request_back_is_closed_by_the_loops_timer() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(100);
    base.block_on(async {
        let server = handle.clone();
        let served = handle.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            http1::Builder::new()
                .timer(OnLoop::new(&server, server.clone()))
                .header_read_timeout(patience)
                .serve_connection(
                    stream,
                    service_fn(async |_| Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))),
                )
                .await
        });
        let client = TcpStream::connect(&handle, address).await.unwrap();
        let start = Instant::now();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        assert!(start.elapsed() >= patience);
        assert!(served.await.unwrap().unwrap_err().is_timeout());
    })
    .unwrap();
}

/// After an upgrade the program has its own stream back.
#[test]
fn an_upgraded_connection_is_a_stream_again() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    base.block_on(async {
        let server = handle.clone();
        let served = handle.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let upgrade = service_fn(|request| {
                let upgraded = hyper::upgrade::on(request);
                server.spawn(async move {
                    let parts = upgraded
                        .await
                        .unwrap()
                        .downcast::<OnLoop<TcpStream>>()
                        .unwrap();
                    let stream = parts.io.into_inner();
                    stream.write_all(&parts.read_buf).await.unwrap();
                    let mut word = [0; 5];
                    stream.read_exact(&mut word).await.unwrap();
                    stream.write_all(&word).await.unwrap();
                });
                let answer = Response::builder()
                    .status(101)
                    .header("connection", "upgrade")
                    .header("upgrade", "echo")
                    .body(Empty::<Bytes>::new());
                async { answer }
            });
            // What an upgrade hands on has to be Send.
            let stream = OnLoop::new(&server, stream);
            let connection = http1::Builder::new().serve_connection(stream, upgrade);
            connection.with_upgrades().await
        });
        let client = TcpStream::connect(&handle, address).await.unwrap();
        let head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly";
        client.write_all(head.as_bytes()).await.unwrap();
        served.await.unwrap().unwrap();
        client.write_all(b"later").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nearlylater"), "{answer}");
    })
    .unwrap();
}

/// As a program of its own, as the example's head says.
#[test]
fn the_example_runs() {
    let _bounded = bounded();
    let Some(mut curl) = curl() else { return };
    let server = support::Program::start(example("hyper_server").arg("127.0.0.1:0"), "KILL");
    let line = server.line_with("listening on ");
    let address = line.strip_prefix("listening on ").unwrap();
    let output = curl.arg(address).output().unwrap();
    assert_eq!(output.stdout, b"hello from libevent\n");
}
