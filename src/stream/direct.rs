//! Fewer turns of the loop for a socket, with libevent's public functions and all that they mean.
//!
//! libevent 2.1 reads at most 4096 bytes in a turn, and what a handler writes goes out a turn
//! later, when epoll has said that there is room, at most 16 KiB at a time. Here
//!
//! - after a read that filled those 4096 bytes, the rest of what the socket has is read before the
//!   handler is called, up to a budget that keeps one connection from starving the others, and
//!   never beyond the high watermark;
//! - what the handler wrote is sent when it has returned, in one call; only for what the socket
//!   did not take is C's EV_WRITE switched on, with its timeout.
//!
//! A stream whose rate is limited, or on which C code works too, leaves both to libevent.

use super::node::{Call, State};
use super::{BufferEventRef, Direction, StreamEvent};
use crate::buffer::read_more;
use crate::ffi;
use std::io;
use std::os::raw::c_short;
use std::rc::Rc;

/// What libevent 2.1 reads at once (EVBUFFER_MAX_READ).
pub(super) const READ_AT_ONCE: usize = 4096;
/// The most that is read in one turn, so that one peer does not keep the others waiting.
const READ_BUDGET: usize = 64 * 1024;
/// The largest single write.
pub(super) const WRITE_AT_ONCE: usize = 1024 * 1024;

fn output_of(raw: *mut ffi::bufferevent) -> *mut ffi::evbuffer {
    // SAFETY: the callers' bufferevent is alive.
    unsafe { ffi::bufferevent_get_output(raw) }
}

fn length_of(buffer: *mut ffi::evbuffer) -> usize {
    // SAFETY: the callers' buffer is alive.
    unsafe { ffi::evbuffer_get_length(buffer) }
}

