//! What comes back.

use crate::error::Result;
use crate::http::Incoming;
use crate::stream::{BufferEvent, Direction, Handler};
use ::http::{HeaderMap, StatusCode, Version};
use std::fmt;

/// A whole answer, its body in memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The version of HTTP that the server speaks.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; nothing for `HEAD` and for a status without one.
    pub body: Vec<u8>,
    /// What came behind a chunked body; mostly nothing.
    pub trailers: HeaderMap,
    /// The URL that was answered: the last one, after redirects.
    pub url: String,
}

impl Answer {
    /// The value of a header, the first if there are several; none if it is not ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// serde's, when it is none, or another.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }
}

/// The head of an answer, whose body comes piece by piece.
#[derive(Debug)]
#[non_exhaustive]
pub struct Streaming {
    /// The status.
    pub status: StatusCode,
    /// The version of HTTP that the server speaks.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// The URL that is answered: the last one, after redirects.
    pub url: String,
    pub(super) incoming: Incoming,
}

impl Streaming {
    /// The body. Dropped without a callback for its data, it ends the request, and its connection.
    pub fn incoming(self) -> Incoming {
        self.incoming
    }
}

/// A connection that has changed to another protocol (`101 Switching Protocols`).
#[non_exhaustive]
pub struct Upgraded {
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The URL that was answered.
    pub url: String,
    /// The connection. What the server has sent behind its answer is in its input.
    pub stream: BufferEvent,
}

impl Upgraded {
    /// The connection with its new handler, which is called soon for what the server has sent
    /// already.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the connection is closed.
    pub fn into_stream(self, handler: impl Handler) -> Result<BufferEvent> {
        self.stream.set_handler(handler)?;
        if !self.stream.input().is_empty() {
            self.stream.trigger_always(Direction::READ)?;
        }
        Ok(self.stream)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("stream", &self.stream)
            .finish()
    }
}
