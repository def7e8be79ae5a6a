//! An evbuffer that somebody owns: adding, taking and moving bytes.

use super::Buffer;
use crate::error::{Error, Result};
use crate::{ffi, later};
use std::cell::UnsafeCell;
use std::fmt;
use std::io::IoSlice;
use std::marker::PhantomData;
use std::os::raw::c_int;
use std::ptr;

/// One end of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// Where bytes are taken from.
    Front,
    /// Where bytes are added.
    Back,
}

impl End {
    pub(super) fn at_front(self) -> c_int {
        c_int::from(self == End::Front)
    }
}

/// A byte queue that somebody owns: a [`Buffer`], or C.
///
/// What reads takes `&self`, what changes takes `&mut self`, and a slice lives as long as the
/// borrow that it came from. See the [module](super) for an example.
#[doc(alias = "evbuffer")]
#[repr(C)]
pub struct BufferRef {
    // Of no size, so that swapping two of them does nothing; the address is the C object's.
    _opaque: UnsafeCell<[u8; 0]>,
    // One that C owns belongs to a loop, and so to a thread.
    _not_send: PhantomData<*mut ()>,
}

impl BufferRef {
    /// Borrows an evbuffer that C owns, for reading.
    ///
    /// # Safety
    /// For `'a`, `raw` is an evbuffer and nobody changes it. It has no chains made by
    /// `evbuffer_add_buffer_reference` or for sendfile.
    pub unsafe fn from_ptr<'a>(raw: *mut ffi::evbuffer) -> &'a BufferRef {
        // SAFETY: the caller's promise; the type has no size, so nothing is ever read through it.
        unsafe { &*raw.cast::<BufferRef>() }
    }

    /// Borrows an evbuffer that C owns.
    ///
    /// # Safety
    /// For `'a`, `raw` is an evbuffer and nobody else uses it, C's own callbacks excepted, which
    /// what is done with it here may call. It has no chains made by
    /// `evbuffer_add_buffer_reference` or for sendfile.
    pub unsafe fn from_ptr_mut<'a>(raw: *mut ffi::evbuffer) -> &'a mut BufferRef {
        // SAFETY: as above.
        unsafe { &mut *raw.cast::<BufferRef>() }
    }

    /// The C evbuffer, for calls of `ffi`.
    pub fn as_ptr(&self) -> *mut ffi::evbuffer {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The number of bytes in it.
    #[doc(alias = "evbuffer_get_length")]
    pub fn len(&self) -> usize {
        // SAFETY: alive as long as `self`.
        unsafe { ffi::evbuffer_get_length(self.as_ptr()) }
    }

    /// Whether there are no bytes in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a copy of `bytes` at the end.
    ///
    /// # Errors
    /// [`Error::Frozen`] when that end is frozen.
    #[doc(alias = "evbuffer_add")]
    #[doc(alias = "evbuffer_add_printf")]
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // SAFETY: alive; C copies the bytes.
        let code = unsafe { ffi::evbuffer_add(self.as_ptr(), bytes.as_ptr().cast(), bytes.len()) };
        self.done(code, End::Back, "evbuffer_add")
    }

