//! Watermarks, and directions that are enabled and disabled in every state of a stream.

mod common;
mod stream_common;

use common::{Bump, bounded, count};
use libevent2::stream::{BufferEvent, Callbacks, Direction, StreamEvent};
use libevent2::{Error, EventBase};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::thread;
use stream_common::{Log, MOMENT, TOO_MUCH, noting, noting_and, run_for, run_until};

fn stream(base: &EventBase, log: &Log) -> (BufferEvent, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(base, ours, noting(log)).unwrap();
    (stream, theirs)
}

// --- watermarks -----------------------------------------------------------------------------------

#[test]
fn the_handler_hears_of_input_from_the_low_watermark_on() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.set_watermarks(Direction::READ, 5, 0).unwrap();
    for (bytes, heard) in [
        ("abcd", vec![]),
        ("e", vec!["read 5"]),
        ("f", vec!["read 6"]),
    ] {
        theirs.write_all(bytes.as_bytes()).unwrap();
        base.run_once().unwrap();
        assert_eq!(log.take(), heard);
    }
    // Below it again.
    stream.input().drain(4);
    theirs.write_all(b"g").unwrap();
    base.run_once().unwrap();
    assert!(log.take().is_empty());
    assert_eq!(stream.input().to_vec(), b"efg");
}

#[test]
fn the_end_is_heard_below_the_low_watermark_too() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.set_watermarks(Direction::READ, 100, 0).unwrap();
    theirs.write_all(b"short").unwrap();
    drop(theirs);
    base.run().unwrap();
    assert_eq!(log.take(), ["eof"]);
    assert_eq!(stream.input().to_vec(), b"short");
}

#[test]
fn reading_stops_at_the_high_watermark_and_goes_on_when_something_is_taken() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.set_watermarks(Direction::READ, 0, 10).unwrap();
    theirs.write_all(&[1; 25]).unwrap();
    base.run().unwrap();
    assert_eq!(log.take(), ["read 10"]);
    stream.input().drain(4);
    base.run().unwrap();
    assert_eq!(log.take(), ["read 10"]);
    // A higher one lets it go on as well, and a lower one cuts nothing off.
    stream.set_watermarks(Direction::READ, 0, 15).unwrap();
    base.run().unwrap();
    assert_eq!(log.take(), ["read 15"]);
    stream.set_watermarks(Direction::READ, 0, 5).unwrap();
    base.run().unwrap();
    assert!(log.take().is_empty());
    assert_eq!(stream.input().len(), 15);
    stream.set_watermarks(Direction::READ, 0, 0).unwrap();
    run_until(&mut base, || stream.input().len() == 21);
}

#[test]
fn one_of_a_pair_takes_what_waits_when_its_high_watermark_is_raised() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (near, far) = BufferEvent::pair(&base, noting(&log), Callbacks::new()).unwrap();
    near.set_watermarks(Direction::READ, 0, 10).unwrap();
    far.write(&[7; 30]).unwrap();
    assert_eq!(near.input().len(), 10);
    // Before and after the handler has heard of the first ones.
    near.set_watermarks(Direction::READ, 0, 20).unwrap();
    assert_eq!(near.input().len(), 20);
    base.run_nonblocking().unwrap();
    near.set_watermarks(Direction::READ, 0, 0).unwrap();
    assert_eq!(near.input().len(), 30);
}

#[test]
fn the_handler_hears_of_output_that_has_come_down_to_the_low_watermark() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let left = count();
    let (seen, heard) = (left.clone(), log.clone());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handler = Callbacks::new().on_write(move |stream| {
        seen.set(stream.output().len());
        heard.note("sent");
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    // What stays behind in the full socket is less than this.
    stream
        .set_watermarks(Direction::WRITE, TOO_MUCH / 2, 0)
        .unwrap();
    stream.write(&vec![1; TOO_MUCH]).unwrap();
    let reader = thread::spawn(move || {
        let mut half = vec![0; TOO_MUCH / 2];
        theirs.read_exact(&mut half).unwrap();
        theirs
    });
    run_until(&mut base, || log.count("sent") == 1);
    assert!(left.get() <= TOO_MUCH / 2, "{}", left.get());
    assert!(left.get() > 0);
    drop(reader.join().unwrap());
}

#[test]
fn watermarks_are_told_and_checked() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    stream.set_watermarks(Direction::READ, 1, 2).unwrap();
    stream.set_watermarks(Direction::WRITE, 3, 4).unwrap();
    assert_eq!(stream.watermarks(Direction::READ).unwrap(), (1, 2));
    assert_eq!(stream.watermarks(Direction::WRITE).unwrap(), (3, 4));
    stream.set_watermarks(Direction::BOTH, 5, 0).unwrap();
    assert_eq!(stream.watermarks(Direction::READ).unwrap(), (5, 0));
    assert_eq!(stream.watermarks(Direction::WRITE).unwrap(), (5, 0));
    let error = stream.set_watermarks(Direction::READ, 8, 7).unwrap_err();
    assert!(matches!(
        error,
        Error::Invalid {
            what: "watermarks",
            ..
        }
    ));
    assert_eq!(stream.watermarks(Direction::READ).unwrap(), (5, 0));
    for direction in [Direction::BOTH, Direction::empty()] {
        let error = stream.watermarks(direction).unwrap_err();
        assert!(matches!(
            error,
            Error::Invalid {
                what: "direction",
                ..
            }
        ));
    }
}

