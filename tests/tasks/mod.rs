//! What the tests of tasks share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::{EventBase, ffi};
use std::any::Any;
use std::future::{Future, poll_fn};
use std::os::raw::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, ThreadId};

/// Part of what a task holds: counts its drop, which has to be on the thread that it was made on.
pub struct Held {
    dropped: Arc<AtomicUsize>,
    thread: ThreadId,
}

/// The number of [`Held`]s that were dropped.
#[derive(Clone, Default)]
pub struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub fn hold(&self) -> Held {
        Held {
            dropped: Arc::clone(&self.0),
            thread: thread::current().id(),
        }
    }

    pub fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if thread::current().id() != self.thread {
            // A panic would not be heard of on every path.
            eprintln!("dropped on another thread than its own");
            std::process::abort();
        }
        self.dropped.fetch_add(1, SeqCst);
    }
}

/// Panics in its drop.
pub struct Bomb(pub &'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// Does something in its drop.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A future that hands out its waker when it is first polled, and never ends.
pub fn give_waker(to: Sender<Waker>) -> impl Future<Output = ()> {
    let mut given = false;
    poll_fn(move |cx| {
        if !given {
            given = true;
            let _ = to.send(cx.waker().clone());
        }
        Poll::Pending
    })
}

/// Locks, as ThreadSanitizer can see it: the standard library comes without instrumentation, so a
/// lock that had to be waited for orders nothing in its eyes, and one that was tried does.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
}

/// What a panic said.
pub fn message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

/// What `act` panicked with.
#[track_caller]
pub fn panic_of<R>(act: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => message(payload),
    }
}

/// Counts how often it is woken.
#[derive(Default)]
pub struct Wakes(AtomicUsize);

impl Wakes {
    pub fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A base as C makes and runs it.
pub struct CBase(*mut ffi::event_base);

impl CBase {
    pub fn new() -> Self {
        // Which switches on libevent's threading, once.
        drop(EventBase::new().unwrap());
        // SAFETY: a call without conditions.
        let base = unsafe { ffi::event_base_new() };
        assert!(!base.is_null());
        CBase(base)
    }

    pub fn attach(&self) -> EventBase {
        // SAFETY: alive until `self` goes, which the tests drop last; it runs on this thread.
        unsafe { EventBase::attach(self.0) }
    }

    pub fn run(&self) -> c_int {
        // SAFETY: alive, and not running.
        unsafe { ffi::event_base_loop(self.0, 0) }
    }

    /// Runs until it is told to stop.
    pub fn run_on(&self) -> c_int {
        // SAFETY: as above.
        unsafe { ffi::event_base_loop(self.0, ffi::EVLOOP_NO_EXIT_ON_EMPTY as c_int) }
    }
}

impl Drop for CBase {
    fn drop(&mut self) {
        // SAFETY: ours, and freed once.
        unsafe { ffi::event_base_free(self.0) };
    }
}
