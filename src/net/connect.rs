//! Connections made.

use super::Direction;
use super::connection::Connection;
use crate::error::{Error, Result};
use crate::stream::{BufferEvent, Callbacks, Resolve, StreamError, StreamEvent};
use crate::{LoopHandle, task};
use socket2::{SockAddr, Socket};
use std::io;
use std::os::fd::OwnedFd;

/// Connects a new socket.
pub(super) async fn connect(
    base: &LoopHandle,
    socket: Socket,
    addr: &SockAddr,
) -> io::Result<Connection> {
    base.inner().open().map_err(io::Error::from)?;
    socket.set_nonblocking(true)?;
    let begun = socket.connect(addr);
    let connection = Connection::new(base, socket, !addr.is_unix())?;
    match begun {
        Ok(()) => Ok(connection),
        Err(error) if is_on_its_way(&error) => {
            let fd = connection.fd();
            fd.io(Direction::Write, finished).await?;
            Ok(connection)
        }
        Err(error) => Err(error),
    }
}

fn is_on_its_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// How it went, if it is over.
fn finished(socket: &Socket) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        connected => connected.map(drop),
    }
}

/// The socket of a stream that was connected by name.
pub(super) async fn by_name(
    base: &LoopHandle,
    how: &Resolve,
    host: &str,
    port: u16,
) -> Result<OwnedFd> {
    let (promise, connected) = task::promise();
    let mut promise = Some(promise);
    let handler = Callbacks::new().on_event(move |stream, event| {
        let socket = match event {
            StreamEvent::Connected => stream.take_socket(),
            StreamEvent::Failed(error) => Err(why(error)),
            _ => return,
        };
        if let Some(promise) = promise.take() {
            promise.resolve(socket);
        }
    });
    // Held until then: what is dropped early ends the attempt.
    let _attempt = BufferEvent::connect_host_by(base, how, host, port, handler)?;
    match connected.await {
        Ok(socket) => socket,
        Err(task::Broken) => Err(Error::Closed { what: "event base" }),
    }
}

fn why(error: StreamError) -> Error {
    let (kind, peer) = match error {
        StreamError::Lookup { source, .. } => return source,
        StreamError::Io { peer, source } => {
            let op = format!("connecting to {peer}");
            return Error::Os { op, source };
        }
        StreamError::Refused { peer } => (libc::ECONNREFUSED, peer),
        StreamError::Reset { peer } => (libc::ECONNRESET, peer),
        StreamError::ConnectTimedOut { peer } => (libc::ETIMEDOUT, peer),
        StreamError::Tls { .. } | StreamError::Filter { .. } => {
            return Error::Callback(Box::new(error));
        }
    };
    Error::Os {
        op: format!("connecting to {peer}"),
        source: io::Error::from_raw_os_error(kind),
    }
}
