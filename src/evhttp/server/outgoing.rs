//! What goes out: heads that are checked, bodies that are framed by us.

use super::exchange::{Exchange, Framing, on_drained};
use super::headers;
use crate::error::{Error, Result};
use crate::evhttp::htmlescape;
use crate::{Buffer, ffi};
use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use std::ffi::CString;
use std::ptr;

/// The most that goes into one chunk: C writes its length as 32 bits.
const CHUNK: usize = 1 << 30;

/// The first line and the headers of an answer: nothing in them ends a line.
pub(super) struct Head {
    status: u16,
    reason: CString,
    headers: HeaderMap,
}

impl Head {
    pub(super) fn new(status: u16, reason: Option<&str>, headers: HeaderMap) -> Result<Self> {
        let known = StatusCode::from_u16(status).ok();
        let Some(code) = known.filter(|code| !code.is_informational()) else {
            let why = format!("{status} is none that ends a request");
            return Err(Error::invalid("status", why));
        };
        let reason = reason.or(code.canonical_reason()).unwrap_or("Unknown");
        if reason.chars().any(char::is_control) {
            let why = format!("{reason:?} has a control character");
            return Err(Error::invalid("reason", why));
        }
        Ok(Head {
            status,
            reason: CString::new(reason).expect("NUL is a control character"),
            headers,
        })
    }

    /// The usual words for a status that is one.
    fn of(status: u16) -> Self {
        Head::new(status, None, HeaderMap::new()).expect("a status of ours")
    }

    fn allows_body(&self) -> bool {
        self.status != 204 && self.status != 304
    }
}

impl Exchange {
    /// Answers, once; later calls and calls without a client do nothing.
    pub(super) fn reply(&self, mut head: Head, mut body: Buffer) -> Result<()> {
        if self.is_answered() {
            return Ok(());
        }
        head.headers.remove(header::TRANSFER_ENCODING);
        let declared = head.headers.remove(header::CONTENT_LENGTH);
        let declared = declared.filter(|_| self.head.get() && body.is_empty());
        if head.allows_body() {
            // For HEAD it is the length of the body that a GET would have got.
            let length = declared.as_ref().and_then(digits);
            let length = HeaderValue::from(length.unwrap_or(body.len() as u64));
            head.headers.insert(header::CONTENT_LENGTH, length);
        }
        let length = body.len();
        // SAFETY: not answered and not done, so `req` is alive and ours. The chains move.
        let taken = unsafe {
            let output = ffi::evhttp_request_get_output_buffer(self.req());
            let wanted = head.allows_body() && !self.head.get() && length > 0;
            !wanted || ffi::evbuffer_add_buffer(output, body.as_ptr()) == 0
        };
        if !taken {
            return body.clear().map(drop);
        }
        self.given.set(length as u64);
        self.send_head(head, |req, status, reason| {
            // SAFETY: alive, ours, and the first of its connection, as evhttp_send wants it. The
            // strings are copied. This does not get back to us: what it starts the loop does.
            unsafe { ffi::evhttp_send_reply(req, status, reason, ptr::null_mut()) };
        });
        Ok(())
    }

    /// A page that says what the status means, after which the connection is closed.
    pub(super) fn error(&self, mut head: Head) -> Result<()> {
        let (status, reason) = (head.status, head.reason.to_string_lossy());
        let reason = htmlescape(&reason);
        let page = format!(
            "<!DOCTYPE html>\n<title>{status} {reason}</title>\n<h1>{status} {reason}</h1>\n"
        );
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        head.headers.insert(header::CONTENT_TYPE, html);
        let close = HeaderValue::from_static("close");
        head.headers.insert(header::CONNECTION, close);
        self.reply(head, page.into())
    }

    /// As [`error`](Self::error), for a status of ours.
    pub(super) fn refuse(&self, status: u16) {
        let refused = self.error(Head::of(status));
        debug_assert!(refused.is_ok(), "nothing in it is anybody else's");
    }

