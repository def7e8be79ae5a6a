//! libevent's own regress cases for streams (test/regress_bufferevent.c): what goes from one to the
//! other, with and without a flush. The whole list is in docs/regress.md.
#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;
#[path = "common/streams.rs"]
mod streams;

use common::bounded;
use libevent2::stream::StreamEvent;
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Direction, FlushMode, Handler};
use libevent2::{BoxError, EventBase, LoopEnd, ffi};
use regress::alone;
use streams::{Log, Over, bytes, name};

const LENGTH: usize = 8333;

struct End(&'static str, Log);

impl Handler for End {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        if stream.input().len() == LENGTH {
            let taken = stream.input().take();
            stream.disable(Direction::READ)?;
            assert_eq!(taken.to_vec(), bytes(LENGTH));
            self.1.add(format!("{} has all", self.0));
        }
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        if stream.output().is_empty() {
            self.1.add(format!("{} has sent", self.0));
        }
        Ok(())
    }

    fn on_event(&mut self, _: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        self.1.add(format!("{}: {}", self.0, name(&event)));
        Ok(())
    }
}

fn send(over: Over, flush: Option<FlushMode>, expected: &[&str]) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (first, second) = over.ends(&base, End("first", log.clone()), End("second", log.clone()));
    if over == Over::Pair {
        assert_eq!(first.raw_fd(), None);
        let is = |partner: &BufferEventRef, it: &BufferEventRef| std::ptr::eq(partner, it);
        assert_eq!(
            first.with_partner(|partner| is(partner, &second)),
            Some(true)
        );
        assert_eq!(
            second.with_partner(|partner| is(partner, &first)),
            Some(true)
        );
    } else {
        assert!(first.raw_fd().is_some());
        assert_eq!(first.with_partner(|_| ()), None);
        assert_eq!(second.with_partner(|_| ()), None);
    }
    first.disable(Direction::READ).unwrap();
    second.enable(Direction::READ).unwrap();
    assert_eq!(first.enabled(), Direction::WRITE);
    assert_eq!(second.enabled(), Direction::BOTH);

    first.write(&bytes(LENGTH)).unwrap();
    if let Some(mode) = flush {
        first.flush(Direction::WRITE, mode).unwrap();
    }
    // C calls from inside these.
    log.assert(&[]);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    log.assert(expected);

    drop(second);
    assert_eq!(first.with_partner(|_| ()), None);
    drop(first);
    log.assert(expected);
    assert_eq!(base.stats().live_total(), 0);
}

/// A socket holds nothing back, whatever the flush.
const OVER_SOCKETS: &[&str] = &["first has sent", "second has all"];

#[test]
fn bufferevent() {
    send(Over::Sockets, None, OVER_SOCKETS);
}

#[test]
fn bufferevent_flush_normal() {
    send(Over::Sockets, Some(FlushMode::Normal), OVER_SOCKETS);
}

#[test]
fn bufferevent_flush_flush() {
    send(Over::Sockets, Some(FlushMode::Flush), OVER_SOCKETS);
}

#[test]
fn bufferevent_flush_finished() {
    send(Over::Sockets, Some(FlushMode::Finished), OVER_SOCKETS);
}

const IN_A_PAIR: &[&str] = &["second has all", "first has sent"];

#[test]
fn bufferevent_pair() {
    send(Over::Pair, None, IN_A_PAIR);
}

#[test]
fn bufferevent_pair_flush_normal() {
    send(Over::Pair, Some(FlushMode::Normal), IN_A_PAIR);
}

#[test]
fn bufferevent_pair_flush_flush() {
    send(Over::Pair, Some(FlushMode::Flush), IN_A_PAIR);
}

/// Only here there is an event: the other one hears of the end, after what was written.
#[test]
fn bufferevent_pair_flush_finished() {
    let expected = ["second has all", "second: eof", "first has sent"];
    send(Over::Pair, Some(FlushMode::Finished), &expected);
}

#[test]
fn bufferevent_pair_flush() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let heard = log.clone();
    let handler = Callbacks::new().on_event(move |_, event| heard.add(name(&event)));
    let (first, second) = BufferEvent::pair(&base, Callbacks::new(), handler).unwrap();
    first.enable(Direction::WRITE).unwrap();
    second.enable(Direction::READ).unwrap();
    first.flush(Direction::WRITE, FlushMode::Finished).unwrap();
    base.run_once().unwrap();
    log.assert(&["eof"]);
}

/// libevent's own checks of its locks take the place of the original's: they end the process when
/// one is freed while it is held, or is given back by who has not got it.
#[test]
fn bufferevent_pair_release_lock() {
    alone("bufferevent_pair_release_lock", || {
        // SAFETY: no other thread, and no base yet.
        unsafe { ffi::evthread_enable_lock_debugging() };
        let mut base = EventBase::new().unwrap();
        let pair = BufferEvent::pair(&base, Callbacks::new(), Callbacks::new()).unwrap();
        drop(pair);
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(base.stats().live_total(), 0);
    });
}
