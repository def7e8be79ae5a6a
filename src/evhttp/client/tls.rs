//! Connections over TLS (https).

use super::{Connection, Streams};
use crate::LoopHandle;
use crate::error::Result;
use crate::stream::Resolve;
use crate::stream::tls::Connector;

impl Connection {
    /// One over TLS: the certificate has to be for `host`, as `connector` verifies it.
    ///
    /// `allow_dirty_shutdown` takes an end without TLS's notice for a good one, where the body ends
    /// with the connection: somebody in between may have cut it off. Each time that it connects it
    /// has a TLS connection of its own.
    ///
    /// # Errors
    /// As for [`by`](Self::by). What OpenSSL refuses is told to the request:
    /// [`ClientError::Tls`](super::ClientError::Tls).
    #[doc(alias = "evhttp_connection_base_bufferevent_new")]
    pub fn tls(
        base: &LoopHandle,
        connector: &Connector,
        allow_dirty_shutdown: bool,
        resolve: &Resolve,
        host: &str,
        port: u16,
    ) -> Result<Self> {
        let streams = Streams::Tls {
            connector: connector.clone(),
            allow_dirty_shutdown,
        };
        Self::over(base, resolve, host, port, streams)
    }
}
