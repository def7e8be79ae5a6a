//! regress_http.c, what it asks of a server: answers in pieces.
#![cfg(feature = "http")]

mod common;
mod evhttp_common;

use common::{Bump, bounded, count};
use evhttp_common::{Client, ask, listening, request, with_server};
use libevent2::evhttp::{HeaderValue, Reply, Request, Server};
use libevent2::{LoopHandle, Timer};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const CHUNKS: [&str; 3] = ["This is funny", "but not hilarious.", "bwv 1052"];

/// Sends each piece in a turn of the loop of its own.
fn trickle(handle: &LoopHandle, reply: Reply, mut at: usize) -> libevent2::Result<()> {
    let mut reply = Some(reply);
    let timer = Timer::every(handle, Duration::from_micros(1), move |timer| {
        let Some(reply_now) = reply.take() else {
            timer.close();
            return Ok(());
        };
        reply_now.chunk(CHUNKS[at])?;
        at += 1;
        match at < CHUNKS.len() {
            true => reply = Some(reply_now),
            false => reply_now.end()?,
        }
        Ok::<(), libevent2::Error>(())
    });
    timer.map(Timer::detach)
}

fn set_up(server: &Server) {
    server.set_gencb(|mut request: Request| {
        if request.uri() == "/streamed" {
            let length = HeaderValue::from_static("39");
            request.output_headers().insert("content-length", length);
        }
        let handle = request.handle().clone();
        trickle(&handle, request.start(200, "Everything is fine")?, 0)
    });
}

#[test]
fn chunk_out() {
    let _bounded = bounded();
    with_server(set_up, |addr| {
        let answer = ask(addr, "GET /chunked", "\r\n");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.chunks, [13, 18, 8, 0]);
        assert_eq!(answer.text(), CHUNKS.concat());
        let mut client = Client::new(addr);
        for _ in 0..2 {
            client.send(request("GET /chunked", "\r\n"));
            assert_eq!(client.read().unwrap().text(), CHUNKS.concat());
        }
    });
}

#[test]
fn stream_out() {
    let _bounded = bounded();
    let answer = with_server(set_up, |addr| ask(addr, "GET /streamed", "\r\n"));
    assert_eq!((answer.text(), answer.chunks.len()), (&*CHUNKS.concat(), 0));
}

/// The client goes; the server, which sends on or does not, hears of it.
fn terminated(oneshot: bool) {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let closed = count();
    let closes = Rc::clone(&closed);
    let refused = Rc::new(Cell::new(false));
    let refuses = Rc::clone(&refused);
    server.set_gencb(move |request: Request| {
        let closes = Rc::clone(&closes);
        request.on_close(move |_| {
            closes.bump();
        });
        let handle = request.handle().clone();
        let reply = request.start(200, "OK")?;
        let refuses = Rc::clone(&refuses);
        let every = Duration::from_millis(3);
        let timer = Timer::every(&handle, every, move |timer| {
            if oneshot && reply.pending() > 0 {
                return;
            }
            match reply.chunk("a piece") {
                Err(_) => {
                    refuses.set(true);
                    timer.close();
                }
                Ok(()) if oneshot => timer.cancel(),
                Ok(()) => {}
            }
        });
        timer.map(Timer::detach)
    });
    let client = std::thread::spawn(move || {
        let mut client = Client::new(addr);
        client.send(request("GET /test", "\r\n"));
        assert_eq!(client.read_head().unwrap().status, 200);
    });
    while closed.get() == 0 {
        base.run_once().unwrap();
    }
    client.join().unwrap();
    assert_eq!(server.in_flight(), 0);
    while !oneshot && !refused.get() {
        base.run_once().unwrap();
    }
    drop(server);
    assert_eq!(closed.get(), 1);
    drop(base);
}

#[test]
fn terminate_chunked() {
    terminated(false);
}

#[test]
fn terminate_chunked_oneshot() {
    terminated(true);
}
