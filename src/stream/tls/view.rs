//! What is known of a TLS connection.

use super::super::BufferEventRef;
use super::super::node::Form;
use super::sys;
use crate::error::{Error, Result};
use crate::ffi::ssl as ffi_ssl;
use openssl::ssl::{NameType, SslRef};
use openssl::x509::X509;
use std::fmt;
use std::os::raw::c_int;

/// What is known of the TLS connection of a stream. Before
/// [`Connected`](super::super::StreamEvent::Connected) that is little.
#[derive(Clone, Copy)]
pub struct Tls<'a>(&'a BufferEventRef);

impl BufferEventRef {
    /// The TLS connection, of a stream that is one and is open.
    #[doc(alias = "bufferevent_openssl_get_ssl")]
    pub fn tls(&self) -> Option<Tls<'_>> {
        (self.form == Form::Tls && !self.is_closed()).then_some(Tls(self))
    }
}

impl Tls<'_> {
    /// Looks at OpenSSL's own object.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed.
    #[doc(alias = "bufferevent_openssl_get_ssl")]
    pub fn ssl<R>(&self, f: impl FnOnce(&SslRef) -> R) -> Result<R> {
        let raw = self.0.open()?;
        // SAFETY: alive, and over TLS.
        let ssl = unsafe { sys::ssl_of(raw) };
        // Counted: `f` may do anything to the stream.
        let ssl = ssl.ok_or(Error::Closed { what: "stream" })?;
        Ok(f(&ssl))
    }

    fn look<R>(&self, f: impl FnOnce(&SslRef) -> Option<R>) -> Option<R> {
        self.ssl(f).ok().flatten()
    }

    /// The version of the protocol, such as `TLSv1.3`.
    pub fn version(&self) -> Option<&'static str> {
        self.look(|ssl| Some(ssl.version_str()))
    }

    /// The name of the cipher.
    pub fn cipher(&self) -> Option<&'static str> {
        self.look(|ssl| ssl.current_cipher().map(|cipher| cipher.name()))
    }

    /// The protocol above that both have chosen (ALPN).
    pub fn alpn(&self) -> Option<Vec<u8>> {
        self.look(|ssl| ssl.selected_alpn_protocol().map(<[u8]>::to_vec))
    }

    /// The certificate that the peer has shown.
    pub fn peer_certificate(&self) -> Option<X509> {
        self.look(|ssl| ssl.peer_certificate())
    }

    /// The name that the client asked for (SNI), as a server sees it.
    pub fn server_name(&self) -> Option<String> {
        self.look(|ssl| ssl.servername(NameType::HOST_NAME).map(str::to_owned))
    }

    /// Whether an earlier session was taken up again.
    pub fn is_session_reused(&self) -> bool {
        self.ssl(SslRef::session_reused).unwrap_or(false)
    }

    /// Whether an end without notice is an [`Eof`](super::super::StreamEvent::Eof) like any other.
    #[doc(alias = "bufferevent_openssl_get_allow_dirty_shutdown")]
    pub fn allows_dirty_shutdown(&self) -> bool {
        let allows = self.0.with(|raw| {
            // SAFETY: alive.
            unsafe { ffi_ssl::bufferevent_openssl_get_allow_dirty_shutdown(raw) }
        });
        allows.is_ok_and(|allows| allows == 1)
    }

    /// Takes an end without notice for an [`Eof`](super::super::StreamEvent::Eof) like any other:
    /// for a protocol whose messages say themselves how long they are. Otherwise it is an error,
    /// [`StreamError::Tls`](super::super::StreamError::Tls) with `truncated` set.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed.
    #[doc(alias = "bufferevent_openssl_set_allow_dirty_shutdown")]
    pub fn set_allow_dirty_shutdown(&self, allow: bool) -> Result<()> {
        self.0.with(|raw| {
            // SAFETY: alive.
            unsafe {
                ffi_ssl::bufferevent_openssl_set_allow_dirty_shutdown(raw, c_int::from(allow));
            }
        })
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
