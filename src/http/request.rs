use super::connection::Connection;
use super::exchange::{Exchange, Sent};
use super::target;
use super::wire::request::RequestHead;
use super::{Body, Response, ServerRef};
use super::{Incoming, Outgoing, Responder};
use crate::LoopHandle;
use crate::callback::CallbackResult;
use crate::stream::{Handler, StreamShare};
use ::http::{HeaderMap, Method, StatusCode, Version};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

/// What came of a request.
pub(super) struct Received {
    head: RequestHead,
    headers: OnceCell<HeaderMap>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<Box<HeaderMap>>,
    peer: Option<SocketAddr>,
}

impl Received {
    pub(super) fn new(head: RequestHead, connection: &Connection) -> Self {
        Received {
            head,
            headers: OnceCell::new(),
            body: Vec::new(),
            trailers: None,
            peer: connection.peer,
        }
    }
}

/// A request, and the duty to answer it.
///
/// It is answered once, by [`respond`](Self::respond) or [`reply`](Self::reply): in the handler,
/// or at any later time on the loop's thread. Dropped unanswered, it is answered 500. When the
/// client has gone, or the server or its base, what was read of it can still be looked at, and
/// answering does nothing.
#[must_use = "dropping it answers 500"]
#[doc(alias = "evhttp_request")]
pub struct Request {
    exchange: Rc<Exchange>,
    received: Received,
    params: Vec<(String, String)>,
}

impl Request {
    pub(super) fn new(
        exchange: Rc<Exchange>,
        received: Received,
        params: Vec<(String, String)>,
    ) -> Self {
        Request {
            exchange,
            received,
            params,
        }
    }

    /// The method.
    #[doc(alias = "evhttp_request_get_command")]
    pub fn method(&self) -> &Method {
        &self.received.head.method
    }

    /// The path as the client sent it, percent escapes included, without the query; always
    /// ASCII. `*` for the `OPTIONS *` of a whole server.
    #[doc(alias = "evhttp_request_get_uri")]
    #[doc(alias = "evhttp_request_get_evhttp_uri")]
    pub fn path(&self) -> &str {
        &self.received.head.target.path
    }

