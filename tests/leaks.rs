//! Every closure is dropped exactly once, on every path, and nothing is left of an object that is
//! gone. Under LeakSanitizer this binary shows the same for what C allocates.

#[path = "common/mod.rs"]
mod common;
#[path = "kinds/mod.rs"]
mod kinds;

use common::{Bump, Count, DropCount, bounded, count};
use kinds::{Every, Fd, Readable, Sig, Spare, Subject, base, fail};
use libevent2::{
    CommonTimeout, Error, Event, EventBase, EventBuilder, EventConfig, EventCounts, Features, Idle,
    Interest, Kind, LoopHandle, Signal, Timer, UserEvent, ffi,
};
use std::cell::RefCell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

for_each_kind! {
    dropped_with_its_owner,
    dropped_by_close,
    dropped_when_closed_in_its_call,
    dropped_when_replaced,
    dropped_when_closed_with_a_replacement_waiting,
    dropped_with_the_base_while_the_owner_lives,
    dropped_with_the_base_when_detached,
    dropped_with_the_base_when_given_to_c,
    dropped_when_it_panics_and_is_closed,
    dropped_when_the_base_is_gone_before_it_is_made,
    ten_thousand_leave_nothing_behind,
}

/// A closure for `S` that counts its drops and does nothing else.
fn counting<S: Subject>(base: &LoopHandle, dropped: &Count) -> S::Owner {
    let captured = DropCount(dropped.clone());
    let owner = S::make(base, move |_| {
        let _captured = &captured;
    });
    owner.unwrap()
}

fn nothing_lives_on(base: &LoopHandle) {
    assert_eq!(base.stats().live_total(), 0);
    for kind in Kind::ALL {
        assert_eq!(base.stats().live(kind), 0, "{kind:?}");
    }
}

fn dropped_with_its_owner<S: Subject>() {
    let dropped = count();
    let base = base();
    let owner = counting::<S>(&base, &dropped);
    assert_eq!(base.stats().live(S::KIND), 1);
    assert_eq!(dropped.get(), 0);
    drop(owner);
    assert_eq!(dropped.get(), 1);
    nothing_lives_on(&base);
    drop(base);
    assert_eq!(dropped.get(), 1);
}

fn dropped_by_close<S: Subject>() {
    let dropped = count();
    let base = base();
    let owner = counting::<S>(&base, &dropped);
    owner.close();
    assert_eq!(dropped.get(), 1);
    nothing_lives_on(&base);
    owner.close();
    drop(owner);
    drop(base);
    assert_eq!(dropped.get(), 1);
}

fn dropped_when_closed_in_its_call<S: Subject>() {
    let dropped = count();
    let mut base = base();
    let captured = DropCount(dropped.clone());
    let owner = S::make(&base, move |view| {
        let _captured = &captured;
        view.close();
    });
    S::detach(owner.unwrap());
    base.run().unwrap();
    assert_eq!(dropped.get(), 1);
    nothing_lives_on(&base);
}

fn dropped_when_replaced<S: Subject>() {
    let dropped = count();
    let base = base();
    let owner = counting::<S>(&base, &dropped);
    for n in 1..=3 {
        let captured = DropCount(dropped.clone());
        S::replace(&owner, move |_| {
            let _captured = &captured;
        })
        .unwrap();
        assert_eq!(dropped.get(), n);
    }
    drop(owner);
    assert_eq!(dropped.get(), 4);
}

fn dropped_when_closed_with_a_replacement_waiting<S: Subject>() {
    let dropped = count();
    let mut base = base();
    let captured = DropCount(dropped.clone());
    let owner = S::make(&base, move |view| {
        let next = DropCount(captured.0.clone());
        S::replace(view, move |_| {
            let _next = &next;
        })
        .unwrap();
        view.close();
        assert_eq!(captured.0.get(), 0, "the closure still runs");
    });
    base.run().unwrap();
    assert_eq!(dropped.get(), 2);
    drop(owner);
    assert_eq!(dropped.get(), 2);
}

