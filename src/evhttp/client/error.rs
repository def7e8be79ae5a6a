//! Why a request has no response.

use crate::Error;
use crate::ffi;
use std::io;
use std::net::SocketAddr;

/// Why a request has no response (C: `enum evhttp_request_error`, and what C has no number for).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[doc(alias = "evhttp_request_error")]
pub enum ClientError {
    /// The server's name could not be looked up.
    #[error("no address to connect to: {0}")]
    Lookup(#[source] Error),

    /// There is no connection: the last of the addresses that were tried, and why not.
    #[error("connecting to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },

    /// Nobody has answered the attempt to connect in time.
    #[error("connecting to {address}: timed out")]
    ConnectTimedOut {
        /// Where to.
        address: SocketAddr,
    },

    /// The local address or port that was set cannot be had.
    #[error("binding the local address: {0}")]
    Bind(#[source] io::Error),

    /// There is no secure connection; what OpenSSL says.
    #[error("TLS with {address}: {reason}")]
    Tls {
        /// With whom.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },

    /// The server took nothing, or sent nothing, for as long as the timeout is.
    #[error("the server was silent for too long")]
    #[doc(alias = "EVREQ_HTTP_TIMEOUT")]
    TimedOut,

    /// The connection ended before the response was complete.
    #[error("the connection ended before the response did")]
    #[doc(alias = "EVREQ_HTTP_EOF")]
    Eof,

    /// What the server has sent is no response, or one that can be read in two ways; or its head is
    /// larger than [`set_max_headers_size`](super::ConnectionRef::set_max_headers_size) allows.
    #[error("bad response: {0}")]
    #[doc(alias = "EVREQ_HTTP_INVALID_HEADER")]
    BadResponse(&'static str),

    /// The body is longer than [`set_max_body_size`](super::ConnectionRef::set_max_body_size)
    /// allows, or its chunks are malformed: libevent 2.1 tells no more, 2.2 says
    /// [`BadResponse`](Self::BadResponse) of chunks.
    #[error("the body is too long, or its chunks are malformed")]
    #[doc(alias = "EVREQ_HTTP_DATA_TOO_LONG")]
    Body,

    /// An interim response (1xx) that evhttp would take for the final one; 101 is among them, as
    /// evhttp cannot change the protocol.
    #[error("the server sent an interim response: {0}")]
    Interim(u16),

    /// The connection's buffers failed.
    #[error("the buffers of the connection failed")]
    #[doc(alias = "EVREQ_HTTP_BUFFER_ERROR")]
    Buffer,

    /// The request's [`on_header`](super::ClientRequest::on_header) did not want the rest.
    #[error("the rest of the response was not wanted")]
    Unwanted,

    /// [`Pending::cancel`](super::Pending::cancel).
    #[error("the request was cancelled")]
    #[doc(alias = "EVREQ_HTTP_REQUEST_CANCEL")]
    Cancelled,

    /// The [`Connection`](super::Connection) was closed or dropped.
    #[error("the connection was closed")]
    Closed,

    /// libevent could not make one of its objects.
    #[error(transparent)]
    Libevent(Error),
}

impl ClientError {
    /// What C's number of an error stands for, of a request that was sent.
    pub(super) fn of(kind: ffi::evhttp_request_error) -> Self {
        match kind {
            ffi::EVREQ_HTTP_TIMEOUT => ClientError::TimedOut,
            ffi::EVREQ_HTTP_INVALID_HEADER => {
                ClientError::BadResponse("it is malformed, or its head too large")
            }
            ffi::EVREQ_HTTP_BUFFER_ERROR => ClientError::Buffer,
            ffi::EVREQ_HTTP_DATA_TOO_LONG => ClientError::Body,
            ffi::EVREQ_HTTP_REQUEST_CANCEL => ClientError::Cancelled,
            _ => ClientError::Eof,
        }
    }
}
