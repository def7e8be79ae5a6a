//! Callbacks of a server that do anything to it, to each other, and to what they were made for.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::{Bump, bounded, count};
use http_client::{Client, ask, finish, in_background, request, with_server};
use libevent2::http::{BodyError, Incoming, Limits, Listen, Outgoing};
use libevent2::http::{Request, Response, Route, Sent, Server, StatusCode};
use libevent2::stream::{BufferEventRef, Callbacks, Handler, StreamEvent};
use libevent2::{BoxError, EventBase, Kind, Timer};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::Duration;

type Place<T> = Rc<RefCell<Option<T>>>;

fn start(setup: impl FnOnce(&Server)) -> (EventBase, Server) {
    let base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    setup(&server);
    (base, server)
}

fn connect(server: &Server, bytes: &str) -> TcpStream {
    let mut client = TcpStream::connect(server.local_addrs()[0]).unwrap();
    client.write_all(bytes.as_bytes()).unwrap();
    client
}

// --- what runs where ------------------------------------------------------------------------------

#[test]
fn the_end_of_a_body_is_told_by_the_loop_and_not_inside_the_call_that_asks() {
    let _bounded = bounded();
    let ends: Rc<RefCell<Vec<Result<(), BodyError>>>> = Rc::default();
    let heard = Rc::clone(&ends);
    let text = with_server(
        move |server| {
            let handler = move |request: Request| {
                let body = request.incoming().unwrap();
                let (again, heard) = (body.clone(), Rc::clone(&heard));
                body.on_data(|_: &[u8]| {});
                body.on_end(move |_| {
                    // The end is known by now.
                    let inside = Rc::new(Cell::new(true));
                    let outside = Rc::clone(&inside);
                    again.on_end(move |end| {
                        assert!(!inside.get(), "inside the call");
                        heard.borrow_mut().push(end.map(|_| ()));
                        request.reply(StatusCode::OK, "end");
                    });
                    outside.set(false);
                });
            };
            server
                .route(Route::new("POST /").streamed(), handler)
                .unwrap();
        },
        |addr| {
            let answer = ask(addr, "POST /", "Content-Length: 5\r\n\r\nhello");
            answer.text().to_owned()
        },
    );
    assert_eq!(text, "end");
    assert_eq!(*ends.borrow(), [Ok(())]);
}

#[test]
fn who_gives_an_answer_up_hears_of_its_body_later() {
    let _bounded = bounded();
    let out: Place<Outgoing> = Rc::default();
    let ends = count();
    let (place, heard) = (Rc::clone(&out), Rc::clone(&ends));
    let (mut base, server) = start(|server| {
        let handler = move |request: Request| {
            let body = request.incoming().unwrap();
            let (at_end, heard) = (Rc::clone(&place), Rc::clone(&heard));
            body.on_data(|_: &[u8]| {});
            body.on_end(move |end| {
                assert_eq!(end, Err(BodyError::Closed));
                // Whoever drops the answer has borrowed this.
                assert!(at_end.borrow_mut().is_none());
                heard.bump();
            });
            place.replace(Some(request.start(Response::new(StatusCode::OK))));
        };
        server
            .route(Route::new("POST /").streamed(), handler)
            .unwrap();
    });
    let client = connect(&server, &request("POST /", "Content-Length: 9\r\n\r\nhe"));
    while out.borrow().is_none() {
        base.run_once().unwrap();
    }
    // It is dropped while the place is borrowed.
    *out.borrow_mut() = None;
    assert_eq!(ends.get(), 0);
    while ends.get() == 0 {
        base.run_once().unwrap();
    }
    drop(client);
    finish(&mut base, server);
    assert_eq!(ends.get(), 1);
}

// --- answers that follow the body -------------------------------------------------------------------

#[test]
fn an_answer_in_pieces_may_follow_the_body() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let echo = |request: Request| {
            let body = request.incoming().unwrap();
            let out = request.start(Response::new(StatusCode::OK));
            let end = out.clone();
            body.on_data(move |bytes: &[u8]| out.send(bytes));
            body.on_end(move |body| match body {
                Ok(_) => end.finish(),
                Err(_) => end.abort(),
            });
        };
        server.route(Route::new("POST /").streamed(), echo).unwrap();
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        for _ in 0..2 {
            client.send(request("POST /", "Transfer-Encoding: chunked\r\n\r\n"));
            while !client.read_line().is_empty() {}
            for piece in ["one", "two", "three"] {
                client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
                // It is back before the next one is sent.
                assert_eq!(client.read_line(), format!("{:x}", piece.len()));
                assert_eq!(client.read_line(), piece);
            }
            client.send("0\r\n\r\n");
            assert_eq!(client.read_line(), "0");
            assert_eq!(client.read_line(), "");
        }
    });
}

