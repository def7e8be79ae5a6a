//! What a filter may do to its stream while it runs, and what becomes of it.

mod common;

use common::{Bump, Count, DropCount, bounded, count};
use libevent2::stream::{
    BufferEvent, Callbacks, Direction, Filter, FilterIo, FlushMode, Handler, StreamError,
    StreamEvent, filter_fn,
};
use libevent2::{BoxError, Buffer, BufferEventRef, Error, EventBase, LoopHandle, UserEvent};
use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

type Act = Rc<dyn Fn(&BufferEventRef, &str)>;

/// Passes everything, and acts in each of its calls.
struct Acting(Act);

impl Filter for Acting {
    fn begin(&mut self, io: &mut FilterIo<'_>) -> Result<(), BoxError> {
        (self.0)(io.stream(), "begin");
        Ok(())
    }

    fn input(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        io: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        (self.0)(io.stream(), "input");
        out.append_buffer(source)?;
        Ok(())
    }

    fn output(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        io: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        (self.0)(io.stream(), "output");
        out.append_buffer(source)?;
        Ok(())
    }

    fn event(&mut self, event: StreamEvent, io: &mut FilterIo<'_>) -> Option<StreamEvent> {
        (self.0)(io.stream(), "event");
        Some(event)
    }
}

fn idle() -> impl Handler {
    Callbacks::new().on_event(|_, _| {})
}

/// The handler that acts as well.
fn acting(act: &Act) -> impl Handler + use<> {
    let (on_read, on_write, on_event) = (act.clone(), act.clone(), act.clone());
    Callbacks::new()
        .on_read(move |stream| {
            stream.input().clear();
            on_read(stream, "on_read");
        })
        .on_write(move |stream| on_write(stream, "on_write"))
        .on_event(move |stream, _| on_event(stream, "on_event"))
}

/// A stream below, and something that speaks to it and keeps its end open.
fn below(base: &LoopHandle, kind: &str) -> (BufferEvent, Box<dyn FnMut()>) {
    if kind == "socket" {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let socket = BufferEvent::from_socket(base, ours, idle()).unwrap();
        let speak = move || {
            use std::io::Write;
            theirs.write_all(b"in").unwrap();
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
        };
        return (socket, Box::new(speak));
    }
    let (near, far) = BufferEvent::pair(base, idle(), idle()).unwrap();
    let far = match kind {
        "pair" => far,
        _ => BufferEvent::filter(far, Plain, idle()).unwrap(),
    };
    let near = match kind {
        "pair" => near,
        _ => BufferEvent::filter(near, Plain, idle()).unwrap(),
    };
    let speak = move || {
        far.write(b"in").unwrap();
        far.shutdown_write().unwrap();
    };
    (near, Box::new(speak))
}

struct Plain;
impl Filter for Plain {}

#[test]
fn anything_goes_in_any_call_over_any_stream() {
    const ACTIONS: [&str; 10] = [
        "close",
        "drop",
        "finish",
        "replace the handler",
        "write",
        "read",
        "flush",
        "enable",
        "trigger",
        "panic",
    ];
    const CALLS: [&str; 7] = [
        "begin", "input", "output", "event", "on_read", "on_write", "on_event",
    ];
    for kind in ["socket", "pair", "filter"] {
        for at in CALLS {
            for action in ACTIONS {
                let _watchdog = bounded();
                let mut base = EventBase::new().unwrap();
                let (dropped, called) = (count(), count());
                let owner: Rc<RefCell<Option<BufferEvent>>> = Rc::default();
                let captured = DropCount(dropped.clone());
                let (held, calls) = (owner.clone(), called.clone());
                let act: Act = Rc::new(move |stream, here| {
                    let _captured = &captured;
                    if here != at || calls.bump() > 1 {
                        return;
                    }
                    match action {
                        "close" => stream.close(),
                        "drop" => drop(held.take()),
                        "finish" => stream.close_when_flushed(),
                        "replace the handler" => stream.set_handler(Callbacks::new()).unwrap(),
                        "write" => stream.write(b"again").unwrap(),
                        "read" => stream.input().clear(),
                        "flush" => {
                            stream.flush(Direction::BOTH, FlushMode::Flush).unwrap();
                        }
                        "enable" => {
                            stream.disable(Direction::BOTH).unwrap();
                            stream.enable(Direction::BOTH).unwrap();
                            stream.set_watermarks(Direction::READ, 0, 1000).unwrap();
                        }
                        "trigger" => {
                            stream.trigger_always(Direction::BOTH).unwrap();
                            stream.trigger_event(StreamEvent::Connected).unwrap();
                        }
                        _ => panic!("on purpose"),
                    }
                });
                let (below, mut speak) = below(&base, kind);
                let handler = acting(&act);
                let stream = BufferEvent::filter(below, Acting(act), handler).unwrap();
                stream.write(b"out").unwrap();
                owner.replace(Some(stream));
                speak();
                let mut panics = 0;
                for _ in 0..8 {
                    let run = catch_unwind(AssertUnwindSafe(|| base.run_nonblocking().map(drop)));
                    panics += usize::from(run.is_err());
                }
                let what = format!("{action} in {at} over a {kind}");
                assert!(called.get() > 0, "{what}");
                assert_eq!(panics, usize::from(action == "panic"), "{what}");
                if action == "close" || action == "drop" {
                    assert_eq!(dropped.get(), 1, "{what}");
                }
                drop((owner.take(), speak));
                for _ in 0..4 {
                    base.run_nonblocking().unwrap();
                }
                assert_eq!(dropped.get(), 1, "{what}");
                assert_eq!(base.stats().live_total(), 0, "{what}");
            }
        }
    }
}

