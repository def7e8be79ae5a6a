//! Connecting by name as the system is configured: lookups that do not block the loop, the race of
//! the addresses, and every way in which it ends early.

mod common;
mod connect_common;

use common::{Bump, Count, DropCount, bounded, count};
use connect_common::silent;
use libevent2::stream::{BufferEvent, Callbacks, Handler, Peer, StreamError, StreamEvent};
use libevent2::util::{AddrHints, getaddrinfo};
use libevent2::{Error, EventBase, EventConfig, EventCounts, LoopEnd, Timer};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

/// What a handler has heard, as text.
type Heard = Rc<RefCell<Vec<String>>>;

/// Notes every event, and closes at the first end.
fn noting(heard: &Heard) -> impl Handler + use<> {
    let heard = heard.clone();
    Callbacks::new().on_event(move |stream, event| {
        heard.borrow_mut().push(match &event {
            StreamEvent::Connected => format!("connected to {}", stream.peer()),
            StreamEvent::Failed(error) => error.to_string(),
            other => format!("{other:?}"),
        });
        if event.is_end() {
            stream.close();
        }
    })
}

/// The addresses of this machine that the system has for the name.
fn localhost() -> Vec<IpAddr> {
    let found = getaddrinfo(Some("localhost"), None, AddrHints::new().tcp()).unwrap();
    found.iter().map(|info| info.address.ip()).collect()
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((localhost()[0], 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Hears nothing, and counts when it is dropped.
fn silence(dropped: &Count) -> impl Handler + use<> {
    let held = DropCount(dropped.clone());
    Callbacks::new().on_event(move |_, event| -> () { panic!("{event:?} {:p}", &held) })
}

#[test]
fn a_name_reaches_whichever_of_its_addresses_listens() {
    let _watchdog = bounded();
    for address in localhost() {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let there = listener.local_addr().unwrap();
        let mut base = EventBase::new().unwrap();
        let answer = Rc::new(RefCell::new(Vec::new()));
        let all = answer.clone();
        let handler = Callbacks::new()
            .on_read(move |stream| all.borrow_mut().extend(stream.input().take().to_vec()))
            .on_event(move |stream, event| match event {
                StreamEvent::Connected => assert_eq!(stream.peer(), Peer::from(there)),
                StreamEvent::Eof => stream.close(),
                event => panic!("{event:?}"),
            });
        let stream = BufferEvent::connect_host(&base, "localhost", there.port(), handler).unwrap();
        assert_eq!(
            stream.peer(),
            Peer::Host(format!("localhost:{}", there.port()))
        );
        // Sent when there is a connection.
        stream.write(b"early").unwrap();
        let peer = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut text = [0; 5];
            peer.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"early");
            peer.write_all(b"answer").unwrap();
        });
        base.run().unwrap();
        peer.join().unwrap();
        assert_eq!(*answer.borrow(), b"answer");
        assert_eq!(base.stats().live_total(), 0);
    }
}

#[test]
fn nothing_happens_before_the_loop_runs_and_the_loop_runs_on_meanwhile() {
    let _watchdog = bounded();
    let (_listener, there) = listening();
    for host in ["localhost".to_owned(), there.ip().to_string()] {
        let mut base = EventBase::new().unwrap();
        let heard = Heard::default();
        let stream = BufferEvent::connect_host(&base, &host, there.port(), noting(&heard)).unwrap();
        assert!(heard.borrow().is_empty());
        let ticks = count();
        let tick = ticks.clone();
        let _timer = Timer::every(&base, Duration::from_millis(1), move |timer| {
            tick.bump();
            if stream.peer() == Peer::from(there) {
                timer.handle().exit();
            }
        })
        .unwrap();
        base.run().unwrap();
        assert!(ticks.get() > 0);
        assert_eq!(*heard.borrow(), [format!("connected to {there}")]);
    }
}

