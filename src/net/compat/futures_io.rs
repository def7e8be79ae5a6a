//! The traits of futures-io: async-tungstenite, futures-rustls and their like.

use super::each::*;
use futures_io::{AsyncRead, AsyncWrite};
use std::mem::MaybeUninit;

impl_read!(AsyncRead, &mut [u8], usize, fill);
impl_write!(AsyncWrite, poll_close);

#[inline]
fn fill(stream: &impl PollIo, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
    // SAFETY: the same bytes under a type of the same layout. This type would let one put
    // uninitialised bytes among them: `PollIo::poll_read`, the only one to get it, promises not to.
    let room = unsafe { &mut *(std::ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) };
    stream.poll_read(cx, room)
}
