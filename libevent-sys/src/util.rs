//! The macros of util.h.

use core::cmp::Ordering;
use core::ffi::{c_char, c_int, c_void};

use crate::{evutil_closesocket, evutil_socket_t, timeval};

/// Largest `size_t`.
pub const EV_SIZE_MAX: usize = usize::MAX;
/// Largest `ev_ssize_t`.
pub const EV_SSIZE_MAX: isize = isize::MAX;
/// Smallest `ev_ssize_t`.
pub const EV_SSIZE_MIN: isize = isize::MIN;
/// The largest rate that a token bucket takes.
pub const EV_RATE_LIMIT_MAX: isize = EV_SSIZE_MAX;

/// Sets `*sum` to `*a + *b`.
///
/// # Safety
///
/// `a` and `b` are readable, `sum` is writable; they may be the same.
#[inline]
pub unsafe fn evutil_timeradd(a: *const timeval, b: *const timeval, sum: *mut timeval) {
    // SAFETY: the caller's pointers; both operands are read before the result is written.
    unsafe {
        let mut total = timeval {
            tv_sec: (*a).tv_sec + (*b).tv_sec,
            tv_usec: (*a).tv_usec + (*b).tv_usec,
        };
        if total.tv_usec >= 1_000_000 {
            total.tv_sec += 1;
            total.tv_usec -= 1_000_000;
        }
        *sum = total;
    }
}

/// Sets `*difference` to `*a - *b`.
///
/// # Safety
///
/// `a` and `b` are readable, `difference` is writable; they may be the same.
#[inline]
pub unsafe fn evutil_timersub(a: *const timeval, b: *const timeval, difference: *mut timeval) {
    // SAFETY: the caller's pointers; both operands are read before the result is written.
    unsafe {
        let mut rest = timeval {
            tv_sec: (*a).tv_sec - (*b).tv_sec,
            tv_usec: (*a).tv_usec - (*b).tv_usec,
        };
        if rest.tv_usec < 0 {
            rest.tv_sec -= 1;
            rest.tv_usec += 1_000_000;
        }
        *difference = rest;
    }
}

/// Sets `*tv` to zero.
///
/// # Safety
///
/// `tv` is writable.
#[inline]
pub unsafe fn evutil_timerclear(tv: *mut timeval) {
    // SAFETY: the caller's pointer.
    unsafe {
        *tv = timeval {
            tv_sec: 0,
            tv_usec: 0,
        }
    }
}

/// Whether `*tv` is not zero.
///
/// # Safety
///
/// `tv` is readable.
#[inline]
#[must_use]
pub unsafe fn evutil_timerisset(tv: *const timeval) -> bool {
    // SAFETY: the caller's pointer.
    unsafe { (*tv).tv_sec != 0 || (*tv).tv_usec != 0 }
}

/// Compares `*a` with `*b`: `evutil_timercmp(a, b, <)` in C is `evutil_timercmp(a, b).is_lt()` here.
///
/// # Safety
///
/// Both are readable.
#[inline]
#[must_use]
pub unsafe fn evutil_timercmp(a: *const timeval, b: *const timeval) -> Ordering {
    // SAFETY: the caller's pointers.
    unsafe { ((*a).tv_sec, (*a).tv_usec).cmp(&((*b).tv_sec, (*b).tv_usec)) }
}

/// The C macro `EVUTIL_CLOSESOCKET`: calls [`evutil_closesocket`].
///
/// # Safety
///
/// As for [`evutil_closesocket`]: nobody else uses or closes the socket.
#[inline]
pub unsafe fn EVUTIL_CLOSESOCKET(socket: evutil_socket_t) -> c_int {
    // SAFETY: the caller gives the socket up.
    unsafe { evutil_closesocket(socket) }
}

#[cfg(not(windows))]
pub use errno::*;

/// Where a socket error is an ordinary `errno`.
#[cfg(not(windows))]
mod errno {
    use super::{c_char, c_int, c_void, evutil_socket_t, timeval};

    #[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
    use libc::__errno as location;
    #[cfg(not(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd"
    )))]
    use libc::__errno_location as location;
    #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly"
    ))]
    use libc::__error as location;

    /// The last socket error of this thread.
    #[inline]
    #[must_use]
    pub fn EVUTIL_SOCKET_ERROR() -> c_int {
        // SAFETY: the C library returns the address of this thread's errno, which is always valid.
        unsafe { *location() }
    }

    /// Replaces the last socket error of this thread.
    #[inline]
    pub fn EVUTIL_SET_SOCKET_ERROR(error: c_int) {
        // SAFETY: as above.
        unsafe { *location() = error }
    }

    /// The last error on `socket`, which is the thread's last one where sockets are files.
    #[inline]
    #[must_use]
    pub fn evutil_socket_geterror(_socket: evutil_socket_t) -> c_int {
        EVUTIL_SOCKET_ERROR()
    }

    /// The text of a socket error: `strerror`, so the result is valid until this thread's next call.
    ///
    /// # Safety
    ///
    /// On some C libraries the buffer is shared between threads: no other thread may call `strerror` meanwhile.
    #[inline]
    #[must_use]
    pub unsafe fn evutil_socket_error_to_string(error: c_int) -> *const c_char {
        // SAFETY: any number is allowed; the caller keeps other threads out.
        unsafe { libc::strerror(error) }
    }

    /// The C macro `evutil_gettimeofday`: `gettimeofday`.
    ///
    /// # Safety
    ///
    /// `tv` is writable, `timezone` is null or as `gettimeofday` wants it.
    #[inline]
    pub unsafe fn evutil_gettimeofday(tv: *mut timeval, timezone: *mut c_void) -> c_int {
        // SAFETY: the caller's pointers.
        unsafe { libc::gettimeofday(tv, timezone.cast()) }
    }
}

#[cfg(windows)]
pub use winsock::*;

/// Where sockets have errors of their own. Written from the headers, not run.
#[cfg(windows)]
mod winsock {
    use super::{c_char, c_int, c_void, evutil_socket_t, timeval};

    #[link(name = "ws2_32")]
    unsafe extern "system" {
        fn WSAGetLastError() -> c_int;
        fn WSASetLastError(error: c_int);
    }

    unsafe extern "C" {
        /// The last error on `socket`.
        pub fn evutil_socket_geterror(socket: evutil_socket_t) -> c_int;
        /// The text of a socket error.
        pub fn evutil_socket_error_to_string(error: c_int) -> *const c_char;
        /// The time of day. MinGW has its own, and then libevent has none.
        #[cfg(target_env = "msvc")]
        pub fn evutil_gettimeofday(tv: *mut timeval, timezone: *mut c_void) -> c_int;
    }

    /// The last socket error of this thread.
    #[inline]
    #[must_use]
    pub fn EVUTIL_SOCKET_ERROR() -> c_int {
        // SAFETY: no arguments, no preconditions.
        unsafe { WSAGetLastError() }
    }

    /// Replaces the last socket error of this thread.
    #[inline]
    pub fn EVUTIL_SET_SOCKET_ERROR(error: c_int) {
        // SAFETY: any number is allowed.
        unsafe { WSASetLastError(error) }
    }
}
