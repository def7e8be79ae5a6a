//! Bytes that a buffer refers to without owning them: of Rust values, and of other buffers.

use super::{Buffer, BufferRef, Chunks, End};
use crate::error::{Error, Result};
use crate::{ffi, later};
use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::os::raw::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;

const ADD: &str = "evbuffer_add_reference";

impl BufferRef {
    /// Adds `bytes` at the end without copying them.
    ///
    /// # Errors
    /// [`Error::Frozen`] when that end is frozen.
    #[doc(alias = "evbuffer_add_reference")]
    pub fn append_static(&mut self, bytes: &'static [u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.room_for(bytes.len(), ADD)?;
        // SAFETY: alive; the bytes live for ever, and C does not write to what it refers to.
        let code = unsafe { add_reference(self.as_ptr(), bytes, None, ptr::null_mut()) };
        self.done(code, End::Back, ADD)
    }

    /// Adds the bytes of `owner` at the end without copying them. The owner, which is asked for
    /// them once, is dropped when the last buffer they were moved to is done with them: by
    /// whichever thread that happens on, after the call that did it.
    ///
    /// ```
    /// use libevent2::Buffer;
    /// use std::sync::Arc;
    ///
    /// let page: Arc<[u8]> = Arc::from(*b"the same bytes for everybody");
    /// let mut buffer = Buffer::new();
    /// buffer.append_shared(page.clone())?;
    /// assert_eq!(Arc::strong_count(&page), 2);
    /// buffer.clear()?;
    /// assert_eq!(Arc::strong_count(&page), 1);
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Frozen`] when that end is frozen; the owner is dropped.
    #[doc(alias = "evbuffer_add_reference")]
    pub fn append_shared<T>(&mut self, owner: T) -> Result<()>
    where
        T: AsRef<[u8]> + Send + 'static,
    {
        self.append_lent(Lent::new(owner))
    }

    /// Adds the bytes of an owner that was asked for them before.
    pub(crate) fn append_lent<T: Send + 'static>(&mut self, lent: Lent<T>) -> Result<()> {
        let Lent { owner, bytes } = lent;
        // SAFETY: borrowed of the owner, which is there.
        let bytes = unsafe { &*bytes };
        if bytes.is_empty() {
            return Ok(());
        }
        self.room_for(bytes.len(), ADD)?;
        // SAFETY: alive; the bytes live until C calls `release`, once, when it needs them no more.
        let code =
            unsafe { add_reference(self.as_ptr(), bytes, Some(release::<T>), owner.0.cast()) };
        if code == 0 {
            std::mem::forget(owner);
        }
        self.done(code, End::Back, ADD)
    }

    /// Makes what is in the buffer shared, without copying it: the buffer then refers to it, and
    /// so can others, by [`append_shared_buffer`](Self::append_shared_buffer).
    ///
    /// Each call of it on the same bytes puts another layer around them; share them once and
    /// append that as often as wanted.
    ///
    /// # Errors
    /// [`Error::Frozen`] when the front is frozen.
    #[doc(alias = "evbuffer_add_buffer_reference")]
    pub fn share(&mut self) -> Result<SharedBuffer> {
        const OP: &str = "evbuffer_add_buffer";
        let mut contents = Buffer::new();
        if !contents.join_quietly(self, End::Back) {
            return Err(self.refused(End::Front, OP));
        }
        let shared = SharedBuffer::from(contents);
        let mut references = Buffer::new();
        shared.refer_from(&mut references);
        let back = self.join_quietly(&mut references, End::Front);
        debug_assert!(back, "the front was open a moment ago");
        later::run();
        Ok(shared)
    }

    /// Adds what is shared at the end, without copying it.
    ///
    /// # Errors
    /// [`Error::Frozen`] when that end is frozen.
    #[doc(alias = "evbuffer_add_buffer_reference")]
    pub fn append_shared_buffer(&mut self, shared: &SharedBuffer) -> Result<()> {
        if shared.is_empty() {
            return Ok(());
        }
        if self.is_frozen(End::Back) {
            return Err(Error::Frozen { op: ADD });
        }
        self.room_for(shared.len(), ADD)?;
        // All of it or nothing, and one change to tell.
        let mut references = Buffer::new();
        shared.refer_from(&mut references);
        self.append_buffer(&mut references)
    }

    /// Adds what is in `source` at the end, without copying it and without taking it away there:
    /// [`share`](Self::share) and [`append_shared_buffer`](Self::append_shared_buffer) in one.
    ///
    /// # Errors
    /// [`Error::Frozen`] when this end or the front of `source` is frozen.
    #[doc(alias = "evbuffer_add_buffer_reference")]
    pub fn append_buffer_reference(&mut self, source: &mut BufferRef) -> Result<()> {
        if source.is_empty() {
            return Ok(());
        }
        if self.is_frozen(End::Back) {
            return Err(Error::Frozen { op: ADD });
        }
        self.room_for(source.len(), ADD)?;
        let shared = source.share()?;
        self.append_shared_buffer(&shared)
    }
}

/// # Safety
/// `raw` is an evbuffer, and the bytes stay as they are until `release` is called with `owner`.
unsafe fn add_reference(
    raw: *mut ffi::evbuffer,
    bytes: &[u8],
    release: ffi::evbuffer_ref_cleanup_cb,
    owner: *mut c_void,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { ffi::evbuffer_add_reference(raw, bytes.as_ptr().cast(), bytes.len(), release, owner) }
}

/// An owner that was asked for its bytes, which is code of the user's: what it could do any harm
/// to is looked at afterwards.
pub(crate) struct Lent<T> {
    owner: Owner<T>,
    bytes: *const [u8],
}

impl<T: AsRef<[u8]>> Lent<T> {
    pub(crate) fn new(owner: T) -> Self {
        // Its address stays while it is referred to: the bytes may lie inside the owner.
        let owner = Owner(Box::into_raw(Box::new(owner)));
        // SAFETY: nobody else uses the owner. The bytes are borrowed until it is dropped; in
        // between nothing touches it, and it moves to another thread only as a whole.
        let bytes: *const [u8] = unsafe { &*owner.0 }.as_ref();
        Lent { owner, bytes }
    }
}

/// An owner that C does not have yet.
struct Owner<T>(*mut T);

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        // SAFETY: it came out of a box, and C does not have it.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// Called by C in the middle of what it does to a buffer.
unsafe extern "C" fn release<T: Send>(_data: *const c_void, _len: usize, owner: *mut c_void) {
    unsafe fn run<T>(owner: *mut c_void) {
        // SAFETY: it came out of a box, and this is called once.
        drop(unsafe { Box::from_raw(owner.cast::<T>()) });
    }
    // SAFETY: C is done with the owner, and it may be dropped by any thread.
    unsafe { later::push(owner, run::<T>) };
}

/// Bytes that any number of buffers refer to, on any thread; what it is made of is not copied.
///
/// ```
/// use libevent2::Buffer;
/// use libevent2::buffer::SharedBuffer;
///
/// let mut message = Buffer::from("to ");
/// message.append_static(b"everybody")?;
/// let message = SharedBuffer::from(message);
///
/// let mut outputs = [Buffer::new(), Buffer::new()];
/// for output in &mut outputs {
///     output.append_shared_buffer(&message)?;
///     assert_eq!(*output, b"to everybody");
/// }
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "evbuffer_add_buffer_reference")]
#[derive(Clone)]
pub struct SharedBuffer {
    frozen: Arc<Frozen>,
    // Dropped last.
    _settle: Settle,
}

