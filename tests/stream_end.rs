//! How a stream ends: flushed, half-closed, closed, detached, or with its base.

mod common;
mod stream_common;

use common::{Bump, Count, DropCount, bounded, count};
use libevent2::stream::{
    BufferEvent, BufferEventRef, Callbacks, Direction, FlushMode, StreamEvent,
};
use libevent2::{BoxError, Error, EventBase, Kind};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;
use stream_common::{
    Log, MOMENT, TOO_MUCH, noting, noting_and, run_for, run_until, sink, tcp_pair,
};

fn stream(base: &EventBase, log: &Log) -> (BufferEvent, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(base, ours, noting(log)).unwrap();
    (stream, theirs)
}

// --- when all is sent -----------------------------------------------------------------------------

#[test]
fn a_peer_that_reads_slowly_gets_all_before_the_stream_closes() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.write(&vec![5; TOO_MUCH]).unwrap();
    stream.finish();
    assert_eq!(base.stats().live(Kind::BufferEvent), 1);
    let reader = thread::spawn(move || {
        let mut piece = vec![0; 256 * 1024];
        let mut all = 0;
        loop {
            match theirs.read(&mut piece).unwrap() {
                0 => return all,
                count => all += count,
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
    base.run().unwrap();
    assert_eq!(reader.join().unwrap(), TOO_MUCH);
    assert_eq!(log.take(), ["sent", "closed"]);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn with_nothing_to_send_it_closes_from_the_loop() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    theirs.write_all(b"not read any more").unwrap();
    stream.close_when_flushed();
    stream.close_when_flushed();
    assert!(!stream.is_closed());
    assert!(log.take().is_empty());
    base.run().unwrap();
    assert_eq!(log.take(), ["closed"]);
    assert!(stream.is_closed());
    stream.close_when_flushed();
}

#[test]
fn a_peer_that_never_reads_is_bounded_by_the_write_timeout() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let handler = noting_and(&log, |stream, heard| {
        if heard.starts_with("timed out") {
            stream.close();
        }
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    stream.set_timeouts(None, Some(MOMENT)).unwrap();
    stream.write(&vec![5; TOO_MUCH]).unwrap();
    stream.finish();
    base.run().unwrap();
    assert_eq!(log.take(), ["timed out: Direction(WRITE)"]);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_peer_that_resets_ends_it() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, theirs) = tcp_pair();
    let there = ours.peer_addr().unwrap();
    let handler = noting_and(&log, |stream, heard| {
        if heard.starts_with("failed") {
            stream.close();
        }
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    stream.write(&vec![5; TOO_MUCH]).unwrap();
    stream.finish();
    run_for(&mut base, MOMENT);
    socket2::SockRef::from(&theirs)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(theirs);
    base.run().unwrap();
    assert_eq!(
        log.take(),
        [format!("failed: {there}: connection reset by peer")]
    );
}

#[test]
fn a_stream_whose_output_cannot_be_sent_closes_all_the_same() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, theirs) = tcp_pair();
    let there = ours.peer_addr().unwrap();
    let handler = noting_and(&log, |stream, _| stream.close_when_flushed());
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    stream.write(&vec![5; TOO_MUCH]).unwrap();
    stream.detach();
    run_for(&mut base, MOMENT);
    socket2::SockRef::from(&theirs)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(theirs);
    base.run().unwrap();
    assert_eq!(
        log.take(),
        [
            format!("failed: {there}: connection reset by peer"),
            "closed".to_owned()
        ]
    );
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_share_gets_at_a_stream_and_does_not_keep_it() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    let share = stream.share();
    stream.detach();
    share.write(b"from elsewhere").unwrap();
    base.run_nonblocking().unwrap();
    let mut text = [0; 14];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"from elsewhere");
    share.close();
    assert_eq!(base.stats().live_total(), 0);
    assert!(matches!(
        share.write(b"too late"),
        Err(Error::Closed { .. })
    ));
}

#[test]
fn it_can_be_asked_for_in_every_callback() {
    let _watchdog = bounded();
    for place in ["read 1", "sent", "eof"] {
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut asked = false;
        let handler = noting_and(&log, move |stream, heard| {
            if heard == "read 1" {
                stream.write(b"answer").unwrap();
            }
            if heard == place && !asked {
                asked = true;
                stream.write(b" and more").unwrap();
                stream.close_when_flushed();
            }
        });
        BufferEvent::from_socket(&base, ours, handler)
            .unwrap()
            .detach();
        let peer = thread::spawn(move || {
            theirs.write_all(b"?").unwrap();
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
            let mut all = String::new();
            theirs.read_to_string(&mut all).unwrap();
            all
        });
        base.run().unwrap();
        assert_eq!(peer.join().unwrap(), "answer and more", "in {place}");
        assert_eq!(log.count("closed"), 1, "in {place}");
    }
}

// --- half-closed ------------------------------------------------------------------------------------

#[test]
fn the_peer_hears_the_end_after_the_output_and_is_still_read() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.write(&vec![1; TOO_MUCH]).unwrap();
    stream.shutdown_write().unwrap();
    let peer = thread::spawn(move || {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        theirs.write_all(b"got it").unwrap();
        all.len()
    });
    base.run().unwrap();
    assert_eq!(peer.join().unwrap(), TOO_MUCH);
    assert_eq!(log.take(), ["sent", "read 6", "eof"]);
    assert!(!stream.is_closed());
    assert_eq!(stream.input().to_vec(), b"got it");
}

#[test]
fn the_end_waits_for_output_that_is_held_back() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    stream.disable(Direction::WRITE).unwrap();
    stream.write(b"held back").unwrap();
    stream.shutdown_write().unwrap();
    run_for(&mut base, MOMENT);
    theirs.set_nonblocking(true).unwrap();
    let mut text = [0; 16];
    let nothing = theirs.read(&mut text).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    stream.enable(Direction::WRITE).unwrap();
    run_for(&mut base, MOMENT);
    assert_eq!(theirs.read(&mut text).unwrap(), 9);
    assert_eq!(theirs.read(&mut text).unwrap(), 0);
}

