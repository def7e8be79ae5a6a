//! Servers and requests that end at any time, and handlers that do anything to their own server.
#![cfg(feature = "http")]

mod common;
mod evhttp_common;

use common::{Bump, DropCount, bounded, count};
use evhttp_common::{Client, finish, get, in_background, request, with_server};
use libevent2::evhttp::{Request, Server};
use libevent2::{Error, EventBase, Kind, Remote, Timer};
use std::cell::{Cell, RefCell};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Where a handler leaves a request for later.
type Held = Rc<RefCell<Option<Request>>>;

/// Runs the loop until the handler has put a request there.
fn run_until_held(base: &mut EventBase, held: &Held) {
    while held.borrow().is_none() {
        base.run_once().unwrap();
    }
}

fn hold(server: &Server, held: &Held) {
    let held = Rc::clone(held);
    server.set_gencb(move |request| {
        held.replace(Some(request));
    });
}

// --- failures of handlers -------------------------------------------------------------------------

#[test]
fn a_panic_in_a_handler_surfaces_from_run_and_the_next_run_goes_on() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server
        .set_cb("/panic", |_: Request| -> () { panic!("on purpose") })
        .unwrap();
    server.set_gencb(|request: Request| request.reply(200, None, "fine"));
    let client = in_background(&base, server.local_addrs()[0], |addr| {
        let failed = get(addr, "/panic").status;
        (failed, get(addr, "/").status)
    });
    let panic = catch_unwind(AssertUnwindSafe(|| base.run_until_exit())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), (500, 200));
    finish(&mut base, server);
}

#[test]
fn an_error_of_a_handler_ends_the_loop_or_goes_to_the_error_handler() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server.set_gencb(|_: Request| Err::<(), _>("on purpose"));
    let addr = server.local_addrs()[0];
    let client = in_background(&base, addr, |addr| {
        [get(addr, "/").status, get(addr, "/").status]
    });
    let error = base.run_until_exit().unwrap_err();
    assert!(matches!(&error, Error::Callback(cause) if cause.to_string() == "on purpose"));

    let errors = count();
    let seen = Rc::clone(&errors);
    base.on_error(move |_, _| {
        seen.bump();
    });
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), [500, 500]);
    assert_eq!(errors.get(), 1);
    finish(&mut base, server);
}

#[test]
fn a_panic_in_a_hook_surfaces_too() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server.set_gencb(|request: Request| {
        request.on_complete(|_| -> () { panic!("on purpose") });
        request.reply(200, None, "").unwrap();
    });
    let client = in_background(&base, server.local_addrs()[0], |addr| get(addr, "/").status);
    assert!(catch_unwind(AssertUnwindSafe(|| base.run_until_exit())).is_err());
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), 200);
    finish(&mut base, server);
}

// --- a handler and its own server -------------------------------------------------------------------

#[test]
fn a_handler_may_replace_and_remove_itself() {
    let _bounded = bounded();
    let drops = count();
    let dropped = Rc::clone(&drops);
    let texts = with_server(
        move |server| {
            let first = DropCount(Rc::clone(&dropped));
            let second = DropCount(dropped);
            let mut second = Some(second);
            server
                .set_cb("/", move |request: Request| {
                    let second = second.take().expect("called once");
                    assert!(request.server().del_cb("/"));
                    request.server().set_cb("/", move |request: Request| {
                        assert!(request.server().del_cb("/"));
                        assert!(!request.server().del_cb("/"));
                        assert_eq!(second.0.get(), 1, "the first is dropped, the second runs");
                        request.reply(200, None, "second").unwrap();
                    })?;
                    assert_eq!(first.0.get(), 0, "what runs is not dropped");
                    request.reply(200, None, "first").unwrap();
                    Ok::<(), Error>(())
                })
                .unwrap();
        },
        |addr| ["/", "/", "/"].map(|path| get(addr, path).text().to_owned()),
    );
    assert_eq!(texts[..2], ["first", "second"]);
    assert!(texts[2].contains("404 Not Found"));
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_handler_may_close_its_server_and_still_answer() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let closed = count();
    let hook = Rc::clone(&closed);
    server.on_closed(move |_| {
        hook.bump();
    });
    server.set_gencb(|request: Request| {
        request.server().close();
        request.server().close();
        assert!(request.server().is_closing() && !request.server().is_closed());
        assert!(request.server().local_addrs().is_empty());
        request.reply(200, None, "the last one").unwrap();
    });
    let addr = server.local_addrs()[0];
    let client = std::thread::spawn(move || {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        let answer = client.read().unwrap();
        assert!(client.is_closed());
        assert!(TcpStream::connect(addr).is_err());
        answer
    });
    // Nothing holds the loop once the server is closed.
    base.run().unwrap();
    let answer = client.join().unwrap();
    assert_eq!(
        (answer.text(), answer.header("connection")),
        ("the last one", Some("close"))
    );
    assert!(server.is_closed() && server.as_ptr().is_null());
    assert_eq!(closed.get(), 1);
    finish(&mut base, server);
}