/// T1: what outlives its base is closed by the base, and harmless afterwards.
fn dropped_with_the_base_while_the_owner_lives<S: Subject>() {
    let dropped = count();
    let base = base();
    let handle = base.handle().clone();
    let owner = counting::<S>(&base, &dropped);
    drop(base);
    assert_eq!(dropped.get(), 1);
    assert!(owner.is_closed());
    assert!(!owner.is_pending());
    assert_eq!(owner.remaining(), None);
    assert!(owner.as_ptr().is_null());
    assert!(matches!(
        owner.set_priority(0),
        Err(Error::Closed { what: "event" })
    ));
    nothing_lives_on(&handle);
    owner.close();
    drop(owner);
    assert_eq!(dropped.get(), 1);
}

fn dropped_with_the_base_when_detached<S: Subject>() {
    let dropped = count();
    let base = base();
    S::detach(counting::<S>(&base, &dropped));
    assert_eq!(base.stats().live(S::KIND), 1);
    assert_eq!(dropped.get(), 0);
    drop(base);
    assert_eq!(dropped.get(), 1);
}

fn dropped_with_the_base_when_given_to_c<S: Subject>() {
    let (ran, dropped) = (count(), count());
    let mut base = base();
    let captured = DropCount(dropped.clone());
    let counted = ran.clone();
    let owner = S::make(&base, move |view| {
        let _captured = &captured;
        counted.bump();
        view.handle().exit_now();
    });
    let raw = S::into_ptr(owner.unwrap());
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
    // SAFETY: given to us, freed once, before the base.
    unsafe { ffi::event_free(raw) };
    assert_eq!(dropped.get(), 0, "the base keeps the closure");
    drop(base);
    assert_eq!(dropped.get(), 1);
}

/// T46.
fn dropped_when_it_panics_and_is_closed<S: Subject>() {
    let dropped = count();
    let mut base = base();
    let captured = DropCount(dropped.clone());
    let owner = S::make(&base, move |view| {
        let _captured = &captured;
        view.close();
        fail("on purpose")
    });
    S::detach(owner.unwrap());
    catch_unwind(AssertUnwindSafe(|| base.run())).unwrap_err();
    assert_eq!(dropped.get(), 1);
    nothing_lives_on(&base);
}

fn dropped_when_the_base_is_gone_before_it_is_made<S: Subject>() {
    let dropped = count();
    let base = base();
    let handle = base.handle().clone();
    drop(base);
    let captured = DropCount(dropped.clone());
    let made = S::make(&handle, move |_| {
        let _captured = &captured;
    });
    let error = made.err().unwrap();
    assert!(matches!(error, Error::Closed { what: "event base" }));
    assert_eq!(dropped.get(), 1);
}

fn ten_thousand_leave_nothing_behind<S: Subject>() {
    let dropped = count();
    let mut base = base();
    let before = base.num_events(EventCounts::ADDED);
    for n in 0..10_000 {
        let owner = counting::<S>(&base, &dropped);
        if n % 2 == 0 {
            owner.close();
        }
    }
    assert_eq!(dropped.get(), 10_000);
    nothing_lives_on(&base);
    // What signals leave in the pipe, and what libevent keeps to itself, goes in one turn.
    base.run_nonblocking().unwrap();
    // A base that had a signal keeps the event on its own pipe.
    assert!(base.num_events(EventCounts::ADDED) <= before + 1);
}

// --- errors of the calls that register ----------------------------------------------------------

#[track_caller]
fn drops_its_closure_with_an_error<T>(make: impl FnOnce(DropCount) -> Result<T, Error>) -> Error {
    let dropped = count();
    let error = make(DropCount(dropped.clone())).err();
    assert_eq!(dropped.get(), 1);
    error.expect("made in spite of a bad argument")
}

