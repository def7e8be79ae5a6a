use super::core::{EventCore, Timeout};
use super::node::{self, Replacement};
use super::{owner, view};
use crate::base::Kind;
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi};
use std::cell::Cell;
use std::os::raw::c_short;
use std::time::{Duration, Instant};

owner! {
    /// A timer: calls its closure once or again and again.
    ///
    /// ```
    /// use libevent2::{EventBase, Timer};
    /// use std::time::Duration;
    ///
    /// let mut base = EventBase::new()?;
    /// let mut left = 3;
    /// let _ticker = Timer::every(&base, Duration::from_millis(1), move |timer| {
    ///     left -= 1;
    ///     if left == 0 {
    ///         timer.close();
    ///     }
    /// })?;
    /// base.run()?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    #[doc(alias = "evtimer_new")]
    #[doc(alias = "evtimer_assign")]
    Timer => TimerRef
}

/// What a timer's callback sees of its timer.
pub struct TimerRef {
    core: EventCore,
    replacement: Replacement<TimerRef>,
    /// A deadline by the system's clock, which the loop's cached time may reach too early.
    deadline: Cell<Option<Instant>>,
}

view!(TimerRef, what: () = |_| ());

impl Timer {
    /// A timer that is not set yet; its closure runs each time that it is due.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone, [`Error::Libevent`] when memory is short.
    pub fn new<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnMut(&TimerRef) -> O + 'static,
    ) -> Result<Self> {
        Self::make(base, 0, callback)
    }

    /// Runs `callback` once, when the time has passed; zero means in the next turn of the loop.
    ///
    /// Dropping the timer before cancels it; [`detach`](Self::detach) it to let it be.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone, [`Error::Libevent`] when memory is short,
    /// [`Error::Invalid`] for a [`CommonTimeout`](crate::CommonTimeout) of another base.
    #[doc(alias = "event_base_once")]
    pub fn after<O: CallbackResult + 'static>(
        base: &LoopHandle,
        delay: impl Into<Timeout>,
        callback: impl FnOnce(&LoopHandle) -> O + 'static,
    ) -> Result<Self> {
        let timer = Self::once(base, callback)?;
        timer.set(delay)?;
        Ok(timer)
    }

    /// Runs `callback` once, not before `deadline`.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn at<O: CallbackResult + 'static>(
        base: &LoopHandle,
        deadline: Instant,
        callback: impl FnOnce(&LoopHandle) -> O + 'static,
    ) -> Result<Self> {
        let timer = Self::once(base, callback)?;
        timer.set_at(deadline)?;
        Ok(timer)
    }

    /// Runs `callback` every `interval`, without drift: a late call does not put off the next.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an interval of zero (libevent would run it once; see
    /// [`Idle`](crate::Idle) for work in each turn), else as [`after`](Self::after).
    #[doc(alias = "EV_PERSIST")]
    pub fn every<O: CallbackResult + 'static>(
        base: &LoopHandle,
        interval: impl Into<Timeout>,
        callback: impl FnMut(&TimerRef) -> O + 'static,
    ) -> Result<Self> {
        let interval = interval.into();
        if interval.duration().is_zero() {
            return Err(Error::invalid(
                "interval",
                "it is zero; an Idle runs in each turn of the loop",
            ));
        }
        let timer = Self::make(base, ffi::EV_PERSIST as c_short, callback)?;
        timer.core.add(Some(&interval))?;
        Ok(timer)
    }

    fn once<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnOnce(&LoopHandle) -> O + 'static,
    ) -> Result<Self> {
        let mut callback = Some(callback);
        Self::make(base, 0, move |timer| {
            let callback = callback.take();
            timer.close();
            callback.map_or(Ok(()), |callback| callback(timer.handle()).outcome())
        })
    }

    fn make<O: CallbackResult + 'static>(
        base: &LoopHandle,
        flags: c_short,
        callback: impl FnMut(&TimerRef) -> O + 'static,
    ) -> Result<Self> {
        let view = TimerRef {
            core: EventCore::new(base, Kind::Timer),
            replacement: Replacement::default(),
            deadline: Cell::new(None),
        };
        node::make(view, -1, flags, not_early(callback)).map(Timer)
    }
}

/// What C calls for `callback`: it waits on if the loop's cached time was ahead of a deadline.
fn not_early<O: CallbackResult>(
    mut callback: impl FnMut(&TimerRef) -> O + 'static,
) -> impl FnMut(&TimerRef, ()) -> Outcome + 'static {
    move |timer, ()| {
        if timer.is_early() {
            return timer.wait_on().outcome();
        }
        callback(timer).outcome()
    }
}

impl TimerRef {
    /// Sets the timer, anew if it is set already. The time counts from the beginning of this
    /// turn of the loop (see [`LoopHandle::update_time`]).
    ///
    /// # Errors
    /// [`Error::Closed`] when the timer is closed; a timer made by [`Timer::after`] or
    /// [`Timer::at`] is closed once it ran.
    #[doc(alias = "evtimer_add")]
    pub fn set(&self, delay: impl Into<Timeout>) -> Result<()> {
        self.deadline.set(None);
        self.core.add(Some(&delay.into()))
    }

    /// Sets the timer to a time that it does not run before.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_at(&self, deadline: Instant) -> Result<()> {
        self.deadline.set(Some(deadline));
        self.wait_on()
    }

    /// Stops the timer; it can be set again. Cancelling twice is fine.
    #[doc(alias = "evtimer_del")]
    #[doc(alias = "event_remove_timer")]
    pub fn cancel(&self) {
        self.core.del();
    }

    /// Puts another closure in the place of the present one, also from inside it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the timer is closed.
    pub fn set_callback<O: CallbackResult + 'static>(
        &self,
        callback: impl FnMut(&TimerRef) -> O + 'static,
    ) -> Result<()> {
        node::replace(self, not_early(callback))
    }

    fn is_early(&self) -> bool {
        let deadline = self.deadline.get();
        deadline.is_some_and(|deadline| Instant::now() < deadline)
    }

    fn wait_on(&self) -> Result<()> {
        self.core.handle().update_time();
        let deadline = self.deadline.get().unwrap_or_else(Instant::now);
        let left = deadline.saturating_duration_since(Instant::now());
        self.core.add(Some(&Timeout::After(left)))
    }

    fn on_closed(&self) {}
}

impl Timeout {
    pub(super) fn duration(&self) -> Duration {
        match self {
            Timeout::After(duration) => *duration,
            Timeout::Common(common) => common.duration(),
        }
    }
}
