//! Name servers and requests that end at any time, and callbacks that do anything to their own
//! server.
#![cfg(target_os = "linux")]

mod common;
mod dns_server_client;

use common::{Bump, Count, DropCount, bounded, count};
use dns_server_client::{Client, holding, localhost};
use libevent2::dns::{RecordType, Request, ResponseCode, Server};
use libevent2::{Error, EventBase, Kind, LoopEnd, Timer, ffi};
use std::cell::RefCell;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const A: RecordType = RecordType::A;

/// Where a server is left for its own callback.
type Slot = Rc<RefCell<Option<Server>>>;

/// A server whose callback may do anything to it.
fn with_callback(
    base: &EventBase,
    mut callback: impl FnMut(&Slot, Request) + 'static,
) -> (Slot, Client) {
    let slot = Slot::default();
    let own = Rc::clone(&slot);
    let server = Server::bind(base, localhost(), move |request: Request| {
        callback(&own, request);
    });
    let server = server.unwrap();
    let client = Client::new(server.local_addr());
    slot.replace(Some(server));
    (slot, client)
}

/// Nobody has the server's port any more.
fn is_free(client: &Client) -> bool {
    UdpSocket::bind(client.0.peer_addr().unwrap()).is_ok()
}

fn servers(base: &EventBase) -> usize {
    base.stats().live(Kind::DnsServer)
}

fn ok(request: Request) {
    request.respond(ResponseCode::NO_ERROR).unwrap();
}

// --- the end of a server ----------------------------------------------------------------------------

#[test]
fn a_server_dropped_gives_its_port_back_at_once() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let drops = count();
    let held = DropCount(drops.clone());
    let server = Server::bind(&base, localhost(), move |_: Request| {
        let _ = &held;
    });
    let server = server.unwrap();
    let client = Client::new(server.local_addr());
    assert!(!is_free(&client));
    assert_eq!(servers(&base), 1);
    drop(server);
    assert!(is_free(&client));
    assert_eq!((drops.get(), servers(&base)), (1, 0));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn closing_twice_and_using_a_closed_server_is_fine() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let server = Server::bind(&base, localhost(), drop).unwrap();
    assert!(!server.is_closing() && !server.is_closed());
    server.close();
    server.close();
    assert!(server.is_closing() && server.is_closed());
    assert!(server.as_ptr().is_null());
    assert_eq!(server.in_flight(), 0);
    let error = server.set_callback(drop).unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error}");
    assert!(format!("{server:?}").contains("in_flight: 0"));
}

#[test]
fn requests_in_hand_are_answered_after_close_and_the_last_one_frees_the_port() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held) = holding(&base);
    let client = Client::new(server.local_addr());
    for id in 0..3 {
        client.ask(id, "a", A);
    }
    base.run_nonblocking().unwrap();
    client.ask(9, "unread", A);
    drop(server);
    // A closing server keeps no loop running, and reads no more.
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    let mut requests = held.take();
    let server = requests[0].server();
    assert!(server.is_closing() && !server.is_closed());
    assert_eq!(server.in_flight(), 3);
    ok(requests.remove(0));
    requests.remove(0).ignore();
    assert!(!is_free(&client));
    drop(requests);
    assert!(is_free(&client));
    assert_eq!((client.reply().id, client.reply().code()), (0, 5));
    assert_eq!(servers(&base), 0);
}

#[test]
fn a_closure_that_holds_requests_lets_them_go_when_the_server_is_closed() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let mut kept = Vec::new();
    let server = Server::bind(&base, localhost(), move |request: Request| {
        kept.push(request)
    });
    let server = server.unwrap();
    let client = Client::new(server.local_addr());
    client.ask(1, "a", A);
    base.run_nonblocking().unwrap();
    assert_eq!(server.in_flight(), 1);
    server.close();
    assert!(server.is_closed() && is_free(&client));
    assert_eq!(client.reply().code(), 5);
}

