//! C and Rust on one base: C makes and runs it, Rust has objects on it, and events change hands.
//!
//! What C does here is written with the raw bindings: the same calls that a C file would make.

#[path = "common/mod.rs"]
mod common;
#[path = "kinds/mod.rs"]
mod kinds;

use common::{Bump, DropCount, bounded, count};
use kinds::{Fd, Once, Subject};
use libevent2::{Error, Event, EventBase, Idle, Kind, LoopEnd, Ready, Timer, UserEvent, ffi};
use std::cell::{Cell, RefCell};
use std::os::raw::{c_int, c_short, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// A base as C makes and runs it.
struct CBase(*mut ffi::event_base);

impl CBase {
    fn new() -> Self {
        // What a C program with threads does first; twice is fine.
        // SAFETY: the tests' bases are all made under libevent's locks or on one thread.
        let base = unsafe {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| assert_eq!(ffi::evthread_use_pthreads(), 0));
            ffi::event_base_new()
        };
        assert!(!base.is_null());
        // SAFETY: alive and without events.
        assert_eq!(unsafe { ffi::event_base_priority_init(base, 3) }, 0);
        CBase(base)
    }

    fn attach(&self) -> EventBase {
        // SAFETY: alive until `self` goes, which the tests drop last; it runs on this thread.
        unsafe { EventBase::attach(self.0) }
    }

    fn dispatch(&self) -> c_int {
        // SAFETY: alive, and not running.
        unsafe { ffi::event_base_dispatch(self.0) }
    }
}

impl Drop for CBase {
    fn drop(&mut self) {
        // SAFETY: ours; what was attached is gone.
        unsafe { ffi::event_base_free(self.0) };
    }
}

/// A callback as C has them: it counts its calls.
unsafe extern "C" fn c_callback(_: ffi::evutil_socket_t, _: c_short, calls: *mut c_void) {
    // SAFETY: the tests hand over a `Cell<usize>` that outlives the event.
    let calls = unsafe { &*calls.cast::<Cell<usize>>() };
    calls.set(calls.get() + 1);
}

fn boom(n: u8) {
    panic_any(n);
}

/// C's own event on a base.
fn c_event(base: *mut ffi::event_base, calls: &Cell<usize>) -> *mut ffi::event {
    let arg = ptr::from_ref(calls).cast_mut().cast();
    // SAFETY: the base is alive, and `calls` outlives the event.
    let event = unsafe { ffi::event_new(base, -1, 0, Some(c_callback), arg) };
    assert!(!event.is_null());
    event
}

for_each_kind! {
    an_object_on_cs_base_is_called_by_cs_loop,
    a_panic_on_cs_loop_waits_for_take_panic,
    an_error_on_cs_loop_waits_for_take_error,
    the_attached_base_may_be_dropped_inside_a_callback,
    a_nested_call_by_c_is_queued,
    c_runs_and_frees_what_it_was_given,
}

fn an_object_on_cs_base_is_called_by_cs_loop<S: Subject>() {
    let c = CBase::new();
    let (ran, dropped) = (count(), count());
    let base = c.attach();
    let (counted, captured) = (ran.clone(), DropCount(dropped.clone()));
    let owner = S::make(&base, move |view| {
        let _captured = &captured;
        counted.bump();
        view.handle().exit_now();
    })
    .unwrap();
    assert_eq!(c.dispatch(), 0);
    assert_eq!(ran.get(), 1);
    drop(base);
    assert_eq!(dropped.get(), 1);
    assert!(owner.is_closed());
    // C goes on without Rust.
    assert_eq!(c.dispatch(), 1);
}

