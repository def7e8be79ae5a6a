//! Ends of a stream that wait for its output.

use super::node::{Call, Form, State};
use super::{BufferEventRef, Direction, StreamEvent};
use crate::error::Result;
use crate::ffi;
use std::os::raw::{c_int, c_short};

impl BufferEventRef {
    /// Closes the stream when all of its output was sent; over TLS the peer is told that it was
    /// all. Nothing more is read. The handler hears [`Closed`](StreamEvent::Closed) last.
    ///
    /// A peer that does not read keeps the stream open: set a write timeout to bound that. When
    /// writing fails or times out, before or after this was called, the rest of the output is lost
    /// and the stream closes, unless its handler enables writing again.
    pub fn close_when_flushed(&self) {
        if self.is_closed() {
            return;
        }
        let _ = self.disable(Direction::READ);
        self.set(State::FINISHING, true);
        self.queue_flush();
    }

    /// Tells the peer that nothing follows when all of the output was sent, and goes on reading:
    /// the connection is half-closed.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when it is closed.
    pub fn shutdown_write(&self) -> Result<()> {
        self.open()?;
        self.set(State::ENDING, true);
        self.queue_flush();
        Ok(())
    }

    /// Whether what was written has left for the system or for the other one of a pair.
    pub(super) fn is_flushed(&self) -> bool {
        self.is_abandoned()
            || self.output().is_empty()
                && self
                    .below()
                    .is_none_or(|below| !below.is(State::ENDING) && below.is_flushed())
    }

    /// What was to happen once the output is sent.
    pub(super) fn finish_if_flushed(&self) {
        let waits = self.is(State::CONNECTING) || self.is_handshaking() || self.has_late_events();
        if self.is_closed() || waits {
            return;
        }
        if self.is(State::FINISHING) && self.is(State::STUCK) {
            return self.finished();
        }
        if !self.is_flushed() {
            return;
        }
        if self.is(State::ENDING) || self.is(State::FINISHING) {
            self.set(State::ENDING, false);
            self.end_writing();
            if self.is(State::TELLS_END) && !self.is(State::ENDING) {
                self.set(State::TELLS_END, false);
                self.dispatch(Call::Write);
            }
        }
        // The notice of TLS over another stream has to be sent too.
        if self.is(State::FINISHING) && !self.is(State::ENDING) && self.is_flushed() {
            self.finished();
        }
    }

    fn finished(&self) {
        self.set(State::FINISHING, false);
        self.dispatch(Call::Event(StreamEvent::Closed));
        self.close();
    }

    fn end_writing(&self) {
        if let Some(tls) = self.tls_session() {
            return self.set(State::ENDING, !tls.notify_end(self));
        }
        let Ok(raw) = self.open() else { return };
        match self.form {
            Form::Pair => self.end_pair(),
            Form::Filter => self.end_filter(),
            Form::Socket => {
                // A connection that has gone has nobody to tell.
                let fd = self.fd.get();
                #[cfg(unix)]
                // SAFETY: plain system call on our descriptor.
                unsafe {
                    libc::shutdown(fd as c_int, libc::SHUT_WR);
                }
                let _ = (fd, raw);
            }
            #[cfg(feature = "openssl")]
            Form::Tls => {}
            Form::Foreign => {
                // SAFETY: alive. Whatever it is, it knows what that means.
                unsafe {
                    let write = ffi::EV_WRITE as c_short;
                    ffi::bufferevent_flush(raw, write, ffi::BEV_FINISHED);
                    let fd = ffi::bufferevent_getfd(raw);
                    #[cfg(unix)]
                    if fd >= 0 {
                        libc::shutdown(fd as c_int, libc::SHUT_WR);
                    }
                }
            }
        }
    }
}
