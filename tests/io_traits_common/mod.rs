//! The traits of futures-io, tokio and hyper, one like the other.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What can be read from.
pub trait Reads {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// What can be written to.
pub trait Writes {
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn is_write_vectored(&self) -> bool;
}

pub trait Both: Reads + Writes {}
impl<T: Reads + Writes> Both for T {}

/// A stream by the traits of futures-io.
pub struct ByFutures<S>(pub S);
/// A stream by tokio's traits.
pub struct ByTokio<S>(pub S);
/// A stream by hyper's traits.
pub struct ByHyper<S>(pub S);

impl<S: futures_io::AsyncRead + Unpin> Reads for ByFutures<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

/// What a reader's buffer holds before: it is to stay there.
const BEFORE: &[u8] = b"before";

impl<S: tokio::io::AsyncRead + Unpin> Reads for ByTokio<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = vec![MaybeUninit::uninit(); BEFORE.len() + buf.len()];
        let mut room = tokio::io::ReadBuf::uninit(&mut room);
        room.put_slice(BEFORE);
        let done = Pin::new(&mut self.0).poll_read(cx, &mut room);
        read_after(BEFORE, room.filled(), done, buf)
    }
}

impl<S: hyper::rt::Read + Unpin> Reads for ByHyper<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = vec![MaybeUninit::uninit(); BEFORE.len() + buf.len()];
        let mut room = hyper::rt::ReadBuf::uninit(&mut room);
        room.unfilled().put_slice(BEFORE);
        let done = Pin::new(&mut self.0).poll_read(cx, room.unfilled());
        read_after(BEFORE, room.filled(), done, buf)
    }
}

fn read_after(
    before: &[u8],
    filled: &[u8],
    done: Poll<io::Result<()>>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>> {
    let read = filled.strip_prefix(before).expect("what was there stays");
    buf[..read.len()].copy_from_slice(read);
    if !matches!(done, Poll::Ready(Ok(()))) {
        assert!(read.is_empty(), "read although {done:?}");
    }
    ready!(done)?;
    Poll::Ready(Ok(read.len()))
}

macro_rules! writes {
    ($by:ident, $write:path, $close:ident, $is_vectored:expr) => {
        impl<S: $write + Unpin> Writes for $by<S> {
            fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                &mut self,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
            }

            fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_flush(cx)
            }

            fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).$close(cx)
            }

            fn is_write_vectored(&self) -> bool {
                let is_vectored: fn(&S) -> bool = $is_vectored;
                is_vectored(&self.0)
            }
        }
    };
}

// futures-io cannot say; all that is here can.
writes!(ByFutures, futures_io::AsyncWrite, poll_close, |_| true);
writes!(
    ByTokio,
    tokio::io::AsyncWrite,
    poll_shutdown,
    tokio::io::AsyncWrite::is_write_vectored
);
writes!(
    ByHyper,
    hyper::rt::Write,
    poll_shutdown,
    hyper::rt::Write::is_write_vectored
);

pub async fn read(from: &mut (impl Reads + ?Sized), buf: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| from.poll_read(cx, buf)).await
}

pub async fn read_to_end(from: &mut (impl Reads + ?Sized)) -> io::Result<Vec<u8>> {
    let (mut all, mut buf) = (Vec::new(), [0; 10_007]);
    loop {
        match read(from, &mut buf).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buf[..count]),
        }
    }
}

pub async fn write_all(to: &mut (impl Writes + ?Sized), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| to.poll_write(cx, bytes)).await?;
        assert!((1..=bytes.len()).contains(&count), "wrote {count}");
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Writes all in slices of growing length, as many at once as an answer of HTTP has.
pub async fn write_slices(to: &mut (impl Writes + ?Sized), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut slices = Vec::new();
        let mut rest = bytes;
        for length in [1, 0, 100, 5000, 20_000] {
            let (slice, after) = rest.split_at(length.min(rest.len()));
            slices.push(IoSlice::new(slice));
            rest = after;
        }
        let offered = bytes.len() - rest.len();
        let count = poll_fn(|cx| to.poll_write_vectored(cx, &slices)).await?;
        assert!((1..=offered).contains(&count), "wrote {count} of {offered}");
        bytes = &bytes[count..];
    }
    Ok(())
}

pub async fn flush(to: &mut (impl Writes + ?Sized)) -> io::Result<()> {
    poll_fn(|cx| to.poll_flush(cx)).await
}

pub async fn close(to: &mut (impl Writes + ?Sized)) -> io::Result<()> {
    poll_fn(|cx| to.poll_close(cx)).await
}
