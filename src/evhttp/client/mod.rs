//! C's HTTP client: requests over connections that are kept open.
//!
//! [`node`] has the queue and the loop's turn, [`course`] what becomes of a request, [`link`] the C object of one connection,
//! [`exchange`] that of one request; [`request`] and [`response`] are what goes out and comes in.

mod course;
mod error;
mod exchange;
mod link;
mod node;
mod request;
mod response;
mod settings;
#[cfg(feature = "openssl")]
mod tls;

pub use error::ClientError;
pub use request::{ClientRequest, Pending};
pub use response::{Response, ResponseHead};
pub use settings::ConnectionFlags;

use crate::callback::CallbackResult;
use crate::error::{Error, Result};
use crate::stream::Resolve;
use crate::{LoopHandle, ffi};
use exchange::Exchange;
use link::{Link, Streams};
use node::Node;
use settings::Settings;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

/// A client's connection to one server (C: `struct evhttp_connection`): the owner. What it can do
/// is at [`ConnectionRef`], an example at [`ClientRequest`].
///
/// It connects with its first request, sends requests one after the other, keeps the connection
/// open as long as the server does, and connects again when it is needed. Dropping it
/// [closes](ConnectionRef::close) it.
///
/// # Differences to C
///
/// - Names are looked up by [`Resolve`], without blocking; all addresses of a host are tried, not
///   the first alone.
/// - Each connection to the server has a fresh C object, and retries are counted in Rust: C's own
///   timer can end the process when a request is cancelled.
/// - No closure runs under a frame of C's, so all may do anything (in C, most may not free or
///   cancel).
/// - There are limits from the beginning: 64 KiB of headers, 64 MiB of body.
/// - A response that can be read in two ways is refused: several or odd lengths, a length beside
///   chunks, unknown transfer codings, headers that are none, a status that is no number of three
///   digits, an interim response (1xx) other than 100. Trailers are read and dropped. A body that ends
///   with the connection is read to its end whatever `Connection` says.
/// - `evhttp_connection_free_on_completion` is [`detach`](Self::detach), and
///   [`close`](ConnectionRef::close) when the response is there.
///
/// What no wrapper can do: a response's body is in memory as a whole unless
/// [`on_chunk`](ClientRequest::on_chunk) takes it, which cannot make the server wait; chunk sizes are
/// read as `strtoll` does, signs and `0x` included; lines may end with a bare LF; text behind the
/// digits of a status is not seen, nor are folded headers; chunks with extensions are refused; a
/// server that says 100 unasked and closes at once is not heard to the end. [`http::Client`](crate::http) has none of that.
#[doc(alias = "evhttp_connection")]
#[must_use = "dropping it closes the connection; `detach` gives it to the base"]
pub struct Connection(Option<Rc<ConnectionRef>>);

impl Connection {
    /// One to `host`, a name or an address, which is looked up as the system is configured.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a host or port that cannot be; [`Error::Closed`] when the base is
    /// gone.
    #[doc(alias = "evhttp_connection_base_new")]
    #[doc(alias = "evhttp_connection_new")]
    pub fn new(base: &LoopHandle, host: &str, port: u16) -> Result<Self> {
        Self::by(base, &Resolve::base(), host, port)
    }

    /// One whose name is looked up in this way, such as by a
    /// [`dns::Resolver`](crate::dns::Resolver) of its own: [`Resolve::by`].
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    #[doc(alias = "evhttp_connection_base_new")]
    pub fn by(base: &LoopHandle, resolve: &Resolve, host: &str, port: u16) -> Result<Self> {
        Self::over(base, resolve, host, port, Streams::Plain)
    }

    /// One over bufferevents that C code makes, one for each time that it connects.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    ///
    /// # Safety
    /// What `make` returns is NULL, or a bufferevent of the base that it was given, that has no
    /// descriptor and is nobody else's: it connects as sockets do, such as one of
    /// `bufferevent_socket_new` or `bufferevent_openssl_socket_new`. It is freed with the
    /// connection.
    #[doc(alias = "evhttp_connection_base_bufferevent_new")]
    pub unsafe fn with_streams(
        base: &LoopHandle,
        host: &str,
        port: u16,
        make: impl FnMut(*mut ffi::event_base) -> *mut ffi::bufferevent + 'static,
    ) -> Result<Self> {
        let streams = Streams::Given(Box::new(make));
        Self::over(base, &Resolve::base(), host, port, streams)
    }

