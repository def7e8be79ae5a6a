//! What has happened to a stream, as its handler has noted it, and who waits for more.

use super::super::node::{Form, State};
use super::super::{BufferEventRef, Direction, Handler, StreamError, StreamEvent};
use super::waiters::Waiters;
use crate::callback::Outcome;
use std::cell::Cell;
use std::io;
use std::rc::Rc;

pub(super) struct Course {
    pub(super) readers: Waiters,
    pub(super) writers: Waiters,
    /// There is a connection, though TLS may not be done yet.
    connected: Cell<bool>,
    /// What a filter has to do before the connection can be used is known.
    pub(super) begun: Cell<bool>,
    /// The peer has sent all.
    pub(super) at_eof: Cell<bool>,
    /// Whose time is over; whoever asks next is told, and may go on.
    pub(super) late: Cell<Direction>,
    /// What an error has ended.
    pub(super) broken: Cell<Direction>,
    error: Cell<Option<StreamError>>,
    /// It was closed when all was sent.
    pub(super) closed: Cell<bool>,
    /// The handler is no longer there: the stream was closed, or has another one.
    pub(super) gone: Cell<bool>,
}

impl Course {
    pub(super) fn new(stream: &BufferEventRef) -> Self {
        Course {
            readers: Waiters::default(),
            writers: Waiters::default(),
            connected: Cell::new(!stream.is(State::CONNECTING)),
            begun: Cell::new(stream.form != Form::Filter),
            at_eof: Cell::new(stream.is(State::AT_EOF)),
            late: Cell::new(Direction::empty()),
            broken: Cell::new(Direction::empty()),
            error: Cell::new(None),
            closed: Cell::new(false),
            gone: Cell::new(false),
        }
    }

    fn wake_all(&self) {
        self.readers.wake();
        self.writers.wake();
    }

    /// The error that has ended it. Everybody who asks gets one.
    pub(super) fn error(&self) -> Option<StreamError> {
        let error = self.error.take()?;
        self.error.set(Some(error.again()));
        Some(error)
    }

    /// Why that direction does not go on; each timeout is told once.
    pub(super) fn failure(&self, direction: Direction) -> Option<io::Error> {
        if self.broken.get().intersects(direction)
            && let Some(error) = self.error()
        {
            return Some(error.into());
        }
        if self.late.get().intersects(direction) {
            self.late.set(self.late.get() - direction);
            return Some(io::ErrorKind::TimedOut.into());
        }
        if self.gone.get() {
            return Some(crate::Error::Closed { what: "stream" }.into());
        }
        None
    }

    fn failed(&self, stream: &BufferEventRef, error: StreamError) {
        // When writing has failed there may still be something to read, and what comes after it
        // is told for itself.
        let for_writing = matches!(error, StreamError::Reset { .. } | StreamError::Io { .. });
        self.broken
            .set(match self.connected.get() && for_writing && reads(stream) {
                true => self.broken.get() | Direction::WRITE,
                false => Direction::BOTH,
            });
        let error = self.error.take().unwrap_or(error);
        self.error.set(Some(error));
    }
}

/// Whether it goes on reading, and what is below it.
fn reads(stream: &BufferEventRef) -> bool {
    stream.enabled().contains(Direction::READ) && stream.below().is_none_or(|below| reads(&below))
}

/// The handler: it takes nothing, and notes everything.
pub(super) struct Witness(pub(super) Rc<Course>);

impl Handler for Witness {
    fn on_read(&mut self, _: &BufferEventRef) -> Outcome {
        self.0.begun.set(true);
        self.0.readers.wake();
        Ok(())
    }

    fn on_write(&mut self, _: &BufferEventRef) -> Outcome {
        self.0.begun.set(true);
        self.0.writers.wake();
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        let course = &*self.0;
        course.begun.set(true);
        match event {
            StreamEvent::Connected => course.connected.set(true),
            StreamEvent::Eof => course.at_eof.set(true),
            StreamEvent::TimedOut(direction) => course.late.set(course.late.get() | direction),
            StreamEvent::Failed(error) => course.failed(stream, error),
            StreamEvent::Closed => course.closed.set(true),
        }
        course.wake_all();
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.gone.set(true);
        self.0.wake_all();
    }
}

/// The handler of a stream that is to get another one before the loop goes on.
pub(super) struct Quiet;

impl Handler for Quiet {
    fn on_read(&mut self, _: &BufferEventRef) -> Outcome {
        Ok(())
    }

    fn on_event(&mut self, _: &BufferEventRef, _: StreamEvent) -> Outcome {
        Ok(())
    }
}
