//! The last of a stream over TLS, when it is closed.

use super::super::unread::discard;
use super::sys;
use crate::ffi;
use openssl::ssl::SslRef;
use std::ptr;

/// Sends what the output has and can be sent without waiting. Returns whether that was all.
///
/// # Safety
/// `raw` is a bufferevent over TLS, and alive.
pub(super) unsafe fn write_out(raw: *mut ffi::bufferevent, ssl: &SslRef) -> bool {
    // SAFETY: the caller's promise. The front of an output is frozen for everybody but libevent,
    // which does just this. The chunk is not touched while it is written.
    unsafe {
        let output = ffi::bufferevent_get_output(raw);
        while ffi::evbuffer_get_length(output) > 0 {
            let mut chunk = ffi::evbuffer_iovec {
                iov_base: ptr::null_mut(),
                iov_len: 0,
            };
            if ffi::evbuffer_peek(output, 1, ptr::null_mut(), &mut chunk, 1) < 1 {
                return false;
            }
            let Some(count) = sys::write(ssl, chunk.iov_base, chunk.iov_len) else {
                return false;
            };
            ffi::evbuffer_unfreeze(output, 1);
            let drained = ffi::evbuffer_drain(output, count);
            ffi::evbuffer_freeze(output, 1);
            if drained != 0 {
                return false;
            }
        }
    }
    true
}

/// Takes the events out of the loop, before their descriptor can be used again. They are not to keep
/// it busy either, until C frees them with the rest.
///
/// # Safety
/// `raw` is a bufferevent over TLS, alive, and freed right after this.
pub(super) unsafe fn leave_loop(raw: *mut ffi::bufferevent) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::event_del(&raw mut (*raw).ev_read);
        ffi::event_del(&raw mut (*raw).ev_write);
    }
}

/// Takes the socket out, to be closed at once, where C would wait for a turn of the loop.
///
/// # Safety
/// `raw` is a bufferevent over TLS and over a socket, alive, and freed right after this.
pub(super) unsafe fn take_socket(raw: *mut ffi::bufferevent, ssl: &SslRef) -> ffi::evutil_socket_t {
    // SAFETY: the caller's promise. `leave_loop` was called, and OpenSSL has no number left that it
    // could read, write or close.
    unsafe {
        let fd = ffi::bufferevent_getfd(raw);
        sys::forget_socket(ssl);
        discard(fd);
        fd
    }
}
