//! Pairs: two streams that are each other's peer.

mod common;

use common::{Bump, Count, DropCount, bounded, count};
use libevent2::stream::{BufferEvent, Callbacks, Direction, FlushMode, Handler, StreamEvent};
use libevent2::{Error, EventBase, Kind};
use std::cell::{Cell, RefCell};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

type Text = Rc<RefCell<Vec<u8>>>;

/// Collects what comes, and counts the ends.
fn collect(text: &Text, ends: &Count) -> impl Handler + use<> {
    let (text, ends) = (text.clone(), ends.clone());
    Callbacks::new()
        .on_read(move |stream| text.borrow_mut().extend(stream.input().take().to_vec()))
        .on_event(move |_, event| {
            assert!(matches!(event, StreamEvent::Eof), "{event:?}");
            ends.bump();
        })
}

fn idle() -> impl Handler {
    Callbacks::new().on_event(|_, _| {})
}

#[test]
fn what_one_writes_the_other_reads() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (text, ends) = (Text::default(), count());
    let (near, far) = BufferEvent::pair(&base, idle(), collect(&text, &ends)).unwrap();
    near.write(b"hello, ").unwrap();
    near.write(b"world").unwrap();
    assert!(text.borrow().is_empty(), "nobody is called inside a write");
    base.run_nonblocking().unwrap();
    assert_eq!(*text.borrow(), b"hello, world");
    assert_eq!(ends.get(), 0);
    drop((near, far));
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn an_echo_over_a_pair() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (text, ends) = (Text::default(), count());
    let echo = Callbacks::new().on_read(|stream| stream.output().append_from(&stream.input()));
    let (near, _far) = BufferEvent::pair(&base, collect(&text, &ends), echo).unwrap();
    let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n / 3) as u8).collect();
    near.write(&sent).unwrap();
    while text.borrow().len() < sent.len() {
        base.run_once().unwrap();
    }
    assert!(*text.borrow() == sent);
}

#[test]
fn closing_one_end_gives_the_other_all_and_then_the_end() {
    for how in ["close", "drop", "close in its handler", "finish"] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let (text, ends) = (Text::default(), count());
        let closes = Callbacks::new().on_write(move |stream| {
            if how == "close in its handler" {
                stream.write(b" and more").unwrap();
                stream.close();
            }
        });
        let (near, _far) = BufferEvent::pair(&base, closes, collect(&text, &ends)).unwrap();
        near.write(b"all").unwrap();
        match how {
            "close" => near.close(),
            "drop" => drop(near),
            "finish" => near.finish(),
            _ => near.detach(),
        }
        base.run_nonblocking().unwrap();
        base.run_nonblocking().unwrap();
        let expected: &[u8] = match how {
            "close in its handler" => b"all and more",
            _ => b"all",
        };
        assert_eq!(*text.borrow(), expected, "{how}");
        assert_eq!(ends.get(), 1, "{how}");
        assert_eq!(base.stats().live(Kind::BufferEvent), 1, "{how}");
    }
}

#[test]
fn what_was_written_arrives_though_the_other_one_does_not_read() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (text, ends) = (Text::default(), count());
    let (near, far) = BufferEvent::pair(&base, idle(), collect(&text, &ends)).unwrap();
    far.disable(Direction::READ).unwrap();
    near.write(b"stays").unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(near.output().len(), 5);
    drop(near);
    base.run_nonblocking().unwrap();
    assert_eq!((&text.borrow()[..], ends.get()), (&b"stays"[..], 1));
}

#[test]
fn what_was_written_arrives_though_it_is_above_the_high_watermark() {
    for written in [500, 1000, 1500, 20_000] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let lengths = Rc::new(RefCell::new(Vec::new()));
        let (ends, seen) = (count(), lengths.clone());
        let ended = ends.clone();
        let handler = Callbacks::new()
            .on_read(move |stream| seen.borrow_mut().push(stream.input().len()))
            .on_event(move |stream, _| {
                ended.bump();
                assert_eq!(stream.input().len(), written);
                stream.close();
            });
        let (near, far) = BufferEvent::pair(&base, idle(), handler).unwrap();
        far.set_watermarks(Direction::READ, 0, 1000).unwrap();
        near.write(&vec![7; written]).unwrap();
        base.run_nonblocking().unwrap();
        assert_eq!(lengths.borrow()[0], written.min(1000));
        drop(near);
        base.run_nonblocking().unwrap();
        assert_eq!(ends.get(), 1);
        drop(far);
    }
}

#[test]
fn the_high_watermark_holds_back_and_lets_go() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let most = Rc::new(Cell::new(0));
    let got = Rc::new(Cell::new(0));
    let (seen, all) = (most.clone(), got.clone());
    let handler = Callbacks::new().on_read(move |stream| {
        seen.set(seen.get().max(stream.input().len()));
        all.set(all.get() + stream.input().drain(300));
    });
    let (near, far) = BufferEvent::pair(&base, idle(), handler).unwrap();
    far.set_watermarks(Direction::READ, 0, 1000).unwrap();
    near.write(&[1; 5000]).unwrap();
    while got.get() < 4900 {
        base.run_nonblocking().unwrap();
        far.trigger(Direction::READ).unwrap();
    }
    assert_eq!(most.get(), 1000);
}

