//! What the other closures of a loop may do: jobs of a `Remote`, exit hooks, error handlers, and
//! the callbacks that run once.

#[path = "common/mod.rs"]
mod common;
#[path = "kinds/mod.rs"]
mod kinds;

use common::{Bump, DropCount, bounded, count};
use kinds::{Fd, Once, Readable, Subject, base};
use libevent2::{
    BoxError, Error, Event, EventBase, Idle, Interest, LoopEnd, LoopHandle, Ready, Remote, Timer,
    UserEvent,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

type Slot<T> = Rc<RefCell<Option<T>>>;

/// Each registering call that takes a closure which runs once.
#[test]
fn callbacks_that_run_once_do_not_run_inside_the_call_that_registers_them() {
    let _bound = bounded();
    let mut base = base();
    let inside = Rc::new(Cell::new(true));
    let ran = count();
    let once = || {
        let (inside, ran) = (inside.clone(), ran.clone());
        move || {
            assert!(!inside.get(), "called inside the call that registered it");
            ran.bump();
        }
    };
    let (a, b, c, d) = (once(), once(), once(), once());
    let _after = Timer::after(&base, Duration::ZERO, move |_| a()).unwrap();
    let _at = Timer::at(&base, Instant::now(), move |_| b()).unwrap();
    let _idle = Idle::once(&base, move |_| c()).unwrap();
    let _event = Event::once(&base, Readable::new(), Interest::READ, None, move |_, _| {
        d()
    });
    let hook = once();
    base.on_exit(move |_| hook());
    let unused = once();
    base.on_error(move |_, _| unused());
    inside.set(false);
    base.run().unwrap();
    assert_eq!(ran.get(), 5);
}

#[test]
fn a_job_posted_on_the_loops_own_thread_does_not_run_inside_post() {
    let _bound = bounded();
    let mut base = base();
    let ran = Arc::new(AtomicUsize::new(0));
    let remote = base.remote().unwrap();
    let counted = ran.clone();
    remote
        .post(move |handle| {
            let remote = handle.remote().unwrap();
            let again = counted.clone();
            let before = counted.fetch_add(1, Relaxed);
            remote
                .post(move |_| {
                    again.fetch_add(1, Relaxed);
                })
                .unwrap();
            assert_eq!(counted.load(Relaxed), before + 1, "called inside post");
        })
        .unwrap();
    assert_eq!(ran.load(Relaxed), 0);
    base.run().unwrap();
    assert_eq!(ran.load(Relaxed), 2);
}

#[test]
fn a_job_may_make_objects_stop_the_loop_and_run_another() {
    let _bound = bounded();
    let mut base = base();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = ran.clone();
    base.remote()
        .unwrap()
        .post(move |handle| {
            Timer::after(handle, Duration::ZERO, move |_| {
                counted.fetch_add(1, Relaxed);
            })
            .unwrap()
            .detach();
            let mut other = EventBase::new().unwrap();
            assert_eq!(other.run().unwrap(), LoopEnd::NoEvents);
            handle.exit_now();
        })
        .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    assert_eq!(ran.load(Relaxed), 0);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(ran.load(Relaxed), 1);
}

#[test]
fn a_job_may_post_for_ever_without_starving_the_loop() {
    let _bound = bounded();
    fn post(remote: &Remote, ran: Arc<AtomicUsize>) {
        let again = remote.clone();
        remote
            .post(move |_| {
                ran.fetch_add(1, Relaxed);
                post(&again, ran);
            })
            .unwrap();
    }
    let mut base = base();
    let ran = Arc::new(AtomicUsize::new(0));
    post(&base.remote().unwrap(), ran.clone());
    let _end = Timer::after(&base, Duration::from_millis(5), |handle| handle.exit()).unwrap();
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Exit);
    assert!(ran.load(Relaxed) > 1);
}

#[test]
fn an_exit_hook_may_make_objects_which_run_next_time() {
    let _bound = bounded();
    let mut base = base();
    let ran = count();
    let counted = ran.clone();
    base.on_exit(move |handle| {
        let timer = Timer::after(handle, Duration::ZERO, move |_| {
            counted.bump();
        });
        timer.unwrap().detach();
    });
    base.run().unwrap();
    assert_eq!(ran.get(), 0);
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
}

#[test]
fn an_exit_hook_that_registers_itself_runs_once_for_each_run() {
    let _bound = bounded();
    fn again(handle: &LoopHandle, ran: common::Count) {
        handle.on_exit(move |handle| {
            ran.bump();
            again(handle, ran);
        });
    }
    let mut base = base();
    let ran = count();
    again(&base, ran.clone());
    for run in 1..=3 {
        base.run().unwrap();
        assert_eq!(ran.get(), run);
    }
    drop(base);
    assert_eq!(ran.get(), 4);
    assert_eq!(Rc::strong_count(&ran), 1, "the last hook was dropped");
}

