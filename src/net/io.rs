//! What every connection can do, in the form that the traits of others are made from.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

/// A connection to be polled: by one task for reading and one for writing at a time, as the one
/// that polled last is woken.
///
/// Public in a private module: it is seen in bounds and cannot be named outside.
#[cfg_attr(
    not(any(feature = "futures-io", feature = "tokio", feature = "hyper")),
    allow(dead_code, reason = "it is for the traits of others")
)]
pub trait PollIo {
    /// Reads into the front of `buf`, and says how many bytes of it are initialised by that, which
    /// are not more than it has; 0 is the end, unless `buf` is empty. No uninitialised byte is put
    /// into it.
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>>;

    /// Writes the front of `buf`, and says how much.
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes the front of all `bufs`, and says how much.
    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Ready when what was written has left the program.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Flushes, and tells the peer that nothing more is written.
    fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
