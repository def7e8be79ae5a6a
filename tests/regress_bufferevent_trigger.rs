//! libevent's own regress cases for streams (test/regress_bufferevent.c): callbacks and events that
//! a program triggers. The whole list is in docs/regress.md.
#![cfg(unix)]

mod common;
#[path = "common/streams.rs"]
mod streams;

use common::{Bump, Count, bounded, count};
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Direction, StreamEvent};
use libevent2::{Error, EventBase, LoopEnd, Timer};
use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;
use streams::{Over, take_text};

/// The event that nothing but the program can be the cause of.
const TRIGGERED: StreamEvent = StreamEvent::TimedOut(Direction::BOTH);

fn on_event(stream: &BufferEventRef, event: StreamEvent) -> Result<(), Error> {
    match event {
        StreamEvent::TimedOut(Direction::BOTH) => stream.handle().exit(),
        StreamEvent::Connected => stream.enable(Direction::READ)?,
        StreamEvent::Eof => take_text(stream),
        event => panic!("{event:?}"),
    }
    Ok(())
}

/// Triggers the reading twice: the low watermark holds it back, and then does not.
fn trigger(stream: &BufferEventRef, reads: &Count) -> Result<(), Error> {
    let (expected, seen) = (reads.get(), reads.clone());
    let triggered = move |stream: &BufferEventRef| {
        seen.bump();
        stream.trigger_event(TRIGGERED)
    };
    stream.set_handler(Callbacks::new().on_read(triggered).on_event(on_event))?;

    let (low, high) = stream.watermarks(Direction::READ)?;
    stream.set_watermarks(Direction::READ, stream.input().len() + 1, 0)?;
    stream.trigger(Direction::READ)?;
    assert_eq!(reads.get(), expected);
    stream.trigger_always(Direction::READ)?;
    // The loop calls, where C calls from in here.
    assert_eq!(reads.get(), expected);
    stream.set_watermarks(Direction::READ, low, high)
}

/// In its own callback, or in another one.
fn triggers(over: Over, postpone: bool) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (listener, address) = over.sender(&base);
    listener.enable().unwrap();
    let (reads, slot) = (count(), Rc::new(OnceCell::<BufferEvent>::new()));
    let (seen, itself) = (reads.clone(), Rc::clone(&slot));
    let on_read = move |stream: &BufferEventRef| {
        seen.bump();
        if !postpone {
            return trigger(stream, &seen);
        }
        let (seen, itself) = (seen.clone(), Rc::clone(&itself));
        let later = Timer::after(stream.handle(), Duration::from_millis(10), move |_| {
            trigger(itself.get().expect("it is there"), &seen)
        });
        later?.detach();
        Ok(())
    };
    let handler = Callbacks::new().on_read(on_read).on_event(on_event);
    let stream = over.connect(&base, address, handler);
    stream.enable(Direction::READ).unwrap();
    slot.set(stream).expect("the only one");
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(reads.get(), 2);
}

#[test]
fn bufferevent_trigger() {
    triggers(Over::Sockets, false);
}

/// C's callbacks are deferred for a stream over another one.
#[test]
fn bufferevent_trigger_defer() {
    triggers(Over::Filters, false);
}

#[test]
fn bufferevent_trigger_postpone() {
    triggers(Over::Sockets, true);
}

#[test]
fn bufferevent_trigger_defer_postpone() {
    triggers(Over::Filters, true);
}