#[test]
fn an_exit_hook_may_drop_objects_and_use_another_base() {
    let _bound = bounded();
    let mut base = base();
    let dropped = count();
    let captured = DropCount(dropped.clone());
    let timer = Timer::new(&base, move |_| {
        let _captured = &captured;
    });
    let owner: Slot<Timer> = Rc::new(RefCell::new(timer.ok()));
    base.on_exit(move |_| {
        drop(owner.borrow_mut().take());
        EventBase::new().unwrap().run().unwrap();
    });
    base.run().unwrap();
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_hook_or_handler_given_to_a_base_that_is_gone_is_dropped() {
    let dropped = count();
    let base = base();
    let handle = base.handle().clone();
    drop(base);
    let captured = (handle.clone(), DropCount(dropped.clone()));
    handle.on_exit(move |_| drop(captured));
    let captured = (handle.clone(), DropCount(dropped.clone()));
    handle.on_error(move |_, _| {
        let _captured = &captured;
    });
    assert_eq!(dropped.get(), 2);
}

/// A user event whose callback fails each time.
fn failing(base: &LoopHandle, times: usize) -> UserEvent {
    let left = Cell::new(times);
    let event = UserEvent::new(base, move |event| {
        left.set(left.get() - 1);
        if left.get() > 0 {
            event.trigger()?;
        }
        Err::<(), BoxError>("no luck".into())
    })
    .unwrap();
    event.trigger().unwrap();
    event
}

#[test]
fn an_error_handler_may_replace_itself_and_use_the_loop_when_dropped() {
    let _bound = bounded();
    struct Sets(LoopHandle);
    impl Drop for Sets {
        fn drop(&mut self) {
            self.0.on_error(|_, _| ());
        }
    }
    let mut base = base();
    let _failing = failing(&base, 3);
    let ran = count();
    let (counted, sets) = (ran.clone(), Sets(base.handle().clone()));
    base.on_error(move |handle, _| {
        let _sets = &sets;
        counted.bump();
        let counted = counted.clone();
        handle.on_error(move |_, _| {
            counted.bump();
        });
    });
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    // The drop of the first one put a third in the place of the second.
    assert_eq!(ran.get(), 1);
}

#[test]
fn an_error_handler_may_close_what_failed_and_stop_the_loop() {
    let _bound = bounded();
    let mut base = base();
    let owner = Rc::new(RefCell::new(Some(failing(&base, 9))));
    base.on_error(move |handle, _| {
        drop(owner.borrow_mut().take());
        handle.exit();
    });
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_timer_that_runs_once_may_drop_its_owner() {
    let _bound = bounded();
    let mut base = base();
    let ran = count();
    let owner: Slot<Timer> = Rc::default();
    let (counted, own) = (ran.clone(), owner.clone());
    let timer = Timer::after(&base, Duration::ZERO, move |_| {
        drop(own.borrow_mut().take());
        counted.bump();
    });
    *owner.borrow_mut() = timer.ok();
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
    assert_eq!(Rc::strong_count(&owner), 1, "the closure was dropped");
}

#[test]
fn a_timer_that_ran_once_cannot_be_set_again() {
    let _bound = bounded();
    let mut base = base();
    let timer = Timer::after(&base, Duration::ZERO, |_| ()).unwrap();
    base.run().unwrap();
    assert!(timer.is_closed());
    let error = timer.set(Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::Closed { what: "event" }), "{error}");
}

#[test]
fn a_timer_keeps_its_deadline_when_its_closure_is_replaced() {
    let _bound = bounded();
    let mut base = base();
    let deadline = Instant::now() + Duration::from_millis(20);
    let timer = Timer::at(&base, deadline, |_| ()).unwrap();
    let early = Rc::new(Cell::new(true));
    let seen = early.clone();
    timer
        .set_callback(move |timer| {
            seen.set(Instant::now() < deadline);
            timer.close();
        })
        .unwrap();
    base.run().unwrap();
    assert!(!early.get());
}

#[test]
fn closing_one_event_of_a_descriptor_inside_another_leaves_the_descriptor_open() {
    let _bound = bounded();
    let mut base = base();
    let shared = Rc::new(Readable::new());
    let ran = count();
    let first: Slot<Event<Rc<Readable>>> = Rc::default();
    let event = Event::new(&base, shared.clone(), Interest::READ, |_, _| ()).unwrap();
    *first.borrow_mut() = Some(event);
    let counted = ran.clone();
    let _second = Event::new(&base, shared, Interest::READ, move |event, ready| {
        drop(first.borrow_mut().take());
        assert_eq!(ready, Ready::READ);
        if counted.bump() == 3 {
            event.close();
        }
    })
    .unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 3);
}

#[test]
fn kinds_may_close_each_other_in_one_turn() {
    let _bound = bounded();
    let mut base = base();
    let (timers, events) = (count(), count());
    let timer: Slot<Timer> = Rc::default();
    let event: Slot<<Fd as Subject>::Owner> = Rc::default();
    let (other, counted) = (event.clone(), timers.clone());
    *timer.borrow_mut() = Once::make(&base, move |_| {
        counted.bump();
        drop(other.borrow_mut().take());
    })
    .ok();
    let (other, counted) = (timer.clone(), events.clone());
    *event.borrow_mut() = Fd::make(&base, move |event| {
        counted.bump();
        drop(other.borrow_mut().take());
        event.close();
    })
    .ok();
    base.run().unwrap();
    assert_eq!(
        timers.get() + events.get(),
        1,
        "the first to run closed the other"
    );
}
