use super::exchange::Bodiless as _;
use super::server::ServerRef;
pub(super) use super::wire::framing::Framing;
use super::wire::write;
use ::http::header::{self, IntoHeaderName};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// An answer: status, headers and body.
///
/// `Content-Length` is set from the body, and `Transfer-Encoding` is not sent, whatever the
/// headers say. The answer to a HEAD request goes without the body, but with its length; 204 and
/// 304 go without either. Any other status keeps body and headers.
///
/// ```
/// use libevent2::http::{HeaderValue, Response, StatusCode, header};
///
/// let found = Response::new(StatusCode::FOUND)
///     .header(header::LOCATION, HeaderValue::from_static("/elsewhere"));
/// let missing = Response::json(r#"{"error":"no such thing"}"#).status(StatusCode::NOT_FOUND);
/// ```
#[derive(Debug)]
#[must_use = "it is sent by `Request::respond`"]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// The body of a [`Response`]: bytes, text, or a file through [`Response::file`].
///
/// Text is sent as `text/plain; charset=utf-8` unless the response names another type.
pub struct Body(pub(super) Content, Kind);

/// What is said of a body that no header tells more about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes,
    Text,
}

pub(super) enum Content {
    Bytes(Cow<'static, [u8]>),
    /// One after the other.
    Pieces(VecDeque<Piece>),
}

/// A part of a body.
pub(super) enum Piece {
    Bytes(Cow<'static, [u8]>),
    /// `left` bytes of a file, from `at`.
    File {
        file: Arc<File>,
        at: u64,
        left: u64,
    },
}

impl Body {
    fn bytes(bytes: Cow<'static, [u8]>) -> Self {
        Body(Content::Bytes(bytes), Kind::Bytes)
    }

    fn text(text: Cow<'static, str>) -> Self {
        let bytes = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Body(Content::Bytes(bytes), Kind::Text)
    }

    /// One part after the other.
    pub(super) fn pieces(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Body(Content::Pieces(pieces.into_iter().collect()), Kind::Bytes)
    }
}

impl Response {
    /// An answer without a body.
    pub fn new(status: StatusCode) -> Self {
        Response {
            status,
            headers: HeaderMap::new(),
            body: Body::bytes(Cow::Borrowed(b"")),
        }
    }

    /// 200 with plain text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Response::new(StatusCode::OK).body(text.into())
    }

    /// 200 with an HTML page.
    pub fn html(page: impl Into<Cow<'static, str>>) -> Self {
        Response::text(page).content_type("text/html; charset=utf-8")
    }

    /// 200 with a JSON text, which is sent as it is.
    pub fn json(json: impl Into<Cow<'static, str>>) -> Self {
        Response::text(json).content_type("application/json")
    }

