//! A closure of the user's that may be replaced or closed while it runs.

use crate::base::Inner;
use crate::callback::Outcome;
use std::cell::Cell;

/// The closure is taken out for the length of a call, so that whatever it does to its own slot, it
/// is neither freed nor entered again.
pub(super) struct Handler<F: ?Sized> {
    /// Empty while it runs, and when there is none.
    idle: Cell<Option<Box<F>>>,
    closed: Cell<bool>,
}

impl<F: ?Sized> Handler<F> {
    pub(super) fn new(closure: Option<Box<F>>) -> Self {
        Handler {
            idle: Cell::new(closure),
            closed: Cell::new(false),
        }
    }

    /// From now on this one is called. The other is dropped, when it has returned if it runs.
    pub(super) fn set(&self, closure: Box<F>) {
        drop(self.idle.replace(Some(closure)));
    }

    /// No closure is called any more. One that is not running is given back, to be dropped.
    pub(super) fn close(&self) -> Option<Box<F>> {
        self.closed.set(true);
        self.idle.take()
    }

    /// Lets `call` call it, if there is one and it does not run already.
    pub(super) fn call(&self, base: &Inner, call: impl FnOnce(&mut F) -> Outcome) {
        let Some(mut closure) = self.idle.take() else {
            return;
        };
        base.guard(|| call(&mut closure));
        if self.closed.get() {
            return base.guard(|| drop(closure));
        }
        match self.idle.take() {
            None => self.idle.set(Some(closure)),
            Some(newer) => {
                self.idle.set(Some(newer));
                base.guard(|| drop(closure));
            }
        }
    }
}
