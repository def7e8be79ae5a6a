//! The end of HTTP on a connection that goes on.

use super::Connection;
use super::read::Reading;
use crate::callback::Outcome;
use crate::error::{Error, Result};
use crate::stream::{BufferEventRef, Direction, Handler, StreamEvent, StreamShare};
use std::rc::Rc;

/// The new handler of the stream. The connection ends with it.
struct Upgraded<H> {
    handler: H,
    connection: Rc<Connection>,
}

impl Connection {
    /// Whether the whole of the current request was read.
    pub(in crate::http) fn can_upgrade(&self) -> bool {
        matches!(&*self.reading.borrow(), Reading::Held)
    }

    pub(super) fn is_upgraded(&self) -> bool {
        matches!(&*self.reading.borrow(), Reading::Upgraded)
    }

    /// What comes is not HTTP any more, and `handler` gets it.
    pub(in crate::http) fn upgrade(&self, handler: impl Handler) -> Result<StreamShare> {
        let closed = Error::Closed { what: "request" };
        let (Some(me), Some(stream)) = (self.me(), self.stream.get()) else {
            return Err(closed);
        };
        self.reading.replace(Reading::Upgraded);
        drop(self.current.take());
        stream.set_handler(Upgraded {
            handler,
            connection: me,
        })?;
        // It fails at the end of the stream.
        let _ = stream.enable(Direction::READ);
        if !stream.input().is_empty() {
            // Perhaps of the request still, which is taken away before the loop comes to this.
            stream.trigger_always(Direction::READ)?;
        }
        Ok(stream.clone())
    }
}

impl<H: Handler> Handler for Upgraded<H> {
    fn on_read(&mut self, stream: &BufferEventRef) -> Outcome {
        if stream.input().is_empty() {
            return Ok(());
        }
        self.handler.on_read(stream)
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Outcome {
        self.connection.all_sent(stream);
        self.handler.on_write(stream)
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        self.handler.on_event(stream, event)
    }
}

impl<H> Drop for Upgraded<H> {
    fn drop(&mut self) {
        self.connection.forget_guest();
        self.connection.gone();
    }
}