#[test]
fn the_peer_may_go_in_any_call() {
    for at in ["begin", "input", "output", "event", "on_read", "on_write"] {
        for how in ["close", "replace by a filter"] {
            let _watchdog = bounded();
            let mut base = EventBase::new().unwrap();
            let dropped = count();
            let far_owner: Rc<RefCell<Option<BufferEvent>>> = Rc::default();
            let (held, captured) = (far_owner.clone(), DropCount(dropped.clone()));
            let act: Act = Rc::new(move |_, here| {
                let _captured = &captured;
                if here != at {
                    return;
                }
                if let Some(far) = held.take() {
                    match how {
                        "close" => drop(far),
                        // Refused where its end has begun.
                        _ => drop(BufferEvent::filter(far, Plain, idle()).map(BufferEvent::detach)),
                    }
                }
            });
            let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
            let handler = acting(&act);
            let near = BufferEvent::filter(near, Acting(act), handler).unwrap();
            near.write(b"out").unwrap();
            far.write(b"in").unwrap();
            far.shutdown_write().unwrap();
            far_owner.replace(Some(far));
            for _ in 0..8 {
                base.run_nonblocking().unwrap();
            }
            assert!(far_owner.borrow().is_none(), "{at}");
            drop(near);
            assert_eq!(dropped.get(), 1);
        }
    }
}

#[test]
fn a_panic_surfaces_and_fails_the_stream() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let events = heard.clone();
    let handler = Callbacks::new().on_event(move |_, event| {
        let StreamEvent::Failed(error @ StreamError::Filter { .. }) = event else {
            panic!("{event:?}");
        };
        events.borrow_mut().push(error.to_string());
    });
    let calls = count();
    let called = calls.clone();
    let filter = filter_fn(
        move |_, _, _| {
            if called.bump() > 0 {
                panic!("on purpose");
            }
        },
        |_, _, _| {},
    );
    let _near = BufferEvent::filter(near, filter, handler).unwrap();
    far.write(b"x").unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| base.run_nonblocking().map(drop))).unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
    far.write(b"y").unwrap();
    for _ in 0..3 {
        base.run_nonblocking().unwrap();
    }
    assert_eq!(*heard.borrow(), ["unnamed peer: filter: it panicked"]);
    assert_eq!(calls.get(), 1);
}

/// Counts its drops.
struct Counted {
    _filter: DropCount,
}

impl Filter for Counted {}

fn counted(dropped: &Count) -> Counted {
    Counted {
        _filter: DropCount(dropped.clone()),
    }
}

fn counting(dropped: &Count) -> impl Handler + use<> {
    let captured = DropCount(dropped.clone());
    Callbacks::new().on_read(move |_| {
        let _captured = &captured;
    })
}