#[test]
fn what_is_refused_drops_its_closure_once_and_leaves_nothing() {
    let _turn = kinds::signals();
    let base = base();
    let other = EventBase::new().unwrap();
    let foreign = CommonTimeout::new(&other, Duration::from_secs(1)).unwrap();
    drops_its_closure_with_an_error(|c| Timer::after(&base, &foreign, move |_| drop(c)));
    drops_its_closure_with_an_error(|c| {
        Timer::every(&base, &foreign, move |_| {
            let _c = &c;
        })
    });
    drops_its_closure_with_an_error(|c| {
        Timer::every(&base, Duration::ZERO, move |_| {
            let _c = &c;
        })
    });
    for signum in [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        0,
        -1,
        65,
        1 << 20,
    ] {
        drops_its_closure_with_an_error(|c| {
            Signal::new(&base, signum, move |_| {
                let _c = &c;
            })
        });
    }
    let builder = EventBuilder::new(Interest::READ).priority(99);
    drops_its_closure_with_an_error(|c| {
        builder.build(&base, Readable::new(), move |_, _| {
            let _c = &c;
        })
    });
    drops_its_closure_with_an_error(|c| {
        Event::new(&base, Readable::new(), Interest::EDGE, move |_, _| {
            let _c = &c;
        })
    });
    nothing_lives_on(&base);
    let one = EventConfig::new().priorities(1).build().unwrap();
    drops_its_closure_with_an_error(|c| Idle::once(&one, move |_| drop(c)));
    nothing_lives_on(&one);
}

#[test]
fn a_regular_file_that_epoll_refuses_drops_its_closure_and_the_next_base_goes_on() {
    let _bound = bounded();
    let mut base = EventConfig::new().build().unwrap();
    if base.features().contains(Features::FDS) {
        return assert_ne!(base.method(), "epoll", "epoll takes no regular files");
    }
    // T20: C's own event_base_once would keep the base's lock here.
    for _ in 0..3 {
        drops_its_closure_with_an_error(|c| {
            let file = File::open("Cargo.toml").unwrap();
            Event::once(&base, file, Interest::READ, None, move |_, _| drop(c))
        });
    }
    nothing_lives_on(&base);
    let remote = base.remote().unwrap();
    std::thread::spawn(move || remote.post(|handle| handle.exit()))
        .join()
        .unwrap()
        .unwrap();
    base.run_until_exit().unwrap();
}

#[test]
fn a_signal_that_another_base_has_drops_its_closure() {
    let _turn = kinds::signals();
    let (one, two) = (base(), base());
    let first = Signal::new(&one, libc::SIGUSR2, |_| ()).unwrap();
    let error = drops_its_closure_with_an_error(|c| {
        Signal::new(&two, libc::SIGUSR2, move |_| {
            let _c = &c;
        })
    });
    assert!(matches!(error, Error::SignalsTaken { .. }), "{error}");
    nothing_lives_on(&two);
    drop(first);
    Signal::new(&two, libc::SIGUSR2, |_| ()).unwrap().close();
}

#[test]
fn a_descriptor_in_the_other_mode_drops_its_closure_and_is_free_again_afterwards() {
    let base = base();
    let source = Rc::new(Readable::new());
    let level = Event::new(&base, source.clone(), Interest::READ, |_, _| ()).unwrap();
    let edge = Interest::READ | Interest::EDGE;
    drops_its_closure_with_an_error(|c| {
        Event::new(&base, source.clone(), edge, move |_, _| {
            let _c = &c;
        })
    });
    assert_eq!(base.stats().live(Kind::Event), 1);
    drop(level);
    let edge = Event::new(&base, source.clone(), edge, |_, _| ()).unwrap();
    drops_its_closure_with_an_error(|c| {
        Event::new(&base, source.clone(), Interest::READ, move |_, _| {
            let _c = &c;
        })
    });
    drop(edge);
    assert_eq!(Rc::strong_count(&source), 1);
}

// --- closures that run once -----------------------------------------------------------------------

#[test]
fn what_runs_once_is_dropped_by_running_by_cancelling_and_by_the_base() {
    let _bound = bounded();
    let mut base = base();
    let dropped = count();
    let captured = || DropCount(dropped.clone());
    let make = |base: &EventBase| {
        let (a, b, c) = (captured(), captured(), captured());
        let timer = Timer::after(base, Duration::ZERO, move |_| drop(a)).unwrap();
        let idle = Idle::once(base, move |_| drop(b)).unwrap();
        let source = Readable::new();
        let event = Event::once(base, source, Interest::READ, None, move |_, _| drop(c));
        (timer, idle, event.unwrap())
    };
    let kept = make(&base);
    base.run().unwrap();
    assert_eq!(dropped.get(), 3);
    assert!(kept.0.is_closed() && kept.1.is_closed() && kept.2.is_closed());
    drop(make(&base));
    assert_eq!(dropped.get(), 6);
    let (timer, idle, event) = make(&base);
    timer.detach();
    idle.detach();
    event.detach();
    drop(base);
    assert_eq!(dropped.get(), 9);
}

