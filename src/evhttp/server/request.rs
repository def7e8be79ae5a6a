//! Requests, as handlers get them.

use super::exchange::{Exchange, Sent};
use super::incoming::Received;
use super::outgoing::Head;
use super::{Reply, ServerRef};
use crate::callback::CallbackResult;
use crate::error::Result;
use crate::evhttp::Uri;
use crate::{Buffer, LoopHandle};
use ::http::{HeaderMap, Method, Version};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

/// A request, and the duty to answer it.
///
/// It is answered once: by [`reply`](Self::reply), [`error`](Self::error), or piece by piece after
/// [`start`](Self::start); in the handler, or at any later time on the loop's thread. Dropped
/// unanswered, it is answered 500. When the client has gone, or the server or its base, what was
/// read of it can still be looked at, and answering does nothing.
///
/// While a request waits for its answer nothing is read from the connection, so that a client that
/// goes is noticed when the answer is sent; [`is_client_gone`](Self::is_client_gone) looks. In the
/// middle of an answer in pieces it is noticed at once, also when it closes its sending side only.
#[must_use = "dropping it answers 500"]
#[doc(alias = "evhttp_request")]
pub struct Request {
    exchange: Rc<Exchange>,
    received: Received,
    output: HeaderMap,
}

impl Request {
    pub(super) fn new(exchange: Rc<Exchange>, received: Received) -> Self {
        Request {
            exchange,
            received,
            output: HeaderMap::new(),
        }
    }

    // --- what was asked ---------------------------------------------------------------------

    /// The method.
    #[doc(alias = "evhttp_request_get_command")]
    pub fn method(&self) -> &Method {
        &self.received.method
    }

    /// What stood between the method and the version: a path with its query, nothing decoded, or
    /// a URI with a host. Always ASCII: bytes that the client did not escape are escaped here.
    #[doc(alias = "evhttp_request_get_uri")]
    pub fn uri(&self) -> &str {
        &self.received.target
    }

    /// The same, taken apart.
    #[doc(alias = "evhttp_request_get_evhttp_uri")]
    pub fn parsed_uri(&self) -> &Uri {
        &self.received.uri
    }

    /// The host without a port, from the URI or from the header `Host`.
    #[doc(alias = "evhttp_request_get_host")]
    pub fn host(&self) -> Option<&str> {
        self.received.host.as_deref()
    }

    /// HTTP/1.0 or HTTP/1.1.
    pub fn version(&self) -> Version {
        self.received.version
    }

    /// The headers that came.
    #[doc(alias = "evhttp_request_get_input_headers")]
    #[doc(alias = "evhttp_find_header")]
    pub fn headers(&self) -> &HeaderMap {
        &self.received.headers
    }

    /// The whole body; empty when there is none.
    #[doc(alias = "evhttp_request_get_input_buffer")]
    pub fn body(&self) -> &Buffer {
        &self.received.body
    }

    /// The same, to be taken apart: a long body can be moved on without a copy.
    pub fn body_mut(&mut self) -> &mut Buffer {
        &mut self.received.body
    }

    /// The other end of the connection, which may be a proxy; `None` if the system did not say.
    #[doc(alias = "evhttp_connection_get_peer")]
    #[doc(alias = "evhttp_connection_get_addr")]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.received.peer
    }

    /// The loop, to make timers and other objects on.
    #[doc(alias = "evhttp_connection_get_base")]
    pub fn handle(&self) -> &LoopHandle {
        self.exchange.server().handle()
    }

    /// The server that the client has connected to, which is not the virtual host.
    #[doc(alias = "evhttp_connection_get_server")]
    #[doc(alias = "evhttp_request_get_connection")]
    pub fn server(&self) -> &ServerRef {
        self.exchange.server()
    }

    /// Whether the client is known to be gone, so that there is nobody to answer: the connection
    /// broke, or the client closed it or its sending side.
    pub fn is_client_gone(&self) -> bool {
        self.exchange.is_client_gone()
    }

    /// Runs `hook` once, in a later turn of the loop, when the answer was sent or cannot be. It
    /// does not run when the base goes first.
    #[doc(alias = "evhttp_request_set_on_complete_cb")]
    pub fn on_complete<O: CallbackResult>(&self, hook: impl FnOnce(Sent) -> O + 'static) {
        self.exchange
            .on_complete(Box::new(move |sent| hook(sent).outcome()));
    }

    /// Runs `hook` once, in a later turn of the loop, when the connection is closed: by the client,
    /// for want of a further request, or with the server. It does not run when the base goes first.
    #[doc(alias = "evhttp_connection_set_closecb")]
    pub fn on_close<O: CallbackResult>(&self, hook: impl FnOnce(&LoopHandle) -> O + 'static) {
        self.exchange
            .on_close(Box::new(move |handle| hook(handle).outcome()));
    }

    // --- the answer -------------------------------------------------------------------------

    /// The headers to answer with. What frames the body is set by the answer itself: a
    /// `Content-Length` counts in [`start`](Self::start) only, and in the answer to a HEAD
    /// request; a `Transfer-Encoding` never.
    #[doc(alias = "evhttp_request_get_output_headers")]
    #[doc(alias = "evhttp_add_header")]
    #[doc(alias = "evhttp_remove_header")]
    #[doc(alias = "evhttp_clear_headers")]
    pub fn output_headers(&mut self) -> &mut HeaderMap {
        &mut self.output
    }

    /// Answers with a status, its reason (`None` for the usual words), and a body. Sending goes
    /// on in the background. A body that the status or the method does not allow is left out.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a status that is none (200 to 999 are), a
    /// reason with a control character, or a frozen body: the answer is 500 then.
    #[doc(alias = "evhttp_send_reply")]
    #[doc(alias = "evhttp_request_get_output_buffer")]
    pub fn reply<'a>(
        mut self,
        status: u16,
        reason: impl Into<Option<&'a str>>,
        body: impl Into<Buffer>,
    ) -> Result<()> {
        let head = Head::new(status, reason.into(), std::mem::take(&mut self.output))?;
        self.exchange.reply(head, body.into())
    }

    /// Answers with a page that says what the status means, and closes the connection after it.
    /// The headers set before are left out.
    ///
    /// # Errors
    /// As for [`reply`](Self::reply).
    #[doc(alias = "evhttp_send_error")]
    pub fn error<'a>(self, status: u16, reason: impl Into<Option<&'a str>>) -> Result<()> {
        let head = Head::new(status, reason.into(), HeaderMap::new())?;
        self.exchange.error(head)
    }

    /// Begins an answer whose body follows piece by piece: in chunks, or as it is when its
    /// `Content-Length` is among the headers or the client speaks HTTP/1.0.
    ///
    /// # Errors
    /// As for [`reply`](Self::reply), and for a `Content-Length` that is no number.
    #[doc(alias = "evhttp_send_reply_start")]
    pub fn start<'a>(mut self, status: u16, reason: impl Into<Option<&'a str>>) -> Result<Reply> {
        let head = Head::new(status, reason.into(), std::mem::take(&mut self.output))?;
        self.exchange.start(head)?;
        Ok(Reply::new(Rc::clone(&self.exchange)))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.exchange.is_answered() {
            self.exchange.refuse(500);
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("uri", &self.uri())
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}