#[test]
fn a_handler_may_drop_its_server() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let owner: Rc<RefCell<Option<Server>>> = Rc::default();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let mine = Rc::clone(&owner);
    let drops = count();
    let captured = DropCount(Rc::clone(&drops));
    server.set_gencb(move |request: Request| {
        drop(mine.take());
        assert_eq!(captured.0.get(), 0);
        request.reply(200, None, "").unwrap();
    });
    let addr = server.local_addrs()[0];
    owner.replace(Some(server));
    let client = std::thread::spawn(move || get(addr, "/").status);
    base.run().unwrap();
    assert_eq!(client.join().unwrap(), 200);
    assert_eq!(drops.get(), 1);
    assert_eq!(base.stats().live_total(), 0);
}

// --- an end with requests in flight -------------------------------------------------------------------

/// A server that has one request waiting for its answer, and the client that waits.
struct Waiting {
    base: EventBase,
    server: Server,
    held: Held,
    client: Client,
}

fn waiting() -> Waiting {
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let held = Held::default();
    hold(&server, &held);
    let mut client = Client::new(server.local_addrs()[0]);
    client.send(request("POST /a?b", "Content-Length: 4\r\n\r\nbody"));
    run_until_held(&mut base, &held);
    assert_eq!(server.in_flight(), 1);
    assert_eq!(base.stats().live(Kind::HttpRequest), 1);
    Waiting {
        base,
        server,
        held,
        client,
    }
}

#[test]
fn a_closed_server_waits_for_its_answers() {
    let _bounded = bounded();
    let mut it = waiting();
    drop(it.server);
    it.base.run_nonblocking().unwrap();
    assert_eq!(it.base.stats().live(Kind::HttpServer), 1);
    it.held.take().unwrap().reply(200, None, "late").unwrap();
    it.base.run().unwrap();
    let answer = it.client.read().unwrap();
    assert_eq!(
        (answer.text(), answer.header("connection")),
        ("late", Some("close"))
    );
    assert!(it.client.is_closed());
    assert_eq!(it.base.stats().live_total(), 0);
}

#[test]
fn a_connection_that_is_kept_open_hears_that_the_server_closes() {
    let _bounded = bounded();
    let mut it = waiting();
    let addr = it.server.local_addrs()[0];
    let mut other = Client::new(addr);
    let first = it.held.take().unwrap();
    other.send(request("GET /", "\r\n"));
    run_until_held(&mut it.base, &it.held);
    it.held.take().unwrap().reply(200, None, "before").unwrap();
    while it.server.in_flight() > 1 {
        it.base.run_once().unwrap();
    }
    assert_eq!(other.read().unwrap().header("connection"), None);
    it.server.close();
    other.send(request("GET /", "\r\n"));
    run_until_held(&mut it.base, &it.held);
    it.held.take().unwrap().reply(200, None, "after").unwrap();
    first.reply(200, None, "").unwrap();
    it.base.run().unwrap();
    assert_eq!(other.read().unwrap().header("connection"), Some("close"));
    finish(&mut it.base, it.server);
}

#[test]
fn a_request_outlives_its_base_and_its_server() {
    let _bounded = bounded();
    let mut it = waiting();
    let sent = count();
    let hook = DropCount(Rc::clone(&sent));
    let request = it.held.take().unwrap();
    request.on_complete(move |_| drop(hook));
    drop(it.base);
    assert!(it.server.is_closed() && it.server.is_closing());
    assert_eq!(it.server.in_flight(), 0);
    assert_eq!(sent.get(), 1, "the hook is dropped");
    assert!(it.client.is_closed());

    assert!(request.is_client_gone());
    assert_eq!(
        (request.uri(), &request.body().to_vec()[..]),
        ("/a?b", &b"body"[..])
    );
    assert_eq!(request.handle().stats().live_total(), 0);
    request.server().close();
    request.on_complete(|_| ());
    assert!(Timer::new(request.handle(), |_| ()).is_err());
    request.reply(200, None, "nobody hears").unwrap();
    it.server.set_gencb(|_: Request| ());
    drop(it.server);
}

#[test]
fn a_request_may_be_dropped_by_what_the_base_drops() {
    let _bounded = bounded();
    let it = waiting();
    let request = it.held.take().unwrap();
    // The timer's closure goes with the base, and the request with it.
    let timer = Timer::after(&it.base, Duration::from_secs(3600), move |_| drop(request)).unwrap();
    timer.detach();
    drop(it.base);
    drop(it.server);
}

#[test]
fn a_handler_that_owns_a_request_of_its_own_server_leaks_nothing() {
    let _bounded = bounded();
    let it = waiting();
    let request = it.held.take().unwrap();
    let drops = count();
    let captured = DropCount(Rc::clone(&drops));
    it.server.set_gencb(move |_: Request| {
        let _ = (&request, &captured);
    });
    drop(it.base);
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_detached_server_lives_as_long_as_the_base() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let drops = count();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let captured = DropCount(Rc::clone(&drops));
    server.set_gencb(move |request: Request| {
        let _ = &captured;
        request.reply(200, None, "").unwrap();
    });
    let addr = server.local_addrs()[0];
    server.detach();
    let client = in_background(&base, addr, |addr| get(addr, "/").status);
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), 200);
    assert_eq!(base.stats().live(Kind::HttpServer), 1);
    assert_eq!(drops.get(), 0);
    drop(base);
    assert_eq!(drops.get(), 1);
}

