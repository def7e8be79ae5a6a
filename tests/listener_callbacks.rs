//! What a listener's callbacks may do to their own listener, what becomes of panics and errors,
//! and that every closure and descriptor is dropped exactly once.
#![cfg(unix)]

mod common;

use common::{Bump, DropCount, bounded, count};
use libevent2::listener::Accepted;
use libevent2::{Error, EventBase, Kind, Listener, ListenerRef, LoopEnd, LoopHandle};
use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;

fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn connect(listener: &ListenerRef) -> TcpStream {
    TcpStream::connect(listener.local_addr().unwrap().ip().unwrap()).unwrap()
}

fn is_refused(addr: SocketAddr) -> bool {
    let result = TcpStream::connect(addr);
    result.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Makes each accept fail, until the listener is closed.
fn break_socket(listener: &ListenerRef) {
    // SAFETY: the listener has it open during this call.
    let socket = unsafe { BorrowedFd::borrow_raw(listener.fd()) };
    socket2::SockRef::from(&socket)
        .shutdown(Shutdown::Both)
        .unwrap();
}

fn boom(n: u32) {
    panic_any(n);
}

fn called() {
    panic!("called");
}

/// The body of a closure that only is to be dropped.
fn never(captured: &DropCount) {
    panic!("called, after {} drops", captured.0.get());
}

/// A place for a listener that its own closures own.
type Slot = Rc<RefCell<Option<Listener>>>;

/// What a callback does to its own listener.
type Act = fn(&ListenerRef, &Slot);

const ENDS: [(&str, Act); 4] = [
    ("close", |listener, _| {
        listener.close();
        listener.close();
    }),
    ("drop", |_, slot| drop(slot.take())),
    ("close and drop", |listener, slot| {
        listener.close();
        drop(slot.take());
    }),
    ("replace and drop", |listener, slot| {
        listener.set_callback(|_, _| called()).unwrap();
        listener.set_error_callback(|_, _| called()).unwrap();
        drop(slot.take());
    }),
];

#[test]
fn the_end_inside_the_callback() {
    let _watchdog = bounded();
    for (name, end) in ENDS {
        let mut base = EventBase::new().unwrap();
        let (calls, dropped) = (count(), count());
        let slot: Slot = Rc::default();
        let (counted, own) = (calls.clone(), slot.clone());
        let captured = DropCount(dropped.clone());
        let on_error = DropCount(dropped.clone());
        let listener = Listener::options()
            .on_error(move |_, _| never(&on_error))
            .bind(&base, localhost(), move |listener, _accepted| {
                counted.bump();
                end(listener, &own);
                // What it captured is still there; what the other closure did is not.
                assert_eq!(captured.0.get(), 1);
                assert!(listener.is_closed());
            })
            .unwrap();
        let addr = listener.local_addr().unwrap().ip().unwrap();
        // Two that wait: the second is nobody's.
        let mut clients = [connect(&listener), connect(&listener)];
        *slot.borrow_mut() = Some(listener);
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents, "{name}");
        assert_eq!((calls.get(), dropped.get()), (1, 2), "{name}");
        assert!(is_refused(addr), "{name}");
        assert_eq!(clients[0].read(&mut [0]).unwrap(), 0, "{name}");
        // It never was accepted: reset, or closed.
        assert!(
            matches!(clients[1].read(&mut [0]), Ok(0) | Err(_)),
            "{name}"
        );
        assert_eq!(base.stats().live_total(), 0, "{name}");
        drop(slot);
        drop(base);
        assert_eq!(dropped.get(), 2, "{name}");
    }
}

#[test]
fn the_end_inside_the_error_callback() {
    let _watchdog = bounded();
    for (name, end) in ENDS {
        let mut base = EventBase::new().unwrap();
        let (calls, dropped) = (count(), count());
        let slot: Slot = Rc::default();
        let (counted, own) = (calls.clone(), slot.clone());
        let captured = DropCount(dropped.clone());
        let on_accept = DropCount(dropped.clone());
        let listener = Listener::options()
            .on_error(move |listener, error| {
                assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
                counted.bump();
                end(listener, &own);
                assert_eq!(captured.0.get(), 1);
                assert!(listener.is_closed());
            })
            .bind(&base, localhost(), move |_, _| never(&on_accept))
            .unwrap();
        break_socket(&listener);
        *slot.borrow_mut() = Some(listener);
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents, "{name}");
        assert_eq!((calls.get(), dropped.get()), (1, 2), "{name}");
        assert_eq!(base.stats().live_total(), 0, "{name}");
    }
}

