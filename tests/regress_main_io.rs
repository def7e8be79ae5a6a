//! libevent's own regress cases (test/regress.c, group `main`): readiness of descriptors.
//! The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, DropCount, bounded, count};
use libevent2::{
    Error, Event, EventBase, EventBuilder, EventConfig, EventRef, Interest, LoopEnd, Ready, Timer,
    supported_methods,
};
use regress::{TEXT, alone, pair, read, write};
use std::cell::{Cell, OnceCell, RefCell};
use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

type Stream = Rc<UnixStream>;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// An event that is called once, unless it is added again.
fn once(
    base: &EventBase,
    source: Stream,
    interest: Interest,
    callback: impl FnMut(&EventRef<Stream>, Ready) + 'static,
) -> Event<Stream> {
    let event = EventBuilder::new(interest).once();
    event.build(base, source, callback).unwrap()
}

#[test]
fn simpleread() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (there, here) = pair();
    write(&there, TEXT);
    there.shutdown(Shutdown::Write).unwrap();

    let reads = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&reads);
    let _event = once(&base, here, Interest::READ, move |event, ready| {
        assert_eq!(ready, Ready::READ);
        assert!(!event.is_pending());
        let length = read(event.source());
        seen.borrow_mut().push(length);
        if length > 0 {
            event.add().unwrap();
        }
    });
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(*reads.borrow(), [TEXT.len(), 0]);
}

#[test]
fn simpleread_multiple() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (there, here) = pair();
    write(&there, TEXT);
    there.shutdown(Shutdown::Write).unwrap();

    let calls = [count(), count()];
    let _events = calls.each_ref().map(|calls| {
        let seen = Rc::clone(calls);
        once(&base, Rc::clone(&here), Interest::READ, move |_, _| {
            seen.bump();
        })
    });
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.map(|calls| calls.get()), [1, 1]);
}

#[test]
fn simplewrite() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    let _event = once(&base, here, Interest::WRITE, |event, ready| {
        assert_eq!(ready, Ready::WRITE);
        write(event.source(), TEXT);
    });
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    let mut text = [0; 64];
    assert_eq!((&*there).read(&mut text).unwrap(), TEXT.len());
    assert_eq!(&text[..TEXT.len()], TEXT);
}

/// 4096 bytes from one end to the other, in pieces of 128, by a writer and a reader that stay, or
/// that add themselves again each time.
fn many_pieces(persist: bool) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    let sent: Vec<u8> = (0..4096).map(|i| i as u8).collect();
    let builder = |interest| match persist {
        true => EventBuilder::new(interest),
        false => EventBuilder::new(interest).once(),
    };

    let mut left = sent.clone();
    let writer = builder(Interest::WRITE)
        .build(&base, here, move |event, _| {
            let rest = left.split_off(left.len().min(128));
            write(event.source(), &left);
            left = rest;
            if left.is_empty() {
                event.source().shutdown(Shutdown::Write)?;
                event.remove();
            } else if !persist {
                event.add()?;
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })
        .unwrap();
    let received = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&received);
    let reader = builder(Interest::READ)
        .build(&base, there, move |event, _| {
            let mut piece = [0; 4096];
            let length = (&**event.source()).read(&mut piece)?;
            seen.borrow_mut().extend_from_slice(&piece[..length]);
            if length == 0 {
                event.remove();
            } else if !persist {
                event.add()?;
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })
        .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(*received.borrow() == sent, "the bytes differ");
    assert!(!writer.is_pending() && !reader.is_pending());
}

#[test]
fn multiple() {
    many_pieces(false);
}

#[test]
fn persistent() {
    many_pieces(true);
}

#[test]
fn combined() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    // On each end a reader, which counts, and a writer, which writes so many bytes.
    let end = |stream: Stream, bytes: usize| {
        let total = Rc::new(Cell::new(0));
        let seen = Rc::clone(&total);
        let reader = once(
            &base,
            Rc::clone(&stream),
            Interest::READ,
            move |event, _| {
                let length = read(event.source());
                seen.set(seen.get() + length);
                if length > 0 {
                    event.add().unwrap();
                }
            },
        );
        let mut left = bytes;
        let writer = once(&base, stream, Interest::WRITE, move |event, _| {
            let length = left.min(128);
            if length == 0 {
                event.source().shutdown(Shutdown::Write).unwrap();
                return;
            }
            left -= (&**event.source()).write(&[b'q'; 128][..length]).unwrap();
            event.add().unwrap();
        });
        (total, reader, writer)
    };
    let (first, second) = (end(here, 4096), end(there, 8192));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(first.0.get(), 8192);
    assert_eq!(second.0.get(), 4096);
}

