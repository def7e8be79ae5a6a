//! Handlers: what calls them, what replaces them, and what they may do to their own stream.

mod common;
mod stream_common;

use common::{DropCount, bounded, count};
use libevent2::stream::{
    BufferEvent, BufferEventRef, Callbacks, Direction, Handler, StreamError, StreamEvent,
};
use libevent2::{BoxError, Error, EventBase};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use stream_common::{Log, MOMENT, TOO_MUCH, noting, noting_and, run_for, run_until, sink};

fn stream(base: &EventBase, log: &Log) -> (BufferEvent, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(base, ours, noting(log)).unwrap();
    (stream, theirs)
}

// --- trigger --------------------------------------------------------------------------------------

#[test]
fn a_trigger_calls_the_handler_once_and_from_the_loop() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    for direction in [Direction::READ, Direction::WRITE] {
        stream.trigger(direction).unwrap();
        stream.trigger(direction).unwrap();
    }
    assert!(log.take().is_empty());
    base.run_nonblocking().unwrap();
    assert_eq!(log.take(), ["read 0", "sent"]);
    base.run_nonblocking().unwrap();
    assert!(log.take().is_empty());
    stream.trigger(Direction::BOTH).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(log.take(), ["read 0", "sent"]);
}

#[test]
fn a_trigger_minds_the_watermarks_unless_it_is_told_not_to() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    stream.set_watermarks(Direction::READ, 10, 0).unwrap();
    stream.disable(Direction::WRITE).unwrap();
    stream.write(b"waits").unwrap();
    stream.trigger(Direction::BOTH).unwrap();
    base.run_nonblocking().unwrap();
    assert!(log.take().is_empty());
    stream.trigger_always(Direction::BOTH).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(log.take(), ["read 0", "sent"]);
}

#[test]
fn events_are_told_in_their_order_and_whole() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    let peer = stream.peer();
    stream.trigger_event(StreamEvent::Connected).unwrap();
    stream
        .trigger_event(StreamEvent::Failed(StreamError::Refused { peer }))
        .unwrap();
    stream
        .trigger_event(StreamEvent::TimedOut(Direction::BOTH))
        .unwrap();
    stream.trigger_event(StreamEvent::Eof).unwrap();
    assert!(log.take().is_empty());
    base.run_nonblocking().unwrap();
    assert_eq!(
        log.take(),
        [
            "connected",
            "failed: unnamed peer: connection refused",
            "timed out: Direction(READ | WRITE)",
            "eof",
        ]
    );
    // It was only said.
    assert_eq!(stream.enabled(), Direction::BOTH);
    assert!(!stream.is_closed());
}

#[test]
fn events_that_a_handler_triggers_come_after_it_has_returned() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handler = noting_and(&log, {
        let log = log.clone();
        move |stream, heard| {
            if heard == "read 1" {
                stream.trigger_event(StreamEvent::Eof).unwrap();
                stream.trigger_always(Direction::WRITE).unwrap();
                log.note("read is over");
            }
        }
    });
    let _stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    theirs.write_all(b"x").unwrap();
    run_for(&mut base, MOMENT);
    let heard = log.take();
    assert_eq!(heard[..2], ["read 1", "read is over"]);
    let mut rest = heard[2..].to_vec();
    rest.sort();
    assert_eq!(rest, ["eof", "sent"]);
}

#[test]
fn what_is_triggered_on_a_stream_that_closes_is_not_told() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    stream.trigger_event(StreamEvent::Eof).unwrap();
    stream.trigger_always(Direction::BOTH).unwrap();
    stream.write(b"sent with the end").unwrap();
    stream.close();
    base.run().unwrap();
    assert!(log.take().is_empty());
}

#[test]
fn the_first_of_several_events_may_close_the_stream() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let closing = noting_and(&log, |stream, _| stream.close());
    let stream = BufferEvent::from_socket(&base, ours, closing).unwrap();
    stream.trigger_event(StreamEvent::Connected).unwrap();
    stream.trigger_event(StreamEvent::Eof).unwrap();
    base.run().unwrap();
    assert_eq!(log.take(), ["connected"]);
    assert!(stream.is_closed());
}