// --- clients that go ------------------------------------------------------------------------------------

#[test]
fn a_client_that_goes_while_it_waits_is_noticed() {
    let _bounded = bounded();
    let mut it = waiting();
    let addr = it.server.local_addrs()[0];
    let request = it.held.take().unwrap();
    assert!(!request.is_client_gone());
    let sent = Rc::new(Cell::new(None));
    let hear = Rc::clone(&sent);
    request.on_complete(move |what| hear.set(Some(what)));
    drop(it.client);
    while !request.is_client_gone() {
        it.base.run_nonblocking().unwrap();
    }
    // More than the socket takes, so that sending cannot seem to work.
    request.reply(200, None, vec![b'x'; 32 << 20]).unwrap();
    while it.server.in_flight() > 0 {
        it.base.run_once().unwrap();
    }
    it.base.run_nonblocking().unwrap();
    let sent = sent.get().expect("the hook ran");
    assert!(!sent.complete && sent.body_bytes < 32 << 20);
    assert_eq!(sent.status, Some(200));

    it.server
        .set_gencb(|request: Request| request.reply(200, None, "next"));
    let client = in_background(&it.base, addr, |addr| get(addr, "/").text().to_owned());
    it.base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), "next");
    finish(&mut it.base, it.server);
}

#[test]
fn a_client_that_only_stops_sending_gets_its_answer() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            server.set_gencb(|request: Request| request.reply(200, None, vec![b'x'; 8 << 20]));
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("GET /", "\r\n"));
            client.stream().shutdown(Shutdown::Write).unwrap();
            client.read().unwrap()
        },
    );
    assert_eq!(answer.body.len(), 8 << 20);
}

#[test]
fn many_clients_come_and_go_at_any_point() {
    let _bounded = bounded();
    with_server(
        |server| {
            let held: RefCell<Vec<Request>> = RefCell::default();
            server.set_gencb(move |request: Request| {
                let mut held = held.borrow_mut();
                if request.uri() == "/end" {
                    held.clear();
                    return request.reply(200, None, "").unwrap();
                }
                held.push(request);
                if held.len() >= 3 {
                    let request = held.remove(0);
                    request.reply(200, None, "x".repeat(100_000)).unwrap();
                }
            });
        },
        |addr| {
            let text = request("POST /", "Content-Length: 10\r\n\r\n0123456789");
            let clients: Vec<Client> = (0..200)
                .map(|turn| {
                    let mut client = Client::new(addr);
                    client.send(&text[..turn % (text.len() + 1)]);
                    client
                })
                .collect();
            for (turn, client) in clients.into_iter().enumerate() {
                match turn % 3 {
                    0 => drop(client),
                    1 => client.stream().shutdown(Shutdown::Both).unwrap(),
                    _ => client.stream().shutdown(Shutdown::Write).unwrap(),
                }
            }
            get(addr, "/end");
        },
    );
}

// --- a base that C runs -----------------------------------------------------------------------------------

#[test]
fn a_base_that_c_runs_may_be_left_inside_a_handler() {
    let _bounded = bounded();
    // SAFETY: freed at the end, after what was attached to it.
    let raw = unsafe { libevent2::ffi::event_base_new() };
    // SAFETY: alive until the end, and run on this thread.
    let base = Rc::new(RefCell::new(Some(unsafe { EventBase::attach(raw) })));
    let server = Server::bind(base.borrow().as_ref().unwrap(), "127.0.0.1:0").unwrap();
    let addr = server.local_addrs()[0];
    let mine = Rc::clone(&base);
    server.set_gencb(move |request: Request| {
        let base = mine.take();
        drop(base);
        assert!(request.server().is_closing());
        request.reply(200, None, "").unwrap();
    });
    let client = std::thread::spawn(move || {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        client.is_closed()
    });
    // SAFETY: alive; this thread.
    unsafe { libevent2::ffi::event_base_dispatch(raw) };
    assert!(server.is_closed());
    drop(server);
    assert!(client.join().unwrap());
    // SAFETY: nothing of ours is left on it.
    unsafe { libevent2::ffi::event_base_free(raw) };
}

#[test]
fn a_server_answers_while_other_threads_post() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let (posts, posted) = channel::<Remote>();
    let remote = base.remote().unwrap();
    server.set_gencb(|request: Request| request.reply(200, None, ""));
    let poster = std::thread::spawn(move || {
        let remote = posted.recv().unwrap();
        for _ in 0..1000 {
            remote.post(|_| ()).unwrap();
        }
    });
    posts.send(remote).unwrap();
    let client = in_background(&base, server.local_addrs()[0], |addr: SocketAddr| {
        (0..100)
            .map(|_| get(addr, "/").status)
            .all(|status| status == 200)
    });
    base.run_until_exit().unwrap();
    assert!(client.join().unwrap());
    poster.join().unwrap();
    finish(&mut base, server);
}
