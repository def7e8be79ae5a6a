//! libevent's own regress cases (test/regress.c, group `main`): how a peer that closes is noticed.
//! The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, bounded, count};
use libevent2::{
    Error, EventBase, EventBuilder, EventConfig, Features, Interest, LoopEnd, Ready, Timer,
};
use regress::{pair, stuff};
use std::cell::Cell;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn simpleclose_rw() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let closed = Rc::new(Cell::new(false));
    let record = |source: Rc<UnixStream>, interest| {
        let got = Rc::new(Cell::new(None));
        let (seen, closed) = (Rc::clone(&got), Rc::clone(&closed));
        let event = EventBuilder::new(interest)
            .once()
            .build(&base, source, move |_, ready| {
                assert!(closed.get(), "nothing happened yet");
                seen.set(Some(ready));
            })
            .unwrap();
        (got, event)
    };

    let (there_read, here_read) = pair();
    let (there_write, here_write) = pair();
    // As long as its buffer is full there is nothing to write to.
    stuff(&here_write);
    let read = record(here_read, Interest::READ);
    let write = record(here_write, Interest::WRITE);
    let close = Timer::after(&base, Duration::from_millis(100), move |_| {
        drop((there_read, there_write));
        closed.set(true);
    })
    .unwrap();

    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(read.0.get(), Some(Ready::READ));
    assert_eq!(write.0.get(), Some(Ready::WRITE));
    assert!(close.is_closed());
}

#[derive(Clone, Copy)]
enum How {
    Close,
    Shutdown,
}

fn simpleclose(how: How, persist: bool, edge: bool) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    let interest = match edge {
        true => Interest::CLOSED | Interest::EDGE,
        false => Interest::CLOSED,
    };
    let mut builder = EventBuilder::new(interest);
    if !persist {
        builder = builder.once();
    }
    let needed = match edge {
        true => Features::EARLY_CLOSE | Features::EDGE,
        false => Features::EARLY_CLOSE,
    };
    let calls = count();
    let seen = Rc::clone(&calls);
    let event = builder.build(&base, here, move |_, ready| {
        assert_eq!(ready, Ready::CLOSED);
        seen.bump();
    });
    if !base.features().contains(needed) {
        assert!(matches!(event, Err(Error::Unsupported { .. })));
        return;
    }
    let event = event.unwrap();
    assert_eq!(event.interest(), interest);
    assert_eq!(base.run_nonblocking().unwrap(), LoopEnd::Turn);
    assert_eq!(calls.get(), 0, "nothing happened yet");

    let _open = match how {
        How::Close => {
            drop(there);
            None
        }
        How::Shutdown => {
            there.shutdown(Shutdown::Write).unwrap();
            Some(there)
        }
    };
    assert_eq!(base.run_nonblocking().unwrap(), LoopEnd::Turn);
    assert_eq!(calls.get(), 1);

    // The state lasts: an event that stays hears of it in each turn, unless it is edge-triggered.
    let again = base.run_nonblocking().unwrap();
    assert_eq!(event.is_pending(), persist);
    match persist {
        true => assert_eq!(again, LoopEnd::Turn),
        false => assert_eq!(again, LoopEnd::NoEvents),
    }
    assert_eq!(calls.get(), if persist && !edge { 2 } else { 1 });
}

#[test]
fn simpleclose_close() {
    simpleclose(How::Close, false, false);
}

#[test]
fn simpleclose_shutdown() {
    simpleclose(How::Shutdown, false, false);
}

#[test]
fn simpleclose_close_persist() {
    simpleclose(How::Close, true, false);
}

#[test]
fn simpleclose_shutdown_persist() {
    simpleclose(How::Shutdown, true, false);
}

#[test]
fn simpleclose_close_et() {
    simpleclose(How::Close, false, true);
}

#[test]
fn simpleclose_shutdown_et() {
    simpleclose(How::Shutdown, false, true);
}

#[test]
fn simpleclose_close_persist_et() {
    simpleclose(How::Close, true, true);
}

#[test]
fn simpleclose_shutdown_persist_et() {
    simpleclose(How::Shutdown, true, true);
}

#[test]
fn a_back_end_without_it_refuses_to_watch_for_a_close() {
    let _watchdog = bounded();
    let methods = libevent2::supported_methods();
    for only in &methods {
        let others = methods.iter().filter(|method| *method != only);
        let config = others.fold(EventConfig::new(), |config, method| {
            config.avoid_method(method)
        });
        let base = config.build().unwrap();
        for (interest, feature) in [
            (Interest::CLOSED, Features::EARLY_CLOSE),
            (Interest::READ | Interest::EDGE, Features::EDGE),
        ] {
            let (here, _there) = pair();
            let result = EventBuilder::new(interest).build(&base, here, |_, _| ());
            match base.features().contains(feature) {
                true => assert!(result.is_ok(), "{only} {interest:?}"),
                false => assert!(
                    matches!(result, Err(Error::Unsupported { .. })),
                    "{only} {interest:?}"
                ),
            }
        }
    }
}