// --- another handler ------------------------------------------------------------------------------

#[test]
fn a_handler_that_is_replaced_is_dropped_once_and_hears_no_more() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let dropped = count();
    let held = DropCount(dropped.clone());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let first = Callbacks::new().on_read(move |_| -> () { panic!("{:p}", &held) });
    let stream = BufferEvent::from_socket(&base, ours, first).unwrap();
    let log = Log::default();
    stream.set_handler(noting(&log)).unwrap();
    assert_eq!(dropped.get(), 1);
    theirs.write_all(b"x").unwrap();
    base.run_once().unwrap();
    assert_eq!(log.take(), ["read 1"]);
}

#[test]
fn in_each_callback_a_new_handler_takes_over_when_it_returns() {
    let _watchdog = bounded();
    /// Replaces itself in the callback of this name, twice.
    struct Replacing(&'static str, Log, DropCount);
    impl Replacing {
        fn heard(&self, name: &str, stream: &BufferEventRef) -> Result<(), BoxError> {
            assert_eq!(name, self.0, "the new handler hears the rest");
            stream.set_handler(sink())?;
            stream.set_handler(noting(&self.1))?;
            // It is still here.
            assert_eq!((self.2).0.get(), 0);
            self.1.note("replaced");
            Ok(())
        }
    }
    impl Handler for Replacing {
        fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
            self.heard("read", stream)
        }
        fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
            self.heard("write", stream)
        }
        fn on_event(&mut self, stream: &BufferEventRef, _: StreamEvent) -> Result<(), BoxError> {
            self.heard("event", stream)
        }
    }
    for place in ["read", "write", "event"] {
        let mut base = EventBase::new().unwrap();
        let (log, dropped) = (Log::default(), count());
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let handler = Replacing(place, log.clone(), DropCount(dropped.clone()));
        let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
        match place {
            "read" => stream.trigger(Direction::READ).unwrap(),
            "write" => stream.trigger(Direction::WRITE).unwrap(),
            _ => stream.trigger_event(StreamEvent::Connected).unwrap(),
        }
        run_until(&mut base, || log.count("replaced") == 1);
        assert_eq!(dropped.get(), 1, "in {place}");
        stream.trigger(Direction::BOTH).unwrap();
        stream.trigger_event(StreamEvent::Eof).unwrap();
        run_for(&mut base, MOMENT);
        let mut rest = log.take();
        rest.sort();
        assert_eq!(rest, ["eof", "read 0", "replaced", "sent"], "in {place}");
    }
}

#[test]
fn a_handler_that_panics_while_it_is_dropped_harms_nobody() {
    let _watchdog = bounded();
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let bomb = Bomb;
    let handler = Callbacks::new().on_read(move |stream| {
        let _ = &bomb;
        stream.close();
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    theirs.write_all(b"x").unwrap();
    let run = std::panic::AssertUnwindSafe(|| base.run());
    let payload = std::panic::catch_unwind(run).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"dropped"));
    assert!(stream.is_closed());
    base.run().unwrap();
}

// --- what a handler may do ------------------------------------------------------------------------

/// Runs `act` inside each kind of callback of a stream of its own; the owner is in `act`'s hands.
fn in_each_callback(act: fn(&BufferEventRef, &mut Option<BufferEvent>, &Log)) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for place in ["read", "write", "event", "eof", "timeout"] {
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let owner = Rc::new(RefCell::new(None));
        let handler = noting_and(&log, {
            let (log, owner) = (log.clone(), owner.clone());
            move |stream, _| {
                let mut own = owner.borrow_mut().take();
                act(stream, &mut own, &log);
                if let Some(own) = own {
                    owner.replace(Some(own));
                }
                log.note("done");
            }
        });
        let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
        match place {
            "read" => (&theirs).write_all(b"x").unwrap(),
            "write" => stream.write(b"x").unwrap(),
            "event" => stream.trigger_event(StreamEvent::Connected).unwrap(),
            "eof" => theirs.shutdown(std::net::Shutdown::Write).unwrap(),
            _ => stream.set_timeouts(Some(MOMENT / 4), None).unwrap(),
        }
        owner.replace(Some(stream));
        run_until(&mut base, || log.count("done") >= 1);
        run_for(&mut base, MOMENT);
        drop(owner.take());
        drop(base);
        all.push(log.take());
    }
    all
}

