//! The ends of a connection.

use super::Connection;
use super::read::Reading;
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
        let current = self.current.borrow().clone();
        if let Some(exchange) = current {
            exchange.client_left();
        }
        self.advance(stream);
    }

    /// Closes when all is sent.
    pub(in crate::http) fn finish(&self) {
        if let Some(guest) = self.guest() {
            return guest.leave();
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
            intake.end(BodyError::Closed);
        }
        let unsent = self.unsent.take();
        for exchange in unsent {
            exchange.over(false);
        }
        if let Some(exchange) = current {
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
        self.server.timed_out();
        match waiting {
            Waiting::Request => {
                let reading = self.reading.replace(Reading::Lingering);
                let current = self.current.borrow().clone();
                if let Reading::Body(intake) = reading {
                    intake.end(BodyError::TimedOut);
                }
                match current {
                    Some(exchange) => {
                        exchange.set_last();
                        exchange.respond(crate::http::Response::page(StatusCode::REQUEST_TIMEOUT));
                        drop(self.current.take());
                        self.linger();
                    }
                    None => self.refuse(StatusCode::REQUEST_TIMEOUT),
                }
            }
            _ => self.abort(),
        }
    }

    /// Bytes in both directions, for whoever looks whether there are any.
    pub(in crate::http) fn progress(&self) -> u64 {
        let (came, went) = self.traffic();
        came + went
    }
}
