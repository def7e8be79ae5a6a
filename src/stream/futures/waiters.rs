//! Who waits for one direction of a stream.

use slab::Slab;
use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

#[derive(Default)]
pub(super) struct Waiters {
    /// Futures that wait. Each takes itself out when it is dropped.
    futures: RefCell<Slab<Waiting>>,
    /// Who has asked by `poll_…` and got nothing: the last one, as those traits have it.
    pub(super) polled: Cell<Option<Waker>>,
}

struct Waiting {
    waker: Option<Waker>,
    /// How long it needs the input to become.
    want: usize,
}

impl Waiters {
    /// Has all of them ask again.
    pub(super) fn wake(&self) {
        // Nothing is borrowed while a waker runs, which may be anybody's.
        let mut futures = self.futures.borrow_mut();
        let wakers: Vec<Waker> = futures
            .iter_mut()
            .filter_map(|(_, waiting)| waiting.waker.take())
            .collect();
        drop(futures);
        wakers.into_iter().for_each(Waker::wake);
        if let Some(waker) = self.polled.take() {
            waker.wake();
        }
    }

    /// The longest input that somebody waits for.
    pub(super) fn most_wanted(&self) -> usize {
        let futures = self.futures.borrow();
        let wanted = futures.iter().map(|(_, waiting)| waiting.want);
        wanted.max().unwrap_or(0)
    }

    /// A place for a future, which it need not take.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            waiters: self,
            key: None,
        }
    }
}

/// The place of one future, which has to leave it in the end.
pub(super) struct Place<'a> {
    waiters: &'a Waiters,
    key: Option<usize>,
}

impl Place<'_> {
    /// Has the future woken the next time.
    pub(super) fn wait(&mut self, cx: &Context<'_>, want: usize) {
        let waiting = Waiting {
            waker: Some(cx.waker().clone()),
            want,
        };
        let mut futures = self.waiters.futures.borrow_mut();
        let before = match self.key {
            Some(key) => Some(std::mem::replace(&mut futures[key], waiting)),
            None => {
                self.key = Some(futures.insert(waiting));
                None
            }
        };
        drop(futures);
        drop(before);
    }

    pub(super) fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            let waiting = self.waiters.futures.borrow_mut().remove(key);
            drop(waiting);
        }
    }
}
