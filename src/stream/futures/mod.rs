//! Buffered connections for futures.
//!
//! The stream stays what it is. Its handler only notes what has happened and wakes who waits; an
//! operation then looks at the buffers and at what was noted.

mod connect;
mod course;
mod error;
#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
mod poll;
mod read;
mod wait;
mod waiters;
mod write;

use super::node::{Form, State};
use super::{BufferEvent, BufferEventRef, Direction, StreamEvent};
use crate::error::Result;
use course::{Course, Quiet, Witness};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use wait::Step;

/// How much each direction holds, unless a high watermark says something else.
const LIMIT: usize = 64 * 1024;

/// A [`BufferEvent`] to be awaited: whatever its bytes go through, TLS, filters or rate limits, it is
/// read and written in straight lines.
///
/// Dropping the future of an operation cancels it and loses nothing: what has come stays in the
/// [`input`](Self::input) until an operation has all that it needs, and a write takes all of its
/// bytes or none. All methods take `&self`, and any number of tasks may wait for one stream.
///
/// Dropping it closes the connection at once, as it does a [`BufferEvent`]: [`close`](Self::close)
/// and [`flush`](Self::flush) wait until what was written has gone.
///
/// ```
/// use libevent2::EventBase;
/// use libevent2::buffer::Eol;
/// use libevent2::stream::{AsyncStream, BufferEvent, Callbacks};
/// use std::io;
///
/// async fn greet(stream: &AsyncStream) -> io::Result<()> {
///     while let Some(name) = stream.read_line_limited(Eol::Crlf, 1000).await? {
///         stream.write(&[b"hello ", &name[..], b"\r\n"].concat()).await?;
///     }
///     stream.flush().await
/// }
///
/// let mut base = EventBase::new()?;
/// let (near, far) = BufferEvent::pair(&base, Callbacks::new(), Callbacks::new())?;
/// let (near, far) = (AsyncStream::new(near)?, AsyncStream::new(far)?);
/// base.spawn(async move { greet(&far).await }).detach();
///
/// let answer = base.block_on(async {
///     near.write(b"world\r\n").await?;
///     near.read_line(Eol::Crlf).await
/// })?;
/// assert_eq!(answer.unwrap().as_deref(), Some(&b"hello world"[..]));
/// # Ok::<(), libevent2::Error>(())
/// ```
#[must_use = "dropping it closes the connection"]
pub struct AsyncStream {
    stream: BufferEvent,
    course: Rc<Course>,
    /// How much the input and the output hold.
    limits: Limits,
    /// How much the input holds now: more, while somebody waits for more.
    limit: Cell<usize>,
    /// The watermarks that it had before.
    watermarks: [(usize, usize); 2],
    /// The peer was told that nothing follows, or is about to be.
    ending: Cell<bool>,
}

struct Limits {
    input: usize,
    output: usize,
}

impl AsyncStream {
    /// Takes over a stream, whose handler is dropped. What is in its buffers stays there.
    ///
    /// Its high watermarks bound how much it keeps in memory, 64 KiB in each direction if none is
    /// set; an operation that needs more to come lifts the one of the input as long as it waits.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when it is closed.
    pub fn new(stream: BufferEvent) -> Result<Self> {
        let course = Rc::new(Course::new(&stream));
        stream.set_handler(Witness(Rc::clone(&course)))?;
        let watermarks = [
            stream.watermarks(Direction::READ)?,
            stream.watermarks(Direction::WRITE)?,
        ];
        let or_usual = |high| if high == 0 { LIMIT } else { high };
        let limits = Limits {
            input: or_usual(watermarks[0].1),
            output: or_usual(watermarks[1].1),
        };
        stream.set_watermarks(Direction::READ, 0, limits.input)?;
        // A filter calls once when it has come down to it, and not for what is sent after that.
        let low = match stream.form {
            Form::Filter => 0,
            _ => limits.output / 2,
        };
        stream.set_watermarks(Direction::WRITE, low, watermarks[1].1)?;
        if stream.form == Form::Filter {
            // It is called after the filter has begun.
            stream.trigger_always(Direction::WRITE)?;
        }
        Ok(AsyncStream {
            stream,
            course,
            limit: Cell::new(limits.input),
            limits,
            watermarks,
            ending: Cell::new(false),
        })
    }