// --- enable and disable ---------------------------------------------------------------------------

#[test]
fn a_stream_that_does_not_read_leaves_the_input_with_the_system() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    assert_eq!(stream.enabled(), Direction::BOTH);
    stream.disable(Direction::READ).unwrap();
    assert_eq!(stream.enabled(), Direction::WRITE);
    theirs.write_all(b"later").unwrap();
    drop(theirs);
    // Nothing keeps the loop.
    base.run().unwrap();
    assert!(log.take().is_empty());
    stream.enable(Direction::READ).unwrap();
    base.run().unwrap();
    assert_eq!(log.take(), ["read 5", "eof"]);
}

#[test]
fn a_stream_that_does_not_write_keeps_its_output() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.write(b"one").unwrap();
    stream.disable(Direction::WRITE).unwrap();
    stream.write(b" two").unwrap();
    run_for(&mut base, MOMENT);
    assert_eq!(stream.output().len(), 7);
    assert!(log.take().is_empty());
    stream.enable(Direction::WRITE).unwrap();
    run_until(&mut base, || log.count("sent") == 1);
    let mut text = [0; 7];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"one two");
}

#[test]
fn output_that_waits_for_the_socket_can_be_held_back_and_let_go() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.write(&vec![1; TOO_MUCH]).unwrap();
    run_for(&mut base, MOMENT);
    let left = stream.output().len();
    assert!(left > 0);
    stream.disable(Direction::WRITE).unwrap();
    let mut sent = vec![0; TOO_MUCH - left];
    theirs.read_exact(&mut sent).unwrap();
    run_for(&mut base, MOMENT);
    assert_eq!(stream.output().len(), left);

    stream.enable(Direction::WRITE).unwrap();
    let reader = thread::spawn(move || {
        let mut rest = vec![0; left];
        theirs.read_exact(&mut rest).unwrap();
        theirs
    });
    run_until(&mut base, || log.count("sent") == 1);
    assert!(stream.output().is_empty());
    drop(reader.join().unwrap());
}

#[test]
fn directions_set_while_connecting_hold_when_connected() {
    let _watchdog = bounded();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    for by_name in [false, true] {
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let stream = match by_name {
            false => BufferEvent::connect(&base, there, noting(&log)),
            true => BufferEvent::connect_host(&base, "localhost", there.port(), noting(&log)),
        };
        let stream = stream.unwrap();
        stream.disable(Direction::BOTH).unwrap();
        assert_eq!(stream.enabled(), Direction::empty());
        stream.enable(Direction::READ).unwrap();
        stream.disable(Direction::READ).unwrap();
        stream.write(b"held back").unwrap();
        let (mut theirs, _) = {
            run_until(&mut base, || log.count("connected") == 1);
            listener.accept().unwrap()
        };
        theirs.write_all(b"not read").unwrap();
        run_for(&mut base, MOMENT);
        assert_eq!(log.take(), ["connected"]);
        assert_eq!(stream.output().len(), 9);
        stream.enable(Direction::BOTH).unwrap();
        run_until(&mut base, || log.count("read 8") == 1);
        run_until(&mut base, || stream.output().is_empty());
        let mut text = [0; 9];
        theirs.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"held back");
    }
}

#[test]
fn a_handler_may_stop_reading_and_writing_itself() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handler = noting_and(&log, |stream, heard| {
        if heard.starts_with("read") {
            stream.write(b"held back").unwrap();
            stream.disable(Direction::BOTH).unwrap();
        }
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    theirs.write_all(b"first").unwrap();
    base.run().unwrap();
    theirs.write_all(b"second").unwrap();
    base.run().unwrap();
    assert_eq!(log.take(), ["read 5"]);
    assert_eq!(stream.output().len(), 9);

    // Both again: the rest is read, and all is held back once more.
    stream.enable(Direction::BOTH).unwrap();
    base.run().unwrap();
    assert_eq!(stream.input().len(), 11);
    assert_eq!(stream.enabled(), Direction::empty());
}

#[test]
fn a_handler_may_disable_and_enable_within_one_call() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let reads = count();
    let seen = reads.clone();
    let handler = Callbacks::new()
        .on_read(move |stream| {
            stream.disable(Direction::BOTH).unwrap();
            stream.output().append_from(&stream.input()).unwrap();
            stream.enable(Direction::BOTH).unwrap();
            seen.bump();
        })
        .on_event(|stream, event| {
            assert!(matches!(event, StreamEvent::Eof));
            stream.close();
        });
    BufferEvent::from_socket(&base, ours, handler)
        .unwrap()
        .detach();
    let peer = thread::spawn(move || {
        for round in [b"one", b"two"] {
            theirs.write_all(round).unwrap();
            let mut text = [0; 3];
            theirs.read_exact(&mut text).unwrap();
            assert_eq!(&text, round);
        }
    });
    base.run().unwrap();
    peer.join().unwrap();
    assert_eq!(reads.get(), 2);
}
