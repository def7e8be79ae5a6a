use super::Address;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// A connection that was accepted. It is closed when it is dropped; to keep it, turn it into an
/// `OwnedFd` or into the stream of its kind.
///
/// Its descriptor is non-blocking and close-on-exec. A std stream made of it stays non-blocking:
/// call its `set_nonblocking(false)` to hand it to a thread that is to wait on it.
#[derive(Debug)]
#[must_use = "dropping it closes the connection"]
pub struct Accepted {
    pub(super) fd: OwnedFd,
    pub(super) peer: Address,
}

impl Accepted {
    /// The address of the other end. A Unix socket that only connects has no name as a rule.
    pub fn peer(&self) -> &Address {
        &self.peer
    }

    /// The descriptor, for whoever takes the connection.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl From<Accepted> for OwnedFd {
    fn from(accepted: Accepted) -> Self {
        accepted.fd
    }
}

/// Of a connection over TCP; it stays non-blocking.
impl From<Accepted> for TcpStream {
    fn from(accepted: Accepted) -> Self {
        accepted.fd.into()
    }
}

/// Of a connection over a Unix socket; it stays non-blocking.
impl From<Accepted> for UnixStream {
    fn from(accepted: Accepted) -> Self {
        accepted.fd.into()
    }
}

impl AsFd for Accepted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Accepted {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
