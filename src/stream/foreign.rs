//! Streams from C and to C.

use super::node::{Form, State};
use super::{BufferEvent, BufferEventRef, Direction, Handler};
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi};
use std::ptr;

impl BufferEvent {
    /// Takes over a bufferevent that C made, of any kind: its callbacks become those of `handler`,
    /// and it is freed with this value. What is enabled stays so. Whether its descriptor is closed
    /// then is for its `BEV_OPT_CLOSE_ON_FREE` to say.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone, [`Error::Invalid`] when it lives on another base;
    /// then it is still C's.
    ///
    /// # Safety
    /// `raw` is alive, nobody else frees it or sets its callbacks from now on, and it is used on
    /// this thread only. It was made without `BEV_OPT_UNLOCK_CALLBACKS`. Its input has no chains
    /// made by `evbuffer_add_buffer_reference`.
    pub unsafe fn from_ptr(
        base: &LoopHandle,
        raw: *mut ffi::bufferevent,
        handler: impl Handler,
    ) -> Result<Self> {
        let raw_base = base.inner().open()?;
        // SAFETY: alive, by the caller's promise.
        let (its_base, enabled) = unsafe {
            let enabled = ffi::bufferevent_get_enabled(raw);
            (ffi::bufferevent_get_base(raw), enabled)
        };
        if its_base != raw_base {
            return Err(Error::invalid("bufferevent", "it lives on another base"));
        }
        base.inner().flush_queue()?;
        // SAFETY: the caller's promise.
        let node = unsafe {
            BufferEventRef::adopt(base, raw, Form::Foreign, State::empty(), Box::new(handler))?
        };
        node.enabled
            .set(Direction::from_bits_truncate(enabled as u16));
        Ok(BufferEvent::new(node))
    }

    /// Gives the bufferevent to C, which has to free it with `bufferevent_free`, and before the
    /// base goes. It has no callbacks then, and the handler is dropped; a rate limit or what a
    /// filter needs lives as long as the base. NULL when it is closed.
    pub fn into_ptr(self) -> *mut ffi::bufferevent {
        let raw = self.as_ptr();
        if raw.is_null() {
            return raw;
        }
        // SAFETY: alive.
        unsafe { ffi::bufferevent_setcb(raw, None, None, None, ptr::null_mut()) };
        self.raw.set(ptr::null_mut());
        let handler = self.take_handler();
        self.detach();
        drop(handler);
        raw
    }
}
