//! Byte queues (C: evbuffer).

mod io;
mod view;

pub use view::{BufferRef, End};

use crate::ffi;
use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A byte queue that is owned; see the [module](self) and [`BufferRef`], which has the methods.
#[doc(alias = "evbuffer")]
#[must_use]
pub struct Buffer {
    raw: NonNull<ffi::evbuffer>,
}

// SAFETY: an evbuffer belongs to no thread and to no loop. Nothing of it is counted without a lock:
// chains of one are never lent to another in C (`evbuffer_add_buffer_reference` is not used, and
// `from_ptr` demands that it was not). What it references was `Send` when it came in.
unsafe impl Send for Buffer {}

impl Buffer {
    /// An empty buffer. It allocates like `Vec`: a program without memory ends.
    #[doc(alias = "evbuffer_new")]
    pub fn new() -> Self {
        // SAFETY: no precondition.
        let raw = unsafe { ffi::evbuffer_new() };
        match NonNull::new(raw) {
            Some(raw) => Buffer { raw },
            None => handle_alloc_error(Layout::new::<[usize; 16]>()),
        }
    }

    /// Takes over an evbuffer that C made.
    ///
    /// # Safety
    /// `raw` is an evbuffer that nobody else uses from now on; this is its only reference, and its
    /// contents may be read and dropped by any thread. It has no chains made by
    /// `evbuffer_add_buffer_reference` or for sendfile, no callbacks, and was not given to
    /// `evbuffer_defer_callbacks`.
    pub unsafe fn from_ptr(raw: *mut ffi::evbuffer) -> Self {
        // SAFETY: the caller's promise; an evbuffer is not NULL.
        let raw = unsafe { NonNull::new_unchecked(raw) };
        Buffer { raw }
    }

    /// Gives the evbuffer to C, which has to call `evbuffer_free` in the end.
    pub fn into_ptr(self) -> *mut ffi::evbuffer {
        let raw = self.raw.as_ptr();
        std::mem::forget(self);
        raw
    }
}

impl Drop for Buffer {
    #[doc(alias = "evbuffer_free")]
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody borrows it.
        unsafe { ffi::evbuffer_free(self.raw.as_ptr()) };
        crate::later::run();
    }
}

impl Deref for Buffer {
    type Target = BufferRef;

    fn deref(&self) -> &BufferRef {
        // SAFETY: it is alive as long as `self`, and changed through `&mut self` only.
        unsafe { BufferRef::from_ptr(self.raw.as_ptr()) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut BufferRef {
        // SAFETY: as above; the borrow is the only one.
        unsafe { BufferRef::from_ptr_mut(self.raw.as_ptr()) }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer::new()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("Buffer", f)
    }
}
