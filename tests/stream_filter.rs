//! Filters: what a stream does to the bytes that go through another one.

mod common;
mod filters;

use common::{Bump, bounded, count};
use filters::{Frames, Text, collect, idle, plus_one, tcp_pair};
use libevent2::stream::{BufferEvent, Callbacks, Direction, Filter, FlushMode, filter_fn};
use libevent2::{EventBase, Kind};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;

#[test]
fn bytes_are_changed_both_ways_over_a_socket() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (text, ends) = (Text::default(), count());
    let socket = BufferEvent::from_socket(&base, ours, idle()).unwrap();
    let stream = BufferEvent::filter(socket, plus_one(), collect(&text, &ends)).unwrap();
    assert_eq!(base.stats().live(Kind::BufferEvent), 1);
    stream.write(b"HAL").unwrap();
    theirs.write_all(b"jcn").unwrap();
    while text.borrow().len() < 3 {
        base.run_once().unwrap();
    }
    assert_eq!(*text.borrow(), b"ibm");
    base.run_nonblocking().unwrap();
    let mut sent = [0; 3];
    theirs.read_exact(&mut sent).unwrap();
    assert_eq!(&sent, b"IBM");
    drop(theirs);
    while ends.get() == 0 {
        base.run_once().unwrap();
    }
    base.run_nonblocking().unwrap();
    assert_eq!(ends.get(), 1);
}

#[test]
fn a_filter_without_methods_passes_everything() {
    struct Nothing;
    impl Filter for Nothing {}
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (text, ends) = (Text::default(), count());
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    let near = BufferEvent::filter(near, Nothing, idle()).unwrap();
    let _far = BufferEvent::filter(far, Nothing, collect(&text, &ends)).unwrap();
    near.write(b"as it is").unwrap();
    near.finish();
    for _ in 0..4 {
        base.run_nonblocking().unwrap();
    }
    assert_eq!((&text.borrow()[..], ends.get()), (&b"as it is"[..], 1));
}

#[test]
fn the_filter_is_called_from_the_loop_only() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    let (sent, read) = (calls.clone(), calls.clone());
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    let filter = filter_fn(
        move |source, _, _| {
            read.bump();
            source.clear()
        },
        move |source, out, _| {
            sent.bump();
            out.append_buffer(source)
        },
    );
    let near = BufferEvent::filter(near, filter, idle()).unwrap();
    near.write(b"x").unwrap();
    far.write(b"y").unwrap();
    near.flush(Direction::BOTH, FlushMode::Flush).unwrap();
    near.enable(Direction::BOTH).unwrap();
    near.set_watermarks(Direction::READ, 0, 100).unwrap();
    near.trigger(Direction::BOTH).unwrap();
    assert_eq!(calls.get(), 0);
    base.run_nonblocking().unwrap();
    assert!(calls.get() >= 2);
}

#[test]
fn megabytes_go_through_a_chain_of_filters_over_tcp() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
    let expected: Vec<u8> = sent.iter().map(|b| b.wrapping_add(2)).collect();
    let plain = sent.clone();
    let socket = BufferEvent::from_socket(&base, ours, idle()).unwrap();
    let lower = BufferEvent::filter(socket, plus_one(), idle()).unwrap();
    let echo = Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, _| stream.close_when_flushed());
    let upper = BufferEvent::filter(lower, plus_one(), echo).unwrap();
    assert_eq!(base.stats().live(Kind::BufferEvent), 1);
    upper.detach();
    let mut writer = theirs.try_clone().unwrap();
    let mut reader = theirs;
    let write = thread::spawn(move || {
        writer.write_all(&expected).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
        expected
    });
    let read = thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        all
    });
    base.run().unwrap();
    let expected = write.join().unwrap();
    assert!(read.join().unwrap() == expected);
    assert!(expected != plain);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn what_the_filter_leaves_is_there_again_with_what_came_since() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let reads = Rc::new(RefCell::new(Vec::new()));
    let seen = reads.clone();
    let handler =
        Callbacks::new().on_read(move |stream| seen.borrow_mut().push(stream.input().to_vec()));
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    let _near = BufferEvent::filter(near, Frames, handler).unwrap();
    far.write(b"\0\x05he").unwrap();
    base.run_nonblocking().unwrap();
    far.write(b"l").unwrap();
    base.run_nonblocking().unwrap();
    assert!(reads.borrow().is_empty());
    far.write(b"lo\0\x01!\0").unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(*reads.borrow(), [b"hello!"]);
}

