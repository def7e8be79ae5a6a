//! An evbuffer that somebody owns, and what can be done with its bytes.

use crate::error::{Error, Result};
use crate::{ffi, later};
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::os::raw::c_int;

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

/// A byte queue that somebody owns: a [`Buffer`](super::Buffer), or C.
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
    /// For `'a`, `raw` is an evbuffer and nobody else uses it, callbacks of C's that are called
    /// by what is done with it excepted. It has no chains made by `evbuffer_add_buffer_reference`
    /// or for sendfile.
    pub unsafe fn from_ptr_mut<'a>(raw: *mut ffi::evbuffer) -> &'a mut BufferRef {
        // SAFETY: as above.
        unsafe { &mut *raw.cast::<BufferRef>() }
    }

    /// The C evbuffer, for calls of `ffi`.
    pub fn as_ptr(&self) -> *mut ffi::evbuffer {
        std::ptr::from_ref(self).cast_mut().cast()
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
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // SAFETY: alive; C copies the bytes.
        let code = unsafe { ffi::evbuffer_add(self.as_ptr(), bytes.as_ptr().cast(), bytes.len()) };
        later::run();
        match code {
            0 => Ok(()),
            _ => Err(self.refused(End::Back, "evbuffer_add")),
        }
    }

    /// Whether one end was frozen, by [`Buffer::freeze`](super::Buffer) or by C.
    pub fn is_frozen(&self, end: End) -> bool {
        let raw = self.as_ptr();
        match end {
            // SAFETY: alive; nothing is committed, so only the end is looked at.
            End::Back => unsafe { ffi::evbuffer_commit_space(raw, std::ptr::null_mut(), 0) != 0 },
            End::Front if !self.is_empty() => {
                let mut byte = 0_u8;
                // SAFETY: alive; one byte fits.
                unsafe { ffi::evbuffer_copyout(raw, (&raw mut byte).cast(), 1) < 0 }
            }
            End::Front => {
                let nowhere = super::Buffer::new();
                // SAFETY: both are alive; there is nothing that could be moved.
                unsafe { ffi::evbuffer_remove_buffer(raw, nowhere.as_ptr(), 1) < 0 }
            }
        }
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