    /// 200 with the contents of a regular file from its beginning.
    ///
    /// Its length is what it is now. It is read piece by piece as the client takes it, so a file
    /// of any size takes little memory; a file that has become shorter meanwhile ends in a
    /// closed connection. Reading is done on the loop: a slow disk holds up the other clients.
    ///
    /// # Errors
    /// Those of asking for the file's length; [`io::ErrorKind::InvalidInput`] when it is no
    /// regular file.
    #[doc(alias = "evbuffer_add_file")]
    pub fn file(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only a regular file can be sent",
            ));
        }
        let len = metadata.len();
        let file = Arc::new(file);
        let whole = Piece::File {
            file,
            at: 0,
            left: len,
        };
        Ok(Response::new(StatusCode::OK).body(Body::pieces((len > 0).then_some(whole))))
    }

    /// A plain text page that says what the status means.
    pub(super) fn page(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("");
        Response::text(format!("{} {reason}\n", status.as_u16())).status(status)
    }

    /// Sets the status. One below 200 is no final answer: 500 is sent instead.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Sets a header, in the place of those of the same name. More of one name:
    /// [`headers_mut`](Self::headers_mut) and `append`.
    #[doc(alias = "evhttp_add_header")]
    pub fn header(mut self, name: impl IntoHeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    fn content_type(self, mime: &'static str) -> Self {
        self.header(header::CONTENT_TYPE, HeaderValue::from_static(mime))
    }

    /// The headers, to be looked at.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The status that it will be sent with.
    pub fn status_code(&self) -> StatusCode {
        self.status
    }

    /// Whether the handler wants the connection to end with this answer.
    pub(super) fn says_close(&self) -> bool {
        let values = self.headers.get_all(header::CONNECTION);
        values
            .iter()
            .any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
    }

    /// The answer as it goes onto the wire, with the one header that says how its body ends:
    /// none where there is no body.
    pub(super) fn framed(self, head: bool) -> (Self, Option<Framing>) {
        let (response, declared) = self.unframed();
        if response.status.is_bodiless() {
            return (response, None);
        }
        let length = match declared {
            // The length of the body that a GET would have got.
            Some(declared) if head && response.body.len() == 0 => declared,
            _ => response.body.len(),
        };
        (response, Some(Framing::Length(length)))
    }

    /// As [`framed`](Self::framed), for a body that is made later.
    pub(super) fn framed_for_stream(self, http_10: bool) -> (Self, Option<Framing>) {
        let (response, declared) = self.unframed();
        if response.status.is_bodiless() {
            return (response, None);
        }
        let framing = match declared {
            Some(length) => Framing::Length(length),
            None if http_10 => Framing::UntilClose,
            None => Framing::Chunked,
        };
        (response, Some(framing))
    }

    /// Takes out what says how the body ends.
    fn unframed(mut self) -> (Self, Option<u64>) {
        // One below 200 is no final answer.
        if self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS {
            self = Response::page(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if self.headers.is_empty() {
            return (self, None);
        }
        self.headers.remove(header::TRANSFER_ENCODING);
        let declared = self.headers.remove(header::CONTENT_LENGTH);
        if self.status != StatusCode::SWITCHING_PROTOCOLS {
            self.headers.remove(header::CONNECTION);
        }
        (self, declared.as_ref().and_then(digits))
    }
}

/// Writes the head of an answer. `connection` is the value of that header, if there is to be one.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    response: &Response,
    framing: Option<Framing>,
    server: &ServerRef,
    connection: Option<&str>,
) {
    write::status_line(out, response.status);
    if !response.headers.contains_key(header::DATE) {
        server.write_date(out);
    }
    write::headers(out, &response.headers);
    if response.body.1 == Kind::Text && !response.headers.contains_key(header::CONTENT_TYPE) {
        write::header_line(out, "Content-Type", b"text/plain; charset=utf-8");
    }
    if let Some(connection) = connection {
        write::header_line(out, "Connection", connection.as_bytes());
    }
    if let Some(framing) = framing {
        write::framing(out, framing);
    }
    out.extend_from_slice(b"\r\n");
}

fn digits(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

impl Body {
    pub(super) fn len(&self) -> u64 {
        match &self.0 {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Pieces(pieces) => pieces.iter().map(Piece::len).sum(),
        }
    }
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File { left, .. } => *left,
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body::bytes(bytes.into())
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Body::bytes(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body::text(text.into())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Body::text(text.into())
    }
}

impl From<Cow<'static, str>> for Body {
    fn from(text: Cow<'static, str>) -> Self {
        Body::text(text)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_ours_whatever_the_headers_say() {
        let mut response = Response::text("12345");
        let headers = response.headers_mut();
        headers.append(header::CONTENT_LENGTH, HeaderValue::from_static("99"));
        headers.append(header::CONTENT_LENGTH, HeaderValue::from_static("98"));
        headers.append(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
        let (response, framing) = response.framed(false);
        assert_eq!(framing, Some(Framing::Length(5)));
        assert!(response.headers.is_empty());
    }

    #[test]
    fn head_has_the_length_that_get_would_have() {
        let (_, framing) = Response::text("12345").framed(true);
        assert_eq!(framing, Some(Framing::Length(5)));
        let declared = Response::new(StatusCode::OK)
            .header(header::CONTENT_LENGTH, HeaderValue::from_static("77"));
        assert_eq!(declared.framed(true).1, Some(Framing::Length(77)));
    }

    #[test]
    fn some_statuses_have_no_body_and_some_are_no_answer() {
        let none = Response::text("x").status(StatusCode::NO_CONTENT);
        assert_eq!(none.framed(false).1, None);
        let (response, _) = Response::new(StatusCode::CONTINUE).framed(false);
        assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn a_body_without_a_length_is_chunked_where_it_can_be() {
        let framing = |http_10| Response::text("").framed_for_stream(http_10).1;
        assert_eq!(framing(false), Some(Framing::Chunked));
        assert_eq!(framing(true), Some(Framing::UntilClose));
    }
}
