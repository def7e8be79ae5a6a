//! Connections and requests that end at any time, and closures that do anything to their own
//! connection: traps T24 to T27.
#![cfg(all(unix, feature = "http"))]

mod common;
mod evhttp_client_common;

use common::{Bump, Count, DropCount, bounded, count};
use evhttp_client_common::{Got, Server, ask, noting, refused, text, until};
use libevent2::evhttp::{ClientError, ClientRequest, Connection, Pending};
use libevent2::{Error, EventBase, Kind, Timer, ffi};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";

fn connect(base: &EventBase, server: &Server) -> Connection {
    Connection::new(base, "127.0.0.1", server.port()).unwrap()
}

fn get() -> ClientRequest {
    ClientRequest::get("/")
}

/// A request whose closures count how often they are dropped, and how often the last one is called.
fn counted(drops: &Count, calls: &Count) -> ClientRequest {
    let captured = [(); 3].map(|()| DropCount(drops.clone()));
    let [first, second, third] = captured;
    let calls = calls.clone();
    get()
        .on_header(move |_| {
            let _ = &first;
            true
        })
        .on_chunk(move |_| {
            let _ = &second;
        })
        .on_done(move |_, _| {
            let _ = &third;
            calls.bump();
        })
}

/// What ends a request, and whether its end is told then.
type End = (&'static str, fn(&mut EventBase, Connection, Pending), bool);

#[test]
fn each_closure_is_dropped_once_on_every_path_and_the_last_one_called_at_most_once() {
    let _bounded = bounded();
    let ends: [End; 6] = [
        (
            "detached",
            |_, connection, pending| {
                pending.detach();
                connection.detach()
            },
            true,
        ),
        (
            "dropped",
            |base, connection, pending| {
                drop(pending);
                base.run_nonblocking().unwrap();
                drop(connection)
            },
            false,
        ),
        (
            "cancelled",
            |_, connection, pending| {
                pending.cancel();
                connection.detach()
            },
            true,
        ),
        (
            "closed",
            |_, connection, pending| {
                drop(connection);
                pending.detach()
            },
            true,
        ),
        (
            "closed, then dropped",
            |_, connection, pending| {
                connection.close();
                drop(pending);
                drop(connection)
            },
            false,
        ),
        (
            "dropped, then closed",
            |_, connection, pending| {
                drop(pending);
                drop(connection)
            },
            false,
        ),
    ];
    let servers = [
        Server::answering(|peer, _| peer.send(CHUNKED)),
        Server::answering(|peer, _| {
            peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na")
        }),
        Server::saying("HTTP/1.1 200 OK\r\n\r\n"),
        Server::saying(""),
        Server::saying("nonsense\r\n\r\n"),
    ];
    let ports: Vec<u16> = servers
        .iter()
        .map(Server::port)
        .chain([refused()])
        .collect();
    for (how, end, told) in ends {
        for port in &ports {
            // After how many turns of the loop.
            for turns in 0..4 {
                let (drops, calls) = (count(), count());
                let mut base = EventBase::new().unwrap();
                let connection = Connection::new(&base, "127.0.0.1", *port).unwrap();
                let pending = connection.send(counted(&drops, &calls)).unwrap();
                for _ in 0..turns {
                    base.run_nonblocking().unwrap();
                }
                let done = pending.is_done();
                end(&mut base, connection, pending);
                until(&mut base, || drops.get() == 3);
                let expected = usize::from(told || done);
                assert_eq!(calls.get(), expected, "{how}, port {port}, after {turns}");
                drop(base);
                assert_eq!((drops.get(), calls.get()), (3, expected), "{how}");
            }
        }
    }
}

#[test]
fn a_base_that_is_dropped_takes_requests_along_untold() {
    let _bounded = bounded();
    let servers = [
        Server::silent(),
        Server::answering(|peer, _| peer.send(CHUNKED)),
    ];
    for server in &servers {
        for turns in 0..4 {
            let (drops, calls) = (count(), count());
            let mut base = EventBase::new().unwrap();
            let connection = connect(&base, server);
            let held = DropCount(drops.clone());
            connection.on_close(move |_| {
                let _ = &held;
            });
            let pending = connection.send(counted(&drops, &calls)).unwrap();
            connection.send(counted(&drops, &calls)).unwrap().detach();
            for _ in 0..turns {
                base.run_nonblocking().unwrap();
            }
            let told = calls.get();
            let handle = base.handle().clone();
            drop(base);
            assert_eq!((drops.get(), calls.get()), (7, told));
            assert!(pending.is_done() && connection.is_closed());
            assert!(matches!(connection.send(get()), Err(Error::Closed { .. })));
            assert_eq!(handle.stats().live_total(), 0);
            pending.cancel();
            drop(connection);
        }
    }
}

// --- T24: the connection and its own callbacks ------------------------------------------------------

#[test]
fn t24_a_connection_may_be_closed_and_dropped_in_each_of_its_closures() {
    let _bounded = bounded();
    let server = Server::answering(|peer, _| peer.send(CHUNKED));
    for place in ["head", "chunk", "done", "close"] {
        for drops in [false, true] {
            let mut base = EventBase::new().unwrap();
            let owner = Rc::new(RefCell::new(Some(connect(&base, &server))));
            let end = {
                let owner = owner.clone();
                move |here: &str| {
                    let connection = owner.borrow_mut().take_if(|_| here == place);
                    match connection {
                        Some(connection) if drops => drop(connection),
                        Some(connection) => {
                            connection.close();
                            connection.close();
                            owner.replace(Some(connection));
                        }
                        None => {}
                    }
                }
            };
            let [head, chunk, done, close] = [(); 4].map(|()| end.clone());
            let got = count();
            let told = got.clone();
            let request = get()
                .header("Connection", "close")
                .on_header(move |_| {
                    head("head");
                    true
                })
                .on_chunk(move |_| chunk("chunk"))
                .on_done(move |connection, _| {
                    told.bump();
                    done("done");
                    assert!(connection.is_closed());
                });
            let connection = owner.borrow();
            let connection_ref = connection.as_ref().unwrap();
            connection_ref.on_close(move |_| close("close"));
            connection_ref.send(request).unwrap().detach();
            drop(connection);
            base.run().unwrap();
            assert_eq!(got.get(), 1, "{place}");
            assert_eq!(base.stats().live_total(), 0, "{place}");
        }
    }
}

#[test]
fn t24_the_close_callback_runs_once_for_each_connection_that_goes_down_and_not_for_our_own_close() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, seen| match seen.path() {
        "/close" => peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        _ => peer.ok(""),
    });
    let connection = connect(&base, &server);
    let closes = count();
    let seen = closes.clone();
    connection.on_close(move |connection| {
        seen.bump();
        // In C this would be lost in a connection that is being reset.
        if seen.get() == 1 {
            connection.send(get())?.detach();
        }
        Ok::<(), Error>(())
    });
    ask(&mut base, &connection, ClientRequest::get("/close")).unwrap();
    until(&mut base, || {
        closes.get() == 1 && connection.in_flight() == 0
    });
    assert_eq!(server.connections(), 2);
    drop(connection);
    base.run().unwrap();
    assert_eq!(closes.get(), 1);
}

