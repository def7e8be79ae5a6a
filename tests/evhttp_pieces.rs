//! Answers of an evhttp server that are sent piece by piece.
#![cfg(feature = "http")]

mod common;
mod evhttp_common;

use common::{Bump, DropCount, bounded, count};
use evhttp_common::{
    Client, ask, beside, finish, get, hold, listening, request, run_until_held, with_server,
};
use libevent2::evhttp::{HeaderValue, Reply, Request, Server};
use libevent2::{Buffer, Error, Timer};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

fn declare(request: &mut Request, length: &'static str) {
    let length = HeaderValue::from_static(length);
    request.output_headers().insert("content-length", length);
}

/// Sends `left` pieces of 100,000 bytes, each when the one before was taken.
fn send(reply: Reply, left: usize) -> Result<(), Error> {
    match left {
        0 => reply.end(),
        _ => reply.chunk_with(vec![b'x'; 100_000], move |reply| {
            assert_eq!(reply.pending(), 0);
            send(reply, left - 1)
        }),
    }
}

#[test]
fn pieces_become_chunks() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            server.set_gencb(|request: Request| {
                let reply = request.start(200, "Yes")?;
                reply.chunk("one ")?;
                reply.chunk("")?;
                reply.chunk(Buffer::from("two"))?;
                reply.end()
            });
        },
        |addr| get(addr, "/"),
    );
    assert_eq!(
        (answer.text(), &answer.chunks[..]),
        ("one two", &[4, 3, 0][..])
    );
    assert_eq!((answer.status, &*answer.reason), (200, "Yes"));
    assert_eq!(answer.header("content-length"), None);
}

/// T28: C has one place for that callback, and calls it never or several times.
#[test]
fn t28_the_next_piece_follows_when_the_one_before_was_taken() {
    let _bounded = bounded();
    with_server(
        |server| server.set_gencb(|request: Request| send(request.start(200, None)?, 50)),
        |addr| {
            let mut client = Client::new(addr);
            for _ in 0..2 {
                client.send(request("GET /", "\r\n"));
                let answer = client.read().unwrap();
                assert_eq!(answer.body.len(), 5_000_000);
                assert_eq!(answer.chunks.len(), 51);
            }
        },
    );
}

#[test]
fn the_next_piece_follows_although_none_was_sent() {
    let _bounded = bounded();
    let (head, none, empty) = with_server(
        |server| {
            server.set_gencb(|request: Request| {
                let none = request.uri() == "/none";
                let piece = if request.uri() == "/empty" { "" } else { "x" };
                let reply = request.start(if none { 204 } else { 200 }, None)?;
                reply.chunk_with(piece, move |reply| {
                    reply.chunk_with(piece, move |reply| reply.end())
                })
            });
        },
        |addr| {
            (
                ask(addr, "HEAD /", "\r\n"),
                get(addr, "/none"),
                get(addr, "/empty"),
            )
        },
    );
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!((none.status, none.header("transfer-encoding")), (204, None));
    assert_eq!(empty.chunks, [0]);
}

#[test]
fn a_length_that_was_announced_is_kept() {
    let _bounded = bounded();
    let (whole, cut) = with_server(
        |server| {
            server.set_gencb(|mut request: Request| {
                declare(&mut request, "6");
                let missing = request.uri() == "/missing";
                let reply = request.start(200, None)?;
                reply.chunk("abc")?;
                let more = reply.chunk("defg").unwrap_err();
                assert!(matches!(more, Error::Invalid { .. }));
                if missing {
                    let error = reply.end().unwrap_err();
                    assert!(matches!(error, Error::Invalid { .. }));
                    return Ok(());
                }
                reply.chunk("def")?;
                reply.end()
            });
        },
        |addr| {
            let whole = get(addr, "/");
            let mut client = Client::new(addr);
            client.send(request("GET /missing", "\r\n"));
            (whole, client.read_to_end())
        },
    );
    assert_eq!((whole.text(), whole.chunks.len()), ("abcdef", 0));
    assert!(!String::from_utf8(cut).unwrap().contains("def"));
}

#[test]
fn a_length_that_is_none_is_refused() {
    let _bounded = bounded();
    let status = with_server(
        |server| {
            server.set_gencb(|mut request: Request| {
                declare(&mut request, "+6");
                assert!(request.start(200, None).is_err());
            });
        },
        |addr| get(addr, "/").status,
    );
    assert_eq!(status, 500);
}

#[test]
fn a_client_of_http_1_0_reads_to_the_end_of_the_connection() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.set_gencb(|request: Request| {
                let reply = request.start(200, None)?;
                reply.chunk("one ")?;
                reply.chunk("two")?;
                reply.end()
            });
        },
        |addr| {
            for more in ["", "Connection: keep-alive\r\n"] {
                let mut client = Client::new(addr);
                client.send(format!("GET / HTTP/1.0\r\n{more}\r\n"));
                let answer = client.read().unwrap();
                assert_eq!((answer.text(), answer.chunks.len()), ("one two", 0));
                assert_ne!(answer.header("connection"), Some("keep-alive"));
            }
        },
    );
}

