//! Reading. What has come stays in the input until an operation takes it, all at once: who drops the
//! future of one has lost nothing.

use super::super::{Direction, Input};
use super::AsyncStream;
use super::wait::Step;
use crate::buffer::Eol;
use std::io;

impl AsyncStream {
    /// What has come and was not taken yet, to be looked at and to be taken from.
    pub fn input(&self) -> Input<'_> {
        self.stream.input()
    }

    /// Reads up to as many bytes as fit into `bytes`; 0 at the end of the stream.
    ///
    /// # Errors
    /// What has broken the connection, after all that came before it: a
    /// [`StreamError`](super::super::StreamError), which [`io::Error::get_ref`] gives;
    /// [`TimedOut`](io::ErrorKind::TimedOut), once, when the stream's own
    /// [read timeout](crate::BufferEventRef::set_timeouts) is over;
    /// [`NotConnected`](io::ErrorKind::NotConnected) when the base is gone. So it is for all that
    /// reads.
    pub async fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.wait(Direction::READ, || {
            self.step_read(|input| input.read(bytes))
        })
        .await
    }

    /// Waits until there are at least `count` bytes in the [`input`](Self::input). Returns how many
    /// there are: fewer only at the end of the stream.
    ///
    /// ```
    /// # use libevent2::{BufferEvent, EventBase, stream::{AsyncStream, Callbacks}};
    /// use std::io;
    ///
    /// /// What comes before an empty line, which may not be long.
    /// async fn head(stream: &AsyncStream) -> io::Result<Vec<u8>> {
    ///     loop {
    ///         let input = stream.input();
    ///         let length = input.len();
    ///         if let Some(end) = input.find(b"\r\n\r\n", ..) {
    ///             return stream.read_exact(end + 4).await;
    ///         }
    ///         if length > 8000 || stream.fill(length + 1).await? == length {
    ///             return Err(io::ErrorKind::InvalidData.into());
    ///         }
    ///     }
    /// }
    /// # let mut base = EventBase::new()?;
    /// # let (near, far) = BufferEvent::pair(&base, Callbacks::new(), Callbacks::new())?;
    /// # far.write(b"GET /\r\nA: b\r\n\r\nrest")?;
    /// # let near = AsyncStream::new(near)?;
    /// # assert_eq!(base.block_on(head(&near))?.unwrap(), b"GET /\r\nA: b\r\n\r\n");
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn fill(&self, count: usize) -> io::Result<usize> {
        self.wait(Direction::READ, || {
            let there = self.input().len();
            match there < count {
                true => self.no_more(count, || Ok(there)),
                false => Step::Done(Ok(there)),
            }
        })
        .await
    }

    /// Reads just so many bytes. More than the input usually holds is waited for as well.
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the stream ends before, and what has
    /// come stays in the [`input`](Self::input); as [`read`](Self::read).
    pub async fn read_exact(&self, count: usize) -> io::Result<Vec<u8>> {
        self.wait(Direction::READ, || {
            if self.input().len() < count {
                return self.no_more(count, || Err(io::ErrorKind::UnexpectedEof.into()));
            }
            Step::Done(Ok(self.take(count)))
        })
        .await
    }

    /// Reads a line, and gives it without its end; None at the end of the stream. A line may be of
    /// any length: of a peer who is not trusted ask for
    /// [lines of limited length](Self::read_line_limited).
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the stream ends inside a line, which
    /// stays in the [`input`](Self::input); as [`read`](Self::read).
    #[doc(alias = "evbuffer_readln")]
    pub async fn read_line(&self, eol: Eol) -> io::Result<Option<Vec<u8>>> {
        self.read_line_limited(eol, usize::MAX).await
    }

    /// As [`read_line`](Self::read_line), for lines of at most `max` bytes without their end.
    ///
    /// # Errors
    /// [`InvalidData`](io::ErrorKind::InvalidData) as soon as the line is known to be longer; as
    /// [`read_line`](Self::read_line).
    pub async fn read_line_limited(&self, eol: Eol, max: usize) -> io::Result<Option<Vec<u8>>> {
        self.wait(Direction::READ, || {
            let line = self
                .input()
                .with(|input| input.read_line_limited(eol, max))
                .unwrap_or(Ok(None));
            match line {
                Ok(Some(line)) => Step::Done(Ok(Some(line))),
                Ok(None) => {
                    self.no_more(self.input().len() + 1, || match self.input().is_empty() {
                        true => Ok(None),
                        false => Err(io::ErrorKind::UnexpectedEof.into()),
                    })
                }
                Err(error) => Step::Done(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
            }
        })
        .await
    }

    /// Reads all until the end of the stream, which is kept in memory.
    ///
    /// # Errors
    /// As [`read`](Self::read); what has come stays in the [`input`](Self::input).
    pub async fn read_to_end(&self) -> io::Result<Vec<u8>> {
        self.wait(Direction::READ, || {
            let length = self.input().len();
            self.no_more(length + 1, || Ok(self.take(length)))
        })
        .await
    }

    /// Takes what is there, by `take`, which returns how much; or waits.
    pub(super) fn step_read(&self, take: impl FnOnce(&Input<'_>) -> usize) -> Step<usize> {
        let input = self.input();
        match input.is_empty() {
            false => Step::Done(Ok(take(&input))),
            true => self.no_more(1, || Ok(0)),
        }
    }

    /// What is in the input does not do. `at_end` is what that means at the end of the stream; else
    /// an input of `want` bytes is waited for.
    fn no_more<T>(&self, want: usize, at_end: impl FnOnce() -> io::Result<T>) -> Step<T> {
        if self.course.at_eof.get() {
            return Step::Done(at_end());
        }
        if let Some(error) = self.failure(Direction::READ) {
            return Step::Done(Err(error));
        }
        // An input that is full gets as much room again, and not a byte at a time.
        let length = self.input().len();
        Step::More(match length < self.limit.get() {
            true => want,
            false => want.max(length.saturating_mul(2)),
        })
    }

    fn take(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let taken = self.input().read(&mut bytes);
        bytes.truncate(taken);
        bytes
    }
}
