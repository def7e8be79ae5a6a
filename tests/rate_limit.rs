//! Rate limits: of one stream, and of a group.

mod common;

use common::{Count, DropCount, bounded, count};
use libevent2::stream::{
    BufferEvent, Callbacks, Direction, Filter, RateLimit, RateLimitGroup, StreamEvent,
};
use libevent2::{Error, EventBase, Kind, LoopHandle};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Writes for ever, until the other end is closed.
fn flood(mut peer: TcpStream) -> JoinHandle<()> {
    thread::spawn(move || while peer.write_all(&[7; 65536]).is_ok() {})
}

/// Reads all, and tells how much that was.
fn drink(mut peer: TcpStream) -> JoinHandle<usize> {
    thread::spawn(move || {
        let mut total = 0;
        let mut bytes = vec![0; 65536];
        while let Ok(n @ 1..) = peer.read(&mut bytes) {
            total += n;
        }
        total
    })
}

/// A stream that counts what it reads.
fn reader(base: &LoopHandle, socket: TcpStream, total: &Count) -> BufferEvent {
    let total = total.clone();
    let handler = Callbacks::new().on_read(move |stream| {
        total.set(total.get() + stream.input().drain(usize::MAX));
    });
    BufferEvent::from_socket(base, socket, handler).unwrap()
}

/// Runs for a second and a half, and checks that `total` is 100 kB a second of that.
fn holds(base: &mut EventBase, total: impl Fn() -> usize) {
    let begin = Instant::now();
    base.exit_after(Duration::from_millis(1500)).unwrap();
    base.run().unwrap();
    let rate = total() as f64 / begin.elapsed().as_secs_f64();
    assert!((80_000.0..120_000.0).contains(&rate), "{rate} bytes/s");
}

#[test]
fn a_read_limit_holds() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let total = count();
    let stream = reader(&base, ours, &total);
    stream
        .set_rate_limit(RateLimit::new().read(100_000))
        .unwrap();
    let peer = flood(theirs);
    holds(&mut base, || total.get());
    drop(stream);
    peer.join().unwrap();
}

#[test]
fn a_write_limit_holds() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let stream = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    stream
        .set_rate_limit(RateLimit::new().write(100_000))
        .unwrap();
    stream.write(&vec![1; 1_000_000]).unwrap();
    let peer = drink(theirs);
    holds(&mut base, || 1_000_000 - stream.output().len());
    let sent = 1_000_000 - stream.output().len();
    drop(stream);
    assert_eq!(peer.join().unwrap(), sent);
}

#[test]
fn a_limit_of_a_filter_is_that_of_the_stream_below() {
    struct Pass;
    impl Filter for Pass {}
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let total = count();
    let all = total.clone();
    let socket = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    let handler = Callbacks::new().on_read(move |stream| {
        all.set(all.get() + stream.input().drain(usize::MAX));
    });
    let stream = BufferEvent::filter(socket, Pass, handler).unwrap();
    let limit = RateLimit::per_second(100_000);
    stream.set_rate_limit(limit).unwrap();
    assert_eq!(stream.rate_limit(), Some(limit));
    let peer = flood(theirs);
    holds(&mut base, || total.get());
    drop(stream);
    peer.join().unwrap();
}

#[test]
fn a_group_shares_its_limit_and_counts() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let group = RateLimitGroup::new(&base, RateLimit::new().read(100_000)).unwrap();
    let totals: Vec<Count> = (0..4).map(|_| count()).collect();
    let mut peers = Vec::new();
    let streams: Vec<BufferEvent> = totals
        .iter()
        .map(|total| {
            let (ours, theirs) = tcp_pair();
            peers.push(flood(theirs));
            let stream = reader(&base, ours, total);
            stream.set_rate_limit_group(&group).unwrap();
            stream
        })
        .collect();
    assert_eq!(group.len(), 4);
    holds(&mut base, || totals.iter().map(|total| total.get()).sum());
    let sum: usize = totals.iter().map(|total| total.get()).sum();
    assert_eq!(group.totals().unwrap().read, sum as u64);
    assert_eq!(group.totals().unwrap().written, 0);
    for total in &totals {
        assert!(total.get() > sum / 16, "each has its turn: {totals:?}");
    }
    group.reset_totals().unwrap();
    assert_eq!(group.totals().unwrap().read, 0);
    drop(streams);
    assert!(group.is_empty());
    for peer in peers {
        peer.join().unwrap();
    }
}

