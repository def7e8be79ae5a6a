//! Byte queues (C: evbuffer).
//!
//! A buffer takes bytes at its end and gives them at its front. They lie in chunks, which move
//! from buffer to buffer without being copied, and which may be somebody else's memory: a
//! `'static` slice, any value that has bytes, another buffer's contents, a piece of a file.
//!
//! ```
//! use libevent2::Buffer;
//! use libevent2::buffer::Eol;
//! use std::io::Write;
//!
//! let mut input = Buffer::new();
//! write!(input, "first\r\nsecond\r\nthe rest")?;
//! while let Some(line) = input.read_line(Eol::Crlf)? {
//!     println!("{} bytes", line.len());
//! }
//! assert_eq!(input, b"the rest");
//!
//! let mut output = Buffer::from("header, ");
//! output.append_buffer(&mut input)?;
//! assert_eq!(output, b"header, the rest");
//! assert!(input.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Buffer`] owns one, and may go to another thread. [`BufferRef`] is one that somebody owns, such
//! as the input of a stream: it has the methods, and a `Buffer` dereferences to it.
//!
//! What a buffer refers to is dropped, and change callbacks are called, when C is done: at the end
//! of the call that caused it. A panic in there comes out of that call, with the buffer in order.

mod change;
mod io;
mod look;
mod search;
mod segment;
mod share;
mod space;
#[cfg(test)]
mod tests;
mod view;

pub use change::{Change, ChangeId};
pub use look::Chunks;
pub use search::Eol;
pub use segment::FileSegment;
pub(crate) use share::Lent;
pub use share::SharedBuffer;
pub use view::{BufferRef, End};

use crate::{ffi, later};
use change::Entry;
use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A byte queue that is owned; see the [module](self) and [`BufferRef`], which has the methods.
///
/// ```
/// use libevent2::Buffer;
///
/// let mut buffer = Buffer::from("Hello, world");
/// let greeting = buffer.split_to(5)?;
/// assert_eq!(greeting, "Hello");
/// assert_eq!(buffer, ", world");
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "evbuffer")]
#[doc(alias = "evbuffer_free")]
#[must_use]
pub struct Buffer {
    raw: NonNull<ffi::evbuffer>,
    changes: Vec<Entry>,
}

// SAFETY: an evbuffer belongs to no thread and to no loop. Nothing of it is counted without a lock:
// chains of one are never lent to another in C (`evbuffer_add_buffer_reference` is not used, and
// `from_ptr` demands that it was not). What it refers to is `Send`, and so are its callbacks.
unsafe impl Send for Buffer {}

impl Buffer {
    /// An empty buffer. It allocates like `Vec`: a program without memory ends.
    #[doc(alias = "evbuffer_new")]
    pub fn new() -> Self {
        // SAFETY: no precondition.
        let raw = unsafe { ffi::evbuffer_new() };
        match NonNull::new(raw) {
            Some(raw) => Buffer {
                raw,
                changes: Vec::new(),
            },
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
        Buffer {
            raw,
            changes: Vec::new(),
        }
    }

    /// Gives the evbuffer to C, which has to call `evbuffer_free` in the end. Its change callbacks
    /// are removed. What it refers to is dropped on the thread that makes C do it: by the next call
    /// there of anything in this module, or by the end of that thread.
    pub fn into_ptr(mut self) -> *mut ffi::evbuffer {
        self.forget_changes();
        ManuallyDrop::new(self).raw.as_ptr()
    }

    /// Freezes one end: what would change the buffer there returns
    /// [`Error::Frozen`](crate::Error::Frozen) until it is unfrozen. Looking at the bytes,
    /// [`make_contiguous`](BufferRef::make_contiguous) included, is still allowed.
    #[doc(alias = "evbuffer_freeze")]
    pub fn freeze(&mut self, end: End) {
        // SAFETY: alive; sets a flag.
        unsafe { ffi::evbuffer_freeze(self.as_ptr(), end.at_front()) };
    }

    /// Undoes [`freeze`](Self::freeze).
    #[doc(alias = "evbuffer_unfreeze")]
    pub fn unfreeze(&mut self, end: End) {
        // SAFETY: alive; clears a flag.
        unsafe { ffi::evbuffer_unfreeze(self.as_ptr(), end.at_front()) };
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody borrows it.
        unsafe { ffi::evbuffer_free(self.raw.as_ptr()) };
        later::run();
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

/// A buffer of its own, which no one has frozen, only refuses when there is no memory.
fn filled(append: impl FnOnce(&mut Buffer) -> crate::Result<()>) -> Buffer {
    let mut buffer = Buffer::new();
    if append(&mut buffer).is_err() {
        handle_alloc_error(Layout::new::<[usize; 16]>());
    }
    buffer
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        filled(|buffer| buffer.append(bytes))
    }
}

impl From<&str> for Buffer {
    fn from(text: &str) -> Self {
        Buffer::from(text.as_bytes())
    }
}

impl<const N: usize> From<&[u8; N]> for Buffer {
    fn from(bytes: &[u8; N]) -> Self {
        Buffer::from(bytes.as_slice())
    }
}

/// Without copying.
impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        filled(|buffer| buffer.append_shared(bytes))
    }
}

/// Without copying.
impl From<String> for Buffer {
    fn from(text: String) -> Self {
        Buffer::from(text.into_bytes())
    }
}