    /// Adds copies of all `parts` at the end, in their order.
    ///
    /// # Errors
    /// [`Error::Frozen`] when that end is frozen.
    #[doc(alias = "evbuffer_add_iovec")]
    pub fn append_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        const OP: &str = "evbuffer_add_iovec";
        let extents: Vec<_> = parts
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| ffi::evbuffer_iovec {
                iov_base: part.as_ptr().cast_mut().cast(),
                iov_len: part.len(),
            })
            .collect();
        for extents in extents.chunks(c_int::MAX as usize) {
            let wanted = extents
                .iter()
                .try_fold(0_usize, |sum, extent| sum.checked_add(extent.iov_len))
                .ok_or(Error::Libevent { op: OP })?;
            let count = extents.len() as c_int;
            // SAFETY: alive; C only reads the extents, and copies the bytes.
            let added = unsafe {
                ffi::evbuffer_add_iovec(self.as_ptr(), extents.as_ptr().cast_mut(), count)
            };
            self.done(c_int::from(added != wanted), End::Back, OP)?;
        }
        Ok(())
    }

    /// Puts a copy of `bytes` in front of all others.
    ///
    /// # Errors
    /// [`Error::Frozen`] when that end is frozen.
    #[doc(alias = "evbuffer_prepend")]
    pub fn prepend(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // SAFETY: alive; C copies the bytes.
        let code =
            unsafe { ffi::evbuffer_prepend(self.as_ptr(), bytes.as_ptr().cast(), bytes.len()) };
        self.done(code, End::Front, "evbuffer_prepend")
    }

    /// Moves everything out of `source` to the end, without copying.
    ///
    /// # Errors
    /// [`Error::Frozen`] when this end or the front of `source` is frozen.
    #[doc(alias = "evbuffer_add_buffer")]
    pub fn append_buffer(&mut self, source: &mut BufferRef) -> Result<()> {
        self.join(source, End::Back, "evbuffer_add_buffer")
    }

    /// Moves everything out of `source` to the front, without copying.
    ///
    /// # Errors
    /// [`Error::Frozen`] when this end or the front of `source` is frozen.
    #[doc(alias = "evbuffer_prepend_buffer")]
    pub fn prepend_buffer(&mut self, source: &mut BufferRef) -> Result<()> {
        self.join(source, End::Front, "evbuffer_prepend_buffer")
    }

    fn join(&mut self, source: &mut BufferRef, end: End, op: &'static str) -> Result<()> {
        if source.is_empty() {
            return Ok(());
        }
        self.room_for(source.len(), op)?;
        let result = match self.join_quietly(source, end) {
            true => Ok(()),
            false => Err(match source.refused(End::Front, op) {
                Error::Libevent { .. } => self.refused(end, op),
                frozen => frozen,
            }),
        };
        later::run();
        result
    }

    /// Moves everything out of `source`; what C queued is left for the caller to run.
    pub(super) fn join_quietly(&mut self, source: &mut BufferRef, end: End) -> bool {
        let (to, from) = (self.as_ptr(), source.as_ptr());
        // SAFETY: both are alive and ours to change.
        let code = unsafe {
            match end {
                End::Back => ffi::evbuffer_add_buffer(to, from),
                End::Front => ffi::evbuffer_prepend_buffer(to, from),
            }
        };
        code == 0
    }

    /// Moves the first `n` bytes, or all if there are fewer, to the end of `target`. Whole chunks
    /// are not copied. Returns how many bytes were moved.
    ///
    /// # Errors
    /// [`Error::Frozen`] when this front or the end of `target` is frozen.
    #[doc(alias = "evbuffer_remove_buffer")]
    pub fn move_to(&mut self, target: &mut BufferRef, n: usize) -> Result<usize> {
        const OP: &str = "evbuffer_remove_buffer";
        let before = self.len();
        if n >= before {
            target.join(self, End::Back, OP)?;
            return Ok(before);
        }
        if n == 0 {
            return Ok(0);
        }
        target.room_for(n, OP)?;
        // SAFETY: both are alive and ours to change.
        unsafe { ffi::evbuffer_remove_buffer(self.as_ptr(), target.as_ptr(), n) };
        // What C returns is an `int`, too small for what it may have moved.
        let result = match before - self.len() {
            moved if moved == n => Ok(moved),
            _ => Err(match self.refused(End::Front, OP) {
                Error::Libevent { .. } => target.refused(End::Back, OP),
                frozen => frozen,
            }),
        };
        later::run();
        result
    }

    /// Takes the first `n` bytes, or all if there are fewer, as a buffer of their own.
    ///
    /// # Errors
    /// [`Error::Frozen`] when the front is frozen.
    #[doc(alias = "evbuffer_remove_buffer")]
    pub fn split_to(&mut self, n: usize) -> Result<Buffer> {
        let mut front = Buffer::new();
        self.move_to(&mut front, n)?;
        Ok(front)
    }

    /// Drops the first `n` bytes, or all if there are fewer. Returns how many were dropped.
    ///
    /// # Errors
    /// [`Error::Frozen`] when the front is frozen.
    #[doc(alias = "evbuffer_drain")]
    pub fn drain(&mut self, n: usize) -> Result<usize> {
        let n = n.min(self.len());
        if n == 0 {
            return Ok(0);
        }
        // SAFETY: alive.
        let code = unsafe { ffi::evbuffer_drain(self.as_ptr(), n) };
        self.done(code, End::Front, "evbuffer_drain")?;
        Ok(n)
    }

    /// Drops everything.
    ///
    /// # Errors
    /// [`Error::Frozen`] when the front is frozen.
    #[doc(alias = "evbuffer_drain")]
    pub fn clear(&mut self) -> Result<()> {
        self.drain(usize::MAX)?;
        Ok(())
    }

    /// Whether one end is frozen, by [`Buffer::freeze`] or by C.
    #[doc(alias = "evbuffer_freeze")]
    pub fn is_frozen(&self, end: End) -> bool {
        let raw = self.as_ptr();
        match end {
            // SAFETY: alive; nothing is committed, so only the end is looked at.
            End::Back => unsafe { ffi::evbuffer_commit_space(raw, ptr::null_mut(), 0) != 0 },
            End::Front if !self.is_empty() => {
                let mut byte = 0_u8;
                // SAFETY: alive; one byte fits.
                unsafe { ffi::evbuffer_copyout(raw, (&raw mut byte).cast(), 1) < 0 }
            }
            End::Front => {
                let nowhere = Buffer::new();
                // SAFETY: both are alive; there is nothing that could be moved.
                unsafe { ffi::evbuffer_remove_buffer(raw, nowhere.as_ptr(), 1) < 0 }
            }
        }
    }

    /// Tells what the result of a call of C means, and runs what that has queued: last, as an
    /// evbuffer of a stream may be gone then.
    #[inline]
    pub(super) fn done(&self, code: c_int, end: End, op: &'static str) -> Result<()> {
        let result = match code {
            0 => Ok(()),
            _ => Err(self.refused(end, op)),
        };
        later::run();
        result
    }

    /// Why C refused `op` at one end.
    #[cold]
    pub(super) fn refused(&self, end: End, op: &'static str) -> Error {
        if self.is_frozen(end) {
            Error::Frozen { op }
        } else {
            Error::Libevent { op }
        }
    }

    /// C adds up lengths without looking whether they fit; referenced bytes may be very many.
    pub(super) fn room_for(&self, n: usize, op: &'static str) -> Result<()> {
        match self.len().checked_add(n) {
            Some(_) => Ok(()),
            None => Err(Error::Libevent { op }),
        }
    }

    pub(super) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BufferRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("BufferRef", f)
    }
}
