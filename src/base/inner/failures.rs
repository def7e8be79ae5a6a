//! What becomes of callbacks that fail: nothing of it ends up in C's frames.

use super::{ErrorHandler, Inner};
use crate::callback::{CallbackResult, Failure};
use crate::error::BoxError;
use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Inner {
    #[inline(always)]
    pub(crate) fn count_callback(&self) {
        self.callbacks.set(self.callbacks.get().wrapping_add(1));
    }

    pub(in crate::base) fn callbacks(&self) -> u64 {
        self.callbacks.get()
    }

    /// Runs code of the user's on behalf of C: a panic or an error ends up here instead of in
    /// C's frames.
    pub(crate) fn guard<O: CallbackResult>(&self, f: impl FnOnce() -> O) {
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(result) => {
                if let Err(error) = result.outcome() {
                    self.failed(error);
                }
            }
            Err(payload) => self.panicked(payload),
        }
    }

    /// A callback panicked: the first payload is kept and the loop stops.
    #[cold]
    pub(crate) fn panicked(&self, payload: Box<dyn Any + Send>) {
        self.fail(Failure::Panic(payload));
    }

    /// A callback returned an error: to the error handler, or else the loop stops with it.
    #[cold]
    pub(crate) fn failed(&self, error: BoxError) {
        let Some(mut handler) = self.error_handler.take() else {
            return self.fail(Failure::Error(error));
        };
        self.guard(|| handler(&self.handle(), error));
        // One that was set meanwhile stays.
        let mut slot = self.error_handler.borrow_mut();
        let old = if slot.is_none() && !self.closing.get() {
            *slot = Some(handler);
            None
        } else {
            Some(handler)
        };
        drop(slot);
        self.guard(|| drop(old));
    }

    fn fail(&self, failure: Failure) {
        self.break_now();
        let mut first = self.failure.borrow_mut();
        if first.is_none() {
            *first = Some(failure);
            return;
        }
        drop(first);
        // A panic's message was printed by the panic hook. Dropping it could panic once more, and
        // so could dropping what that panics with.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(failure))) {
            mem::forget(payload);
        }
    }

    pub(in crate::base) fn take_failure(&self) -> Option<Failure> {
        self.failure.take()
    }

    pub(in crate::base) fn put_back(&self, failure: Failure) {
        self.failure.borrow_mut().get_or_insert(failure);
    }

    pub(in crate::base) fn set_error_handler(&self, handler: Option<ErrorHandler>) {
        if self.closing.get() {
            // Kept, it would never be dropped if it held a handle on this base.
            return drop(handler);
        }
        let old = self.error_handler.replace(handler);
        drop(old);
    }
}
