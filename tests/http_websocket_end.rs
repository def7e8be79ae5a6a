//! WebSockets of a server: time limits, and all ways to end.
#![cfg(feature = "websocket")]

mod common;
mod http_client;
mod http_websocket_common;

use common::{DropCount, bounded, count};
use http_client::{finish, get, in_background, with_server};
use http_websocket_common::server::{Ends, accept, code_of, echo, note, options};
use http_websocket_common::{CLOSE, PING, PONG, Raw, TEXT, closing, masked};
use libevent2::http::websocket::WebSocket;
use libevent2::http::{SendError, Server, StatusCode};
use libevent2::{EventBase, Kind};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

// --- time -----------------------------------------------------------------------------------------

#[test]
fn one_that_does_not_answer_pings_is_given_up_and_one_that_does_is_kept() {
    let _bounded = bounded();
    let ends = Ends::default();
    let noted = Rc::clone(&ends);
    let quick = options().ping(Some(Duration::from_millis(50)), Duration::from_millis(200));
    with_server(
        move |server| accept(server, quick, move |socket| note(&socket, &noted)),
        |addr| {
            let mut dead = Raw::open(addr, "/");
            let mut alive = Raw::open(addr, "/");
            for _ in 0..5 {
                let (first, payload) = alive.frame().unwrap();
                assert_eq!((first, payload.len()), (PING, 0));
                alive.send(masked(PONG, ""));
            }
            assert_eq!(dead.frame().unwrap().0, PING);
            assert!(dead.frame().is_none());
            alive.goodbye();
        },
    );
    assert_eq!(code_of(&ends), [(1006, false), (1000, true)]);
}

