//! What all events have in common: the C event, and the state of its handler.

use super::CommonTimeout;
use crate::base::Kind;
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi, time};
use std::cell::Cell;
use std::fmt;
use std::os::raw::{c_int, c_short};
use std::ptr;
use std::time::Duration;

// The state of a handler, as bits.
pub(super) const IDLE: u8 = 0;
/// The handler runs.
pub(super) const RUNNING: u8 = 1;
/// The C object is gone; the handler is to be dropped.
pub(super) const CLOSED: u8 = 2;
/// A new handler waits in `replacement`.
pub(super) const REPLACED: u8 = 4;
/// C called while the handler was running; `missed` has what for.
pub(super) const MISSED: u8 = 8;

/// What all events have in common, whatever they wait for (C: `struct event`).
///
/// What a call of the handler needs comes first, so that it lies together.
#[doc(alias = "event")]
#[repr(C)]
pub struct EventCore {
    base: LoopHandle,
    /// Of the handler: see the constants above.
    pub(super) state: Cell<u8>,
    pub(super) kind: Kind,
    pub(super) missed: Cell<c_short>,
    /// Null when closed.
    pub(super) raw: Cell<*mut ffi::event>,
    /// Its entry among the base's objects.
    pub(super) key: Cell<usize>,
}

impl EventCore {
    pub(super) fn new(base: &LoopHandle, kind: Kind) -> Self {
        EventCore {
            raw: Cell::new(ptr::null_mut()),
            state: Cell::new(IDLE),
            missed: Cell::new(0),
            kind,
            key: Cell::new(usize::MAX),
            base: base.clone(),
        }
    }

    /// The loop that this event lives on.
    #[doc(alias = "event_get_base")]
    pub fn handle(&self) -> &LoopHandle {
        &self.base
    }

    /// The C event, for calls of `ffi`; NULL when it is closed.
    pub fn as_ptr(&self) -> *mut ffi::event {
        self.raw.get()
    }

    /// Whether it was closed, by [`close`](Self::close), by the end of its base, or because it
    /// had to run once only.
    #[doc(alias = "event_initialized")]
    #[doc(alias = "evtimer_initialized")]
    #[doc(alias = "evsignal_initialized")]
    #[doc(alias = "evuser_initialized")]
    pub fn is_closed(&self) -> bool {
        self.raw.get().is_null()
    }

