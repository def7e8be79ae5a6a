//! The handshake over another stream.
//!
//! libevent takes no count on its object while it shakes hands because of something below, and
//! takes and gives back one at the end, which frees it a second time if one of OpenSSL's callbacks
//! has closed the stream meanwhile. So it is called with a count here. After the handshake it puts
//! its own callbacks in the place of these, which need none.

use crate::ffi;
use std::os::raw::{c_short, c_void};
use std::ptr;

/// Holds what the callbacks of the stream below have as their argument.
pub(super) struct Counted(*mut Original);

/// What libevent has set on the stream below, and for which stream.
#[derive(Clone, Copy)]
struct Original {
    above: *mut ffi::bufferevent,
    read: ffi::bufferevent_data_cb,
    write: ffi::bufferevent_data_cb,
    event: ffi::bufferevent_event_cb,
    arg: *mut c_void,
}

impl Counted {
    /// Has the callbacks of `below` called with a count on `above`.
    ///
    /// # Safety
    /// `above` was just made over `below`; both are alive. What is returned lives until `above` is
    /// freed.
    pub(super) unsafe fn install(
        below: *mut ffi::bufferevent,
        above: *mut ffi::bufferevent,
    ) -> Self {
        let original = Box::into_raw(Box::new(Original {
            above,
            read: None,
            write: None,
            event: None,
            arg: ptr::null_mut(),
        }));
        // SAFETY: the caller's promise; C writes to all four.
        unsafe {
            ffi::bufferevent_getcb(
                below,
                &raw mut (*original).read,
                &raw mut (*original).write,
                &raw mut (*original).event,
                &raw mut (*original).arg,
            );
            let arg = original.cast::<c_void>();
            ffi::bufferevent_setcb(below, Some(on_read), Some(on_write), Some(on_event), arg);
        }
        Counted(original)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // SAFETY: `install` made it; whoever runs on the stack has a copy.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl Original {
    /// # Safety
    /// As for a callback of C's: `arg` was given with it, and is a copy's original.
    unsafe fn call(arg: *mut c_void, f: impl FnOnce(&Self)) {
        // SAFETY: `install` set it; the stream below has these callbacks no longer than the one
        // above lives. A copy, as the original goes when that is closed.
        unsafe {
            let this = *arg.cast::<Self>();
            ffi::bufferevent_incref(this.above);
            f(&this);
            ffi::bufferevent_decref(this.above);
        }
    }
}

unsafe extern "C" fn on_read(below: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: libevent's own callback with its own argument.
    unsafe {
        Original::call(arg, |this| {
            if let Some(read) = this.read {
                read(below, this.arg);
            }
        });
    }
}

unsafe extern "C" fn on_write(below: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        Original::call(arg, |this| {
            if let Some(write) = this.write {
                write(below, this.arg);
            }
        });
    }
}

unsafe extern "C" fn on_event(below: *mut ffi::bufferevent, what: c_short, arg: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        Original::call(arg, |this| {
            if let Some(event) = this.event {
                event(below, what, this.arg);
            }
        });
    }
}