#[test]
fn a_detached_server_lives_until_it_is_closed_in_its_callback() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (slot, client) = with_callback(&base, |_, request| {
        request.server().close();
        ok(request);
    });
    slot.take().unwrap().detach();
    assert_eq!(servers(&base), 1);
    client.ask(1, "a", A);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((servers(&base), client.reply().code()), (0, 0));
    assert!(is_free(&client));
}

/// C closes the descriptor before it takes it out of epoll, which goes on to report the socket
/// while another descriptor of it is open.
#[test]
fn a_server_on_a_socket_that_lives_on_is_out_of_the_loop() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let socket = UdpSocket::bind(localhost()).unwrap();
    let server = Server::from_socket(&base, socket.try_clone().unwrap(), drop).unwrap();
    let client = Client::new(server.local_addr());
    drop(server);
    client.ask(1, "a", A);
    let turns = count();
    let counted = turns.clone();
    let timer = Timer::every(&base, Duration::from_millis(100), move |timer| {
        if counted.bump() == 3 {
            timer.handle().exit();
        }
    });
    let before = cpu_time();
    base.run().unwrap();
    let used = cpu_time() - before;
    assert!(
        used < Duration::from_millis(100),
        "the loop spun for {used:?}"
    );
    assert_eq!(turns.get(), 3);
    drop(timer);
}

/// What this thread has used.
fn cpu_time() -> Duration {
    // SAFETY: plain data, filled by the call.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        assert_eq!(
            libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time),
            0
        );
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

// --- a callback and its own server ------------------------------------------------------------------

/// T19: C frees the port, and goes on reading from it.
#[test]
fn a_callback_may_drop_its_server_and_answer_then() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_slot, client) = with_callback(&base, |slot, request| {
        drop(slot.take());
        assert!(request.server().is_closing());
        ok(request);
    });
    for id in 0..3 {
        client.ask(id, "a", A);
    }
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((client.reply().id, servers(&base)), (0, 0));
    assert!(client.hears_nothing() && is_free(&client));
}

#[test]
fn a_callback_may_close_its_server_and_refuse_by_dropping() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_slot, client) = with_callback(&base, |slot, request| {
        slot.borrow().as_ref().unwrap().close();
        drop(request);
    });
    client.ask(1, "a", A);
    base.run().unwrap();
    assert_eq!(client.reply().code(), 5);
    assert!(is_free(&client));
}

#[test]
fn a_callback_may_close_its_server_and_answer_from_the_loop() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_slot, client) = with_callback(&base, |slot, request| {
        drop(slot.take());
        let handle = request.handle().clone();
        let timer = Timer::after(&handle, Duration::from_millis(1), {
            let mut request = Some(request);
            move |_| ok(request.take().unwrap())
        });
        timer.unwrap().detach();
    });
    client.ask(1, "a", A);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(client.reply().code(), 0);
    assert!(is_free(&client));
}

#[test]
fn a_callback_may_replace_itself() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let drops = count();
    let first = DropCount(drops.clone());
    let seen = drops.clone();
    let (slot, client) = with_callback(&base, move |slot, request| {
        let slot = slot.borrow();
        slot.as_ref().unwrap().set_callback(ok).unwrap();
        assert_eq!(seen.get(), 0, "it still runs");
        let _ = &first;
        request.respond(ResponseCode::NOT_IMPLEMENTED).unwrap();
    });
    for id in 0..3 {
        client.ask(id, "a", A);
    }
    base.run_nonblocking().unwrap();
    assert_eq!([(); 3].map(|()| client.reply().code()), [4, 0, 0]);
    assert_eq!(drops.get(), 1);
    drop(slot.take());
}

#[test]
fn a_callback_may_make_another_server() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let made = Slot::default();
    let keep = made.clone();
    let (slot, client) = with_callback(&base, move |_, request| {
        let server = Server::bind(request.handle(), localhost(), ok).unwrap();
        keep.replace(Some(server));
        ok(request);
    });
    client.exchange(&mut base, "a", A);
    let second = Client::new(made.borrow().as_ref().unwrap().local_addr());
    assert_eq!(second.exchange(&mut base, "a", A).code(), 0);
    drop((slot.take(), made.take()));
}

