//! A panic of any callback comes out of `run` with its payload, and what it left behind works.
//! Panics never cross C (T46).

#[path = "common/mod.rs"]
mod common;
#[path = "kinds/mod.rs"]
mod kinds;

use common::{Bump, bounded, count};
use kinds::{Every, Fd, Readable, Subject, base, fail};
use libevent2::{
    BoxError, Event, EventBase, Idle, Interest, LoopEnd, LoopHandle, Result, Timer, UserEvent,
};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A payload that cannot be mistaken for another.
#[derive(Debug, PartialEq)]
struct Boom(u32);

fn boom(n: u32) {
    panic_any(Boom(n));
}

/// What `f` panicked with.
#[track_caller]
fn payload<T>(f: impl FnOnce() -> T) -> u32 {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("no panic came out");
    };
    payload.downcast_ref::<Boom>().expect("not its payload").0
}

for_each_kind! {
    a_panic_comes_out_of_run_and_the_loop_can_run_again,
    a_panic_comes_out_of_every_way_to_run,
    others_work_after_a_panic,
    a_replacement_that_panicked_is_called_again,
    a_panic_after_replacing_leaves_the_replacement,
    a_panic_in_the_drop_of_a_closure_closed_inside_comes_out_of_run,
    a_panic_in_the_drop_of_a_closure_comes_out_of_the_drop_of_the_base,
    a_panic_in_the_drop_of_a_replaced_closure_comes_out_of_run,
}

fn a_panic_comes_out_of_run_and_the_loop_can_run_again<S: Subject>() {
    let ran = count();
    let mut base = base();
    let counted = ran.clone();
    let owner = S::make(&base, move |view| {
        if counted.bump() == 1 {
            boom(1);
        }
        view.close();
    })
    .unwrap();
    assert_eq!(payload(|| base.run()), 1);
    assert!(!owner.is_closed());
    S::fire(&owner).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(ran.get(), 2);
}

fn a_panic_comes_out_of_every_way_to_run<S: Subject>() {
    let ways: [fn(&mut EventBase) -> Result<LoopEnd>; 4] = [
        EventBase::run,
        EventBase::run_until_exit,
        EventBase::run_once,
        // Not every kind is due without any wait.
        |base| loop {
            base.run_nonblocking()?;
        },
    ];
    for way in ways {
        let mut base = base();
        let _owner = S::make(&base, |_| boom(2)).unwrap();
        assert_eq!(payload(|| way(&mut base)), 2);
    }
}

fn others_work_after_a_panic<S: Subject>() {
    let others = count();
    let mut base = base();
    let owner = S::make(&base, |_| boom(3)).unwrap();
    let counted = others.clone();
    let _other = Every::make(&base, move |timer| {
        if counted.bump() == 3 {
            timer.close();
        }
    })
    .unwrap();
    assert_eq!(payload(|| base.run()), 3);
    drop(owner);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(others.get(), 3);
}

fn a_replacement_that_panicked_is_called_again<S: Subject>() {
    let ran = count();
    let mut base = base();
    let owner = S::make(&base, |_| ()).unwrap();
    let counted = ran.clone();
    S::replace(&owner, move |view| {
        if counted.bump() == 2 {
            return view.close();
        }
        boom(4);
    })
    .unwrap();
    assert_eq!(payload(|| base.run()), 4);
    S::fire(&owner).unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 2);
}

fn a_panic_after_replacing_leaves_the_replacement<S: Subject>() {
    let ran = count();
    let mut base = base();
    let counted = ran.clone();
    let owner = S::make(&base, move |view| {
        let counted = counted.clone();
        S::replace(view, move |view| {
            counted.bump();
            view.close();
        })
        .unwrap();
        boom(5);
    })
    .unwrap();
    assert_eq!(payload(|| base.run()), 5);
    S::fire(&owner).unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
}

/// Panics when dropped, once.
struct Grenade(u32);

impl Drop for Grenade {
    fn drop(&mut self) {
        boom(self.0);
    }
}

