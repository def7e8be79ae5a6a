//! Again and again.

use super::sleep::{Sleep, from_now};
use crate::LoopHandle;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Ticks at fixed times; see [`LoopHandle::interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
}

impl LoopHandle {
    /// Ticks every `period`, the first time when one has passed, without drift. Ticks for which
    /// nobody was there in time are left out, but for one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let mut base = libevent2::EventBase::new()?;
    /// let mut interval = base.interval(Duration::from_millis(1));
    /// base.block_on(async {
    ///     for _ in 0..3 {
    ///         interval.tick().await;
    ///     }
    /// })?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Panics
    /// When the period is zero.
    pub fn interval(&self, period: Duration) -> Interval {
        assert!(!period.is_zero(), "the period of an interval is zero");
        Interval {
            sleep: self.sleep(period),
            period,
        }
    }
}

impl Interval {
    /// The next tick: the time that it was for.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Self::tick), for who writes a future.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let due = self.sleep.deadline();
        let late = due.elapsed();
        let missed = late.as_nanos() / self.period.as_nanos();
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        let next = due + self.period.saturating_mul(missed.saturating_add(1));
        self.sleep.reset(next);
        Poll::Ready(due)
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Has the next tick come one period from now.
    pub fn reset(&mut self) {
        self.sleep.reset(from_now(self.period));
    }
}

#[cfg(feature = "futures-io")]
impl futures_core::Stream for Interval {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_tick(cx).map(Some)
    }
}