// --- failures ------------------------------------------------------------------------------------------

#[test]
fn a_panic_refuses_surfaces_from_run_and_the_next_run_goes_on() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    let (_slot, client) = with_callback(&base, move |_, request| {
        if calls.bump() == 1 {
            let _request = request;
            panic!("on purpose");
        }
        ok(request);
    });
    for id in 0..3 {
        client.ask(id, "a", A);
    }
    let panic = catch_unwind(AssertUnwindSafe(|| base.run())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    assert_eq!(client.reply().code(), 5);
    assert!(client.hears_nothing(), "the others wait");
    base.run_nonblocking().unwrap();
    assert_eq!(
        [client.reply(), client.reply()].map(|reply| (reply.id, reply.code())),
        [(1, 0), (2, 0)]
    );
}

#[test]
fn an_error_stops_the_loop_or_goes_to_the_error_handler() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, localhost(), |_: Request| Err::<(), _>("on purpose")).unwrap();
    let client = Client::new(server.local_addr());
    client.ask(1, "a", A);
    let error = base.run().unwrap_err();
    assert!(matches!(&error, Error::Callback(cause) if cause.to_string() == "on purpose"));
    assert_eq!(client.reply().code(), 5);
    let errors = count();
    let seen = errors.clone();
    base.on_error(move |_, _| {
        seen.bump();
    });
    assert_eq!(client.exchange(&mut base, "a", A).code(), 5);
    assert_eq!(errors.get(), 1);
}

#[test]
fn what_is_read_when_the_loop_is_to_stop_waits_for_the_next_run() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_slot, client) = with_callback(&base, |_, request| {
        request.handle().exit_now();
        ok(request);
    });
    for id in 0..3 {
        client.ask(id, "a", A);
    }
    for id in 0..3 {
        base.run().unwrap();
        assert_eq!(client.reply().id, id);
        assert!(client.hears_nothing());
    }
}

/// C reads until nobody asks any more.
#[test]
fn who_asks_without_end_does_not_keep_the_loop_from_its_timers() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let answered = count();
    let counted = answered.clone();
    let asker = Rc::new(RefCell::new(None::<Client>));
    let next = asker.clone();
    let (slot, client) = with_callback(&base, move |_, request| {
        ok(request);
        counted.bump();
        let asker = next.borrow();
        let asker = asker.as_ref().unwrap();
        asker.reply();
        asker.ask(1, "again", A);
    });
    client.ask(1, "first", A);
    asker.replace(Some(client));
    let timer = Timer::after(&base, Duration::from_millis(20), |handle| handle.exit());
    base.run().unwrap();
    assert!(answered.get() > 64);
    drop((timer, slot.take()));
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_slot, client) = with_callback(&base, |_, request| ok(request));
    for round in 0..3 {
        for id in 0..150 {
            client.ask(round * 1000 + id, "a", A);
        }
        for id in 0..150 {
            if id == 0 || id == 64 {
                base.run_nonblocking().unwrap();
            }
            assert_eq!(client.reply().id, round * 1000 + id);
        }
        assert!(client.hears_nothing());
    }
}

#[test]
fn what_waits_for_the_next_run_goes_with_the_server() {
    let _bounded = bounded();
    for close in [false, true] {
        let mut base = EventBase::new().unwrap();
        let (slot, client) = with_callback(&base, |_, request| {
            request.handle().exit_now();
            ok(request);
        });
        for id in 0..3 {
            client.ask(id, "a", A);
        }
        base.run().unwrap();
        if close {
            drop(slot.take());
            assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        }
        drop(base);
        assert!(is_free(&client));
        assert_eq!(client.reply().id, 0);
        assert!(client.hears_nothing());
    }
}

