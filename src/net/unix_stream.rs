use super::connection::Connection;
use super::{connect, failed, methods};
use crate::LoopHandle;
use crate::error::Result;
use crate::listener::Address;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::path::Path;

/// A connection over a Unix socket, whose reads and writes are awaited.
///
/// ```
/// # use libevent2::EventBase;
/// use libevent2::net::UnixStream;
///
/// # let mut base = EventBase::new()?;
/// let (left, right) = UnixStream::pair(&base)?;
/// base.block_on(async {
///     left.write_all(b"hello").await?;
///     let mut word = [0; 5];
///     right.read_exact(&mut word).await?;
///     assert_eq!(&word, b"hello");
///     Ok::<_, std::io::Error>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With the features `futures-io`, `tokio` and `hyper` it has their traits, so that what others
/// have written for them runs on it.
#[derive(Debug)]
pub struct UnixStream(pub(super) Connection);

methods::stream!(UnixStream, std::os::unix::net::UnixStream, takes_all: false);

impl UnixStream {
    /// Connects to the socket whose file is at `path`.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), which names the path; on Linux of the kind
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when more wait there to be accepted than the
    /// listener allows. [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub async fn connect(base: &LoopHandle, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let connecting = async {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            connect::connect(base, socket, &SockAddr::unix(path)?).await
        };
        let connected = connecting.await;
        connected
            .map(UnixStream)
            .map_err(failed(format!("connecting to {}", path.display())))
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os) when there is no descriptor left;
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn pair(base: &LoopHandle) -> Result<(Self, Self)> {
        let pair = std::os::unix::net::UnixStream::pair();
        let (left, right) = pair.map_err(failed("a pair of Unix sockets"))?;
        Ok((Self::from_std(base, left)?, Self::from_std(base, right)?))
    }

    /// The address of this end; one that only connects has none as a rule.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<Address> {
        Ok(Address::from(&self.0.socket().local_addr()?))
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// The system's: [`NotConnected`](io::ErrorKind::NotConnected) when it has gone.
    pub fn peer_addr(&self) -> io::Result<Address> {
        Ok(Address::from(&self.0.socket().peer_addr()?))
    }
}