#[test]
fn an_answer_that_is_being_made_outlives_the_time_of_its_request() {
    let _bounded = bounded();
    let sent: Rc<Cell<Option<Sent>>> = Rc::default();
    let ends: Place<BodyError> = Rc::default();
    let (hear, end) = (Rc::clone(&sent), Rc::clone(&ends));
    let (mut base, server) = start(|server| {
        server.set_limits(Limits::new().idle(Duration::from_millis(40)));
        let handler = move |request: Request| {
            let hear = Rc::clone(&hear);
            request.on_sent(move |what| hear.set(Some(what)));
            let (end, body) = (Rc::clone(&end), request.incoming().unwrap());
            let out = request.start(Response::new(StatusCode::OK));
            body.on_data(|_: &[u8]| {});
            body.on_end(move |body| {
                end.replace(body.err());
                out.send("late")?;
                let handle = out.handle().clone();
                let later = Timer::after(&handle, Duration::from_millis(200), move |_| {
                    out.send("r")?;
                    out.finish();
                    Ok::<_, libevent2::Error>(())
                })?;
                later.detach();
                Ok::<_, libevent2::Error>(())
            });
        };
        server
            .route(Route::new("POST /").streamed(), handler)
            .unwrap();
    });
    let client = in_background(&base, server.local_addrs()[0], |addr| {
        let mut client = Client::new(addr);
        client.send(request("POST /", "Content-Length: 9\r\n\r\nhe"));
        let answer = client.read().unwrap();
        (answer.text().to_owned(), client.is_closed())
    });
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), ("later".to_owned(), true));
    assert_eq!(ends.take(), Some(BodyError::TimedOut));
    // The server ends only when the request is over.
    finish(&mut base, server);
    let sent = sent.get().expect("the hook ran");
    assert!(sent.complete && sent.body_bytes == 5);
}

#[test]
fn the_rest_of_a_body_is_not_waited_for_when_the_connection_ends_anyway() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let early = |request: Request| request.reply(StatusCode::FORBIDDEN, "no");
        server.route(Route::new("/").streamed(), early).unwrap();
    };
    with_server(setup, |addr| {
        for more in [
            "Connection: close\r\nContent-Length: 5\r\n\r\n",
            // It may send the body or the next request: nobody can know.
            "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        ] {
            let mut client = Client::new(addr);
            client.send(request("POST /", more));
            let answer = client.read().unwrap();
            assert_eq!(answer.header("connection"), Some("close"), "{more}");
            assert!(client.is_closed());
        }
    });
}

// --- ends of clients ------------------------------------------------------------------------------

#[test]
fn who_has_answered_hears_of_a_client_that_leaves_before_it_was_sent() {
    let _bounded = bounded();
    for how in [Some(Shutdown::Write), None] {
        let (left, answered) = (count(), count());
        let (heard, given) = (Rc::clone(&left), Rc::clone(&answered));
        let (mut base, server) = start(|server| {
            server.fallback(move |request: Request| {
                let heard = Rc::clone(&heard);
                request.on_disconnect(move || {
                    heard.bump();
                });
                request.reply(StatusCode::OK, vec![b'x'; 32 << 20]);
                given.bump();
            });
        });
        let client = connect(&server, &request("GET /", "\r\n"));
        while answered.get() == 0 {
            base.run_once().unwrap();
        }
        assert_eq!(left.get(), 0);
        let client = how.map(|how| {
            client.shutdown(how).unwrap();
            client
        });
        while left.get() == 0 {
            base.run_once().unwrap();
        }
        drop(client);
        finish(&mut base, server);
        assert_eq!(left.get(), 1);
    }
}

