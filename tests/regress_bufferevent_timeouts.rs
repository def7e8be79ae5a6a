//! libevent's own regress cases for streams (test/regress_bufferevent.c): timeouts. The whole list
//! is in docs/regress.md.
#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;
#[path = "common/streams.rs"]
mod streams;

use common::bounded;
use libevent2::stream::{BufferEvent, BufferEventRef, Direction, Handler, StreamEvent};
use libevent2::{BoxError, EventBase, LoopEnd};
use regress::{assert_about, pair, stuff};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use streams::Over;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// When which direction had its timeout. Anything else fails.
#[derive(Clone, Default)]
struct Timeouts(Rc<RefCell<Vec<(Direction, Instant)>>>);

impl Handler for Timeouts {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        panic!("it has read {:?}", stream.input());
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        panic!("it has written all but {:?}", stream.output());
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        let StreamEvent::TimedOut(direction) = event else {
            panic!("{event:?}");
        };
        assert!(!stream.enabled().contains(direction));
        self.0.borrow_mut().push((direction, Instant::now()));
        Ok(())
    }
}

/// The original's streams have no socket. Here there is one, which takes nothing.
fn ends(
    over: Over,
    base: &EventBase,
    one: &Timeouts,
    two: &Timeouts,
) -> (BufferEvent, BufferEvent) {
    let (one, two) = (one.clone(), two.clone());
    if matches!(over, Over::Pair | Over::PairFilters) {
        return over.ends(base, one, two);
    }
    let (here, there) = pair();
    stuff(&here);
    let here = Rc::into_inner(here).expect("the only one");
    let there = Rc::into_inner(there).expect("the only one");
    (over.accept(base, here, one), over.accept(base, there, two))
}

fn timeouts(over: Over) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (seen1, seen2) = (Timeouts::default(), Timeouts::default());
    let (first, second) = ends(over, &base, &seen1, &seen2);
    second.disable(Direction::READ).unwrap();

    // It tries to read and to write.
    let start = Instant::now();
    first.set_timeouts(Some(ms(150)), Some(ms(100))).unwrap();
    first.write(b"ABCDEFG").unwrap();
    first.enable(Direction::BOTH).unwrap();
    // It has nothing to say, and does not listen.
    second.set_timeouts(Some(ms(100)), Some(ms(200))).unwrap();
    second.enable(Direction::WRITE).unwrap();

    base.exit_after(ms(350)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    let seen = seen1.0.borrow();
    let directions: Vec<_> = seen.iter().map(|(direction, _)| *direction).collect();
    assert_eq!(directions, [Direction::WRITE, Direction::READ]);
    assert_about(seen[0].1 - start, ms(100));
    assert_about(seen[1].1 - start, ms(150));
    assert!(seen2.0.borrow().is_empty(), "{:?}", seen2.0);
    assert_eq!(second.enabled(), Direction::WRITE);
}

#[test]
fn bufferevent_timeout() {
    timeouts(Over::Sockets);
}

#[test]
fn bufferevent_timeout_pair() {
    timeouts(Over::Pair);
}

#[test]
fn bufferevent_timeout_filter() {
    timeouts(Over::Filters);
}

#[test]
fn bufferevent_timeout_filter_pair() {
    timeouts(Over::PairFilters);
}