    fn over(
        base: &LoopHandle,
        resolve: &Resolve,
        host: &str,
        port: u16,
        streams: Streams,
    ) -> Result<Self> {
        let node = ConnectionRef::create(base, resolve, host, port, streams)?;
        Ok(Connection(Some(node)))
    }

    /// Gives it to its base: it lives until [`close`](ConnectionRef::close) or the end of the base.
    #[doc(alias = "evhttp_connection_free_on_completion")]
    pub fn detach(mut self) {
        if let Some(node) = self.0.take() {
            node.adopt();
        }
    }
}

impl Deref for Connection {
    type Target = ConnectionRef;

    fn deref(&self) -> &ConnectionRef {
        self.0.as_ref().expect("taken only by what consumes it")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(node) = &self.0 {
            node.close();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A client's connection, as everybody but its owner sees it.
pub struct ConnectionRef(Node);

impl ConnectionRef {
    /// The loop that it lives on.
    #[doc(alias = "evhttp_connection_get_base")]
    pub fn handle(&self) -> &LoopHandle {
        &self.0.base
    }

    /// Queues a request. Requests are sent in order, each when the one before has its response.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a method that evhttp does not know, a URI, header name or value that
    /// would be something else on the wire, a length that is not the body's; [`Error::Closed`] when
    /// it is closed. Whatever goes wrong with server and network is for
    /// [`on_done`](ClientRequest::on_done).
    #[doc(alias = "evhttp_make_request")]
    pub fn send(&self, request: ClientRequest) -> Result<Pending> {
        self.open()?;
        let exchange = Exchange::new(self.0.me.clone(), request, &self.authority())?;
        self.enqueue(Rc::clone(&exchange));
        Ok(Pending::new(exchange))
    }

    /// How many requests have no response yet.
    pub fn in_flight(&self) -> usize {
        self.queue_len()
    }

    /// Closes it for good: requests that have no response get [`ClientError::Closed`]. That is done by
    /// the loop, as soon as it runs; until then C's object lives. Closing twice is fine.
    #[doc(alias = "evhttp_connection_free")]
    pub fn close(&self) {
        if self.0.closing.replace(true) {
            return;
        }
        if let Some(me) = self.0.me.upgrade() {
            me.adopt();
        }
        self.wake();
    }

    /// Whether it was closed, by [`close`](Self::close) or by the end of its base.
    pub fn is_closed(&self) -> bool {
        self.0.closing.get()
    }

    /// Runs `callback` whenever the connection to the server goes down: by the server, by an error,
    /// or because the server or a request wanted so; not when [`close`](Self::close) does it.
    #[doc(alias = "evhttp_connection_set_closecb")]
    pub fn on_close<O: CallbackResult>(
        &self,
        mut callback: impl FnMut(&ConnectionRef) -> O + 'static,
    ) {
        let hook = Box::new(move |connection: &ConnectionRef| callback(connection).outcome());
        // One that would never be dropped, if it held this connection, is dropped here.
        if !self.is_closed() {
            let old = self.0.on_close.replace(Some(hook));
            drop(old);
        }
    }

    /// The host and port that it was made for.
    #[doc(alias = "evhttp_connection_get_peer")]
    pub fn peer(&self) -> (&str, u16) {
        (&self.0.host, self.0.port)
    }

    /// The address that it is connected to, or tries to.
    #[doc(alias = "evhttp_connection_get_addr")]
    pub fn addr(&self) -> Option<SocketAddr> {
        self.0.link.borrow().as_ref().and_then(Link::peer_addr)
    }

    /// The present C object, for calls of `ffi`; NULL while there is none. It is another one each
    /// time that it connects, and its requests and callbacks are not to be touched.
    pub fn as_ptr(&self) -> *mut ffi::evhttp_connection {
        let link = self.0.link.borrow();
        link.as_ref().map_or(ptr::null_mut(), Link::raw)
    }

    // --- settings -------------------------------------------------------------------------------

    /// Connects from this address. It cannot be set while there is a connection or a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is one, [`Error::Closed`] when it is closed. An address that
    /// cannot be had is told to the request: [`ClientError::Bind`].
    #[doc(alias = "evhttp_connection_set_local_address")]
    pub fn set_local_address(&self, address: IpAddr) -> Result<()> {
        self.set_while_disconnected(|settings| settings.local_ip = Some(address))
    }

    /// Connects from this port; 0 is any. It cannot be set while there is a connection or a
    /// request.
    ///
    /// # Errors
    /// As for [`set_local_address`](Self::set_local_address).
    #[doc(alias = "evhttp_connection_set_local_port")]
    pub fn set_local_port(&self, port: u16) -> Result<()> {
        self.set_while_disconnected(|settings| settings.local_port = port)
    }

    /// Looks names up in this way from now on, for addresses of this family: `Resolve::base().ipv4()`.
    /// It cannot be set while there is a connection or a request.
    ///
    /// # Errors
    /// As for [`set_local_address`](Self::set_local_address).
    #[doc(alias = "evhttp_connection_set_family")]
    pub fn set_resolve(&self, resolve: &Resolve) -> Result<()> {
        self.set_while_disconnected(|_| ())?;
        drop(self.0.resolve.replace(resolve.clone()));
        Ok(())
    }

    /// What it does in special cases; none at first.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "evhttp_connection_set_flags")]
    pub fn set_flags(&self, flags: ConnectionFlags) -> Result<()> {
        self.set(|settings| settings.flags = flags)?;
        self.apply_limits();
        Ok(())
    }

    /// Gives up when nothing happens for so long: while connecting, while sending, or while waiting
    /// for the response; an idle connection is closed then. `None`, as at first, is 45 s to connect and 50 s for the others. A server that
    /// sends a byte now and then is not ended by it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for zero, [`Error::Closed`] when it is closed.
    #[doc(alias = "evhttp_connection_set_timeout")]
    #[doc(alias = "evhttp_connection_set_timeout_tv")]
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Error::invalid("timeout", "nothing takes no time"));
        }
        self.set(|settings| settings.timeout = timeout)?;
        if let Some(link) = self.0.link.borrow_mut().as_mut() {
            link.set_timeout(&self.0.settings.borrow());
        }
        Ok(())
    }