/// T46.
fn a_panic_on_cs_loop_waits_for_take_panic<S: Subject>() {
    let c = CBase::new();
    let base = c.attach();
    let owner = S::make(&base, |_| boom(7)).unwrap();
    assert_eq!(c.dispatch(), 0, "C's loop was stopped, not unwound");
    assert!(base.take_error().is_none());
    let payload = base.take_panic().unwrap();
    assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
    assert!(base.take_panic().is_none());
    drop(owner);
    let ran = count();
    let counted = ran.clone();
    let _next = Timer::after(&base, Duration::ZERO, move |_| {
        counted.bump();
    });
    assert_eq!(c.dispatch(), 1);
    assert_eq!(ran.get(), 1);
}

fn an_error_on_cs_loop_waits_for_take_error<S: Subject>() {
    let c = CBase::new();
    let base = c.attach();
    let owner = S::make(&base, |_| Err(std::fmt::Error)).unwrap();
    assert_eq!(c.dispatch(), 0);
    assert!(base.take_panic().is_none());
    assert!(base.take_error().unwrap().is::<std::fmt::Error>());
    assert!(base.take_error().is_none());
    S::fire(&owner).unwrap();
    let seen = count();
    let counted = seen.clone();
    base.on_error(move |handle, _| {
        counted.bump();
        handle.exit();
    });
    assert_eq!(c.dispatch(), 0);
    assert_eq!(seen.get(), 1);
    assert!(base.take_error().is_none());
}

/// T1, T3.
fn the_attached_base_may_be_dropped_inside_a_callback<S: Subject>() {
    let c = CBase::new();
    let dropped = count();
    let attached = Rc::new(RefCell::new(Some(c.attach())));
    let base = attached.borrow().as_ref().unwrap().handle().clone();
    let other = UserEvent::new(&base, |_| ()).unwrap();
    let captured = DropCount(dropped.clone());
    let (slot, drops) = (attached.clone(), dropped.clone());
    let owner = S::make(&base, move |view| {
        let _captured = &captured;
        let attached = slot.borrow_mut().take();
        drop(attached);
        assert!(view.is_closed());
        assert!(view.handle().as_ptr().is_null());
        assert_eq!(drops.get(), 0, "the closure still runs");
    })
    .unwrap();
    assert_eq!(c.dispatch(), 1);
    assert_eq!(dropped.get(), 1);
    assert!(owner.is_closed() && other.is_closed());
}

/// T5: C may call an event's callback whenever it likes, also inside that very callback.
fn a_nested_call_by_c_is_queued<S: Subject>() {
    let c = CBase::new();
    let base = c.attach();
    let ran = count();
    let inside = Cell::new(false);
    let counted = ran.clone();
    let _owner = S::make(&base, move |view| {
        assert!(!inside.replace(true), "entered while it runs");
        if counted.bump() == 1 {
            let event = view.as_ptr();
            // SAFETY: alive; what C does when it calls an event is to call these.
            unsafe {
                let callback = ffi::event_get_callback(event).unwrap();
                let arg = ffi::event_get_callback_arg(event);
                callback(-1, ffi::EV_READ as c_short, arg);
            }
        } else {
            view.close();
        }
        inside.set(false);
    })
    .unwrap();
    assert_eq!(c.dispatch(), 1);
    assert_eq!(ran.get(), 2);
}

fn c_runs_and_frees_what_it_was_given<S: Subject>() {
    let c = CBase::new();
    let base = c.attach();
    let (ran, dropped) = (count(), count());
    let (counted, captured) = (ran.clone(), DropCount(dropped.clone()));
    let owner = S::make(&base, move |view| {
        let _captured = &captured;
        counted.bump();
        // It is C's now: these have no hold on it.
        view.close();
        assert!(view.as_ptr().is_null());
        view.handle().exit_now();
    })
    .unwrap();
    let event = S::into_ptr(owner);
    assert_eq!(c.dispatch(), 0);
    // SAFETY: C's own by now, and alive.
    unsafe {
        ffi::event_active(event, ffi::EV_READ as c_int, 1);
        assert_eq!(c.dispatch(), 0);
        ffi::event_free(event);
    }
    assert!(ran.get() >= 2);
    assert_eq!(dropped.get(), 0, "the base keeps the closure for C");
    drop(base);
    assert_eq!(dropped.get(), 1);
}