#[test]
fn t24_a_close_callback_may_replace_itself() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let connection = connect(&base, &server);
    let (first, second, drops) = (count(), count(), count());
    let held = DropCount(drops.clone());
    let (one, two) = (first.clone(), second.clone());
    connection.on_close(move |connection| {
        one.bump();
        let two = two.clone();
        connection.on_close(move |_| {
            two.bump();
        });
        assert_eq!(held.0.get(), 0);
    });
    for _ in 0..2 {
        ask(&mut base, &connection, get()).unwrap();
        base.run().unwrap();
    }
    assert_eq!((first.get(), second.get(), drops.get()), (1, 1, 1));
}

// --- T25: free on completion ---------------------------------------------------------------------------

#[test]
fn t25_a_detached_connection_is_closed_when_its_request_is_done() {
    let _bounded = bounded();
    let server = Server::answering(|peer, _| peer.ok("x"));
    // C leaks it when it cannot connect, and frees it twice when its closure does.
    for port in [server.port(), refused()] {
        let mut base = EventBase::new().unwrap();
        let connection = Connection::new(&base, "127.0.0.1", port).unwrap();
        let request = get().on_done(|connection, _| {
            connection.close();
            connection.close();
        });
        connection.send(request).unwrap().detach();
        connection.detach();
        base.run().unwrap();
        assert_eq!(base.stats().live_total(), 0);
    }
}

// --- T26: cancelling in the callbacks of a request -----------------------------------------------------

