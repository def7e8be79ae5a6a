//! How long one of a pair may have something to write that the other one does not take.

mod common;

use common::bounded;
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Direction, Filter, StreamEvent};
use libevent2::{EventBase, LoopEnd, Timer};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_millis(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

type Times = Rc<RefCell<Vec<Instant>>>;

/// The first one, which notes its timeouts, and the second one, which does not read yet.
fn pair(base: &EventBase, times: &Times) -> (BufferEvent, BufferEvent) {
    let seen = Rc::clone(times);
    let handler = Callbacks::new().on_event(move |stream: &BufferEventRef, event| {
        if let StreamEvent::Eof = event {
            return;
        }
        assert!(
            matches!(event, StreamEvent::TimedOut(Direction::WRITE)),
            "{event:?}"
        );
        assert_eq!(stream.enabled(), Direction::READ);
        seen.borrow_mut().push(Instant::now());
    });
    let (first, second) = BufferEvent::pair(base, handler, Callbacks::new()).unwrap();
    second.disable(Direction::READ).unwrap();
    (first, second)
}

#[test]
fn it_counts_from_the_write() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let times = Times::default();
    let (first, _second) = pair(&base, &times);
    first.set_timeouts(None, Some(LIMIT)).unwrap();
    base.run_nonblocking().unwrap();
    let start = Instant::now();
    first.write(b"nobody takes this").unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(times.borrow().len(), 1);
    assert!(times.borrow()[0] - start >= LIMIT - ms(10));
    assert_eq!(first.output().len(), 17);
    // Once more when it is enabled again, and not when there is no limit.
    first.enable(Direction::WRITE).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(times.borrow().len(), 2);
    first.set_timeouts(None, None).unwrap();
    first.enable(Direction::WRITE).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(times.borrow().len(), 2);
}

#[test]
fn it_counts_for_what_a_filter_has_written() {
    struct Plain;
    impl Filter for Plain {}
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let times = Times::default();
    let (below, _second) = pair(&base, &times);
    let seen = Rc::clone(&times);
    let handler = Callbacks::new().on_event(move |stream: &BufferEventRef, event| {
        assert!(
            matches!(event, StreamEvent::TimedOut(Direction::WRITE)),
            "{event:?}"
        );
        assert_eq!(stream.enabled(), Direction::READ);
        seen.borrow_mut().push(Instant::now());
    });
    let filter = BufferEvent::filter(below, Plain, handler).unwrap();
    filter.set_timeouts(None, Some(LIMIT)).unwrap();
    filter.write(b"nobody takes this").unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(times.borrow().len(), 1);
}

#[test]
fn it_ends_when_all_was_taken() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let times = Times::default();
    let (first, second) = pair(&base, &times);
    first.write(b"somebody takes this").unwrap();
    first.set_timeouts(None, Some(LIMIT)).unwrap();
    second.enable(Direction::READ).unwrap();
    assert!(first.output().is_empty());
    base.exit_after(LIMIT + ms(40)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert!(times.borrow().is_empty());
    assert_eq!(first.enabled(), Direction::BOTH);
}

#[test]
fn it_begins_anew_when_something_was_taken_and_not_when_more_was_written() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let times = Times::default();
    let (first, second) = pair(&base, &times);
    let (first, second) = (Rc::new(first), Rc::new(second));
    first.set_timeouts(None, Some(4 * LIMIT)).unwrap();
    second.set_watermarks(Direction::READ, 0, 4).unwrap();
    let start = Instant::now();
    first.write(b"four and more").unwrap();
    let (writer, taker) = (Rc::clone(&first), Rc::clone(&second));
    let _take = Timer::after(&base, 2 * LIMIT, move |_| taker.enable(Direction::READ)).unwrap();
    let _write = Timer::after(&base, 3 * LIMIT, move |_| writer.write(b" still")).unwrap();
    // A handler that leaves its input as it is.
    second
        .set_handler(Callbacks::new().on_read(|_| ()))
        .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(times.borrow().len(), 1);
    let after = times.borrow()[0] - start;
    assert!(after >= 6 * LIMIT - ms(10), "{after:?}");
    assert!(after < 7 * LIMIT - ms(10), "{after:?}");
    assert_eq!(second.input().len(), 4);
}

#[test]
fn either_may_go_while_it_counts() {
    let _watchdog = bounded();
    for which in 0..2 {
        let mut base = EventBase::new().unwrap();
        let times = Times::default();
        let (first, second) = pair(&base, &times);
        first.set_timeouts(None, Some(LIMIT)).unwrap();
        first.write(b"nobody takes this").unwrap();
        match which {
            0 => drop(first),
            _ => drop(second),
        }
        base.run_nonblocking().unwrap();
    }
}