    /// Ends this event for good: its callback is not called again. Legal at any time, also
    /// inside the callback, whose closure is then dropped when it returns. Closing twice is fine.
    #[doc(alias = "event_free")]
    #[doc(alias = "evsignal_del")]
    pub fn close(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return;
        }
        // SAFETY: it was ours and alive; C allows this inside the event's own callback. The
        // loop's thread is this one, so no other thread runs the callback now.
        unsafe { ffi::event_free(raw) };
        let running = self.state.get() & RUNNING != 0;
        self.state.set(self.state.get() | CLOSED);
        // The key is another object's as soon as one is made: a later detach must not use it.
        let key = self.key.replace(usize::MAX);
        if let Some(object) = self.base.inner().remove_object(key)
            && !running
        {
            object.clear();
        }
    }

    pub(super) fn open(&self) -> Result<*mut ffi::event> {
        let raw = self.raw.get();
        if raw.is_null() {
            return Err(Error::Closed { what: "event" });
        }
        Ok(raw)
    }

    /// Makes the event pending, with the timeout given or none.
    pub(super) fn add(&self, timeout: Option<&Timeout>) -> Result<()> {
        let raw = self.open()?;
        let tv = match timeout {
            None => None,
            Some(Timeout::After(duration)) => Some(time::timeval(*duration)),
            Some(Timeout::Common(common)) => Some(common.timeval(&self.base)?),
        };
        // SAFETY: the event is alive; the timeval is copied.
        let code = unsafe { ffi::event_add(raw, tv.as_ref().map_or(ptr::null(), ptr::from_ref)) };
        if code != 0 {
            // SAFETY: as above.
            let fd = unsafe { ffi::event_get_fd(raw) };
            return Err(Error::last_os(match self.kind {
                Kind::Event => format!("event_add on descriptor {fd}"),
                Kind::Signal => format!("event_add on signal {fd}"),
                _ => "event_add".to_owned(),
            }));
        }
        Ok(())
    }

    /// Takes the event out of the loop; it can be added again.
    pub(super) fn del(&self) {
        let raw = self.raw.get();
        if !raw.is_null() {
            // SAFETY: alive; allowed inside its own callback.
            unsafe { ffi::event_del(raw) };
        }
    }

    pub(super) fn activate(&self, what: c_short) -> Result<()> {
        let raw = self.open()?;
        // SAFETY: the event is alive.
        unsafe { ffi::event_active(raw, c_int::from(what), 1) };
        Ok(())
    }

    /// Whether it waits for something or is about to be called.
    #[doc(alias = "event_pending")]
    #[doc(alias = "evtimer_pending")]
    #[doc(alias = "evsignal_pending")]
    #[doc(alias = "evuser_pending")]
    pub fn is_pending(&self) -> bool {
        let all = ffi::EV_READ | ffi::EV_WRITE | ffi::EV_TIMEOUT | ffi::EV_SIGNAL | ffi::EV_CLOSED;
        self.pending(all as c_short).is_some()
    }

    /// The time left until its timeout, if one is pending.
    #[doc(alias = "event_pending")]
    pub fn remaining(&self) -> Option<Duration> {
        let at = self.pending(ffi::EV_TIMEOUT as c_short)?;
        Some(time::until(at))
    }

    /// The deadline by the wall clock, when one of the conditions is pending.
    fn pending(&self, what: c_short) -> Option<ffi::timeval> {
        let raw = self.raw.get();
        if raw.is_null() {
            return None;
        }
        let mut at = time::timeval(Duration::ZERO);
        // SAFETY: alive; `at` is ours.
        let found = unsafe { ffi::event_pending(raw, what, &mut at) };
        (found & c_int::from(what) != 0).then_some(at)
    }

    /// Its priority; 0 is the most urgent.
    #[doc(alias = "event_get_priority")]
    pub fn priority(&self) -> usize {
        let raw = self.raw.get();
        if raw.is_null() {
            return 0;
        }
        // SAFETY: alive.
        usize::try_from(unsafe { ffi::event_get_priority(raw) }).unwrap_or(0)
    }

    /// Sets its priority. Active events of a more urgent priority always run first; the others
    /// wait as long as there are any.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the base has no such priority, or while the event is active.
    #[doc(alias = "event_priority_set")]
    pub fn set_priority(&self, priority: usize) -> Result<()> {
        let raw = self.open()?;
        let count = self.base.priorities();
        if priority >= count {
            return Err(Error::invalid(
                "priority",
                format!("{priority} is not below the {count} of this base"),
            ));
        }
        // SAFETY: alive; the number was checked.
        match unsafe { ffi::event_priority_set(raw, priority as c_int) } {
            0 => Ok(()),
            _ => Err(Error::invalid(
                "priority",
                "it cannot be changed while the event is active",
            )),
        }
    }

    /// Gives the C event away; see `into_ptr` of the handles.
    pub(super) fn give_away(&self) -> *mut ffi::event {
        self.raw.replace(ptr::null_mut())
    }

    pub(super) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("ptr", &self.raw.get())
            .field("pending", &self.is_pending())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EventCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("EventCore", f)
    }
}

/// When an event is to time out.
#[derive(Debug, Clone)]
pub enum Timeout {
    /// After a duration, counted from the beginning of this turn of the loop.
    After(Duration),
    /// In a queue of events with the same duration, which is cheaper for very many.
    Common(CommonTimeout),
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Self {
        Timeout::After(duration)
    }
}

impl From<&CommonTimeout> for Timeout {
    fn from(common: &CommonTimeout) -> Self {
        Timeout::Common(common.clone())
    }
}
