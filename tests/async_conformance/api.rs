//! The ways of reading and writing that there are, in one form.

use libevent2::net::{TcpStream, UnixStream};
use libevent2::stream::AsyncStream;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;

/// Reading and writing of an `S`, in one of the ways.
pub trait Api<S>: 'static {
    fn over(stream: S) -> Self;
    fn read(&self, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>>;
    fn write(&self, buf: &[u8]) -> impl Future<Output = io::Result<usize>>;
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> impl Future<Output = io::Result<usize>>;
    fn flush(&self) -> impl Future<Output = io::Result<()>>;
    /// Writes no more.
    fn close(&self) -> impl Future<Output = io::Result<()>>;
}

/// By the stream's own methods.
pub struct Own<S>(S);

macro_rules! own_of_a_socket {
    ($stream:ty) => {
        impl Api<$stream> for Own<$stream> {
            fn over(stream: $stream) -> Self {
                Own(stream)
            }

            async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.read(buf).await
            }

            async fn write(&self, buf: &[u8]) -> io::Result<usize> {
                self.0.write(buf).await
            }

            async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.write_vectored(bufs).await
            }

            async fn flush(&self) -> io::Result<()> {
                Ok(())
            }

            async fn close(&self) -> io::Result<()> {
                self.0.shutdown(Shutdown::Write)
            }
        }
    };
}

own_of_a_socket!(TcpStream);
own_of_a_socket!(UnixStream);

impl Api<AsyncStream> for Own<AsyncStream> {
    fn over(stream: AsyncStream) -> Self {
        Own(stream)
    }

    async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).await
    }

    /// Its own takes all or nothing.
    async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf).await.map(|()| buf.len())
    }

    async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&bufs.iter().flat_map(|buf| buf.to_vec()).collect::<Vec<_>>())
            .await
    }

    async fn flush(&self) -> io::Result<()> {
        self.0.flush().await
    }

    async fn close(&self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

/// By a trait whose methods poll.
#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
macro_rules! by_a_trait {
    ($name:ident: $read:path, $write:path, $close:ident, $fill:expr) => {
        pub struct $name<S>(std::cell::RefCell<S>);

        impl<S: $read + $write + Unpin + 'static> $name<S> {
            fn pinned<R>(&self, act: impl FnOnce(std::pin::Pin<&mut S>) -> R) -> R {
                act(std::pin::Pin::new(&mut *self.0.borrow_mut()))
            }
        }

        impl<S: $read + $write + Unpin + 'static> Api<S> for $name<S> {
            fn over(stream: S) -> Self {
                $name(std::cell::RefCell::new(stream))
            }

            async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
                std::future::poll_fn(|cx| self.pinned(|stream| $fill(stream, cx, buf))).await
            }

            async fn write(&self, buf: &[u8]) -> io::Result<usize> {
                std::future::poll_fn(|cx| {
                    self.pinned(|stream| <S as $write>::poll_write(stream, cx, buf))
                })
                .await
            }

            async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                std::future::poll_fn(|cx| {
                    self.pinned(|stream| <S as $write>::poll_write_vectored(stream, cx, bufs))
                })
                .await
            }

            async fn flush(&self) -> io::Result<()> {
                std::future::poll_fn(|cx| {
                    self.pinned(|stream| <S as $write>::poll_flush(stream, cx))
                })
                .await
            }

            async fn close(&self) -> io::Result<()> {
                std::future::poll_fn(|cx| self.pinned(|stream| <S as $write>::$close(stream, cx)))
                    .await
            }
        }
    };
}

#[cfg(feature = "futures-io")]
by_a_trait!(
    FuturesIo: futures_io::AsyncRead, futures_io::AsyncWrite, poll_close,
    futures_io::AsyncRead::poll_read
);

#[cfg(feature = "tokio")]
by_a_trait!(
    Tokio: tokio::io::AsyncRead, tokio::io::AsyncWrite, poll_shutdown,
    |stream: std::pin::Pin<&mut S>, cx: &mut std::task::Context<'_>, buf: &mut [u8]| {
        let mut buf = tokio::io::ReadBuf::new(buf);
        let poll = tokio::io::AsyncRead::poll_read(stream, cx, &mut buf);
        poll.map_ok(|()| buf.filled().len())
    }
);

#[cfg(feature = "hyper")]
by_a_trait!(
    Hyper: hyper::rt::Read, hyper::rt::Write, poll_shutdown,
    |stream: std::pin::Pin<&mut S>, cx: &mut std::task::Context<'_>, buf: &mut [u8]| {
        let mut buf = hyper::rt::ReadBuf::new(buf);
        let poll = hyper::rt::Read::poll_read(stream, cx, buf.unfilled());
        poll.map_ok(|()| buf.filled().len())
    }
);
