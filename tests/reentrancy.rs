//! What a callback may do to its own object, to others and to the loop: everything.
//!
//! The generic functions are run for every kind of event; see the macro call below them.

#[path = "common/mod.rs"]
mod common;
#[path = "kinds/mod.rs"]
mod kinds;

use common::{Bump, DropCount, count};
use kinds::{Subject, base, fail};
use libevent2::{Error, EventBase, LoopEnd, LoopHandle, Timer, UserEvent};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

type Slot<T> = Rc<RefCell<Option<T>>>;

fn slot<T>() -> Slot<T> {
    Rc::default()
}

for_each_kind! {
    closing_itself_ends_it_and_drops_the_closure_after_the_call,
    dropping_its_owner_ends_it_and_drops_the_closure_after_the_call,
    a_replacement_takes_over_when_the_call_returns,
    of_two_replacements_in_one_call_only_the_last_runs,
    a_replacement_can_replace_itself,
    replaced_from_outside_the_old_closure_goes_at_once,
    firing_itself_calls_again_but_never_inside_the_call,
    dropping_another_that_is_active_keeps_it_from_running,
    dropping_the_last_other_handle_is_harmless,
    a_new_object_made_inside_runs_later,
    another_base_can_run_inside,
    exit_exit_now_and_rescan_work_inside,
    a_closure_that_owns_its_own_event_is_freed_by_close,
    a_closure_that_owns_its_own_event_is_freed_by_the_end_of_the_base,
    a_closure_whose_drop_uses_the_loop_can_be_closed_inside,
    a_closure_whose_drop_uses_the_loop_can_end_with_the_base,
    no_callback_runs_inside_the_call_that_makes_or_fires_it,
    closed_and_then_detached_it_leaves_others_alone,
}