// --- events that C made ------------------------------------------------------------------------------

#[test]
fn an_event_that_c_made_can_be_taken_over() {
    let _bound = bounded();
    let calls = Cell::new(0);
    let mut base = EventBase::new().unwrap();
    let raw = c_event(base.as_ptr(), &calls);
    // SAFETY: made by event_new on this base, and `calls` outlives it.
    let event = unsafe { Event::from_ptr(&base, raw) };
    assert_eq!(base.stats().live(Kind::Event), 1);
    assert_eq!(event.as_ptr(), raw);
    event.activate(Ready::READ).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 1);
    event.set_timeout(Some(Duration::ZERO.into())).unwrap();
    event.add().unwrap();
    base.run().unwrap();
    assert_eq!(calls.get(), 2);
    event.close();
    assert!(event.is_closed());
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn an_event_that_c_made_goes_with_the_base_and_can_go_back() {
    let calls = Cell::new(0);
    let base = EventBase::new().unwrap();
    // SAFETY: as above, for both.
    let (kept, back) = unsafe {
        (
            Event::from_ptr(&base, c_event(base.as_ptr(), &calls)),
            Event::from_ptr(&base, c_event(base.as_ptr(), &calls)),
        )
    };
    let raw = back.into_ptr();
    // SAFETY: C's again, freed once.
    unsafe { ffi::event_free(raw) };
    drop(base);
    assert!(kept.is_closed());
}

#[test]
fn cs_and_rusts_events_share_a_turn_by_priority() {
    let _bound = bounded();
    let calls = Cell::new(0);
    let c = CBase::new();
    let theirs = c_event(c.0, &calls);
    let base = c.attach();
    let first = UserEvent::new(&base, |event| event.handle().exit_now()).unwrap();
    first.set_priority(0).unwrap();
    // SAFETY: alive.
    unsafe { ffi::event_active(theirs, ffi::EV_READ as c_int, 1) };
    first.trigger().unwrap();
    assert_eq!(c.dispatch(), 0);
    assert_eq!(calls.get(), 0, "the urgent one stopped the loop before");
    assert_eq!(c.dispatch(), 1);
    assert_eq!(calls.get(), 1);
    drop(first);
    drop(base);
    // SAFETY: C's own.
    unsafe { ffi::event_free(theirs) };
}

/// T49: the list of events is a copy; C's are in it, and it may be walked while they change.
#[test]
fn the_list_of_events_has_cs_and_outlives_them() {
    let calls = Cell::new(0);
    let c = CBase::new();
    let base = c.attach();
    let before = base.events().unwrap().len();
    let theirs = c_event(c.0, &calls);
    let hour = ffi::timeval {
        tv_sec: 3600,
        tv_usec: 0,
    };
    // SAFETY: alive; the timeval is copied.
    assert_eq!(unsafe { ffi::event_add(theirs, &hour) }, 0);
    let ours = Timer::after(&base, Duration::from_secs(3600), |_| ()).unwrap();
    let list = base.events().unwrap();
    assert_eq!(list.len(), before + 2);
    assert!(base.dump().unwrap().contains("Timeout"));
    assert_eq!(base.stats().live_total(), 1);
    for _ in &list {
        ours.cancel();
        Timer::after(&base, Duration::ZERO, |_| ())
            .unwrap()
            .detach();
    }
    drop(base);
    // SAFETY: C's own.
    unsafe { ffi::event_free(theirs) };
}

// --- bases that change hands -------------------------------------------------------------------------

