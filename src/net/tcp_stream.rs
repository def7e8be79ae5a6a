use super::connection::Connection;
use super::{connect, failed, methods, not_ip};
use crate::LoopHandle;
use crate::error::Result;
use crate::stream::Resolve;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// A TCP connection, whose reads and writes are awaited.
///
/// ```
/// # use libevent2::EventBase;
/// use libevent2::net::TcpStream;
///
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let addr = listener.local_addr().unwrap();
/// # let server = std::thread::spawn(move || {
/// #     use std::io::Write;
/// #     listener.accept().unwrap().0.write_all(b"220 ready\r\n").unwrap();
/// # });
/// # let mut base = EventBase::new()?;
/// let handle = base.handle().clone();
/// base.block_on(async {
///     let stream = TcpStream::connect(&handle, addr).await?;
///     stream.write_all(b"EHLO localhost\r\n").await?;
///     let mut greeting = [0; 64];
///     let n = stream.read(&mut greeting).await?;
///     assert!(greeting[..n].starts_with(b"220"));
///     Ok::<_, std::io::Error>(())
/// })??;
/// # server.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With the features `futures-io`, `tokio` and `hyper` it has their traits, so that what others
/// have written for them runs on it.
#[derive(Debug)]
pub struct TcpStream(pub(super) Connection);

methods::stream!(TcpStream, std::net::TcpStream, takes_all: true);

impl TcpStream {
    /// Connects to an address. How long it takes is for the system to say, which may mean
    /// minutes: put a [`timeout`](LoopHandle::timeout) around it.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), which names the address;
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub async fn connect(base: &LoopHandle, addr: SocketAddr) -> Result<Self> {
        let connecting = async {
            let domain = Domain::for_address(addr);
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            connect::connect(base, socket, &addr.into()).await
        };
        let connected = connecting.await;
        connected
            .map(TcpStream)
            .map_err(failed(format!("connecting to {addr}")))
    }

    /// Connects to a host by its name or address, with the lookup and the race between IPv6 and
    /// IPv4 of [`BufferEvent::connect_host`](crate::BufferEvent::connect_host).
    ///
    /// # Errors
    /// As [`connect`](Self::connect); [`Error::Dns`](crate::Error::Dns) or
    /// [`Error::Lookup`](crate::Error::Lookup) when there is no such name;
    /// [`Error::Invalid`](crate::Error::Invalid) for an empty host or port 0.
    pub async fn connect_host(base: &LoopHandle, host: &str, port: u16) -> Result<Self> {
        Self::connect_host_by(base, &Resolve::base(), host, port).await
    }

    /// As [`connect_host`](Self::connect_host), with a choice of who looks up the name.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_host_by(
        base: &LoopHandle,
        how: &Resolve,
        host: &str,
        port: u16,
    ) -> Result<Self> {
        let socket = connect::by_name(base, how, host, port).await?;
        Self::from_std(base, socket.into())
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()?.as_socket().ok_or_else(not_ip)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// The system's: [`NotConnected`](io::ErrorKind::NotConnected) when it has gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().peer_addr()?.as_socket().ok_or_else(not_ip)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.socket().tcp_nodelay()
    }

    /// Sends small writes at once, or waits for more to be sent with them.
    ///
    /// # Errors
    /// The system's.
    pub fn set_nodelay(&self, yes: bool) -> io::Result<()> {
        self.0.socket().set_tcp_nodelay(yes)
    }
}
