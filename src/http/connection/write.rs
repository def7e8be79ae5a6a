//! From answers to bytes.

use super::Connection;
use super::read::Reading;
use crate::http::exchange::Exchange;
use crate::http::response::Response;
use crate::stream::{BufferEventRef, Direction};
use ::http::StatusCode;
use std::rc::Rc;

/// A body as long as this is not copied.
pub(in crate::http) const WORTH_SHARING: usize = 16 << 10;

impl Connection {
    /// Puts bytes behind what is being sent. They leave when the running callback returns.
    pub(in crate::http) fn write(&self, bytes: &[u8]) {
        let Some(stream) = self.stream() else { return };
        match stream.output().append(bytes) {
            Ok(()) => self.written.set(self.written.get() + bytes.len() as u64),
            Err(_) => self.abort(),
        }
    }

    /// As [`write`](Self::write), without a copy of what is long.
    pub(in crate::http) fn write_shared<T: AsRef<[u8]> + Send + 'static>(&self, owner: T) {
        let length = owner.as_ref().len();
        if length < WORTH_SHARING {
            return self.write(owner.as_ref());
        }
        let Some(stream) = self.stream() else { return };
        match stream.output().append_shared(owner) {
            Ok(()) => self.written.set(self.written.get() + length as u64),
            Err(_) => self.abort(),
        }
    }

    /// Moves a buffer behind what is being sent.
    pub(in crate::http) fn write_buffer(&self, buffer: &mut crate::buffer::Buffer) {
        let length = buffer.len() as u64;
        let Some(stream) = self.stream() else { return };
        match stream.output().append_buffer(buffer) {
            Ok(()) => self.written.set(self.written.get() + length),
            Err(_) => self.abort(),
        }
    }

    /// How many bytes were ever put into the output, and how many of them are still in it.
    pub(in crate::http) fn output(&self) -> (u64, u64) {
        let left = match self.stream() {
            Some(stream) => stream.output().len() as u64,
            None => self.lost.get(),
        };
        (self.written.get(), left)
    }

    pub(super) fn send_continue(&self) {
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Answers what is no request, and reads no further one.
    pub(super) fn refuse(&self, status: StatusCode) {
        self.server.refused();
        self.server.write_page(self, Response::page(status));
        self.linger();
    }

    /// An answer is in the output to its end.
    pub(in crate::http) fn given(&self, exchange: &Rc<Exchange>) {
        self.watch.restart(self.server.tick(), self.progress());
        if self.closed.get() {
            return exchange.over(false);
        }
        self.unsent.borrow_mut().push_back(Rc::clone(exchange));
        if !self.advancing.get() {
            self.wake();
        }
    }

    /// Goes on reading, from the loop: not inside the call that made it possible.
    pub(super) fn wake(&self) {
        if self.advancing.get() {
            return;
        }
        if let Some(stream) = self.stream() {
            // It fails when the stream is closed.
            let _ = stream.trigger_always(Direction::READ);
        }
    }

    /// Ends the exchanges whose answers have left.
    pub(super) fn all_sent(&self, stream: &BufferEventRef) {
        while stream.output().is_empty() {
            let sent = self.unsent.borrow_mut().pop_front();
            let Some(exchange) = sent else { break };
            exchange.over(true);
        }
    }

    /// Has the loop ask for more of the answer.
    pub(in crate::http) fn drain_later(&self) {
        if let Some(stream) = self.stream() {
            // It fails when the stream is closed.
            let _ = stream.trigger_always(Direction::WRITE);
        }
    }

    /// The output is empty, or somebody wants to know whether it is.
    pub(super) fn flushed(&self, stream: &BufferEventRef) {
        if !stream.output().is_empty() {
            return;
        }
        self.all_sent(stream);
        let current = self.current.borrow().clone();
        if let Some(exchange) = current {
            exchange.send_more();
        }
        let waits = matches!(&*self.reading.borrow(), Reading::Head { .. });
        if waits && !stream.is_closed() && (self.eof.get() || !stream.input().is_empty()) {
            self.advance(stream);
        }
    }
}
