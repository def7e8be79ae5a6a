//! What is known of a TLS connection.

use super::super::BufferEventRef;
use super::session::Session;
use ::rustls::pki_types::CertificateDer;
use ::rustls::{Connection, HandshakeKind, ProtocolVersion};
use std::fmt;
use std::rc::Rc;

/// What is known of the TLS connection of a stream. Before
/// [`Connected`](super::super::StreamEvent::Connected) that is little.
#[derive(Clone)]
pub struct Tls<'a> {
    stream: &'a BufferEventRef,
    session: Rc<Session>,
}

impl BufferEventRef {
    /// The TLS connection, of a stream that is one by [`rustls`](crate::stream::rustls) and is open.
    pub fn rustls(&self) -> Option<Tls<'_>> {
        let session = self.rustls_session()?;
        Some(Tls {
            stream: self,
            session,
        })
    }
}

impl Tls<'_> {
    /// Looks at rustls's own object. None from inside a callback of rustls's.
    ///
    /// ```
    /// # fn f(stream: &libevent2::stream::BufferEventRef) -> Option<()> {
    /// let suite = stream.rustls()?.connection(|tls| tls.negotiated_cipher_suite());
    /// # Some(()) }
    /// ```
    pub fn connection<R>(&self, f: impl FnOnce(&Connection) -> R) -> Option<R> {
        let connection = self.session.connection.try_borrow().ok()?;
        Some(f(&connection))
    }

    fn look<R>(&self, f: impl FnOnce(&Connection) -> Option<R>) -> Option<R> {
        self.connection(f).flatten()
    }

    /// The version of the protocol, such as `TLSv1.3`.
    pub fn version(&self) -> Option<&'static str> {
        self.look(|tls| match tls.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            other => other.as_str(),
        })
    }

    /// The name of the cipher, as rustls has it, such as `TLS13_AES_256_GCM_SHA384`.
    pub fn cipher(&self) -> Option<&'static str> {
        self.look(|tls| tls.negotiated_cipher_suite()?.suite().as_str())
    }

    /// The protocol above that both have chosen (ALPN).
    pub fn alpn(&self) -> Option<Vec<u8>> {
        self.look(|tls| tls.alpn_protocol().map(<[u8]>::to_vec))
    }

    /// The certificate that the peer has shown, in DER.
    pub fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        self.look(|tls| tls.peer_certificates()?.first().cloned())
    }

    /// The certificates that the peer has shown, its own first.
    pub fn peer_certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        self.look(|tls| {
            let chain = tls.peer_certificates()?;
            Some(chain.to_vec())
        })
    }

    /// The name that the client asked for (SNI), as a server sees it.
    pub fn server_name(&self) -> Option<String> {
        self.look(|tls| match tls {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        })
    }

    /// Whether an earlier session was taken up again.
    pub fn is_session_reused(&self) -> bool {
        self.look(|tls| tls.handshake_kind()) == Some(HandshakeKind::Resumed)
    }

    /// Whether an end without notice is an [`Eof`](super::super::StreamEvent::Eof) like any other.
    pub fn allows_dirty_shutdown(&self) -> bool {
        self.session.lax.get()
    }

    /// Takes an end without notice for an [`Eof`](super::super::StreamEvent::Eof) like any other:
    /// for a protocol whose messages say themselves how long they are. Otherwise it is an error,
    /// [`StreamError::Tls`](super::super::StreamError::Tls) with `truncated` set.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the stream is closed.
    pub fn set_allow_dirty_shutdown(&self, allow: bool) -> crate::Result<()> {
        self.stream.open()?;
        self.session.lax.set(allow);
        Ok(())
    }
}

impl fmt::Debug for Tls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("version", &self.version())
            .field("cipher", &self.cipher())
            .field("server_name", &self.server_name())
            .finish_non_exhaustive()
    }
}