#[test]
fn an_answer_that_is_dropped_is_seen_to_be_cut_off() {
    let _bounded = bounded();
    let seen = with_server(
        |server| {
            server.set_gencb(|request: Request| {
                let reply = request.start(200, None)?;
                reply.chunk("one")
            });
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("GET /", "\r\n"));
            client.read_to_end()
        },
    );
    assert!(!seen.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_piece_later_reaches_the_client_at_once() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let held = hold(&server);
    let mut client = Client::new(addr);
    client.send(request("GET /", "\r\n"));
    let reply = run_until_held(&mut base, &held).start(200, None).unwrap();
    reply.chunk("first").unwrap();
    let reply = Rc::new(RefCell::new(Some(reply)));
    let later = Rc::clone(&reply);
    let timer = Timer::after(&base, Duration::from_millis(20), move |_| {
        let reply = later.take().unwrap();
        reply.chunk("second")?;
        reply.end()
    });
    timer.unwrap().detach();
    let answer = beside(&mut base, addr, move |_| client.read().unwrap());
    assert_eq!(answer.text(), "firstsecond");
    finish(&mut base, server);
}

/// T22: C leaves a request that has begun to be answered to us when its connection breaks, and
/// would free it under us when the server goes.
#[test]
fn t22_a_client_that_goes_in_the_middle_ends_the_answer() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let (drops, sent) = (count(), Rc::new(Cell::new(None)));
    let (dropped, hear) = (Rc::clone(&drops), Rc::clone(&sent));
    server.set_gencb(move |request: Request| {
        let held = DropCount(Rc::clone(&dropped));
        let hear = Rc::clone(&hear);
        request.on_complete(move |what| hear.set(Some(what)));
        let reply = request.start(200, None)?;
        reply.chunk_with(vec![b'x'; 32 << 20], move |_| -> () {
            panic!("not all was taken, {}", held.0.get())
        })
    });
    beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        client.read_head().unwrap();
    });
    while server.in_flight() > 0 {
        base.run_once().unwrap();
    }
    base.run_nonblocking().unwrap();
    assert_eq!(drops.get(), 1);
    let sent = sent.get().expect("the hook ran");
    assert!(!sent.complete && sent.body_bytes < 32 << 20 && sent.status == Some(200));
    finish(&mut base, server);
}

#[test]
fn a_reply_outlives_its_client_its_server_and_its_base() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let held = hold(&server);
    let mut client = Client::new(addr);
    client.send(request("GET /", "\r\n"));
    let reply = run_until_held(&mut base, &held).start(200, None).unwrap();
    reply.chunk("first").unwrap();
    assert!(reply.pending() > 0 && !reply.is_client_gone());
    drop(base);
    assert!(server.is_closed() && reply.is_client_gone());
    assert_eq!(reply.pending(), 0);
    assert!(matches!(reply.chunk("x"), Err(Error::Closed { .. })));
    let next = count();
    let never = Rc::clone(&next);
    let result = reply.chunk_with("", move |reply| {
        never.bump();
        reply.end()
    });
    assert!(result.is_err());
    assert_eq!(next.get(), 0);
}

/// T28: freeing connection or server in C's callbacks.
#[test]
fn t28_a_piece_may_close_its_server() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let owner: Rc<RefCell<Option<Server>>> = Rc::default();
    let mine = Rc::clone(&owner);
    server.set_gencb(move |request: Request| {
        let mine = Rc::clone(&mine);
        request.start(200, None)?.chunk_with("first", move |reply| {
            drop(mine.take());
            reply.chunk("second")?;
            reply.end()
        })
    });
    owner.replace(Some(server));
    let client = std::thread::spawn(move || {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        let answer = client.read().unwrap();
        assert!(client.is_closed());
        answer
    });
    base.run().unwrap();
    assert_eq!(client.join().unwrap().text(), "firstsecond");
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_frozen_piece_sends_nothing() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            server.set_gencb(|request: Request| {
                let frozen = || {
                    let mut piece = Buffer::from("x");
                    piece.freeze(libevent2::buffer::End::Front);
                    piece
                };
                if request.uri() == "/whole" {
                    assert!(request.reply(200, None, frozen()).is_err());
                    return Ok(());
                }
                let reply = request.start(200, None)?;
                let error = reply.chunk(frozen()).unwrap_err();
                assert!(matches!(error, Error::Frozen { .. }));
                reply.chunk("y")?;
                reply.end()
            });
        },
        |addr| (get(addr, "/"), get(addr, "/whole").status),
    );
    assert_eq!((answer.0.text(), answer.1), ("y", 500));
}
