//! TLS without OpenSSL: over a [`Filter`](super::Filter), with the crate `rustls`.
//!
//! A [`Connector`] makes the client's side, an [`Acceptor`] the server's, as those of the module
//! `tls` do, which the feature `openssl` brings: a program that uses nothing of OpenSSL's own
//! changes one `use` line. Both may be on at once.
//!
//! What they make is a [`BufferEvent`] like any other:
//! [`Connected`](super::StreamEvent::Connected) says that the handshake is complete, the input is
//! what the peer has sent in clear, and [`BufferEventRef::rustls`](super::BufferEventRef::rustls)
//! tells about certificates, protocol and cipher.
//!
//! # Why a filter
//!
//! rustls does no input and output: it turns bytes into other bytes, which is what a filter does. As
//! one it needs no engine of its own beside libevent's. There is one kind of stream, with the same
//! watermarks, timeouts, order of events, closing and re-entrancy, and TLS goes over sockets, pairs,
//! other filters and TLS again alike. What it costs is one more copy than OpenSSL makes over a socket.
//! rustls and all of this is Rust; the arithmetic of the ciphers is that of `ring`.
//!
//! # What is on without asking
//!
//! - A client verifies the server's certificate and its host name, and sends the name (SNI).
//!   [`Connector::new`] trusts the certificates of the system, as `rustls-native-certs` finds them:
//!   the same verifier, and the same words for what it refuses, on every system.
//! - TLS 1.2 is the least that is spoken, and nobody can renegotiate: rustls has no such thing.
//! - A peer that ends the connection without the notice that TLS demands (`close_notify`) is
//!   reported as an error with `truncated` set: somebody in between may have cut the end off.
//!   [`Tls::set_allow_dirty_shutdown`] makes it a plain [`Eof`](super::StreamEvent::Eof).
//! - [`close_when_flushed`](super::BufferEventRef::close_when_flushed) and
//!   [`shutdown_write`](super::BufferEventRef::shutdown_write) send that notice after the last byte;
//!   [`close`](super::BufferEventRef::close) and drop send it when little is left to be sent.
//! - A peer that breaks the rules is told why (an alert), and its connection alone fails.
//!
//! `From<Arc<ClientConfig>>` and `From<Arc<ServerConfig>>` take rustls's own configuration, for
//! whoever wants it otherwise.
//!
//! # Time and memory
//!
//! [`set_timeouts`](super::BufferEventRef::set_timeouts) bounds the handshake as well. Set both, or
//! a peer that says nothing holds the connection open.
//!
//! The high watermark for reading holds to the byte; what is above it waits as it was received, but
//! for one record. That for writing, which bounds what waits for the socket encrypted, is
//! 64 KiB until it is set.
//!
//! # rustls's own callbacks
//!
//! What a configuration brings (to verify a certificate, to choose one, to log keys …) runs inside
//! the loop with no frame of C's in between. It may do anything to the stream, and panic as any other
//! callback.

mod filter;
mod session;
mod view;

pub(super) use session::Session;
pub use view::Tls;

use super::{BufferEvent, Direction, Handler, Socket, Unset};
use crate::LoopHandle;
use crate::error::{Error, Result};
use ::rustls::client::ClientConnection;
use ::rustls::crypto::ring;
use ::rustls::pki_types::pem::PemObject;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use ::rustls::server::ServerConnection;
use ::rustls::{ClientConfig, Connection, RootCertStore, ServerConfig};
use filter::TlsFilter;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// How much waits in the stream below at most, so that memory is bounded, and the output tells how
/// much there is still to be sent.
const WAITS_BELOW: usize = 64 * 1024;

/// Makes the client's side of TLS connections. Cheap to clone; all share one configuration and with
/// it the sessions that can be resumed.
///
/// ```no_run
/// use libevent2::EventBase;
/// use libevent2::stream::rustls::Connector;
/// use libevent2::stream::{Callbacks, StreamEvent};
///
/// let mut base = EventBase::new()?;
/// let handler = Callbacks::new()
///     .on_read(|stream| println!("{}", String::from_utf8_lossy(&stream.input().take().to_vec())))
///     .on_event(|stream, event| match event {
///         StreamEvent::Connected => println!("{:?}", stream.rustls().and_then(|tls| tls.version())),
///         StreamEvent::Failed(error) => eprintln!("{error}"),
///         _ => stream.close(),
///     });
/// let stream = Connector::new()?.connect_host(&base, "www.example.org", 443, handler)?;
/// stream.write(b"GET / HTTP/1.0\r\nHost: www.example.org\r\n\r\n")?;
/// base.run()?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Clone)]
pub struct Connector(Arc<ClientConfig>);