#[test]
fn t26_a_request_may_be_cancelled_and_dropped_in_each_of_its_closures() {
    let _bounded = bounded();
    let server = Server::answering(|peer, _| peer.send(CHUNKED));
    for place in ["head", "chunk", "done"] {
        for cancels in [false, true] {
            let mut base = EventBase::new().unwrap();
            let connection = connect(&base, &server);
            let pending = Rc::new(RefCell::new(None::<Pending>));
            let end = {
                let pending = pending.clone();
                move |here: &str| {
                    let taken = pending.borrow_mut().take_if(|_| here == place);
                    match taken {
                        Some(pending) if cancels => pending.cancel(),
                        taken => drop(taken),
                    }
                }
            };
            let [head, chunk, done] = [(); 3].map(|()| end.clone());
            let log = Rc::<RefCell<Vec<String>>>::default();
            let (chunks, ends) = (log.clone(), log.clone());
            let request = get()
                .on_header(move |_| {
                    head("head");
                    true
                })
                .on_chunk(move |bytes| {
                    chunks
                        .borrow_mut()
                        .push(String::from_utf8(bytes.to_vec()).unwrap());
                    chunk("chunk");
                })
                .on_done(move |_, response| {
                    ends.borrow_mut().push(match response {
                        Ok(_) => "done".into(),
                        Err(error) => error.to_string(),
                    });
                    done("done");
                });
            pending.replace(Some(connection.send(request).unwrap()));
            // Another one is not harmed.
            assert_eq!(text(ask(&mut base, &connection, get())).1, "abcdef");
            let mut expected = match place {
                "head" => vec![],
                "chunk" => vec!["abc"],
                _ => vec!["abc", "def", "done"],
            };
            if cancels && place != "done" {
                expected.push("the request was cancelled");
            }
            assert_eq!(*log.borrow(), expected, "{place}");
        }
    }
}

// --- T27: who owns a request --------------------------------------------------------------------------------

#[test]
fn t27_no_callback_runs_inside_the_call_that_sends() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    for (port, local) in [(refused(), None), (1, Some("192.0.2.1"))] {
        let connection = Connection::new(&base, "127.0.0.1", port).unwrap();
        if let Some(local) = local {
            // evhttp_make_request returns -1, and leaks the request.
            connection
                .set_local_address(local.parse().unwrap())
                .unwrap();
        }
        let before = calls.get();
        let seen = calls.clone();
        let request = get().on_done(move |_, response| {
            assert!(response.is_err());
            seen.bump();
        });
        connection.send(request).unwrap().detach();
        assert_eq!(calls.get(), before);
        until(&mut base, || calls.get() > before);
    }
    assert_eq!(calls.get(), 2);
}

#[test]
fn t27_requests_that_wait_are_told_when_their_connection_ends_or_cannot_be_had() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::silent();
    let got = Got::default();
    let connection = connect(&base, &server);
    for _ in 0..3 {
        connection.send(noting(get(), &got)).unwrap().detach();
    }
    base.run_nonblocking().unwrap();
    drop(connection);
    until(&mut base, || got.borrow().len() == 3);
    assert!(
        got.take()
            .iter()
            .all(|end| matches!(end, Err(ClientError::Closed)))
    );

    let connection = Connection::new(&base, "127.0.0.1", refused()).unwrap();
    for _ in 0..3 {
        connection.send(noting(get(), &got)).unwrap().detach();
    }
    until(&mut base, || got.borrow().len() == 3);
    assert!(
        got.take()
            .iter()
            .all(|end| matches!(end, Err(ClientError::Connect { .. })))
    );
}

#[test]
fn t27_cancelling_after_the_end_does_nothing() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| peer.ok("x"));
    let connection = connect(&base, &server);
    let got = Got::default();
    let pending = connection.send(noting(get(), &got)).unwrap();
    until(&mut base, || !got.borrow().is_empty());
    assert!(pending.is_done());
    pending.cancel();
    base.run_nonblocking().unwrap();
    assert_eq!(got.borrow().len(), 1);
    assert_eq!(text(ask(&mut base, &connection, get())).1, "x");
    assert_eq!(server.connections(), 1);
}

