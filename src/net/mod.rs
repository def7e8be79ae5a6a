//! Sockets for futures, on the loop: [`TcpStream`], [`TcpListener`], [`UnixStream`],
//! [`UnixListener`], [`UdpSocket`], and [`AsyncFd`] for any other descriptor.
//!
//! ```
//! use libevent2::EventBase;
//! use libevent2::net::{TcpListener, TcpStream};
//!
//! let mut base = EventBase::new()?;
//! let handle = base.handle().clone();
//! let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse().unwrap())?;
//! let addr = listener.local_addr()?;
//!
//! let reply = base.block_on(async {
//!     handle
//!         .spawn(async move {
//!             let (stream, _) = listener.accept().await?;
//!             let mut word = [0; 5];
//!             stream.read_exact(&mut word).await?;
//!             word.reverse();
//!             stream.write_all(&word).await
//!         })
//!         .detach();
//!     let stream = TcpStream::connect(&handle, addr).await?;
//!     stream.write_all(b"hello").await?;
//!     let mut reply = Vec::new();
//!     stream.read_to_end(&mut reply).await?;
//!     Ok::<_, std::io::Error>(reply)
//! })??;
//! assert_eq!(reply, b"olleh");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All methods take `&self`: one task may read while another one writes, without a lock and
//! without splitting. Each socket is one event for as long as it lives; an operation is one call
//! of the system, and when it has to wait nothing but a waker is kept.
//!
//! # Dropping a future
//!
//! A future that is dropped stops waiting, and has read or written nothing: `read`, `peek`,
//! `write`, `accept`, `readable` and their like make one operation that succeeds and are done with
//! it. `read_exact` and `write_all` make several, and how many bytes they have moved is lost
//! with them; `read_to_end` leaves what it has read in its vector.
//!
//! # When the base is gone
//!
//! What waits fails with [`NotConnected`](std::io::ErrorKind::NotConnected). The descriptors stay
//! open until their values are dropped.

mod accepting;
mod async_fd;
#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
mod compat;
mod connect;
mod connection;
mod doubt;
mod io;
mod methods;
mod readiness;
mod split;
mod tcp_listener;
mod tcp_stream;
mod udp;
mod unix_listener;
mod unix_stream;

pub use accepting::Incoming;
pub use async_fd::AsyncFd;
pub(crate) use doubt::Doubts;
pub(crate) use io::PollIo;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use udp::UdpSocket;
pub use unix_listener::UnixListener;
pub use unix_stream::UnixStream;

use crate::error::Error;

/// Reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, accepting.
    Read,
    /// Writing, connecting.
    Write,
}

/// A peer that has gone is an error, not a signal: on Apple's systems the socket says so itself.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGPIPE: std::os::raw::c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGPIPE: std::os::raw::c_int = 0;

/// An error of the system, with what was being done. One of our own stays what it is.
fn failed(op: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    |source| match source.downcast::<Error>() {
        Ok(own) => own,
        Err(source) => Error::Os {
            op: op.into(),
            source,
        },
    }
}

fn not_ip() -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::InvalidInput,
        "not a socket of TCP or UDP",
    )
}
