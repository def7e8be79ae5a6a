//! What is to be sent to the peer.

use super::node::{Form, State};
use super::{BufferEventRef, Input};
use crate::buffer::{BufferRef, FileSegment, Lent, SharedBuffer};
use crate::error::{Error, Result};
use crate::ffi;
use std::fmt;
use std::io::IoSlice;
use std::ops::RangeBounds;

/// What a stream is still to send (C: `bufferevent_get_output`). It can only be added to: the
/// stream may hold files there whose bytes are not in memory. What is added is sent as soon as
/// the socket takes it, in order.
#[derive(Clone, Copy)]
#[doc(alias = "bufferevent_get_output")]
pub struct Output<'a>(pub(super) &'a BufferEventRef);

impl Output<'_> {
    /// What is added here goes out as the stream's way is.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut BufferRef) -> R) -> Result<R> {
        let result = self.0.with(|raw| {
            // SAFETY: as for `Input::with`; the output is only added to.
            f(unsafe { BufferRef::from_ptr_mut(ffi::bufferevent_get_output(raw)) })
        });
        self.0.written();
        result
    }

    /// The number of bytes that were not sent yet.
    #[doc(alias = "evbuffer_get_length")]
    #[inline]
    pub fn len(&self) -> usize {
        let raw = self.0.raw.get();
        if raw.is_null() {
            return 0;
        }
        // SAFETY: alive; this only reads.
        unsafe { ffi::evbuffer_get_length(ffi::bufferevent_get_output(raw)) }
    }

    /// Whether all was sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed.
    #[doc(alias = "bufferevent_write")]
    pub fn append(&self, bytes: &[u8]) -> Result<()> {
        self.with(|output| output.append(bytes))?
    }

    /// Adds several slices at once.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed.
    #[doc(alias = "evbuffer_add_iovec")]
    pub fn append_vectored(&self, slices: &[IoSlice<'_>]) -> Result<()> {
        self.with(|output| output.append_vectored(slices))?
    }

    /// Moves all of a buffer there, without a copy.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed. The buffer is left as it is.
    #[doc(alias = "bufferevent_write_buffer")]
    pub fn append_buffer(&self, buffer: &mut BufferRef) -> Result<()> {
        self.with(|output| output.append_buffer(buffer))?
    }

    /// Adds bytes that others own too, without a copy. The owner is dropped when they were sent,
    /// or when the stream is gone.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed.
    #[doc(alias = "evbuffer_add_reference")]
    pub fn append_shared<T: AsRef<[u8]> + Send + 'static>(&self, owner: T) -> Result<()> {
        // It may close the stream when it is asked for its bytes.
        let lent = Lent::new(owner);
        self.with(|output| output.append_lent(lent))?
    }

    /// Adds a part of a file; `range` counts from the beginning of the segment. Over a plain
    /// socket the system sends it from the file, without its bytes ever being in the process;
    /// over anything else it is read now.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed; [`Error::Invalid`] when the segment does not
    /// have these bytes; [`Error::Os`] when they cannot be read. A file that becomes shorter
    /// before it is sent fails the stream.
    #[doc(alias = "evbuffer_add_file_segment")]
    #[doc(alias = "evbuffer_add_file")]
    pub fn append_segment(
        &self,
        segment: &FileSegment,
        range: impl RangeBounds<u64>,
    ) -> Result<()> {
        // Asked before C's object is looked at: the range may be of the user's own kind.
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        if self.0.form != Form::Socket {
            return self.with(|output| output.append_segment(segment, range))?;
        }
        self.0.set(State::HOLDS_FILE, true);
        // SAFETY: the output of a plain socket, which can only be added to and written.
        self.with(|output| unsafe { segment.add_to_socket_output(output.as_ptr(), range) })?
    }

    /// Adds what others share, without a copy.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed.
    #[doc(alias = "evbuffer_add_buffer_reference")]
    pub fn append_shared_buffer(&self, shared: &SharedBuffer) -> Result<()> {
        self.with(|output| output.append_shared_buffer(shared))?
    }

    /// Moves all of a stream's input there, without a copy: an echo, or one direction of a proxy.
    ///
    /// # Errors
    /// [`Error::Closed`] when this stream is closed. The input is left as it is.
    #[doc(alias = "bufferevent_write_buffer")]
    pub fn append_from(&self, input: &Input<'_>) -> Result<()> {
        let source = input.0.raw.get();
        if source.is_null() {
            return self.0.open().map(drop);
        }
        // SAFETY: both are alive, and two different buffers.
        let code = self.0.with(|raw| unsafe {
            ffi::evbuffer_add_buffer(
                ffi::bufferevent_get_output(raw),
                ffi::bufferevent_get_input(source),
            )
        })?;
        input.0.drained();
        self.0.written();
        if code != 0 {
            return Err(Error::Libevent {
                op: "evbuffer_add_buffer",
            });
        }
        Ok(())
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("len", &self.len()).finish()
    }
}
