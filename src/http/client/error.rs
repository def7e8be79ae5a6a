//! Why a request was not answered.

use crate::http::BodyError;
use crate::stream::StreamError;
use ::http::{Method, StatusCode};

/// Why a request of a [`Client`](super::Client) was not answered: its method, its URL (the last
/// one, after redirects; without password), and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {cause}")]
pub struct ClientError {
    method: Method,
    url: String,
    #[source]
    cause: Box<ClientErrorKind>,
}

impl ClientError {
    pub(super) fn new(method: Method, url: String, cause: ClientErrorKind) -> Self {
        ClientError {
            method,
            url,
            cause: Box::new(cause),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> &ClientErrorKind {
        &self.cause
    }

    /// What went wrong, without the rest.
    pub fn into_kind(self) -> ClientErrorKind {
        *self.cause
    }

    /// The method of the request.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL that was asked last.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a time limit ended it.
    pub fn is_timeout(&self) -> bool {
        matches!(*self.cause, ClientErrorKind::TimedOut(_))
    }
}

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The request cannot be sent as it is: a header that is none, or TLS that is not there.
    #[error("{0}")]
    Invalid(String),
    /// The host's name could not be turned into an address.
    #[error("{0}")]
    Lookup(StreamError),
    /// There is no connection to it: refused, unreachable, or broken while it was made.
    #[error("connecting to {0}")]
    Connect(StreamError),
    /// TLS failed: the certificate, the handshake, or a record that is wrong.
    #[error("{0}")]
    Tls(StreamError),
    /// The proxy did not make the connection that was asked for.
    #[error("the proxy refused: {0}")]
    Proxy(StatusCode),
    /// It took too long.
    #[error("{0}")]
    TimedOut(Phase),
    /// The server ended the connection before it began to answer.
    #[error("the server closed the connection without an answer")]
    Closed,
    /// The connection ended in the middle of the answer.
    #[error("the connection ended in the middle of the answer")]
    Incomplete,
    /// The answer is none.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// More redirects than are allowed.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The limit.
        limit: u32,
    },
    /// A redirect that is not followed.
    #[error("redirected to {location:?}: {why}")]
    Redirect {
        /// Where to, as the server says it.
        location: String,
        /// Why not.
        why: String,
    },
    /// The head or the body of the answer is longer than the limit allows.
    #[error("the {what} of the answer is longer than {limit} bytes")]
    TooLong {
        /// `head` or `body`.
        what: &'static str,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The body of the request could not be had to its end: an [`Upload`](super::Upload) that was
    /// dropped, or a file that cannot be read.
    #[error("the body of the request: {0}")]
    Body(String),
    /// The request has to be sent again (a redirect, or the connection was closed), and its body
    /// is a stream, which is there once.
    #[error("the request would have to be sent again, and its body cannot")]
    Unrepeatable,
    /// The server did not change to the protocol that was asked for: the status of its answer.
    #[error("the server did not change the protocol: {0}")]
    NotUpgraded(StatusCode),
    /// The connection broke.
    #[error("{0}")]
    Stream(StreamError),
}

impl ClientErrorKind {
    /// The same, for whoever reads the body already.
    pub(super) fn of_body(&self) -> BodyError {
        match self {
            ClientErrorKind::TimedOut(_) => BodyError::TimedOut,
            ClientErrorKind::Malformed(why) => BodyError::Malformed(why),
            ClientErrorKind::TooLong { limit, .. } => BodyError::TooLong { limit: *limit },
            _ => BodyError::Closed,
        }
    }
}

/// What a [`Timeouts`](super::Timeouts) limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Phase {
    /// From the lookup of the name to the connection, and to that through a proxy.
    #[error("no connection in time")]
    Connect,
    /// The handshake of TLS.
    #[error("TLS took too long")]
    Tls,
    /// The request is sent, and the server takes nothing of it.
    #[error("the request could not be sent in time")]
    Request,
    /// From the end of the request to the head of the answer.
    #[error("no answer in time")]
    Answer,
    /// Between two pieces of the body of the answer.
    #[error("the body of the answer did not come in time")]
    Body,
    /// All of it, with redirects and repeats.
    #[error("it took too long")]
    Total,
}
