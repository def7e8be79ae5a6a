//! How fast a stream, or a group of them, may go.

use super::BufferEventRef;
use crate::ffi;
use std::ptr;

impl BufferEventRef {
    /// Ends what limits the stream, so that the limits can go.
    ///
    /// # Safety
    /// `raw` is the bufferevent of this node, and alive.
    pub(super) unsafe fn leave_limits(&self, raw: *mut ffi::bufferevent) {
        let limits = self.extra(|extra| Some((extra.rate_limit.take(), extra.group.take())));
        let Some((rate_limit, group)) = limits else {
            return;
        };
        // SAFETY: the caller's promise.
        unsafe {
            if group.is_some() {
                ffi::bufferevent_remove_from_rate_limit_group(raw);
            }
            if rate_limit.is_some() {
                ffi::bufferevent_set_rate_limit(raw, ptr::null_mut());
            }
        }
        drop((rate_limit, group));
    }
}