fn a_panic_in_the_drop_of_a_closure_closed_inside_comes_out_of_run<S: Subject>() {
    let mut base = base();
    let grenade = Grenade(6);
    let owner = S::make(&base, move |view| {
        let _grenade = &grenade;
        view.close();
    })
    .unwrap();
    assert_eq!(payload(|| base.run()), 6);
    assert!(owner.is_closed());
    assert_eq!(base.stats().live_total(), 0);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

fn a_panic_in_the_drop_of_a_closure_comes_out_of_the_drop_of_the_base<S: Subject>() {
    let base = base();
    let grenade = Grenade(7);
    S::detach(
        S::make(&base, move |_| {
            let _grenade = &grenade;
        })
        .unwrap(),
    );
    let other = UserEvent::new(&base, |_| ()).unwrap();
    assert_eq!(payload(|| drop(base)), 7);
    assert!(other.is_closed(), "the others are closed all the same");
}

fn a_panic_in_the_drop_of_a_replaced_closure_comes_out_of_run<S: Subject>() {
    let mut base = base();
    let grenade = Grenade(8);
    let owner = S::make(&base, move |view| {
        let _grenade = &grenade;
        S::replace(view, |view| view.close()).unwrap();
    })
    .unwrap();
    assert_eq!(payload(|| base.run()), 8);
    S::fire(&owner).unwrap();
    base.run().unwrap();
    assert!(owner.is_closed());
}

#[test]
fn what_runs_once_panics_once() {
    let _bound = bounded();
    let mut base = base();
    let timer = Timer::after(&base, Duration::ZERO, |_| boom(1)).unwrap();
    assert_eq!(payload(|| base.run()), 1);
    let at = Timer::at(&base, Instant::now(), |_| boom(2)).unwrap();
    assert_eq!(payload(|| base.run()), 2);
    let idle = Idle::once(&base, |_| boom(3)).unwrap();
    assert_eq!(payload(|| base.run()), 3);
    let event = Event::once(&base, Readable::new(), Interest::READ, None, |_, _| boom(4)).unwrap();
    assert_eq!(payload(|| base.run()), 4);
    assert!(timer.is_closed() && at.is_closed() && idle.is_closed() && event.is_closed());
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn the_first_of_two_panics_wins_and_the_rest_of_the_turn_waits() {
    let _bound = bounded();
    let mut base = base();
    let ran = count();
    let mut owners = Vec::new();
    for n in 1..=2 {
        let counted = ran.clone();
        let event = UserEvent::new(&base, move |_| {
            counted.bump();
            boom(n);
        });
        owners.push(event.unwrap());
    }
    for event in &owners {
        event.trigger().unwrap();
    }
    assert_eq!(payload(|| base.run()), 1);
    assert_eq!(ran.get(), 1);
    assert_eq!(payload(|| base.run()), 2);
}

#[test]
fn a_panic_and_a_panicking_drop_in_one_call_report_the_first() {
    let _bound = bounded();
    let mut base = base();
    let grenade = Grenade(2);
    let _owner = Fd::make(&base, move |event| {
        let _grenade = &grenade;
        event.close();
        boom(1);
    })
    .unwrap();
    assert_eq!(payload(|| base.run()), 1);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn a_panic_in_an_exit_hook_comes_out_of_run_after_the_other_hooks() {
    let _bound = bounded();
    let mut base = base();
    let ran = count();
    let counted = ran.clone();
    base.on_exit(move |_| {
        counted.bump();
    });
    base.on_exit(|_| boom(1));
    assert_eq!(payload(|| base.run()), 1);
    assert_eq!(ran.get(), 1);
    base.on_exit(|_| boom(2));
    assert_eq!(payload(|| drop(base)), 2);
}

#[test]
fn exit_hooks_run_when_a_callback_panicked() {
    let _bound = bounded();
    let mut base = base();
    let ran = count();
    let counted = ran.clone();
    base.on_exit(move |_| {
        counted.bump();
    });
    let _timer = Timer::after(&base, Duration::ZERO, |_| boom(1)).unwrap();
    assert_eq!(payload(|| base.run()), 1);
    assert_eq!(ran.get(), 1);
}

/// A user event whose callback fails each time that it is triggered.
fn failing(base: &LoopHandle) -> UserEvent {
    let event = UserEvent::new(base, |_| Err::<(), BoxError>("no luck".into())).unwrap();
    event.trigger().unwrap();
    event
}

#[test]
fn a_panic_in_the_error_handler_comes_out_of_run_and_the_handler_stays() {
    let _bound = bounded();
    let mut base = base();
    let event = failing(&base);
    let ran = count();
    let counted = ran.clone();
    base.on_error(move |_, _| {
        if counted.bump() == 1 {
            boom(1);
        }
    });
    assert_eq!(payload(|| base.run()), 1);
    event.trigger().unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 2);
}

#[test]
fn a_panic_in_the_drop_of_a_replaced_error_handler_comes_out_of_run() {
    let _bound = bounded();
    let mut base = base();
    let event = failing(&base);
    let (ran, grenade) = (count(), Grenade(1));
    let counted = ran.clone();
    base.on_error(move |handle, _| {
        let _grenade = &grenade;
        let counted = counted.clone();
        handle.on_error(move |_, _| {
            counted.bump();
        });
    });
    assert_eq!(payload(|| base.run()), 1);
    event.trigger().unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
}

#[test]
fn a_panic_in_a_job_comes_out_of_run_and_the_next_jobs_run_next_time() {
    let _bound = bounded();
    let mut base = base();
    let remote = base.remote().unwrap();
    let token = Arc::new(());
    let kept = token.clone();
    remote.post(|_| boom(1)).unwrap();
    remote.post(move |_| drop(kept)).unwrap();
    assert_eq!(payload(|| base.run()), 1);
    assert_eq!(Arc::strong_count(&token), 2);
    base.run().unwrap();
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_panic_in_the_drop_of_a_job_that_never_ran_comes_out_of_the_drop_of_the_base() {
    let base = base();
    let (remote, grenade, token) = (base.remote().unwrap(), Grenade(1), Arc::new(()));
    let kept = token.clone();
    remote.post(move |_| drop(grenade)).unwrap();
    remote.post(move |_| drop(kept)).unwrap();
    let event = UserEvent::new(&base, |_| ()).unwrap();
    assert_eq!(payload(|| drop(base)), 1);
    assert!(event.is_closed(), "the rest is closed all the same");
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_panic_while_another_base_runs_inside_stays_with_that_base() {
    let _bound = bounded();
    let mut outer = base();
    let seen = Rc::new(Cell::new(0));
    let inner_payload = seen.clone();
    let _timer = Timer::after(&outer, Duration::ZERO, move |_| {
        let mut inner = EventBase::new().unwrap();
        let _timer = Timer::after(&inner, Duration::ZERO, |_| boom(9)).unwrap();
        inner_payload.set(payload(|| inner.run()));
    })
    .unwrap();
    assert_eq!(outer.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(seen.get(), 9);
}

#[test]
fn a_base_that_is_dropped_by_a_panic_closes_everything() {
    let _bound = bounded();
    let keep: Rc<RefCell<Option<UserEvent>>> = Rc::default();
    let kept = keep.clone();
    let thrown = payload(move || {
        let mut base = base();
        *kept.borrow_mut() = UserEvent::new(&base, |_| ()).ok();
        let grenade = Grenade(2);
        UserEvent::new(&base, move |_| {
            let _grenade = &grenade;
        })
        .unwrap()
        .detach();
        Timer::after(&base, Duration::ZERO, |_| boom(1))
            .unwrap()
            .detach();
        base.run()
    });
    assert_eq!(thrown, 1);
    assert!(
        keep.borrow()
            .as_ref()
            .is_some_and(|event| event.is_closed())
    );
}

#[test]
fn the_text_of_an_ordinary_panic_arrives() {
    let _bound = bounded();
    let mut base = base();
    let _timer = Timer::after(&base, Duration::ZERO, |_| fail("so it goes")).unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| base.run())).unwrap_err();
    assert_eq!(*payload.downcast::<String>().unwrap(), "so it goes");
}
