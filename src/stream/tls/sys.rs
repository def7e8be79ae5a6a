//! What of OpenSSL is called here besides the crate `openssl`.

use crate::ffi;
use crate::ffi::ssl as ffi_ssl;
use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::ssl::{Ssl, SslRef};
use std::ffi::CStr;
use std::io;
use std::os::raw::{c_int, c_long, c_ulong, c_void};
use std::ptr;

/// The type of options, which is wider in OpenSSL 3.
#[cfg(openssl_3)]
type Options = u64;
#[cfg(not(openssl_3))]
type Options = c_ulong;

// Macros, or missing in openssl-sys.
const SSL_CTRL_CLEAR_MODE: c_int = 78;
const SSL_CTRL_GET_MIN_PROTO_VERSION: c_int = 130;
const BIO_C_SET_FD: c_int = 104;
const BIO_NOCLOSE: c_long = 0;

unsafe extern "C" {
    fn SSL_up_ref(ssl: *mut openssl_sys::SSL) -> c_int;
    fn SSL_set_options(ssl: *mut openssl_sys::SSL, options: Options) -> Options;
    fn SSL_set_read_ahead(ssl: *mut openssl_sys::SSL, yes: c_int);
    fn BIO_ctrl(
        bio: *mut openssl_sys::BIO,
        command: c_int,
        number: c_long,
        data: *mut c_void,
    ) -> c_long;
}

pub(super) fn refuse_renegotiation(ssl: &mut SslRef) {
    // SAFETY: alive.
    unsafe {
        SSL_set_options(
            ssl.as_ptr(),
            openssl_sys::SSL_OP_NO_RENEGOTIATION as Options,
        )
    };
}

/// Takes the end of the connection for that of TLS, which OpenSSL 3 by itself calls an error.
#[cfg(feature = "http")]
pub(super) fn ignore_unexpected_eof(ssl: &mut SslRef) {
    #[cfg(openssl_3)]
    // SAFETY: alive.
    unsafe {
        /// Missing in openssl-sys for some versions.
        const SSL_OP_IGNORE_UNEXPECTED_EOF: Options = 1 << 7;
        SSL_set_options(ssl.as_ptr(), SSL_OP_IGNORE_UNEXPECTED_EOF);
    }
    #[cfg(not(openssl_3))]
    let _ = ssl;
}

/// The least version that is spoken; 0 for the least that there is.
pub(super) fn least_version(ssl: &SslRef) -> c_long {
    let command = SSL_CTRL_GET_MIN_PROTO_VERSION;
    // SAFETY: alive; this only reads.
    unsafe { openssl_sys::SSL_ctrl(ssl.as_ptr(), command, 0, ptr::null_mut()) }
}

/// What libevent relies on. It goes on with the next chunk of its output after a write that took
/// a part only, so that there must be no such writes; and it waits for the socket, so that OpenSSL
/// must not have read what it does not look at.
pub(crate) fn set_modes(ssl: &SslRef) {
    // SAFETY: alive; both are plain settings.
    unsafe {
        openssl_sys::SSL_ctrl(
            ssl.as_ptr(),
            SSL_CTRL_CLEAR_MODE,
            openssl_sys::SSL_MODE_ENABLE_PARTIAL_WRITE,
            ptr::null_mut(),
        );
        SSL_set_read_ahead(ssl.as_ptr(), 0);
    }
}

/// The TLS connection of a bufferevent, counted: it stays while the caller has it.
///
/// # Safety
/// `raw` is a bufferevent over TLS, and alive.
pub(super) unsafe fn ssl_of(raw: *mut ffi::bufferevent) -> Option<Ssl> {
    // SAFETY: the caller's promise.
    unsafe {
        let ssl = ffi_ssl::bufferevent_openssl_get_ssl(raw);
        if ssl.is_null() || SSL_up_ref(ssl) != 1 {
            return None;
        }
        Some(Ssl::from_ptr(ssl))
    }
}

/// Whether OpenSSL has decrypted what nobody has read yet.
///
/// # Safety
/// `raw` is a bufferevent over TLS, and alive.
pub(super) unsafe fn has_pending(raw: *mut ffi::bufferevent) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let ssl = ffi_ssl::bufferevent_openssl_get_ssl(raw);
        !ssl.is_null() && openssl_sys::SSL_pending(ssl) > 0
    }
}

