//! Signals of the process, awaited.

use crate::error::Result;
use crate::{LoopHandle, Signal};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The signals that were asked for by [`LoopHandle::signals`], as they arrive.
///
/// Until it is dropped the process no longer does what it did on them before, and
/// [`run`](crate::EventBase::run) does not end by itself.
#[must_use = "dropping it restores what the process did on these signals before"]
pub struct Signals {
    /// Each number has an event.
    events: Vec<Signal>,
    arrived: Rc<Arrived>,
}

/// What has arrived, and who waits for it.
#[derive(Default)]
struct Arrived {
    queue: RefCell<VecDeque<i32>>,
    waiter: Cell<Option<Waker>>,
}

impl Arrived {
    fn note(&self, signum: i32) {
        let mut queue = self.queue.borrow_mut();
        if !queue.contains(&signum) {
            queue.push_back(signum);
        }
        drop(queue);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

impl LoopHandle {
    /// Has signals be awaited; the numbers are `libc`'s.
    ///
    /// ```
    /// use libevent2::EventBase;
    ///
    /// let mut base = EventBase::new()?;
    /// let mut signals = base.signals(&[libc::SIGHUP, libc::SIGUSR1])?;
    /// # let pid = std::process::id().to_string();
    /// # std::process::Command::new("kill").args(["-USR1", &pid]).status().unwrap();
    /// let first = base.block_on(signals.next())?; // after `kill -USR1`
    /// assert_eq!(first, libc::SIGUSR1);
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Signal::new`]: [`Error::Invalid`](crate::Error::Invalid) for a number that is no signal
    /// or cannot be caught, [`Error::SignalsTaken`](crate::Error::SignalsTaken) while another base
    /// of this process has signals. Then none of them is caught.
    pub fn signals(&self, signums: &[i32]) -> Result<Signals> {
        let arrived = Rc::<Arrived>::default();
        let event = |&signum: &i32| {
            let arrived = Rc::clone(&arrived);
            Signal::new(self, signum, move |signal| arrived.note(signal.signum()))
        };
        let events = signums.iter().map(event).collect::<Result<_>>()?;
        Ok(Signals { events, arrived })
    }
}

impl Signals {
    /// Waits for the next signal, and gives its number. One that arrives again before it was taken
    /// counts once; of different ones the first comes first. Dropping the future loses none.
    pub async fn next(&mut self) -> i32 {
        poll_fn(|cx| self.poll_next_signal(cx)).await
    }

    /// A signal that has arrived already.
    pub fn try_next(&mut self) -> Option<i32> {
        self.arrived.queue.borrow_mut().pop_front()
    }

    fn poll_next_signal(&mut self, cx: &mut Context<'_>) -> Poll<i32> {
        match self.try_next() {
            Some(signum) => Poll::Ready(signum),
            None => {
                self.arrived.waiter.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

/// Never ends.
#[cfg(feature = "futures-io")]
impl futures_core::Stream for Signals {
    type Item = i32;

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_signal(cx).map(Some)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signums: Vec<i32> = self.events.iter().map(|event| event.signum()).collect();
        f.debug_struct("Signals")
            .field("signums", &signums)
            .finish_non_exhaustive()
    }
}