    /// The stream itself, for its timeouts, rate limits, priority and all that can be asked of it.
    /// Another handler or other watermarks would be the end of what this type does: use
    /// [`into_inner`](Self::into_inner).
    pub fn get_ref(&self) -> &BufferEventRef {
        &self.stream
    }

    /// Waits until the connection can be used: until it is there, and over TLS until the handshake
    /// is done. Reading and writing wait for that by themselves.
    ///
    /// # Errors
    /// Why there will be none: a [`StreamError`](super::StreamError), which
    /// [`io::Error::get_ref`] gives.
    pub async fn connected(&self) -> io::Result<()> {
        self.wait(Direction::WRITE, || {
            if let Some(error) = self.course.failure(Direction::BOTH) {
                return Step::Done(Err(error));
            }
            let waits = self.stream.is(State::CONNECTING) || self.stream.is_handshaking();
            match self.course.begun.get() && !waits {
                true => Step::Done(Ok(())),
                false => Step::More(0),
            }
        })
        .await
    }

    /// Sends what was written, over TLS the notice of the end as well, and closes the connection.
    /// Nothing more is read.
    ///
    /// A peer that does not read keeps it waiting: bound that by a timeout, after which the stream
    /// is dropped.
    ///
    /// # Errors
    /// As [`write`](Self::write): not all was sent.
    pub async fn close(self) -> io::Result<()> {
        self.stream.close_when_flushed();
        self.wait(Direction::WRITE, || {
            let course = &*self.course;
            let lost = course.broken.get() | course.late.get();
            if course.closed.get() && !lost.contains(Direction::WRITE) {
                return Step::Done(Ok(()));
            }
            match course.failure(Direction::WRITE) {
                Some(error) => Step::Done(Err(error)),
                None => Step::More(0),
            }
        })
        .await
    }

    /// Gives it to its base, which closes it when all that was written was sent; see
    /// [`BufferEvent::finish`]. Nobody hears whether it was.
    pub fn close_when_flushed(self) {
        self.stream.finish();
    }

    /// Gives the stream back, with what is in its buffers and the watermarks that it had. The caller
    /// gives it a [handler](BufferEventRef::set_handler) before the loop goes on: that one is called
    /// for what is in the input, and told of what has ended the stream.
    pub fn into_inner(self) -> BufferEvent {
        let AsyncStream {
            stream,
            course,
            watermarks,
            ..
        } = self;
        // Of a closed stream nothing can be told any more.
        let _ = hand_over(&stream, &course, watermarks);
        stream
    }
}

fn hand_over(
    stream: &BufferEventRef,
    course: &Course,
    watermarks: [(usize, usize); 2],
) -> Result<()> {
    stream.set_handler(Quiet)?;
    for (direction, (low, high)) in [Direction::READ, Direction::WRITE]
        .into_iter()
        .zip(watermarks)
    {
        stream.set_watermarks(direction, low, high)?;
    }
    if !stream.input().is_empty() {
        stream.trigger(Direction::READ)?;
    }
    if course.at_eof.get() {
        stream.trigger_event(StreamEvent::Eof)?;
    }
    match course.error() {
        Some(error) => stream.trigger_event(StreamEvent::Failed(error)),
        None => Ok(()),
    }
}

impl From<AsyncStream> for BufferEvent {
    fn from(stream: AsyncStream) -> Self {
        stream.into_inner()
    }
}

impl fmt::Debug for AsyncStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncStream").field(&self.stream).finish()
    }
}
