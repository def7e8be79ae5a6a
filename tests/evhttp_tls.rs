//! An evhttp server over TLS.
#![cfg(all(feature = "http", feature = "openssl"))]

#[path = "common/tls.rs"]
mod certificates;
mod common;
mod evhttp_common;
#[path = "evhttp_common/secure.rs"]
mod secure;

use common::{Bump, bounded, count};
use evhttp_common::{
    Client, beside, finish, hold, in_background, listening, request, run_until_held,
};
use libevent2::evhttp::{Reply, Request};
use libevent2::{Error, Timer};
use openssl::ssl::{ErrorCode, Ssl};
use secure::{client, context, handshake, secure};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

#[test]
fn requests_follow_one_another_and_the_end_is_announced() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    server.set_gencb(|request: Request| {
        let body = request.body().to_vec();
        request.reply(200, None, body)
    });
    beside(&mut base, addr, |addr| {
        let mut client = client(addr);
        for length in [0, 1, 20_000, 700_000] {
            let body = "x".repeat(length);
            let more = format!("Content-Length: {length}\r\n\r\n{body}");
            client.send(request("POST /", &more));
            assert_eq!(client.read().unwrap().body.len(), length);
        }
        client.send(request("GET /", "Connection: close\r\n\r\n"));
        assert_eq!(client.read().unwrap().status, 200);
        let error = client.stream_mut().ssl_read(&mut [0]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ZERO_RETURN, "it is announced");
    });
    finish(&mut base, server);
}

/// A call that waited must neither end the process nor be taken for the end of an answer.
#[test]
fn requests_that_come_together_are_answered_one_by_one() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    server.set_gencb(|request: Request| {
        let handle = request.handle().clone();
        let mut request = Some(request);
        let timer = Timer::after(&handle, Duration::from_micros(10), move |_| {
            let request = request.take().expect("called once");
            let body = request.uri().repeat(5000);
            request.reply(200, None, body)
        });
        timer.map(Timer::detach)
    });
    beside(&mut base, addr, |addr| {
        let mut client = client(addr);
        for round in 0..20 {
            let lines: Vec<_> = (0..20).map(|n| format!("/{round}-{n}")).collect();
            let all = lines
                .iter()
                .map(|line| request(&format!("GET {line}"), "\r\n"));
            client.send(all.collect::<String>());
            for line in lines {
                assert_eq!(client.read().unwrap().text(), line.repeat(5000));
            }
        }
    });
    finish(&mut base, server);
}

fn send(reply: Reply, left: usize) -> Result<(), Error> {
    match left {
        0 => reply.end(),
        // Some end in the same turn in which the piece before was written.
        1 => {
            reply.chunk("the last")?;
            reply.end()
        }
        _ => reply.chunk_with(vec![b'x'; 10_000], move |reply| send(reply, left - 1)),
    }
}

#[test]
fn pieces_arrive_whole() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    server.set_gencb(|request: Request| send(request.start(200, None)?, 100));
    beside(&mut base, addr, |addr| {
        let mut client = client(addr);
        for _ in 0..5 {
            client.send(request("GET /", "\r\n"));
            assert_eq!(client.read().unwrap().body.len(), 990_008);
        }
    });
    finish(&mut base, server);
}

/// T28: what C has still to say of the last piece, it must not say to an answer that is gone.
#[test]
fn t28_an_answer_may_end_when_its_last_piece_was_just_written() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    server.set_gencb(|mut request: Request| {
        if request.uri() == "/length" {
            let length = "2".parse().unwrap();
            request.output_headers().insert("content-length", length);
        }
        let reply = request.start(200, None)?;
        reply.chunk_with("a", |reply| {
            reply.chunk("b")?;
            reply.end()
        })
    });
    beside(&mut base, addr, |addr| {
        let mut client = client(addr);
        for path in ["/length", "/", "/length", "/length"] {
            client.send(request(&format!("GET {path}"), "\r\n"));
            assert_eq!(client.read().unwrap().text(), "ab");
        }
    });
    finish(&mut base, server);
}

#[test]
fn an_answer_that_is_cut_off_is_not_announced_as_ended() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    server.set_gencb(|request: Request| request.start(200, None)?.chunk("one"));
    beside(&mut base, addr, |addr| {
        let mut stream = handshake(addr).unwrap();
        let asked = request("GET /", "\r\n");
        assert_eq!(stream.ssl_write(asked.as_bytes()).unwrap(), asked.len());
        let error = loop {
            match stream.ssl_read(&mut [0; 1000]) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_ne!(error.code(), ErrorCode::ZERO_RETURN, "{error}");
    });
    finish(&mut base, server);
}

