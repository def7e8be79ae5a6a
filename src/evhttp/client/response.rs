//! What the server has answered.

use super::ClientError;
use crate::{Buffer, ffi};
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_char;

/// The head of a response: status and headers.
pub struct ResponseHead {
    version: Version,
    status: StatusCode,
    reason: Vec<u8>,
    headers: HeaderMap,
}

impl ResponseHead {
    /// HTTP/1.0 or 1.1.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The status.
    #[doc(alias = "evhttp_request_get_response_code")]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What follows the status in its line.
    #[doc(alias = "evhttp_request_get_response_code_line")]
    pub fn reason(&self) -> &[u8] {
        &self.reason
    }

    /// The headers. Trailers are not among them.
    #[doc(alias = "evhttp_request_get_input_headers")]
    #[doc(alias = "evhttp_find_header")]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Copies what C has read, if it is one response in every reading.
    ///
    /// # Safety
    /// `req` is alive, and C has read its head.
    pub(super) unsafe fn read(req: *mut ffi::evhttp_request) -> Result<Self, ClientError> {
        let bad = |why| Err(ClientError::BadResponse(why));
        // SAFETY: the caller's promise; the strings and the list are the request's own.
        let (code, major, minor, reason, headers) = unsafe {
            let code = ffi::evhttp_request_get_response_code(req);
            let reason = bytes(ffi::evhttp_request_get_response_code_line(req));
            let list = ffi::evhttp_request_get_input_headers(req);
            // Plain fields of a public struct: C has no function for them.
            (code, (*req).major, (*req).minor, reason, copy(list))
        };
        if let 101..=199 = code {
            return Err(ClientError::Interim(code as u16));
        }
        let status = u16::try_from(code).ok().filter(|code| *code >= 200);
        let Some(status) = status.and_then(|code| StatusCode::from_u16(code).ok()) else {
            return bad("its status is none");
        };
        // C reads both numbers by sscanf, signs and all.
        let version = match (major as i32, minor as i32) {
            (1, 0) => Version::HTTP_10,
            (1, 1..) => Version::HTTP_11,
            _ => return bad("its version is none"),
        };
        let headers = headers?;
        check_framing(&headers)?;
        Ok(ResponseHead {
            version,
            status,
            reason: reason.to_vec(),
            headers,
        })
    }

    /// Whether its body ends with the connection, when there is one.
    pub(super) fn ends_with_connection(&self) -> bool {
        !self.headers.contains_key(header::CONTENT_LENGTH)
            && !self.headers.contains_key(header::TRANSFER_ENCODING)
    }

    /// Whether the server closes after it (RFC 9112, 9.3).
    pub(super) fn closes(&self) -> bool {
        let options = self.headers.get_all(header::CONNECTION);
        let has = |wanted: &str| {
            options.iter().any(|value| {
                let mut tokens = value.as_bytes().split(|byte| *byte == b',');
                tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
            })
        };
        has("close") || (self.version == Version::HTTP_10 && !has("keep-alive"))
    }
}

/// # Safety
/// `text` is NULL, or ends with NUL and outlives the result.
unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return b"";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// # Safety
/// `list` is alive, and does not change meanwhile.
unsafe fn copy(list: *const ffi::evkeyvalq) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    // SAFETY: the caller's promise; the entries and their strings are the list's own.
    unsafe {
        let mut entry = (*list).tqh_first;
        while !entry.is_null() {
            let name = HeaderName::from_bytes(bytes((*entry).key));
            let value = HeaderValue::from_bytes(bytes((*entry).value));
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(ClientError::BadResponse("one of its headers is none"));
            };
            if headers.try_append(name, value).is_err() {
                return Err(ClientError::BadResponse("it has too many headers"));
            }
            entry = (*entry).next.tqe_next;
        }
    }
    Ok(headers)
}

/// What could be read in two ways is refused, whatever libevent is linked.
fn check_framing(headers: &HeaderMap) -> Result<(), ClientError> {
    let bad = |why| Err(ClientError::BadResponse(why));
    let lengths = headers.get_all(header::CONTENT_LENGTH);
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if lengths.iter().count() > 1 {
        return bad("it has several lengths");
    }
    let digits =
        |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    if !lengths.iter().all(digits) {
        return bad("its length is no number");
    }
    match coding {
        None => Ok(()),
        Some(_) if lengths.iter().next().is_some() => bad("it has a length and chunks"),
        Some(coding) if codings.next().is_some() || !is_chunked(coding) => {
            bad("its transfer coding is not known")
        }
        Some(_) => Ok(()),
    }
}

fn is_chunked(coding: &HeaderValue) -> bool {
    coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("version", &self.version)
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// A complete response. It dereferences to its [`ResponseHead`].
#[derive(Debug)]
pub struct Response {
    pub(super) head: ResponseHead,
    pub(super) body: Buffer,
}

impl Response {
    /// The body; empty when [`on_chunk`](super::ClientRequest::on_chunk) had it.
    #[doc(alias = "evhttp_request_get_input_buffer")]
    pub fn body(&self) -> &Buffer {
        &self.body
    }

    /// The body, to keep.
    pub fn into_body(self) -> Buffer {
        self.body
    }
}

impl std::ops::Deref for Response {
    type Target = ResponseHead;

    fn deref(&self) -> &ResponseHead {
        &self.head
    }
}
