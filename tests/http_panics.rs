//! Panics in every callback of a server: `run` has them, nothing is called twice for them, and the
//! next client is served.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::{Bump, Count, bounded, count};
use http_client::{Client, finish, get, in_background, request};
use libevent2::EventBase;
use libevent2::http::{Request, Response, Route, Server, StatusCode};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Panics, and counts that.
fn fail(calls: &Count) {
    calls.bump();
    panic!("on purpose");
}

/// Panics when it is dropped.
struct Fails(Count);

impl Drop for Fails {
    fn drop(&mut self) {
        fail(&self.0);
    }
}

/// Runs a server whose handler panics once in some place, for a client that `ask`s; then looks
/// that the panic has come out of `run`, and that the same server still works.
fn panics_once(
    handler: impl Fn(Request, Count) + 'static,
    ask: impl FnOnce(SocketAddr) + Send + 'static,
) {
    let _bounded = bounded();
    let calls = count();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let counted = Rc::clone(&calls);
    server
        .route(Route::new("/panic").streamed(), move |request: Request| {
            handler(request, Rc::clone(&counted));
        })
        .unwrap();
    server.fallback(|request: Request| request.reply(StatusCode::OK, "fine"));
    let client = in_background(&base, server.local_addrs()[0], move |addr| {
        ask(addr);
        get(addr, "/").text().to_owned()
    });
    let panic = catch_unwind(AssertUnwindSafe(|| base.run_until_exit())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), "fine");
    finish(&mut base, server);
    assert_eq!(calls.get(), 1);
}

/// Sends a body, and reads to the end of the connection, whatever comes.
fn send_hello(addr: SocketAddr) {
    let mut client = Client::new(addr);
    let more = "Connection: close\r\nContent-Length: 5\r\n\r\nhello";
    client.send(request("POST /panic", more));
    client.read_to_end();
}

#[test]
fn in_a_handler_that_has_answered() {
    panics_once(
        |request, calls| {
            request.reply(StatusCode::OK, "");
            fail(&calls);
        },
        send_hello,
    );
}

#[test]
fn where_a_body_comes() {
    panics_once(
        |request, calls| {
            let body = request.incoming().unwrap();
            body.on_data(move |_: &[u8]| fail(&calls));
            body.on_end(move |end| {
                assert!(end.is_ok());
                request.reply(StatusCode::OK, "");
            });
        },
        send_hello,
    );
}

#[test]
fn where_a_body_ends() {
    panics_once(
        |request, calls| {
            let body = request.incoming().unwrap();
            body.on_data(|_: &[u8]| {});
            // The request is dropped with it.
            body.on_end(move |_| {
                let _request = request;
                fail(&calls);
            });
        },
        send_hello,
    );
}

#[test]
fn where_an_answer_is_made() {
    panics_once(
        |request, calls| {
            let out = request.start(Response::new(StatusCode::OK));
            // Nobody else would end the answer.
            out.on_drain(move |_| fail(&calls));
        },
        send_hello,
    );
}

#[test]
fn where_an_answer_was_sent() {
    panics_once(
        |request, calls| {
            request.on_sent(move |_| fail(&calls));
            request.reply(StatusCode::OK, "");
        },
        send_hello,
    );
}

#[test]
fn where_the_client_has_left() {
    panics_once(
        |request, calls| {
            let held = Rc::new(std::cell::RefCell::new(None));
            let hold = Rc::clone(&held);
            request.on_disconnect(move || {
                let _request = held.take();
                fail(&calls);
            });
            hold.replace(Some(request));
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("GET /panic", "\r\n"));
            client.stream().shutdown(Shutdown::Write).unwrap();
            client.read_to_end();
        },
    );
}

#[test]
fn where_what_reads_a_body_is_dropped() {
    panics_once(
        |request, calls| {
            let body = request.incoming().unwrap();
            let fails = Fails(calls);
            body.on_data(move |_: &[u8]| {
                let _ = &fails;
            });
            body.on_end(move |_| request.reply(StatusCode::OK, ""));
        },
        send_hello,
    );
}

#[test]
fn where_what_makes_an_answer_is_dropped() {
    panics_once(
        |request, calls| {
            let out = request.start(Response::new(StatusCode::OK));
            let fails = Fails(calls);
            out.on_drain(move |out| {
                let _ = &fails;
                out.finish();
            });
        },
        send_hello,
    );
}

#[test]
fn where_a_hook_is_dropped_that_was_not_needed() {
    panics_once(
        |request, calls| {
            let fails = Fails(calls);
            request.on_disconnect(move || drop(fails));
            request.reply(StatusCode::OK, "");
        },
        send_hello,
    );
}

#[test]
fn where_a_server_ends() {
    let _bounded = bounded();
    for at_drop in [false, true] {
        let calls = count();
        let mut base = EventBase::new().unwrap();
        let server = Server::bind(&base, "127.0.0.1:0").unwrap();
        let counted = Rc::clone(&calls);
        if at_drop {
            let fails = Fails(counted);
            server.fallback(move |_| {
                let _ = &fails;
            });
        } else {
            server.on_closed(move |_| fail(&counted));
        }
        server.close();
        assert!(catch_unwind(AssertUnwindSafe(|| base.run())).is_err());
        assert!(server.is_closed());
        assert_eq!(calls.get(), 1);
        finish(&mut base, server);
        assert_eq!(calls.get(), 1);
    }
}

#[test]
fn an_error_where_an_answer_is_made_ends_it() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server.fallback(|request: Request| {
        let out = request.start(Response::new(StatusCode::OK));
        out.send("half").unwrap();
        out.on_drain(|_| Err::<(), _>("no more"));
    });
    let errors = count();
    let seen = Rc::clone(&errors);
    base.on_error(move |_, _| {
        seen.bump();
    });
    let client = in_background(&base, server.local_addrs()[0], |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        String::from_utf8(client.read_to_end()).unwrap()
    });
    base.run_until_exit().unwrap();
    let text = client.join().unwrap();
    assert!(text.ends_with("half\r\n"), "{text}");
    assert_eq!(errors.get(), 1);
    finish(&mut base, server);
}