#[test]
fn a_limit_that_is_lifted_is_gone() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let stream = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    let group = RateLimitGroup::new(&base, RateLimit::per_second(1000)).unwrap();
    stream.set_rate_limit(RateLimit::per_second(1000)).unwrap();
    stream.set_rate_limit_group(&group).unwrap();
    stream.write(&vec![1; 10_000_000]).unwrap();
    let peer = drink(theirs);
    base.exit_after(Duration::from_millis(50)).unwrap();
    base.run().unwrap();
    assert!(stream.output().len() > 9_990_000);
    stream.set_rate_limit(None).unwrap();
    stream.set_rate_limit_group(None).unwrap();
    assert_eq!(stream.rate_limit(), None);
    assert!(stream.rate_limit_group().is_none());
    stream.finish();
    let begin = Instant::now();
    while base.stats().live(Kind::BufferEvent) > 0 {
        base.run_once().unwrap();
    }
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(peer.join().unwrap(), 10_000_000);
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    let base = EventBase::new().unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    let bad = [
        (RateLimit::per_second(0), "read limit: 0 bytes"),
        (RateLimit::new().write(0), "write limit: 0 bytes"),
        (
            RateLimit::per_second(100).tick(Duration::from_millis(1)),
            "read limit: 100 bytes per second are none in a tick of 1 ms",
        ),
        (
            RateLimit::per_second(10_000).read_burst(10),
            "read limit: a burst of 10 bytes is less than the 1000 of one tick",
        ),
        (
            RateLimit::per_second(10_000).tick(Duration::ZERO),
            "tick: 0ns is not between a millisecond and an hour",
        ),
        (
            RateLimit::per_second(10_000).tick(Duration::from_micros(999)),
            "tick: 999µs",
        ),
        (
            RateLimit::per_second(10_000).tick(Duration::from_secs(3601)),
            "tick: 3601s",
        ),
        (
            RateLimit::per_second(10_000).tick(Duration::MAX),
            "tick: 18446744073709551615.999999999s",
        ),
    ];
    for (limit, why) in bad {
        for error in [
            stream.set_rate_limit(limit).unwrap_err(),
            RateLimitGroup::new(&base, limit).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
            assert!(error.to_string().starts_with(why), "{error}");
        }
    }
    assert_eq!(stream.rate_limit(), None);
}

/// C would overflow, or take the low bits of a large limit for "nothing to read", which is the end.
#[test]
fn huge_limits_are_no_limit() {
    let _watchdog = bounded();
    for bytes in [u64::MAX, 1 << 32, 1 << 33, (1 << 32) * 10, i64::MAX as u64] {
        for tick in [1, 100, 3_600_000] {
            let mut base = EventBase::new().unwrap();
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let stream = BufferEvent::from_socket(
                &base,
                ours,
                Callbacks::new().on_read(|_| {}).on_event(|_, event| {
                    assert!(!matches!(event, StreamEvent::Eof));
                }),
            )
            .unwrap();
            let limit = RateLimit::per_second(bytes)
                .read_burst(u64::MAX)
                .tick(Duration::from_millis(tick));
            let group = RateLimitGroup::new(&base, limit).unwrap();
            stream.set_rate_limit(limit).unwrap();
            stream.set_rate_limit_group(&group).unwrap();
            stream.set_max_single_read(1 << 32).unwrap();
            stream.set_max_single_write(usize::MAX).unwrap();
            theirs.write_all(&[1; 10_000]).unwrap();
            stream.write(&[2; 10_000]).unwrap();
            while stream.input().len() < 10_000 || !stream.output().is_empty() {
                base.run_once().unwrap();
            }
        }
    }
}

