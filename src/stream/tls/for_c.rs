//! Streams over TLS for C code that runs them, such as evhttp.

use super::open::{OPTIONS, prepare};
use super::sys;
use crate::ffi;
use crate::ffi::ssl as ffi_ssl;
use openssl::ssl::Ssl;
use openssl::x509::X509VerifyResult;

/// A client's stream that is not connected; NULL when memory is short.
///
/// # Safety
/// `base` is alive.
pub(crate) unsafe fn client(
    base: *mut ffi::event_base,
    mut ssl: Ssl,
    allow_dirty_shutdown: bool,
) -> *mut ffi::bufferevent {
    if allow_dirty_shutdown {
        sys::ignore_unexpected_eof(&mut ssl);
    }
    let state = ffi_ssl::BUFFEREVENT_SSL_CONNECTING;
    // SAFETY: the caller's promise; C takes the TLS connection over, whatever happens.
    unsafe {
        let raw = ffi_ssl::bufferevent_openssl_socket_new(base, -1, prepare(ssl), state, OPTIONS);
        if !raw.is_null() && allow_dirty_shutdown {
            ffi_ssl::bufferevent_openssl_set_allow_dirty_shutdown(raw, 1);
        }
        raw
    }
}

/// Why TLS failed, in OpenSSL's words, if it did.
///
/// # Safety
/// `raw` is a stream that [`client`] made, and alive.
pub(crate) unsafe fn failure(raw: *mut ffi::bufferevent) -> Option<String> {
    /// What `SSL_get_error` says, which libevent puts before what the queue had.
    const LAST_KIND: std::os::raw::c_ulong = 16;
    // SAFETY: the caller's promise.
    let (errors, ssl) = unsafe { (sys::take_errors(raw), sys::ssl_of(raw)) };
    let queue = errors.into_iter().filter(|code| *code > LAST_KIND);
    let mut reasons: Vec<String> = queue.map(sys::reason).collect();
    // libevent 2.2 has forgotten the queue by then, OpenSSL not the verdict.
    let verdict = ssl.map_or(X509VerifyResult::OK, |ssl| ssl.verify_result());
    if verdict != X509VerifyResult::OK {
        if reasons.is_empty() {
            reasons.push("certificate verify failed".to_owned());
        }
        reasons.push(verdict.error_string().to_owned());
    }
    (!reasons.is_empty()).then(|| reasons.join(": "))
}
