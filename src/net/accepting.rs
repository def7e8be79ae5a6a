//! What a listening socket does, whatever its family.

use super::async_fd::AsyncFd;
use super::{Direction, failed};
use crate::LoopHandle;
use crate::error::{Error, Result};
use crate::time::Sleep;
use socket2::{SockAddr, Socket};
use std::cell::Cell;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// How long nothing is accepted when there is no descriptor or no memory left for a connection. The
/// connection is still there, so that the next attempt would fail as the last one did, at once.
const REST: Duration = Duration::from_millis(100);

/// A listening socket on the loop.
#[derive(Debug)]
pub(super) struct Accepting {
    fd: AsyncFd<Socket>,
    /// It is of no use to accept before.
    rest_until: Cell<Option<Instant>>,
}

impl Accepting {
    /// `socket` is listening, and made non-blocking.
    pub(super) fn new(base: &LoopHandle, socket: Socket) -> Result<Self> {
        socket
            .set_nonblocking(true)
            .map_err(failed("a listening socket for futures"))?;
        Ok(Accepting {
            fd: AsyncFd::new(base, socket)?,
            rest_until: Cell::new(None),
        })
    }

    /// Listens on an address.
    pub(super) fn listen(base: &LoopHandle, socket: Socket, addr: &SockAddr) -> io::Result<Self> {
        socket.bind(addr)?;
        socket.listen(libc::SOMAXCONN)?;
        Ok(Self::new(base, socket)?)
    }

    pub(super) fn fd(&self) -> &AsyncFd<Socket> {
        &self.fd
    }

    pub(super) fn into_socket(self) -> Socket {
        self.fd.into_inner()
    }

    pub(super) async fn accept(&self) -> io::Result<(Socket, SockAddr)> {
        let mut rest = None;
        poll_fn(|cx| self.poll_rest(cx, &mut rest)).await?;
        let accepted = self.fd.io(Direction::Read, accept).await;
        self.accepted(accepted)
    }

    /// For one task at a time, which holds `rest` for it.
    pub(super) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        rest: &mut Option<Sleep>,
    ) -> Poll<io::Result<(Socket, SockAddr)>> {
        ready!(self.poll_rest(cx, rest))?;
        let accepted = ready!(self.fd.poll_io(cx, Direction::Read, accept));
        Poll::Ready(self.accepted(accepted))
    }

    fn accepted<T>(&self, accepted: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &accepted
            && is_shortage(error)
        {
            self.rest_until.set(Some(Instant::now() + REST));
        }
        accepted
    }

    fn poll_rest(&self, cx: &mut Context<'_>, rest: &mut Option<Sleep>) -> Poll<io::Result<()>> {
        let Some(until) = self.rest_until.get() else {
            return Poll::Ready(Ok(()));
        };
        let base = self.fd.handle();
        // Nobody would wake the sleeper.
        base.inner().open().map_err(io::Error::from)?;
        let sleep = rest.get_or_insert_with(|| base.sleep_until(until));
        ready!(Pin::new(sleep).poll(cx));
        *rest = None;
        if self.rest_until.get() == Some(until) {
            self.rest_until.set(None);
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the process or the system is short of what a connection needs.
fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Accepts one that has not gone again already.
fn accept(socket: &Socket) -> io::Result<(Socket, SockAddr)> {
    loop {
        match accept_one(socket) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            accepted => return accepted,
        }
    }
}

/// In one call of the system: the connection is non-blocking, and closed by `exec`.
#[cfg(not(any(target_vendor = "apple", target_os = "aix", target_os = "haiku")))]
fn accept_one(socket: &Socket) -> io::Result<(Socket, SockAddr)> {
    use std::os::fd::{AsRawFd as _, FromRawFd as _};

    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the storage and its length are `try_init`'s, and accept4 fills them. The descriptor
    // is new, and ours.
    unsafe {
        SockAddr::try_init(|storage, length| {
            match libc::accept4(socket.as_raw_fd(), storage.cast(), length, flags) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Socket::from_raw_fd(fd)),
            }
        })
    }
}

#[cfg(any(target_vendor = "apple", target_os = "aix", target_os = "haiku"))]
fn accept_one(socket: &Socket) -> io::Result<(Socket, SockAddr)> {
    let (connection, peer) = socket.accept()?;
    connection.set_nonblocking(true)?;
    Ok((connection, peer))
}

/// The connections to a listener, one after the other.
///
/// It ends, with `None`, when the base is gone. An error is of one connection, or of the process
/// (no descriptor left), and others may follow it.
#[must_use = "it accepts when it is asked for the next one"]
pub struct Incoming<'a, S> {
    accepting: &'a Accepting,
    rest: Option<Sleep>,
    make: fn(&LoopHandle, Socket) -> Result<S>,
}

impl<'a, S> Incoming<'a, S> {
    pub(super) fn new(
        accepting: &'a Accepting,
        make: fn(&LoopHandle, Socket) -> Result<S>,
    ) -> Self {
        Incoming {
            accepting,
            rest: None,
            make,
        }
    }

    /// The next connection.
    pub async fn next(&mut self) -> Option<io::Result<S>> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<S>>> {
        let base = self.accepting.fd.handle();
        if let Err(Error::Closed { .. }) = base.inner().open() {
            return Poll::Ready(None);
        }
        let accepted = ready!(self.accepting.poll_accept(cx, &mut self.rest));
        let stream = accepted.and_then(|(socket, _)| Ok((self.make)(base, socket)?));
        Poll::Ready(Some(stream))
    }
}

#[cfg(feature = "futures-io")]
impl<S> futures_core::Stream for Incoming<'_, S> {
    type Item = io::Result<S>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_accept(cx)
    }
}

impl<S> fmt::Debug for Incoming<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", &self.accepting.fd.get_ref())
            .finish_non_exhaustive()
    }
}
