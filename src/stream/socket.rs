//! Streams over sockets.

use super::direct::{SCRATCH, WRITE_AT_ONCE};
use super::node::{Form, State};
use super::{BufferEvent, BufferEventRef, Direction, Handler, Peer, StreamError, StreamEvent};
use crate::error::{Error, Result};
use crate::listener::{Accepted, Address};
use crate::{LoopHandle, ffi};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::raw::{c_int, c_short};
use std::path::Path;
use std::ptr;
use std::rc::Rc;

#[cfg(unix)]
use std::os::fd::{IntoRawFd as _, OwnedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(windows)]
use std::os::windows::io::{IntoRawSocket as _, OwnedSocket as OwnedFd};

/// A connected socket for a stream: a `TcpStream`, a `UnixStream`, one that a
/// [`Listener`](crate::listener::Listener) accepted, or any other of a kind that streams bytes.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    peer: Peer,
}

impl Socket {
    pub(super) fn into_parts(self) -> (OwnedFd, Peer) {
        (self.fd, self.peer)
    }

    /// A socket whose peer is known. The name is for errors.
    pub fn with_peer(socket: impl Into<OwnedFd>, peer: Peer) -> Self {
        Socket {
            fd: socket.into(),
            peer,
        }
    }
}

impl From<OwnedFd> for Socket {
    fn from(socket: OwnedFd) -> Self {
        Socket::with_peer(socket, Peer::Unnamed)
    }
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        let peer = socket.peer_addr().map_or(Peer::Unnamed, Peer::from);
        Socket::with_peer(socket, peer)
    }
}

#[cfg(unix)]
impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Socket::with_peer(socket, Peer::Unnamed)
    }
}

impl From<Accepted> for Socket {
    fn from(accepted: Accepted) -> Self {
        let peer = accepted.peer().clone().into();
        Socket::with_peer(accepted.into_fd(), peer)
    }
}

/// The number that C knows the socket by, which C then owns.
pub(super) fn into_raw(fd: OwnedFd) -> ffi::evutil_socket_t {
    #[cfg(unix)]
    return fd.into_raw_fd();
    #[cfg(windows)]
    return fd.into_raw_socket() as ffi::evutil_socket_t;
}

impl BufferEvent {
    /// A stream over a connected socket, which becomes non-blocking. Reading and writing are
    /// enabled.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone, [`Error::Os`] when the descriptor cannot be
    /// watched.
    #[doc(alias = "bufferevent_socket_new")]
    pub fn from_socket(
        base: &LoopHandle,
        socket: impl Into<Socket>,
        handler: impl Handler,
    ) -> Result<Self> {
        let Socket { fd, peer } = socket.into();
        let node = new_socket(base, State::DIRECT, Box::new(handler))?;
        let stream = BufferEvent::new(node);
        stream.peer.replace(peer);
        stream.take_over(fd)?;
        Ok(stream)
    }

    /// A stream to an address. The handler hears [`Connected`](super::StreamEvent::Connected), or
    /// [`Failed`](super::StreamEvent::Failed) with the cause. What is written before goes out
    /// then. The write timeout, if one is set, is for connecting too.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone; [`Error::Os`], with the address, when the attempt
    /// fails at once.
    #[doc(alias = "bufferevent_socket_connect")]
    pub fn connect(base: &LoopHandle, address: SocketAddr, handler: impl Handler) -> Result<Self> {
        connect(base, address.into(), address.into(), Box::new(handler))
    }

    /// A stream to a Unix socket, as with [`connect`](Self::connect).
    ///
    /// # Errors
    /// As for [`connect`](Self::connect), with the path; [`Error::Invalid`] when the path is too
    /// long for the system.
    #[doc(alias = "bufferevent_socket_connect")]
    pub fn connect_unix(
        base: &LoopHandle,
        path: impl AsRef<Path>,
        handler: impl Handler,
    ) -> Result<Self> {
        let path = path.as_ref();
        let address = socket2::SockAddr::unix(path)
            .map_err(|error| Error::invalid("path", format!("{}: {error}", path.display())))?;
        let peer = Address::Unix(Some(path.to_owned())).into();
        connect(base, address, peer, Box::new(handler))
    }
}

