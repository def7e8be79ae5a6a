use super::accepting::{Accepting, Incoming};
use super::{TcpStream, failed, not_ip};
use crate::LoopHandle;
use crate::error::Result;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A listening TCP socket, whose connections are awaited.
///
/// ```
/// # use libevent2::EventBase;
/// use libevent2::net::{TcpListener, TcpStream};
///
/// # let mut base = EventBase::new()?;
/// let handle = base.handle().clone();
/// let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse().unwrap())?;
/// let addr = listener.local_addr()?;
/// base.block_on(async {
///     let client = TcpStream::connect(&handle, addr).await?;
///     let (server, peer) = listener.accept().await?;
///     assert_eq!(peer, client.local_addr()?);
///     server.write_all(b"welcome").await
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TcpListener(Accepting);

impl TcpListener {
    /// Listens on `addr`; with port 0 the system picks one. The address can be had while
    /// connections of a former listener still end. For other options make the socket with
    /// another crate, and take it over with [`from_std`](Self::from_std).
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), which names the address, when it cannot be had;
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn bind(base: &LoopHandle, addr: SocketAddr) -> Result<Self> {
        base.inner().open()?;
        let listen = || {
            let domain = Domain::for_address(addr);
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            Accepting::listen(base, socket, &addr.into())
        };
        listen()
            .map(TcpListener)
            .map_err(failed(format!("listening on {addr}")))
    }

    /// Takes over a listening socket, which is made non-blocking.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os) when it cannot be, or cannot be watched;
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn from_std(base: &LoopHandle, listener: std::net::TcpListener) -> Result<Self> {
        Accepting::new(base, listener.into()).map(TcpListener)
    }

    /// Takes the socket off the loop. It stays non-blocking.
    ///
    /// # Panics
    /// As [`AsyncFd::into_inner`](super::AsyncFd::into_inner).
    pub fn into_std(self) -> std::net::TcpListener {
        self.0.into_socket().into()
    }

    /// The loop that it lives on.
    pub fn handle(&self) -> &LoopHandle {
        self.0.fd().handle()
    }

    /// Waits for a connection. Its socket is non-blocking and closed by `exec`.
    ///
    /// # Errors
    /// The system's. When there is no descriptor left the connection stays where it is, and the
    /// next call waits for a tenth of a second before it tries again, so that a loop around it
    /// does not take all of the processor. [`NotConnected`](io::ErrorKind::NotConnected) when the
    /// base is gone.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.0.accept().await?;
        let peer = peer.as_socket().ok_or_else(not_ip)?;
        Ok((TcpStream::from_socket(self.handle(), socket)?, peer))
    }

    /// The connections, one after the other; with the feature `futures-io` as a `Stream`.
    pub fn incoming(&self) -> Incoming<'_, TcpStream> {
        Incoming::new(&self.0, TcpStream::from_socket)
    }

    /// Its own address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.0.fd().get_ref().local_addr()?;
        addr.as_socket().ok_or_else(not_ip)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd().as_raw_fd()
    }
}
