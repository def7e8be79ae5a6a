//! A trait for each of the types that have it. The three crates' traits differ in names only.

pub(super) use crate::net::split::Connected;
pub(super) use crate::net::{
    OwnedReadHalf, OwnedWriteHalf, PollIo, ReadHalf, TcpStream, UnixStream, WriteHalf,
};
pub(super) use crate::stream::AsyncStream;
pub(super) use crate::task::OnLoop;
pub(super) use std::io::{self, IoSlice};
pub(super) use std::pin::Pin;
pub(super) use std::task::{Context, Poll};

/// Reading by the trait `$read`: the function `$fill` fills its buffer, a `$buf`.
macro_rules! impl_read {
    ($read:ident, $buf:ty, $len:ty, $fill:ident) => {
        impl_read! { @each $read, $buf, $len, $fill:
            [] TcpStream,
            [] UnixStream,
            [] AsyncStream,
            [S: PollIo] ReadHalf<'_, S> = stream,
            [S: PollIo] OwnedReadHalf<S> = stream,
        }

        impl<T: $read + Unpin> $read for OnLoop<T> {
            #[inline]
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: $buf,
            ) -> Poll<io::Result<$len>> {
                Pin::new(&mut **self).poll_read(cx, buf)
            }
        }
    };
    (@each $read:ident, $buf:ty, $len:ty, $fill:ident:
        $([$($bound:tt)*] $type:ty $(= $whole:ident)?,)*) => {$(
        impl<$($bound)*> $read for $type {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: $buf,
            ) -> Poll<io::Result<$len>> {
                $fill(&*self $(.$whole())?, cx, buf)
            }
        }
    )*};
}

/// Writing by the trait `$write`, which calls the end of it `$close`, and may ask `$is_vectored`.
macro_rules! impl_write {
    ($write:ident, $close:ident $(, $is_vectored:ident)?) => {
        impl_write! { @each $write, $close, ($($is_vectored)?):
            [] TcpStream,
            [] UnixStream,
            [] AsyncStream,
            [S: PollIo] WriteHalf<'_, S> = stream,
            [S: PollIo + Connected] OwnedWriteHalf<S> = stream,
        }

        impl<T: $write + Unpin> $write for OnLoop<T> {
            #[inline]
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut **self).poll_write(cx, buf)
            }

            #[inline]
            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut **self).poll_write_vectored(cx, bufs)
            }

            #[inline]
            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut **self).poll_flush(cx)
            }

            #[inline]
            fn $close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut **self).$close(cx)
            }

            $(
                #[inline]
                fn $is_vectored(&self) -> bool {
                    self.get().is_some_and($write::$is_vectored)
                }
            )?
        }
    };
    (@each $write:ident, $close:ident, $is_vectored:tt:
        $([$($bound:tt)*] $type:ty $(= $whole:ident)?,)*) => {$(
        impl<$($bound)*> $write for $type {
            #[inline]
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                PollIo::poll_write(&*self $(.$whole())?, cx, buf)
            }

            #[inline]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                PollIo::poll_write_vectored(&*self $(.$whole())?, cx, bufs)
            }

            #[inline]
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                PollIo::poll_flush(&*self $(.$whole())?, cx)
            }

            #[inline]
            fn $close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                PollIo::poll_close(&*self $(.$whole())?, cx)
            }

            impl_write!(@vectored $is_vectored);
        }
    )*};
    (@vectored ()) => {};
    (@vectored ($is_vectored:ident)) => {
        #[inline]
        fn $is_vectored(&self) -> bool {
            true
        }
    };
}
