//! From a callback to a future: a value that somebody will give.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A value to come, and the future of it: what a callback of C's style has to say is awaited. Both
/// stay on one thread.
///
/// ```
/// use libevent2::task::promise;
/// use libevent2::{EventBase, Timer};
/// use std::time::Duration;
///
/// let mut base = EventBase::new()?;
/// let (promise, promised) = promise();
/// let _timer = Timer::after(&base, Duration::from_millis(1), |_| promise.resolve("tick"))?;
/// assert_eq!(base.block_on(promised)?, Ok("tick"));
/// # Ok::<(), libevent2::Error>(())
/// ```
pub fn promise<T>() -> (Promise<T>, Promised<T>) {
    let slot = Rc::new(Slot {
        state: Cell::new(State::Open),
        waiter: Cell::new(None),
    });
    (Promise(Rc::clone(&slot)), Promised(slot))
}

/// Who is to give the value; see [`promise`].
#[must_use = "dropping it breaks the promise"]
pub struct Promise<T>(Rc<Slot<T>>);

/// The future of a value that a [`Promise`] gives.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Promised<T>(Rc<Slot<T>>);

/// The [`Promise`] was dropped without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody is left to give the value that was promised")]
#[non_exhaustive]
pub struct Broken;

struct Slot<T> {
    state: Cell<State<T>>,
    waiter: Cell<Option<Waker>>,
}

enum State<T> {
    Open,
    Given(T),
    /// Taken, broken or abandoned.
    Ended,
}

impl<T> Slot<T> {
    fn end(&self, state: State<T>) {
        self.state.set(state);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// What is done to the state is `act`'s matter.
    fn with<R>(&self, act: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.state.replace(State::Ended);
        let result = act(&mut state);
        self.state.set(state);
        result
    }

    fn is_open(&self) -> bool {
        self.with(|state| matches!(state, State::Open))
    }
}

impl<T> Promise<T> {
    /// Gives the value. When nobody waits for it any more it is dropped.
    pub fn resolve(self, value: T) {
        if self.0.is_open() {
            self.0.end(State::Given(value));
        }
    }

    /// Whether nobody waits for the value any more: the future was dropped.
    pub fn is_abandoned(&self) -> bool {
        !self.0.is_open()
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if self.0.is_open() {
            self.0.end(State::Ended);
        }
    }
}

impl<T> Future for Promised<T> {
    type Output = Result<T, Broken>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.state.replace(State::Ended) {
            State::Given(value) => Poll::Ready(Ok(value)),
            State::Ended => Poll::Ready(Err(Broken)),
            State::Open => {
                self.0.state.set(State::Open);
                self.0.waiter.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Promised<T> {
    fn drop(&mut self) {
        let (state, waiter) = (self.0.state.replace(State::Ended), self.0.waiter.take());
        drop((state, waiter));
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("abandoned", &self.is_abandoned())
            .finish()
    }
}

impl<T> fmt::Debug for Promised<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promised").finish_non_exhaustive()
    }
}
