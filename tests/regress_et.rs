//! libevent's own regress cases for edge-triggered events (test/regress_et.c). The whole list is in
//! docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, bounded, count};
use libevent2::{Error, Event, EventBase, EventBuilder, Features, Interest, LoopEnd, Ready};
use regress::{pair, write};
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

const READ_EDGE: Interest = Interest::READ.union(Interest::EDGE);
const WRITE_EDGE: Interest = Interest::WRITE.union(Interest::EDGE);

#[test]
fn et() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (there, here) = pair();
    write(&there, b"test string\0");
    there.shutdown(Shutdown::Write).unwrap();

    let calls = count();
    let callback = |calls: &common::Count| {
        let seen = Rc::clone(calls);
        move |event: &libevent2::EventRef<Rc<UnixStream>>, ready| {
            assert_eq!(ready, Ready::READ);
            seen.bump();
            // One byte of many.
            assert_eq!((&**event.source()).read(&mut [0]).unwrap(), 1);
        }
    };
    if !base.features().contains(Features::EDGE) {
        let refused = Event::new(&base, here, READ_EDGE, callback(&calls));
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
        return;
    }
    let event = Event::new(&base, Rc::clone(&here), READ_EDGE, callback(&calls)).unwrap();
    assert_eq!(event.interest(), READ_EDGE);
    assert_eq!(base.run_nonblocking().unwrap(), LoopEnd::Turn);
    assert_eq!(base.run_nonblocking().unwrap(), LoopEnd::Turn);
    // There is more to read, but nothing changed.
    assert_eq!(calls.get(), 1);
    drop(event);

    // Not so without it: a call in each turn.
    let calls = count();
    let _event = Event::new(&base, here, Interest::READ, callback(&calls)).unwrap();
    base.run_nonblocking().unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(calls.get(), 2);
}

#[test]
fn et_mix_error() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    if !base.features().contains(Features::EDGE) {
        return;
    }
    let (here, there) = pair();
    let watch = |interest| EventBuilder::new(interest).build(&base, Rc::clone(&here), |_, _| ());
    let refused = |result: Result<_, Error>| match result {
        Err(Error::Invalid { what, .. }) => assert_eq!(what, "interest"),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("both modes on one descriptor"),
    };
    // Edge-triggered first, and then not.
    let edge = watch(READ_EDGE).unwrap();
    refused(watch(Interest::READ));
    refused(watch(Interest::WRITE));
    assert_eq!(edge.pending(), Ready::READ);
    // More of the same mode, and another descriptor: of course.
    let another = watch(WRITE_EDGE).unwrap();
    let level_there = Event::new(&base, there, Interest::READ, |_, _| ()).unwrap();
    drop(edge);
    refused(watch(Interest::READ));
    drop(another);

    // The other way round.
    let level = watch(Interest::READ).unwrap();
    refused(watch(READ_EDGE));
    assert_eq!(level.pending(), Ready::READ);
    level.close();
    let edge = watch(READ_EDGE).unwrap();
    assert_eq!(edge.pending(), Ready::READ);
    assert_eq!(level_there.pending(), Ready::READ);
}

#[test]
fn et_multiple_events() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    if !base.features().contains(Features::EDGE) {
        return;
    }
    let (there, here) = pair();
    write(&there, b"A");
    let watch = |interest, expected| {
        let calls = count();
        let seen = Rc::clone(&calls);
        let event = Event::new(&base, Rc::clone(&here), interest, move |_, ready| {
            assert_eq!(ready, expected);
            seen.bump();
        });
        (calls, event.unwrap())
    };
    let (reads, reader) = watch(READ_EDGE, Ready::READ);
    let (writes, writer) = watch(WRITE_EDGE, Ready::WRITE);
    base.run_nonblocking().unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!((reads.get(), writes.get()), (1, 1));

    // With one of two events gone the other must stay edge-triggered. The close of the peer is one
    // more edge.
    reader.remove();
    drop(there);
    base.run_nonblocking().unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!((reads.get(), writes.get()), (1, 2));
    assert!(writer.is_pending() && !reader.is_pending());
}
