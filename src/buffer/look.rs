//! Looking at bytes that stay where they are, and copying them out.

use super::{Buffer, BufferRef, End};
use crate::error::{Error, Result};
use crate::{ffi, later};
use std::iter::FusedIterator;
use std::os::raw::c_int;
use std::{fmt, slice};

impl BufferRef {
    /// The bytes as they lie in memory: slices, none of them empty.
    #[doc(alias = "evbuffer_peek")]
    pub fn chunks(&self) -> Chunks<'_> {
        self.chunks_from(0)
    }

    /// The bytes from `position` on as they lie in memory. There are none from the end on, or
    /// from behind it.
    #[doc(alias = "evbuffer_peek")]
    pub fn chunks_from(&self, position: usize) -> Chunks<'_> {
        Chunks {
            at: self.pointer_to(position),
            buffer: self,
        }
    }

    /// The number of bytes that the first of [`chunks`](Self::chunks) has.
    #[doc(alias = "evbuffer_get_contiguous_space")]
    pub fn contiguous_len(&self) -> usize {
        // SAFETY: alive as long as `self`.
        unsafe { ffi::evbuffer_get_contiguous_space(self.as_ptr()) }
    }

    /// Makes the first `n` bytes, or all if there are fewer, lie in one piece, copying if they
    /// do not.
    ///
    /// # Errors
    /// [`Error::Libevent`] when there is no memory for them in one piece.
    #[doc(alias = "evbuffer_pullup")]
    pub fn make_contiguous(&mut self, n: usize) -> Result<&[u8]> {
        const OP: &str = "evbuffer_pullup";
        let n = n.min(self.len());
        if n == 0 {
            return Ok(&[]);
        }
        let size = isize::try_from(n).map_err(|_| Error::Libevent { op: OP })?;
        // SAFETY: alive; it has that many bytes. None of its chunks is shared with another
        // evbuffer (nothing here makes such, `from_ptr` forbids them), so C writes in its own.
        let start = unsafe { ffi::evbuffer_pullup(self.as_ptr(), size) };
        later::run();
        if start.is_null() {
            return Err(Error::Libevent { op: OP });
        }
        // Asked for anew because of what ran just now.
        let first = self.chunks().next().unwrap_or(&[]);
        Ok(&first[..n.min(first.len())])
    }

    /// Copies the first bytes, as many as fit, and leaves them there. Returns how many.
    #[doc(alias = "evbuffer_copyout")]
    pub fn copy_to(&self, target: &mut [u8]) -> usize {
        self.copy_from_offset(0, target)
    }

    /// Copies the bytes from `position` on, as many as fit, and leaves them there. Returns how
    /// many: none from the end on, or from behind it.
    #[doc(alias = "evbuffer_copyout_from")]
    pub fn copy_from_offset(&self, position: usize, target: &mut [u8]) -> usize {
        let mut copied = 0;
        for chunk in self.chunks_from(position) {
            let left = &mut target[copied..];
            let n = chunk.len().min(left.len());
            left[..n].copy_from_slice(&chunk[..n]);
            copied += n;
            if copied == target.len() {
                break;
            }
        }
        copied
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.chunks()
            .for_each(|chunk| bytes.extend_from_slice(chunk));
        bytes
    }

    /// Takes the first bytes, as many as fit into `target`. Returns how many; what
    /// [`Read::read`](std::io::Read::read) does.
    ///
    /// # Errors
    /// [`Error::Frozen`] when the front is frozen.
    #[doc(alias = "evbuffer_remove")]
    pub fn remove(&mut self, target: &mut [u8]) -> Result<usize> {
        // What C returns is an `int`.
        let n = target.len().min(self.len()).min(c_int::MAX as usize);
        if n == 0 {
            return Ok(0);
        }
        // SAFETY: alive; the target has room for that many.
        let got = unsafe { ffi::evbuffer_remove(self.as_ptr(), target.as_mut_ptr().cast(), n) };
        self.done(c_int::from(got < 0), End::Front, "evbuffer_remove")?;
        Ok(n)
    }

    /// C's pointer to the byte at `position`; to nothing at the end, none behind it.
    pub(super) fn pointer_to(&self, position: usize) -> Option<ffi::evbuffer_ptr> {
        let mut pointer = NOWHERE;
        if position > self.len() {
            return None;
        }
        // SAFETY: alive; C only looks.
        let code = unsafe {
            ffi::evbuffer_ptr_set(self.as_ptr(), &mut pointer, position, ffi::EVBUFFER_PTR_SET)
        };
        (code == 0).then_some(pointer)
    }
}

const NOWHERE: ffi::evbuffer_ptr = ffi::evbuffer_ptr {
    pos: -1,
    internal_: ffi::evbuffer_ptr__bindgen_ty_1 {
        chain: std::ptr::null_mut(),
        pos_in_chain: 0,
    },
};

/// The bytes of a buffer as they lie in memory, which [`BufferRef::chunks`] gives.
#[derive(Clone)]
#[must_use]
pub struct Chunks<'a> {
    buffer: &'a BufferRef,
    /// At the next chunk. Valid as long as nobody changes the buffer, which is borrowed.
    at: Option<ffi::evbuffer_ptr>,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let at = self.at.as_mut()?;
        let mut extent = super::space::NOTHING;
        let raw = self.buffer.as_ptr();
        // SAFETY: alive; `at` points into it, or to its end, where C finds nothing.
        let found = unsafe { ffi::evbuffer_peek(raw, -1, at, &mut extent, 1) };
        if found < 1 {
            self.at = None;
            return None;
        }
        // SAFETY: as above; C skips the chunks without a byte.
        let code = unsafe { ffi::evbuffer_ptr_set(raw, at, extent.iov_len, ffi::EVBUFFER_PTR_ADD) };
        if code != 0 {
            self.at = None;
        }
        // SAFETY: that many bytes are there, and nobody changes the buffer for 'a. None is the
        // stand-in for a piece of a file, which only outputs of sockets have.
        Some(unsafe { slice::from_raw_parts(extent.iov_base.cast::<u8>(), extent.iov_len) })
    }
}

impl FusedIterator for Chunks<'_> {}

impl fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for BufferRef {
    fn eq(&self, other: &T) -> bool {
        let mut other = other.as_ref();
        if other.len() != self.len() {
            return false;
        }
        self.chunks().all(|chunk| {
            let Some((head, tail)) = other.split_at_checked(chunk.len()) else {
                return false;
            };
            other = tail;
            head == chunk
        })
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Buffer {
    fn eq(&self, other: &T) -> bool {
        **self == *other
    }
}
