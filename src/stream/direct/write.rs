//! Writing a socket: when the handler has returned, in one call.

use super::super::node::{Call, Form, State};
use super::super::{BufferEventRef, Direction, StreamError, StreamEvent};
use super::is_retriable;
use crate::ffi;
use std::io;
use std::os::raw::c_short;
use std::rc::Rc;

/// The largest single write.
pub(in super::super) const WRITE_AT_ONCE: usize = 1024 * 1024 + 64 * 1024;

/// A peer that has gone is an error, not a signal, where the system has it so.
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
const NO_SIGPIPE: std::os::raw::c_int = libc::MSG_NOSIGNAL;
#[cfg(any(target_os = "macos", target_os = "ios"))]
const NO_SIGPIPE: std::os::raw::c_int = 0;

fn output_of(raw: *mut ffi::bufferevent) -> *mut ffi::evbuffer {
    // SAFETY: the callers' bufferevent is alive.
    unsafe { ffi::bufferevent_get_output(raw) }
}

fn length_of(buffer: *mut ffi::evbuffer) -> usize {
    // SAFETY: the callers' buffer is alive.
    unsafe { ffi::evbuffer_get_length(buffer) }
}

impl BufferEventRef {
    /// Something was added to the output, perhaps far from its own callbacks.
    #[inline]
    pub(in super::super) fn written(&self) {
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
    pub(in super::super) fn queue_flush(&self) {
        if !self.is(State::QUEUED)
            && let Ok(queue) = self.handle().inner().flush_queue()
        {
            self.set(State::QUEUED, true);
            queue.push(self.me());
        }
    }

    /// Called by the flush queue.
    pub(in super::super) fn flush_queued(self: &Rc<Self>) {
        self.set(State::QUEUED, false);
        if self.form == Form::Filter {
            self.pump();
        }
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
        if self.is(State::BELOW)
            && let Some(above) = self.above()
        {
            above.after_below();
        }
        crate::later::run();
    }

    /// Sends what is in the output, and has C send what the socket does not take.
    pub(in super::super) fn flush_direct(&self) {
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
        if sent.is_ok() && left <= self.write_low() {
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
        let mut sent = self
            .only_chain(output, before)
            .map(|bytes| self.send_chain(output, bytes));
        if let Some(Err(error)) = &sent
            && error.raw_os_error() == Some(libc::ENOTSOCK)
        {
            self.set(State::NOT_A_SOCKET, true);
            sent = None;
        }
        let count = match sent {
            Some(count) => count,
            // SAFETY: alive. The front of a bufferevent's output is frozen for everybody but
            // libevent, which does just this before it writes.
            None => unsafe {
                ffi::evbuffer_unfreeze(output, 1);
                let fd = self.fd.get();
                let count = ffi::evbuffer_write_atmost(output, fd, WRITE_AT_ONCE as _);
                let error = io::Error::last_os_error();
                ffi::evbuffer_freeze(output, 1);
                usize::try_from(count).map_err(|_| error)
            },
        };
        let left = length_of(output);
        if left == 0 {
            self.set(State::HOLDS_FILE, false);
        }
        Some((left, count))
    }

    /// The bytes of the output, when they lie together: the usual case, for which the system has
    /// a shorter way.
    fn only_chain(&self, output: *mut ffi::evbuffer, length: usize) -> Option<ffi::evbuffer_iovec> {
        let plain = State::HOLDS_FILE.union(State::NOT_A_SOCKET);
        if self.state.get().intersects(plain) {
            return None;
        }
        let mut bytes = ffi::evbuffer_iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: alive, and all its chains are memory.
        unsafe { ffi::evbuffer_peek(output, -1, std::ptr::null_mut(), &mut bytes, 1) };
        // What it returns does not tell: it looks at one chain and says one.
        (bytes.iov_len == length).then_some(bytes)
    }

    fn send_chain(
        &self,
        output: *mut ffi::evbuffer,
        bytes: ffi::evbuffer_iovec,
    ) -> io::Result<usize> {
        let length = bytes.iov_len.min(WRITE_AT_ONCE);
        // SAFETY: the bytes are the output's until they are drained. As above for its front.
        unsafe {
            let count = libc::send(self.fd.get(), bytes.iov_base, length, NO_SIGPIPE);
            let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
            ffi::evbuffer_unfreeze(output, 1);
            ffi::evbuffer_drain(output, count);
            ffi::evbuffer_freeze(output, 1);
            Ok(count)
        }
    }

    /// The last chance of what was written just before the end.
    pub(in super::super) fn send_last(&self) {
        let _ = self.send();
    }

    /// C sends the rest of the output when there is room.
    fn let_c_write(&self) {
        let Ok(raw) = self.open() else { return };
        if self.is(State::C_WRITES)
            || !self.enabled.get().contains(Direction::WRITE)
            || self.fd.get() < 0
        {
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
    pub(in super::super) fn written_by_c(&self) {
        if self.is(State::DIRECT)
            && self.is(State::C_WRITES)
            && let Ok(raw) = self.open()
            && length_of(output_of(raw)) == 0
        {
            self.set(State::HOLDS_FILE, false);
            self.stop_c_writing(raw);
        }
    }

    pub(in super::super) fn stop_c_writing(&self, raw: *mut ffi::bufferevent) {
        self.set(State::C_WRITES, false);
        // SAFETY: the callers' bufferevent is alive; disabling calls nobody.
        unsafe { ffi::bufferevent_disable(raw, ffi::EV_WRITE as c_short) };
    }

    /// Writing failed. As in C, that direction is disabled and the handler hears of it.
    fn fail(&self, error: io::Error) {
        let Ok(raw) = self.open() else { return };
        self.stop_c_writing(raw);
        self.enabled.set(self.enabled.get() - Direction::WRITE);
        self.set(State::STUCK, true);
        let peer = self.peer();
        let failure = StreamError::from_os(peer, error);
        self.dispatch(Call::Event(StreamEvent::Failed(failure)));
    }
}
