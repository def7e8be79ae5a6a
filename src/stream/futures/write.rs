//! Writing. A write takes all of its bytes or, as long as it waits, none of them.

use super::super::node::{Form, State};
use super::super::{BufferEventRef, Direction, Output, StreamError};
use super::AsyncStream;
use super::wait::Step;
use std::io;

impl AsyncStream {
    /// What was written and not sent yet, to be added to without a copy, or from a file: wait until
    /// it is [`writable`](Self::writable) before.
    pub fn output(&self) -> Output<'_> {
        self.stream.output()
    }

    /// Writes all of `bytes`: they are on their way, in order, when this returns. It waits while
    /// more than 64 KiB, or the high watermark, of what was written before were not sent yet.
    /// Dropping the future while it waits writes nothing.
    ///
    /// # Errors
    /// What has broken the connection, as at [`read`](Self::read), also if it was found out by
    /// something that was written before; [`BrokenPipe`](io::ErrorKind::BrokenPipe) after
    /// [`shutdown`](Self::shutdown), or when the other one of a pair is gone;
    /// [`TimedOut`](io::ErrorKind::TimedOut), once, when the stream's own
    /// [write timeout](crate::BufferEventRef::set_timeouts) is over; then nothing of `bytes` was
    /// written.
    #[doc(alias = "write_all")]
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.wait(Direction::WRITE, || {
            self.step_write(|_| Ok(self.stream.write(bytes)?))
        })
        .await
    }

    /// Waits as [`write`](Self::write) does, for one who adds to the [`output`](Self::output).
    ///
    /// ```
    /// # use libevent2::{BufferEvent, EventBase, stream::{AsyncStream, Callbacks}};
    /// use std::io;
    ///
    /// /// Sends back what it gets, without a copy.
    /// async fn echo(stream: &AsyncStream) -> io::Result<()> {
    ///     while stream.fill(1).await? > 0 {
    ///         stream.writable().await?;
    ///         stream.output().append_from(&stream.input())?;
    ///     }
    ///     stream.flush().await
    /// }
    /// # let mut base = EventBase::new()?;
    /// # let (near, far) = BufferEvent::pair(&base, Callbacks::new(), Callbacks::new())?;
    /// # let (near, far) = (AsyncStream::new(near)?, AsyncStream::new(far)?);
    /// # base.spawn(async move { echo(&far).await }).detach();
    /// # let answer = base.block_on(async {
    /// #     near.write(b"again").await?;
    /// #     near.shutdown().await?;
    /// #     near.read_to_end().await
    /// # })?;
    /// # assert_eq!(answer.unwrap(), b"again");
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn writable(&self) -> io::Result<()> {
        self.wait(Direction::WRITE, || self.step_write(|_| Ok(())))
            .await
    }

    /// Waits until all that was written has gone to the system, to the other one of a pair, or to
    /// what TLS lies over.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn flush(&self) -> io::Result<()> {
        self.wait(Direction::WRITE, || self.step_flush()).await
    }

    /// Tells the peer that nothing follows, once all that was written has gone, and waits for that.
    /// One can still read.
    ///
    /// # Errors
    /// As [`write`](Self::write). Shutting down twice is fine.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.wait(Direction::WRITE, || self.step_shutdown()).await
    }

    /// Does `write` as soon as there is room, and tells it how much.
    pub(super) fn step_write<T>(&self, write: impl FnOnce(usize) -> io::Result<T>) -> Step<T> {
        if let Some(error) = self.failure(Direction::WRITE) {
            return Step::Done(Err(error));
        }
        if self.ending.get() {
            return Step::Done(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if is_abandoned(&self.stream) {
            return Step::Done(Err(self.nobody_reads()));
        }
        match self.limits.output.saturating_sub(unsent(&self.stream)) {
            0 => Step::More(0),
            room => Step::Done(write(room)),
        }
    }

    pub(super) fn step_flush(&self) -> Step<()> {
        match self.failure(Direction::WRITE) {
            Some(error) => Step::Done(Err(error)),
            None if unsent(&self.stream) == 0 => Step::Done(Ok(())),
            None if is_abandoned(&self.stream) => Step::Done(Err(self.nobody_reads())),
            None => Step::More(0),
        }
    }

    pub(super) fn step_shutdown(&self) -> Step<()> {
        if !self.ending.replace(true) {
            self.stream.set(State::TELLS_END, true);
            if let Err(error) = self.stream.shutdown_write() {
                return Step::Done(Err(error.into()));
            }
        }
        match self.step_flush() {
            Step::Done(Ok(())) if self.stream.is(State::ENDING) => Step::More(0),
            step => step,
        }
    }

    /// The other one of a pair is gone.
    fn nobody_reads(&self) -> io::Error {
        let peer = self.stream.peer();
        let source = io::ErrorKind::BrokenPipe.into();
        StreamError::Io { peer, source }.into()
    }
}

/// What has not left the stream yet. What is below TLS is not heard of when it leaves.
fn unsent(stream: &BufferEventRef) -> usize {
    let below = match stream.form {
        Form::Filter => stream.below().map_or(0, |below| unsent(&below)),
        _ => 0,
    };
    stream.output().len().saturating_add(below)
}

/// Whether there is nobody left whom what is written could reach.
fn is_abandoned(stream: &BufferEventRef) -> bool {
    stream.is_abandoned() || stream.below().is_some_and(|below| is_abandoned(&below))
}
