//! libevent's own regress cases for streams (test/regress_bufferevent.c): filters. The whole list is
//! in docs/regress.md.
#![cfg(unix)]

mod common;
#[path = "common/streams.rs"]
mod streams;

use common::{Bump, Count, bounded, count};
use libevent2::stream::{
    BufferEvent, BufferEventRef, Callbacks, Direction, Filter, FilterIo, StreamEvent,
};
use libevent2::{BoxError, Buffer, Error, EventBase, LoopEnd};
use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use streams::{Log, Over, Plain, bytes, name};

const LENGTH: usize = 8333;

// --- a filter that doubles, and one that halves ---------------------------------------------------

/// Puts an `x` before each byte, in its first call; the second one fails.
struct AddX {
    calls: Count,
    /// What it writes to its own stream in the first call.
    writes: Option<&'static [u8]>,
}

impl Filter for AddX {
    fn output(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        io: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        if self.calls.bump() > 1 {
            return Err("a second call".into());
        }
        for byte in source.to_vec() {
            out.append(&[b'x', byte])?;
        }
        source.clear()?;
        if let Some(bytes) = self.writes {
            io.stream().write(bytes)?;
            assert_eq!(self.calls.get(), 1, "called from inside itself");
        }
        Ok(())
    }
}

/// Takes them out again.
struct StripX;

impl Filter for StripX {
    fn input(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        _: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        let pairs = source.to_vec();
        // One whose second half has not come yet is left.
        let (pairs, _) = pairs.as_chunks::<2>();
        for [x, byte] in pairs {
            assert_eq!(*x, b'x');
            out.append(&[*byte])?;
        }
        source.drain(2 * pairs.len())?;
        Ok(())
    }
}

fn filters(over: Over, writes: Option<&'static [u8]>, expected: &[&str]) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (calls, log) = (count(), Log::default());
    let (here, there) = over.ends(&base, Callbacks::new(), Callbacks::new());
    let descriptors = [here.raw_fd(), there.raw_fd()];

    let (sent, heard) = (log.clone(), log.clone());
    let handler = Callbacks::new()
        .on_write(move |stream| {
            if stream.output().is_empty() {
                sent.add("sent");
            }
        })
        .on_event(move |_, event| heard.add(name(&event)));
    let filter = AddX {
        calls: calls.clone(),
        writes,
    };
    let first = BufferEvent::filter(here, filter, handler).unwrap();
    let received = log.clone();
    let handler = Callbacks::new()
        .on_read(move |stream: &BufferEventRef| {
            if stream.input().len() == LENGTH {
                assert_eq!(stream.input().take().to_vec(), bytes(LENGTH));
                stream.disable(Direction::READ)?;
                received.add("received");
            }
            Ok::<(), Error>(())
        })
        .on_event(|_, event: StreamEvent| -> () { panic!("{event:?}") });
    let second = BufferEvent::filter(there, StripX, handler).unwrap();
    // They are those of what is below.
    assert_eq!([first.raw_fd(), second.raw_fd()], descriptors);

    first.disable(Direction::READ).unwrap();
    second.enable(Direction::READ).unwrap();
    first.write(&bytes(LENGTH)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 1 + usize::from(writes.is_some()));
    log.assert(expected);
}

#[test]
fn bufferevent_filters() {
    filters(Over::Sockets, None, &["sent", "received"]);
}

#[test]
fn bufferevent_pair_filters() {
    filters(Over::Pair, None, &["sent", "received"]);
}

const FAILED: &str = "failed: unnamed peer: filter: a second call";

#[test]
fn bufferevent_filters_disable() {
    filters(Over::Sockets, Some(b"-"), &["sent", FAILED, "received"]);
}

#[test]
fn bufferevent_pair_filters_disable() {
    filters(Over::Pair, Some(b"-"), &["sent", FAILED, "received"]);
}

// --- others ---------------------------------------------------------------------------------------

#[test]
fn bufferevent_socket_filter_inactive() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, _there) = UnixStream::pair().unwrap();
    let below = BufferEvent::from_socket(&base, here, Callbacks::new()).unwrap();
    drop(below.take_socket().unwrap());
    assert_eq!(below.raw_fd(), None);
    let filter = BufferEvent::filter(below, Plain, Callbacks::new()).unwrap();
    assert_eq!(filter.raw_fd(), None);
    drop(filter);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(base.stats().live_total(), 0);
}

const HEADER: usize = 20;

/// Puts a header before the first bytes, and keeps to the limit.
struct Prepend {
    done: bool,
}

impl Filter for Prepend {
    fn input(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        io: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        let mut room = io.limit().expect("there is a high watermark");
        if !self.done {
            self.done = true;
            out.append(&[0; HEADER])?;
            room -= HEADER;
        }
        let expected = source.len().min(room);
        assert_eq!(source.move_to(out, room)?, expected);
        Ok(())
    }
}

#[test]
fn bufferevent_filter_data_stuck() {
    const HIGH: usize = 4096;
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let total = Rc::new(Cell::new(0));
    let seen = total.clone();
    let (first, second) = BufferEvent::pair(&base, Callbacks::new(), Callbacks::new()).unwrap();
    for stream in [&first, &second] {
        stream.set_watermarks(Direction::READ, 0, HIGH).unwrap();
    }
    let handler = Callbacks::new().on_read(move |stream| {
        seen.set(seen.get() + stream.input().drain(usize::MAX));
    });
    let filter = BufferEvent::filter(second, Prepend { done: false }, handler).unwrap();
    filter.enable(Direction::BOTH).unwrap();
    filter.set_watermarks(Direction::READ, 0, HIGH).unwrap();
    first.write(&[0; HIGH]).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    // Also the last ones, for which there was no room beside the header.
    assert_eq!(total.get(), HIGH + HEADER);
}
