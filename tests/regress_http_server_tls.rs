//! regress_http.c, what it asks of a server over TLS.
#![cfg(all(feature = "http", feature = "openssl"))]

#[path = "common/tls.rs"]
mod certificates;
mod common;
mod evhttp_common;
#[path = "evhttp_common/secure.rs"]
mod secure;

use common::bounded;
use evhttp_common::{Answer, beside, finish, request};
use libevent2::evhttp::{HeaderValue, Reply, Request, Server};
use libevent2::{LoopHandle, Timer};
use openssl::ssl::{ErrorCode, SslStream};
use secure::{client, handshake, secure};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const BODY: &str = "This is funny";
const CHUNKS: [&str; 3] = [BODY, "but not hilarious.", "bwv 1052"];

fn trickle(handle: &LoopHandle, reply: Reply, at: usize) -> libevent2::Result<()> {
    let mut reply = Some(reply);
    let again = handle.clone();
    let timer = Timer::after(handle, Duration::ZERO, move |_| {
        let reply = reply.take().expect("called once");
        let Some(chunk) = CHUNKS.get(at) else {
            return reply.end();
        };
        reply.chunk(*chunk)?;
        trickle(&again, reply, at + 1)
    });
    timer.map(Timer::detach)
}

fn set_up(server: &Server) {
    server.set_gencb(|mut request: Request| {
        let handle = request.handle().clone();
        match request.uri() {
            "/chunked" => trickle(&handle, request.start(200, None)?, 0),
            "/streamed" => {
                let length = HeaderValue::from_static("39");
                request.output_headers().insert("content-length", length);
                trickle(&handle, request.start(200, None)?, 0)
            }
            "/delay" => {
                let mut request = Some(request);
                let soon = Duration::from_millis(20);
                let timer = Timer::after(&handle, soon, move |_| {
                    let request = request.take().expect("called once");
                    request.reply(200, "Everything is fine", BODY)
                });
                timer.map(Timer::detach)
            }
            _ => {
                let empty = request.headers().contains_key("empty");
                request.reply(200, "Everything is fine", if empty { "" } else { BODY })
            }
        }
    });
}

fn run<T: Send + 'static>(test: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    set_up(&server);
    server.set_timeout(Duration::from_secs(1));
    let result = beside(&mut base, addr, test);
    finish(&mut base, server);
    result
}

fn is_fine(answer: &Answer) {
    assert_eq!((answer.status, answer.text()), (200, BODY));
    assert!(answer.header("content-type").is_some());
}

const CLOSE: &str = "Connection: close\r\n\r\n";

/// How the server has ended the connection.
fn end(stream: &mut SslStream<TcpStream>) -> ErrorCode {
    stream.ssl_read(&mut [0]).unwrap_err().code()
}

#[test]
fn https_basic() {
    run(|addr| {
        let mut first = client(addr);
        first.send("GET /test HTTP/1.1\r\nHost: some");
        first.send("host\r\nConnection: close\r\n\r\n");
        is_fine(&first.read().unwrap());
        let mut absolute = client(addr);
        absolute.send(request("GET http://somehost.net/test", CLOSE));
        is_fine(&absolute.read().unwrap());
    });
}

#[test]
fn https_simple() {
    run(|addr| {
        let mut client = client(addr);
        client.send(request("GET /test", CLOSE));
        is_fine(&client.read().unwrap());
        assert_eq!(end(client.stream_mut()), ErrorCode::ZERO_RETURN);
    });
}

/// A client that goes without a word.
#[test]
fn https_simple_dirty() {
    run(|addr| {
        for _ in 0..2 {
            let mut client = client(addr);
            client.send(request("GET /test", "\r\n"));
            is_fine(&client.read().unwrap());
            client
                .stream_mut()
                .get_ref()
                .shutdown(Shutdown::Both)
                .unwrap();
        }
    });
}

fn half(shut: bool) -> Duration {
    run(move |addr| {
        let before = Instant::now();
        let mut stream = handshake(addr).unwrap();
        let half = b"GET /test HTTP/1.1\r\nHost: somehost\r\n";
        assert_eq!(stream.ssl_write(half).unwrap(), half.len());
        if shut {
            stream.get_ref().shutdown(Shutdown::Write).unwrap();
        }
        assert_ne!(end(&mut stream), ErrorCode::WANT_READ);
        before.elapsed()
    })
}

#[test]
fn https_incomplete() {
    half(true);
}

#[test]
fn https_incomplete_timeout() {
    let took = half(false);
    assert!(took >= Duration::from_millis(990), "{took:?}");
}

#[test]
fn https_chunk_out() {
    run(|addr| {
        let mut client = client(addr);
        for more in ["\r\n", "\r\n", CLOSE] {
            client.send(request("GET /chunked", more));
            let answer = client.read().unwrap();
            assert_eq!(answer.chunks, [13, 18, 8, 0]);
            assert_eq!(answer.text(), CHUNKS.concat());
        }
        assert_eq!(end(client.stream_mut()), ErrorCode::ZERO_RETURN);
    });
}

#[test]
fn https_stream_out() {
    run(|addr| {
        let mut client = client(addr);
        client.send(request("GET /streamed", "\r\n"));
        let answer = client.read().unwrap();
        assert_eq!((answer.text(), answer.chunks.len()), (&*CHUNKS.concat(), 0));
    });
}

#[test]
fn https_write_during_read() {
    run(|addr| {
        let mut client = client(addr);
        client.send(request("GET /delay", "\r\n"));
        client.send("FOOBAR");
        is_fine(&client.read().unwrap());
    });
}

#[test]
fn https_connection() {
    run(|addr| {
        for more in ["", "Empty: itis\r\n"] {
            let mut client = client(addr);
            client.send(request("GET /test", &format!("{more}{CLOSE}")));
            let answer = client.read().unwrap();
            assert_eq!(answer.text().is_empty(), !more.is_empty());
            assert_eq!(end(client.stream_mut()), ErrorCode::ZERO_RETURN);
        }
    });
}

#[test]
fn https_persist_connection() {
    run(|addr| {
        let mut client = client(addr);
        for _ in 0..3 {
            client.send(request("GET /test", "\r\n"));
            is_fine(&client.read().unwrap());
        }
    });
}
