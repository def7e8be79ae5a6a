//! tokio's traits: tokio-postgres, redis, tokio-tungstenite, tokio-rustls and their like.

use super::each::*;
use std::task::ready;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

impl_read!(AsyncRead, &mut ReadBuf<'_>, (), fill);
impl_write!(AsyncWrite, poll_shutdown, is_write_vectored);

#[inline]
fn fill(stream: &impl PollIo, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    // SAFETY: `PollIo::poll_read` promises to put no uninitialised byte there.
    let room = unsafe { buf.unfilled_mut() };
    let len = ready!(stream.poll_read(cx, room))?;
    // SAFETY: it promises as well that the first `len` bytes of the room are initialised.
    unsafe { buf.assume_init(len) };
    buf.advance(len);
    Poll::Ready(Ok(()))
}
