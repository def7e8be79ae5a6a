//! What a connected socket does, whatever its family.

use super::async_fd::AsyncFd;
use super::io::PollIo;
use super::{Direction, NO_SIGPIPE};
use crate::LoopHandle;
use crate::error::Result;
use socket2::Socket;
use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::slice;
use std::task::{Context, Poll, ready};

/// A connected stream socket on the loop.
///
/// Public in a private module: it is in a bound of the halves, and cannot be named outside.
#[derive(Debug)]
pub struct Connection {
    fd: AsyncFd<Socket>,
    /// Whether a read takes all that there is. On a Unix socket it ends where a descriptor was
    /// passed, and bytes may lie behind it.
    takes_all: bool,
}

impl Connection {
    /// `socket` is non-blocking.
    pub(super) fn new(base: &LoopHandle, socket: Socket, takes_all: bool) -> Result<Self> {
        let fd = AsyncFd::new(base, socket)?;
        Ok(Connection { fd, takes_all })
    }

    pub(super) fn fd(&self) -> &AsyncFd<Socket> {
        &self.fd
    }

    pub(super) fn socket(&self) -> &Socket {
        self.fd.get_ref()
    }

    pub(super) fn into_socket(self) -> Socket {
        self.fd.into_inner()
    }

    /// A read or write of `wanted` bytes that moved fewer has shown that there is no more for now.
    #[inline]
    fn moved(&self, direction: Direction, count: usize, wanted: usize) {
        if direction == Direction::Write && count > 0 {
            self.fd.trusted();
        }
        let all = self.takes_all || direction == Direction::Write;
        if all && 0 < count && count < wanted {
            self.fd.used_up(direction);
        }
    }

    pub(super) async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = |mut socket: &Socket| socket.read(buf);
        let count = self.fd.io(Direction::Read, read).await?;
        self.moved(Direction::Read, count, buf.len());
        Ok(count)
    }

    pub(super) async fn read_exact(&self, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read(buf).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => buf = &mut buf[count..],
            }
        }
        Ok(())
    }

    pub(super) async fn read_to_end(&self, to: &mut Vec<u8>) -> io::Result<usize> {
        /// The most that is read at once, so that others have their turn.
        const AT_ONCE: u64 = 64 * 1024;
        let before = to.len();
        loop {
            // What it has read when it has to wait is in the vector.
            let read = |socket: &Socket| socket.take(AT_ONCE).read_to_end(to);
            if self.fd.io(Direction::Read, read).await? < AT_ONCE as usize {
                return Ok(to.len() - before);
            }
        }
    }

    pub(super) async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let peek = |socket: &Socket| socket.peek(uninit(buf));
        self.fd.io(Direction::Read, peek).await
    }

    pub(super) async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let write = |socket: &Socket| socket.send_with_flags(buf, NO_SIGPIPE);
        let count = self.fd.io(Direction::Write, write).await?;
        self.moved(Direction::Write, count, buf.len());
        Ok(count)
    }

    pub(super) async fn write_all(&self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let count = self.write(buf).await?;
            buf = &buf[count..];
        }
        Ok(())
    }

    pub(super) async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = at_most(bufs);
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        if wanted == 0 {
            return Ok(0);
        }
        let write = |socket: &Socket| socket.send_vectored_with_flags(bufs, NO_SIGPIPE);
        let count = self.fd.io(Direction::Write, write).await?;
        self.moved(Direction::Write, count, wanted);
        Ok(count)
    }

    pub(super) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.fd
            .try_io(Direction::Read, |mut socket| socket.read(buf))
    }

    pub(super) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let write = |socket: &Socket| socket.send_with_flags(buf, NO_SIGPIPE);
        self.fd.try_io(Direction::Write, write)
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how)
    }
}

impl PollIo for Connection {
    #[inline]
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = |socket: &Socket| socket.recv(buf);
        let count = ready!(self.fd.poll_io(cx, Direction::Read, read))?;
        self.moved(Direction::Read, count, buf.len());
        Poll::Ready(Ok(count))
    }

    #[inline]
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let write = |socket: &Socket| socket.send_with_flags(buf, NO_SIGPIPE);
        let count = ready!(self.fd.poll_io(cx, Direction::Write, write))?;
        self.moved(Direction::Write, count, buf.len());
        Poll::Ready(Ok(count))
    }

    #[inline]
    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bufs = at_most(bufs);
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let write = |socket: &Socket| socket.send_vectored_with_flags(bufs, NO_SIGPIPE);
        let count = ready!(self.fd.poll_io(cx, Direction::Write, write))?;
        self.moved(Direction::Write, count, wanted);
        Poll::Ready(Ok(count))
    }

    /// There is no buffer between the program and the system.
    #[inline]
    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        })
    }
}

/// As many of them as the system takes at once, from the first that is not empty.
fn at_most<'a, 'b>(bufs: &'a [IoSlice<'b>]) -> &'a [IoSlice<'b>] {
    const MOST: usize = 1024;
    let first = bufs.iter().position(|buf| !buf.is_empty());
    let bufs = &bufs[first.unwrap_or(0)..];
    &bufs[..bufs.len().min(MOST)]
}

/// A buffer as the system sees it: the bytes are only written, and with initialised ones.
fn uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    let (start, length) = (buf.as_mut_ptr().cast(), buf.len());
    // SAFETY: the same bytes with the same layout, borrowed for as long. Whoever gets the slice,
    // only `recv` in this file, puts no uninitialised byte in it.
    unsafe { slice::from_raw_parts_mut(start, length) }
}