#[test]
fn t27_a_request_that_waits_is_cancelled_without_a_word_to_the_server() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, seen| peer.ok(seen.path()));
    let connection = connect(&base, &server);
    let got = Got::default();
    let mut pending: Vec<_> = (0..4)
        .map(|number| {
            let request = ClientRequest::get(format!("/{number}"));
            connection.send(noting(request, &got)).unwrap()
        })
        .collect();
    pending.remove(1).cancel();
    drop(pending.remove(1));
    until(&mut base, || got.borrow().len() == 3);
    let ends: Vec<_> = got
        .take()
        .into_iter()
        .map(|end| end.map(|it| it.into_body().to_vec()))
        .collect();
    assert_eq!(ends[0].as_deref().unwrap(), b"/0");
    assert!(matches!(ends[1], Err(ClientError::Cancelled)));
    assert_eq!(ends[2].as_deref().unwrap(), b"/3");
    assert_eq!(server.connections(), 1);
}

#[test]
fn t27_a_cancelled_request_leaves_the_others_a_connection_of_their_own() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, seen| {
        if seen.path() != "/silent" {
            peer.ok(seen.path());
        }
    });
    let connection = connect(&base, &server);
    let got = Got::default();
    let silent = connection
        .send(noting(ClientRequest::get("/silent"), &got))
        .unwrap();
    connection
        .send(noting(ClientRequest::get("/next"), &got))
        .unwrap()
        .detach();
    let cancel = Rc::new(RefCell::new(Some(silent)));
    let timer = Timer::after(&base, Duration::from_millis(50), move |_| {
        cancel.take().unwrap().cancel();
    });
    until(&mut base, || got.borrow().len() == 2);
    let mut ends = got.take();
    assert_eq!(text(ends.remove(1)).1, "/next");
    assert!(matches!(ends.remove(0), Err(ClientError::Cancelled)));
    assert_eq!(server.connections(), 2);
    drop(timer);
}

#[test]
fn cancelling_while_a_retry_is_awaited_leaves_the_next_request_alone() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let port = refused();
    let connection = Connection::new(&base, "127.0.0.1", port).unwrap();
    connection.set_retries(Some(5)).unwrap();
    connection
        .set_initial_retry(Duration::from_millis(100))
        .unwrap();
    let got = Got::default();
    let first = connection.send(noting(get(), &got)).unwrap();
    connection.send(noting(get(), &got)).unwrap().detach();
    // The first attempt fails; the timer of the retry runs.
    for _ in 0..20 {
        base.run_nonblocking().unwrap();
    }
    // A server that takes longer to answer than the timer: in C it would fire into the request.
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let _server = Server::on(listener, |stream| {
        let mut peer = evhttp_client_common::Peer::new(stream);
        peer.request();
        std::thread::sleep(Duration::from_millis(300));
        peer.ok("late");
    });
    first.cancel();
    until(&mut base, || got.borrow().len() == 2);
    let mut ends = got.take();
    assert!(matches!(ends.remove(0), Err(ClientError::Cancelled)));
    assert_eq!(text(ends.remove(0)).1, "late");
}

// --- panics, errors, foreign loops ----------------------------------------------------------------------------

#[test]
fn a_panic_in_each_closure_surfaces_from_run_and_the_next_run_goes_on() {
    let _bounded = bounded();
    let server = Server::answering(|peer, _| peer.send(CHUNKED));
    for place in ["head", "chunk", "done", "close"] {
        let mut base = EventBase::new().unwrap();
        let connection = connect(&base, &server);
        let (head, chunk, done) = (place == "head", place == "chunk", place == "done");
        let ends = count();
        let told = ends.clone();
        let request = get()
            .header("Connection", "close")
            .on_header(move |_| {
                assert!(!head, "on purpose");
                true
            })
            .on_chunk(move |_| assert!(!chunk, "on purpose"))
            .on_done(move |_, response| {
                told.bump();
                assert_eq!(response.is_err(), head);
                assert!(!done, "on purpose");
            });
        let close = place == "close";
        connection.on_close(move |_| assert!(!close, "on purpose"));
        connection.send(request).unwrap().detach();
        let panic = catch_unwind(AssertUnwindSafe(|| base.run())).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"), "{place}");
        while ends.get() == 0 {
            let _ = catch_unwind(AssertUnwindSafe(|| base.run_once()));
        }
        connection.on_close(|_| ());
        assert_eq!(
            text(ask(&mut base, &connection, get())).1,
            "abcdef",
            "{place}"
        );
        assert_eq!(ends.get(), 1);
    }
}

#[test]
fn an_error_of_a_closure_ends_the_loop() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| peer.ok(""));
    let connection = connect(&base, &server);
    let request = get().on_done(|_, _| Err::<(), _>("on purpose"));
    connection.send(request).unwrap().detach();
    assert!(matches!(base.run(), Err(Error::Callback(_))));
}

