//! What safe code may try on streams, from wherever the program's own code is called.

mod common;
mod stream_common;

use common::{Bump as _, bounded, count};
use libevent2::stream::{
    BufferEvent, BufferEventRef, Callbacks, Direction, FlushMode, Socket, StreamEvent, StreamShare,
    filter_fn,
};
use libevent2::{Buffer, EventBase, LoopEnd, Timer};
use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::ops::{Bound, RangeBounds};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use stream_common::{Log, TOO_MUCH, noting, run_until, sink};

thread_local! {
    /// What the values below reach, which have to be `Send`.
    static ATTACK: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

fn plan(attack: impl FnOnce() + 'static) {
    ATTACK.set(Some(Box::new(attack)));
}

fn strike() {
    if let Some(attack) = ATTACK.take() {
        attack();
    }
}

/// Strikes when it is asked for its bytes.
struct StrikingBytes;

impl AsRef<[u8]> for StrikingBytes {
    fn as_ref(&self) -> &[u8] {
        strike();
        b"hello"
    }
}

/// Strikes when it is dropped.
struct StrikingDrop(&'static [u8]);

impl AsRef<[u8]> for StrikingDrop {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl Drop for StrikingDrop {
    fn drop(&mut self) {
        strike();
    }
}

/// Strikes when it is asked where it begins.
struct StrikingRange;

impl<T> RangeBounds<T> for StrikingRange {
    fn start_bound(&self) -> Bound<&T> {
        strike();
        Bound::Unbounded
    }

    fn end_bound(&self) -> Bound<&T> {
        Bound::Unbounded
    }
}

type Shared<T> = Rc<RefCell<Option<T>>>;

/// A stream outside of the loop, whose base can be run and dropped by who strikes.
struct Outside {
    base: Shared<EventBase>,
    stream: BufferEvent,
    far: UnixStream,
}

fn outside() -> Outside {
    let base = EventBase::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, near, sink()).unwrap();
    let base = Rc::new(RefCell::new(Some(base)));
    Outside { base, stream, far }
}

impl Outside {
    /// Closes the stream, and runs the loop until C has freed it.
    fn plan_end(&self) {
        let (base, stream) = (self.base.clone(), self.stream.share());
        plan(move || {
            stream.close();
            let mut base = base.borrow_mut();
            for _ in 0..3 {
                base.as_mut().unwrap().run_nonblocking().unwrap();
            }
        });
    }

    /// Drops the base.
    fn plan_end_of_base(&self) {
        let base = self.base.clone();
        plan(move || drop(base.take()));
    }
}

#[test]
fn an_owner_may_end_the_stream_that_asks_it_for_its_bytes() {
    let _watchdog = bounded();
    for end in [Outside::plan_end, Outside::plan_end_of_base] {
        let it = outside();
        end(&it);
        it.stream.output().append_shared(StrikingBytes).unwrap_err();
        assert!(it.stream.is_closed());
        let mut rest = String::new();
        (&it.far).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[test]
fn a_range_may_end_the_stream_that_is_searched() {
    let _watchdog = bounded();
    for end in [Outside::plan_end, Outside::plan_end_of_base] {
        let it = outside();
        (&it.far).write_all(b"to be found").unwrap();
        it.stream.set_handler(noting(&Log::default())).unwrap();
        let stream = it.stream.share();
        run_until(it.base.borrow_mut().as_mut().unwrap(), || {
            !stream.input().is_empty()
        });
        end(&it);
        assert_eq!(it.stream.input().find(b"found", StrikingRange), None);
        assert!(it.stream.is_closed());
    }
}

#[test]
fn a_range_may_end_the_stream_that_sends_a_file() {
    let _watchdog = bounded();
    for end in [Outside::plan_end, Outside::plan_end_of_base] {
        let it = outside();
        let file = std::fs::File::open("Cargo.toml").unwrap();
        let segment = libevent2::buffer::FileSegment::new(file, 0..9).unwrap();
        end(&it);
        let output = it.stream.output();
        output.append_segment(&segment, StrikingRange).unwrap_err();
        assert!(it.stream.is_closed());
    }
}

#[test]
fn an_owner_that_is_dropped_may_end_the_stream_whose_bytes_are_taken() {
    let _watchdog = bounded();
    type Take = fn(&BufferEventRef) -> usize;
    let ways: [Take; 5] = [
        |stream| stream.input().drain(5),
        |stream| stream.input().read(&mut [0; 5]),
        |stream| {
            stream
                .input()
                .read_line(libevent2::buffer::Eol::Lf)
                .unwrap()
                .len()
                + 1
        },
        |stream| {
            let mut taken = Buffer::new();
            let count = stream.input().move_to(&mut taken, 5);
            drop(taken);
            count
        },
        |stream| stream.input().take().len(),
    ];
    for take in ways {
        for dropped in [false, true] {
            let base = EventBase::new().unwrap();
            let (near, far) = BufferEvent::pair(&base, noting(&Log::default()), sink()).unwrap();
            far.output().append_shared(StrikingDrop(b"1234\n")).unwrap();
            let base = Rc::new(RefCell::new(Some(base)));
            run_until(base.borrow_mut().as_mut().unwrap(), || {
                !near.input().is_empty()
            });
            let (its_base, stream) = (base.clone(), near.share());
            plan(move || {
                stream.close();
                match dropped {
                    true => drop(its_base.take()),
                    false => {
                        let mut base = its_base.borrow_mut();
                        base.as_mut().unwrap().run_nonblocking().unwrap();
                    }
                }
            });
            assert_eq!(take(&near), 5);
            assert!(near.is_closed());
        }
    }
}

#[test]
fn what_is_refused_is_told_before_an_owner_ends_the_stream() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let (near, far) = BufferEvent::pair(&base, noting(&Log::default()), sink()).unwrap();
    far.write(b"some bytes").unwrap();
    let base = Rc::new(RefCell::new(Some(base)));
    run_until(base.borrow_mut().as_mut().unwrap(), || {
        !near.input().is_empty()
    });
    // Both wait until C has freed the buffer; the first one moves, and the second one ends the
    // stream while that is refused.
    struct First;
    impl AsRef<[u8]> for First {
        fn as_ref(&self) -> &[u8] {
            b"1"
        }
    }
    impl Drop for First {
        fn drop(&mut self) {
            strike();
        }
    }
    let (its_base, stream, moved) = (base.clone(), near.share(), count());
    let seen = moved.clone();
    let second = move || {
        stream.close();
        let mut base = its_base.borrow_mut();
        base.as_mut().unwrap().run_nonblocking().unwrap();
    };
    let stream = near.share();
    let first = move || {
        plan(second);
        let mut frozen = Buffer::new();
        frozen.freeze(libevent2::buffer::End::Back);
        assert_eq!(stream.input().move_to(&mut frozen, 4), 0);
        seen.bump();
    };
    let mut owners = Buffer::new();
    owners.append_shared(First).unwrap();
    owners.append_shared(First).unwrap();
    plan(first);
    drop(owners);
    assert_eq!(moved.get(), 1);
    assert!(near.is_closed());
}

#[test]
fn a_handler_that_takes_the_socket_and_writes_leaves_nothing_to_wait_for() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let taken: Shared<std::os::fd::OwnedFd> = Shared::default();
    let slot = taken.clone();
    let handler = Callbacks::new().on_write(move |stream| {
        if slot.borrow().is_none() {
            slot.replace(Some(stream.take_socket()?));
            stream.write(b"later")?;
        }
        Ok::<_, libevent2::Error>(())
    });
    let stream = BufferEvent::from_socket(&base, near, handler).unwrap();
    stream.write(b"now, ").unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(stream.output().len(), 5);
    stream.set_socket(taken.take().unwrap()).unwrap();
    let mut text = [0; 10];
    base.run_nonblocking().unwrap();
    (&far).read_exact(&mut text).unwrap();
    assert_eq!(&text, b"now, later");
}

#[test]
fn a_socket_that_gives_the_stream_another_one_is_refused() {
    let _watchdog = bounded();
    struct Greedy(StreamShare, UnixStream, UnixStream);
    impl From<Greedy> for Socket {
        fn from(it: Greedy) -> Socket {
            it.0.set_socket(it.1).unwrap();
            it.2.into()
        }
    }
    let it = outside();
    drop(it.stream.take_socket().unwrap());
    let (one, _one) = UnixStream::pair().unwrap();
    let (two, two_far) = UnixStream::pair().unwrap();
    let greedy = Greedy(it.stream.share(), one, two);
    it.stream.set_socket(greedy).unwrap_err();
    assert_eq!((&two_far).read(&mut [0]).unwrap(), 0, "it was closed");
}

#[test]
fn directions_that_are_none_and_absurd_numbers_do_no_harm() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let odd = Direction::from_bits_retain(u16::MAX);
    let none = Direction::empty();
    let (near, far) = UnixStream::pair().unwrap();
    let socket = BufferEvent::from_socket(&base, near, noting(&Log::default())).unwrap();
    let (one, two) =
        BufferEvent::pair(&base, noting(&Log::default()), noting(&Log::default())).unwrap();
    let (below, _above) =
        BufferEvent::pair(&base, noting(&Log::default()), noting(&Log::default())).unwrap();
    let filter = BufferEvent::filter(
        below,
        filter_fn(|s, o, _| o.append_buffer(s), |s, o, _| o.append_buffer(s)),
        noting(&Log::default()),
    )
    .unwrap();
    (&far).write_all(b"bytes").unwrap();
    two.write(b"bytes").unwrap();
    for stream in [&socket, &one, &two, &filter] {
        for direction in [odd, none] {
            for (low, high) in [(0, usize::MAX), (usize::MAX, 0), (usize::MAX, usize::MAX)] {
                stream.set_watermarks(direction, low, high).unwrap();
                stream.write(b"bytes").unwrap();
                base.run_nonblocking().unwrap();
            }
            stream.watermarks(direction).unwrap_err();
            let most = Some(Duration::MAX);
            stream.set_timeouts(most, most).unwrap();
            stream.enable(direction).unwrap();
            stream.trigger(direction).unwrap();
            stream.trigger_always(direction).unwrap();
            for mode in [FlushMode::Normal, FlushMode::Flush, FlushMode::Finished] {
                stream.flush(direction, mode).unwrap();
            }
            stream
                .trigger_event(StreamEvent::TimedOut(direction))
                .unwrap();
            base.run_nonblocking().unwrap();
            stream.disable(direction).unwrap();
            base.run_nonblocking().unwrap();
        }
        stream.set_priority(usize::MAX).unwrap_err();
    }
}

#[test]
fn a_file_is_no_stream_and_its_descriptor_is_closed() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let file = std::fs::File::open("Cargo.toml").unwrap();
    let file = std::os::fd::OwnedFd::from(file);
    let error = BufferEvent::from_socket(&base, file, sink()).unwrap_err();
    assert!(matches!(error, libevent2::Error::Os { .. }), "{error}");
}

