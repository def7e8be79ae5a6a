//! Servers whose base goes while their connections are in every state there is: all that the
//! program has given them is dropped, once.
#![cfg(feature = "http")]

mod common;
mod http_client;
#[cfg(feature = "rustls")]
#[path = "common/rustls.rs"]
mod rustls_ends;

use common::bounded;
use http_client::request;
use libevent2::http::{Limits, Listen, Outgoing, Responder};
use libevent2::http::{Request, Response, Route, Server, StatusCode};
use libevent2::stream::Callbacks;
use libevent2::{EventBase, Kind};
use std::cell::RefCell;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::Duration;

/// What all closures of a test have a count on.
type Probe = Rc<()>;

struct Test {
    base: EventBase,
    server: Server,
    probe: Probe,
    client: Option<TcpStream>,
}

impl Test {
    /// A server of one handler, which a client has sent these bytes, all of them read.
    fn new(bytes: &str, handler: impl FnMut(Request, &Probe) + 'static) -> Self {
        let mut test = Test::unasked(Listen::tcp("127.0.0.1:0").unwrap(), handler);
        test.send(bytes);
        while test.server.stats().bytes_in < bytes.len() as u64 {
            test.base.run_once().unwrap();
        }
        test
    }

    fn unasked(listen: Listen, mut handler: impl FnMut(Request, &Probe) + 'static) -> Self {
        let base = EventBase::new().unwrap();
        let server = Server::new(&base).unwrap();
        server.listen_by(listen).unwrap();
        let probe = Probe::default();
        let own = Rc::clone(&probe);
        server.set_limits(Limits::new().body_bytes(1 << 30));
        let own_too = Rc::clone(&probe);
        server
            .route(Route::new("/streamed").streamed(), move |_: Request| {
                let _ = &own_too;
            })
            .unwrap();
        server.fallback_by(Route::new("/").streamed(), move |request: Request| {
            let (sent, gone) = (Rc::clone(&own), Rc::clone(&own));
            request.on_sent(move |_| drop(sent));
            request.on_disconnect(move || drop(gone));
            handler(request, &own);
        });
        let own = Rc::clone(&probe);
        server.on_closed(move |_| drop(own));
        let client = TcpStream::connect(server.local_addrs()[0]).unwrap();
        Test {
            base,
            server,
            probe,
            client: Some(client),
        }
    }

    fn send(&mut self, bytes: &str) {
        let client = self.client.as_mut().unwrap();
        client.write_all(bytes.as_bytes()).unwrap();
    }

    /// The base goes, before the server's owner or after.
    fn end(self) {
        let Test {
            base,
            server,
            probe,
            client,
        } = self;
        assert!(Rc::strong_count(&probe) > 1);
        drop(base);
        assert!(server.is_closed());
        drop(server);
        assert_eq!(Rc::strong_count(&probe), 1);
        drop(client);
    }
}

fn post(more: &str) -> String {
    request("POST /", more)
}

#[test]
fn in_the_middle_of_a_head() {
    let _bounded = bounded();
    Test::new("GET / HT", |_, _| {}).end();
}

#[test]
fn in_the_middle_of_a_body_that_is_collected() {
    let _bounded = bounded();
    let test = Test::new("", |_, _| {});
    let own = Rc::clone(&test.probe);
    test.server
        .route("/whole", move |_: Request| {
            let _ = &own;
        })
        .unwrap();
    let mut test = test;
    let text = request("POST /whole", "Content-Length: 9\r\n\r\nhe");
    test.send(&text);
    while test.server.stats().bytes_in < text.len() as u64 {
        test.base.run_once().unwrap();
    }
    assert_eq!(test.server.in_flight(), 1);
    // One that was replaced has a request to come.
    test.server.remove_route("/whole");
    test.end();
}

#[test]
fn in_the_middle_of_a_body_whose_reader_has_paused_or_holds_itself() {
    let _bounded = bounded();
    for paused in [true, false] {
        let text = post("Content-Length: 9\r\n\r\nhe");
        let test = Test::new(&text, move |request, probe| {
            let body = request.incoming().unwrap();
            let (own, itself) = (Rc::clone(probe), body.clone());
            body.on_data(move |_: &[u8]| {
                let _ = &own;
                if paused {
                    itself.pause();
                }
            });
            let (own, itself) = (Rc::clone(probe), body.clone());
            body.on_end(move |_| drop((own, itself, request)));
        });
        test.end();
    }
}

#[test]
fn while_a_request_is_held_by_its_own_hooks() {
    let _bounded = bounded();
    let test = Test::new(&request("GET /", "\r\n"), |request, probe| {
        let held = Rc::new(RefCell::new(None));
        let (sent, gone) = (Rc::clone(&held), Rc::clone(&held));
        let own = Rc::clone(probe);
        request.on_sent(move |_| drop((sent, own)));
        request.on_disconnect(move || drop(gone));
        held.replace(Some(request));
    });
    assert_eq!(test.server.in_flight(), 1);
    test.end();
}

#[test]
fn while_an_answer_is_being_made() {
    let _bounded = bounded();
    let test = Test::new(&request("GET /", "\r\n"), |request, probe| {
        let out = request.start(Response::new(StatusCode::OK));
        let own = Rc::clone(probe);
        let itself = out.clone();
        out.on_disconnect(move || drop(itself));
        out.on_drain(move |_: &Outgoing| {
            let _ = &own;
        });
    });
    assert_eq!(test.server.in_flight(), 1);
    test.end();
}

#[test]
fn while_more_of_an_answer_is_sent_than_the_client_takes() {
    let _bounded = bounded();
    let test = Test::new(&request("GET /", "\r\n"), |request, _| {
        request.reply(StatusCode::OK, vec![0; 32 << 20]);
    });
    assert_eq!(test.server.in_flight(), 1);
    test.end();
}