#[test]
fn a_filter_that_does_nothing_is_not_called_for_ever() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    let called = calls.clone();
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    let filter = filter_fn(
        move |_, _, _| {
            called.bump();
        },
        |_, _, _| {},
    );
    let near = BufferEvent::filter(near, filter, idle()).unwrap();
    far.write(b"untouched").unwrap();
    near.write(b"untouched").unwrap();
    base.run_nonblocking().unwrap();
    assert!((1..4).contains(&calls.get()), "{}", calls.get());
    assert_eq!(near.output().len(), 9);
}

#[test]
fn the_high_watermark_bounds_what_comes_through() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    let most = Rc::new(Cell::new(0));
    let all = Rc::new(RefCell::new(Vec::new()));
    let (seen, got) = (most.clone(), all.clone());
    let handler = Callbacks::new().on_read(move |stream| {
        seen.set(seen.get().max(stream.input().len()));
        let mut bytes = [0; 700];
        let count = stream.input().read(&mut bytes);
        got.borrow_mut().extend_from_slice(&bytes[..count]);
    });
    let filter = filter_fn(
        |source, out, io| {
            let limit = io.limit().unwrap();
            assert!(limit > 0);
            source.move_to(out, limit.min(333)).map(drop)
        },
        |source, out, _| out.append_buffer(source),
    );
    let near = BufferEvent::filter(near, filter, handler).unwrap();
    near.set_watermarks(Direction::READ, 0, 1000).unwrap();
    let sent: Vec<u8> = (0..50_000u32).map(|n| (n / 3) as u8).collect();
    far.write(&sent).unwrap();
    while all.borrow().len() < sent.len() {
        base.run_nonblocking().unwrap();
        near.trigger(Direction::READ).unwrap();
    }
    assert!(*all.borrow() == sent);
    assert_eq!(most.get(), 1000);
}

#[test]
fn what_was_held_back_comes_when_reading_is_enabled_or_the_watermark_raised() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (text, ends) = (Text::default(), count());
    let keeps = Callbacks::new().on_read(|_| {});
    let (near, far) = BufferEvent::pair(&base, keeps, idle()).unwrap();
    far.write(b"early").unwrap();
    base.run_nonblocking().unwrap();
    let near = BufferEvent::filter(near, plus_one(), collect(&text, &ends)).unwrap();
    near.disable(Direction::READ).unwrap();
    far.write(b" bird").unwrap();
    far.shutdown_write().unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!((text.borrow().len(), ends.get()), (0, 0));
    near.enable(Direction::READ).unwrap();
    base.run_nonblocking().unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!((text.borrow().len(), ends.get()), (10, 1));

    let lengths = Rc::new(RefCell::new(Vec::new()));
    let seen = lengths.clone();
    let handler =
        Callbacks::new().on_read(move |stream| seen.borrow_mut().push(stream.input().len()));
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    struct Pass;
    impl Filter for Pass {}
    let near = BufferEvent::filter(near, Pass, handler).unwrap();
    near.set_watermarks(Direction::READ, 0, 100).unwrap();
    far.write(&[0; 1000]).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(near.input().len(), 100);
    near.set_watermarks(Direction::READ, 0, 0).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(near.input().len(), 1000);
}

#[test]
fn what_waits_below_is_bounded_by_the_high_watermark_for_writing() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    far.disable(Direction::READ).unwrap();
    let limits = Rc::new(RefCell::new(Vec::new()));
    let seen = limits.clone();
    let filter = filter_fn(
        |_, _, _| {},
        move |source, out, io| {
            let limit = io.limit().unwrap();
            seen.borrow_mut().push(limit);
            source.move_to(out, limit).map(drop)
        },
    );
    let near = BufferEvent::filter(near, filter, idle()).unwrap();
    near.set_watermarks(Direction::WRITE, 0, 100).unwrap();
    near.write(&[0; 250]).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(near.output().len(), 150);
    assert_eq!(*limits.borrow(), [100]);
    far.enable(Direction::READ).unwrap();
    base.run_nonblocking().unwrap();
    base.run_nonblocking().unwrap();
    assert!(near.output().is_empty());
    assert_eq!(limits.borrow()[1..], [100, 100]);
}

#[test]
fn on_write_means_that_it_was_sent_and_not_only_filtered() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let writes = count();
    let wrote = writes.clone();
    let handler = Callbacks::new().on_write(move |_| {
        wrote.bump();
    });
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    far.disable(Direction::READ).unwrap();
    let near = BufferEvent::filter(near, plus_one(), idle()).unwrap();
    let near = BufferEvent::filter(near, plus_one(), handler).unwrap();
    near.write(b"abc").unwrap();
    for _ in 0..3 {
        base.run_nonblocking().unwrap();
    }
    assert!(near.output().is_empty());
    assert_eq!(writes.get(), 0);
    far.enable(Direction::READ).unwrap();
    for _ in 0..3 {
        base.run_nonblocking().unwrap();
    }
    assert_eq!(writes.get(), 1);
}