#[test]
fn shutdown_write_ends_one_direction_and_waits_for_the_reader() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (text, ends) = (Text::default(), count());
    let (answer, answers_end) = (Text::default(), count());
    let (near, far) =
        BufferEvent::pair(&base, collect(&answer, &answers_end), collect(&text, &ends)).unwrap();
    far.disable(Direction::READ).unwrap();
    near.write(b"question").unwrap();
    near.shutdown_write().unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(ends.get(), 0, "it has not read yet");
    far.enable(Direction::READ).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!((&text.borrow()[..], ends.get()), (&b"question"[..], 1));
    far.write(b"answer").unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(*answer.borrow(), b"answer");
    assert_eq!(answers_end.get(), 0);
    // The end is told once.
    drop(near);
    base.run_nonblocking().unwrap();
    assert_eq!(ends.get(), 1);
}

#[test]
fn close_when_flushed_waits_for_the_reader_or_for_its_end() {
    for reader_leaves in [false, true] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let (text, ends, closed) = (Text::default(), count(), count());
        let heard = closed.clone();
        let near = Callbacks::new().on_event(move |_, event| {
            if matches!(event, StreamEvent::Closed) {
                heard.bump();
            }
        });
        let (near, far) = BufferEvent::pair(&base, near, collect(&text, &ends)).unwrap();
        far.disable(Direction::READ).unwrap();
        near.write(b"late").unwrap();
        if reader_leaves {
            // So that its own end is not what wakes the other one.
            far.shutdown_write().unwrap();
            base.run_nonblocking().unwrap();
        }
        near.finish();
        base.run_nonblocking().unwrap();
        assert_eq!(closed.get(), 0);
        if reader_leaves {
            drop(far);
            base.run_nonblocking().unwrap();
            assert_eq!(closed.get(), 1);
        } else {
            far.enable(Direction::READ).unwrap();
            base.run_nonblocking().unwrap();
            base.run_nonblocking().unwrap();
            assert_eq!(closed.get(), 1);
            assert_eq!((&text.borrow()[..], ends.get()), (&b"late"[..], 1));
        }
    }
}

#[test]
fn flush_goes_past_the_watermark_and_says_the_end() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (text, ends) = (Text::default(), count());
    let (near, far) = BufferEvent::pair(&base, idle(), collect(&text, &ends)).unwrap();
    far.disable(Direction::READ).unwrap();
    near.write(b"pushed").unwrap();
    near.flush(Direction::WRITE, FlushMode::Normal).unwrap();
    base.run_nonblocking().unwrap();
    assert!(text.borrow().is_empty());
    near.flush(Direction::WRITE, FlushMode::Flush).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!((&text.borrow()[..], ends.get()), (&b"pushed"[..], 0));
    near.flush(Direction::WRITE, FlushMode::Finished).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(ends.get(), 1);
}

#[test]
fn each_knows_its_partner_while_that_is_open() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    far.write(b"from far").unwrap();
    let far_ptr = far.as_ptr();
    assert_eq!(near.with_partner(|far| far.as_ptr()), Some(far_ptr));
    assert_eq!(
        far.with_partner(|near| near.input().to_vec()).unwrap(),
        b"from far"
    );
    // Closing it in there is fine.
    near.with_partner(|far| far.close());
    assert!(far.is_closed());
    assert_eq!(near.with_partner(|_| ()), None);
    assert_eq!(far.with_partner(|_| ()), None);
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let socket = BufferEvent::from_socket(&base, ours, idle()).unwrap();
    assert_eq!(socket.with_partner(|_| ()), None);
}

#[test]
fn timeouts_count_for_a_pair() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let heard = Rc::new(Cell::new(None));
    let seen = heard.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        let StreamEvent::TimedOut(direction) = event else {
            panic!("{event:?}");
        };
        seen.set(Some(direction));
        stream.close();
    });
    let (near, _far) = BufferEvent::pair(&base, handler, idle()).unwrap();
    near.set_timeouts(Some(Duration::from_millis(10)), None)
        .unwrap();
    base.run().unwrap();
    assert_eq!(heard.get(), Some(Direction::READ));
}

