//! An event for the own use of another object, such as a server: not one of the objects of the base.

use crate::error::{Error, Result};
use crate::{ffi, time};
use std::cell::Cell;
use std::os::raw::{c_short, c_void};
use std::ptr;
use std::time::Duration;

pub(crate) type Callback = unsafe extern "C" fn(ffi::evutil_socket_t, c_short, *mut c_void);

/// Made with its owner, so that there is no failure left when it is needed.
pub(crate) struct InternalEvent(Cell<*mut ffi::event>);

impl InternalEvent {
    pub(crate) fn unset() -> Self {
        InternalEvent(Cell::new(ptr::null_mut()))
    }

    /// Whether there is nothing to trigger.
    #[cfg(feature = "openssl")]
    pub(crate) fn is_unset(&self) -> bool {
        self.0.get().is_null()
    }

    /// # Safety
    /// `base` is alive, and outlives the event; `callback` may be called with `arg` until
    /// [`free`](Self::free). Called once.
    pub(crate) unsafe fn set(
        &self,
        base: *mut ffi::event_base,
        callback: Callback,
        arg: *mut c_void,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.set_fd(base, -1, 0, callback, arg) }
    }

    /// As [`set`](Self::set), for a descriptor.
    ///
    /// # Safety
    /// As for [`set`](Self::set), and the descriptor is open until the event is freed.
    pub(crate) unsafe fn set_fd(
        &self,
        base: *mut ffi::event_base,
        fd: ffi::evutil_socket_t,
        flags: c_short,
        callback: Callback,
        arg: *mut c_void,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        let raw = unsafe { ffi::event_new(base, fd, flags, Some(callback), arg) };
        if raw.is_null() {
            return Err(Error::Libevent { op: "event_new" });
        }
        self.0.set(raw);
        Ok(())
    }

    /// Lets the loop call as soon as it is back from the running callback; once, however often
    /// it is asked.
    pub(crate) fn trigger(&self) {
        let raw = self.0.get();
        if !raw.is_null() {
            // SAFETY: alive until `free`.
            unsafe { ffi::event_active(raw, ffi::EV_READ as i32, 1) };
        }
    }

    /// Lets the loop call when the time has passed.
    pub(crate) fn trigger_after(&self, delay: Duration) {
        let raw = self.0.get();
        if !raw.is_null() {
            // SAFETY: alive until `free`; the timeval is copied.
            unsafe { ffi::event_add(raw, &time::timeval(delay)) };
        }
    }

    /// Takes back [`trigger_after`](Self::trigger_after).
    pub(crate) fn stop(&self) {
        let raw = self.0.get();
        if !raw.is_null() {
            // SAFETY: alive until `free`.
            unsafe { ffi::event_del(raw) };
        }
    }

    /// Makes it pending, with a timeout or none. False when the system refuses.
    pub(crate) fn add(&self, timeout: Option<Duration>) -> bool {
        let raw = self.0.get();
        let timeout = timeout.map(time::timeval);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: alive until `free`; the timeval is copied.
        !raw.is_null() && unsafe { ffi::event_add(raw, timeout) == 0 }
    }

    /// Legal in its own callback too.
    pub(crate) fn free(&self) {
        let raw = self.0.replace(ptr::null_mut());
        if !raw.is_null() {
            // SAFETY: ours, alive, freed once.
            unsafe { ffi::event_free(raw) };
        }
    }
}

impl Drop for InternalEvent {
    fn drop(&mut self) {
        self.free();
    }
}
