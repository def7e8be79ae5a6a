//! Streams that change what goes through another one.

mod events;
mod io;
mod pump;
mod shell;

pub use io::FilterIo;
pub(super) use shell::Filtering;

use super::node::{Form, State};
use super::{BufferEvent, BufferEventRef, Direction, Handler, StreamEvent};
use crate::buffer::Buffer;
use crate::callback::{CallbackResult, Outcome};
use crate::error::Result;
use std::fmt;

/// What a stream does to the bytes that go through it. [`filter_fn`] makes one out of two
/// closures.
///
/// Each method takes what it can from `source`, in part or whole, and adds what becomes of it to
/// `out`. What it leaves in `source` is there again at the next call, with what came since. It is
/// called again as long as it takes or adds something and there is a rest. What it returns as an
/// error fails the stream: the handler hears
/// [`StreamError::Filter`](super::StreamError::Filter), or the error itself if it is a
/// [`StreamError`](super::StreamError), once, and the filter is not called again.
///
/// The methods are called from the loop only: never from inside a call that writes or drains, and
/// never inside each other. They may do anything to their own stream.
///
/// ```
/// use libevent2::buffer::Eol;
/// use libevent2::stream::{BufferEvent, Callbacks, Filter, FilterIo};
/// use libevent2::{BoxError, Buffer, EventBase};
///
/// /// Numbers the lines that are sent.
/// struct Numbers(usize);
///
/// impl Filter for Numbers {
///     fn output(
///         &mut self,
///         source: &mut Buffer,
///         out: &mut Buffer,
///         _: &mut FilterIo<'_>,
///     ) -> Result<(), BoxError> {
///         while let Some(line) = source.read_line(Eol::Lf)? {
///             self.0 += 1;
///             out.append(format!("{} ", self.0).as_bytes())?;
///             out.append(&line)?;
///             out.append(b"\n")?;
///         }
///         Ok(())
///     }
/// }
///
/// # let mut base = EventBase::new()?;
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
/// let socket = BufferEvent::from_socket(&base, ours, Callbacks::new())?;
/// let stream = BufferEvent::filter(socket, Numbers(0), Callbacks::new())?;
/// stream.write(b"first\nsecond\nthi")?;
/// # base.run_nonblocking()?;
/// # base.run_nonblocking()?;
/// # let mut text = [0; 17];
/// # std::io::Read::read_exact(&mut &theirs, &mut text).unwrap();
/// # assert_eq!(&text, b"1 first\n2 second\n");
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "bufferevent_filter_cb")]
pub trait Filter: 'static {
    /// The first call, made by the loop before any other: a protocol may greet with
    /// [`FilterIo::reply`]. The stream below may still be connecting; what is sent waits there.
    fn begin(&mut self, io: &mut FilterIo<'_>) -> Outcome {
        let _ = io;
        Ok(())
    }

    /// What the peer has sent is on its way to the handler. Without this method it passes
    /// unchanged.
    fn input(&mut self, source: &mut Buffer, out: &mut Buffer, io: &mut FilterIo<'_>) -> Outcome {
        pass(source, out, io)
    }

    /// What the handler has written is on its way to the peer. Without this method it passes
    /// unchanged.
    fn output(&mut self, source: &mut Buffer, out: &mut Buffer, io: &mut FilterIo<'_>) -> Outcome {
        pass(source, out, io)
    }

    /// Something has happened to the stream below. What is returned, the handler hears: a protocol
    /// with a handshake returns None for `Connected`, and
    /// [emits](FilterIo::emit) its own when that is done. A `Failed` in place of something else
    /// fails the stream.
    /// [`Eof`](StreamEvent::Eof) comes after all that was received has gone through
    /// [`input`](Self::input), at last with [`FlushMode::Finished`](super::FlushMode::Finished).
    fn event(&mut self, event: StreamEvent, io: &mut FilterIo<'_>) -> Option<StreamEvent> {
        let _ = io;
        Some(event)
    }

    /// Nothing more will be written, by
    /// [`close_when_flushed`](BufferEventRef::close_when_flushed) or
    /// [`shutdown_write`](BufferEventRef::shutdown_write), and all that was has gone through
    /// [`output`](Self::output): the last bytes can be added to `out`.
    fn finish(&mut self, out: &mut Buffer) -> Outcome {
        let _ = out;
        Ok(())
    }
}

fn pass(source: &mut Buffer, out: &mut Buffer, io: &FilterIo<'_>) -> Outcome {
    source.move_to(out, io.limit().unwrap_or(usize::MAX))?;
    Ok(())
}

