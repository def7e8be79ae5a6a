//! Slow clients: who sends nothing is ended by `Limits::idle`, who sends a little all the time by
//! `Limits::request_time`. Nobody else waits for them.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::bounded;
use http_client::{Client, get, request, with_server};
use libevent2::http::{Limits, Request, Server, StatusCode};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(50);

fn limited(limits: Limits) -> impl FnOnce(&Server) {
    move |server| {
        server.set_limits(limits);
        server.fallback(|request: Request| request.reply(StatusCode::OK, "served"));
    }
}

/// Sends a byte now and then, until the server has had enough: after how long, and its status.
fn drip(addr: SocketAddr, at_once: &str, mut more: impl FnMut(usize) -> u8) -> (Duration, u16) {
    let start = Instant::now();
    let mut client = Client::new(addr);
    client.send(at_once);
    let mut reader = client.stream().try_clone().unwrap();
    let ended = thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut reader, &mut answer);
        (start.elapsed(), answer)
    });
    let mut sent = 0;
    while !ended.is_finished() {
        client.try_send([more(sent)]);
        sent += 1;
        thread::sleep(Duration::from_millis(10));
        // Others do not notice.
        if sent % 10 == 0 {
            assert_eq!(get(addr, "/").text(), "served");
        }
    }
    let (after, answer) = ended.join().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.strip_prefix("HTTP/1.1 ").map(|rest| &rest[..3]);
    (after, status.map_or(0, |status| status.parse().unwrap()))
}

#[test]
fn a_slow_head_is_ended_by_the_total_deadline() {
    let _bounded = bounded();
    let limits = Limits::new().idle(LONG).request_time(SHORT);
    with_server(limited(limits), |addr| {
        let head = request("GET /", "X: ");
        let (after, status) = drip(addr, &head, |_| b'y');
        assert!(after >= SHORT && after < LONG / 2, "{after:?}");
        assert_eq!(status, 408);
        // One header after the other.
        let head = request("GET /", "");
        let (after, status) = drip(addr, &head, |n| b"X: y\r\n"[n % 6]);
        assert!(after >= SHORT && after < LONG / 2, "{after:?}");
        assert_eq!(status, 408);
        // Even empty lines are bytes of a request.
        let (after, _) = drip(addr, "", |n| b"\r\n"[n % 2]);
        assert!(after >= SHORT && after < LONG / 2, "{after:?}");
    });
}

#[test]
fn a_slow_body_is_ended_by_the_total_deadline() {
    let _bounded = bounded();
    let limits = Limits::new().idle(LONG).request_time(SHORT);
    with_server(limited(limits), |addr| {
        let head = request("POST /", "Content-Length: 100000\r\n\r\n");
        let (after, status) = drip(addr, &head, |_| b'y');
        assert!(after >= SHORT && after < LONG / 2, "{after:?}");
        assert_eq!(status, 408);
        let head = request("POST /", "Transfer-Encoding: chunked\r\n\r\n");
        let (after, status) = drip(addr, &head, |n| b"1\r\nx\r\n"[n % 6]);
        assert!(after >= SHORT && after < LONG / 2, "{after:?}");
        assert_eq!(status, 408);
        // Trailers as well.
        let head = request("POST /", "Transfer-Encoding: chunked\r\n\r\n0\r\nX: ");
        let (after, status) = drip(addr, &head, |_| b'y');
        assert!(after >= SHORT && after < LONG / 2, "{after:?}");
        assert_eq!(status, 408);
    });
}

#[test]
fn who_stops_in_a_request_is_ended_by_the_idle_limit() {
    let _bounded = bounded();
    let limits = Limits::new().idle(SHORT).request_time(LONG);
    with_server(limited(limits), |addr| {
        for (begun, wanted) in [
            ("", ""),
            ("GET / HT", "HTTP/1.1 408 "),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 408 "),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
                "HTTP/1.1 408 ",
            ),
        ] {
            let start = Instant::now();
            let mut client = Client::new(addr);
            client.send(begun);
            let answer = String::from_utf8(client.read_to_end()).unwrap();
            assert!(answer.starts_with(wanted), "{begun}: {answer}");
            assert_eq!(answer.is_empty(), wanted.is_empty(), "{begun}: {answer}");
            let after = start.elapsed();
            assert!(after >= SHORT * 9 / 10 && after < LONG / 2, "{after:?}");
        }
    });
}

#[test]
fn who_sends_hardly_anything_is_idle() {
    let _bounded = bounded();
    let limits = Limits::new().idle(SHORT).request_time(LONG);
    with_server(limited(limits.min_rate(10_000)), |addr| {
        let head = request("POST /", "Content-Length: 100000\r\n\r\n");
        let (after, status) = drip(addr, &head, |_| b'y');
        assert!(after >= SHORT * 9 / 10 && after < LONG / 2, "{after:?}");
        assert_eq!(status, 408);
    });
}

#[test]
fn who_never_reads_an_answer_is_ended_by_the_idle_limit() {
    let _bounded = bounded();
    let (tell, told) = mpsc::channel();
    let setup = move |server: &Server| {
        server.set_limits(Limits::new().idle(SHORT).request_time(LONG));
        server.fallback(move |request: Request| {
            let tell = tell.clone();
            request.on_sent(move |sent| {
                let _ = tell.send(sent.complete);
            });
            request.reply(StatusCode::OK, vec![b'x'; 64 << 20]);
        });
    };
    with_server(setup, move |addr| {
        let start = Instant::now();
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        let complete = told.recv_timeout(LONG / 2).unwrap();
        assert!(!complete);
        assert!(start.elapsed() >= SHORT * 9 / 10);
        assert!(client.read_to_end().len() < 64 << 20);
    });
}

#[test]
fn who_reads_an_answer_slowly_is_not_idle() {
    let _bounded = bounded();
    let setup = move |server: &Server| {
        server.set_limits(Limits::new().idle(SHORT).request_time(SHORT));
        server.fallback(|request: Request| {
            request.reply(StatusCode::OK, vec![b'x'; 16 << 20]);
        });
    };
    with_server(setup, move |addr| {
        let start = Instant::now();
        let client = Client::new(addr);
        let mut stream = client.stream().try_clone().unwrap();
        socket2::SockRef::from(&stream)
            .set_recv_buffer_size(64 << 10)
            .unwrap();
        std::io::Write::write_all(
            &mut stream,
            request("GET /", "Connection: close\r\n\r\n").as_bytes(),
        )
        .unwrap();
        let mut chunk = vec![0; 256 << 10];
        let mut total = 0;
        loop {
            let length = std::io::Read::read(&mut stream, &mut chunk).unwrap();
            if length == 0 {
                break;
            }
            total += length;
            // Slow enough to take longer than both limits.
            thread::sleep(Duration::from_millis(10));
        }
        assert!(total > 16 << 20, "{total}");
        assert!(start.elapsed() > SHORT, "{:?}", start.elapsed());
    });
}

#[test]
fn a_handler_may_take_longer_than_both_limits() {
    let _bounded = bounded();
    let setup = move |server: &Server| {
        server.set_limits(Limits::new().idle(SHORT).request_time(SHORT));
        server.fallback(|request: Request| {
            let handle = request.handle().clone();
            let answer = move |_: &libevent2::LoopHandle| request.reply(StatusCode::OK, "late");
            let timer = libevent2::Timer::after(&handle, SHORT * 3, answer).unwrap();
            timer.detach();
        });
    };
    with_server(setup, |addr| assert_eq!(get(addr, "/").text(), "late"));
}