/// An evbuffer that is not changed any more.
struct Frozen(NonNull<ffi::evbuffer>);

// SAFETY: it was a `Buffer`, which is `Send`.
unsafe impl Send for Frozen {}
// SAFETY: all that is done with it is to ask for its length and its extents, by functions of C that
// write nothing to it; it has no lock. The owners of its bytes are not touched until it is dropped.
unsafe impl Sync for Frozen {}

impl Drop for Frozen {
    fn drop(&mut self) {
        // SAFETY: it is ours, and the last reference is gone. What C queues is run by who caused
        // this, so that buffers that refer to buffers end one after the other, not nested.
        unsafe { ffi::evbuffer_free(self.0.as_ptr()) };
    }
}

#[derive(Clone)]
struct Settle;

impl Drop for Settle {
    fn drop(&mut self) {
        later::run();
    }
}

impl SharedBuffer {
    fn view(&self) -> &BufferRef {
        // SAFETY: it lives as long as `self`, and nobody changes it.
        unsafe { BufferRef::from_ptr(self.frozen.0.as_ptr()) }
    }

    /// The number of bytes in it.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there are no bytes in it.
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// The bytes as they lie in memory: slices, none of them empty.
    pub fn chunks(&self) -> Chunks<'_> {
        self.view().chunks()
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.view().to_vec()
    }

    /// Adds a reference to each of its extents to a new buffer.
    fn refer_from(&self, references: &mut Buffer) {
        for chunk in self.chunks() {
            let owner = Arc::into_raw(self.frozen.clone()).cast_mut().cast();
            // SAFETY: alive; the bytes stay where they are as long as the count is held, which C
            // gives back by `release_frozen`.
            let code =
                unsafe { add_reference(references.as_ptr(), chunk, Some(release_frozen), owner) };
            if code != 0 {
                // A new buffer is not frozen: there is no memory.
                handle_alloc_error(Layout::new::<[usize; 16]>());
            }
        }
    }
}

/// Called by C in the middle of what it does to a buffer.
unsafe extern "C" fn release_frozen(_data: *const c_void, _len: usize, owner: *mut c_void) {
    unsafe fn run(owner: *mut c_void) {
        // SAFETY: the count that `refer_from` took, given back once.
        drop(unsafe { Arc::from_raw(owner.cast_const().cast::<Frozen>()) });
    }
    // SAFETY: C is done with it; any thread may give the count back.
    unsafe { later::push(owner, run) };
}

impl From<Buffer> for SharedBuffer {
    fn from(buffer: Buffer) -> Self {
        let raw = buffer.into_ptr();
        // SAFETY: an evbuffer is not NULL.
        let raw = unsafe { NonNull::new_unchecked(raw) };
        SharedBuffer {
            frozen: Arc::new(Frozen(raw)),
            _settle: Settle,
        }
    }
}

impl fmt::Debug for SharedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt_as("SharedBuffer", f)
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for SharedBuffer {
    fn eq(&self, other: &T) -> bool {
        *self.view() == *other
    }
}