#[test]
fn what_a_client_sends_behind_its_last_request_does_not_cost_it_the_answer() {
    let _bounded = bounded();
    const LENGTH: usize = 6 << 20;
    let setup = |server: &Server| {
        server.set_limits(Limits::new().requests_per_connection(1));
        server.fallback(|request: Request| request.reply(StatusCode::OK, vec![b'x'; LENGTH]));
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n").repeat(8192));
        // The client reads late, and the server is done before.
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(client.read().unwrap().body.len(), LENGTH);
        assert!(client.is_closed());
    });
}

// --- other protocols ------------------------------------------------------------------------------

/// Remembers what it hears.
struct Listens(Rc<RefCell<Vec<String>>>);

impl Handler for Listens {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        let text = String::from_utf8(stream.input().to_vec())?;
        stream.input().clear();
        self.0.borrow_mut().push(text);
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        self.0.borrow_mut().push(format!("{event:?}"));
        stream.close_when_flushed();
        Ok(())
    }
}

#[test]
fn who_takes_over_a_connection_hears_that_the_client_had_sent_all() {
    let _bounded = bounded();
    let heard: Rc<RefCell<Vec<String>>> = Rc::default();
    let held: Place<Request> = Rc::default();
    let (hear, hold) = (Rc::clone(&heard), Rc::clone(&held));
    let (mut base, server) = start(|server| {
        server.fallback(move |request: Request| {
            hold.replace(Some(request));
        });
        server
            .route("/up", move |request: Request| {
                let handler = Listens(Rc::clone(&hear));
                let stream = request.upgrade(Response::new(StatusCode::OK), handler)?;
                drop(stream);
                Ok::<_, libevent2::Error>(())
            })
            .unwrap();
    });
    let text = request("GET /", "\r\n") + &request("GET /up", "\r\n") + "hello";
    let client = connect(&server, &text);
    client.shutdown(Shutdown::Write).unwrap();
    loop {
        base.run_once().unwrap();
        if held.borrow().as_ref().is_some_and(Request::is_client_gone) {
            break;
        }
    }
    let request = held.take().unwrap();
    request.reply(StatusCode::OK, "");
    while server.connection_count() > 0 {
        base.run_once().unwrap();
    }
    assert_eq!(*heard.borrow(), ["hello", "Eof", "Closed"]);
    drop(client);
    finish(&mut base, server);
}

#[test]
fn who_takes_over_a_connection_may_write_more_than_was_counted() {
    let _bounded = bounded();
    let sent: Rc<Cell<Option<Sent>>> = Rc::default();
    let hear = Rc::clone(&sent);
    let (mut base, server) = start(|server| {
        server.fallback(move |request: Request| {
            let hear = Rc::clone(&hear);
            request.on_sent(move |what| hear.set(Some(what)));
            let stream = request.upgrade(Response::new(StatusCode::OK), Callbacks::new())?;
            stream.write(&vec![b'x'; 32 << 20])?;
            stream.handle().exit();
            Ok::<_, libevent2::Error>(())
        });
    });
    let client = connect(&server, &request("GET /", "\r\n"));
    base.run_until_exit().unwrap();
    server.close_within(Duration::ZERO);
    base.run().unwrap();
    assert!(server.is_closed());
    let sent = sent.get().expect("the hook ran");
    assert!(!sent.complete && sent.body_bytes == 0);
    drop(client);
    finish(&mut base, server);
}

#[test]
fn who_cannot_take_over_a_connection_has_answered_400() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let up = |request: Request| {
            let stream = request.upgrade(Response::new(StatusCode::OK), Callbacks::new());
            assert!(matches!(stream, Err(libevent2::Error::Invalid { .. })));
        };
        server.route(Route::new("/").streamed(), up).unwrap();
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(client.read().unwrap().status, 400);
        assert_eq!(
            ask(addr, "POST /", "Content-Length: 5\r\n\r\nhello").status,
            400
        );
    });
}

// --- settings that change meanwhile -----------------------------------------------------------------

#[test]
fn a_handler_may_allow_longer_heads() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        server.fallback(|request: Request| {
            let longer = Limits::new().header_bytes(1 << 20);
            request.server().set_limits(longer);
            request.reply(StatusCode::OK, "");
        });
    };
    with_server(setup, |addr| {
        let long = format!("X: {}\r\n\r\n", "x".repeat(200 << 10));
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        assert_eq!(client.read().unwrap().status, 200);
        for _ in 0..2 {
            client.send(request("GET /", &long));
            assert_eq!(client.read().unwrap().status, 200);
        }
    });
}