#[test]
fn an_ip_address_needs_no_lookup() {
    let _watchdog = bounded();
    for host in ["127.0.0.1", "::1"] {
        let Ok(listener) = TcpListener::bind((host, 0)) else {
            continue;
        };
        let there = listener.local_addr().unwrap();
        let mut base = EventBase::new().unwrap();
        let heard = Heard::default();
        let stream = BufferEvent::connect_host(&base, host, there.port(), noting(&heard)).unwrap();
        assert_eq!(stream.peer(), Peer::from(there));
        stream.detach();
        let peer = thread::spawn(move || drop(listener.accept().unwrap()));
        base.run().unwrap();
        peer.join().unwrap();
        assert_eq!(
            *heard.borrow(),
            [format!("connected to {there}"), "Eof".into()]
        );
    }
}

#[test]
fn a_refusal_names_the_host_and_the_address() {
    let _watchdog = bounded();
    let (listener, there) = listening();
    drop(listener);
    let port = there.port();
    let mut base = EventBase::new().unwrap();
    let errors = Rc::new(RefCell::new(Vec::new()));
    for host in ["localhost", "127.0.0.1"] {
        let errors = errors.clone();
        let handler = Callbacks::new().on_event(move |stream, event| {
            let StreamEvent::Failed(error @ StreamError::Refused { .. }) = event else {
                panic!("{event:?}");
            };
            errors.borrow_mut().push(error.to_string());
            assert_eq!(stream.raw_fd(), None);
            stream.close();
        });
        BufferEvent::connect_host(&base, host, port, handler)
            .unwrap()
            .detach();
        base.run().unwrap();
    }
    assert_eq!(
        *errors.borrow(),
        [
            format!("localhost:{port} ({there}): connection refused"),
            format!("127.0.0.1:{port}: connection refused"),
        ]
    );
}

/// The predecessor's loop never ended after this: its resolver was kept by the failed connection.
#[test]
fn a_connection_that_is_refused_or_given_up_lets_the_loop_end() {
    let _watchdog = bounded();
    let (listener, there) = listening();
    drop(listener);
    let mut base = EventBase::new().unwrap();
    let heard = Heard::default();
    for _ in 0..2 {
        let refused =
            BufferEvent::connect_host(&base, "localhost", there.port(), noting(&heard)).unwrap();
        let given_up =
            BufferEvent::connect_host(&base, "localhost", there.port(), noting(&heard)).unwrap();
        drop(given_up);
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert!(refused.is_closed());
        assert_eq!(heard.take().len(), 1);
        let left = base.num_events(EventCounts::ADDED | EventCounts::VIRTUAL);
        assert_eq!(left, 0, "the base's resolver has no event");
    }
}

#[test]
fn what_cannot_be_a_host_or_a_port_is_refused_at_once() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let dropped = count();
    for (host, port, why) in [
        ("", 80, "host: it is empty"),
        ("a\0b", 80, "host: \"a\\0b\" has a NUL in it"),
        ("localhost", 0, "port: nobody can be reached at port 0"),
    ] {
        let held = DropCount(dropped.clone());
        let handler = Callbacks::new().on_read(move |_| _ = &held);
        let error = BufferEvent::connect_host(&base, host, port, handler).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }));
        assert_eq!(error.to_string(), why);
    }
    assert_eq!(dropped.get(), 3);
    assert_eq!(base.stats().live_total(), 0);
    let handle = base.handle().clone();
    drop(base);
    let error = BufferEvent::connect_host(&handle, "localhost", 80, Callbacks::new()).unwrap_err();
    assert!(matches!(error, Error::Closed { .. }));
}

#[test]
fn a_stream_closed_or_dropped_during_the_lookup_is_gone_at_once() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let dropped = count();
    let connect = || {
        let handler = silence(&dropped);
        BufferEvent::connect_host(&base, "localhost", 1, handler).unwrap()
    };
    drop(connect());
    let closed = connect();
    closed.close();
    assert!(closed.is_closed());
    assert_eq!(dropped.get(), 2);
    assert_eq!(base.stats().live_total(), 0);
    // Nothing is left that keeps the loop running.
    base.run().unwrap();
}

