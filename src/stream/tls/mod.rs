//! TLS over sockets and over other streams (C: bufferevent_openssl), with the crate `openssl`.
//!
//! A [`Connector`] makes the client's side, an [`Acceptor`] the server's. What they make is a
//! [`BufferEvent`] like any other: [`Connected`](super::StreamEvent::Connected) says that the
//! handshake is complete, the input is what the peer has sent in clear, and
//! [`BufferEventRef::tls`](super::BufferEventRef::tls) tells about certificate, protocol and cipher.
//!
//! | C | Here |
//! |---|---|
//! | `bufferevent_openssl_socket_new` | [`Connector::connect`], [`Connector::connect_host`], [`Acceptor::accept`] |
//! | `bufferevent_openssl_filter_new` | [`Connector::wrap`], [`Acceptor::wrap`], [`wrap_ssl`] |
//! | `bufferevent_openssl_get_ssl` | [`Tls::ssl`] |
//! | `bufferevent_openssl_set_allow_dirty_shutdown` | [`Tls::set_allow_dirty_shutdown`] |
//! | `bufferevent_get_openssl_error` | [`StreamError::Tls`](super::StreamError::Tls) |
//!
//! # What is on without asking
//!
//! - A client verifies the server's certificate and its host name, and sends the name (SNI).
//! - TLS 1.2 is the least that is spoken, and no peer can renegotiate.
//! - A peer that ends the connection without the notice that TLS demands (`close_notify`) is
//!   reported as an error with `truncated` set: somebody in between may have cut the end off.
//!   [`Tls::set_allow_dirty_shutdown`] makes it a plain
//!   [`Eof`](super::StreamEvent::Eof).
//! - [`close_when_flushed`](super::BufferEventRef::close_when_flushed) and
//!   [`shutdown_write`](super::BufferEventRef::shutdown_write) send that notice after the last
//!   byte; [`close`](super::BufferEventRef::close) and drop send it when nothing is left to be sent
//!   or the socket takes all of it at once.
//!
//! [`wrap_ssl`] takes an [`Ssl`] as it is, for whoever wants it otherwise.
//!
//! # Time
//!
//! [`set_timeouts`](super::BufferEventRef::set_timeouts) bounds the handshake as well: the time to
//! write bounds connecting and each flight that is sent, the time to read each that is waited for.
//! Set both, or a peer that says nothing holds the connection open.
//!
//! # What differs from other streams
//!
//! - The input can pass its high watermark by less than one record (16 KiB): libevent takes what
//!   OpenSSL has decrypted.
//! - A stream that is closed while it shakes hands closes its socket a turn of the loop later.
//! - One chunk of the output must be smaller than 2 GiB.
//!
//! # OpenSSL's own callbacks
//!
//! Those set by the crate `openssl` (to verify a certificate, to choose by server name or ALPN, to
//! log keys …) run inside the handshake. They may do anything to the stream. A panic in one of them
//! ends the process: the crate lets none out into C.

mod awaited;
#[cfg(feature = "http")]
pub(crate) mod for_c;
mod handshake;
mod last;
mod open;
mod reason;
mod session;
mod sys;
mod view;

pub use open::{Role, wrap_ssl};
#[cfg(feature = "http")]
pub(crate) use sys::set_modes;
pub use view::Tls;

use super::{BufferEvent, Handler, Socket};
use crate::LoopHandle;
use crate::error::{Error, Result};
use awaited::over;
use open::over_socket;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslAcceptor, SslConnector, SslFiletype, SslMethod, SslVersion};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

/// Makes the client's side of TLS connections. Cheap to clone; all share one context and with it
/// the sessions, where the program keeps them.
///
/// ```no_run
/// use libevent2::EventBase;
/// use libevent2::stream::tls::Connector;
/// use libevent2::stream::{Callbacks, StreamEvent};
///
/// let mut base = EventBase::new()?;
/// let handler = Callbacks::new()
///     .on_read(|stream| println!("{}", String::from_utf8_lossy(&stream.input().take().to_vec())))
///     .on_event(|stream, event| match event {
///         StreamEvent::Connected => println!("{:?}", stream.tls().and_then(|tls| tls.version())),
///         StreamEvent::Failed(error) => eprintln!("{error}"),
///         _ => stream.close(),
///     });
/// let stream = Connector::new()?.connect_host(&base, "www.example.org", 443, handler)?;
/// stream.write(b"GET / HTTP/1.0\r\nHost: www.example.org\r\n\r\n")?;
/// base.run()?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Clone)]
pub struct Connector(SslConnector);

impl Connector {
    /// One that trusts what the system trusts. `SslConnector::builder` makes others, for
    /// [`Connector::from`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when OpenSSL refuses.
    pub fn new() -> Result<Self> {
        let builder = SslConnector::builder(SslMethod::tls_client()).map_err(refused)?;
        Ok(Connector(builder.build()))
    }

    /// A stream to an address, whose certificate has to be for `host`: a name, or the text of an
    /// IP address. It connects first; see [`BufferEvent::connect`].
    ///
    /// # Errors
    /// As for [`BufferEvent::connect`]; [`Error::Invalid`] when OpenSSL refuses the name.
    #[doc(alias = "bufferevent_openssl_socket_new")]
    pub fn connect(
        &self,
        base: &LoopHandle,
        address: SocketAddr,
        host: &str,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        let ssl = self.ssl(host)?;
        let stream = BufferEvent::connect(base, address, super::Unset)?;
        over(stream, ssl, Role::Client, handler)
    }