#[test]
fn what_needs_a_socket_is_refused() {
    let base = EventBase::new().unwrap();
    let (near, _far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    assert!(matches!(near.set_priority(0), Err(Error::Invalid { .. })));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let refused = near.set_socket(socket);
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    assert!(matches!(near.take_socket(), Err(Error::Unsupported { .. })));
    assert_eq!(near.raw_fd(), None);
}

/// What a callback may do to its own stream and to the other one.
#[test]
fn anything_goes_in_any_callback() {
    const ACTIONS: [&str; 9] = [
        "close",
        "drop",
        "drop both",
        "close partner",
        "drop partner",
        "replace",
        "write",
        "trigger",
        "panic",
    ];
    for at in ["read", "write", "event"] {
        for action in ACTIONS {
            let _watchdog = bounded();
            let mut base = EventBase::new().unwrap();
            let dropped = count();
            let owners: Rc<RefCell<Vec<BufferEvent>>> = Rc::default();
            let (held, captured) = (owners.clone(), DropCount(dropped.clone()));
            let calls = count();
            let called = calls.clone();
            let act = Rc::new(move |stream: &libevent2::BufferEventRef, here: &str| {
                let _captured = &captured;
                if here != at || called.bump() > 1 {
                    return;
                }
                match action {
                    "close" => stream.close(),
                    "drop" => drop(held.borrow_mut().remove(0)),
                    "drop both" => {
                        let owners = held.take();
                        drop(owners);
                    }
                    "close partner" => {
                        stream.with_partner(|partner| partner.close());
                    }
                    "drop partner" => drop(held.borrow_mut().remove(1)),
                    "replace" => stream.set_handler(Callbacks::new()).unwrap(),
                    "write" => stream.write(b"again").unwrap(),
                    "trigger" => {
                        stream.trigger(Direction::BOTH).unwrap();
                        stream.trigger_event(StreamEvent::Connected).unwrap();
                    }
                    _ => panic!("on purpose"),
                }
            });
            let (on_read, on_write, on_event) = (act.clone(), act.clone(), act);
            let handler = Callbacks::new()
                .on_read(move |stream| {
                    stream.input().clear();
                    on_read(stream, "read");
                })
                .on_write(move |stream| on_write(stream, "write"))
                .on_event(move |stream, _| on_event(stream, "event"));
            let (near, far) = BufferEvent::pair(&base, handler, idle()).unwrap();
            near.write(b"out").unwrap();
            far.write(b"in").unwrap();
            far.shutdown_write().unwrap();
            owners.borrow_mut().extend([near, far]);
            let mut panics = 0;
            for _ in 0..4 {
                let run = catch_unwind(AssertUnwindSafe(|| base.run_nonblocking().map(drop)));
                panics += usize::from(run.is_err());
            }
            assert!(calls.get() > 0, "{action} in {at}");
            assert_eq!(panics, usize::from(action == "panic"), "{action} in {at}");
            owners.take();
            assert_eq!(dropped.get(), 1, "{action} in {at}");
            assert_eq!(base.stats().live_total(), 0, "{action} in {at}");
        }
    }
}

/// A callback that C was still to make would keep the C object.
#[test]
fn nothing_is_left_of_one_whose_base_goes_before_it_heard_of_the_end() {
    for how in ["closed", "with the base", "with timeouts"] {
        let dropped = count();
        let base = EventBase::new().unwrap();
        let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
        let owner = SharedBytes([1; 100], DropCount(dropped.clone()));
        far.disable(Direction::WRITE).unwrap();
        far.output().append_shared(owner).unwrap();
        far.close();
        assert_eq!(
            dropped.get(),
            0,
            "it is with the other one, which has not heard yet"
        );
        if how == "with timeouts" {
            let long = Some(Duration::from_secs(1000));
            near.set_timeouts(long, long).unwrap();
        }
        if how != "with the base" {
            near.close();
        }
        drop(base);
        assert_eq!(dropped.get(), 1, "{how}");
    }
}

struct SharedBytes([u8; 100], #[allow(dead_code)] DropCount);

// SAFETY: the tests stay on one thread.
unsafe impl Send for SharedBytes {}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[test]
fn handlers_are_dropped_once_on_every_path() {
    for how in ["drop", "close", "detach", "base first", "base gone"] {
        let dropped = count();
        let base = EventBase::new().unwrap();
        let handle = (*base).clone();
        let [one, two] = [(); 2].map(|()| {
            let captured = DropCount(dropped.clone());
            Callbacks::new().on_read(move |_| {
                let _captured = &captured;
            })
        });
        if how == "base gone" {
            drop(base);
            let made = BufferEvent::pair(&handle, one, two);
            assert!(matches!(made, Err(Error::Closed { .. })));
            assert_eq!(dropped.get(), 2);
            continue;
        }
        let (near, far) = BufferEvent::pair(&base, one, two).unwrap();
        near.write(b"left").unwrap();
        match how {
            "drop" => drop((near, far)),
            "close" => {
                near.close();
                far.close();
            }
            "detach" => {
                near.detach();
                far.detach();
                assert_eq!(base.stats().live_total(), 2);
            }
            _ => {
                drop(base);
                assert_eq!(dropped.get(), 2, "{how}");
                assert!(near.is_closed() && far.is_closed());
                assert!(matches!(near.write(b"x"), Err(Error::Closed { .. })));
                drop((near, far));
                assert_eq!(dropped.get(), 2, "{how}");
                continue;
            }
        }
        drop(base);
        assert_eq!(dropped.get(), 2, "{how}");
    }
}
