use super::{AsyncFd, Direction, failed};
use crate::LoopHandle;
use crate::error::Result;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A UDP socket, whose datagrams are awaited.
///
/// A datagram is received by one call as a whole; what does not fit into the buffer is lost.
///
/// ```
/// # use libevent2::EventBase;
/// use libevent2::net::UdpSocket;
///
/// # let mut base = EventBase::new()?;
/// let here = UdpSocket::bind(&base, "127.0.0.1:0".parse().unwrap())?;
/// let there = UdpSocket::bind(&base, "127.0.0.1:0".parse().unwrap())?;
/// base.block_on(async {
///     here.send_to(b"ping", there.local_addr()?).await?;
///     let mut word = [0; 16];
///     let (n, from) = there.recv_from(&mut word).await?;
///     assert_eq!((&word[..n], from), (&b"ping"[..], here.local_addr()?));
///     Ok::<_, std::io::Error>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UdpSocket(AsyncFd<std::net::UdpSocket>);

impl UdpSocket {
    /// A socket of its own at `addr`; with port 0 the system picks one.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), which names the address, when it cannot be had;
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn bind(base: &LoopHandle, addr: SocketAddr) -> Result<Self> {
        base.inner().open()?;
        let socket = std::net::UdpSocket::bind(addr);
        let socket = socket.map_err(failed(format!("a UDP socket at {addr}")))?;
        Self::from_std(base, socket)
    }

    /// Takes over a socket, which is made non-blocking.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os) when it cannot be, or cannot be watched;
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn from_std(base: &LoopHandle, socket: std::net::UdpSocket) -> Result<Self> {
        socket
            .set_nonblocking(true)
            .map_err(failed("a UDP socket for futures"))?;
        AsyncFd::new(base, socket).map(UdpSocket)
    }

    /// Takes the socket off the loop. It stays non-blocking.
    ///
    /// # Panics
    /// As [`AsyncFd::into_inner`].
    pub fn into_std(self) -> std::net::UdpSocket {
        self.0.into_inner()
    }

    /// The loop that it lives on.
    pub fn handle(&self) -> &LoopHandle {
        self.0.handle()
    }

    /// Sets the peer for [`send`](Self::send), and the only one that [`recv`](Self::recv) hears.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.0.get_ref().connect(peer)
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// The system's: [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when an earlier one
    /// found nobody; [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        let send = |socket: &std::net::UdpSocket| socket.send(datagram);
        self.0.io(Direction::Write, send).await
    }

    /// Receives a datagram, of the peer's if there is one.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let recv = |socket: &std::net::UdpSocket| socket.recv(buf);
        self.0.io(Direction::Read, recv).await
    }

    /// Sends a datagram to an address.
    ///
    /// # Errors
    /// The system's; [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        let send = |socket: &std::net::UdpSocket| socket.send_to(datagram, to);
        self.0.io(Direction::Write, send).await
    }

    /// Receives a datagram, and says where it is from.
    ///
    /// # Errors
    /// The system's; [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let recv = |socket: &std::net::UdpSocket| socket.recv_from(buf);
        self.0.io(Direction::Read, recv).await
    }

    /// As [`recv_from`](Self::recv_from); the datagram stays where it is.
    ///
    /// # Errors
    /// As there.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let peek = |socket: &std::net::UdpSocket| socket.peek_from(buf);
        self.0.io(Direction::Read, peek).await
    }

    /// As [`send`](Self::send), without waiting.
    ///
    /// # Errors
    /// As there, and [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<usize> {
        let send = |socket: &std::net::UdpSocket| socket.send(datagram);
        self.0.try_io(Direction::Write, send)
    }

    /// As [`recv`](Self::recv), without waiting.
    ///
    /// # Errors
    /// As there, and [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let recv = |socket: &std::net::UdpSocket| socket.recv(buf);
        self.0.try_io(Direction::Read, recv)
    }

    /// As [`send_to`](Self::send_to), without waiting.
    ///
    /// # Errors
    /// As there, and [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        let send = |socket: &std::net::UdpSocket| socket.send_to(datagram, to);
        self.0.try_io(Direction::Write, send)
    }

    /// As [`recv_from`](Self::recv_from), without waiting.
    ///
    /// # Errors
    /// As there, and [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let recv = |socket: &std::net::UdpSocket| socket.recv_from(buf);
        self.0.try_io(Direction::Read, recv)
    }

    /// Waits until there is a datagram.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    /// Waits until there is room to send.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }

    /// Its own address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// The system's: [`NotConnected`](io::ErrorKind::NotConnected) when there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().peer_addr()
    }

    /// The socket, for the options that std has: broadcast, multicast, the time to live.
    pub fn get_ref(&self) -> &std::net::UdpSocket {
        self.0.get_ref()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
