//! How long a stream waits, in each direction.

mod common;
mod stream_common;

use common::bounded;
use libevent2::stream::{BufferEvent, Direction};
use libevent2::{Error, EventBase};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;
use stream_common::{Log, MOMENT, TOO_MUCH, noting, run_for, run_until};

fn stream(base: &EventBase, log: &Log) -> (BufferEvent, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(base, ours, noting(log)).unwrap();
    (stream, theirs)
}

#[test]
fn silence_ends_reading_once_and_reading_can_begin_again() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.set_timeouts(Some(MOMENT), None).unwrap();
    // The loop ends: a stream that reads no more waits for nothing.
    base.run().unwrap();
    assert_eq!(log.take(), ["timed out: Direction(READ)"]);
    assert_eq!(stream.enabled(), Direction::WRITE);

    theirs.write_all(b"later").unwrap();
    base.run_nonblocking().unwrap();
    assert!(log.take().is_empty());

    stream.enable(Direction::READ).unwrap();
    base.run().unwrap();
    assert_eq!(log.take(), ["read 5", "timed out: Direction(READ)"]);
}

#[test]
fn what_comes_in_time_begins_the_time_anew() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream
        .set_timeouts(Some(Duration::from_millis(400)), None)
        .unwrap();
    let writer = thread::spawn(move || {
        // Longer than the limit in all.
        for _ in 0..30 {
            theirs.write_all(b".").unwrap();
            thread::sleep(Duration::from_millis(20));
        }
        theirs
    });
    run_until(&mut base, || log.count("read 30") == 1);
    assert_eq!(log.count("timed out: Direction(READ)"), 0);
    drop(writer.join().unwrap());
}

#[test]
fn output_that_is_not_taken_ends_writing_once_and_writing_can_begin_again() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.disable(Direction::READ).unwrap();
    stream.set_timeouts(None, Some(MOMENT)).unwrap();
    stream.write(&vec![1; TOO_MUCH]).unwrap();
    base.run().unwrap();
    assert_eq!(log.take(), ["timed out: Direction(WRITE)"]);
    assert_eq!(stream.enabled(), Direction::empty());
    let left = stream.output().len();
    assert!(left > 0);

    // Nothing moves until it is enabled.
    run_for(&mut base, MOMENT);
    assert_eq!(stream.output().len(), left);

    let reader = thread::spawn(move || {
        let mut all = vec![0; TOO_MUCH];
        theirs.read_exact(&mut all).unwrap();
        assert!(all.iter().all(|byte| *byte == 1));
        theirs
    });
    stream
        .set_timeouts(None, Some(Duration::from_secs(30)))
        .unwrap();
    stream.enable(Direction::WRITE).unwrap();
    base.run().unwrap();
    assert!(stream.output().is_empty());
    assert_eq!(log.count("timed out: Direction(WRITE)"), 0);
    assert!(log.count("sent") >= 1);
    drop(reader.join().unwrap());
}

#[test]
fn writing_that_timed_out_can_begin_again_in_the_handler() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let again = stream_common::noting_and(&log, |stream, heard| {
        if heard.starts_with("timed out") {
            stream
                .set_timeouts(None, Some(Duration::from_secs(30)))
                .unwrap();
            stream.enable(Direction::WRITE).unwrap();
        }
        if heard == "sent" {
            stream.close();
        }
    });
    let stream = BufferEvent::from_socket(&base, ours, again).unwrap();
    stream.set_timeouts(None, Some(MOMENT)).unwrap();
    stream.write(&vec![1; TOO_MUCH]).unwrap();
    run_until(&mut base, || log.count("timed out: Direction(WRITE)") == 1);
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        all.len()
    });
    base.run().unwrap();
    assert_eq!(reader.join().unwrap(), TOO_MUCH);
    assert_eq!(log.take(), ["timed out: Direction(WRITE)", "sent"]);
}

#[test]
fn a_stream_with_nothing_to_send_does_not_time_out() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    stream
        .set_timeouts(None, Some(Duration::from_millis(5)))
        .unwrap();
    stream.write(b"taken at once").unwrap();
    run_for(&mut base, MOMENT * 2);
    assert_eq!(log.take(), ["sent"]);
}

#[test]
fn a_direction_that_is_disabled_has_no_time() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    let soon = Some(Duration::from_millis(5));
    stream.disable(Direction::BOTH).unwrap();
    stream.set_timeouts(soon, soon).unwrap();
    stream.write(b"not sent").unwrap();
    run_for(&mut base, MOMENT * 2);
    assert!(log.take().is_empty());
    assert_eq!(stream.output().len(), 8);
}

#[test]
fn input_at_its_high_watermark_has_no_time() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.set_watermarks(Direction::READ, 0, 3).unwrap();
    stream.set_timeouts(Some(MOMENT), None).unwrap();
    theirs.write_all(b"abcdef").unwrap();
    // Full: the stream itself does not read, which is not the peer's fault.
    base.run().unwrap();
    assert_eq!(log.take(), ["read 3"]);
    assert_eq!(stream.input().drain(3), 3);
    base.run().unwrap();
    assert_eq!(log.take(), ["read 3"]);
    assert_eq!(stream.input().drain(3), 3);
    base.run().unwrap();
    assert_eq!(log.take(), ["timed out: Direction(READ)"]);
}

#[test]
fn both_directions_have_times_of_their_own_and_none_is_none() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    stream.set_timeouts(Some(MOMENT), Some(MOMENT * 3)).unwrap();
    stream.write(&vec![1; TOO_MUCH]).unwrap();
    base.run().unwrap();
    assert_eq!(
        log.take(),
        ["timed out: Direction(READ)", "timed out: Direction(WRITE)"]
    );

    stream.set_timeouts(Some(MOMENT), Some(MOMENT)).unwrap();
    stream.enable(Direction::BOTH).unwrap();
    stream.set_timeouts(None, None).unwrap();
    run_for(&mut base, MOMENT * 3);
    assert!(log.take().is_empty());
}

#[test]
fn zero_is_refused_and_changes_nothing() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    stream.set_timeouts(Some(MOMENT), None).unwrap();
    for (read, write) in [(Some(Duration::ZERO), None), (None, Some(Duration::ZERO))] {
        let error = stream.set_timeouts(read, write).unwrap_err();
        assert!(matches!(
            error,
            Error::Invalid {
                what: "timeout",
                ..
            }
        ));
    }
    base.run().unwrap();
    assert_eq!(log.take(), ["timed out: Direction(READ)"]);
}

#[test]
fn times_hold_as_well_when_c_reads_and_writes() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    stream.set_timeouts(Some(MOMENT), Some(MOMENT * 3)).unwrap();
    assert!(!stream.as_ptr().is_null());
    stream.write(&vec![1; TOO_MUCH]).unwrap();
    base.run().unwrap();
    assert_eq!(
        log.take(),
        ["timed out: Direction(READ)", "timed out: Direction(WRITE)"]
    );
    assert_eq!(stream.enabled(), Direction::empty());
}
