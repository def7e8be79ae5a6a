//! hyper's client on the loop, against Python's HTTP server, nghttp2's, and ourselves.

mod support;

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/hyper_client.rs"]
mod hyper_client;
#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/hyper_server.rs"]
mod hyper_server;

use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::{Request, Uri, Version};
use libevent2::net::{TcpListener, TcpStream};
use std::path::Path;
use support::{Program, base, bounded, example, free_port, program};
use tempfile::TempDir;

/// A folder with a small file and a large one.
fn folder() -> (TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..4_u32 << 20).map(|i| (i ^ (i >> 8)) as u8).collect();
    std::fs::write(folder.path().join("small.txt"), "small\n").unwrap();
    std::fs::write(folder.path().join("large.bin"), &large).unwrap();
    (folder, large)
}

fn python(folder: &Path) -> Option<(Program, u16)> {
    let mut python = program("python3")?;
    python.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]);
    let server = Program::start(python.arg("--directory").arg(folder), "KILL");
    let line = server.line_with("Serving HTTP on");
    let port = line.split_once(" port ").unwrap().1;
    let port = port.split_whitespace().next().unwrap().parse().unwrap();
    Some((server, port))
}

fn nghttpd(folder: &Path) -> Option<(Program, u16)> {
    let mut nghttpd = program("nghttpd")?;
    let port = free_port();
    nghttpd.args(["--no-tls", "--address=127.0.0.1", "--verbose", "--htdocs"]);
    let server = Program::start(nghttpd.arg(folder).arg(port.to_string()), "KILL");
    server.line_with("listen");
    Some((server, port))
}

fn files_of(port: u16, version: Version, large: &[u8]) {
    let mut base = base();
    let handle = base.handle().clone();
    let get = async |path: &str| {
        let uri = format!("http://127.0.0.1:{port}/{path}").parse::<Uri>();
        let answer = hyper_client::get(&handle, uri.unwrap(), version)
            .await
            .unwrap();
        assert_eq!(answer.version(), version);
        let status = answer.status().as_u16();
        (
            status,
            answer.into_body().collect().await.unwrap().to_bytes(),
        )
    };
    base.block_on(async {
        assert_eq!(get("small.txt").await, (200, "small\n".into()));
        assert_eq!(get("none.txt").await.0, 404);
        let (status, body) = get("large.bin").await;
        assert!(
            status == 200 && body == large,
            "{status}, {} bytes",
            body.len()
        );
    })
    .unwrap();
}

#[test]
fn files_of_pythons_server_by_http1() {
    let _bounded = bounded();
    let (folder, large) = folder();
    let Some((_server, port)) = python(folder.path()) else {
        return;
    };
    // Python's server is one of HTTP/1.0.
    files_of(port, Version::HTTP_10, &large);
}

#[test]
fn files_of_nghttpd_by_http2() {
    let _bounded = bounded();
    let (folder, large) = folder();
    let Some((_server, port)) = nghttpd(folder.path()) else {
        return;
    };
    files_of(port, Version::HTTP_2, &large);
}

#[test]
fn a_hundred_requests_at_once_on_one_connection_of_a_server_on_the_same_loop() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = handle.clone();
    handle.spawn(async move { hyper_server::serve(&server, listener).await });
    base.block_on(async {
        let stream = TcpStream::connect(&handle, address).await.unwrap();
        let (sender, connection) = http2::handshake(handle.clone(), stream).await.unwrap();
        let connection = handle.spawn(connection);
        let asked = (0..100).map(|i| {
            let mut sender = sender.clone();
            let body = Bytes::from(vec![i as u8; 1000 * i]);
            let request = Request::post(format!("http://{address}/echo"));
            let request = request.body(Full::new(body.clone())).unwrap();
            async move {
                let answer = sender.send_request(request).await.unwrap();
                let back = answer.into_body().collect().await.unwrap().to_bytes();
                assert!(back == body, "body {i}: {} bytes", back.len());
            }
        });
        join_all(asked).await;
        drop(sender);
        // The last sender is gone: the connection says goodbye and ends.
        connection.await.unwrap().unwrap();
    })
    .unwrap();
}

#[test]
fn the_example_runs() {
    let _bounded = bounded();
    let (folder, _) = folder();
    let Some((_server, port)) = nghttpd(folder.path()) else {
        return;
    };
    let mut client = example("hyper_client");
    client.args(["--http2", &format!("http://127.0.0.1:{port}/small.txt")]);
    let output = client.output().unwrap();
    assert_eq!(output.stdout, b"small\n", "{output:?}");
    assert_eq!(output.stderr, b"HTTP/2.0 200 OK\n");
}
