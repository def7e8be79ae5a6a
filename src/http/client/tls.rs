//! Which TLS there is.

use crate::error::Result;
use crate::stream::{BufferEvent, Handler};

/// What makes the TLS connections of a client: a `Connector` of `stream::rustls` or of
/// `stream::tls`, by `From`. It verifies as that one does.
#[derive(Debug, Clone)]
pub struct ClientTls(Kind);

#[derive(Debug, Clone)]
enum Kind {
    #[cfg(feature = "rustls")]
    Rustls(crate::stream::rustls::Connector),
    #[cfg(feature = "openssl")]
    Openssl(crate::stream::tls::Connector),
}

impl ClientTls {
    /// One that trusts what the system trusts. Nobody has TLS without one of the features.
    pub(super) fn new() -> Result<Self> {
        #[cfg(feature = "rustls")]
        return Ok(crate::stream::rustls::Connector::new()?.into());
        #[cfg(all(feature = "openssl", not(feature = "rustls")))]
        return Ok(crate::stream::tls::Connector::new()?.into());
        #[cfg(not(any(feature = "openssl", feature = "rustls")))]
        Err(crate::Error::invalid(
            "https",
            "it needs the feature `rustls` or `openssl` of libevent2",
        ))
    }

    pub(super) fn wrap(
        &self,
        stream: BufferEvent,
        host: &str,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        #[cfg(not(any(feature = "openssl", feature = "rustls")))]
        let _ = (&stream, host, &handler);
        match self.0 {
            #[cfg(feature = "rustls")]
            Kind::Rustls(ref connector) => connector.wrap(stream, host, handler),
            #[cfg(feature = "openssl")]
            Kind::Openssl(ref connector) => connector.wrap(stream, host, handler),
        }
    }
}

#[cfg(feature = "rustls")]
impl From<crate::stream::rustls::Connector> for ClientTls {
    fn from(connector: crate::stream::rustls::Connector) -> Self {
        ClientTls(Kind::Rustls(connector))
    }
}

#[cfg(feature = "openssl")]
impl From<crate::stream::tls::Connector> for ClientTls {
    fn from(connector: crate::stream::tls::Connector) -> Self {
        ClientTls(Kind::Openssl(connector))
    }
}
