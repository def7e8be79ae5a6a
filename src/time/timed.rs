//! An end to waiting.

use super::Sleep;
use crate::LoopHandle;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

pin_project! {
    /// A future that may take so long and no longer; see [`LoopHandle::timeout`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Timed<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

/// The time was over before the future was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it took longer than it was given")]
#[non_exhaustive]
pub struct Elapsed;

impl LoopHandle {
    /// Waits for `future`, but not longer than `limit`. It is dropped with the value that this
    /// returns, not before.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let mut base = libevent2::EventBase::new()?;
    /// let never = std::future::pending::<()>();
    /// let limited = base.timeout(Duration::from_millis(1), never);
    /// assert!(base.block_on(limited)?.is_err());
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    pub fn timeout<F: Future>(&self, limit: Duration, future: F) -> Timed<F> {
        Timed {
            future,
            sleep: self.sleep(limit),
        }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.future.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        Pin::new(this.sleep).poll(cx).map(|()| Err(Elapsed))
    }
}

impl<F> fmt::Debug for Timed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timed")
            .field("deadline", &self.sleep.deadline())
            .finish_non_exhaustive()
    }
}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
