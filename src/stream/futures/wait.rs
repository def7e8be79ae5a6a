//! Waiting for a stream, in whatever way: an operation is asked again each time that something has
//! happened, and takes nothing until it is complete.

use super::super::Direction;
use super::AsyncStream;
use super::waiters::{Place, Waiters};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

/// How far an operation has come.
pub(super) enum Step<T> {
    Done(io::Result<T>),
    /// It has to wait, and needs the input to become so long.
    More(usize),
}

impl<T> From<io::Result<T>> for Step<T> {
    fn from(result: io::Result<T>) -> Self {
        Step::Done(result)
    }
}

impl AsyncStream {
    pub(super) fn waiters(&self, direction: Direction) -> &Waiters {
        match direction {
            Direction::READ => &self.course.readers,
            _ => &self.course.writers,
        }
    }

    /// Asks `step` until it is done.
    pub(super) async fn wait<T>(
        &self,
        direction: Direction,
        mut step: impl FnMut() -> Step<T>,
    ) -> io::Result<T> {
        let mut turn = Turn {
            stream: self,
            place: self.waiters(direction).place(),
        };
        poll_fn(|cx| {
            ready!(self.stream.handle().inner().spend(cx));
            match step() {
                Step::Done(result) => Poll::Ready(result),
                Step::More(want) => {
                    turn.place.wait(cx, want);
                    if want > self.limit.get() {
                        self.set_limit(want);
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Why that direction does not go on. What a timeout has disabled goes on when it is asked for.
    pub(super) fn failure(&self, direction: Direction) -> Option<io::Error> {
        if let Some(error) = self.course.failure(direction) {
            return Some(error);
        }
        if self.stream.enabled().contains(direction) {
            return None;
        }
        self.stream.enable(direction).err().map(io::Error::from)
    }

    fn set_limit(&self, limit: usize) {
        self.limit.set(limit);
        let high = if limit == usize::MAX { 0 } else { limit };
        // Of a closed stream nobody hears anything more.
        let _ = self.stream.set_watermarks(Direction::READ, 0, high);
    }
}

/// What a future that waits has taken, which it gives back at its end.
struct Turn<'a> {
    stream: &'a AsyncStream,
    place: Place<'a>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.place.leave();
        let stream = self.stream;
        if stream.limit.get() > stream.limits.input {
            let wanted = stream.course.readers.most_wanted();
            let limit = wanted.max(stream.limits.input);
            if limit < stream.limit.get() {
                stream.set_limit(limit);
            }
        }
    }
}
