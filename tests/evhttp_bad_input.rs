//! What a server refuses, and that it goes on.
#![cfg(feature = "http")]

mod common;
mod evhttp_common;

use common::bounded;
use evhttp_common::{Client, ask, get, request, with_server};
use libevent2::evhttp::{Request, Server};
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn echo(server: &Server) {
    server.set_gencb(|request: Request| {
        let text = format!("{} {}", request.uri(), request.body().len());
        request.reply(200, None, text).unwrap();
    });
}

/// Sends `bytes`, and wants them refused, the connection closed, and the next client served.
fn refused(addr: SocketAddr, bytes: impl AsRef<[u8]>, status: u16) {
    let bytes = bytes.as_ref();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
    let mut client = Client::new(addr);
    client.try_send(bytes);
    let answer = client.read();
    assert_eq!(answer.map(|answer| answer.status), Some(status), "{shown}");
    assert!(client.is_closed(), "{shown}");
    assert_eq!(get(addr, "/next").text(), "/next 0", "{shown}");
}

#[test]
fn a_malformed_request_is_answered_400() {
    let _bounded = bounded();
    with_server(echo, |addr| {
        for bytes in [
            "GARBAGE\r\n\r\n",
            "\0\u{1}\u{2}\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/x\r\n\r\n",
            "GET / FTP/1.1\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost a\r\n\r\n",
            "GET / HTTP/1.1\r\n : a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX Y: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{1}b\r\n\r\n",
        ] {
            refused(addr, bytes, 400);
        }
    });
}

#[test]
fn what_a_proxy_could_read_otherwise_is_answered_400() {
    let _bounded = bounded();
    with_server(echo, |addr| {
        let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        for headers in [
            "",
            "Host: a\r\nHost: b\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "Host: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Host: a\r\nTransfer-Encoding: identity, chunked\r\n",
            "Host: a\r\nTransfer-Encoding: xchunked\r\n",
            "Host: a\r\nTransfer-Encoding : chunked\r\n",
            "Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
            "Host: a\r\nContent-Length: +0\r\n",
            "Host: a\r\nContent-Length: 0x0\r\n",
            "Host: a\r\nContent-Length: -1\r\n",
            "Host: a\r\nContent-Length:\r\n",
        ] {
            refused(
                addr,
                format!("POST / HTTP/1.1\r\n{headers}\r\n{smuggled}"),
                400,
            );
        }
        refused(
            addr,
            format!("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}"),
            400,
        );
        // evhttp takes no body for HEAD: it would be the next request.
        let head = "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\n\r\n";
        let mut client = Client::new(addr);
        client.send(format!("{head}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.read_head().unwrap().status, 400);
        assert!(client.is_closed());
    });
}

#[test]
fn what_is_not_known_is_answered_501_or_505() {
    let _bounded = bounded();
    with_server(echo, |addr| {
        refused(addr, request("FOO /", "\r\n"), 501);
        refused(addr, request("get /", "\r\n"), 501);
        refused(addr, "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505);
        refused(addr, "GET / HTTP/-1.-1\r\nHost: a\r\n\r\n", 505);
        // A later 1.x is answered as 1.1.
        let mut client = Client::new(addr);
        client.send("GET / HTTP/1.7\r\nHost: a\r\n\r\n");
        assert_eq!(client.read().unwrap().status, 200);

        // libevent keeps the connection open for what it takes for a tunnel.
        let mut client = Client::new(addr);
        client.send(request("CONNECT a:80", "\r\n"));
        assert_eq!(client.read().unwrap().status, 501);
    });
}

#[test]
fn a_body_beyond_the_limit_is_answered_413() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        echo(server);
        server.set_max_body_size(1000);
    };
    with_server(setup, |addr| {
        let body = "x".repeat(2000);
        for length in [1001, 2000, 1 << 40, u64::MAX >> 1] {
            let more = format!("Content-Length: {length}\r\n\r\n{body}");
            refused(addr, request("POST /", &more), 413);
        }
        let chunk = format!("Transfer-Encoding: chunked\r\n\r\n3e9\r\n{body}");
        refused(addr, request("POST /", &chunk), 413);
        let lie = "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        refused(addr, request("POST /", lie), 413);
        let more = format!("Content-Length: 1000\r\n\r\n{}", &body[..1000]);
        assert_eq!(ask(addr, "POST /", &more).text(), "/ 1000");
    });
}

#[test]
fn headers_beyond_the_limit_are_answered_400() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        echo(server);
        server.set_max_headers_size(1000);
    };
    with_server(setup, |addr| {
        let long = "x".repeat(1000);
        refused(addr, request(&format!("GET /{long}"), "\r\n"), 400);
        refused(addr, request("GET /", &format!("X: {long}\r\n\r\n")), 400);
        refused(addr, request("GET /", &"X: y\r\n".repeat(300)), 400);
        // The end never comes.
        refused(addr, "x".repeat(2000), 400);
        assert_eq!(get(addr, &format!("/{}", &long[..500])).status, 200);
    });
}

#[test]
fn a_client_that_goes_silent_is_closed() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        echo(server);
        server.set_timeout(Duration::from_millis(100));
    };
    with_server(setup, |addr| {
        for begun in [
            "",
            "GET / HT",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
        ] {
            let before = Instant::now();
            let mut client = Client::new(addr);
            client.send(begun);
            assert!(client.is_closed());
            assert!(before.elapsed() >= Duration::from_millis(90));
        }
        // Also between two requests.
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        assert_eq!(client.read().unwrap().status, 200);
        assert!(client.is_closed());
    });
}

#[test]
fn a_client_that_only_sends_costs_no_memory_while_it_waits() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let held = std::cell::RefCell::new(Vec::new());
        server.set_gencb(move |request: Request| match request.uri() {
            "/hold" => held.borrow_mut().push(request),
            _ => {
                for held in held.take() {
                    held.reply(200, None, "released").unwrap();
                }
                request.reply(200, None, "").unwrap();
            }
        });
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /hold", "\r\n"));
        // Nobody reads it: the sockets' buffers fill up, and ours do not.
        let limit = Some(Duration::from_millis(200));
        client.stream().set_write_timeout(limit).unwrap();
        let piece = vec![b'x'; 1 << 20];
        let mut pieces = 0;
        while client.stream().write_all(&piece).is_ok() {
            pieces += 1;
            assert!(pieces < 64, "the server reads on");
        }
        get(addr, "/release");
        assert_eq!(client.read().unwrap().text(), "released");
    });
}