#[test]
fn nonpersist_readd() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    write(&here, b"Hello");
    write(&there, b"Hello");

    let events: Rc<[OnceCell<Event<Stream>>; 2]> = Rc::default();
    let calls = count();
    let last_added = Rc::new(Cell::new(None));
    for (own, stream) in [here, there].into_iter().enumerate() {
        let (both, calls, last_added) = (Rc::downgrade(&events), calls.clone(), last_added.clone());
        let event = once(&base, stream, Interest::READ, move |event, _| {
            calls.bump();
            assert_eq!(read(event.source()), 5);
            let other = 1 - own;
            let both = both.upgrade().expect("the test holds them");
            both[other].get().expect("made").add().unwrap();
            last_added.set(Some(other));
        });
        assert!(events[own].set(event).is_ok());
    }
    assert_eq!(base.run_once().unwrap(), LoopEnd::Turn);
    assert_eq!(calls.get(), 2);
    // Whichever came first added the second, which was taken out again before its callback ran;
    // that one then added the first.
    let last = last_added.get().expect("called");
    let pending = [0, 1].map(|i| events[i].get().expect("made").pending());
    assert_eq!(pending[last], Ready::READ);
    assert_eq!(pending[1 - last], Ready::empty());
}

#[test]
fn multiple_events_for_same_fd() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    let got = Rc::new(Cell::new(Ready::empty()));
    let watch = |interest| {
        let seen = Rc::clone(&got);
        once(&base, Rc::clone(&here), interest, move |_, ready| {
            seen.set(seen.get() | ready);
        })
    };
    let read = watch(Interest::READ);
    let write_event = watch(Interest::WRITE);
    assert_eq!(base.run_once().unwrap(), LoopEnd::Turn);
    assert_eq!(got.get(), Ready::WRITE);
    drop(write_event);
    assert!(read.is_pending());

    write(&there, TEXT);
    assert_eq!(base.run_once().unwrap(), LoopEnd::Turn);
    assert_eq!(got.get(), Ready::READ | Ready::WRITE);
}

#[test]
fn want_only_once() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (there, here) = pair();
    write(&there, TEXT);
    base.exit_after(ms(300)).unwrap();

    let calls = count();
    let seen = Rc::clone(&calls);
    let _event = once(&base, here, Interest::READ, move |event, _| {
        seen.bump();
        assert_eq!(read(event.source()), TEXT.len());
        // There is more at once, but it was not asked for.
        write(&there, TEXT);
    });
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(calls.get(), 1);
}

#[test]
fn event_once() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    let order = Rc::new(RefCell::new(Vec::new()));
    let note = |what: &'static str| {
        let order = Rc::clone(&order);
        move || order.borrow_mut().push(what)
    };

    let call = note("read");
    let read = Event::once(&base, here, Interest::READ, None, move |_, ready| {
        assert_eq!(ready, Ready::READ);
        call();
    });
    read.unwrap().detach();
    let call = note("later");
    let later = Timer::after(&base, ms(50), move |_| call());
    later.unwrap().detach();
    for _ in 0..2 {
        let call = note("at once");
        let timer = Timer::after(&base, Duration::ZERO, move |_| call());
        timer.unwrap().detach();
    }
    // Nothing to wait for.
    let nothing = Event::once(&base, Rc::clone(&there), Interest::empty(), None, |_, _| ());
    assert!(matches!(nothing, Err(Error::Invalid { .. })));

    write(&there, TEXT);
    there.shutdown(Shutdown::Write).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    let mut calls = order.borrow().clone();
    assert_eq!(calls.last(), Some(&"later"));
    calls.sort_unstable();
    assert_eq!(calls, ["at once", "at once", "later", "read"]);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn event_once_never() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let dropped = count();
    let held = DropCount(Rc::clone(&dropped));
    let never = Timer::after(&base, Duration::from_secs(1000), move |_| -> () {
        let _held = &held;
        panic!("the base ends before that")
    });
    never.unwrap().detach();
    base.exit_after(ms(75)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(dropped.get(), 0);
    drop(base);
    assert_eq!(dropped.get(), 1, "what never ran is freed with the base");
}

#[test]
fn event_pending() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let (here, there) = pair();
    let read = EventBuilder::new(Interest::READ).paused();
    let read = read.build(&base, here, |_, _| ()).unwrap();
    let write = EventBuilder::new(Interest::WRITE).paused();
    let write = write.build(&base, there, |_, _| ()).unwrap();
    let timer = Timer::new(&base, |_| ()).unwrap();
    assert!(!read.is_pending() && !write.is_pending() && !timer.is_pending());
    assert_eq!(timer.remaining(), None);

    read.add().unwrap();
    timer.set(ms(500)).unwrap();
    assert!(read.is_pending() && !write.is_pending() && timer.is_pending());
    assert_eq!(read.pending(), Ready::READ);
    assert_eq!(write.pending(), Ready::empty());
    assert_eq!(read.remaining(), None);
    let remaining = timer.remaining().expect("it is set");
    assert!(remaining > ms(50) && remaining <= ms(520), "{remaining:?}");

    read.set_timeout(Some(ms(500).into())).unwrap();
    assert_eq!(read.pending(), Ready::READ | Ready::TIMEOUT);
    assert!(read.remaining().is_some());
    read.close();
    assert_eq!(read.pending(), Ready::empty());
}