/// T3: C frees in its callback what runs there; the closure must not go before it returns.
fn closing_itself_ends_it_and_drops_the_closure_after_the_call<S: Subject>() {
    let (ran, dropped) = (count(), count());
    let mut base = base();
    let captured = DropCount(dropped.clone());
    let owner = S::make(&base, {
        let (ran, dropped) = (ran.clone(), dropped.clone());
        move |view| {
            let _captured = &captured;
            ran.bump();
            view.close();
            view.close();
            assert!(view.is_closed());
            assert_eq!(dropped.get(), 0, "the closure still runs");
            assert!(matches!(
                S::replace(view, |_| ()),
                Err(Error::Closed { what: "event" })
            ));
        }
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((ran.get(), dropped.get()), (1, 1));
    assert!(owner.is_closed());
    assert_eq!(base.stats().live_total(), 0);
    drop(owner);
    assert_eq!(dropped.get(), 1);
}

/// T3, through the owner.
fn dropping_its_owner_ends_it_and_drops_the_closure_after_the_call<S: Subject>() {
    let (ran, dropped) = (count(), count());
    let mut base = base();
    let own: Slot<S::Owner> = slot();
    let captured = DropCount(dropped.clone());
    let owner = S::make(&base, {
        let (own, ran, dropped) = (own.clone(), ran.clone(), dropped.clone());
        move |view| {
            let _captured = &captured;
            ran.bump();
            drop(own.borrow_mut().take());
            assert!(view.is_closed());
            assert_eq!(dropped.get(), 0, "the closure still runs");
        }
    })
    .unwrap();
    *own.borrow_mut() = Some(owner);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((ran.get(), dropped.get()), (1, 1));
    assert_eq!(base.stats().live_total(), 0);
}

fn a_replacement_takes_over_when_the_call_returns<S: Subject>() {
    let (first, second, dropped) = (count(), count(), count());
    let mut base = base();
    let captured = DropCount(dropped.clone());
    let _owner = S::make(&base, {
        let (first, second, dropped) = (first.clone(), second.clone(), dropped.clone());
        move |view| {
            let _captured = &captured;
            first.bump();
            let (second, old_dropped) = (second.clone(), dropped.clone());
            S::replace(view, move |view| {
                assert_eq!(old_dropped.get(), 1, "the old closure went before");
                second.bump();
                view.close();
            })
            .unwrap();
            assert_eq!(dropped.get(), 0, "the closure still runs");
            S::fire(view).unwrap();
        }
    })
    .unwrap();
    base.run().unwrap();
    assert_eq!((first.get(), second.get(), dropped.get()), (1, 1, 1));
}

fn of_two_replacements_in_one_call_only_the_last_runs<S: Subject>() {
    let (last, dropped) = (count(), count());
    let mut base = base();
    let _owner = S::make(&base, {
        let (last, dropped) = (last.clone(), dropped.clone());
        move |view| {
            let captured = DropCount(dropped.clone());
            S::replace(view, move |_| {
                let _captured = &captured;
                fail("a replacement that was replaced runs")
            })
            .unwrap();
            let last = last.clone();
            S::replace(view, move |view| {
                last.bump();
                view.close();
            })
            .unwrap();
            assert_eq!(dropped.get(), 1);
            S::fire(view).unwrap();
        }
    })
    .unwrap();
    base.run().unwrap();
    assert_eq!((last.get(), dropped.get()), (1, 1));
}

fn a_replacement_can_replace_itself<S: Subject>() {
    fn next<S: Subject>(view: &S::View, left: usize, dropped: common::Count) {
        if left == 0 {
            return view.close();
        }
        let captured = DropCount(dropped);
        S::replace(view, move |view| {
            let before = captured.0.get();
            next::<S>(view, left - 1, captured.0.clone());
            assert_eq!(captured.0.get(), before, "the closure still runs");
        })
        .unwrap();
        S::fire(view).unwrap();
    }
    let dropped = count();
    let mut base = base();
    let _owner = S::make(&base, {
        let dropped = dropped.clone();
        move |view| next::<S>(view, 5, dropped.clone())
    })
    .unwrap();
    base.run().unwrap();
    assert_eq!(dropped.get(), 5);
}

fn replaced_from_outside_the_old_closure_goes_at_once<S: Subject>() {
    let (ran, dropped) = (count(), count());
    let mut base = base();
    let captured = DropCount(dropped.clone());
    let owner = S::make(&base, move |_| {
        let _captured = &captured;
        fail("a closure that was replaced runs")
    })
    .unwrap();
    let counted = ran.clone();
    S::replace(&owner, move |view| {
        counted.bump();
        view.close();
    })
    .unwrap();
    assert_eq!(dropped.get(), 1);
    base.run().unwrap();
    assert_eq!((ran.get(), dropped.get()), (1, 1));
}

/// T5: a nested call is queued, not entered.
fn firing_itself_calls_again_but_never_inside_the_call<S: Subject>() {
    let ran = count();
    let mut base = base();
    let inside = Cell::new(false);
    let counted = ran.clone();
    let _owner = S::make(&base, move |view| {
        assert!(!inside.replace(true), "called inside its own call");
        if counted.bump() == 4 {
            view.close();
        } else {
            S::fire(view).unwrap();
        }
        inside.set(false);
    })
    .unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 4);
}

fn dropping_another_that_is_active_keeps_it_from_running<S: Subject>() {
    let (ran, dropped) = (count(), count());
    let mut base = base();
    let pair: Rc<RefCell<Vec<S::Owner>>> = Rc::default();
    for _ in 0..2 {
        let captured = DropCount(dropped.clone());
        let (pair, ran) = (pair.clone(), ran.clone());
        let owner = S::make(&base, {
            let pair = pair.clone();
            move |_| {
                let _captured = &captured;
                ran.bump();
                let both = pair.take();
                assert_eq!(both.len(), 2);
                drop(both);
            }
        })
        .unwrap();
        pair.borrow_mut().push(owner);
    }
    base.run().unwrap();
    assert_eq!((ran.get(), dropped.get()), (1, 2));
    assert_eq!(base.stats().live_total(), 0);
}

fn dropping_the_last_other_handle_is_harmless<S: Subject>() {
    let ran = count();
    let mut base = base();
    let handle: Slot<LoopHandle> = Rc::new(RefCell::new(Some(base.handle().clone())));
    let counted = ran.clone();
    let _owner = S::make(&base, move |view| {
        handle.borrow_mut().take();
        view.handle().update_time();
        counted.bump();
        view.close();
    })
    .unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
}

fn a_new_object_made_inside_runs_later<S: Subject>() {
    let ran = count();
    let mut base = base();
    let made: Slot<S::Owner> = slot();
    let (counted, keep) = (ran.clone(), made.clone());
    let _owner = S::make(&base, move |view| {
        let inside = Rc::new(Cell::new(true));
        let (counted, flag) = (counted.clone(), inside.clone());
        let new = S::make(view.handle(), move |view| {
            assert!(!flag.get(), "called inside the callback that made it");
            counted.bump();
            view.close();
        });
        *keep.borrow_mut() = Some(new.unwrap());
        view.close();
        inside.set(false);
    })
    .unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
    assert!(made.borrow().as_ref().is_some_and(|made| made.is_closed()));
}

fn another_base_can_run_inside<S: Subject>() {
    let ran = count();
    let mut base = base();
    let counted = ran.clone();
    let _owner = S::make(&base, move |view| {
        let mut other = EventBase::new().unwrap();
        let counted = counted.clone();
        Timer::after(&other, Duration::from_millis(1), move |_| {
            counted.bump();
        })
        .unwrap()
        .detach();
        assert_eq!(other.run().unwrap(), LoopEnd::NoEvents);
        view.close();
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(ran.get(), 1);
}

fn exit_exit_now_and_rescan_work_inside<S: Subject>() {
    let step = count();
    let mut base = base();
    let counted = step.clone();
    let owner = S::make(&base, move |view| {
        let handle = view.handle();
        match counted.bump() {
            1 => handle.exit(),
            2 => handle.exit_now(),
            3 => {
                handle.rescan();
                S::fire(view).unwrap();
            }
            _ => view.close(),
        }
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(step.get(), 1);
    S::fire(&owner).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    assert_eq!(step.get(), 2);
    S::fire(&owner).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(step.get(), 4);
}

fn a_closure_that_owns_its_own_event_is_freed_by_close<S: Subject>() {
    let dropped = count();
    let mut base = base();
    let own: Slot<S::Owner> = slot();
    let captured = (own.clone(), DropCount(dropped.clone()));
    let owner = S::make(&base, move |view| {
        let _captured = &captured;
        view.close();
    })
    .unwrap();
    *own.borrow_mut() = Some(owner);
    drop(own);
    base.run().unwrap();
    assert_eq!(dropped.get(), 1);
    assert_eq!(base.stats().live_total(), 0);
}

fn a_closure_that_owns_its_own_event_is_freed_by_the_end_of_the_base<S: Subject>() {
    let dropped = count();
    let base = base();
    let own: Slot<S::Owner> = slot();
    let captured = (own.clone(), DropCount(dropped.clone()));
    let owner = S::make(&base, move |_| {
        let _captured = &captured;
    })
    .unwrap();
    *own.borrow_mut() = Some(owner);
    drop(own);
    assert_eq!(dropped.get(), 0);
    drop(base);
    assert_eq!(dropped.get(), 1);
}

/// When dropped: makes an object, closes another, and tells what making it came to.
struct Busy {
    handle: LoopHandle,
    other: Slot<UserEvent>,
    made: Rc<Cell<Option<bool>>>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let new = Timer::after(&self.handle, Duration::ZERO, |_| ());
        self.made.set(Some(new.is_ok()));
        drop(new);
        drop(self.other.borrow_mut().take());
        self.handle.on_exit(|_| ());
        self.handle.on_error(|_, _| ());
        self.handle.exit_now();
    }
}

fn busy<S: Subject>(base: &LoopHandle) -> (S::Owner, Slot<UserEvent>, Rc<Cell<Option<bool>>>) {
    let other: Slot<UserEvent> = slot();
    *other.borrow_mut() = Some(UserEvent::new(base, |_| ()).unwrap());
    let made = Rc::new(Cell::new(None));
    let busy = Busy {
        handle: base.clone(),
        other: other.clone(),
        made: made.clone(),
    };
    let owner = S::make(base, move |view| {
        let _busy = &busy;
        view.close();
    });
    (owner.unwrap(), other, made)
}

fn a_closure_whose_drop_uses_the_loop_can_be_closed_inside<S: Subject>() {
    let mut base = base();
    let (_owner, other, made) = busy::<S>(&base);
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    assert_eq!(made.get(), Some(true));
    assert!(other.borrow().is_none());
    assert_eq!(base.stats().live_total(), 0);
}

fn a_closure_whose_drop_uses_the_loop_can_end_with_the_base<S: Subject>() {
    let base = base();
    let (owner, other, made) = busy::<S>(&base);
    drop(base);
    assert_eq!(made.get(), Some(false), "the base takes nothing new");
    assert!(other.borrow().is_none());
    assert!(owner.is_closed());
}

/// Rule 3 of the design, with T5.
fn no_callback_runs_inside_the_call_that_makes_or_fires_it<S: Subject>() {
    let ran = count();
    let mut base = base();
    let inside = Rc::new(Cell::new(true));
    let (counted, flag) = (ran.clone(), inside.clone());
    let callback = move |view: &S::View| {
        assert!(!flag.get(), "called inside a call that makes or fires it");
        counted.bump();
        view.close();
    };
    let owner = S::make(&base, callback).unwrap();
    S::fire(&owner).unwrap();
    S::replace(&owner, {
        let (counted, flag) = (ran.clone(), inside.clone());
        move |view: &S::View| {
            assert!(!flag.get(), "called inside set_callback");
            counted.bump();
            view.close();
        }
    })
    .unwrap();
    S::fire(&owner).unwrap();
    assert_eq!(ran.get(), 0);
    inside.set(false);
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
}

/// The base's entry for a closed object may be another one's by the time of the detach.
fn closed_and_then_detached_it_leaves_others_alone<S: Subject>() {
    let dropped = count();
    let base = base();
    let closed = S::make(&base, |_| ()).unwrap();
    closed.close();
    let captured = DropCount(dropped.clone());
    let other = S::make(&base, move |_| {
        let _captured = &captured;
    })
    .unwrap();
    S::detach(closed);
    assert_eq!(base.stats().live(S::KIND), 1);
    drop(base);
    assert_eq!(dropped.get(), 1);
    assert!(other.is_closed());
}
