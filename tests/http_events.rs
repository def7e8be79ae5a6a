//! Server-sent events: what goes to the client, and what becomes of clients that go or wait.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::peers::peer;
use common::{Bump, DropCount, bounded, count};
use http_client::{Client, get, request, with_server};
use libevent2::http::{
    EventStream, HeaderValue, Response, SendError, ServerSentEvent, StatusCode, header,
};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn events_come_in_the_form_of_the_standard() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            server.fallback(|request| {
                let stream = request.event_stream();
                stream.send("plain").unwrap();
                let event = ServerSentEvent::new("two\r\nlines").event("news").id("7");
                stream.send(event.retry(Duration::from_secs(2))).unwrap();
                stream.comment("not\nseen").unwrap();
                stream.send(String::from("ü")).unwrap();
            });
        },
        |addr| get(addr, "/"),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    let expected = "data: plain\n\n\
                    event: news\nid: 7\nretry: 2000\ndata: two\ndata: lines\n\n\
                    : not\n: seen\n\n\
                    data: ü\n\n";
    assert_eq!(answer.text(), expected);
}

#[test]
fn an_event_that_cannot_be_one_is_refused_and_the_stream_goes_on() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            server.fallback(|request| {
                let stream = request.event_stream();
                let bad = ServerSentEvent::new("x").id("1\ndata: smuggled");
                assert!(matches!(stream.send(bad), Err(SendError::Invalid(_))));
                stream.send("fine").unwrap();
                stream.finish();
                assert_eq!(stream.send("late"), Err(SendError::Closed));
                assert_eq!(stream.comment("late"), Err(SendError::Closed));
                stream.finish();
            });
        },
        |addr| get(addr, "/"),
    );
    assert_eq!(answer.text(), "data: fine\n\n");
}

#[test]
fn a_client_that_comes_again_says_what_it_has_seen_last() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request| {
                let stream = request.event_stream();
                let text = format!("{:?}", stream.last_event_id());
                stream.send(text).unwrap();
            });
        },
        |addr| {
            assert_eq!(get(addr, "/").text(), "data: None\n\n");
            let answer = http_client::ask(addr, "GET /", "Last-Event-ID: 7\r\n\r\n");
            assert_eq!(answer.text(), "data: Some(\"7\")\n\n");
        },
    );
}

#[test]
fn headers_of_the_program_are_kept_and_head_gets_nothing_else() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request| {
                let cors = HeaderValue::from_static("*");
                let response = Response::new(StatusCode::OK)
                    .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, cors)
                    .header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                let stream = request.event_stream_with(response);
                // One that is closed already, as for HEAD, says so.
                let _ = stream.send("a");
            });
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("HEAD /", "\r\n"));
            let head = client.read_head().unwrap();
            assert_eq!(head.header("access-control-allow-origin"), Some("*"));
            assert_eq!(head.header("cache-control"), Some("no-cache"));
            client.send(request("GET /", "\r\n"));
            assert_eq!(client.read().unwrap().text(), "data: a\n\n");
        },
    );
}

#[test]
fn silence_is_broken_by_comments_until_the_client_goes() {
    let _bounded = bounded();
    let (gone, dropped) = (count(), count());
    let (left, captured) = (gone.clone(), DropCount(dropped.clone()));
    let kept = Rc::new(RefCell::new(Vec::<EventStream>::new()));
    let captured = RefCell::new(Some(captured));
    with_server(
        move |server| {
            server.fallback(move |request| {
                let stream = request.event_stream();
                stream.keep_alive(Duration::from_millis(10)).unwrap();
                let (gone, captured) = (left.clone(), captured.take());
                stream.on_disconnect(move || {
                    drop(captured);
                    gone.bump();
                });
                kept.borrow_mut().push(stream);
            });
        },
        |addr| {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream
                .write_all(request("GET /", "\r\n").as_bytes())
                .unwrap();
            let mut seen = String::new();
            while seen.matches(":\n\n").count() < 3 {
                let mut chunk = [0; 1000];
                let read = stream.read(&mut chunk).unwrap();
                assert!(read > 0);
                seen += str::from_utf8(&chunk[..read]).unwrap();
            }
            drop(stream);
            // Another one is served while the first one's end is noticed.
            let mut second = TcpStream::connect(addr).unwrap();
            second
                .write_all(request("GET /", "\r\n").as_bytes())
                .unwrap();
            let mut chunk = [0; 10];
            second.read_exact(&mut chunk).unwrap();
        },
    );
    assert_eq!(gone.get(), 2);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn one_that_does_not_read_is_told_from_and_goes_on_when_it_does() {
    let _bounded = bounded();
    const EVENTS: usize = 2000;
    let most = Rc::new(Cell::new(0));
    let seen = Rc::clone(&most);
    with_server(
        move |server| {
            let most = Rc::clone(&seen);
            server.fallback(move |request| {
                let stream = request.event_stream();
                stream.set_limit(100_000);
                let (most, mut sent) = (Rc::clone(&most), 0);
                let data = "x".repeat(10_000);
                stream.on_drain(move |stream| {
                    while sent < EVENTS {
                        match stream.send(data.as_str()) {
                            Ok(()) => sent += 1,
                            Err(SendError::Full { pending, limit }) => {
                                assert_eq!(limit, 100_000);
                                assert!(pending + data.len() > limit - 100);
                                break;
                            }
                            Err(error) => panic!("{error}"),
                        }
                        most.set(stream.pending().max(most.get()));
                    }
                    if sent == EVENTS {
                        stream.finish();
                    }
                });
            });
        },
        |addr| {
            let answer = get(addr, "/");
            assert_eq!(answer.text().matches("data: ").count(), EVENTS);
        },
    );
    assert!(most.get() <= 101_000, "{}", most.get());
}

#[test]
fn curl_gets_the_events_as_they_come() {
    let _bounded = bounded();
    let Some(mut curl) = peer("curl") else { return };
    let output = with_server(
        |server| {
            server.fallback(|request| {
                let stream = request.event_stream();
                let mut left = 3;
                stream.on_drain(move |stream| {
                    left -= 1;
                    match left {
                        0 => stream.finish(),
                        n => stream.send(n.to_string()).unwrap(),
                    }
                });
            });
        },
        move |addr| {
            let output = curl
                .args(["-sS", "-N", &format!("http://{addr}/")])
                .output();
            output.unwrap()
        },
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"data: 2\n\ndata: 1\n\n");
}