#[test]
fn a_stream_closed_or_dropped_while_it_connects_is_gone_at_once() {
    let _watchdog = bounded();
    let (_listener, there, _queue) = silent();
    let mut base = EventBase::new().unwrap();
    let dropped = count();
    for close in [true, false] {
        for host in ["localhost", "127.0.0.1"] {
            let handler = silence(&dropped);
            let stream = BufferEvent::connect_host(&base, host, there.port(), handler).unwrap();
            // Into the race, whose one address does not answer.
            Timer::after(&base, Duration::from_millis(20), |timer| timer.exit())
                .unwrap()
                .detach();
            base.run().unwrap();
            assert_eq!(stream.raw_fd(), None);
            if close {
                stream.close();
                assert!(stream.is_closed());
            }
        }
    }
    assert_eq!(dropped.get(), 4);
    base.run().unwrap();
}

#[test]
fn a_base_dropped_meanwhile_closes_the_stream() {
    let _watchdog = bounded();
    let (_listener, there, _queue) = silent();
    for (host, turns) in [("localhost", 0), ("127.0.0.1", 0), ("127.0.0.1", 1)] {
        let mut base = EventBase::new().unwrap();
        let dropped = count();
        let connect = || {
            let handler = silence(&dropped);
            BufferEvent::connect_host(&base, host, there.port(), handler).unwrap()
        };
        connect().detach();
        let kept = connect();
        for _ in 0..turns {
            base.run_nonblocking().unwrap();
        }
        drop(base);
        assert!(kept.is_closed());
        assert_eq!(dropped.get(), 2);
    }
}

#[test]
fn the_write_timeout_bounds_the_whole_attempt() {
    let _watchdog = bounded();
    let (_listener, there, _queue) = silent();
    let mut base = EventBase::new().unwrap();
    let heard = Heard::default();
    for host in ["localhost", "127.0.0.1"] {
        let stream = BufferEvent::connect_host(&base, host, there.port(), noting(&heard)).unwrap();
        stream
            .set_timeouts(None, Some(Duration::from_millis(30)))
            .unwrap();
        stream.detach();
        base.run().unwrap();
    }
    let port = there.port();
    assert_eq!(
        *heard.borrow(),
        [
            format!("localhost:{port}: no connection in time"),
            format!("127.0.0.1:{port}: no connection in time"),
        ]
    );
}

#[test]
fn a_write_timeout_taken_back_bounds_nothing_and_one_of_the_connection_goes_on() {
    let _watchdog = bounded();
    let (listener, there) = listening();
    let mut base = EventBase::new().unwrap();
    let heard = Heard::default();
    let stream =
        BufferEvent::connect_host(&base, "localhost", there.port(), noting(&heard)).unwrap();
    stream
        .set_timeouts(None, Some(Duration::from_nanos(1)))
        .unwrap();
    stream
        .set_timeouts(Some(Duration::from_millis(30)), None)
        .unwrap();
    base.run().unwrap();
    drop(listener);
    assert_eq!(
        *heard.borrow(),
        [
            format!("connected to {there}"),
            "TimedOut(Direction(READ))".into()
        ]
    );
}

#[test]
fn a_base_without_locks_will_do() {
    let _watchdog = bounded();
    let (listener, there) = listening();
    let mut base = EventConfig::new().no_lock().build().unwrap();
    let heard = Heard::default();
    BufferEvent::connect_host(&base, "localhost", there.port(), noting(&heard))
        .unwrap()
        .detach();
    let peer = thread::spawn(move || drop(listener.accept().unwrap()));
    base.run().unwrap();
    peer.join().unwrap();
    assert_eq!(
        *heard.borrow(),
        [format!("connected to {there}"), "Eof".into()]
    );
}

#[test]
fn many_names_at_once_are_all_looked_up() {
    const MANY: usize = 100;
    let _watchdog = bounded();
    let (listener, there) = listening();
    let mut base = EventBase::new().unwrap();
    let connected = count();
    for _ in 0..MANY {
        let connected = connected.clone();
        let handler = Callbacks::new().on_event(move |stream, event| {
            assert!(matches!(event, StreamEvent::Connected), "{event:?}");
            connected.bump();
            stream.close();
        });
        BufferEvent::connect_host(&base, "localhost", there.port(), handler)
            .unwrap()
            .detach();
    }
    let peer = thread::spawn(move || {
        let accepted: Vec<_> = (0..MANY).map(|_| listener.accept().unwrap()).collect();
        accepted.len()
    });
    base.run().unwrap();
    assert_eq!(connected.get(), MANY);
    assert_eq!(peer.join().unwrap(), MANY);
}