/// A [`Filter`] of two closures, one for each direction.
///
/// ```
/// use libevent2::stream::{BufferEvent, Callbacks, filter_fn};
/// # use libevent2::{Buffer, EventBase};
/// # let mut base = EventBase::new()?;
///
/// fn rot13(source: &mut Buffer, out: &mut Buffer) -> libevent2::Result<()> {
///     let mut text = source.to_vec();
///     source.clear()?;
///     for byte in &mut text {
///         let first = if byte.is_ascii_uppercase() { b'A' } else { b'a' };
///         if byte.is_ascii_alphabetic() {
///             *byte = (*byte - first + 13) % 26 + first;
///         }
///     }
///     out.append(&text)
/// }
///
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
/// let socket = BufferEvent::from_socket(&base, ours, Callbacks::new())?;
/// let stream = BufferEvent::filter(
///     socket,
///     filter_fn(|source, out, _| rot13(source, out), |source, out, _| rot13(source, out)),
///     Callbacks::new(),
/// )?;
/// stream.write(b"Hello")?;
/// # base.run_nonblocking()?;
/// # base.run_nonblocking()?;
/// # let mut text = [0; 5];
/// # std::io::Read::read_exact(&mut &theirs, &mut text).unwrap();
/// # assert_eq!(&text, b"Uryyb");
/// # Ok::<(), libevent2::Error>(())
/// ```
pub fn filter_fn<A, B>(
    mut input: impl FnMut(&mut Buffer, &mut Buffer, &mut FilterIo<'_>) -> A + 'static,
    mut output: impl FnMut(&mut Buffer, &mut Buffer, &mut FilterIo<'_>) -> B + 'static,
) -> FilterFn
where
    A: CallbackResult,
    B: CallbackResult,
{
    FilterFn {
        input: Box::new(move |source, out, io| input(source, out, io).outcome()),
        output: Box::new(move |source, out, io| output(source, out, io).outcome()),
    }
}

type Closure = Box<dyn FnMut(&mut Buffer, &mut Buffer, &mut FilterIo<'_>) -> Outcome>;

/// What [`filter_fn`] makes.
pub struct FilterFn {
    input: Closure,
    output: Closure,
}

impl Filter for FilterFn {
    fn input(&mut self, source: &mut Buffer, out: &mut Buffer, io: &mut FilterIo<'_>) -> Outcome {
        (self.input)(source, out, io)
    }

    fn output(&mut self, source: &mut Buffer, out: &mut Buffer, io: &mut FilterIo<'_>) -> Outcome {
        (self.output)(source, out, io)
    }
}

impl fmt::Debug for FilterFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterFn").finish_non_exhaustive()
    }
}

impl BufferEvent {
    /// A stream over another one, whose bytes go through `filter` both ways. Reading and writing
    /// are enabled.
    ///
    /// The stream below is consumed: its handler is dropped, and it is closed with this one, or
    /// when this fails. What it has received and nobody has taken goes through the filter. A
    /// plain stream can become one with a protocol on top in the middle of its life, also inside
    /// its own handler.
    ///
    /// What differs from other streams: timeouts are those of the stream below. The high watermark
    /// for writing bounds how much filtered output waits below. Plain [`close`](BufferEventRef::close)
    /// and drop lose what the filter has not seen; [`finish`](BufferEvent::finish) does not.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when `below` is closed;
    /// [`Error::Invalid`](crate::Error::Invalid) when its end has begun;
    /// [`Error::Libevent`](crate::Error::Libevent) when there is no memory.
    #[doc(alias = "bufferevent_filter_new")]
    pub fn filter(
        below: BufferEvent,
        filter: impl Filter,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        let below = below.into_below()?;
        let raw_below = below.open()?;
        let (raw, filtering) = match Filtering::new(raw_below, Box::new(filter)) {
            Ok(made) => made,
            Err(error) => {
                below.set(State::BELOW, false);
                below.close();
                return Err(error);
            }
        };
        // SAFETY: just made, on the base of the stream below, and nobody else's.
        let node = unsafe {
            BufferEventRef::adopt(
                below.handle(),
                raw,
                Form::Filter,
                State::empty(),
                Box::new(handler),
            )
        };
        let node = node.inspect_err(|_| below.gone())?;
        let stream = BufferEvent::new(node);
        filtering.begin(stream.node(), raw_below);
        stream.with_extra(|extra| {
            extra.underlying = Some(below.clone());
            extra.filter = Some(filtering);
        });
        stream.enabled.set(Direction::BOTH);
        below.set_above(stream.node());
        if !stream.is(State::CONNECTING) {
            stream.enable(Direction::READ)?;
        }
        if below.is(State::AT_EOF) {
            stream.event_from_below(StreamEvent::Eof);
        }
        stream.queue_flush();
        Ok(stream)
    }
}