#[test]
fn exit_hooks_and_error_handlers_are_dropped_once() {
    let mut base = base();
    let dropped = count();
    let captured = || DropCount(dropped.clone());
    let hook = captured();
    base.on_exit(move |_| drop(hook));
    base.run().unwrap();
    assert_eq!(dropped.get(), 1);
    for n in 1..=2 {
        let handler = captured();
        base.on_error(move |_, _| {
            let _handler = &handler;
        });
        assert_eq!(dropped.get(), n, "the handler before is dropped");
    }
    let hook = captured();
    base.on_exit(move |_| drop(hook));
    drop(base);
    assert_eq!(dropped.get(), 4);
}

#[test]
fn jobs_that_never_run_are_dropped_with_the_base() {
    let base = base();
    let remote = base.remote().unwrap();
    let token = Arc::new(());
    for _ in 0..100 {
        let token = token.clone();
        remote.post(move |_| drop(token)).unwrap();
    }
    assert_eq!(Arc::strong_count(&token), 101);
    drop(base);
    assert_eq!(Arc::strong_count(&token), 1);
    let refused = token.clone();
    let error = remote.post(move |_| drop(refused)).unwrap_err();
    assert!(matches!(error, Error::Closed { what: "event base" }));
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn jobs_that_a_stop_kept_back_run_next_time_or_are_dropped_with_the_base() {
    let _bound = bounded();
    let mut base = base();
    let remote = base.remote().unwrap();
    let token = Arc::new(());
    for _ in 0..3 {
        let token = token.clone();
        remote
            .post(move |handle| {
                drop(token);
                handle.exit_now();
            })
            .unwrap();
    }
    base.run().unwrap();
    assert_eq!(Arc::strong_count(&token), 3);
    base.run().unwrap();
    assert_eq!(Arc::strong_count(&token), 2);
    drop(base);
    assert_eq!(Arc::strong_count(&token), 1);
}

// --- bases -------------------------------------------------------------------------------------

#[test]
fn a_base_with_one_of_each_leaves_nothing_behind() {
    let _turn = kinds::signals();
    let dropped = count();
    for _ in 0..100 {
        let base = base();
        Fd::detach(counting::<Fd>(&base, &dropped));
        Every::detach(counting::<Every>(&base, &dropped));
        Sig::detach(counting::<Sig>(&base, &dropped));
        Spare::detach(counting::<Spare>(&base, &dropped));
        let remote = base.remote().unwrap();
        remote.post(|_| ()).unwrap();
        base.exit();
        base.exit_after(Duration::from_secs(9)).unwrap();
        CommonTimeout::new(&base, Duration::from_secs(7)).unwrap();
    }
    assert_eq!(dropped.get(), 400);
}

#[test]
fn ten_thousand_detached_objects_go_with_their_base() {
    let _bound = bounded();
    let dropped = count();
    let base = base();
    for _ in 0..10_000 {
        let captured = DropCount(dropped.clone());
        let event = UserEvent::new(&base, move |_| {
            let _captured = &captured;
        });
        event.unwrap().detach();
    }
    drop(base);
    assert_eq!(dropped.get(), 10_000);
}

#[test]
fn objects_that_own_each_other_across_bases_go_with_the_first() {
    let dropped = count();
    let (one, two) = (base(), base());
    let keep: Rc<RefCell<Vec<Timer>>> = Rc::default();
    for base in [&one, &two] {
        let captured = (keep.clone(), DropCount(dropped.clone()));
        let timer = Timer::new(base, move |_| {
            let _captured = &captured;
        });
        keep.borrow_mut().push(timer.unwrap());
    }
    drop(keep);
    drop(one);
    assert_eq!(dropped.get(), 1, "the other's closure still holds both");
    drop(two);
    assert_eq!(dropped.get(), 2);
}
