//! The socket of a stream, given and taken.

use super::BufferEventRef;
use super::node::{Form, State};
use crate::error::{Error, Result};
use crate::ffi;
use std::os::raw::c_short;

#[cfg(unix)]
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

impl BufferEventRef {
    /// Gives the stream another socket. What is in the buffers stays.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed; [`Error::Unsupported`] for a stream without a socket
    /// of its own; [`Error::Invalid`] while it connects, and while it has one already, which
    /// [`take_socket`](Self::take_socket) takes; [`Error::Os`] when the descriptor cannot be
    /// watched.
    #[doc(alias = "bufferevent_setfd")]
    pub fn set_socket(&self, socket: impl Into<super::Socket>) -> Result<()> {
        let (fd, peer) = socket.into().into_parts();
        let raw = self.socket_only()?;
        // SAFETY: alive.
        if unsafe { ffi::bufferevent_getfd(raw) } >= 0 {
            return Err(Error::invalid("stream", "it has a socket already"));
        }
        self.peer.replace(peer);
        self.take_over(fd)?;
        if !self.output().is_empty() {
            self.written();
        }
        Ok(())
    }

    /// Takes the socket out of the stream, which stays open without one. What was read but not
    /// taken is in [`input`](Self::input), what was not sent in the output.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed; [`Error::Unsupported`] for a stream without a socket
    /// of its own; [`Error::Invalid`] while it connects, and when it has none.
    #[doc(alias = "bufferevent_getfd")]
    #[cfg(unix)]
    pub fn take_socket(&self) -> Result<OwnedFd> {
        let raw = self.socket_only()?;
        self.send_last();
        // SAFETY: alive. C forgets the descriptor, and does not close it: it is ours alone.
        unsafe {
            let fd = ffi::bufferevent_getfd(raw);
            if fd < 0 {
                return Err(Error::invalid("stream", "it has no socket"));
            }
            self.reader.free();
            self.set_fd(raw, -1);
            self.set(State::C_WRITES, false);
            ffi::bufferevent_disable(raw, ffi::EV_WRITE as c_short);
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }

    fn socket_only(&self) -> Result<*mut ffi::bufferevent> {
        let raw = self.user_open()?;
        if self.form != Form::Socket {
            return Err(Error::Unsupported {
                what: "a socket for this stream",
                why: "it lives on top of another one, or is one of a pair",
            });
        }
        if self.is(State::CONNECTING) {
            return Err(Error::invalid("stream", "its connection is being made"));
        }
        Ok(raw)
    }
}

#[cfg(unix)]
impl BufferEventRef {
    /// The number of the descriptor that the bytes go through, if there is one. It is closed with
    /// the stream.
    #[doc(alias = "bufferevent_getfd")]
    pub fn raw_fd(&self) -> Option<RawFd> {
        let raw = self.raw.get();
        // SAFETY: alive.
        let fd = (!raw.is_null()).then(|| unsafe { ffi::bufferevent_getfd(raw) })?;
        (fd >= 0).then_some(fd)
    }

    /// A second descriptor of the same socket, to look at it or to set its options.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Invalid`] when it has no socket, and
    /// [`Error::Os`] when there is no descriptor left.
    pub fn try_clone_socket(&self) -> Result<OwnedFd> {
        self.open()?;
        let fd = self
            .raw_fd()
            .ok_or_else(|| Error::invalid("stream", "it has no socket"))?;
        // SAFETY: open, as the stream is.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        fd.try_clone_to_owned().map_err(|source| Error::Os {
            op: format!("a second descriptor for the connection to {}", self.peer()),
            source,
        })
    }
}