#[test]
fn what_is_left_can_be_read_and_changed() {
    let base = EventBase::new().unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    assert_eq!((stream.read_limit(), stream.write_limit()), (None, None));
    for refused in [
        stream.decrement_read_limit(1),
        stream.decrement_write_limit(1),
    ] {
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    }
    // Ticks so long that none passes.
    let limit = RateLimit::new()
        .read(1)
        .write(2)
        .read_burst(5000)
        .tick(Duration::from_secs(3600));
    stream.set_rate_limit(limit).unwrap();
    assert_eq!(stream.rate_limit(), Some(limit));
    assert_eq!(stream.read_limit(), Some(3600));
    assert_eq!(stream.write_limit(), Some(7200));
    assert_eq!(stream.max_to_read(), 3600);
    stream.decrement_read_limit(600).unwrap();
    stream.decrement_write_limit(7201).unwrap();
    assert_eq!(stream.read_limit(), Some(3000));
    assert_eq!(stream.write_limit(), Some(-1));
    assert_eq!(stream.max_to_write(), 0);
    stream.decrement_read_limit(-1000).unwrap();
    assert_eq!(stream.read_limit(), Some(4000));
    // Not beyond the burst, and not beyond what a number can hold.
    stream.decrement_read_limit(i64::MIN).unwrap();
    assert_eq!(stream.read_limit(), Some(5000));
    for _ in 0..5 {
        stream.decrement_read_limit(i64::MAX).unwrap();
        stream.decrement_write_limit(i64::MAX).unwrap();
    }
    assert!(stream.read_limit().unwrap() < 0);

    let group = RateLimitGroup::new(&base, limit).unwrap();
    stream.set_rate_limit_group(&group).unwrap();
    assert_eq!(group.read_limit().unwrap(), 3600);
    group.decrement_read(100).unwrap();
    group.decrement_write(10_000).unwrap();
    assert_eq!(group.read_limit().unwrap(), 3500);
    assert_eq!(group.write_limit().unwrap(), -2800);
    group.decrement_write(i64::MIN).unwrap();
    assert_eq!(group.write_limit().unwrap(), 7200);
    for _ in 0..5 {
        group.decrement_read(i64::MAX).unwrap();
    }
    assert!(group.read_limit().unwrap() < 0);
    group.set_limit(RateLimit::per_second(10)).unwrap();
    assert_eq!(group.write_limit().unwrap(), 10);
    group.set_min_share(usize::MAX).unwrap();
    group.set_min_share(0).unwrap();
}

