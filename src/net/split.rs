//! The two directions of a stream as two values.

use super::connection::Connection;
use super::{TcpStream, UnixStream};
use std::fmt;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::rc::Rc;

/// A stream that has halves. It cannot be named outside.
pub trait Connected {
    /// What the halves work on.
    #[doc(hidden)]
    fn connection(&self) -> &Connection;
}

impl Connected for TcpStream {
    fn connection(&self) -> &Connection {
        &self.0
    }
}

impl Connected for UnixStream {
    fn connection(&self) -> &Connection {
        &self.0
    }
}

/// The reading half of a stream that is borrowed.
#[derive(Debug)]
pub struct ReadHalf<'a, S>(&'a S);

/// The writing half of a stream that is borrowed.
#[derive(Debug)]
pub struct WriteHalf<'a, S>(&'a S);

/// The reading half of a stream, which both halves share.
#[derive(Debug)]
pub struct OwnedReadHalf<S>(Rc<S>);

/// The writing half of a stream, which both halves share. Dropping it tells the peer that nothing
/// more is written; [`forget`](Self::forget) does not.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: Connected> {
    stream: Rc<S>,
    shuts_down: bool,
}

/// The two halves are of different streams. They are given back.
#[derive(thiserror::Error)]
#[error("the two halves are of different streams")]
#[non_exhaustive]
pub struct ReuniteError<S: Connected> {
    /// The reading half.
    pub read: OwnedReadHalf<S>,
    /// The writing half.
    pub write: OwnedWriteHalf<S>,
}

impl<S: Connected> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReuniteError")
    }
}

pub(super) fn split<S>(stream: &S) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
    (ReadHalf(stream), WriteHalf(stream))
}

pub(super) fn into_split<S: Connected>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Rc::new(stream);
    let write = OwnedWriteHalf {
        stream: Rc::clone(&stream),
        shuts_down: true,
    };
    (OwnedReadHalf(stream), write)
}

impl<S> ReadHalf<'_, S> {
    /// The stream that it is half of.
    pub fn stream(&self) -> &S {
        self.0
    }
}

impl<S> WriteHalf<'_, S> {
    /// The stream that it is half of.
    pub fn stream(&self) -> &S {
        self.0
    }
}

impl<S> OwnedReadHalf<S> {
    /// The stream that it is half of.
    pub fn stream(&self) -> &S {
        &self.0
    }
}

impl<S: Connected> OwnedReadHalf<S> {
    /// The whole stream again.
    ///
    /// # Errors
    /// Both halves, when they are of different streams.
    pub fn reunite(self, write: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Rc::ptr_eq(&self.0, &write.stream) {
            return Err(ReuniteError { read: self, write });
        }
        write.forget();
        Ok(Rc::into_inner(self.0).expect("a stream has two halves"))
    }
}

impl<S: Connected> OwnedWriteHalf<S> {
    /// The stream that it is half of.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Drops it without a word to the peer.
    pub fn forget(mut self) {
        self.shuts_down = false;
    }
}

impl<S: Connected> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.shuts_down {
            // An error means that the peer has gone.
            let _ = self.stream.connection().shutdown(Shutdown::Write);
        }
    }
}

macro_rules! reading {
    ($($half:ty),+) => {$(
        impl<S: Connected> $half {
            /// See [`TcpStream::read`].
            ///
            /// # Errors
            /// As there.
            pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().connection().read(buf).await
            }

            /// See [`TcpStream::read_exact`].
            ///
            /// # Errors
            /// As there.
            pub async fn read_exact(&self, buf: &mut [u8]) -> io::Result<()> {
                self.stream().connection().read_exact(buf).await
            }

            /// See [`TcpStream::read_to_end`].
            ///
            /// # Errors
            /// As there.
            pub async fn read_to_end(&self, to: &mut Vec<u8>) -> io::Result<usize> {
                self.stream().connection().read_to_end(to).await
            }

            /// See [`TcpStream::peek`].
            ///
            /// # Errors
            /// As there.
            pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().connection().peek(buf).await
            }

            /// See [`TcpStream::try_read`].
            ///
            /// # Errors
            /// As there.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().connection().try_read(buf)
            }

            /// See [`TcpStream::readable`].
            ///
            /// # Errors
            /// As there.
            pub async fn readable(&self) -> io::Result<()> {
                self.stream().connection().fd().readable().await
            }
        }
    )+};
}

reading!(ReadHalf<'_, S>, OwnedReadHalf<S>);

macro_rules! writing {
    ($($half:ty),+) => {$(
        impl<S: Connected> $half {
            /// See [`TcpStream::write`].
            ///
            /// # Errors
            /// As there.
            pub async fn write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream().connection().write(buf).await
            }

            /// See [`TcpStream::write_all`].
            ///
            /// # Errors
            /// As there.
            pub async fn write_all(&self, buf: &[u8]) -> io::Result<()> {
                self.stream().connection().write_all(buf).await
            }

            /// See [`TcpStream::write_vectored`].
            ///
            /// # Errors
            /// As there.
            pub async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream().connection().write_vectored(bufs).await
            }

            /// See [`TcpStream::try_write`].
            ///
            /// # Errors
            /// As there.
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream().connection().try_write(buf)
            }

            /// See [`TcpStream::writable`].
            ///
            /// # Errors
            /// As there.
            pub async fn writable(&self) -> io::Result<()> {
                self.stream().connection().fd().writable().await
            }

            /// Tells the peer that nothing more is written.
            ///
            /// # Errors
            /// [`NotConnected`](io::ErrorKind::NotConnected) when it has gone.
            pub fn shutdown(&self) -> io::Result<()> {
                self.stream().connection().shutdown(Shutdown::Write)
            }
        }
    )+};
}

writing!(WriteHalf<'_, S>, OwnedWriteHalf<S>);