#[test]
fn requests_may_be_sent_from_the_closures_of_others() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| peer.send(CHUNKED));
    let connection = connect(&base, &server);
    let got = Got::default();
    let inner = got.clone();
    let request = get().on_done(move |connection, response| {
        assert!(response.is_ok());
        connection.send(noting(get(), &inner))?.detach();
        connection.send(noting(get(), &inner))?.detach();
        Ok::<(), Error>(())
    });
    connection.send(request).unwrap().detach();
    until(&mut base, || got.borrow().len() == 2);
    assert!(got.take().into_iter().all(|end| text(end).1 == "abcdef"));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_client_works_on_a_loop_that_c_owns_and_runs() {
    let _bounded = bounded();
    let server = Server::answering(|peer, _| peer.ok("for C"));
    // SAFETY: the base is made here, run here, and outlives what lives on it.
    unsafe {
        let raw = ffi::event_base_new();
        let base = EventBase::attach(raw);
        let connection = connect(&base, &server);
        let bodies = Rc::<RefCell<Vec<String>>>::default();
        let seen = bodies.clone();
        let request = get().on_done(move |connection, response| {
            seen.borrow_mut().push(text(response).1);
            connection.close();
        });
        connection.send(request).unwrap().detach();
        assert!(ffi::event_base_dispatch(raw) >= 0);
        assert_eq!(*bodies.borrow(), ["for C"]);

        // It goes in the middle of a closure, with requests under way.
        let connection = connect(&base, &server);
        let owner = Rc::new(RefCell::new(Some(base)));
        let mine = owner.clone();
        let drops = count();
        let held = DropCount(drops.clone());
        connection
            .send(get().on_done(move |_, _| drop(mine.take())))
            .unwrap()
            .detach();
        connection
            .send(get().on_done(move |_, _| drop(held)))
            .unwrap()
            .detach();
        assert!(ffi::event_base_dispatch(raw) >= 0);
        assert!(owner.borrow().is_none());
        assert_eq!(drops.get(), 1);
        drop(connection);
        ffi::event_base_free(raw);
    }
}

#[test]
fn a_connection_counts_among_the_objects_of_its_base_until_it_is_closed() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let connection = Connection::new(&base, "127.0.0.1", 80).unwrap();
    let other = Connection::new(&base, "127.0.0.1", 80).unwrap();
    assert_eq!(base.stats().live(Kind::HttpConnection), 2);
    other.detach();
    drop(connection);
    base.run().unwrap();
    assert_eq!(base.stats().live(Kind::HttpConnection), 1);
}

#[test]
fn streams_of_c_are_used_one_for_each_connection() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| peer.ok("x"));
    let made = count();
    let seen = made.clone();
    // SAFETY: a socket without a descriptor, of the base that is given.
    let connection = unsafe {
        Connection::with_streams(&base, "127.0.0.1", server.port(), move |base| {
            match seen.bump() {
                3 => std::ptr::null_mut(),
                _ => ffi::bufferevent_socket_new(base, -1, ffi::BEV_OPT_CLOSE_ON_FREE as _),
            }
        })
    }
    .unwrap();
    for _ in 0..2 {
        let request = get().header("Connection", "close");
        assert_eq!(text(ask(&mut base, &connection, request)).1, "x");
    }
    let got = ask(&mut base, &connection, get());
    assert!(matches!(got, Err(ClientError::Libevent(_))), "{got:?}");
    assert_eq!(text(ask(&mut base, &connection, get())).1, "x");
    assert_eq!((made.get(), server.connections()), (4, 3));
}

#[test]
fn a_request_that_is_dropped_at_any_time_harms_no_other() {
    let _bounded = bounded();
    let server = Server::answering(|peer, seen| match seen.path() {
        "/other" => peer.ok("other"),
        _ => peer.send(CHUNKED),
    });
    for turns in 0..12 {
        let mut base = EventBase::new().unwrap();
        let connection = connect(&base, &server);
        let got = Got::default();
        let first = connection.send(get().on_done(|_, _| ())).unwrap();
        let other = ClientRequest::get("/other");
        connection.send(noting(other, &got)).unwrap().detach();
        for _ in 0..turns {
            base.run_nonblocking().unwrap();
        }
        drop(first);
        until(&mut base, || !got.borrow().is_empty());
        assert_eq!(text(got.take().remove(0)).1, "other", "after {turns}");
    }
}
