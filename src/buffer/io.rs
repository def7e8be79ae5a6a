//! Bytes from and to descriptors, and the traits of `std::io`.

use super::{BufferRef, End};
use crate::{ffi, later};
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
use std::os::raw::c_int;

const NO_SPACE: ffi::evbuffer_iovec = ffi::evbuffer_iovec {
    iov_base: std::ptr::null_mut(),
    iov_len: 0,
};

/// Reads at most `max` bytes from `fd` to the end of `raw`, by one call of the system. 0 is the
/// end of the stream, or what `max` was. C's callbacks on the buffer are called as by
/// `evbuffer_read`; what they queued is not run.
///
/// # Safety
/// `raw` is an evbuffer that nobody uses meanwhile.
#[cfg(unix)]
pub(crate) unsafe fn read_more(
    raw: *mut ffi::evbuffer,
    fd: ffi::evutil_socket_t,
    max: usize,
) -> io::Result<usize> {
    // More than this no system reads at once.
    let max = max.min(i32::MAX as usize);
    if max == 0 {
        return Ok(0);
    }
    let mut extents = [NO_SPACE; 2];
    // SAFETY: alive, by the caller's promise; there is room for two extents.
    let used = unsafe {
        ffi::evbuffer_reserve_space(
            raw,
            max as isize,
            extents.as_mut_ptr(),
            extents.len() as c_int,
        )
    };
    if used < 1 {
        // SAFETY: as above.
        let buffer = unsafe { BufferRef::from_ptr(raw) };
        return Err(buffer.refused(End::Back, "evbuffer_reserve_space").into());
    }
    // C offers all the space that it has.
    let used = cap(&mut extents[..used as usize], max);
    // SAFETY: C gave the extents for writing, and nobody uses the buffer until they are committed.
    let got = unsafe { libc::readv(fd, extents.as_ptr(), used) };
    let Ok(got) = usize::try_from(got) else {
        return Err(io::Error::last_os_error());
    };
    if got == 0 {
        return Ok(0);
    }
    let used = cap(&mut extents[..used as usize], got);
    // SAFETY: the extents are those reserved, and the system has written what they now cover.
    let code = unsafe { ffi::evbuffer_commit_space(raw, extents.as_mut_ptr(), used) };
    debug_assert_eq!(code, 0, "the space was reserved and its end was not frozen");
    Ok(got)
}

/// Shortens `extents` to `max` bytes in all. Returns how many of them are left.
fn cap(extents: &mut [ffi::evbuffer_iovec], max: usize) -> c_int {
    let mut left = max;
    let mut used = 0;
    for extent in extents {
        if left == 0 {
            break;
        }
        extent.iov_len = extent.iov_len.min(left);
        left -= extent.iov_len;
        used += 1;
    }
    used
}

#[cfg(unix)]
impl BufferRef {
    /// Reads at most `max` bytes from a descriptor to the end, by one call of the system. 0 is
    /// the end of the stream.
    ///
    /// # Errors
    /// Those of `readv`; among them [`WouldBlock`](io::ErrorKind::WouldBlock) when there is
    /// nothing yet on a descriptor that does not block. [`Error::Frozen`](crate::Error::Frozen)
    /// within an [`io::Error`] when that end is frozen.
    #[doc(alias = "evbuffer_read")]
    pub fn read_from(&mut self, source: impl AsFd, max: usize) -> io::Result<usize> {
        let fd = source.as_fd().as_raw_fd();
        // SAFETY: alive, and `&mut self` is the only use.
        let result = unsafe { read_more(self.as_ptr(), fd, max) };
        later::run();
        result
    }
}
