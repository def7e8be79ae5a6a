//! What happens to a connection.

use super::Direction;
use crate::error::BoxError;
use crate::listener::Address;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};

/// What has happened to a stream, as its handler hears of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamEvent {
    /// The connection is there; for TLS: its handshake is done.
    #[doc(alias = "BEV_EVENT_CONNECTED")]
    Connected,
    /// The peer has sent all that it will send, and reading is disabled. What is left in the
    /// input can still be read, and one can still write: half of the connection may be open.
    #[doc(alias = "BEV_EVENT_EOF")]
    Eof,
    /// Nothing was read, or none of the output was sent, for as long as
    /// [`set_timeouts`](super::BufferEventRef::set_timeouts) allows. That direction is disabled.
    #[doc(alias = "BEV_EVENT_TIMEOUT")]
    TimedOut(Direction),
    /// The connection is broken, or was never made.
    #[doc(alias = "BEV_EVENT_ERROR")]
    Failed(StreamError),
    /// The stream was closed by us: what
    /// [`close_when_flushed`](super::BufferEventRef::close_when_flushed) began is complete.
    Closed,
}

impl StreamEvent {
    /// Whether the connection cannot go on as it was: everything but
    /// [`Connected`](StreamEvent::Connected).
    pub fn is_end(&self) -> bool {
        !matches!(self, StreamEvent::Connected)
    }
}

/// Why a connection broke, and whose it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Nobody listens there.
    #[error("{peer}: connection refused")]
    Refused {
        /// Whom it was to reach.
        peer: Peer,
    },
    /// The peer has broken off the connection, and what was on the way may be lost.
    #[error("{peer}: connection reset by peer")]
    Reset {
        /// The other end.
        peer: Peer,
    },
    /// It could not be made in the time that there was.
    #[error("{peer}: no connection in time")]
    ConnectTimedOut {
        /// Whom it was to reach.
        peer: Peer,
    },
    /// Its name could not be turned into an address.
    #[error("{peer}: {source}")]
    Lookup {
        /// Whom it was to reach.
        peer: Peer,
        /// What the lookup said: [`Error::Dns`](crate::Error::Dns), or
        /// [`Error::Lookup`](crate::Error::Lookup) from the system's resolver.
        source: crate::Error,
    },
    /// TLS failed: the handshake, the certificate, or a record that is wrong.
    #[error("{peer}: TLS: {reason}")]
    Tls {
        /// The other end.
        peer: Peer,
        /// In the words of the TLS library.
        reason: String,
        /// Whether the peer ended the connection without the notice that TLS demands, so that
        /// what came may not be all: an attacker can do that.
        truncated: bool,
    },
    /// A filter could not go on.
    #[error("{peer}: filter: {source}")]
    Filter {
        /// The other end.
        peer: Peer,
        /// What the filter returned.
        source: BoxError,
    },
    /// Any other error of the system.
    #[error("{peer}: {source}")]
    Io {
        /// The other end.
        peer: Peer,
        /// The system's error.
        source: io::Error,
    },
}

impl StreamError {
    /// An error of the system, by its number.
    pub(super) fn from_os(peer: Peer, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused => StreamError::Refused { peer },
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => StreamError::Reset { peer },
            _ => StreamError::Io { peer, source },
        }
    }

    /// The other end.
    pub fn peer(&self) -> &Peer {
        match self {
            StreamError::Refused { peer }
            | StreamError::Reset { peer }
            | StreamError::ConnectTimedOut { peer }
            | StreamError::Lookup { peer, .. }
            | StreamError::Tls { peer, .. }
            | StreamError::Filter { peer, .. }
            | StreamError::Io { peer, .. } => peer,
        }
    }
}

/// The other end of a stream, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Peer {
    /// A stream without an address: one of a pair, or a socket whose peer has no name.
    #[default]
    Unnamed,
    /// Where its socket is.
    Address(Address),
    /// A host and a port, for a connection by name.
    Host(String),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Unnamed => f.write_str("unnamed peer"),
            Peer::Address(address) => address.fmt(f),
            Peer::Host(name) => name.fmt(f),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Peer::Address(Address::Ip(address))
    }
}

impl From<Address> for Peer {
    fn from(address: Address) -> Self {
        match address {
            Address::Unix(None) => Peer::Unnamed,
            address => Peer::Address(address),
        }
    }
}

/// Where a stream keeps its peer: as small as that is for IPv4.
#[derive(Default)]
pub(super) struct PeerSlot(Cell<Stored>);

#[derive(Default)]
enum Stored {
    #[default]
    Unnamed,
    V4(SocketAddrV4),
    Other(Box<Peer>),
}

impl PeerSlot {
    pub(super) fn replace(&self, peer: Peer) {
        self.0.set(match peer {
            Peer::Unnamed => Stored::Unnamed,
            Peer::Address(Address::Ip(SocketAddr::V4(address))) => Stored::V4(address),
            peer => Stored::Other(Box::new(peer)),
        });
    }

    pub(super) fn get(&self) -> Peer {
        let stored = self.0.take();
        let peer = match &stored {
            Stored::Unnamed => Peer::Unnamed,
            Stored::V4(address) => SocketAddr::V4(*address).into(),
            Stored::Other(peer) => Peer::clone(peer),
        };
        self.0.set(stored);
        peer
    }
}