impl BufferEventRef {
    /// After a full read: the rest of what the socket has. Returns the length of the input.
    pub(super) fn read_on(&self, length: usize) -> usize {
        let Ok(raw) = self.open() else { return length };
        let may_read = self.is(State::DIRECT)
            && !self.is(State::RUNNING)
            && self.enabled.get().contains(Direction::READ);
        let fresh = length - self.left.get();
        let mut budget = READ_BUDGET.saturating_sub(fresh);
        if self.read_high.get() > 0 {
            budget = budget.min(self.read_high.get().saturating_sub(length));
        }
        if !may_read || budget == 0 {
            return length;
        }
        // SAFETY: alive. The end of a bufferevent's input is frozen for everybody but libevent,
        // which does just this before it reads; change callbacks of the input are libevent's own.
        let result = unsafe {
            let input = ffi::bufferevent_get_input(raw);
            ffi::evbuffer_unfreeze(input, 0);
            let result = read_more(input, self.fd.get(), budget);
            ffi::evbuffer_freeze(input, 0);
            result
        };
        match result {
            // At the end of the stream libevent reads nothing once more, and says so.
            Ok(count) => length + count,
            Err(error) => {
                if !is_retriable(&error) {
                    self.fail_later(Direction::READ, &error);
                }
                length
            }
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

    /// Something was added to the output, perhaps far from its own callbacks.
    #[inline]
    pub(super) fn written(&self) {
        let state = self.state.get();
        let busy = State::RUNNING
            .union(State::C_WRITES)
            .union(State::QUEUED)
            .union(State::CONNECTING)
            .union(State::CLOSED);
        if state.contains(State::DIRECT) && !state.intersects(busy) {
            self.queue_flush();
        }
    }

    /// Lets the loop flush it, in this turn still.
    pub(super) fn queue_flush(&self) {
        if !self.is(State::QUEUED)
            && let Ok(queue) = self.handle().inner().flush_queue()
        {
            self.set(State::QUEUED, true);
            queue.push(self.me());
        }
    }

    /// Called by the flush queue.
    pub(super) fn flush_queued(self: &Rc<Self>) {
        self.set(State::QUEUED, false);
        self.run_triggered();
        if self.is(State::DIRECT) && !self.is_closed() {
            self.flush_direct();
        }
        if self
            .state
            .get()
            .intersects(State::FINISHING | State::ENDING)
        {
            self.finish_if_flushed();
        }
        crate::later::run();
    }

    /// Sends what is in the output, and has C send what the socket does not take.
    pub(super) fn flush_direct(&self) {
        let Some((left, sent)) = self.send() else {
            return;
        };
        match sent {
            Ok(0) if left > 0 => {
                // Only a file that became shorter ends up here.
                let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                return self.fail(error);
            }
            Err(error) if !is_retriable(&error) => return self.fail(error),
            _ => {}
        }
        if left > 0 {
            self.let_c_write();
        }
        if sent.is_ok() && left <= self.write_low.get() {
            self.dispatch(Call::Write);
            // More that it wrote waits for epoll, so that one that always writes does not keep
            // the others from their turn.
            if let Ok(raw) = self.open()
                && self.is(State::DIRECT)
                && length_of(output_of(raw)) > 0
            {
                self.let_c_write();
            }
        }
    }

    /// One write, if there is something to write and nobody else is about to. Returns what is
    /// left and what was sent.
    fn send(&self) -> Option<(usize, io::Result<usize>)> {
        let raw = self.open().ok()?;
        let output = output_of(raw);
        let before = length_of(output);
        let busy = State::C_WRITES.union(State::CONNECTING);
        if before == 0
            || self.state.get().intersects(busy)
            || !self.enabled.get().contains(Direction::WRITE)
            || self.fd.get() < 0
        {
            return None;
        }
        // SAFETY: alive. The front of a bufferevent's output is frozen for everybody but
        // libevent, which does just this before it writes.
        let count = unsafe {
            ffi::evbuffer_unfreeze(output, 1);
            let count = ffi::evbuffer_write_atmost(output, self.fd.get(), WRITE_AT_ONCE as _);
            let error = io::Error::last_os_error();
            ffi::evbuffer_freeze(output, 1);
            usize::try_from(count).map_err(|_| error)
        };
        Some((length_of(output), count))
    }

    /// The last chance of what was written just before the end.
    pub(super) fn send_last(&self) {
        let _ = self.send();
    }

    /// C sends the rest of the output when there is room.
    fn let_c_write(&self) {
        let Ok(raw) = self.open() else { return };
        if self.is(State::C_WRITES) || !self.enabled.get().contains(Direction::WRITE) {
            return;
        }
        self.set(State::C_WRITES, true);
        // SAFETY: alive; enabling calls nobody.
        let code = unsafe { ffi::bufferevent_enable(raw, ffi::EV_WRITE as c_short) };
        if code != 0 {
            self.fail(io::Error::last_os_error());
        }
    }

    /// C has sent something: when that was all, C's EV_WRITE goes off again.
    pub(super) fn written_by_c(&self) {
        if self.is(State::DIRECT)
            && self.is(State::C_WRITES)
            && let Ok(raw) = self.open()
            && length_of(output_of(raw)) == 0
        {
            self.stop_c_writing(raw);
        }
    }

    pub(super) fn stop_c_writing(&self, raw: *mut ffi::bufferevent) {
        self.set(State::C_WRITES, false);
        // SAFETY: the callers' bufferevent is alive; disabling calls nobody.
        unsafe { ffi::bufferevent_disable(raw, ffi::EV_WRITE as c_short) };
    }

    /// Writing failed. As in C, that direction is disabled and the handler hears of it.
    fn fail(&self, error: io::Error) {
        let Ok(raw) = self.open() else { return };
        self.stop_c_writing(raw);
        self.enabled.set(self.enabled.get() - Direction::WRITE);
        let peer = self.peer.borrow().clone();
        let failure = super::StreamError::from_os(peer, error);
        self.dispatch(Call::Event(StreamEvent::Failed(failure)));
    }

    /// From now on libevent itself reads and writes: C code works on it too, or its rate is
    /// limited.
    pub(super) fn leave_to_c(&self) {
        let Ok(raw) = self.open() else { return };
        if !self.is(State::DIRECT) {
            return;
        }
        self.set(State::DIRECT, false);
        self.set(State::C_WRITES, false);
        if self.enabled.get().contains(Direction::WRITE) && !self.is(State::CONNECTING) {
            // SAFETY: alive; enabling a socket calls nobody.
            unsafe { ffi::bufferevent_enable(raw, ffi::EV_WRITE as c_short) };
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
        let mut wanted = self.enabled.get();
        if self.is(State::DIRECT) {
            wanted -= Direction::WRITE;
        }
        // SAFETY: as above; enabling a socket calls nobody.
        if unsafe { ffi::bufferevent_enable(raw, wanted.bits() as c_short) } != 0 {
            self.fail_later(Direction::READ, &io::Error::last_os_error());
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