    /// The path with its percent escapes decoded, once. Any bytes may be in it: a `/` or `?`
    /// that was escaped, a NUL, what is not UTF-8.
    #[doc(alias = "evhttp_uridecode")]
    pub fn decoded_path(&self) -> Cow<'_, [u8]> {
        target::decode(self.path())
    }

    /// What follows the first `?`, not decoded; `None` without a `?`.
    pub fn query(&self) -> Option<&str> {
        self.received.head.target.query.as_deref()
    }

    /// The query as a form sends it, decoded: `a=1&b=x+y` is `("a", "1"), ("b", "x y")`. What is
    /// not UTF-8 becomes U+FFFD.
    #[doc(alias = "evhttp_parse_query_str")]
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let query = self.query().unwrap_or("");
        form_urlencoded::parse(query.as_bytes()).into_owned()
    }

    /// What a `{name}` or `{*name}` of the route's pattern stands for in the path, decoded; what
    /// is not UTF-8 becomes U+FFFD.
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The headers.
    #[doc(alias = "evhttp_request_get_input_headers")]
    #[doc(alias = "evhttp_find_header")]
    pub fn headers(&self) -> &HeaderMap {
        let head = &self.received.head;
        self.received.headers.get_or_init(|| head.headers())
    }

    /// The whole body; empty when there is none.
    #[doc(alias = "evhttp_request_get_input_buffer")]
    pub fn body(&self) -> &[u8] {
        &self.received.body
    }

    /// What came behind a chunked body, if anything did.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.received.trailers.as_deref()
    }

    /// HTTP/1.0 or HTTP/1.1.
    pub fn version(&self) -> Version {
        self.received.head.version
    }

    /// The other end of the connection, which may be a proxy; `None` if the system did not say.
    #[doc(alias = "evhttp_connection_get_peer")]
    #[doc(alias = "evhttp_connection_get_addr")]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.received.peer
    }

    /// Whether the connection itself is one of TLS. What the client used before a proxy is
    /// [`scheme`](Self::scheme).
    pub fn is_secure(&self) -> bool {
        self.exchange.connection().secure
    }

    /// Host and port of the target, if it has them, or of the header.
    pub(super) fn authority(&self) -> Option<Cow<'_, str>> {
        let head = &self.received.head;
        if let Some(authority) = &head.target.authority {
            return Some(Cow::Borrowed(authority));
        }
        let host = head.header("host").filter(|host| !host.is_empty())?;
        Some(String::from_utf8_lossy(host))
    }

    /// The loop, to make timers and other objects on.
    pub fn handle(&self) -> &LoopHandle {
        self.exchange.server().handle()
    }

    /// The server that this came to.
    pub fn server(&self) -> &ServerRef {
        self.exchange.server()
    }

    /// Whether the client is known to be gone, so that there is nobody to answer: the connection
    /// broke, or the client closed it or its sending side.
    pub fn is_client_gone(&self) -> bool {
        self.exchange.connection().is_half_gone()
    }

    /// Runs `hook` once, from the loop, when the client goes before its answer is sent: the
    /// connection broke, or the client closed it or its sending side. What is answered after that
    /// is still sent, as far as that is possible.
    pub fn on_disconnect<O: CallbackResult>(&self, hook: impl FnOnce() -> O + 'static) {
        let hook = Box::new(move || hook().outcome());
        self.exchange.on_disconnect(hook);
    }

    /// Runs `hook` once, in a later turn of the loop, when the answer was sent or cannot be:
    /// for an access log. It does not run when the base goes first.
    #[doc(alias = "evhttp_request_set_on_complete_cb")]
    pub fn on_sent<O: CallbackResult>(&self, hook: impl FnOnce(Sent) -> O + 'static) {
        self.exchange
            .on_sent(Box::new(move |sent| hook(sent).outcome()));
    }

    /// The body piece by piece, on a route that is [`streamed`](super::Route::streamed); `None`
    /// when there is none, or when it was read already.
    pub fn incoming(&self) -> Option<Incoming> {
        self.exchange.inlet().map(Incoming::new)
    }

    /// Answers with a body that is made piece by piece. The body that `response` has is not sent.
    /// With a `Content-Length` among its headers that is what has to be sent; without one it is
    /// chunked, or ends with the connection for a client of HTTP/1.0.
    /// A body that is being read goes on meanwhile, until the answer is finished.
    ///
    /// ```
    /// # use libevent2::http::{Request, Response, StatusCode};
    /// fn count(request: Request) {
    ///     let out = request.start(Response::new(StatusCode::OK));
    ///     let mut n = 0;
    ///     // Called again each time when the client has taken what was sent.
    ///     out.on_drain(move |out| {
    ///         n += 1;
    ///         match n {
    ///             1..=1000 => out.send(format!("{n}\n")),
    ///             _ => Ok(out.finish()),
    ///         }
    ///     });
    /// }
    /// ```
    #[doc(alias = "evhttp_send_reply_start")]
    pub fn start(self, response: Response) -> Outgoing {
        self.exchange.start(response);
        Outgoing::new(Rc::clone(&self.exchange))
    }

    /// Ends HTTP on this connection and gives its stream to `handler`, which speaks another
    /// protocol from here on: the client hears 101 with the headers of `response`, among which
    /// `Upgrade` names the protocol. What the client has sent behind its request is in the
    /// stream's input already. The connection still counts among the server's, and is closed with
    /// it.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the client has gone;
    /// [`Error::Invalid`](crate::Error::Invalid) when it cannot be done: the client speaks
    /// HTTP/1.0, or its request has a body that was not read. Then it is answered 400. A client can
    /// bring that about: a handler that returns this error lets it stop the loop, unless there is
    /// an error handler.
    pub fn upgrade(self, response: Response, handler: impl Handler) -> crate::Result<StreamShare> {
        self.exchange.upgrade(response, handler)
    }

    #[cfg(feature = "websocket")]
    pub(super) fn connection(&self) -> &Rc<Connection> {
        self.exchange.connection()
    }

    /// The duty to answer, for another thread.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn into_responder(self) -> crate::Result<Responder> {
        Responder::new(&self.exchange)
    }

    /// Answers. Sending goes on in the background.
    #[doc(alias = "evhttp_send_reply")]
    pub fn respond(self, response: Response) {
        self.exchange.respond(response);
    }

    /// Answers with a status and a body of bytes or text.
    pub fn reply(self, status: StatusCode, body: impl Into<Body>) {
        self.respond(Response::new(status).body(body));
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.exchange.is_answered() && !self.exchange.is_deferred() {
            let page = Response::page(StatusCode::INTERNAL_SERVER_ERROR);
            self.exchange.respond(page);
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("path", &self.path())
            .field("query", &self.query())
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}