#[test]
fn a_base_can_be_taken_from_c_and_given_back() {
    let _bound = bounded();
    let ran = count();
    // SAFETY: no preconditions.
    let raw = unsafe { ffi::event_base_new() };
    // SAFETY: alive, and nobody else's.
    let mut base = unsafe { EventBase::from_ptr(raw) };
    let counted = ran.clone();
    let timer = Timer::after(&base, Duration::ZERO, move |_| {
        counted.bump();
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    let late = Timer::after(&base, Duration::ZERO, |_| ()).unwrap();
    assert_eq!(base.into_ptr(), raw);
    assert!(timer.is_closed() && late.is_closed());
    assert_eq!(ran.get(), 1);
    // SAFETY: C's again.
    unsafe {
        assert_eq!(ffi::event_base_dispatch(raw), 1);
        ffi::event_base_free(raw);
    }
}

/// T2, T54: nobody can see from outside whether C gave its base locks.
#[test]
fn a_base_of_cs_gives_out_a_remote_only_when_its_locks_are_vouched_for() {
    let _bound = bounded();
    let c = CBase::new();
    let base = c.attach();
    assert!(matches!(base.remote(), Err(Error::Unsupported { .. })));
    // SAFETY: `CBase::new` switched libevent's threading on before.
    unsafe { base.assume_locks() };
    let remote = base.remote().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = ran.clone();
    let other = std::thread::spawn(move || {
        for _ in 0..100 {
            let counted = counted.clone();
            remote.post(move |_| drop(counted)).unwrap();
        }
        remote.post(|handle| handle.exit()).unwrap();
        counted.fetch_add(1, Relaxed);
    });
    let _far = Timer::after(&base, Duration::from_secs(3600), |_| ()).unwrap();
    assert_eq!(c.dispatch(), 0);
    other.join().unwrap();
    assert_eq!(ran.load(Relaxed), 1);
}

#[test]
fn a_job_may_drop_the_attached_base() {
    let _bound = bounded();
    thread_local!(static ATTACHED: RefCell<Option<EventBase>> = const { RefCell::new(None) });
    let c = CBase::new();
    let base = c.attach();
    // SAFETY: `CBase::new` switched libevent's threading on before.
    unsafe { base.assume_locks() };
    let remote = base.remote().unwrap();
    ATTACHED.set(Some(base));
    let token = Arc::new(());
    let kept = token.clone();
    remote.post(|_| drop(ATTACHED.take())).unwrap();
    remote.post(move |_| drop(kept)).unwrap();
    assert_eq!(c.dispatch(), 1);
    assert_eq!(Arc::strong_count(&token), 1, "the second job was dropped");
    assert!(matches!(remote.wake(), Err(Error::Closed { .. })));
}

#[test]
fn a_stop_of_cs_loop_does_not_reach_the_next_run() {
    let _bound = bounded();
    let c = CBase::new();
    let base = c.attach();
    // SAFETY: `CBase::new` switched libevent's threading on before.
    unsafe { base.assume_locks() };
    let remote = base.remote().unwrap();
    remote.stop().unwrap();
    assert_eq!(c.dispatch(), 0);
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let ran = ran.clone();
        let job = move |_: &libevent2::LoopHandle| {
            ran.fetch_add(1, Relaxed);
        };
        remote.post(job).unwrap();
    }
    assert_eq!(c.dispatch(), 1);
    assert_eq!(ran.load(Relaxed), 3);
}

#[test]
fn idle_work_needs_a_second_priority_on_cs_base() {
    // SAFETY: no preconditions; a base of C's has one priority.
    let raw = unsafe { ffi::event_base_new() };
    // SAFETY: alive, and freed with the value.
    let base = unsafe { EventBase::from_ptr(raw) };
    let error = Idle::new(&base, |_| ()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[test]
fn a_panic_in_a_drop_comes_out_of_the_drop_of_the_attached_base() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(3_u8);
        }
    }
    let c = CBase::new();
    let base = c.attach();
    let bomb = Bomb;
    Once::detach(
        Once::make(&base, move |_| {
            let _bomb = &bomb;
        })
        .unwrap(),
    );
    let other = Fd::make(&base, |_| ()).unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| drop(base))).unwrap_err();
    assert_eq!(payload.downcast_ref::<u8>(), Some(&3));
    assert!(other.is_closed());
    assert_eq!(c.dispatch(), 1);
}
