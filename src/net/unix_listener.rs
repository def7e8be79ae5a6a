use super::accepting::{Accepting, Incoming};
use super::{UnixStream, failed};
use crate::LoopHandle;
use crate::error::Result;
use crate::listener::Address;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

/// A listening Unix socket, whose connections are awaited.
///
/// ```
/// # use libevent2::EventBase;
/// use libevent2::net::{UnixListener, UnixStream};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("socket");
/// # let mut base = EventBase::new()?;
/// let handle = base.handle().clone();
/// let listener = UnixListener::bind(&handle, &path)?;
/// base.block_on(async {
///     let client = UnixStream::connect(&handle, &path).await?;
///     let (server, _) = listener.accept().await?;
///     server.write_all(b"welcome").await?;
///     let mut word = [0; 7];
///     client.read_exact(&mut word).await?;
///     assert_eq!(&word, b"welcome");
///     Ok::<_, std::io::Error>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UnixListener(Accepting);

impl UnixListener {
    /// Listens on a new socket, whose file is made at `path`. It stays there when the listener is
    /// dropped, and has to be removed before the next one is made.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), which names the path, when there is such a file already or
    /// it cannot be made; [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn bind(base: &LoopHandle, path: impl AsRef<Path>) -> Result<Self> {
        base.inner().open()?;
        let path = path.as_ref();
        let listen = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            Accepting::listen(base, socket, &SockAddr::unix(path)?)
        };
        listen()
            .map(UnixListener)
            .map_err(failed(format!("listening on {}", path.display())))
    }

    /// Takes over a listening socket, which is made non-blocking.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os) when it cannot be, or cannot be watched;
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn from_std(base: &LoopHandle, listener: std::os::unix::net::UnixListener) -> Result<Self> {
        Accepting::new(base, listener.into()).map(UnixListener)
    }

    /// Takes the socket off the loop. It stays non-blocking.
    ///
    /// # Panics
    /// As [`AsyncFd::into_inner`](super::AsyncFd::into_inner).
    pub fn into_std(self) -> std::os::unix::net::UnixListener {
        self.0.into_socket().into()
    }

    /// The loop that it lives on.
    pub fn handle(&self) -> &LoopHandle {
        self.0.fd().handle()
    }

    /// Waits for a connection. Its socket is non-blocking and closed by `exec`; its address has no
    /// path as a rule.
    ///
    /// # Errors
    /// As [`TcpListener::accept`](super::TcpListener::accept).
    pub async fn accept(&self) -> io::Result<(UnixStream, Address)> {
        let (socket, peer) = self.0.accept().await?;
        let stream = UnixStream::from_socket(self.handle(), socket)?;
        Ok((stream, Address::from(&peer)))
    }

    /// The connections, one after the other; with the feature `futures-io` as a `Stream`.
    pub fn incoming(&self) -> Incoming<'_, UnixStream> {
        Incoming::new(&self.0, UnixStream::from_socket)
    }

    /// Its own address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<Address> {
        Ok(Address::from(&self.0.fd().get_ref().local_addr()?))
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd().as_raw_fd()
    }
}