#[test]
fn a_connection_that_has_not_said_whose_it_is_counts_among_the_most_there_may_be() {
    let _bounded = bounded();
    let (mut base, server) = start(|server| {
        server.set_limits(Limits::new().connections(1));
        let place = Listen::tcp("127.0.0.1:0").unwrap().proxy_protocol();
        server.listen_by(place).unwrap();
        server.fallback(|request: Request| request.reply(StatusCode::OK, ""));
    });
    let addr = server.local_addrs()[1];
    let silent = TcpStream::connect(addr).unwrap();
    while base.stats().live(Kind::Event) == 0 {
        base.run_once().unwrap();
    }
    let mut client = TcpStream::connect(addr).unwrap();
    let text = "PROXY UNKNOWN\r\n".to_owned() + &request("GET /", "\r\n");
    client.write_all(text.as_bytes()).unwrap();
    for _ in 0..20 {
        base.run_nonblocking().unwrap();
        assert_eq!(server.stats().accepted, 0);
    }
    drop(silent);
    while server.stats().answers[1] == 0 {
        base.run_once().unwrap();
    }
    drop(client);
    finish(&mut base, server);
}

/// Asks for a route when it is dropped.
struct Routes(Rc<Server>);

impl Drop for Routes {
    fn drop(&mut self) {
        self.0.route("/dropped", |_: Request| {}).unwrap();
    }
}

#[test]
fn what_a_refused_handler_has_may_do_anything_to_the_server() {
    let _bounded = bounded();
    let (mut base, server) = start(|server| {
        server.route("/x/{id}", |_: Request| {}).unwrap();
    });
    let server = Rc::new(server);
    let routes = Routes(Rc::clone(&server));
    let refused = server.route("/x/{name}", move |_: Request| {
        let _ = &routes;
    });
    assert!(refused.is_err());
    assert!(server.remove_route("/dropped"));
    finish(&mut base, Rc::into_inner(server).unwrap());
}

// --- the end of a server --------------------------------------------------------------------------

/// What a handler does to its server while its own request is in some state.
#[test]
fn a_server_that_is_closed_in_any_callback_ends_once() {
    let _bounded = bounded();
    for place in ["handler", "data", "end", "drain", "sent", "gone"] {
        let closed = count();
        let owned: Place<Server> = Rc::default();
        let own = Rc::clone(&owned);
        let (mut base, server) = start(|server| {
            let closed = Rc::clone(&closed);
            server.on_closed(move |_| {
                closed.bump();
            });
            let handler = move |request: Request| {
                let own = Rc::clone(&own);
                let close_at = |at: &'static str| {
                    let server = Rc::clone(&own);
                    move || {
                        if at == place {
                            drop(server.take());
                        }
                    }
                };
                close_at("handler")();
                let sent = close_at("sent");
                request.on_sent(move |_| sent());
                let gone = close_at("gone");
                if place == "gone" {
                    let held: Place<Request> = Rc::default();
                    let hold = Rc::clone(&held);
                    request.on_disconnect(move || {
                        gone();
                        drop(held.take());
                    });
                    hold.replace(Some(request));
                    return;
                }
                let (data, end) = (close_at("data"), close_at("end"));
                let drain = close_at("drain");
                let body: Incoming = request.incoming().unwrap();
                body.on_data(move |_: &[u8]| data());
                let mut request = Some(request);
                body.on_end(move |_| {
                    end();
                    let out = request.take().unwrap().start(Response::new(StatusCode::OK));
                    out.on_drain(move |out| {
                        drain();
                        out.finish();
                    });
                });
            };
            server.route(Route::new("/").streamed(), handler).unwrap();
        });
        let client = connect(
            &server,
            &request("POST /", "Content-Length: 5\r\n\r\nhello"),
        );
        client.shutdown(Shutdown::Write).unwrap();
        // Whose end it is drops it.
        owned.replace(Some(server));
        while closed.get() == 0 {
            base.run_once().unwrap();
        }
        drop(client);
        base.run().unwrap();
        assert_eq!(base.stats().live(Kind::HttpServer), 0, "{place}");
        assert_eq!(closed.get(), 1, "{place}");
        assert!(owned.borrow().is_none(), "{place}");
    }
}