#[test]
fn a_panic_in_the_drop_of_a_closure_surfaces() {
    let _bounded = bounded();
    struct Loud(Count);
    impl Drop for Loud {
        fn drop(&mut self) {
            self.0.bump();
            panic!("on purpose");
        }
    }
    let mut base = EventBase::new().unwrap();
    let drops = count();
    let loud = Loud(drops.clone());
    let (_slot, client) = with_callback(&base, move |_, request| {
        let _ = &loud;
        request.server().close();
    });
    client.ask(1, "a", A);
    assert!(catch_unwind(AssertUnwindSafe(|| base.run())).is_err());
    base.run().unwrap();
    assert_eq!((drops.get(), servers(&base)), (1, 0));
    assert!(is_free(&client));
}

// --- the end of the base ------------------------------------------------------------------------------

#[test]
fn a_request_that_outlives_the_base_can_be_looked_at_and_not_answered() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held) = holding(&base);
    let client = Client::new(server.local_addr());
    for id in 0..3 {
        client.ask(id, "host.example", A);
    }
    base.run_nonblocking().unwrap();
    drop(base);
    assert!(server.is_closed() && is_free(&client));
    let mut requests = held.take();
    assert_eq!(requests[0].question().name(), "host.example");
    assert_eq!(requests[0].peer(), client.0.local_addr().unwrap());
    let error = requests
        .remove(0)
        .respond(ResponseCode::NO_ERROR)
        .unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error}");
    requests.remove(0).ignore();
    drop(requests);
    drop(server);
    assert!(client.hears_nothing());
}

#[test]
fn a_closing_server_goes_with_the_base_and_its_closure_once() {
    let _bounded = bounded();
    for detach in [false, true] {
        let drops = count();
        let mut base = EventBase::new().unwrap();
        let held = DropCount(drops.clone());
        let mut kept = Vec::new();
        let server = Server::bind(&base, localhost(), move |request: Request| {
            let _ = &held;
            kept.push(request);
        });
        let server = server.unwrap();
        let client = Client::new(server.local_addr());
        client.ask(1, "a", A);
        base.run_nonblocking().unwrap();
        if detach {
            server.detach();
            assert_eq!(drops.get(), 0);
            drop(base);
        } else {
            drop(base);
            assert!(server.is_closed());
        }
        assert_eq!(drops.get(), 1);
        assert!(is_free(&client));
    }
}

#[test]
fn nothing_is_made_on_a_base_that_is_gone() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    drop(base);
    let socket = UdpSocket::bind(localhost()).unwrap();
    let errors = [
        Server::bind(&handle, localhost(), drop).unwrap_err(),
        Server::from_socket(&handle, socket, drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Closed { .. }), "{error}");
    }
}

/// On a base that C owns and runs, what is attached may go in the middle of a callback.
#[test]
fn a_base_that_c_runs_may_lose_us_in_the_callback() {
    let _bounded = bounded();
    // SAFETY: made here, and freed at the end.
    let raw = unsafe { ffi::event_base_new() };
    // SAFETY: alive until all that is made on it is gone.
    let base = unsafe { EventBase::attach(raw) };
    let attached = Rc::new(RefCell::new(None));
    let drop_it = attached.clone();
    let answers = count();
    let refused = answers.clone();
    let (slot, client) = with_callback(&base, move |_, request| {
        drop(drop_it.take());
        assert!(request.server().is_closing());
        let error = request.respond(ResponseCode::NO_ERROR).unwrap_err();
        assert!(matches!(error, Error::Closed { .. }), "{error}");
        refused.bump();
    });
    attached.replace(Some(base));
    for id in 0..3 {
        client.ask(id, "a", A);
    }
    for _ in 0..2 {
        // SAFETY: C's base; nothing else runs it.
        unsafe { ffi::event_base_loop(raw, ffi::EVLOOP_NONBLOCK as _) };
    }
    assert_eq!(answers.get(), 1);
    assert!(is_free(&client) && client.hears_nothing());
    assert!(slot.take().unwrap().is_closed());
    // SAFETY: ours, and not running.
    unsafe { ffi::event_base_free(raw) };
}