#[test]
fn filter_and_handlers_are_dropped_once_on_every_path() {
    for how in [
        "drop",
        "close",
        "detach",
        "base first",
        "chain",
        "chain, base first",
        "in use",
    ] {
        let (below_handler, handler, filter) = (count(), count(), count());
        let mut base = EventBase::new().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let socket = BufferEvent::from_socket(&base, ours, counting(&below_handler)).unwrap();
        let stream = BufferEvent::filter(socket, counted(&filter), counting(&handler)).unwrap();
        assert_eq!(below_handler.get(), 1, "{how}: nobody calls it any more");
        assert_eq!((handler.get(), filter.get()), (0, 0), "{how}");
        let expected = match how {
            "drop" => {
                drop(stream);
                1
            }
            "close" => {
                stream.close();
                drop(stream);
                1
            }
            "detach" => {
                stream.detach();
                drop(base);
                assert_eq!((handler.get(), filter.get()), (1, 1), "{how}");
                continue;
            }
            "base first" => {
                drop(base);
                assert_eq!((handler.get(), filter.get()), (1, 1), "{how}");
                assert!(matches!(stream.write(b"x"), Err(Error::Closed { .. })));
                drop(stream);
                assert_eq!((handler.get(), filter.get()), (1, 1), "{how}");
                continue;
            }
            "in use" => {
                stream.write(b"something").unwrap();
                base.run_nonblocking().unwrap();
                stream.write(b"more").unwrap();
                drop(stream);
                1
            }
            _ => {
                let upper =
                    BufferEvent::filter(stream, counted(&filter), counting(&handler)).unwrap();
                assert_eq!((handler.get(), filter.get()), (1, 0));
                match how {
                    "chain" => drop(upper),
                    _ => {
                        drop(base);
                        assert_eq!((handler.get(), filter.get()), (2, 2), "{how}");
                        drop(upper);
                        continue;
                    }
                }
                2
            }
        };
        assert_eq!((handler.get(), filter.get()), (expected, expected), "{how}");
        assert_eq!(base.stats().live_total(), 0);
    }
}

#[test]
fn a_filter_that_cannot_be_made_leaves_nothing_behind() {
    let (dropped, base) = (count(), EventBase::new().unwrap());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let closed = BufferEvent::from_socket(&base, ours, counting(&dropped)).unwrap();
    closed.close();
    let refused = BufferEvent::filter(closed, counted(&dropped), counting(&dropped));
    assert!(matches!(refused, Err(Error::Closed { .. })));
    assert_eq!(dropped.get(), 3);

    let (near, _far) = BufferEvent::pair(&base, counting(&dropped), idle()).unwrap();
    near.shutdown_write().unwrap();
    let refused = BufferEvent::filter(near, counted(&dropped), counting(&dropped));
    assert!(matches!(refused, Err(Error::Invalid { .. })));
    assert_eq!(dropped.get(), 6);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut theirs, &mut bytes).unwrap();
}

/// Values whose drop does something to the stream.
#[test]
fn what_is_dropped_may_use_the_stream_that_goes() {
    struct Nosy(Rc<RefCell<Option<BufferEvent>>>, Count);
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.1.bump();
            if let Some(stream) = &*self.0.borrow() {
                let _ = stream.write(b"too late");
                stream.close();
            }
        }
    }
    impl Filter for Nosy {}
    for how in ["close", "in the loop", "base"] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let (owner, dropped) = (Rc::default(), count());
        let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
        let filter = Nosy(Rc::clone(&owner), dropped.clone());
        let captured = Nosy(Rc::clone(&owner), dropped.clone());
        let handler = Callbacks::new().on_read(move |stream| {
            let _captured = &captured;
            stream.close();
        });
        let stream = BufferEvent::filter(near, filter, handler).unwrap();
        stream.output().append_shared(vec![1; 10_000]).unwrap();
        owner.replace(Some(stream));
        match how {
            "close" => owner.borrow().as_ref().unwrap().close(),
            "base" => drop(base),
            _ => {
                far.write(b"x").unwrap();
                base.run_nonblocking().unwrap();
                base.run_nonblocking().unwrap();
            }
        }
        assert_eq!(dropped.get(), 2, "{how}");
        owner.take();
    }
}

/// A base that goes while nothing of it runs, in code that the loop of another one calls.
#[test]
fn a_base_may_go_in_the_call_of_another_one() {
    let _watchdog = bounded();
    let mut other = EventBase::new().unwrap();
    let base = EventBase::new().unwrap();
    let dropped = count();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let socket = BufferEvent::from_socket(&base, ours, counting(&dropped)).unwrap();
    let stream = BufferEvent::filter(socket, counted(&dropped), counting(&dropped)).unwrap();
    stream.write(b"waits").unwrap();
    let kept = Rc::new(RefCell::new(Some((base, stream))));
    let held = kept.clone();
    let event = UserEvent::new(&other, move |_| {
        let (base, stream) = held.take().unwrap();
        drop(base);
        assert!(stream.is_closed());
    })
    .unwrap();
    event.trigger().unwrap();
    other.run_nonblocking().unwrap();
    assert_eq!(dropped.get(), 3);
    assert!(kept.borrow().is_none());
}