#[test]
fn a_peer_that_half_closes_is_still_answered() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, mut theirs) = stream(&base, &log);
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    run_until(&mut base, || log.count("eof") == 1);
    assert_eq!(stream.enabled(), Direction::WRITE);
    stream.write(b"still here").unwrap();
    run_until(&mut base, || log.count("sent") == 1);
    let mut text = [0; 10];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"still here");
    drop(stream);
}

// --- closed -----------------------------------------------------------------------------------------

#[test]
fn what_can_be_sent_at_once_is_sent_before_it_closes() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    for close in [true, false] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let stream = BufferEvent::from_socket(&base, ours, sink()).unwrap();
        stream.write(b"goodbye").unwrap();
        match close {
            true => stream.close(),
            false => drop(stream),
        }
        let mut all = String::new();
        theirs.read_to_string(&mut all).unwrap();
        assert_eq!(all, "goodbye");
    }
}

#[test]
fn a_closed_stream_refuses_everything_and_says_so() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let (stream, _theirs) = stream(&base, &log);
    let (other, _others) = UnixStream::pair().unwrap();
    let other = BufferEvent::from_socket(&base, other, sink()).unwrap();
    stream.close();
    stream.close();
    let stream: &BufferEventRef = &stream;
    let results: Vec<(&str, Result<(), Error>)> = vec![
        ("write", stream.write(b"x")),
        ("append_vectored", stream.output().append_vectored(&[])),
        ("append_from", stream.output().append_from(&other.input())),
        ("append_shared", stream.output().append_shared(vec![1])),
        ("enable", stream.enable(Direction::READ)),
        ("disable", stream.disable(Direction::READ)),
        ("set_timeouts", stream.set_timeouts(None, None)),
        (
            "set_watermarks",
            stream.set_watermarks(Direction::READ, 0, 0),
        ),
        ("watermarks", stream.watermarks(Direction::READ).map(drop)),
        ("set_priority", stream.set_priority(0)),
        (
            "flush",
            stream.flush(Direction::BOTH, FlushMode::Normal).map(drop),
        ),
        ("trigger", stream.trigger(Direction::READ)),
        ("trigger_always", stream.trigger_always(Direction::READ)),
        ("trigger_event", stream.trigger_event(StreamEvent::Eof)),
        ("shutdown_write", stream.shutdown_write()),
        ("set_handler", stream.set_handler(sink())),
        ("take_socket", stream.take_socket().map(drop)),
        ("try_clone_socket", stream.try_clone_socket().map(drop)),
    ];
    for (call, result) in results {
        let error = result.expect_err(call);
        assert!(matches!(error, Error::Closed { what: "stream" }), "{call}");
        assert_eq!(error.to_string(), "stream is closed");
    }
    let mut view = stream;
    let error = view.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert_eq!(
        Write::write(&mut view, b"x").unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    assert!(stream.is_closed());
    assert!(stream.as_ptr().is_null());
    assert_eq!(stream.raw_fd(), None);
    assert_eq!(stream.priority(), 0);
    let input = stream.input();
    assert!(input.is_empty() && input.take().is_empty() && input.to_vec().is_empty());
    assert_eq!((input.drain(9), input.read(&mut [0])), (0, 0));
    assert_eq!(input.find(b"x", ..), None);
    // From a closed one to an open one there is nothing to move.
    other.output().append_from(&input).unwrap();
    assert!(stream.output().is_empty());
    assert!(format!("{stream:?}").contains("BufferEventRef"));
}

