//! A pause.

use crate::{LoopHandle, Timer};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

/// A future that is done when its time has come, never before.
///
/// The timer begins to exist in the loop when it is first polled, and goes with the value.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    base: LoopHandle,
    deadline: Instant,
    armed: Option<Armed>,
}

struct Armed {
    timer: Timer,
    waiter: Rc<Cell<Option<Waker>>>,
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.waiter.take();
    }
}

/// Part of the timer's closure, and so dropped with the timer: whoever waits hears of that too.
struct Waits(Rc<Cell<Option<Waker>>>);

impl Waits {
    fn wake(&self) {
        if let Some(waiter) = self.0.take() {
            waiter.wake();
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.wake();
    }
}

const GONE: &str = "a sleep is awaited on a base that is gone";

impl LoopHandle {
    /// Waits for so long.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let mut base = libevent2::EventBase::new()?;
    /// let handle = base.handle().clone();
    /// base.block_on(async {
    ///     handle.sleep(Duration::from_millis(2)).await;
    /// })?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    pub fn sleep(&self, delay: Duration) -> Sleep {
        self.sleep_until(from_now(delay))
    }

    /// Waits for a point in time.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep {
            base: self.clone(),
            deadline,
            armed: None,
        }
    }
}

/// What is beyond the clock is as good as never.
pub(super) fn from_now(delay: Duration) -> Instant {
    const LONG: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(delay).unwrap_or_else(|| now + LONG)
}

impl Sleep {
    /// When it is done.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Puts the time off, or brings it forward; a sleep that was done can be awaited again.
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if let Some(armed) = &self.armed {
            // An error means that the base is gone: whoever polls next hears of it.
            let _ = armed.timer.set_at(deadline);
        }
    }

    fn arm(&mut self) -> &Armed {
        let (base, deadline) = (&self.base, self.deadline);
        self.armed.get_or_insert_with(|| {
            let waiter = Rc::new(Cell::new(None::<Waker>));
            let waits = Waits(Rc::clone(&waiter));
            let timer = Timer::new(base, move |_| waits.wake());
            let timer = timer.and_then(|timer| timer.set_at(deadline).map(|()| timer));
            Armed {
                timer: timer.expect(GONE),
                waiter,
            }
        })
    }
}

impl Future for Sleep {
    type Output = ();

    /// # Panics
    /// When the base is gone before the time has come.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            // One that never has to wait is not to keep the loop to itself.
            ready!(self.base.inner().spend(cx));
            if let Some(armed) = &self.armed {
                armed.timer.cancel();
            }
            return Poll::Ready(());
        }
        let armed = self.arm();
        assert!(!armed.timer.is_closed(), "{GONE}");
        armed.waiter.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
