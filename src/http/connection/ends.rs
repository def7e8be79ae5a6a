//! The ends of a connection.

use super::Connection;
use super::read::Reading;
use crate::http::exchange::Finished;
use crate::http::incoming::BodyError;
use crate::http::watch::Waiting;
use crate::stream::BufferEventRef;
use ::http::StatusCode;

impl Connection {
    /// The client sends no more. What it asked for is still answered: it may have closed its
    /// sending side only.
    pub(super) fn half_closed(&self, stream: &BufferEventRef) {
        self.eof.set(true);
        if matches!(&*self.reading.borrow(), Reading::Lingering) {
            return self.finish();
        }
        let unsent = self.unsent.borrow().clone();
        let current = self.current.borrow().clone();
        for exchange in unsent.into_iter().chain(current) {
            exchange.client_left();
        }
        self.advance(stream);
    }

    /// Closes when all is sent.
    pub(in crate::http) fn finish(&self) {
        if let Some(guest) = self.guest() {
            return guest.leave();
        }
        if self.opening.get() && self.progress() == 0 {
            // A client that says nothing would be waited for.
            return self.abort();
        }
        if let Some(stream) = self.stream() {
            stream.close_when_flushed();
        }
    }

    /// Ends the sending side when all is sent, and reads on for a while: closing at once would
    /// make the system throw away what the client has not received yet.
    pub(super) fn linger(&self) {
        self.reading.replace(Reading::Lingering);
        self.watch.restart(self.server.tick(), self.progress());
        if self.eof.get() {
            return self.finish();
        }
        if let Some(stream) = self.stream() {
            // It fails when the stream is closed.
            let _ = stream.shutdown_write();
            let _ = stream.enable(crate::stream::Direction::READ);
        }
    }

    /// Ends it at once.
    pub(in crate::http) fn abort(&self) {
        if let Some(stream) = self.stream() {
            self.lost.set(stream.output().len() as u64);
            stream.close();
        }
    }

    /// The stream is closed, by whomever.
    pub(super) fn gone(&self) {
        if self.closed.replace(true) {
            return;
        }
        let reading = self.reading.replace(Reading::Lingering);
        let current = self.current.take();
        if let Reading::Body(intake) = reading {
            let inlet = intake.into_inlet();
            let end = inlet.map(|inlet| Finished::Body(inlet, BodyError::Closed));
            self.server.finish(end);
        }
        let unsent = self.unsent.take();
        for exchange in unsent.into_iter().chain(current) {
            exchange.client_left();
            exchange.over(false);
        }
        self.server.remove(self);
    }

    /// What the connection waits for now.
    pub(in crate::http) fn waiting(&self) -> Waiting {
        let sending = self.output().1 > 0;
        let input = self.stream().map_or(0, |stream| stream.input().len());
        match &*self.reading.borrow() {
            // What it sends is not counted, and its protocol has limits of its own.
            Reading::Upgraded => Waiting::Handler,
            _ if sending => Waiting::Send,
            Reading::Head { .. } if input == 0 => Waiting::Idle,
            Reading::Head { .. } => Waiting::Request,
            Reading::Body(intake) if intake.is_awaited() => Waiting::Request,
            Reading::Body(_) | Reading::Held => Waiting::Handler,
            Reading::Lingering => Waiting::Linger,
        }
    }

    /// Its time is over.
    pub(in crate::http) fn timed_out(&self, waiting: Waiting) {
        if self.closed.get() {
            return;
        }
        self.server.timed_out();
        if waiting != Waiting::Request {
            return self.abort();
        }
        let current = self.current.borrow().clone();
        let Some(exchange) = current else {
            return self.refuse(StatusCode::REQUEST_TIMEOUT);
        };
        let reading = self.reading.replace(Reading::Held);
        self.unread.set(true);
        exchange.set_last();
        // A handler that hears of it may give its own answer, and one that is being made is made
        // to its end.
        if let Reading::Body(intake) = reading {
            intake.end(BodyError::TimedOut);
        }
        exchange.respond(crate::http::Response::page(StatusCode::REQUEST_TIMEOUT));
        self.wake();
    }

    /// Bytes in both directions, for whoever looks whether there are any.
    pub(in crate::http) fn progress(&self) -> u64 {
        let (came, went) = self.traffic();
        came + went
    }
}