#[test]
fn a_replacement_is_called_from_the_next_connection_on() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls: Rc<RefCell<Vec<&str>>> = Rc::default();
    let dropped = count();
    let (first, second) = (calls.clone(), calls.clone());
    let captured = DropCount(dropped.clone());
    let listener = Listener::bind(&base, localhost(), move |listener, _accepted| {
        let between = DropCount(captured.0.clone());
        // The last of those that are set takes over.
        let skipped = move |_: &ListenerRef, _: Accepted| never(&between);
        listener.set_callback(skipped).unwrap();
        let second = second.clone();
        let set = listener.set_callback(move |listener, _accepted| {
            second.borrow_mut().push("second");
            listener.close();
        });
        set.unwrap();
        assert_eq!(captured.0.get(), 1, "the one in between is gone");
        first.borrow_mut().push("first");
    })
    .unwrap();
    let _clients = [connect(&listener), connect(&listener)];
    base.run().unwrap();
    assert_eq!(*calls.borrow(), ["first", "second"]);
    assert_eq!(dropped.get(), 2);
}

#[test]
fn a_replacement_from_outside_takes_over_at_once() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let dropped = count();
    let captured = DropCount(dropped.clone());
    let listener = Listener::bind(&base, localhost(), move |_, _| never(&captured)).unwrap();
    listener
        .set_callback(|listener, _| listener.close())
        .unwrap();
    assert_eq!(dropped.get(), 1);
    let _client = connect(&listener);
    base.run().unwrap();
    assert!(listener.is_closed());
}

#[test]
fn a_replaced_error_callback_is_called_for_the_next_error() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls: Rc<RefCell<Vec<&str>>> = Rc::default();
    let (first, second) = (calls.clone(), calls.clone());
    let listener = Listener::bind(&base, localhost(), |_, _| ()).unwrap();
    let set = listener.set_error_callback(move |listener, _| {
        first.borrow_mut().push("first");
        let second = second.clone();
        listener.set_error_callback(move |listener, _| {
            second.borrow_mut().push("second");
            listener.close();
        })
    });
    set.unwrap();
    break_socket(&listener);
    base.run().unwrap();
    assert_eq!(*calls.borrow(), ["first", "second"]);
}

#[test]
fn a_new_listener_on_the_same_address_inside_the_callback() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let inner = seen.clone();
    let listener = Listener::bind(&base, localhost(), move |listener, _accepted| {
        let inner = inner.clone();
        let another = Listener::bind(listener.handle(), localhost(), move |listener, _| {
            inner.bump();
            listener.close();
        });
        let another = another.unwrap();
        let _client = connect(&another);
        another.detach();
        listener.close();
    })
    .unwrap();
    let _client = connect(&listener);
    base.run().unwrap();
    assert_eq!(seen.get(), 1);
    assert_eq!(base.stats().live_total(), 0);
}

// --- panics and errors ------------------------------------------------------------------------------

#[test]
fn a_panic_comes_out_of_run_and_closes_the_connection() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    let counted = calls.clone();
    let listener = Listener::bind(&base, localhost(), move |listener, _accepted| match counted
        .bump()
    {
        1 => boom(7),
        _ => listener.close(),
    })
    .unwrap();
    let mut clients = [connect(&listener), connect(&listener)];
    let payload = catch_unwind(AssertUnwindSafe(|| base.run())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&7u32));
    // The other one waits for the next run.
    assert_eq!(calls.get(), 1);
    assert_eq!(clients[0].read(&mut [0]).unwrap(), 0);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 2);
    assert_eq!(clients[1].read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_panic_in_the_error_callback_comes_out_of_run() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let listener = Listener::options()
        .on_error(|listener, _| {
            listener.close();
            boom(8);
        })
        .bind(&base, localhost(), |_, _| ())
        .unwrap();
    break_socket(&listener);
    let payload = catch_unwind(AssertUnwindSafe(|| base.run())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&8u32));
    assert_eq!(base.stats().live_total(), 0);
}