    /// Begins an answer.
    pub(super) fn start(&self, mut head: Head) -> Result<()> {
        let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
        let framing = match (lengths.next(), lengths.next()) {
            (None, _) => Framing::Open,
            (Some(length), None) => Framing::Left(digits(length).ok_or_else(not_a_length)?),
            _ => return Err(not_a_length()),
        };
        if self.is_answered() {
            return Ok(());
        }
        head.headers.remove(header::TRANSFER_ENCODING);
        if !head.allows_body() {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        let has_body = head.allows_body() && !self.head.get();
        // SAFETY: alive, as it is not answered; a plain field of a public struct.
        let old = unsafe { (*self.req()).minor } == 0;
        if old && has_body && framing == Framing::Open {
            // Nothing else would end the body; C would keep the connection if the client asks.
            let close = HeaderValue::from_static("close");
            head.headers.insert(header::CONNECTION, close);
            self.forget_keep_alive();
        }
        self.framing.set(match has_body {
            true => framing,
            false => Framing::Whole,
        });
        self.send_head(head, |req, status, reason| {
            // SAFETY: as in `reply`.
            unsafe { ffi::evhttp_send_reply_start(req, status, reason) };
        });
        Ok(())
    }

    /// C answers `Connection: keep-alive` to a client of HTTP/1.0 that wants it, beside whatever
    /// is there already.
    fn forget_keep_alive(&self) {
        // SAFETY: alive, as it is not answered; everything in it was copied before.
        unsafe {
            let input = ffi::evhttp_request_get_input_headers(self.req());
            while ffi::evhttp_remove_header(input, c"Connection".as_ptr()) == 0 {}
        }
    }

    fn send_head(
        &self,
        mut head: Head,
        send: impl FnOnce(*mut ffi::evhttp_request, i32, *const std::os::raw::c_char),
    ) {
        self.status.set(Some(head.status));
        if self.server().is_closing() {
            let close = HeaderValue::from_static("close");
            head.headers.insert(header::CONNECTION, close);
        }
        let req = self.req();
        // SAFETY: alive, as it was not answered before.
        let added = unsafe {
            let list = ffi::evhttp_request_get_output_headers(req);
            headers::add(list, &head.headers)
        };
        if !added {
            // Out of memory: half of the headers would be another answer.
            return self.abort();
        }
        send(req, head.status.into(), head.reason.as_ptr());
        self.after_sending();
    }

    /// Sends a piece of the body.
    pub(super) fn chunk(&self, mut piece: Buffer) -> Result<()> {
        if self.req().is_null() {
            return Err(Error::Closed {
                what: "http connection",
            });
        }
        match self.framing.get() {
            Framing::Whole => return piece.clear().map(drop),
            Framing::Open => {}
            Framing::Left(left) => {
                let Some(left) = left.checked_sub(piece.len() as u64) else {
                    let why = format!("{} bytes follow, and {left} are left", piece.len());
                    return Err(Error::invalid("Content-Length", why));
                };
                // A frozen one is refused below, and sends nothing.
                if !piece.is_frozen(crate::buffer::End::Front) {
                    self.framing.set(Framing::Left(left));
                }
            }
        }
        while !piece.is_empty() && !self.req().is_null() {
            let mut part = Buffer::new();
            let length = piece.move_to(&mut part, CHUNK)?;
            self.given.set(self.given.get() + length as u64);
            // SAFETY: not done, so `req` is alive, ours and begun; its chains move into the
            // connection's output, from where nothing calls us now. `arg` stays valid until
            // `done`, after which C does not call.
            unsafe {
                let (req, arg) = (self.req(), self.arg());
                ffi::evhttp_send_reply_chunk_with_cb(req, part.as_ptr(), Some(on_drained), arg);
            }
            self.watched.set(true);
            self.unsettled.set(true);
            self.after_sending();
        }
        Ok(())
    }

    /// Ends an answer that has begun.
    pub(super) fn end(&self) -> Result<()> {
        if let Framing::Left(left @ 1..) = self.framing.get() {
            let why = format!("{left} bytes are missing");
            return Err(Error::invalid("Content-Length", why));
        }
        self.framing.set(Framing::Whole);
        if self.unsettled.get() && self.pending() == 0 {
            // Over TLS all may be written before C says so. If the answer ended here, that call
            // would come to an exchange that is done.
            self.ending.set(true);
        } else {
            self.end_now();
        }
        Ok(())
    }

    pub(super) fn end_now(&self) {
        if !self.req().is_null() {
            // SAFETY: alive, ours, and begun. It may be gone when this returns, by `on_complete`.
            unsafe { ffi::evhttp_send_reply_end(self.req()) };
            self.after_sending();
        }
    }
}

fn not_a_length() -> Error {
    Error::invalid("Content-Length", "it has to be one number")
}

fn digits(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_head_ends_a_line() {
        let head = |status, reason| Head::new(status, reason, HeaderMap::new()).is_ok();
        assert!(head(200, None) && head(299, None) && head(999, Some("Ça va")));
        for status in [0, 99, 100, 101, 199, 1000, u16::MAX] {
            assert!(!head(status, None), "{status}");
        }
        for reason in ["a\r\nSet-Cookie: b", "a\rb", "a\nb", "a\0b", "\u{85}"] {
            assert!(!head(200, Some(reason)), "{reason:?}");
        }
    }
}
