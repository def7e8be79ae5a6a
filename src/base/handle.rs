use super::{Inner, Remote, remote};
use crate::callback::{CallbackResult, Failure};
use crate::error::{BoxError, Error, Result};
use crate::ffi;
use crate::time;
use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// A handle on an event loop, for the thread that runs it: every object is made through one,
/// also inside callbacks.
///
/// It is cheap to clone and does not keep the loop running. When the
/// [`EventBase`](crate::EventBase) is gone, making an object fails with [`Error::Closed`].
#[derive(Clone)]
pub struct LoopHandle {
    inner: Rc<Inner>,
}

impl LoopHandle {
    pub(super) fn new(inner: Rc<Inner>) -> Self {
        LoopHandle { inner }
    }

    #[inline(always)]
    pub(crate) fn inner(&self) -> &Rc<Inner> {
        &self.inner
    }

    /// The C base, for calls of `ffi`; NULL when it is gone.
    pub fn as_ptr(&self) -> *mut ffi::event_base {
        self.inner.raw()
    }

    /// Whether both handles are of the same base.
    pub fn same_base(&self, other: &LoopHandle) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    // --- stopping ---------------------------------------------------------------------------

    /// Stops the loop when the callbacks that are active now have run. Asked for before the loop
    /// runs, it ends the next run after its first turn.
    #[doc(alias = "event_base_loopexit")]
    pub fn exit(&self) {
        let raw = self.inner.raw();
        if !raw.is_null() {
            // SAFETY: the base is alive. NULL stands for "after this turn".
            unsafe { ffi::event_base_loopexit(raw, std::ptr::null()) };
        }
    }

    /// Stops the loop after `delay`, counted from the beginning of this turn of the loop.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone, [`Error::Libevent`] when memory is short.
    #[doc(alias = "event_base_loopexit")]
    pub fn exit_after(&self, delay: Duration) -> Result<()> {
        let raw = self.inner.open()?;
        let tv = time::timeval(delay);
        // SAFETY: the base is alive; the timeval is copied.
        match unsafe { ffi::event_base_loopexit(raw, &tv) } {
            0 => Ok(()),
            _ => Err(Error::Libevent {
                op: "event_base_loopexit",
            }),
        }
    }

    /// Stops the loop as soon as the running callback returns; what else is active runs in the
    /// next run. Asked for before the loop runs, it ends the next run at once.
    #[doc(alias = "event_base_loopbreak")]
    pub fn exit_now(&self) {
        self.inner.break_now();
    }

    /// Makes the loop look for new events at once when the running callback has returned,
    /// before it runs the others that are active.
    #[doc(alias = "event_base_loopcontinue")]
    pub fn rescan(&self) {
        let raw = self.inner.raw();
        if !raw.is_null() {
            // SAFETY: the base is alive.
            unsafe { ffi::event_base_loopcontinue(raw) };
        }
    }

    /// Runs `hook` once when the loop's run ends, for whatever reason (also a panic), or when
    /// the base is dropped. The newest hook runs first.
    pub fn on_exit<O: CallbackResult>(&self, hook: impl FnOnce(&LoopHandle) -> O + 'static) {
        self.inner.add_exit_hook(Box::new(move |handle| {
            if let Err(error) = hook(handle).outcome() {
                handle.inner.failed(error);
            }
        }));
    }

    // --- failures of callbacks ------------------------------------------------------------------

    /// Sets what becomes of an error that a callback returns: `handler` gets it and the loop
    /// goes on. Without one the loop stops and `run` returns [`Error::Callback`].
    pub fn on_error(&self, handler: impl FnMut(&LoopHandle, BoxError) + 'static) {
        self.inner.set_error_handler(Some(Box::new(handler)));
    }

    /// The payload of a callback that panicked, for a base that C runs: there is no `run` that
    /// could rethrow it. Hand it to [`std::panic::resume_unwind`] once C's loop has returned.
    pub fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        match self.inner.take_failure() {
            Some(Failure::Panic(payload)) => Some(payload),
            Some(Failure::Error(error)) => {
                self.inner.put_back(Failure::Error(error));
                None
            }
            None => None,
        }
    }

    /// The error that a callback returned, for a base that C runs.
    pub fn take_error(&self) -> Option<BoxError> {
        match self.inner.take_failure() {
            Some(Failure::Error(error)) => Some(error),
            Some(Failure::Panic(payload)) => {
                self.inner.put_back(Failure::Panic(payload));
                None
            }
            None => None,
        }
    }

    // --- time -----------------------------------------------------------------------------------

    /// The time of day at which this turn of the loop began (inside a callback), else now.
    #[doc(alias = "event_base_gettimeofday_cached")]
    pub fn now(&self) -> SystemTime {
        let mut tv = time::timeval(Duration::ZERO);
        // SAFETY: `tv` is ours; a NULL base means the time without a cache.
        unsafe { ffi::event_base_gettimeofday_cached(self.inner.raw(), &mut tv) };
        SystemTime::UNIX_EPOCH + time::duration(tv)
    }

    /// Lets the loop's idea of the time catch up, after a callback that took long: timeouts are
    /// counted from it.
    #[doc(alias = "event_base_update_cache_time")]
    pub fn update_time(&self) {
        let raw = self.inner.raw();
        if !raw.is_null() {
            // SAFETY: the base is alive.
            unsafe { ffi::event_base_update_cache_time(raw) };
        }
    }

    // --- other threads ------------------------------------------------------------------------

    /// A handle that other threads can use: to run a closure on the loop, stop it or wake it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a base without locks ([`EventConfig::no_lock`]),
    /// [`Error::Closed`] when the base is gone.
    ///
    /// [`EventConfig::no_lock`]: crate::EventConfig::no_lock
    pub fn remote(&self) -> Result<Remote> {
        remote::Remote::of(&self.inner)
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle")
            .field("base", &self.inner.raw())
            .finish_non_exhaustive()
    }
}
