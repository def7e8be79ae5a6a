use crate::error::{Error, Result};
use crate::{LoopHandle, ffi, time};
use std::time::Duration;

/// A duration for which a base keeps a queue of its own: adding and removing an event with it
/// costs the same however many there are (C: "common timeout").
///
/// Worth it from thousands of events with one duration on, such as the idle timeout of each
/// connection. A base has room for 256.
///
/// ```
/// use libevent2::{CommonTimeout, EventBase, Timer};
/// use std::time::Duration;
///
/// let mut base = EventBase::new()?;
/// let soon = CommonTimeout::new(&base, Duration::from_millis(2))?;
/// for _ in 0..1000 {
///     Timer::after(&base, &soon, |_| {})?.detach();
/// }
/// base.run()?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "event_base_init_common_timeout")]
pub struct CommonTimeout {
    /// The base whose queue this is: the mark in `mark` means nothing, or worse, to another.
    base: LoopHandle,
    mark: ffi::timeval,
    duration: Duration,
}

impl CommonTimeout {
    /// The queue of `base` for this duration, made if it is not there yet.
    ///
    /// # Errors
    /// [`Error::Libevent`] when the base has 256 others already, [`Error::Closed`] when it is
    /// gone.
    pub fn new(base: &LoopHandle, duration: Duration) -> Result<Self> {
        let raw = base.inner().open()?;
        let tv = time::timeval(duration);
        // SAFETY: the base is alive; the timeval is copied, and what comes back belongs to the
        // base and is copied here.
        let mark = unsafe {
            let mark = ffi::event_base_init_common_timeout(raw, &tv);
            if mark.is_null() {
                return Err(Error::Libevent {
                    op: "event_base_init_common_timeout",
                });
            }
            *mark
        };
        Ok(CommonTimeout {
            base: base.clone(),
            mark,
            duration,
        })
    }

    /// The duration.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The marked timeval, for an event of the same base only.
    pub(super) fn timeval(&self, base: &LoopHandle) -> Result<ffi::timeval> {
        if !self.base.same_base(base) {
            return Err(Error::invalid(
                "common timeout",
                "it was made for another event base",
            ));
        }
        Ok(self.mark)
    }
}
