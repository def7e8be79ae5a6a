//! Space at the end of a buffer, written to in place.

use super::{BufferRef, End};
use crate::error::{Error, Result};
use crate::{ffi, later};
use std::io::IoSliceMut;
use std::os::raw::c_int;
use std::{ptr, slice};

pub(super) const NOTHING: ffi::evbuffer_iovec = ffi::evbuffer_iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// Reserved space, in at most two extents. Nothing may be done with the buffer until it is
/// committed or given up.
pub(super) struct Space {
    raw: *mut ffi::evbuffer,
    extents: [ffi::evbuffer_iovec; 2],
    used: usize,
}

impl Space {
    /// Reserves `n` bytes in at most `max_extents` (1 or 2); none when C refuses.
    ///
    /// # Safety
    /// `raw` is an evbuffer that nobody else uses as long as the space is there.
    pub(super) unsafe fn reserve(
        raw: *mut ffi::evbuffer,
        n: usize,
        max_extents: c_int,
    ) -> Option<Space> {
        // C may not be asked for nothing in two extents.
        let size = isize::try_from(n.max(1)).ok()?;
        let mut extents = [NOTHING; 2];
        // SAFETY: alive, by the caller's promise; there is room for two extents.
        let used = unsafe {
            ffi::evbuffer_reserve_space(raw, size, extents.as_mut_ptr(), max_extents.min(2))
        };
        let used = usize::try_from(used).ok().filter(|&used| used > 0)?;
        let mut space = Space { raw, extents, used };
        // C offers all that it has.
        space.shorten(n);
        Some(space)
    }

    pub(super) fn extents(&self) -> &[ffi::evbuffer_iovec] {
        &self.extents[..self.used]
    }

    fn len(&self) -> usize {
        self.extents().iter().map(|extent| extent.iov_len).sum()
    }

    fn shorten(&mut self, n: usize) {
        let mut left = n;
        for extent in &mut self.extents[..self.used] {
            extent.iov_len = extent.iov_len.min(left);
            left -= extent.iov_len;
        }
        // An extent of no bytes is none to C, except for the first.
        if self.extents[1].iov_len == 0 {
            self.used = 1;
        }
    }

    /// Fills it with zeros, for user code that gets it as slices.
    fn zero(&mut self) {
        for extent in self.extents() {
            // SAFETY: C gave these bytes for writing.
            unsafe { ptr::write_bytes(extent.iov_base.cast::<u8>(), 0, extent.iov_len) };
        }
    }

    /// The space as slices.
    ///
    /// # Safety
    /// All of it was written, by `zero` or by the system.
    unsafe fn slices(&mut self) -> [&mut [u8]; 2] {
        self.extents.each_mut().map(|extent| {
            if extent.iov_base.is_null() {
                return &mut [][..];
            }
            // SAFETY: C gave these bytes for writing, they do not overlap, and `self` is the only
            // way to them.
            unsafe { slice::from_raw_parts_mut(extent.iov_base.cast::<u8>(), extent.iov_len) }
        })
    }

    /// Makes the first `n` bytes part of the buffer. What C queued is left for the caller to run.
    ///
    /// # Safety
    /// The first `n` bytes of the space, which has that many, were written.
    pub(super) unsafe fn commit(mut self, n: usize) -> bool {
        if n == 0 {
            return true;
        }
        self.shorten(n);
        let used = self.used as c_int;
        // SAFETY: these are the extents that C gave, or beginnings of them, and nothing was done
        // with the buffer since.
        if unsafe { ffi::evbuffer_commit_space(self.raw, self.extents.as_mut_ptr(), used) } == 0 {
            return true;
        }
        // C gives a single extent that it does not take back when there are several empty chunks.
        // SAFETY: the caller's promise: `n` bytes are left of it.
        let bytes = unsafe { self.slices() }.concat();
        // SAFETY: the buffer is alive; the space is not used any more.
        unsafe { ffi::evbuffer_add(self.raw, bytes.as_ptr().cast(), bytes.len()) == 0 }
    }
}

impl BufferRef {
    /// Makes room for `n` more bytes at the end, in one piece.
    ///
    /// # Errors
    /// [`Error::Libevent`] when there is no memory for them.
    #[doc(alias = "evbuffer_expand")]
    pub fn reserve(&mut self, n: usize) -> Result<()> {
        // SAFETY: alive.
        match unsafe { ffi::evbuffer_expand(self.as_ptr(), n) } {
            0 => Ok(()),
            _ => Err(Error::Libevent {
                op: "evbuffer_expand",
            }),
        }
    }

    /// Calls `write` with `n` bytes of space, all zero, at the end of the buffer. As many of them
    /// become part of the buffer as it returns; none, if it panics. Returns that number.
    ///
    /// ```
    /// use libevent2::Buffer;
    /// use std::io::Read;
    ///
    /// let mut source: &[u8] = b"from any reader";
    /// let mut buffer = Buffer::new();
    /// let n = buffer.append_with(4096, |space| source.read(space).unwrap())?;
    /// assert_eq!(n, 15);
    /// assert_eq!(buffer, b"from any reader");
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Frozen`] when the end is frozen; [`Error::Libevent`] when there is no memory;
    /// [`Error::Invalid`] when `write` returned more than `n`. Nothing is added then.
    #[doc(alias = "evbuffer_reserve_space")]
    #[doc(alias = "evbuffer_commit_space")]
    pub fn append_with(
        &mut self,
        n: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize> {
        self.fill(n, 1, |[space, _]| write(space))
    }

    /// As [`append_with`](Self::append_with), with the space in one or two slices, which may
    /// save memory.
    ///
    /// # Errors
    /// As [`append_with`](Self::append_with).
    #[doc(alias = "evbuffer_reserve_space")]
    #[doc(alias = "evbuffer_commit_space")]
    pub fn append_vectored_with(
        &mut self,
        n: usize,
        write: impl FnOnce(&mut [IoSliceMut<'_>]) -> usize,
    ) -> Result<usize> {
        self.fill(n, 2, |space| {
            let mut space = space.map(IoSliceMut::new);
            let used = if space[1].is_empty() { 1 } else { 2 };
            write(&mut space[..used])
        })
    }

    fn fill(
        &mut self,
        n: usize,
        extents: c_int,
        write: impl FnOnce([&mut [u8]; 2]) -> usize,
    ) -> Result<usize> {
        // SAFETY: alive; `&mut self` keeps others away until this function ends.
        let Some(mut space) = (unsafe { Space::reserve(self.as_ptr(), n, extents) }) else {
            return Err(self.refused(End::Back, "evbuffer_reserve_space"));
        };
        space.zero();
        // SAFETY: just zeroed.
        let written = write(unsafe { space.slices() });
        if written > space.len() {
            return Err(Error::invalid(
                "bytes written",
                format!("{written} is more than the {n} there was space for"),
            ));
        }
        // SAFETY: all of the space was at least zeroed.
        let committed = unsafe { space.commit(written) };
        later::run();
        match committed {
            true => Ok(written),
            false => Err(self.refused(End::Back, "evbuffer_commit_space")),
        }
    }
}
