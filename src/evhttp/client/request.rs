//! What a client asks, and what it wants to hear of the answer.

use super::exchange::Exchange;
use super::{ClientError, ConnectionRef, Response, ResponseHead};
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use crate::{Buffer, ffi};
use ::http::Method;
use std::ffi::CString;
use std::fmt;
use std::rc::Rc;

pub(super) type HeaderHook = Box<dyn FnOnce(&ResponseHead) -> bool>;
pub(super) type ChunkHook = Box<dyn FnMut(Buffer) -> Outcome>;
pub(super) type DoneHook =
    Box<dyn FnOnce(&ConnectionRef, Result<Response, ClientError>) -> Outcome>;

/// A request that is to be sent (C: `struct evhttp_request`, as a client has it).
///
/// A `Host` header is added if there is none, and a `Content-Length` for a body. With
/// `Expect: 100-continue` the body is sent when the server has asked for it.
///
/// ```
/// use libevent2::evhttp::{ClientRequest, Connection};
/// use libevent2::EventBase;
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let port = listener.local_addr().unwrap().port();
/// # std::thread::spawn(move || {
/// #     let (mut peer, _) = listener.accept().unwrap();
/// #     peer.read(&mut [0; 1000]).unwrap();
/// #     peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello").unwrap();
/// # });
///
/// let mut base = EventBase::new()?;
/// let connection = Connection::new(&base, "127.0.0.1", port)?;
/// let request = ClientRequest::get("/").header("Accept", "text/plain").on_done(
///     |connection, response| {
///         let response = response?;
///         println!("{}: {} bytes", response.status(), response.body().len());
///         connection.close();
///         Ok::<(), libevent2::evhttp::ClientError>(())
///     },
/// );
/// connection.send(request)?.detach();
/// base.run()?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "evhttp_request_new")]
#[must_use = "it is sent by `ConnectionRef::send`"]
pub struct ClientRequest {
    method: Method,
    uri: String,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Buffer,
    pub(super) on_header: Option<HeaderHook>,
    pub(super) on_chunk: Option<ChunkHook>,
    pub(super) on_done: Option<DoneHook>,
}

impl ClientRequest {
    /// A request for `uri`: a path with its query, or, to a proxy, all of a URI.
    pub fn new(method: Method, uri: impl Into<String>) -> Self {
        ClientRequest {
            method,
            uri: uri.into(),
            headers: Vec::new(),
            body: Buffer::new(),
            on_header: None,
            on_chunk: None,
            on_done: None,
        }
    }

    /// A `GET`.
    pub fn get(uri: impl Into<String>) -> Self {
        Self::new(Method::GET, uri)
    }

    /// A `POST` of `body`.
    pub fn post(uri: impl Into<String>, body: impl Into<Buffer>) -> Self {
        Self::new(Method::POST, uri).body(body)
    }

    /// Adds a header; of one name there may be several.
    #[doc(alias = "evhttp_add_header")]
    #[doc(alias = "evhttp_request_get_output_headers")]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body, which is not copied.
    #[doc(alias = "evhttp_request_get_output_buffer")]
    pub fn body(mut self, body: impl Into<Buffer>) -> Self {
        self.body = body.into();
        self
    }

    /// Runs `callback` with status and headers, before the body; when it returns false, the rest
    /// is not read, and the request ends with [`ClientError::Unwanted`].
    #[doc(alias = "evhttp_request_set_header_cb")]
    pub fn on_header(mut self, callback: impl FnOnce(&ResponseHead) -> bool + 'static) -> Self {
        self.on_header = Some(Box::new(callback));
        self
    }

    /// Runs `callback` with each piece of the body as it comes, or, of a chunked body, with each
    /// chunk; [`Response::body`] is empty then.
    #[doc(alias = "evhttp_request_set_chunked_cb")]
    pub fn on_chunk<O: CallbackResult>(
        mut self,
        mut callback: impl FnMut(Buffer) -> O + 'static,
    ) -> Self {
        self.on_chunk = Some(Box::new(move |chunk| callback(chunk).outcome()));
        self
    }

    /// Runs `callback` once, when the response is complete or is not going to be.
    #[doc(alias = "evhttp_request_set_error_cb")]
    pub fn on_done<O: CallbackResult>(
        mut self,
        callback: impl FnOnce(&ConnectionRef, Result<Response, ClientError>) -> O + 'static,
    ) -> Self {
        let callback =
            |connection: &ConnectionRef, response| callback(connection, response).outcome();
        self.on_done = Some(Box::new(callback));
        self
    }