#[test]
fn a_stream_may_be_closed_in_each_of_its_callbacks() {
    let _watchdog = bounded();
    let heard = in_each_callback(|stream, _, log| {
        stream.close();
        assert!(stream.is_closed());
        assert!(matches!(stream.write(b"x"), Err(Error::Closed { .. })));
        log.note("closed by us");
    });
    for heard in heard {
        assert_eq!(heard[1..], ["closed by us", "done"], "{heard:?}");
    }
}

#[test]
fn a_stream_may_be_dropped_in_each_of_its_callbacks() {
    let _watchdog = bounded();
    let heard = in_each_callback(|stream, own, _| {
        drop(own.take());
        assert!(stream.is_closed());
    });
    for heard in heard {
        assert_eq!(heard[1..], ["done"], "{heard:?}");
    }
}

#[test]
fn a_stream_may_be_detached_in_each_of_its_callbacks() {
    let _watchdog = bounded();
    in_each_callback(|stream, own, _| {
        if let Some(own) = own.take() {
            own.detach();
        }
        assert!(!stream.is_closed());
    });
}

#[test]
fn a_handler_may_write_without_end_and_others_have_their_turn() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let endless = Callbacks::new().on_write(|stream| stream.write(&[0; 1000]));
    let endless = BufferEvent::from_socket(&base, ours, endless).unwrap();
    endless.write(b"begin").unwrap();
    let reader = std::thread::spawn(move || {
        let mut piece = vec![0; 65_536];
        while theirs.read(&mut piece).is_ok_and(|count| count > 0) {}
    });
    let log = Log::default();
    let (other, mut peer) = stream(&base, &log);
    for round in 1..=20 {
        peer.write_all(b"x").unwrap();
        run_until(&mut base, || log.count(&format!("read {round}")) == 1);
    }
    drop((endless, other));
    reader.join().unwrap();
}

// --- as a reader and a writer ---------------------------------------------------------------------

#[test]
fn a_stream_is_read_like_any_reader() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    let mut view: &BufferEventRef = &stream;
    let mut text = [0; 4];
    let error = view.read(&mut text).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(view.read(&mut []).unwrap(), 0);
    theirs.write_all(b"abcdef").unwrap();
    drop(theirs);
    base.run().unwrap();
    assert_eq!(log.take(), ["read 6", "eof"]);
    assert_eq!(view.read(&mut text).unwrap(), 4);
    assert_eq!(&text, b"abcd");
    let mut rest = String::new();
    view.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "ef");
    assert_eq!(view.read(&mut text).unwrap(), 0);
}

#[test]
fn a_stream_is_written_like_any_writer() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    let mut view: &BufferEventRef = &stream;
    writeln!(view, "line {}", 1).unwrap();
    let slices = [
        std::io::IoSlice::new(b"two "),
        std::io::IoSlice::new(b""),
        std::io::IoSlice::new(b"slices"),
    ];
    assert_eq!(view.write_vectored(&slices).unwrap(), 10);
    Write::flush(&mut view).unwrap();
    assert_eq!(stream.output().len(), 17);
    run_until(&mut base, || log.count("sent") == 1);
    let mut text = [0; 17];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"line 1\ntwo slices");

    // It takes everything, and at once.
    assert_eq!(
        Write::write(&mut view, &vec![0; TOO_MUCH]).unwrap(),
        TOO_MUCH
    );
}