#[test]
fn a_client_that_goes_is_noticed() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    let held = hold(&server);
    let closed = count();
    let first = std::thread::spawn(move || {
        let mut client = client(addr);
        client.send(request("GET /", "\r\n"));
        client
    });
    let request = run_until_held(&mut base, &held);
    let closes = Rc::clone(&closed);
    request.on_close(move |_| {
        closes.bump();
    });
    let reply = request.start(200, None).unwrap();
    reply.chunk("one").unwrap();
    drop(first.join().unwrap());
    while closed.get() == 0 {
        base.run_once().unwrap();
    }
    assert!(matches!(reply.chunk("two"), Err(Error::Closed { .. })));
    drop(reply);
    finish(&mut base, server);
}

/// T28: C ends an answer in a call that the connection may break in, and then writes to it.
#[test]
fn t28_many_clients_come_and_go_at_any_point() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    server.set_gencb(|request: Request| match request.uri().len() % 3 {
        0 => request.reply(200, None, "x".repeat(100_000)),
        1 => send(request.start(200, None)?, 30),
        _ => {
            let reply = request.start(200, None)?;
            reply.chunk("x")?;
            reply.end()
        }
    });
    beside(&mut base, addr, |addr| {
        for turn in 0..120 {
            let mut stream = handshake(addr).unwrap();
            let path = "/".repeat(1 + turn % 3);
            let text = request(&format!("GET {path}"), "\r\n").repeat(2);
            let part = match turn % 8 {
                3 => text.as_bytes(),
                _ => &text.as_bytes()[..turn * 7 % text.len()],
            };
            if !part.is_empty() {
                stream.ssl_write(part).unwrap();
            }
            match turn % 4 {
                0 => drop(stream),
                1 => drop(stream.shutdown()),
                2 => {
                    stream.shutdown().unwrap();
                    stream
                        .get_ref()
                        .shutdown(std::net::Shutdown::Write)
                        .unwrap();
                }
                _ if part.ends_with(b"\r\n\r\n") => {
                    stream.ssl_read(&mut [0; 10]).unwrap();
                }
                _ => stream.get_ref().shutdown(std::net::Shutdown::Both).unwrap(),
            }
        }
        let mut client = client(addr);
        client.send(request("GET ///", "\r\n"));
        assert_eq!(client.read().unwrap().body.len(), 100_000);
    });
    finish(&mut base, server);
}

#[test]
fn a_client_without_tls_gets_nothing() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    server.set_gencb(|request: Request| request.reply(200, None, "secret"));
    let seen = beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        client.read_to_end()
    });
    assert!(!String::from_utf8_lossy(&seen).contains("HTTP"));
    finish(&mut base, server);
}

/// C would serve it in clear.
#[test]
fn a_factory_that_fails_refuses_the_connection() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let context = context();
    let mut turn = 0;
    let factory = move || -> Result<Ssl, libevent2::BoxError> {
        turn += 1;
        match turn {
            1 => Err("on purpose".into()),
            2 => panic!("on purpose"),
            _ => Ok(Ssl::new(&context)?),
        }
    };
    server.set_tls(factory).unwrap();
    server.set_gencb(|request: Request| request.reply(200, None, "fine"));
    let plain = std::thread::spawn(move || {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        client.read_to_end()
    });
    let error = base.run_until_exit().unwrap_err();
    assert!(matches!(error, Error::Callback(_)), "{error}");
    let tls = in_background(&base, addr, |addr| handshake(addr).is_err());
    let panic = catch_unwind(AssertUnwindSafe(|| base.run_until_exit()));
    assert!(panic.is_err());
    base.run_until_exit().unwrap();
    assert!(tls.join().unwrap());
    assert!(!String::from_utf8_lossy(&plain.join().unwrap()).contains("HTTP"));

    let text = beside(&mut base, addr, |addr| {
        let mut client = client(addr);
        client.send(request("GET /", "\r\n"));
        client.read().unwrap().text().to_owned()
    });
    assert_eq!(text, "fine");
    finish(&mut base, server);
}

#[test]
fn a_server_with_tls_is_not_given_to_c() {
    let (mut base, server, _) = secure();
    let server = server.into_ptr().expect_err("C could not make streams");
    finish(&mut base, server);
}

#[test]
fn a_handshake_that_stands_still_is_given_up() {
    let _bounded = bounded();
    let (mut base, server, addr) = secure();
    server.set_timeout(Duration::from_millis(100));
    beside(&mut base, addr, |addr| {
        assert!(Client::new(addr).is_closed());
        let mut stream = handshake(addr).unwrap();
        let error = stream.ssl_read(&mut [0]).unwrap_err();
        assert_ne!(error.code(), ErrorCode::WANT_READ, "the end, not our limit");
    });
    finish(&mut base, server);
}
