//! The function-like macros of event.h and dns.h.

use core::ffi::{c_int, c_short, c_void};

use crate::{
    DNS_OPTION_HOSTSFILE, DNS_OPTION_MISC, DNS_OPTION_NAMESERVERS, DNS_OPTION_SEARCH, EV_PERSIST,
    EV_SIGNAL, EV_TIMEOUT, event, event_active, event_add, event_assign, event_base,
    event_callback_fn, event_del, event_get_fd, event_initialized, event_new, event_pending,
    evutil_socket_t, timeval,
};

/// Writes functions that are another name for a call, as the C macros are.
macro_rules! c_macros {
    ($($(#[$attribute:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $return:ty)? = $target:ident($($value:expr),*);)*) => {$(
        $(#[$attribute])*
        #[doc = concat!("The C macro `", stringify!($name), "`: calls [`", stringify!($target), "`].")]
        ///
        /// # Safety
        ///
        /// As for the function it calls.
        #[inline]
        pub unsafe fn $name($($arg: $type),*) $(-> $return)? {
            // SAFETY: the caller keeps the contract of the function that is called; the constants added here are libevent's.
            unsafe { $target($($value),*) }
        }
    )*};
}
pub(crate) use c_macros;

c_macros! {
    fn evtimer_assign(ev: *mut event, base: *mut event_base, cb: event_callback_fn, arg: *mut c_void) -> c_int
        = event_assign(ev, base, -1, 0, cb, arg);
    fn evtimer_new(base: *mut event_base, cb: event_callback_fn, arg: *mut c_void) -> *mut event
        = event_new(base, -1, 0, cb, arg);
    fn evtimer_add(ev: *mut event, timeout: *const timeval) -> c_int = event_add(ev, timeout);
    fn evtimer_del(ev: *mut event) -> c_int = event_del(ev);
    fn evtimer_pending(ev: *const event, timeout: *mut timeval) -> c_int = event_pending(ev, EV_TIMEOUT, timeout);
    fn evtimer_initialized(ev: *const event) -> c_int = event_initialized(ev);

    fn evsignal_add(ev: *mut event, timeout: *const timeval) -> c_int = event_add(ev, timeout);
    fn evsignal_assign(ev: *mut event, base: *mut event_base, signal: c_int, cb: event_callback_fn, arg: *mut c_void) -> c_int
        = event_assign(ev, base, signal as evutil_socket_t, EV_SIGNAL | EV_PERSIST, cb, arg);
    fn evsignal_new(base: *mut event_base, signal: c_int, cb: event_callback_fn, arg: *mut c_void) -> *mut event
        = event_new(base, signal as evutil_socket_t, EV_SIGNAL | EV_PERSIST, cb, arg);
    fn evsignal_del(ev: *mut event) -> c_int = event_del(ev);
    fn evsignal_pending(ev: *const event, timeout: *mut timeval) -> c_int = event_pending(ev, EV_SIGNAL, timeout);
    fn evsignal_initialized(ev: *const event) -> c_int = event_initialized(ev);

    fn evuser_new(base: *mut event_base, cb: event_callback_fn, arg: *mut c_void) -> *mut event
        = event_new(base, -1, 0, cb, arg);
    fn evuser_del(ev: *mut event) -> c_int = event_del(ev);
    fn evuser_pending(ev: *const event, timeout: *mut timeval) -> c_int = event_pending(ev, 0 as c_short, timeout);
    fn evuser_initialized(ev: *const event) -> c_int = event_initialized(ev);
    fn evuser_trigger(ev: *mut event) = event_active(ev, 0, 0);
}

/// The C macro `event_get_signal`: the signal number of a signal event.
///
/// # Safety
///
/// As for [`event_get_fd`].
#[inline]
pub unsafe fn event_get_signal(ev: *const event) -> c_int {
    // SAFETY: the caller passes an initialised event.
    unsafe { event_get_fd(ev) as c_int }
}

/// Everything that a resolv.conf can say, but not the "no default nameserver" rule.
pub const DNS_OPTIONS_ALL: c_int =
    DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC | DNS_OPTION_HOSTSFILE;

/// The last request method, as a bit.
#[cfg(libevent_2_2)]
pub const EVHTTP_REQ_MAX: crate::evhttp_cmd_type = crate::EVHTTP_REQ_MOVE;
