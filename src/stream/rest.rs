//! Input that is left at the high watermark, where libevent itself reads.
//!
//! As long as there is as much as the high watermark, libevent 2.1 calls for reading again and
//! again, without a pause. That is of use to a handler that takes some each time, and makes one that
//! waits for something spin. So when a handler has taken nothing, reading is disabled in C until
//! somebody does.

use super::node::{Call, Form, State};
use super::{BufferEventRef, Direction};
use crate::ffi;
use std::os::raw::c_short;

impl BufferEventRef {
    /// C calls for reading.
    pub(super) fn dispatch_read(&self) {
        let before = self.input().len();
        self.dispatch(Call::Read);
        let high = self.read_high();
        if high > 0
            && before >= high
            && self.input().len() >= before
            && !self.is(State::DIRECT)
            && self.form != Form::Foreign
            && let Ok(raw) = self.open()
        {
            self.set(State::PAUSED, true);
            // SAFETY: alive.
            unsafe { ffi::bufferevent_disable(raw, ffi::EV_READ as c_short) };
        }
        if let Some(tls) = self.tls_session() {
            tls.has_read(self);
        }
    }

    /// Somebody has taken some, or the watermark is another one.
    pub(super) fn resume_in_c(&self) {
        let high = self.read_high();
        if high > 0 && self.input().len() >= high {
            // C calls again, as more may be taken.
            let _ = self.trigger(Direction::READ);
            return;
        }
        self.set(State::PAUSED, false);
        if self.enabled.get().contains(Direction::READ) {
            let _ = self.enable(Direction::READ);
        }
    }
}