#[test]
fn event_closed_fd_poll() {
    let _watchdog = bounded();
    if !supported_methods().iter().any(|method| method == "poll") {
        return;
    }
    // The original closes a descriptor under its event, which poll() then complains of. Here the
    // event keeps it open, whoever drops the socket.
    let others = supported_methods()
        .into_iter()
        .filter(|name| name != "poll");
    let config = others.fold(EventConfig::new(), |config, method| {
        config.avoid_method(&method)
    });
    let mut base = config.build().unwrap();
    assert_eq!(base.method(), "poll");
    let (here, there) = pair();
    let got = Rc::new(Cell::new(None));
    let seen = Rc::clone(&got);
    let event = EventBuilder::new(Interest::READ)
        .once()
        .timeout(Duration::from_secs(30))
        .build(&base, Rc::clone(&here), move |event, ready| {
            seen.set(Some(ready));
            assert_eq!(read(event.source()), TEXT.len());
        })
        .unwrap();
    drop(here);
    assert!(event.pending().contains(Ready::READ));
    write(&there, TEXT);
    assert_eq!(base.run_once().unwrap(), LoopEnd::Turn);
    assert_eq!(got.get(), Some(Ready::READ));
    // With the event the descriptor goes, and the peer hears of it: once a copy of it is gone too,
    // which a process has for a moment that another test starts.
    drop(event);
    there.set_nonblocking(false).unwrap();
    assert_eq!(read(&there), 0);
}

#[test]
fn dup_fd() {
    let _watchdog = bounded();
    // The number of the second descriptor has to come back, so no other test may take it.
    alone("dup_fd", || {
        let mut base = EventBase::new().unwrap();
        let (there, here) = pair();
        write(&there, b"Hello world");
        let handle = base.handle().clone();
        let watch = |fd: OwnedFd, interest| {
            let got = Rc::new(Cell::new(None));
            let seen = Rc::clone(&got);
            let event = Event::new(&handle, fd, interest, move |_, ready| seen.set(Some(ready)));
            (got, event.unwrap())
        };
        let copy = || OwnedFd::from(here.try_clone().unwrap());
        let original = watch(copy(), Interest::READ);
        let duplicate = watch(copy(), Interest::READ);
        let number = duplicate.1.fd();
        assert_ne!(number, original.1.fd());

        base.run_once().unwrap();
        assert_eq!(original.0.take(), Some(Ready::READ));
        assert_eq!(duplicate.0.take(), Some(Ready::READ));

        // Closed and run without it, so that the loop takes notice.
        let got = duplicate.0;
        drop(duplicate.1);
        base.run_once().unwrap();
        assert_eq!(original.0.take(), Some(Ready::READ));
        assert_eq!(got.take(), None);

        // The same number for the same socket, to be watched for something else: epoll may still
        // know of the old one.
        let again = watch(copy(), Interest::WRITE);
        assert_eq!(again.1.fd(), number);
        assert_eq!(again.1.source().as_raw_fd(), number);
        base.run_once().unwrap();
        assert_eq!(original.0.take(), Some(Ready::READ));
        assert_eq!(again.0.take(), Some(Ready::WRITE));
        assert_eq!(got.take(), None);
    });
}

/// More events than a back end has room for at first, all ready: in a datagram socket there is room
/// to write at once.
const MANY: usize = 70;

#[test]
fn many_events() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls: [_; MANY] = std::array::from_fn(|_| count());
    let events = calls.each_ref().map(|calls| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let seen = Rc::clone(calls);
        let callback = move |_: &_, ready| {
            assert_eq!(ready, Ready::WRITE);
            seen.bump();
        };
        let event = EventBuilder::new(Interest::WRITE).once();
        event.build(&base, socket, callback).unwrap()
    });
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.map(|calls| calls.get()), [1; MANY]);
    assert!(events.iter().all(|event| !event.is_pending()));
}

#[test]
fn many_events_slow_add() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls: [_; MANY] = std::array::from_fn(|_| count());
    let events = calls.each_ref().map(|calls| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let seen = Rc::clone(calls);
        let callback = move |_: &_, _| {
            seen.bump();
        };
        let event = Event::new(&base, socket, Interest::WRITE, callback).unwrap();
        assert_eq!(base.run_nonblocking().unwrap(), LoopEnd::Turn);
        event
    });
    assert_eq!(base.run_nonblocking().unwrap(), LoopEnd::Turn);
    for (i, (calls, event)) in calls.iter().zip(&events).enumerate() {
        assert!(event.is_pending());
        // Once in each turn since it was made, and once in the last.
        assert_eq!(calls.get(), MANY - i + 1, "event {i}");
    }
}
