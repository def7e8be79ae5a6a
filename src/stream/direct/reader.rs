//! The event that reads a socket: inside the node, since there is one for each connection.

use crate::{ffi, time};
use std::cell::UnsafeCell;
use std::marker::PhantomPinned;
use std::os::raw::{c_int, c_short, c_void};
use std::time::Duration;
use std::{mem, ptr};

type Callback = unsafe extern "C" fn(ffi::evutil_socket_t, c_short, *mut c_void);

/// Not set, or an event of a base; [`free`](Self::free) comes before its end.
pub(in super::super) struct Reader {
    event: UnsafeCell<ffi::event>,
    _pinned: PhantomPinned,
}

impl Reader {
    pub(in super::super) fn unset() -> Self {
        Reader {
            // SAFETY: integers and pointers, for which zero is a value.
            event: UnsafeCell::new(unsafe { mem::zeroed() }),
            _pinned: PhantomPinned,
        }
    }

    /// C's own mark says whether it is set: zeroes have it not, and `free` takes it away.
    fn get(&self) -> Option<*mut ffi::event> {
        let event = self.event.get();
        // SAFETY: a whole struct, set or zero.
        (unsafe { ffi::event_initialized(event) } != 0).then_some(event)
    }

    /// Sets it up for a descriptor; it is not pending yet. False when C refuses.
    ///
    /// # Safety
    /// It is not set now, and stays where it is. Until it is freed `base` is alive, `fd` open,
    /// and `callback` may be called with `arg`.
    pub(super) unsafe fn set(
        &self,
        base: *mut ffi::event_base,
        fd: ffi::evutil_socket_t,
        flags: c_short,
        callback: Callback,
        arg: *mut c_void,
    ) -> bool {
        debug_assert_eq!(size_of::<ffi::event>(), unsafe {
            // SAFETY: no preconditions.
            ffi::event_get_struct_event_size()
        });
        // SAFETY: not pending, as it is not set; the rest is the caller's promise.
        let code =
            unsafe { ffi::event_assign(self.event.get(), base, fd, flags, Some(callback), arg) };
        code == 0
    }

    /// Makes it pending, with a timeout or none. False when the system refuses.
    pub(super) fn add(&self, timeout: Option<Duration>) -> bool {
        let timeout = timeout.map(time::timeval);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: set, so alive; the timeval is copied.
        self.get()
            .is_some_and(|event| unsafe { ffi::event_add(event, timeout) == 0 })
    }

    /// Takes it out of the loop; it can be added again.
    pub(super) fn del(&self) {
        if let Some(event) = self.get() {
            // SAFETY: set, so alive; allowed in its own callback.
            unsafe { ffi::event_del(event) };
        }
    }

    /// False while it is active.
    pub(in super::super) fn set_priority(&self, priority: c_int) -> bool {
        // SAFETY: set, so alive; C checks the number.
        self.get()
            .is_none_or(|event| unsafe { ffi::event_priority_set(event, priority) == 0 })
    }

    /// Legal in its own callback too: C looks at an event no more once it has called it.
    pub(in super::super) fn free(&self) {
        if let Some(event) = self.get() {
            // SAFETY: set, so alive; nobody refers to it after this.
            unsafe {
                ffi::event_del(event);
                ffi::event_debug_unassign(event);
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        debug_assert!(self.get().is_none(), "a stream closes before it goes");
    }
}