    /// What C is to send; `host` is for the header.
    pub(super) fn checked(&mut self, host: &str) -> Result<Spec> {
        let uri = c_string(
            "URI",
            std::mem::take(&mut self.uri).into_bytes(),
            is_visible,
        )?;
        if uri.is_empty() {
            return Err(Error::invalid("URI", "it is empty"));
        }
        let mut headers = Vec::with_capacity(self.headers.len() + 2);
        let mut expects = false;
        let (mut has_host, mut has_length) = (false, false);
        for (name, value) in std::mem::take(&mut self.headers) {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
            if is("transfer-encoding") {
                let why = "evhttp sends bodies with their length only";
                return Err(Error::invalid("Transfer-Encoding", why));
            }
            if is("content-length") {
                if has_length || value != self.body.len().to_string().as_bytes() {
                    return Err(Error::invalid(
                        "Content-Length",
                        "the body is of another length",
                    ));
                }
                has_length = true;
            }
            if is("host") {
                if has_host {
                    return Err(Error::invalid("Host", "there can be one only"));
                }
                has_host = true;
            }
            expects |= is("expect") && value.eq_ignore_ascii_case(b"100-continue");
            if name.is_empty() {
                return Err(Error::invalid("header", "its name is empty"));
            }
            let name = c_string("header name", name, is_token)?;
            headers.push((name, c_string("header value", value, is_in_value)?));
        }
        if !has_host {
            let host = authority(uri.as_bytes()).unwrap_or(host.as_bytes());
            headers.insert(
                0,
                (
                    c"Host".to_owned(),
                    c_string("host", host.to_vec(), is_visible)?,
                ),
            );
        }
        if !has_length && !self.body.is_empty() {
            let length = CString::new(self.body.len().to_string()).unwrap_or_default();
            headers.push((c"Content-Length".to_owned(), length));
        }
        Ok(Spec {
            method: number_of(&self.method)?,
            uri,
            headers,
            expects: expects && !self.body.is_empty(),
            streams: self.on_chunk.is_some(),
        })
    }

    pub(super) fn take_body(&mut self) -> Buffer {
        std::mem::take(&mut self.body)
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("method", &self.method)
            .field("uri", &self.uri)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A request as C takes it, checked.
pub(super) struct Spec {
    pub(super) method: ffi::evhttp_cmd_type,
    pub(super) uri: CString,
    pub(super) headers: Vec<(CString, CString)>,
    /// Whether the body waits until the server asks for it.
    pub(super) expects: bool,
    /// Whether the body of the response is handed out piece by piece.
    pub(super) streams: bool,
}

fn number_of(method: &Method) -> Result<ffi::evhttp_cmd_type> {
    Ok(match *method {
        Method::GET => ffi::EVHTTP_REQ_GET,
        Method::POST => ffi::EVHTTP_REQ_POST,
        Method::HEAD => ffi::EVHTTP_REQ_HEAD,
        Method::PUT => ffi::EVHTTP_REQ_PUT,
        Method::DELETE => ffi::EVHTTP_REQ_DELETE,
        Method::OPTIONS => ffi::EVHTTP_REQ_OPTIONS,
        Method::TRACE => ffi::EVHTTP_REQ_TRACE,
        Method::CONNECT => ffi::EVHTTP_REQ_CONNECT,
        Method::PATCH => ffi::EVHTTP_REQ_PATCH,
        _ => {
            return Err(Error::invalid(
                "method",
                format!("evhttp does not know {method}"),
            ));
        }
    })
}

fn c_string(what: &'static str, bytes: Vec<u8>, allowed: fn(u8) -> bool) -> Result<CString> {
    if let Some(byte) = bytes.iter().find(|byte| !allowed(**byte)) {
        return Err(Error::invalid(
            what,
            format!("byte {byte:#04x} is not allowed in it"),
        ));
    }
    CString::new(bytes).map_err(|_| Error::invalid(what, "it has a NUL"))
}

fn is_visible(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

fn is_in_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// What a name may be made of (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The host and port of a whole URI.
fn authority(uri: &[u8]) -> Option<&[u8]> {
    let start = uri.windows(3).position(|three| three == b"://")? + 3;
    if uri[..start - 3].iter().any(|byte| b"/?#".contains(byte)) {
        return None;
    }
    let rest = &uri[start..];
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let rest = &rest[..end.unwrap_or(rest.len())];
    let user = rest.iter().rposition(|byte| *byte == b'@');
    Some(&rest[user.map_or(0, |at| at + 1)..])
}

/// A request that was sent. Dropping it cancels the request: its closures are dropped, and none of
/// them is called any more.
#[must_use = "dropping it cancels the request; `detach` lets it go on"]
pub struct Pending(Option<Rc<Exchange>>);

impl Pending {
    pub(super) fn new(exchange: Rc<Exchange>) -> Self {
        Pending(Some(exchange))
    }

    /// Lets the request go on by itself, until its response or the end of its connection.
    pub fn detach(mut self) {
        self.0.take();
    }

    /// Ends the request, with its connection if it was sent already: it gets
    /// [`ClientError::Cancelled`], from the loop. One that has its response is not changed.
    #[doc(alias = "evhttp_cancel_request")]
    pub fn cancel(mut self) {
        if let Some(exchange) = self.0.take() {
            exchange.give_up(Some(ClientError::Cancelled));
        }
    }

    /// Whether it has its response, or the reason why there is none.
    pub fn is_done(&self) -> bool {
        self.0.as_ref().is_none_or(|exchange| exchange.is_over())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            exchange.give_up(None);
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("done", &self.is_done())
            .finish_non_exhaustive()
    }
}