#[test]
fn one_that_does_not_answer_a_close_is_cut_off() {
    let _bounded = bounded();
    let ends = Ends::default();
    let noted = Rc::clone(&ends);
    let quick = options().close_timeout(Duration::from_millis(100));
    with_server(
        move |server| {
            accept(server, quick, move |socket| {
                note(&socket, &noted);
                socket.close(1000, "").unwrap();
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            let begun = Instant::now();
            assert_eq!(client.read_close().0, 1000);
            // What is sent instead of a Close does not help.
            client.text("still here");
            assert!(client.is_closed());
            assert!(begun.elapsed() < Duration::from_secs(20));
        },
    );
    assert_eq!(code_of(&ends), [(1006, false)]);
}

#[test]
fn the_idle_time_of_requests_is_not_for_websockets() {
    let _bounded = bounded();
    with_server(
        |server| {
            let limits = libevent2::http::Limits::new().idle(Duration::from_millis(20));
            server.set_limits(limits);
            accept(server, options(), |socket| {
                // So much that it waits in the output while the client does not read.
                for _ in 0..60 {
                    socket.send_binary(&[0; 64 << 10]).unwrap();
                }
                echo(&socket);
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            let later = get(addr, "/");
            assert_eq!(later.status, 426);
            // A good many of the ticks in which the server looks for those who are too slow.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(200) {
                get(addr, "/");
            }
            for _ in 0..60 {
                assert_eq!(client.frame().unwrap().1.len(), 64 << 10);
            }
            client.text("still here");
            assert_eq!(client.read_text(), "still here");
            client.goodbye();
        },
    );
}

// --- the end --------------------------------------------------------------------------------------

#[test]
fn a_server_that_is_closed_says_that_it_goes_away() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let ends = Ends::default();
    let noted = Rc::clone(&ends);
    accept(&server, options(), move |socket| {
        note(&socket, &noted);
        socket.on_message(|_, _| {});
    });
    server
        .route("/close", |request| {
            request.server().close();
            request.reply(StatusCode::OK, "bye");
        })
        .unwrap();
    let client = in_background(&base, server.local_addrs()[0], |addr| {
        let mut clients = [(); 3].map(|()| Raw::open(addr, "/"));
        get(addr, "/close");
        for client in &mut clients {
            assert_eq!(client.read_close().0, 1001);
            client.send(masked(CLOSE, closing(1001, "")));
            assert!(client.is_closed());
        }
    });
    base.run_until_exit().unwrap();
    client.join().unwrap();
    finish(&mut base, server);
    assert_eq!(code_of(&ends), [(1001, true); 3]);
}

#[test]
fn a_connection_that_ends_without_a_word_is_1006() {
    let _bounded = bounded();
    let ends = Ends::default();
    let noted = Rc::clone(&ends);
    with_server(
        move |server| {
            accept(server, options(), move |socket| {
                note(&socket, &noted);
                echo(&socket);
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            client.text("a");
            client.read_text();
            drop(client);
            // In the middle of a frame.
            let mut client = Raw::open(addr, "/");
            client.send(&masked(TEXT, "hello")[..5]);
            drop(client);
            // Behind another one, so that both have been seen.
            Raw::open(addr, "/").goodbye();
        },
    );
    let mut codes = code_of(&ends);
    codes.sort_unstable();
    assert_eq!(codes, [(1000, true), (1006, false), (1006, false)]);
}

#[test]
fn one_that_is_cut_off_hears_no_close() {
    let _bounded = bounded();
    let ends = Ends::default();
    let noted = Rc::clone(&ends);
    with_server(
        move |server| {
            accept(server, options(), move |socket| {
                note(&socket, &noted);
                socket.on_message(|socket, _| {
                    socket.terminate();
                    assert!(!socket.is_open());
                    socket.terminate();
                });
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            client.text("go");
            assert!(client.frame().is_none());
        },
    );
    assert_eq!(code_of(&ends), [(1006, false)]);
}

#[test]
fn a_panic_in_a_callback_surfaces_from_run_and_the_messages_behind_it_are_not_lost() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    accept(&server, options(), |socket| {
        socket.on_message(|socket, message| match message.as_text() {
            Some("panic") => panic!("on purpose"),
            _ => socket.send(message).unwrap(),
        });
        socket.on_close(|_| -> () { panic!("at the end") });
    });
    let client = in_background(&base, server.local_addrs()[0], |addr| {
        let mut client = Raw::open(addr, "/");
        client.send(["panic", "and on"].map(|text| masked(TEXT, text)).concat());
        assert_eq!(client.read_text(), "and on");
        client.goodbye();
    });
    for text in ["on purpose", "at the end"] {
        let panic = catch_unwind(AssertUnwindSafe(|| base.run_until_exit())).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&text));
    }
    base.run_until_exit().unwrap();
    client.join().unwrap();
    finish(&mut base, server);
}

/// Runs the loop until a WebSocket is there, and leaves it to `then`.
fn with_one(then: impl FnOnce(EventBase, Server, WebSocket)) {
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let slot = Rc::new(RefCell::new(None));
    let place = Rc::clone(&slot);
    accept(&server, options(), move |socket| {
        place.replace(Some(socket.clone()));
        socket.handle().exit();
    });
    let addr: SocketAddr = server.local_addrs()[0];
    let client = std::thread::spawn(move || {
        let mut client = Raw::open(addr, "/");
        while client.frame().is_some() {}
    });
    base.run_until_exit().unwrap();
    let socket = slot.take().unwrap();
    then(base, server, socket);
    client.join().unwrap();
}

/// So that a closure captures something.
fn drop_nothing(_: &DropCount) {}

#[test]
fn a_base_that_is_dropped_drops_the_callbacks_unheard() {
    let _bounded = bounded();
    let dropped = count();
    with_one(|base, server, socket| {
        let [a, b, c, d] = [(); 4].map(|()| DropCount(dropped.clone()));
        socket.on_message(move |_, _| drop_nothing(&a));
        socket.on_drain(move |_| drop_nothing(&b));
        socket.on_pong(move |_, _| drop_nothing(&c));
        let me = socket.clone();
        socket.on_close(move |_| -> () {
            let _captured = (&d, &me);
            unreachable!("nobody runs this");
        });
        drop(base);
        assert_eq!(dropped.get(), 4);
        assert!(!socket.is_open());
        assert_eq!(socket.send_text("a"), Err(SendError::Closed));
        socket.close(1000, "").unwrap();
        socket.terminate();
        socket.resume();
        // What is set now is dropped at once.
        let late = DropCount(dropped.clone());
        socket.on_message(move |_, _| drop_nothing(&late));
        assert_eq!(dropped.get(), 5);
        drop(server);
    });
}

#[test]
fn nothing_is_left_when_the_last_one_has_ended() {
    let _bounded = bounded();
    with_one(|mut base, server, socket| {
        socket.close(1000, "").unwrap();
        drop(socket);
        // Its client goes without an answer.
        server.close_within(Duration::from_millis(50));
        drop(server);
        base.run().unwrap();
        let stats = base.stats();
        for kind in Kind::ALL {
            assert_eq!(stats.live(kind), 0, "{kind:?}");
        }
    });
}