    /// A stream to a host, whose certificate has to be for that name. It is looked up and
    /// connected to first; see [`BufferEvent::connect_host`].
    ///
    /// # Errors
    /// As for [`BufferEvent::connect_host`]; [`Error::Invalid`] when OpenSSL refuses the name.
    #[doc(alias = "bufferevent_openssl_socket_new")]
    pub fn connect_host(
        &self,
        base: &LoopHandle,
        host: &str,
        port: u16,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        let ssl = self.ssl(host)?;
        let stream = BufferEvent::connect_host(base, host, port, super::Unset)?;
        over(stream, ssl, Role::Client, handler)
    }

    /// TLS over a stream, which may still be connecting; the certificate has to be for `host`. See
    /// [`wrap_ssl`].
    ///
    /// # Errors
    /// As for [`wrap_ssl`]; [`Error::Invalid`] when OpenSSL refuses the name.
    #[doc(alias = "bufferevent_openssl_filter_new")]
    pub fn wrap(
        &self,
        stream: BufferEvent,
        host: &str,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        over(stream, self.ssl(host)?, Role::Client, handler)
    }

    pub(crate) fn ssl(&self, host: &str) -> Result<Ssl> {
        let ssl = self.0.configure().and_then(|ssl| ssl.into_ssl(host));
        careful(ssl)
    }
}

impl From<SslConnector> for Connector {
    fn from(connector: SslConnector) -> Self {
        Connector(connector)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Makes the server's side of TLS connections. Cheap to clone; all share one context.
///
/// ```no_run
/// use libevent2::stream::Callbacks;
/// use libevent2::stream::tls::Acceptor;
/// use libevent2::{EventBase, Listener};
///
/// let mut base = EventBase::new()?;
/// let acceptor = Acceptor::from_pem("chain.pem", "key.pem")?;
/// let handle = base.handle().clone();
/// let listener = Listener::bind(&base, "127.0.0.1:8443".parse().unwrap(), move |_, accepted| {
///     let echo = Callbacks::new()
///         .on_read(|stream| stream.output().append_from(&stream.input()))
///         .on_event(|stream, event| if event.is_end() { stream.close_when_flushed() });
///     acceptor.accept(&handle, accepted, echo).map(|stream| stream.detach())
/// })?;
/// base.run()?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Clone)]
pub struct Acceptor(SslAcceptor);

impl Acceptor {
    /// One with a certificate chain and its private key, from PEM files, and the settings that
    /// Mozilla calls intermediate. `SslAcceptor` makes others, for [`Acceptor::from`].
    ///
    /// # Errors
    /// [`Error::Invalid`], in OpenSSL's words, when the files cannot be read or do not fit.
    pub fn from_pem(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let wrong = |path: &Path, error: ErrorStack| {
            Error::invalid("certificate", format!("{}: {error}", path.display()))
        };
        let mut builder =
            SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).map_err(refused)?;
        builder
            .set_certificate_chain_file(chain)
            .map_err(|error| wrong(chain, error))?;
        builder
            .set_private_key_file(key, SslFiletype::PEM)
            .and_then(|()| builder.check_private_key())
            .map_err(|error| wrong(key, error))?;
        Ok(Acceptor(builder.build()))
    }

    /// A stream over a connection that was accepted.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone; [`Error::Os`] when the descriptor cannot be
    /// watched; [`Error::Invalid`] when OpenSSL refuses.
    #[doc(alias = "bufferevent_openssl_socket_new")]
    pub fn accept(
        &self,
        base: &LoopHandle,
        socket: impl Into<Socket>,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        let stream = over_socket(base, self.ssl()?, Role::Server, Box::new(handler))?;
        let (fd, peer) = socket.into().into_parts();
        stream.begin_tls(fd, peer)?;
        Ok(stream)
    }

    /// TLS over a stream. See [`wrap_ssl`].
    ///
    /// # Errors
    /// As for [`wrap_ssl`]; [`Error::Invalid`] when OpenSSL refuses.
    #[doc(alias = "bufferevent_openssl_filter_new")]
    pub fn wrap(&self, stream: BufferEvent, handler: impl Handler) -> Result<BufferEvent> {
        over(stream, self.ssl()?, Role::Server, handler)
    }

    fn ssl(&self) -> Result<Ssl> {
        careful(Ssl::new(self.0.context()))
    }
}

impl From<SslAcceptor> for Acceptor {
    fn from(acceptor: SslAcceptor) -> Self {
        Acceptor(acceptor)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

fn refused(error: ErrorStack) -> Error {
    Error::invalid("TLS", error.to_string())
}

/// The number of TLS 1.2, as OpenSSL and the protocol have it.
const TLS_1_2: std::os::raw::c_long = 0x303;

/// What is on without asking.
fn careful(ssl: Result<Ssl, ErrorStack>) -> Result<Ssl> {
    let mut ssl = ssl.map_err(refused)?;
    sys::refuse_renegotiation(&mut ssl);
    if sys::least_version(&ssl) < TLS_1_2 {
        ssl.set_min_proto_version(Some(SslVersion::TLS1_2))
            .map_err(refused)?;
    }
    Ok(ssl)
}
