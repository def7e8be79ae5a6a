use ::http::header::{self, IntoHeaderName};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;

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
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

/// The body of a [`Response`]: bytes, text, or a file through [`Response::file`].
///
/// Text is sent as `text/plain; charset=utf-8` unless the response names another type.
pub struct Body(pub(super) Content);

pub(super) enum Content {
    Bytes(Cow<'static, [u8]>),
    Text(Cow<'static, str>),
    File { file: File, len: u64 },
}

impl Response {
    /// An answer without a body.
    pub fn new(status: StatusCode) -> Self {
        Response {
            status,
            headers: HeaderMap::new(),
            body: Body(Content::Bytes(Cow::Borrowed(b""))),
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
        let mut response = Response::new(StatusCode::OK);
        response.body = Body(Content::File { file, len });
        Ok(response)
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

    /// The answer as it goes onto the wire: exactly one framing header, and a body only where
    /// one may be.
    pub(super) fn framed(mut self, head: bool, close: bool) -> Framed {
        if self.status.is_informational() {
            self = Response::page(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let Response {
            status,
            mut headers,
            body: Body(content),
        } = self;
        headers.remove(header::TRANSFER_ENCODING);
        let declared = headers.remove(header::CONTENT_LENGTH);
        if matches!(content, Content::Text(_)) && !headers.contains_key(header::CONTENT_TYPE) {
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, text);
        }
        if close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
            return Framed {
                status,
                headers,
                content: None,
            };
        }
        let len = match declared {
            // The length of the body that a GET would have got.
            Some(declared) if head && content.len() == 0 => digits(&declared).unwrap_or(0),
            _ => content.len(),
        };
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        Framed {
            status,
            headers,
            content: (!head && content.len() > 0).then_some(content),
        }
    }
}

/// See [`Response::framed`].
pub(super) struct Framed {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// What follows the headers.
    pub(super) content: Option<Content>,
}

fn digits(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Text(text) => text.len() as u64,
            Content::File { len, .. } => *len,
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body(Content::Bytes(bytes.into()))
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Body(Content::Bytes(bytes.into()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body(Content::Text(text.into()))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Body(Content::Text(text.into()))
    }
}

impl From<Cow<'static, str>> for Body {
    fn from(text: Cow<'static, str>) -> Self {
        Body(Content::Text(text))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Content::Bytes(_) => "bytes",
            Content::Text(_) => "text",
            Content::File { .. } => "file",
        };
        write!(f, "Body({kind}, {} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(framed: &Framed) -> Vec<&[u8]> {
        let values = framed.headers.get_all(header::CONTENT_LENGTH);
        values.iter().map(HeaderValue::as_bytes).collect()
    }

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
        let framed = response.framed(false, false);
        assert_eq!(length(&framed), [b"5"]);
        assert!(!framed.headers.contains_key(header::TRANSFER_ENCODING));
        assert!(framed.content.is_some());
    }

    #[test]
    fn head_has_the_length_and_no_body() {
        let framed = Response::text("12345").framed(true, true);
        assert_eq!(length(&framed), [b"5"]);
        assert!(framed.content.is_none());
        assert_eq!(framed.headers[header::CONNECTION], "close");

        let declared = Response::new(StatusCode::OK)
            .header(header::CONTENT_LENGTH, HeaderValue::from_static("77"));
        assert_eq!(length(&declared.framed(true, false)), [b"77"]);
    }

    #[test]
    fn some_statuses_have_no_body_and_some_are_no_answer() {
        let framed = Response::text("x")
            .status(StatusCode::NO_CONTENT)
            .framed(false, false);
        assert!(framed.content.is_none() && length(&framed).is_empty());
        let framed = Response::new(StatusCode::CONTINUE).framed(false, false);
        assert_eq!(framed.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
