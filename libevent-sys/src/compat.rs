//! libevent 1.4's API (`event2/*_compat.h`), for programs being ported: functions that work on one hidden "current" base, and
//! older names. Not for threads, and not for new code.
//!
//! ```
//! use libevent_sys::compat::{event_dispatch, event_init, evtimer_set};
//! use libevent_sys::{event, event_add, event_base_free, timeval};
//!
//! unsafe extern "C" fn fired(_: libevent_sys::evutil_socket_t, _: i16, fired: *mut std::ffi::c_void) {
//!     unsafe { *fired.cast::<bool>() = true }
//! }
//!
//! let mut flag = false;
//! unsafe {
//!     let base = event_init();
//!     let mut timer: event = std::mem::zeroed();
//!     evtimer_set(&mut timer, Some(fired), (&raw mut flag).cast());
//!     event_add(&mut timer, &timeval { tv_sec: 0, tv_usec: 1 });
//!     event_dispatch();
//!     event_base_free(base);
//! }
//! assert!(flag);
//! ```

use core::ffi::{c_char, c_int, c_uchar, c_void};

pub use crate::bindings::compat::*;
use crate::macros::c_macros;
use crate::{
    EV_PERSIST, EV_SIGNAL, EV_TIMEOUT, bufferevent, bufferevent_get_input, bufferevent_get_output,
    evbuffer, evbuffer_get_length, evbuffer_pullup, event, event_add, event_callback_fn, event_del,
    event_get_fd, event_get_signal, event_initialized, event_pending, evhttp_request,
    evhttp_request_get_uri, evtag_encode_int, evutil_socket_t, timeval,
};

c_macros! {
    fn evtimer_set(ev: *mut event, cb: event_callback_fn, arg: *mut c_void) = event_set(ev, -1, 0, cb, arg);
    fn evsignal_set(ev: *mut event, signal: c_int, cb: event_callback_fn, arg: *mut c_void)
        = event_set(ev, signal as evutil_socket_t, EV_SIGNAL | EV_PERSIST, cb, arg);

    fn timeout_add(ev: *mut event, timeout: *const timeval) -> c_int = event_add(ev, timeout);
    fn timeout_set(ev: *mut event, cb: event_callback_fn, arg: *mut c_void) = event_set(ev, -1, 0, cb, arg);
    fn timeout_del(ev: *mut event) -> c_int = event_del(ev);
    fn timeout_pending(ev: *const event, timeout: *mut timeval) -> c_int = event_pending(ev, EV_TIMEOUT, timeout);
    fn timeout_initialized(ev: *const event) -> c_int = event_initialized(ev);

    fn signal_add(ev: *mut event, timeout: *const timeval) -> c_int = event_add(ev, timeout);
    fn signal_set(ev: *mut event, signal: c_int, cb: event_callback_fn, arg: *mut c_void)
        = event_set(ev, signal as evutil_socket_t, EV_SIGNAL | EV_PERSIST, cb, arg);
    fn signal_del(ev: *mut event) -> c_int = event_del(ev);
    fn signal_pending(ev: *const event, timeout: *mut timeval) -> c_int = event_pending(ev, EV_SIGNAL, timeout);
    fn signal_initialized(ev: *const event) -> c_int = event_initialized(ev);
    fn EVENT_SIGNAL(ev: *const event) -> c_int = event_get_signal(ev);

    fn EVBUFFER_LENGTH(buffer: *const evbuffer) -> usize = evbuffer_get_length(buffer);
    fn EVBUFFER_DATA(buffer: *mut evbuffer) -> *mut c_uchar = evbuffer_pullup(buffer, -1);
    fn EVBUFFER_INPUT(bev: *mut bufferevent) -> *mut evbuffer = bufferevent_get_input(bev);
    fn EVBUFFER_OUTPUT(bev: *mut bufferevent) -> *mut evbuffer = bufferevent_get_output(bev);

    fn encode_int(buffer: *mut evbuffer, number: u32) = evtag_encode_int(buffer, number);
    fn evhttp_request_uri(request: *const evhttp_request) -> *const c_char = evhttp_request_get_uri(request);
}

/// The C macro `EVENT_FD`: the file descriptor of an event.
///
/// # Safety
///
/// As for [`event_get_fd`].
#[inline]
pub unsafe fn EVENT_FD(ev: *const event) -> c_int {
    // SAFETY: the caller passes an initialised event.
    unsafe { event_get_fd(ev) as c_int }
}

/// The C macro `evbuffercb`, an older name.
pub type evbuffercb = crate::bufferevent_data_cb;
/// The C macro `everrorcb`, an older name.
pub type everrorcb = crate::bufferevent_event_cb;
