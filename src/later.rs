//! The user's code that has to wait until C has returned.
//!
//! libevent drops references and reports changes while it is in the middle of an evbuffer. Code of
//! the user's that ran there could reach the same evbuffer again. So C's callbacks only queue what
//! there is to do, and whoever called C runs it when C is back.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::forget;
use std::os::raw::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

struct Work {
    data: *mut c_void,
    run: unsafe fn(*mut c_void),
}

impl Work {
    fn run(self) {
        // SAFETY: `push` was promised that this may be done once, on this thread.
        unsafe { (self.run)(self.data) }
    }

    /// When there is nobody who could be told of a panic.
    fn run_unheard(self) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.run())) {
            discard(payload);
        }
    }
}

#[derive(Default)]
struct Queue(RefCell<VecDeque<Work>>);

impl Drop for Queue {
    fn drop(&mut self) {
        while let Some(work) = self.0.get_mut().pop_front() {
            // The thread ends.
            work.run_unheard();
        }
    }
}

thread_local! {
    /// Whether there is anything in the queue: what most callers need to know.
    static WAITING: Cell<bool> = const { Cell::new(false) };
    static QUEUE: Queue = Queue::default();
}

/// Queues `run(data)` for this thread's next [`run`].
///
/// # Safety
/// `run(data)` may be called once, at any later time, on this thread.
pub(crate) unsafe fn push(data: *mut c_void, run: unsafe fn(*mut c_void)) {
    let work = Work { data, run };
    let queued = QUEUE.try_with(|queue| queue.0.borrow_mut().push_back(work));
    if queued.is_ok() {
        WAITING.set(true);
        return;
    }
    // The thread ends, and its queue is gone.
    let work = Work { data, run };
    work.run_unheard();
}

/// Runs what waits, all of it. To be called after each call of C that may have queued something,
/// with nothing borrowed. The first panic of the user's code comes out of here at the end.
#[inline(always)]
pub(crate) fn run() {
    if WAITING.get() {
        run_all();
    }
}

#[cold]
#[inline(never)]
fn run_all() {
    let mut panic = None;
    while let Some(work) = next() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work.run())) {
            match panic {
                None => panic = Some(payload),
                Some(_) => discard(payload),
            }
        }
    }
    WAITING.set(false);
    if let Some(payload) = panic {
        resume_unwind(payload);
    }
}

/// Drops what a panic carried, which may panic itself.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        forget(another);
    }
}

/// None as well when the thread ends: who empties the queue then goes on with it.
fn next() -> Option<Work> {
    let next = QUEUE.try_with(|queue| queue.0.borrow_mut().pop_front());
    next.ok().flatten()
}