    /// How often to try again when no address of the host can be connected to, for each request;
    /// `None` is for ever, and 0 the beginning. A name that is not found, a server that fails
    /// verification and a local address that cannot be had are final.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "evhttp_connection_set_retries")]
    pub fn set_retries(&self, retries: Option<u32>) -> Result<()> {
        self.set(|settings| settings.retries = retries)
    }

    /// How long to wait before the first of them: 2 s at first. Each later one waits twice as long
    /// as the one before, an hour at most.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "evhttp_connection_set_initial_retry_tv")]
    pub fn set_initial_retry(&self, pause: Duration) -> Result<()> {
        self.set(|settings| settings.first_pause = pause)
    }

    /// How many bytes status line and headers of a response may have; `None` is any number. More is
    /// [`ClientError::BadResponse`].
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "evhttp_connection_set_max_headers_size")]
    pub fn set_max_headers_size(&self, bytes: Option<usize>) -> Result<()> {
        self.set(|settings| settings.max_headers = bytes)?;
        self.apply_limits();
        Ok(())
    }

    /// How many bytes the body of a response may have; `None` is any number. More is
    /// [`ClientError::Body`].
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "evhttp_connection_set_max_body_size")]
    pub fn set_max_body_size(&self, bytes: Option<usize>) -> Result<()> {
        self.set(|settings| settings.max_body = bytes)?;
        self.apply_limits();
        Ok(())
    }

    fn open(&self) -> Result<()> {
        match self.is_closed() {
            true => Err(Error::Closed { what: "connection" }),
            false => Ok(()),
        }
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) -> Result<()> {
        self.open()?;
        change(&mut self.0.settings.borrow_mut());
        Ok(())
    }

    fn set_while_disconnected(&self, change: impl FnOnce(&mut Settings)) -> Result<()> {
        self.open()?;
        if !self.is_disconnected() {
            let why = "there is a connection, or an attempt at one";
            return Err(Error::invalid("setting", why));
        }
        self.set(change)
    }

    fn apply_limits(&self) {
        if let Some(link) = self.0.link.borrow().as_ref() {
            // SAFETY: alive.
            unsafe { self.0.settings.borrow().apply_limits(link.raw()) };
        }
    }

    /// What the `Host` header says.
    fn authority(&self) -> String {
        let (host, port) = self.peer();
        let host = match host.contains(':') && !host.starts_with('[') {
            // A zone is for this machine only.
            true => format!("[{}]", host.split('%').next().unwrap_or(host)),
            false => host.to_owned(),
        };
        match port == self.0.default_port {
            true => host,
            false => format!("{host}:{port}"),
        }
    }
}

impl fmt::Debug for ConnectionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionRef")
            .field("host", &self.0.host)
            .field("port", &self.0.port)
            .field("in_flight", &self.in_flight())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
