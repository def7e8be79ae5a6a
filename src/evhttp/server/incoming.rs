//! Takes what C has read of a request out of C, checked, so that the rest is a plain value.

use super::{headers, screen};
use crate::evhttp::{Uri, UriFlags, uridecode};
use crate::{Buffer, ffi};
use ::http::{HeaderMap, Method, StatusCode, Version};
use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};
use std::os::raw::c_char;
use std::ptr;

/// A request as a value.
pub(super) struct Received {
    pub(super) method: Method,
    /// What stood between the method and the version, in ASCII.
    pub(super) target: String,
    pub(super) uri: Uri,
    pub(super) host: Option<String>,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Buffer,
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
            let headers = headers::read(ffi::evhttp_request_get_input_headers(req));
            let headers = headers.ok_or(StatusCode::BAD_REQUEST)?;
            screen::check(&method, version, &headers)?;
            let target = bytes(ffi::evhttp_request_get_uri(req));
            let (target, uri) = parse_target(target).ok_or(StatusCode::BAD_REQUEST)?;
            let host = bytes(ffi::evhttp_request_get_host(req));
            Ok(Received {
                method,
                target,
                uri,
                host: (!host.is_empty()).then(|| String::from_utf8_lossy(host).into_owned()),
                version,
                headers,
                body: take_body(req),
                peer: peer(ffi::evhttp_request_get_connection(req)),
            })
        }
    }

    /// What C compares with the paths of its callbacks: decoded, and up to the first NUL.
    pub(super) fn path(&self) -> Vec<u8> {
        let mut path = uridecode(self.uri.path().unwrap_or(""), false);
        if let Some(end) = path.iter().position(|&byte| byte == 0) {
            path.truncate(end);
        }
        path
    }
}

/// `None` for what is no path: control characters, blanks, `foo`, `ftp://…`.
fn parse_target(raw: &[u8]) -> Option<(String, Uri)> {
    if raw.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        return None;
    }
    let mut text = String::with_capacity(raw.len());
    for &byte in raw {
        match byte.is_ascii() {
            true => text.push(byte.into()),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    let uri = Uri::parse_with(&text, UriFlags::NONCONFORMANT).ok()?;
    let is_absolute = || {
        let scheme = uri.scheme().unwrap_or("").to_ascii_lowercase();
        matches!(&*scheme, "http" | "https") && uri.host().is_some_and(|host| !host.is_empty())
    };
    let known = text == "*" || text.starts_with('/') || is_absolute();
    known.then_some((text, uri))
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

/// Moves the body out of the request, without copying it.
///
/// # Safety
/// `req` is alive.
unsafe fn take_body(req: *mut ffi::evhttp_request) -> Buffer {
    let body = Buffer::new();
    // SAFETY: both are alive, and C's chains are plain memory. Neither end is frozen.
    unsafe {
        let input = ffi::evhttp_request_get_input_buffer(req);
        ffi::evbuffer_add_buffer(body.as_ptr(), input);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_path_or_an_absolute_uri() {
        let (text, uri) = parse_target("/ä?b#c".as_bytes()).unwrap();
        assert_eq!(text, "/%C3%A4?b#c");
        assert_eq!((uri.path(), uri.query()), (Some("/%C3%A4"), Some("b")));
        assert!(parse_target(b"HTTP://host:80/a?b").is_some());
        assert!(parse_target(b"*").is_some());
        for bad in [
            "http:///a",
            "ftp://host/a",
            "a",
            "/a b",
            "/a\u{1}",
            "http:a",
        ] {
            assert!(parse_target(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