/// Panics when it is dropped.
struct PanicOnDrop(u32);

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic_any(self.0);
    }
}

#[test]
fn a_panic_in_the_drop_of_a_closure_that_closed_itself_comes_out_of_run() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let bomb = PanicOnDrop(9);
    let listener = Listener::bind(&base, localhost(), move |listener, _accepted| {
        let _bomb = &bomb;
        listener.close();
    })
    .unwrap();
    let _client = connect(&listener);
    listener.detach();
    let payload = catch_unwind(AssertUnwindSafe(|| base.run())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&9u32));
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn an_error_stops_the_loop_or_reaches_the_handler() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let make = |base: &LoopHandle| {
        Listener::bind(base, localhost(), |listener, _accepted| {
            listener.close();
            Err(io::Error::other("no luck"))
        })
    };
    let listener = make(&base).unwrap();
    let _client = connect(&listener);
    let Err(Error::Callback(error)) = base.run() else {
        panic!("no error came out");
    };
    assert_eq!(error.to_string(), "no luck");

    let seen = Rc::new(Cell::new(false));
    let handler = seen.clone();
    base.on_error(move |_, _| handler.set(true));
    let listener = make(&base).unwrap();
    let _client = connect(&listener);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(seen.get());
}

// --- who drops the closures -------------------------------------------------------------------------

/// A listener with two closures that count their drops.
fn counted(base: &LoopHandle, dropped: &common::Count) -> Listener {
    let captured = [DropCount(dropped.clone()), DropCount(dropped.clone())];
    let [one, two] = captured;
    let listener = Listener::options().on_error(move |_, _| never(&one)).bind(
        base,
        localhost(),
        move |_, _| never(&two),
    );
    listener.unwrap()
}

#[test]
fn closures_go_with_the_owner_or_with_close_or_with_the_base() {
    let _watchdog = bounded();
    let dropped = count();
    let base = EventBase::new().unwrap();
    drop(counted(&base, &dropped));
    assert_eq!(dropped.take(), 2);

    let listener = counted(&base, &dropped);
    listener.close();
    assert_eq!(dropped.take(), 2);
    drop(listener);
    assert_eq!(dropped.get(), 0);

    counted(&base, &dropped).detach();
    let listener = counted(&base, &dropped);
    assert_eq!((base.stats().live(Kind::Listener), dropped.get()), (2, 0));
    drop(base);
    assert_eq!(dropped.take(), 4);
    drop(listener);
    assert_eq!(dropped.get(), 0);
}

#[test]
fn a_closure_is_dropped_when_its_listener_cannot_be_made() {
    let _watchdog = bounded();
    let dropped = count();
    let base = EventBase::new().unwrap();
    let first = Listener::bind(&base, localhost(), |_, _| ()).unwrap();
    let addr = first.local_addr().unwrap().ip().unwrap();
    let captured = DropCount(dropped.clone());
    let second = Listener::bind(&base, addr, move |_, _| never(&captured));
    assert!(second.is_err());
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_detached_listener_lives_until_it_closes_itself() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let dropped = count();
    let captured = DropCount(dropped.clone());
    let listener = Listener::bind(&base, localhost(), move |listener, _accepted| {
        assert_eq!(captured.0.get(), 0);
        listener.close();
    })
    .unwrap();
    let _client = connect(&listener);
    listener.detach();
    assert_eq!(base.stats().live(Kind::Listener), 1);
    base.run().unwrap();
    assert_eq!(dropped.get(), 1);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn ten_thousand_leave_nothing_behind() {
    let _watchdog = bounded();
    let dropped = count();
    let base = EventBase::new().unwrap();
    for _ in 0..10_000 {
        drop(counted(&base, &dropped));
    }
    assert_eq!(dropped.get(), 20_000);
    assert_eq!(base.stats().live_total(), 0);
}
