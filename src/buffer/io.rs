//! Bytes from and to descriptors, and the traits of `std::io` and `std::fmt`.

use super::space::Space;
use super::{Buffer, BufferRef, End};
use crate::error::{Error, Result};
use crate::{ffi, later};
use std::fmt;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::os::raw::c_int;

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};

#[cfg(unix)]
impl BufferRef {
    /// Reads at most `max` bytes from a descriptor to the end, by one call of the system. 0 is
    /// the end of the stream. Memory for `max` bytes is allocated before.
    ///
    /// # Errors
    /// Those of `readv`; among them [`WouldBlock`](io::ErrorKind::WouldBlock) when there is
    /// nothing yet on a descriptor that does not block. [`Error::Frozen`] within an [`io::Error`]
    /// when that end is frozen.
    #[doc(alias = "evbuffer_read")]
    pub fn read_from(&mut self, source: impl AsFd, max: usize) -> io::Result<usize> {
        let fd = source.as_fd().as_raw_fd();
        // No system reads more than this at once.
        let max = max.min(c_int::MAX as usize);
        if max == 0 {
            return Ok(0);
        }
        // SAFETY: alive; `&mut self` keeps others away until it is committed.
        let Some(space) = (unsafe { Space::reserve(self.as_ptr(), max, 2) }) else {
            return Err(self.refused(End::Back, "evbuffer_reserve_space").into());
        };
        let extents = space.extents();
        // SAFETY: C gave the extents for writing.
        let got = unsafe { libc::readv(fd, extents.as_ptr(), extents.len() as c_int) };
        let Ok(got) = usize::try_from(got) else {
            return Err(io::Error::last_os_error());
        };
        // SAFETY: the system has written that many bytes.
        let committed = unsafe { space.commit(got) };
        later::run();
        match committed {
            true => Ok(got),
            false => Err(self.refused(End::Back, "evbuffer_commit_space").into()),
        }
    }

    /// Writes at most `max` bytes from the front to a descriptor, by one call of the system, and
    /// drops what was written. Returns how many bytes that were; 0 only if there were none to
    /// write.
    ///
    /// # Errors
    /// Those of `writev`; among them [`WouldBlock`](io::ErrorKind::WouldBlock) when a descriptor
    /// that does not block takes nothing now. [`Error::Frozen`] within an [`io::Error`] when the
    /// front is frozen.
    #[doc(alias = "evbuffer_write")]
    #[doc(alias = "evbuffer_write_atmost")]
    pub fn write_to(&mut self, target: impl AsFd, max: usize) -> io::Result<usize> {
        const OP: &str = "evbuffer_write_atmost";
        // What C returns is an `int`.
        let max = max.min(self.len()).min(c_int::MAX as usize);
        if max == 0 {
            return Ok(0);
        }
        let fd = target.as_fd().as_raw_fd();
        // SAFETY: alive; no chunk of it is for sendfile.
        let wrote = unsafe { ffi::evbuffer_write_atmost(self.as_ptr(), fd, max as isize) };
        let result = usize::try_from(wrote).map_err(|_| io::Error::last_os_error());
        later::run();
        if wrote < 0 && self.is_frozen(End::Front) {
            return Err(Error::Frozen { op: OP }.into());
        }
        result
    }
}

/// Takes the first bytes; no bytes mean that the buffer is empty.
impl Read for BufferRef {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        Ok(self.remove(target)?)
    }
}

impl BufRead for BufferRef {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.chunks().next().unwrap_or_default())
    }

    /// Drops the first bytes; a frozen front keeps them.
    fn consume(&mut self, n: usize) {
        // There is no way to tell.
        let _frozen: Result<usize> = self.drain(n);
    }
}

/// Adds at the end, always everything.
impl Write for BufferRef {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes)?;
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.append_vectored(parts)?;
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Adds at the end.
impl fmt::Write for BufferRef {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

// The methods of a `Buffer` are those of a `BufferRef`; generic functions want the traits as well.

impl Read for Buffer {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        (**self).read(target)
    }
}

impl BufRead for Buffer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        (**self).fill_buf()
    }

    fn consume(&mut self, n: usize) {
        (**self).consume(n);
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (**self).write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        (**self).write_str(text)
    }
}
