//! A stream that another one lives on: a filter, or TLS.
//!
//! Its C object belongs to that of the other one, which C frees first. Its node stays, in the extras
//! of the other one: it has what is left to do at the end, and what limits it.

use super::direct::WRITE_AT_ONCE;
use super::node::{Call, Form, State};
use super::{BufferEvent, BufferEventRef, Direction};
use crate::error::{Error, Result};
use crate::ffi;
use std::ptr;
use std::rc::Rc;

impl BufferEvent {
    /// Gives it up to be the one below. From now on nobody but the one above closes it, and C does
    /// its reading and writing. Its handler stays, without being called, until
    /// [`set_above`](BufferEventRef::set_above).
    pub(super) fn into_below(mut self) -> Result<Rc<BufferEventRef>> {
        self.open()?;
        if self
            .state
            .get()
            .intersects(State::FINISHING | State::ENDING)
        {
            return Err(Error::invalid("stream", "its end has begun"));
        }
        self.leave_to_c();
        let node = self.0.take().expect("it is open");
        node.set(State::BELOW, true);
        let key = node.key.replace(super::node::NO_KEY);
        let object = node.handle().inner().remove_object(key as usize);
        drop(object);
        Ok(node)
    }
}

impl BufferEventRef {
    /// Tells a stream that is [below](BufferEvent::into_below) who lives on it. What it had to tell
    /// its handler goes there, and the handler is dropped.
    pub(super) fn set_above(&self, above: &Rc<BufferEventRef>) {
        above.peer.replace(self.peer());
        above.set(State::CONNECTING, self.is(State::CONNECTING));
        let events = self.with_extra(|extra| {
            extra.above = Rc::downgrade(above);
            std::mem::take(&mut extra.triggered)
        });
        if !events.is_empty() {
            above.with_extra(|extra| extra.triggered = events);
            above.queue_flush();
        }
        let handler = self.handler.take();
        drop(handler);
    }

    /// The one above, if there is one.
    pub(super) fn above(&self) -> Option<Rc<BufferEventRef>> {
        self.extra(|extra| extra.above.upgrade())
    }

    /// The one below, if there is one.
    pub(super) fn below(&self) -> Option<Rc<BufferEventRef>> {
        self.extra(|extra| extra.underlying.clone())
    }

    /// What this one, which is below, finds out by itself is for the one above.
    #[cold]
    pub(super) fn pass_up(&self, call: Call) {
        if let Call::Event(event) = call
            && let Some(above) = self.above()
        {
            match above.tls_session() {
                None => above.event_from_below(event),
                Some(tls) => {
                    if let Some(event) = tls.event_from_below(&above, event) {
                        above.dispatch(Call::Event(event));
                    }
                }
            }
            above.settle();
        }
    }

    /// Whatever is to happen to the C object before it is freed, here and in all that is below.
    /// Returns the descriptor, which C has forgotten then.
    ///
    /// # Safety
    /// `raw` is the bufferevent of this node, and alive.
    pub(super) unsafe fn let_go(&self, raw: *mut ffi::bufferevent) -> ffi::evutil_socket_t {
        // SAFETY: the caller's promise; what is below lives as long as what is above.
        unsafe {
            self.leave_limits(raw);
            self.leave_filter();
            if self.form != Form::Socket {
                // C frees it later: until then no timer of it is to keep the base busy.
                ffi::bufferevent_set_timeouts(raw, ptr::null(), ptr::null());
            }
            if matches!(self.form, Form::Pair | Form::Filter) {
                // C keeps it while a callback is deferred, but then without timeouts.
                ffi::bufferevent_disable(raw, Direction::BOTH.bits() as _);
            }
            #[cfg(feature = "rustls")]
            self.end_rustls(raw);
            if let Some(tls) = self.tls_session() {
                let fd = tls.let_go(self, raw);
                if fd >= 0 {
                    return fd;
                }
            }
            if let Some(below) = self.below() {
                below.end_attempt();
                let fd = below.let_go(below.raw.get());
                #[cfg(feature = "openssl")]
                if self.form == Form::Tls {
                    super::unread::discard(fd);
                }
                return fd;
            }
            match self.form {
                Form::Socket => {
                    let fd = ffi::bufferevent_getfd(raw);
                    if self.is(State::BELOW) {
                        self.send_rest(raw, fd);
                    }
                    ffi::bufferevent_setfd(raw, -1);
                    fd
                }
                Form::Pair => {
                    self.leave_partner(raw);
                    -1
                }
                _ => -1,
            }
        }
    }

    /// Sends what the socket takes without waiting of what the one above had for it.
    ///
    /// # Safety
    /// `raw` is the bufferevent of this node, alive, and `fd` is its own.
    unsafe fn send_rest(&self, raw: *mut ffi::bufferevent, fd: ffi::evutil_socket_t) {
        if fd < 0 || self.is(State::CONNECTING) || !self.enabled.get().contains(Direction::WRITE) {
            return;
        }
        // SAFETY: the caller's promise. The front of an output is frozen for everybody but
        // libevent, which does just this before it writes.
        unsafe {
            let output = ffi::bufferevent_get_output(raw);
            ffi::evbuffer_unfreeze(output, 1);
            while ffi::evbuffer_get_length(output) > 0
                && ffi::evbuffer_write_atmost(output, fd, WRITE_AT_ONCE as _) > 0
            {}
            ffi::evbuffer_freeze(output, 1);
        }
    }

    /// The C object was freed by that of the one above.
    pub(super) fn gone(&self) {
        self.raw.set(std::ptr::null_mut());
        self.set(State::CLOSED, true);
        if let Some(below) = self.below() {
            below.gone();
        }
        let extra = self.extra.take();
        drop((extra, self.handler.take()));
    }
}