/// Whether the handshake is complete, and no other has begun.
pub(super) fn is_open(ssl: &SslRef) -> bool {
    // SAFETY: alive.
    unsafe { openssl_sys::SSL_is_init_finished(ssl.as_ptr()) == 1 }
}

/// Whether the peer has said that nothing follows.
pub(super) fn has_ended(ssl: &SslRef) -> bool {
    // SAFETY: alive.
    let state = unsafe { openssl_sys::SSL_get_shutdown(ssl.as_ptr()) };
    state & openssl_sys::SSL_RECEIVED_SHUTDOWN != 0
}

/// Whether we have said so.
pub(super) fn has_notified(ssl: &SslRef) -> bool {
    // SAFETY: alive.
    let state = unsafe { openssl_sys::SSL_get_shutdown(ssl.as_ptr()) };
    state & openssl_sys::SSL_SENT_SHUTDOWN != 0
}

/// What became of the notice of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Sent,
    /// There is no room for it now.
    Waits,
    Failed,
}

/// Says that nothing follows.
pub(super) fn notify(ssl: &SslRef) -> Notice {
    // SAFETY: alive. The queue of errors is this thread's, and empty between two calls.
    unsafe {
        openssl_sys::ERR_clear_error();
        let result = openssl_sys::SSL_shutdown(ssl.as_ptr());
        let error = openssl_sys::SSL_get_error(ssl.as_ptr(), result);
        openssl_sys::ERR_clear_error();
        match (result, error) {
            (0.., _) => Notice::Sent,
            (_, openssl_sys::SSL_ERROR_WANT_READ) => Notice::Sent,
            (_, openssl_sys::SSL_ERROR_WANT_WRITE) => Notice::Waits,
            _ => Notice::Failed,
        }
    }
}

/// One write. Returns how much was taken, or None.
///
/// # Safety
/// There are `length` bytes at `bytes`.
pub(super) unsafe fn write(ssl: &SslRef, bytes: *const c_void, length: usize) -> Option<usize> {
    let length = c_int::try_from(length).ok()?;
    // SAFETY: alive, and the caller's promise.
    unsafe {
        openssl_sys::ERR_clear_error();
        let count = openssl_sys::SSL_write(ssl.as_ptr(), bytes, length);
        openssl_sys::ERR_clear_error();
        usize::try_from(count).ok().filter(|count| *count > 0)
    }
}

/// Has OpenSSL forget its socket, which then is not closed with it.
pub(super) fn forget_socket(ssl: &SslRef) {
    let mut none: c_int = -1;
    // SAFETY: alive. The BIO is the one that libevent made of the socket, used for both
    // directions; to it the call sets a number.
    unsafe {
        let bio = openssl_sys::SSL_get_wbio(ssl.as_ptr());
        if !bio.is_null() {
            BIO_ctrl(bio, BIO_C_SET_FD, BIO_NOCLOSE, (&raw mut none).cast());
        }
    }
}

/// What libevent took from OpenSSL's queue of errors when something failed, the oldest first:
/// what `SSL_get_error` said, and up to two of the queue.
///
/// # Safety
/// `raw` is a bufferevent over TLS, and alive.
pub(super) unsafe fn take_errors(raw: *mut ffi::bufferevent) -> Vec<c_ulong> {
    // SAFETY: the caller's promise.
    let next = || match unsafe { ffi_ssl::bufferevent_get_openssl_error(raw) } {
        0 => None,
        code => Some(code),
    };
    let mut errors: Vec<c_ulong> = std::iter::from_fn(next).collect();
    errors.reverse();
    errors
}

/// What an error is called.
pub(super) fn reason(code: c_ulong) -> String {
    // SAFETY: the text is static.
    unsafe {
        let text = openssl_sys::ERR_reason_error_string(code);
        if text.is_null() {
            return format!("error {code:#010X}");
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// The error of the system that a code stands for in OpenSSL 3.
pub(super) fn system_error(code: c_ulong) -> Option<io::Error> {
    const SYSTEM: c_ulong = 1 << 31;
    let number = i32::try_from(code & (SYSTEM - 1)).ok()?;
    (cfg!(openssl_3) && code & SYSTEM != 0).then(|| io::Error::from_raw_os_error(number))
}