#[test]
fn sizes_of_single_reads_and_writes() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let reads = Rc::new(RefCell::new(Vec::new()));
    let seen = reads.clone();
    let handler = Callbacks::new().on_read(move |stream| {
        seen.borrow_mut().push(stream.input().drain(usize::MAX));
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    stream.set_max_single_read(10).unwrap();
    stream.set_max_single_write(20).unwrap();
    assert_eq!(
        (stream.max_single_read(), stream.max_single_write()),
        (10, 20)
    );
    assert_eq!((stream.max_to_read(), stream.max_to_write()), (10, 20));
    theirs.write_all(&[1; 35]).unwrap();
    while reads.borrow().iter().sum::<usize>() < 35 {
        base.run_once().unwrap();
    }
    assert_eq!(*reads.borrow(), [10, 10, 10, 5]);
    stream.set_max_single_read(0).unwrap();
    assert_eq!(stream.max_single_read(), 16384);
    stream.close();
    assert_eq!(stream.max_to_read(), 0);
    let closed = stream.set_max_single_read(1);
    assert!(matches!(closed, Err(Error::Closed { .. })));
}

#[test]
fn one_of_a_pair_has_no_limit_and_groups_are_of_one_base() {
    let base = EventBase::new().unwrap();
    let other = EventBase::new().unwrap();
    let (near, _far) = BufferEvent::pair(&base, Callbacks::new(), Callbacks::new()).unwrap();
    let group = RateLimitGroup::new(&other, RateLimit::per_second(1000)).unwrap();
    for refused in [
        near.set_rate_limit(RateLimit::per_second(1000)),
        near.set_rate_limit_group(&group),
        near.set_max_single_read(1),
        near.decrement_read_limit(1),
    ] {
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
    }
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    let refused = stream.set_rate_limit_group(&group);
    assert!(matches!(refused, Err(Error::Invalid { .. })));
    assert!(group.is_empty());
}

#[test]
fn members_change_groups_and_leave_when_they_close() {
    let base = EventBase::new().unwrap();
    let limit = RateLimit::per_second(1000);
    let one = RateLimitGroup::new(&base, limit).unwrap();
    let two = RateLimitGroup::new(&base, limit).unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    stream.set_rate_limit_group(&one).unwrap();
    stream.set_rate_limit_group(&one.clone()).unwrap();
    assert_eq!((one.len(), two.len()), (1, 0));
    stream.set_rate_limit_group(&two).unwrap();
    assert_eq!((one.len(), two.len()), (0, 1));
    assert!(stream.rate_limit_group().unwrap().same_group(&two));
    assert_eq!(base.stats().live(Kind::RateLimitGroup), 2);
    drop((one, two));
    // The member keeps it.
    assert_eq!(base.stats().live(Kind::RateLimitGroup), 1);
    drop(stream);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_group_is_freed_with_its_base_whatever_is_left() {
    for order in ["base", "group", "stream"] {
        let mut base = EventBase::new().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let before = RateLimitGroup::new(&base, RateLimit::per_second(1000)).unwrap();
        let stream = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
        let group = RateLimitGroup::new(&base, RateLimit::per_second(1000)).unwrap();
        stream.set_rate_limit_group(&before).unwrap();
        stream.set_rate_limit_group(&group).unwrap();
        stream.set_rate_limit(RateLimit::per_second(1000)).unwrap();
        base.run_nonblocking().unwrap();
        match order {
            "base" => {
                drop(base);
                assert!(group.is_empty());
                for closed in [
                    group.set_limit(RateLimit::per_second(1000)),
                    group.totals().map(drop),
                    group.decrement_read(1),
                    group.set_min_share(1),
                    stream.set_rate_limit(None),
                ] {
                    assert!(matches!(closed, Err(Error::Closed { .. })), "{closed:?}");
                }
                drop((stream, group));
            }
            "group" => drop((group, base, stream)),
            _ => drop((stream, base, group)),
        }
        drop(before);
    }
    let base = EventBase::new().unwrap();
    let handle: LoopHandle = (*base).clone();
    drop(base);
    let closed = RateLimitGroup::new(&handle, RateLimit::per_second(1000));
    assert!(matches!(closed, Err(Error::Closed { .. })));
}

#[test]
fn limits_may_change_in_any_callback() {
    const ACTIONS: [&str; 7] = [
        "lift",
        "other limit",
        "leave",
        "other group",
        "close",
        "drop",
        "decrement",
    ];
    for action in ACTIONS {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let dropped = count();
        let captured = DropCount(dropped.clone());
        let owner: Rc<RefCell<Option<BufferEvent>>> = Rc::default();
        let held = owner.clone();
        let calls = Rc::new(Cell::new(0));
        let called = calls.clone();
        let act = Rc::new(move |stream: &libevent2::BufferEventRef| {
            let _captured = &captured;
            called.set(called.get() + 1);
            match action {
                "lift" => stream.set_rate_limit(None).unwrap(),
                "other limit" => stream
                    .set_rate_limit(RateLimit::per_second(20_000 + called.get()))
                    .unwrap(),
                "leave" => stream.set_rate_limit_group(None).unwrap(),
                "other group" => {
                    let limit = RateLimit::per_second(30_000);
                    let group = RateLimitGroup::new(stream.handle(), limit).unwrap();
                    stream.set_rate_limit_group(&group).unwrap();
                }
                "close" => stream.close(),
                "drop" => drop(held.take()),
                _ => {
                    stream.decrement_read_limit(100_000).unwrap();
                    stream.decrement_write_limit(100_000).unwrap();
                    stream.decrement_read_limit(-100_000).unwrap();
                    stream.decrement_write_limit(-100_000).unwrap();
                }
            }
        });
        let (on_read, on_write, on_event) = (act.clone(), act.clone(), act);
        let handler = Callbacks::new()
            .on_read(move |stream| {
                stream.input().clear();
                on_read(stream);
            })
            .on_write(move |stream| on_write(stream))
            .on_event(move |stream, _| on_event(stream));
        let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
        let group = RateLimitGroup::new(&base, RateLimit::per_second(20_000)).unwrap();
        stream.set_rate_limit_group(&group).unwrap();
        stream
            .set_rate_limit(RateLimit::per_second(10_000))
            .unwrap();
        drop(group);
        stream.write(&[1; 3000]).unwrap();
        owner.replace(Some(stream));
        theirs.write_all(&[1; 3000]).unwrap();
        base.exit_after(Duration::from_millis(500)).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        base.run().unwrap();
        assert!(calls.get() > 0, "{action}");
        owner.take();
        assert_eq!(dropped.get(), 1, "{action}");
        assert_eq!(base.stats().live_total(), 0, "{action}");
    }
}

/// What is in a disabled direction stays, limits or not.
#[test]
fn a_limit_does_not_enable_what_is_disabled() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, ours, Callbacks::new().on_read(|_| {})).unwrap();
    stream.disable(Direction::READ).unwrap();
    stream
        .set_rate_limit(RateLimit::per_second(10_000))
        .unwrap();
    stream.set_rate_limit(None).unwrap();
    theirs.write_all(b"kept").unwrap();
    base.run_nonblocking().unwrap();
    assert!(stream.input().is_empty());
    stream.enable(Direction::READ).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(stream.input().len(), 4);
}
