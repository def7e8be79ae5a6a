//! Takes what C has read of a request out of C, checked, so that the rest is a plain value.

use super::screen;
use super::target::Target;
use crate::ffi;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};
use std::os::raw::c_char;
use std::ptr;

/// A request as a value.
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) peer: Option<SocketAddr>,
}

impl Received {
    /// Reads `req`; `Err` is the status to refuse it with.
    ///
    /// # Safety
    /// `req` is alive, complete, and on a connection, as in evhttp's generic callback.
    pub(super) unsafe fn read(req: *mut ffi::evhttp_request) -> Result<Self, StatusCode> {
        // SAFETY: `req` is alive; so is all that it owns, for the length of this call.
        unsafe {
            let version = version(req).ok_or(StatusCode::HTTP_VERSION_NOT_SUPPORTED)?;
            let method = method(req).ok_or(StatusCode::NOT_IMPLEMENTED)?;
            let headers = headers(ffi::evhttp_request_get_input_headers(req));
            let headers = headers.ok_or(StatusCode::BAD_REQUEST)?;
            screen::check(&method, version, &headers)?;
            let target = Target::parse(bytes(ffi::evhttp_request_get_uri(req)));
            Ok(Received {
                method,
                target: target.ok_or(StatusCode::BAD_REQUEST)?,
                version,
                headers,
                body: drain(ffi::evhttp_request_get_input_buffer(req)),
                peer: peer(ffi::evhttp_request_get_connection(req)),
            })
        }
    }
}

/// The bytes of a C string; none for NULL.
///
/// # Safety
/// `text` is NULL or a string that lives as long as the caller uses the slice.
unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return b"";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// # Safety
/// `req` is alive.
unsafe fn method(req: *const ffi::evhttp_request) -> Option<Method> {
    // SAFETY: the caller's promise.
    Some(match unsafe { ffi::evhttp_request_get_command(req) } {
        ffi::EVHTTP_REQ_GET => Method::GET,
        ffi::EVHTTP_REQ_POST => Method::POST,
        ffi::EVHTTP_REQ_HEAD => Method::HEAD,
        ffi::EVHTTP_REQ_PUT => Method::PUT,
        ffi::EVHTTP_REQ_DELETE => Method::DELETE,
        ffi::EVHTTP_REQ_OPTIONS => Method::OPTIONS,
        ffi::EVHTTP_REQ_TRACE => Method::TRACE,
        ffi::EVHTTP_REQ_CONNECT => Method::CONNECT,
        ffi::EVHTTP_REQ_PATCH => Method::PATCH,
        _ => return None,
    })
}

/// The version, and the one to answer with: C would repeat the client's, whatever it is.
///
/// # Safety
/// `req` is alive.
unsafe fn version(req: *mut ffi::evhttp_request) -> Option<Version> {
    // SAFETY: the caller's promise; these are plain fields of a public struct.
    unsafe {
        match ((*req).major, (*req).minor) {
            (1, 0) => Some(Version::HTTP_10),
            (1, 1) => Some(Version::HTTP_11),
            (major, minor) => {
                ((*req).major, (*req).minor) = (1, 1);
                // A later 1.x has to be taken for the latest that is known.
                (major == 1 && minor > 1).then_some(Version::HTTP_11)
            }
        }
    }
}

/// `None` when there is a name or value that is none, such as `Content-Length :` or one with a
/// bare CR.
///
/// # Safety
/// `list` is alive.
unsafe fn headers(list: *const ffi::evkeyvalq) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    // SAFETY: a list of C's; its entries and their strings are never NULL and live with it.
    unsafe {
        let mut entry = (*list).tqh_first;
        while !entry.is_null() {
            let name = HeaderName::from_bytes(bytes((*entry).key)).ok()?;
            let value = HeaderValue::from_bytes(bytes((*entry).value)).ok()?;
            map.try_append(name, value).ok()?;
            entry = (*entry).next.tqe_next;
        }
    }
    Some(map)
}

/// Moves what is in the buffer out of it.
///
/// # Safety
/// `buffer` is alive.
unsafe fn drain(buffer: *mut ffi::evbuffer) -> Vec<u8> {
    /// C counts what it removed in an int.
    const AT_ONCE: usize = 1 << 30;
    // SAFETY: alive.
    let len = unsafe { ffi::evbuffer_get_length(buffer) };
    let mut body = Vec::<u8>::with_capacity(len);
    while body.len() < len {
        let room = (len - body.len()).min(AT_ONCE);
        // SAFETY: alive; there is room for as many bytes behind those that are there, and as many
        // as it says are written.
        unsafe {
            let end = body.as_mut_ptr().add(body.len());
            let removed = ffi::evbuffer_remove(buffer, end.cast(), room);
            let Ok(removed @ 1..) = usize::try_from(removed) else {
                break;
            };
            body.set_len(body.len() + removed);
        }
    }
    body
}

/// # Safety
/// `connection` is alive.
unsafe fn peer(connection: *mut ffi::evhttp_connection) -> Option<SocketAddr> {
    let (mut address, mut port) = (ptr::null::<c_char>(), 0);
    // SAFETY: the caller's promise; the string lives with the connection. 2.2 has it const, 2.1 not.
    let text = unsafe {
        ffi::evhttp_connection_get_peer(connection, (&raw mut address).cast(), &mut port);
        str::from_utf8(bytes(address)).ok()?
    };
    // A link-local address has its interface after a `%`.
    let text = text.split('%').next()?;
    Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, port))
}
