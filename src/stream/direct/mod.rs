//! Fewer turns of the loop and fewer calls of the system for a socket, with libevent's public
//! functions and all that they mean.
//!
//! libevent 2.1 asks how much there is, reads at most 4096 bytes of it in a turn, and sends what a
//! handler wrote a turn later, when epoll has said that there is room, at most 16 KiB at a time.
//! Here
//!
//! - an event of our own reads all that the socket has, up to a budget that keeps one connection
//!   from starving the others and never beyond the high watermark, by one call;
//! - what the handler wrote is sent when it has returned, by one call; only for what the socket did
//!   not take is C's EV_WRITE switched on, with its timeout.
//!
//! The buffers, the rest of the writing, connecting and the callbacks that are triggered are C's.
//! A stream whose rate is limited, or on which C code works too, is all C's: `leave_to_c`.

mod read;
mod reader;
mod write;

pub(super) use read::{Expected, SCRATCH};
pub(super) use reader::Reader;
pub(super) use write::WRITE_AT_ONCE;

use super::node::State;
use super::{BufferEventRef, Direction};
use crate::error::Result;
use crate::ffi;
use std::io;
use std::os::raw::c_short;

impl BufferEventRef {
    /// From now on libevent itself reads and writes: C code works on it too, or its rate is
    /// limited.
    pub(super) fn leave_to_c(&self) {
        let Ok(raw) = self.open() else { return };
        if !self.is(State::DIRECT) {
            return;
        }
        self.reader.free();
        for state in [State::DIRECT, State::C_WRITES, State::PAUSED] {
            self.set(state, false);
        }
        if !self.is(State::CONNECTING) {
            // SAFETY: alive; enabling a socket calls nobody.
            unsafe { ffi::bufferevent_enable(raw, self.enabled.get().bits() as c_short) };
        }
    }

    /// The connection is there: what was asked for meanwhile begins.
    pub(super) fn connected(&self) {
        if !self.is(State::CONNECTING) {
            return;
        }
        self.set(State::CONNECTING, false);
        let Ok(raw) = self.open() else { return };
        // SAFETY: alive.
        self.fd.set(unsafe { ffi::bufferevent_getfd(raw) });
        if self.begin().is_err() {
            self.fail_later(Direction::READ, &io::Error::last_os_error());
        }
    }

    /// Begins to read and write a socket that is there now.
    pub(super) fn begin(&self) -> Result<()> {
        if self.is(State::DIRECT) {
            self.watch()?;
            return self.resume();
        }
        let raw = self.open()?;
        // SAFETY: alive; enabling a socket calls nobody.
        match unsafe { ffi::bufferevent_enable(raw, self.enabled.get().bits() as c_short) } {
            0 => Ok(()),
            _ => Err(crate::Error::last_os(format!(
                "bufferevent_enable on descriptor {}",
                self.fd.get()
            ))),
        }
    }

    /// The handler hears of an error after what came before it.
    fn fail_later(&self, direction: Direction, error: &io::Error) {
        let Ok(raw) = self.open() else { return };
        let way = if direction == Direction::READ {
            ffi::BEV_EVENT_READING
        } else {
            ffi::BEV_EVENT_WRITING
        };
        // SAFETY: alive; the event is deferred, and C keeps errno for it.
        unsafe {
            ffi::bufferevent_disable(raw, direction.bits() as c_short);
            set_errno(error);
            let what = way as c_short | ffi::BEV_EVENT_ERROR as c_short;
            ffi::bufferevent_trigger_event(raw, what, ffi::BEV_TRIG_DEFER_CALLBACKS as _);
        }
    }
}

/// Whether the socket only was not ready.
fn is_retriable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// C takes the cause of a deferred event from errno.
fn set_errno(error: &io::Error) {
    if let Some(code) = error.raw_os_error() {
        #[cfg(any(target_os = "linux", target_os = "emscripten"))]
        // SAFETY: the thread's own errno.
        unsafe {
            *libc::__errno_location() = code;
        }
        #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
        // SAFETY: the thread's own errno.
        unsafe {
            *libc::__error() = code;
        }
        #[cfg(any(target_os = "netbsd", target_os = "openbsd", target_os = "android"))]
        // SAFETY: the thread's own errno.
        unsafe {
            *libc::__errno() = code;
        }
        let _ = code;
    }
}