#[test]
fn while_a_file_is_sent() {
    let _bounded = bounded();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(32 << 20).unwrap();
    let path = file.path().to_owned();
    let test = Test::new(&request("GET /", "\r\n"), move |request, _| {
        request.respond(Response::file(std::fs::File::open(&path).unwrap()).unwrap());
    });
    assert_eq!(test.server.in_flight(), 1);
    test.end();
}

#[test]
fn while_the_client_is_given_time_to_read_what_it_was_refused_by() {
    let _bounded = bounded();
    let text = post("Content-Length: 9000000\r\n\r\nhe");
    let test = Test::new(&text, |request, _| request.reply(StatusCode::FORBIDDEN, ""));
    assert_eq!(test.server.connection_count(), 1);
    test.end();
}

#[test]
fn when_another_protocol_is_spoken() {
    let _bounded = bounded();
    let test = Test::new(&request("GET /", "\r\n"), |request, probe| {
        let own = Rc::clone(probe);
        let handler = Callbacks::new().on_read(move |_| {
            let _ = &own;
        });
        let stream = request.upgrade(Response::new(StatusCode::OK), handler);
        drop(stream.unwrap());
    });
    test.end();
}

#[test]
fn while_another_thread_has_to_answer() {
    let _bounded = bounded();
    for gone in [false, true] {
        let place: Rc<RefCell<Option<Request>>> = Rc::default();
        let hold = Rc::clone(&place);
        let text = request("GET /first", "\r\n") + &request("GET /", "\r\n");
        let mut test = Test::new(&text, move |request, _| match request.path() {
            "/first" => request.reply(StatusCode::OK, ""),
            _ => drop(hold.replace(Some(request))),
        });
        let request = place.take().unwrap();
        if gone {
            while test.server.stats().bytes_out == 0 {
                test.base.run_once().unwrap();
            }
            // What it has not read makes the system reset the connection.
            test.client = None;
            while test.server.connection_count() > 0 {
                test.base.run_once().unwrap();
            }
        }
        let own = Rc::clone(&test.probe);
        request.on_sent(move |_| drop(own));
        let responder: Responder = request.into_responder().unwrap();
        test.end();
        responder.respond(Response::text("late"));
    }
}

#[test]
fn where_hooks_come_too_late() {
    let _bounded = bounded();
    let place: Rc<RefCell<Option<Outgoing>>> = Rc::default();
    let hold = Rc::clone(&place);
    let mut test = Test::new(&request("GET /", "\r\n"), move |request, _| {
        let out = request.start(Response::new(StatusCode::OK));
        out.finish();
        hold.replace(Some(out));
    });
    while test.server.in_flight() > 0 {
        test.base.run_once().unwrap();
    }
    let out = place.take().unwrap();
    // The answer was sent, and the client is there.
    let (own, itself) = (Rc::clone(&test.probe), out.clone());
    out.on_disconnect(move || drop((own, itself)));
    // The server is gone, and the client.
    test.server.close();
    test.base.run().unwrap();
    assert!(test.server.is_closed());
    let (own, itself) = (Rc::clone(&test.probe), out.clone());
    out.on_disconnect(move || drop((own, itself)));
    drop(out);
    let Test { base, server, .. } = test;
    drop((base, server));
    assert_eq!(Rc::strong_count(&test.probe), 1);
}

#[test]
fn where_a_host_is_held_by_its_own_handlers() {
    let _bounded = bounded();
    for removed in [false, true] {
        let test = Test::new("", |_, _| {});
        let host = test.server.virtual_host("a.example").unwrap();
        let (own, itself) = (Rc::clone(&test.probe), host.clone());
        host.fallback(move |_| {
            let _ = (&own, &itself);
        });
        if removed {
            assert!(test.server.remove_virtual_host(&host));
        }
        drop(host);
        test.end();
    }
}

#[test]
fn before_a_proxy_has_said_whose_the_connection_is() {
    let _bounded = bounded();
    let listen = Listen::tcp("127.0.0.1:0").unwrap().proxy_protocol();
    let mut test = Test::unasked(listen, |_, _| {});
    // As long as there is.
    test.server.set_limits(Limits::new().idle(Duration::MAX));
    test.send("PROXY TCP4 ");
    while test.base.stats().live(Kind::Event) == 0 {
        test.base.run_once().unwrap();
    }
    assert_eq!(test.server.connection_count(), 0);
    test.end();
}

#[test]
fn when_clients_have_stopped_sending() {
    let _bounded = bounded();
    let place: Rc<RefCell<Option<Request>>> = Rc::default();
    let hold = Rc::clone(&place);
    let mut test = Test::new(&request("GET /", "\r\n"), move |request, _| {
        hold.replace(Some(request));
    });
    let client = test.client.as_ref().unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    while !place.borrow().as_ref().is_some_and(Request::is_client_gone) {
        test.base.run_once().unwrap();
    }
    test.end();
    drop(place.take());
}

#[cfg(feature = "rustls")]
#[test]
fn before_a_client_has_begun_with_tls() {
    let _bounded = bounded();
    for closed in [false, true] {
        let listen = Listen::tcp("127.0.0.1:0").unwrap();
        let mut test = Test::unasked(listen.tls(rustls_ends::acceptor()), |_, _| {});
        // Nobody ends it for being late.
        test.server.set_limits(Limits::new().idle(Duration::MAX));
        while test.server.connection_count() == 0 {
            test.base.run_once().unwrap();
        }
        if closed {
            test.server.close();
            test.base.run().unwrap();
            assert!(test.server.is_closed());
            assert_eq!(Rc::strong_count(&test.probe), 1);
        } else {
            test.end();
        }
    }
}
