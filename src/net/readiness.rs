//! What is known of a descriptor, and who waits to know more.

use super::Direction;
use crate::Ready;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::task::Waker;

bitflags::bitflags! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct State: u8 {
        const READ = 1;
        const WRITE = 2;
        /// The peer has closed: reading never has to wait again.
        const ENDED = 4;
        /// The base is gone: nobody will tell.
        const GONE = 8;
        /// An error may have come with what was read last; see `doubt.rs`.
        const DOUBTED = 16;
        /// It is on the list of those to be looked at again.
        const LISTED = 32;
    }
}

impl From<Direction> for State {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Read => State::READ,
            Direction::Write => State::WRITE,
        }
    }
}

/// The readiness of one descriptor: set by the loop, cleared by an operation that would block.
pub(super) struct Readiness {
    state: Cell<State>,
    readers: Waiters,
    writers: Waiters,
}

impl Readiness {
    pub(super) fn new() -> Self {
        Readiness {
            state: Cell::new(State::empty()),
            readers: Waiters::default(),
            writers: Waiters::default(),
        }
    }

    #[inline]
    pub(super) fn has(&self, state: State) -> bool {
        self.state.get().intersects(state)
    }

    #[inline]
    pub(super) fn set(&self, state: State) {
        self.state.set(self.state.get() | state);
    }

    #[inline]
    pub(super) fn clear(&self, state: State) {
        self.state.set(self.state.get() - state);
    }

    pub(super) fn waiters(&self, direction: Direction) -> &Waiters {
        match direction {
            Direction::Read => &self.readers,
            Direction::Write => &self.writers,
        }
    }

    /// The loop has news.
    pub(super) fn fire(&self, ready: Ready) {
        let read = ready.intersects(Ready::READ | Ready::CLOSED);
        let write = ready.contains(Ready::WRITE);
        let mut state = self.state.get() - State::DOUBTED;
        state.set(State::READ, read || state.contains(State::READ));
        state.set(State::WRITE, write || state.contains(State::WRITE));
        if ready.contains(Ready::CLOSED) {
            state |= State::ENDED;
        }
        self.state.set(state);
        if read {
            self.readers.wake();
        }
        if write {
            self.writers.wake();
        }
    }

    /// The base is gone.
    pub(super) fn gone(&self) {
        self.set(State::GONE);
        self.readers.wake();
        self.writers.wake();
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.get().fmt(f)
    }
}

/// Who waits for one direction.
#[derive(Default)]
pub(super) struct Waiters {
    /// Whether there may be somebody to be woken: the system tells of both directions at once,
    /// though in nearly all cases one of them interests nobody.
    any: Cell<bool>,
    /// Whether a future has the place in `first`.
    taken: Cell<bool>,
    /// The future that waits, when there is one.
    first: Slot,
    /// Whoever polled last without a future of its own.
    poller: Slot,
    /// The futures beyond the first.
    others: RefCell<Slab<Option<Waker>>>,
}

impl Waiters {
    /// Whoever polled before is forgotten.
    pub(super) fn wait(&self, waker: &Waker) {
        self.any.set(true);
        self.poller.set(waker);
    }

    /// A place for a future that will wait.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            waiters: self,
            kept: Kept::Nowhere,
        }
    }

    /// Wakes everybody; who still has to wait says so again.
    #[inline]
    pub(super) fn wake(&self) {
        if self.any.replace(false) {
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        self.poller.wake();
        self.first.wake();
        let mut next = 0;
        while let Some(waker) = self.take_from(&mut next) {
            waker.wake();
        }
    }

    /// The waker at `next` or behind it. Nothing is borrowed while it wakes.
    fn take_from(&self, next: &mut usize) -> Option<Waker> {
        let mut others = self.others.borrow_mut();
        if others.is_empty() {
            return None;
        }
        while *next < others.capacity() {
            let waker = others.get_mut(*next).and_then(Option::take);
            *next += 1;
            if waker.is_some() {
                return waker;
            }
        }
        None
    }
}

/// A waker, if any.
#[derive(Default)]
struct Slot(Cell<Option<Waker>>);

impl Slot {
    #[inline]
    fn set(&self, waker: &Waker) {
        let old = self.0.take();
        if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.0.set(old);
        } else {
            self.0.set(Some(waker.clone()));
            // Last, as a waker's drop may be the end of a task.
            drop(old);
        }
    }

    #[inline]
    fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// The place of one future among those that wait, given up when it is dropped.
pub(super) struct Place<'a> {
    waiters: &'a Waiters,
    kept: Kept,
}

/// Where a future's waker is.
enum Kept {
    Nowhere,
    First,
    /// Among the others.
    At(usize),
}

impl Place<'_> {
    #[inline]
    pub(super) fn wait(&mut self, waker: &Waker) {
        self.waiters.any.set(true);
        if let Kept::Nowhere = self.kept
            && !self.waiters.taken.replace(true)
        {
            self.kept = Kept::First;
        }
        match self.kept {
            Kept::First => self.waiters.first.set(waker),
            _ => self.wait_beside(waker),
        }
    }

    #[cold]
    fn wait_beside(&mut self, waker: &Waker) {
        let mut others = self.waiters.others.borrow_mut();
        let key = match self.kept {
            Kept::At(key) => key,
            _ => others.insert(None),
        };
        self.kept = Kept::At(key);
        let slot = &mut others[key];
        let stale = match slot {
            Some(old) if old.will_wake(waker) => None,
            _ => slot.replace(waker.clone()),
        };
        drop(others);
        drop(stale);
    }
}

impl Drop for Place<'_> {
    #[inline]
    fn drop(&mut self) {
        let waker = match self.kept {
            Kept::Nowhere => None,
            Kept::First => {
                self.waiters.taken.set(false);
                self.waiters.first.0.take()
            }
            Kept::At(key) => self.waiters.others.borrow_mut().remove(key),
        };
        drop(waker);
    }
}
