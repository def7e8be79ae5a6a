//! Connections that are awaited.

use super::super::{BufferEvent, Callbacks, Socket};
use super::AsyncStream;
use crate::LoopHandle;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

impl AsyncStream {
    /// A stream over a connected socket; see [`BufferEvent::from_socket`].
    ///
    /// # Errors
    /// As [`BufferEvent::from_socket`].
    pub fn from_socket(handle: &LoopHandle, socket: impl Into<Socket>) -> crate::Result<Self> {
        AsyncStream::new(BufferEvent::from_socket(handle, socket, Callbacks::new())?)
    }

    /// Connects to an address. Dropping the future ends the attempt.
    ///
    /// # Errors
    /// As [`connected`](Self::connected).
    pub async fn connect(handle: &LoopHandle, address: SocketAddr) -> io::Result<Self> {
        AsyncStream::made(BufferEvent::connect(handle, address, Callbacks::new())).await
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// As [`connected`](Self::connected); [`InvalidInput`](io::ErrorKind::InvalidInput) when the path
    /// is too long for the system.
    pub async fn connect_unix(handle: &LoopHandle, path: impl AsRef<Path>) -> io::Result<Self> {
        AsyncStream::made(BufferEvent::connect_unix(handle, path, Callbacks::new())).await
    }

    /// Connects to a host by its name, or by its address in numbers; see
    /// [`BufferEvent::connect_host`].
    ///
    /// ```no_run
    /// use libevent2::EventBase;
    /// use libevent2::stream::AsyncStream;
    ///
    /// let mut base = EventBase::new()?;
    /// let handle = base.handle().clone();
    /// let page = base.block_on(async {
    ///     let stream = AsyncStream::connect_host(&handle, "example.com", 80).await?;
    ///     stream.write(b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n").await?;
    ///     stream.read_to_end().await
    /// })?;
    /// println!("{}", String::from_utf8_lossy(&page?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`connected`](Self::connected).
    pub async fn connect_host(handle: &LoopHandle, host: &str, port: u16) -> io::Result<Self> {
        let made = BufferEvent::connect_host(handle, host, port, Callbacks::new());
        AsyncStream::made(made).await
    }

    async fn made(stream: crate::Result<BufferEvent>) -> io::Result<Self> {
        let stream = AsyncStream::new(stream?)?;
        stream.connected().await?;
        Ok(stream)
    }
}