/// A stream without a socket.
pub(super) fn new_socket(
    base: &LoopHandle,
    state: State,
    handler: Box<dyn Handler>,
) -> Result<Rc<BufferEventRef>> {
    let raw_base = base.inner().open()?;
    let options = ffi::BEV_OPT_CLOSE_ON_FREE;
    // SAFETY: the base is alive.
    let raw = unsafe { ffi::bufferevent_socket_new(raw_base, -1, options as c_int) };
    if raw.is_null() {
        return Err(Error::Libevent {
            op: "bufferevent_socket_new",
        });
    }
    // SAFETY: just made, on this base. EV_WRITE is C's default; see `direct.rs`.
    unsafe {
        ffi::bufferevent_disable(raw, ffi::EV_WRITE as c_short);
        ffi::bufferevent_set_max_single_write(raw, WRITE_AT_ONCE);
        // For when C reads: 2.2 then takes so much in a turn, 2.1 never more than 4096 bytes.
        ffi::bufferevent_set_max_single_read(raw, SCRATCH);
        let node = BufferEventRef::adopt(base, raw, Form::Socket, state, handler)?;
        node.enabled.set(Direction::BOTH);
        Ok(node)
    }
}

/// Begins a connection to one address.
fn connect(
    base: &LoopHandle,
    address: socket2::SockAddr,
    peer: Peer,
    handler: Box<dyn Handler>,
) -> Result<BufferEvent> {
    let state = State::DIRECT | State::CONNECTING;
    let stream = BufferEvent::new(new_socket(base, state, handler)?);
    let raw = stream.open()?;
    let failed = |source| Error::Os {
        op: format!("connecting to {peer}"),
        source,
    };
    let socket = socket2::Socket::new(address.domain(), socket2::Type::STREAM, None);
    let socket = socket.map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    match socket.connect(&address) {
        Ok(()) => {}
        Err(error) if is_under_way(&error) => {}
        // Told by the loop, as where the system takes its time to find out.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            stream.set(State::CONNECTING, false);
            let refused = StreamError::from_os(peer.clone(), error);
            stream.trigger_event(StreamEvent::Failed(refused))?;
            stream.peer.replace(peer);
            return Ok(stream);
        }
        Err(error) => return Err(failed(error)),
    }
    // SAFETY: alive; the descriptor is open and from here on C's, which closes it with the
    // bufferevent. Without an address C waits for a connection that is being made or there, and
    // reports its success or failure from the loop. (With one it would not report a connection
    // that is there at once.)
    let code = unsafe {
        ffi::bufferevent_setfd(raw, into_raw(socket.into()));
        ffi::bufferevent_socket_connect(raw, ptr::null(), 0)
    };
    if code != 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    stream.peer.replace(peer);
    Ok(stream)
}

/// Whether the loop will tell what becomes of the connection.
pub(super) fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

impl BufferEventRef {
    /// Gives the stream its socket.
    pub(super) fn take_over(&self, fd: OwnedFd) -> Result<()> {
        let raw = self.open()?;
        let fd = into_raw(fd);
        // SAFETY: alive; the descriptor is open and from here on C's, which closes it with the
        // bufferevent. Enabling a socket calls nobody.
        unsafe {
            let nonblocking = ffi::evutil_make_socket_nonblocking(fd);
            let error = Error::last_os(format!("making descriptor {fd} non-blocking"));
            self.set_fd(raw, fd);
            if nonblocking != 0 {
                return Err(error);
            }
        }
        self.begin()
    }

    /// Gives C another descriptor, or -1. C makes its events anew, with the default priority.
    ///
    /// # Safety
    /// `raw` is alive and over a socket.
    pub(super) unsafe fn set_fd(&self, raw: *mut ffi::bufferevent, fd: ffi::evutil_socket_t) {
        // SAFETY: the caller's promise.
        unsafe {
            let priority = ffi::bufferevent_get_priority(raw);
            ffi::bufferevent_setfd(raw, fd);
            ffi::bufferevent_priority_set(raw, priority);
        }
        self.fd.set(fd);
    }

    /// Closes the socket of a connection that was not made.
    pub(super) fn drop_socket(&self) {
        let Ok(raw) = self.open() else { return };
        if self.form != Form::Socket {
            return;
        }
        // SAFETY: alive; the descriptor is C's, which forgets it here.
        unsafe {
            let fd = ffi::bufferevent_getfd(raw);
            if fd >= 0 {
                self.set_fd(raw, -1);
                ffi::evutil_closesocket(fd);
            }
        }
    }
}