#[test]
fn shares_of_all_kinds_outlive_their_base() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let socket = BufferEvent::from_socket(&base, near, sink()).unwrap();
    let (one, two) = BufferEvent::pair(&base, sink(), sink()).unwrap();
    let below = two.share();
    let pass = filter_fn(|s, o, _| o.append_buffer(s), |s, o, _| o.append_buffer(s));
    let filter = BufferEvent::filter(two, pass, sink()).unwrap();
    let shares = [socket.share(), one.share(), filter.share(), below];
    for share in &shares {
        share.write(&vec![1; TOO_MUCH]).unwrap();
    }
    drop(base);
    for share in &shares {
        assert!(share.is_closed());
        share.close();
        share.close_when_flushed();
        share.write(b"x").unwrap_err();
        share.enable(Direction::BOTH).unwrap_err();
        share.disable(Direction::BOTH).unwrap_err();
        share.shutdown_write().unwrap_err();
        share.set_timeouts(Some(Duration::MAX), None).unwrap_err();
        share.set_watermarks(Direction::READ, 1, 2).unwrap_err();
        share.set_priority(0).unwrap_err();
        share.trigger_event(StreamEvent::Eof).unwrap_err();
        share.set_rate_limit(None).unwrap_err();
        share.set_handler(sink()).unwrap_err();
        share.take_socket().unwrap_err();
        share
            .flush(Direction::BOTH, FlushMode::Finished)
            .unwrap_err();
        assert!(share.with_partner(|_| ()).is_none());
        assert_eq!(share.input().take().len(), 0);
        assert_eq!(share.output().len(), 0);
        assert!(share.as_ptr().is_null() && share.raw_fd().is_none());
        let _ = format!("{share:?}");
        assert!(share.share().is_closed());
    }
    drop((socket, one, filter, far));
}

#[test]
fn whatever_a_handlers_drop_does_to_the_streams_around_it_each_ends_once() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (one, two) = BufferEvent::pair(&base, sink(), sink()).unwrap();
    let ended = count();
    struct AtEnd<F: FnMut()>(F);
    impl<F: FnMut()> Drop for AtEnd<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let (a, b, seen) = (one.share(), two.share(), ended.clone());
    let at_end = AtEnd(move || {
        seen.bump();
        a.close();
        b.close();
        a.trigger_event(StreamEvent::Eof).unwrap_err();
        assert!(b.with_partner(|_| ()).is_none());
    });
    one.set_handler(Callbacks::new().on_event(move |stream, _| {
        let _ = &at_end;
        stream.with_partner(|partner| partner.close());
        stream.close();
    }))
    .unwrap();
    let (base_of, timer) = (base.clone(), ended.clone());
    let _timer = Timer::after(&base, Duration::from_millis(1), move |_| {
        timer.get();
        base_of.exit();
    })
    .unwrap();
    two.write(b"x").unwrap();
    drop(two);
    base.run().unwrap();
    assert_eq!(ended.get(), 1);
    assert!(one.is_closed());
}