impl Connector {
    /// One that trusts what the system trusts, which it reads from there: make one, and clone it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the system has no certificate that can be read.
    pub fn new() -> Result<Self> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = match found.errors.first() {
                Some(error) => error.to_string(),
                None => "the system has none to trust".to_owned(),
            };
            return Err(Error::invalid("certificates", why));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Connector(Arc::new(config)))
    }

    /// A stream to an address, whose certificate has to be for `host`: a name, or the text of an
    /// IP address. It connects first; see [`BufferEvent::connect`].
    ///
    /// # Errors
    /// As for [`BufferEvent::connect`]; [`Error::Invalid`] when the name cannot be one.
    pub fn connect(
        &self,
        base: &LoopHandle,
        address: SocketAddr,
        host: &str,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        let connection = self.connection(host)?;
        let stream = BufferEvent::connect(base, address, Unset)?;
        over(stream, connection, handler)
    }

    /// A stream to a host, whose certificate has to be for that name. It is looked up and
    /// connected to first; see [`BufferEvent::connect_host`].
    ///
    /// # Errors
    /// As for [`BufferEvent::connect_host`]; [`Error::Invalid`] when the name cannot be one.
    pub fn connect_host(
        &self,
        base: &LoopHandle,
        host: &str,
        port: u16,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        let connection = self.connection(host)?;
        let stream = BufferEvent::connect_host(base, host, port, Unset)?;
        over(stream, connection, handler)
    }

    /// TLS over a stream, which may still be connecting; the certificate has to be for `host`.
    ///
    /// The stream is consumed, as by [`BufferEvent::filter`]. What is in its input is the peer's
    /// part of the handshake; what is in its output goes out in clear, before it.
    ///
    /// # Errors
    /// As for [`BufferEvent::filter`]; [`Error::Invalid`] when the name cannot be one.
    pub fn wrap(
        &self,
        stream: BufferEvent,
        host: &str,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        over(stream, self.connection(host)?, handler)
    }

    fn connection(&self, host: &str) -> Result<Connection> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| Error::invalid("host", format!("{host:?}: {error}")))?;
        let connection = ClientConnection::new(self.0.clone(), name).map_err(refused)?;
        Ok(connection.into())
    }
}

impl From<Arc<ClientConfig>> for Connector {
    fn from(config: Arc<ClientConfig>) -> Self {
        Connector(config)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Makes the server's side of TLS connections. Cheap to clone; all share one configuration.
///
/// ```no_run
/// use libevent2::stream::Callbacks;
/// use libevent2::stream::rustls::Acceptor;
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
pub struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    /// One with a certificate chain and its private key, from PEM files.
    ///
    /// # Errors
    /// [`Error::Invalid`], in rustls's words, when the files cannot be read or do not fit.
    pub fn from_pem(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let wrong = |path: &Path, error: &dyn fmt::Display| {
            Error::invalid("certificate", format!("{}: {error}", path.display()))
        };
        let certificates = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(chain, &error))?;
        if certificates.is_empty() {
            return Err(wrong(chain, &"there is no certificate in it"));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_no_client_auth()
            .with_single_cert(certificates, private)
            .map_err(|error| wrong(key, &error))?;
        Ok(Acceptor(Arc::new(config)))
    }

    /// A stream over a connection that was accepted.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone; [`Error::Os`] when the descriptor cannot be
    /// watched; [`Error::Invalid`] when rustls refuses the configuration.
    pub fn accept(
        &self,
        base: &LoopHandle,
        socket: impl Into<Socket>,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        let connection = self.connection()?;
        let stream = BufferEvent::from_socket(base, socket, Unset)?;
        over(stream, connection, handler)
    }

    /// TLS over a stream, which is consumed, as by [`BufferEvent::filter`]. What is in its input is
    /// the peer's part of the handshake.
    ///
    /// # Errors
    /// As for [`BufferEvent::filter`]; [`Error::Invalid`] when rustls refuses the configuration.
    pub fn wrap(&self, stream: BufferEvent, handler: impl Handler) -> Result<BufferEvent> {
        over(stream, self.connection()?, handler)
    }

    fn connection(&self) -> Result<Connection> {
        let connection = ServerConnection::new(self.0.clone()).map_err(refused)?;
        Ok(connection.into())
    }
}

impl From<Arc<ServerConfig>> for Acceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Acceptor(config)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

fn refused(error: ::rustls::Error) -> Error {
    Error::invalid("TLS", error.to_string())
}

fn over(stream: BufferEvent, connection: Connection, handler: impl Handler) -> Result<BufferEvent> {
    let session = Rc::new(Session::new(connection));
    let stream = BufferEvent::filter(stream, TlsFilter(session.clone()), handler)?;
    stream.with_extra(|extra| extra.rustls = Some(session));
    stream.set_watermarks(Direction::WRITE, 0, WAITS_BELOW)?;
    Ok(stream)
}
