//! What the peer has sent.

use super::{BufferEventRef, Output};
use crate::buffer::{Buffer, BufferRef, Eol};
use crate::error::Result;
use crate::ffi;
use std::fmt;
use std::ops::RangeBounds;

/// What a stream has received and nobody has taken yet (C: `bufferevent_get_input`). Bytes are
/// copied out, or moved without a copy into a [`Buffer`] or to another stream. Of a closed stream
/// it is empty.
#[derive(Clone, Copy)]
#[doc(alias = "bufferevent_get_input")]
pub struct Input<'a>(pub(super) &'a BufferEventRef);

impl Input<'_> {
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut BufferRef) -> R) -> Result<R> {
        let result = self.0.with(|raw| {
            // SAFETY: the bufferevent is alive, and so is its input until C is back at least
            // (`with`). What `f` calls may drop the user's values once it has done its work on the
            // input, and they may use this same input: no slice of it is held across that, and
            // the reference itself has no size.
            f(unsafe { BufferRef::from_ptr_mut(ffi::bufferevent_get_input(raw)) })
        });
        self.0.drained();
        result
    }

    /// The number of bytes.
    #[doc(alias = "evbuffer_get_length")]
    #[inline]
    pub fn len(&self) -> usize {
        let raw = self.0.raw.get();
        if raw.is_null() {
            return 0;
        }
        // SAFETY: alive; this only reads.
        unsafe { ffi::evbuffer_get_length(ffi::bufferevent_get_input(raw)) }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies from the front as much as fits, and leaves it there. Returns how much that is.
    #[doc(alias = "evbuffer_copyout")]
    pub fn copy_to(&self, bytes: &mut [u8]) -> usize {
        self.with(|input| input.copy_to(bytes)).unwrap_or(0)
    }

    /// Takes from the front as much as fits. Returns how much that is.
    #[doc(alias = "bufferevent_read")]
    #[doc(alias = "evbuffer_remove")]
    pub fn read(&self, bytes: &mut [u8]) -> usize {
        self.with(|input| {
            let count = input.copy_to(bytes);
            input.drain(count).unwrap_or(0)
        })
        .unwrap_or(0)
    }

    /// Throws away up to `count` bytes from the front. Returns how many there were.
    #[doc(alias = "evbuffer_drain")]
    pub fn drain(&self, count: usize) -> usize {
        self.with(|input| input.drain(count).unwrap_or(0))
            .unwrap_or(0)
    }

    /// Throws everything away.
    pub fn clear(&self) {
        self.drain(usize::MAX);
    }

    /// Takes everything, without a copy.
    #[doc(alias = "bufferevent_read_buffer")]
    pub fn take(&self) -> Buffer {
        let mut buffer = Buffer::new();
        self.move_to(&mut buffer, usize::MAX);
        buffer
    }

    /// Moves up to `count` bytes to the end of a buffer, without a copy. Returns how many.
    #[doc(alias = "evbuffer_remove_buffer")]
    pub fn move_to(&self, buffer: &mut BufferRef, count: usize) -> usize {
        self.with(|input| input.move_to(buffer, count).unwrap_or(0))
            .unwrap_or(0)
    }

    /// Moves everything to the output of a stream, without a copy; the same as
    /// [`Output::append_from`].
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when that stream is closed. The input is left as
    /// it is.
    pub fn forward_to(&self, output: &Output<'_>) -> Result<()> {
        output.append_from(self)
    }

    /// Takes a line, without its end; None when there is no whole one yet. A peer may send lines
    /// of any length: a high watermark bounds them.
    #[doc(alias = "evbuffer_readln")]
    pub fn read_line(&self, eol: Eol) -> Option<Vec<u8>> {
        self.with(|input| input.read_line(eol).ok().flatten())
            .ok()
            .flatten()
    }

    /// Where `pattern` begins in a range, counted from the front.
    #[doc(alias = "evbuffer_search")]
    #[doc(alias = "evbuffer_search_range")]
    pub fn find(&self, pattern: &[u8], range: impl RangeBounds<usize>) -> Option<usize> {
        // Asked before C's object is looked at: the range may be of the user's own kind.
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        self.with(|input| input.find(pattern, range)).ok().flatten()
    }

    /// Where the first end of a line at or after `from` begins, and its length.
    #[doc(alias = "evbuffer_search_eol")]
    pub fn find_eol(&self, from: usize, eol: Eol) -> Option<(usize, usize)> {
        self.with(|input| input.find_eol(from, eol)).ok().flatten()
    }

    /// A copy of everything.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        let count = self.copy_to(&mut bytes);
        bytes.truncate(count);
        bytes
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("len", &self.len()).finish()
    }
}