// --- detached, and with its base --------------------------------------------------------------------

/// A stream whose handler counts when it is dropped.
fn counted(base: &EventBase, dropped: &Count) -> (BufferEvent, UnixStream) {
    let held = DropCount(dropped.clone());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let handler = Callbacks::new().on_event(move |stream, _| {
        let _ = &held;
        stream.close();
    });
    let stream = BufferEvent::from_socket(base, ours, handler).unwrap();
    (stream, theirs)
}

#[test]
fn a_detached_stream_lives_until_its_end() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let dropped = count();
    let (stream, theirs) = counted(&base, &dropped);
    stream.detach();
    assert_eq!(base.stats().live(Kind::BufferEvent), 1);
    base.run_nonblocking().unwrap();
    assert_eq!(dropped.get(), 0);
    drop(theirs);
    base.run().unwrap();
    assert_eq!(dropped.get(), 1);
    assert_eq!(base.stats().live(Kind::BufferEvent), 0);
}

#[test]
fn every_stream_is_counted_while_it_is_open() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let dropped = count();
    let open = |base: &EventBase| base.stats().live(Kind::BufferEvent);
    let (owned, _peer) = counted(&base, &dropped);
    let (detached, peer) = counted(&base, &dropped);
    let (closed, _closed_peer) = counted(&base, &dropped);
    assert_eq!(open(&base), 3);
    detached.detach();
    closed.close();
    assert_eq!((open(&base), dropped.get()), (2, 1));
    let before = base.stats().callbacks();
    drop(peer);
    base.run_once().unwrap();
    assert_eq!((open(&base), dropped.get()), (1, 2));
    assert!(base.stats().callbacks() > before);
    drop(owned);
    assert_eq!((open(&base), dropped.get()), (0, 3));
}

#[test]
fn the_end_of_the_base_closes_all_of_its_streams() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let dropped = count();
    let (owned, mut theirs) = counted(&base, &dropped);
    let (detached, mut others) = counted(&base, &dropped);
    let shared = Rc::new(owned);
    detached.detach();
    drop(base);
    assert_eq!(dropped.get(), 2);
    assert!(shared.is_closed());
    assert!(matches!(shared.write(b"x"), Err(Error::Closed { .. })));
    for peer in [&mut theirs, &mut others] {
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}

/// With LeakSanitizer (`.ci/sanitize address`): C keeps a bufferevent until its deferred callback
/// has run, and this base does not run any more.
#[test]
fn a_base_that_goes_before_what_was_triggered_leaves_nothing_behind() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let log = Log::default();
    let (triggered, _theirs) = stream(&base, &log);
    triggered.trigger(Direction::BOTH).unwrap();
    drop(triggered);
    let (one, other) = BufferEvent::pair(&base, noting(&log), noting(&log)).unwrap();
    one.write(b"never read").unwrap();
    drop(one);
    drop(base);
    assert!(other.is_closed());
    assert!(log.take().is_empty());
}

#[test]
fn a_failure_of_the_handler_leaves_the_stream_open() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handler = Callbacks::new().on_read(|stream| -> Result<(), BoxError> {
        let text = String::from_utf8(stream.input().to_vec())?;
        stream.input().clear();
        match text.as_str() {
            "error" => Err("no good".into()),
            "panic" => panic!("much worse"),
            _ => Ok(stream.write(text.as_bytes())?),
        }
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    theirs.write_all(b"error").unwrap();
    let Err(Error::Callback(error)) = base.run() else {
        panic!("the error is lost");
    };
    assert_eq!(error.to_string(), "no good");

    let heard = count();
    let errors = heard.clone();
    base.handle().on_error(move |_, error| {
        assert_eq!(error.to_string(), "no good");
        errors.bump();
    });
    theirs.write_all(b"error").unwrap();
    run_until(&mut base, || heard.get() == 1);

    theirs.write_all(b"panic").unwrap();
    let run = std::panic::AssertUnwindSafe(|| base.run());
    let payload = std::panic::catch_unwind(run).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"much worse"));

    assert!(!stream.is_closed());
    theirs.write_all(b"fine").unwrap();
    base.run_once().unwrap();
    let mut text = [0; 4];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"fine");
}
