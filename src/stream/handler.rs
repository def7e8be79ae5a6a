//! What a program does with a stream.

use super::{BufferEventRef, StreamEvent};
use crate::callback::{CallbackResult, Outcome};

/// What becomes of a stream: one object for its three callbacks, so that they share `&mut self`.
/// [`Callbacks`] makes one out of closures.
///
/// Each method may return an error, which the base treats by its policy (see
/// [`LoopHandle::on_error`](crate::LoopHandle::on_error)). The methods of one stream never run
/// inside each other.
///
/// ```
/// use libevent2::stream::{BufferEvent, BufferEventRef, Handler};
/// use libevent2::{BoxError, EventBase};
/// use std::io::Write;
///
/// /// Answers each line with its number.
/// struct Count(usize);
///
/// impl Handler for Count {
///     fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
///         while let Some(line) = stream.input().read_line(libevent2::buffer::Eol::Crlf) {
///             self.0 += 1;
///             write!(&*stream, "{}: {}\n", self.0, String::from_utf8_lossy(&line))?;
///         }
///         Ok(())
///     }
/// }
/// # let mut base = EventBase::new()?;
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
/// # let stream = BufferEvent::from_socket(&base, ours, Count(0))?;
/// # std::io::Write::write_all(&mut &theirs, b"a\nb\n").unwrap();
/// # base.run_once()?;
/// # let mut text = [0; 10];
/// # std::io::Read::read_exact(&mut &theirs, &mut text).unwrap();
/// # assert_eq!(&text, b"1: a\n2: b\n");
/// # Ok::<(), libevent2::Error>(())
/// ```
pub trait Handler: 'static {
    /// There is something new in the input, and not less than the low watermark. What is left
    /// in the input stays there. A handler without this method throws the input away.
    #[doc(alias = "bufferevent_data_cb")]
    fn on_read(&mut self, stream: &BufferEventRef) -> Outcome {
        stream.input().clear();
        Ok(())
    }

    /// The output was sent, down to the low watermark, which is 0 unless it was set.
    #[doc(alias = "bufferevent_data_cb")]
    fn on_write(&mut self, stream: &BufferEventRef) -> Outcome {
        let _ = stream;
        Ok(())
    }

    /// Something has happened to the connection. A handler without this method closes the stream
    /// when it has ended, failed or timed out.
    #[doc(alias = "bufferevent_event_cb")]
    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        if event.is_end() {
            stream.close();
        }
        Ok(())
    }
}

/// A [`Handler`] of up to three closures. What is not set does as the trait's own method.
///
/// ```
/// use libevent2::stream::{BufferEvent, Callbacks};
/// # use libevent2::EventBase;
/// # let mut base = EventBase::new()?;
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
///
/// // An echo.
/// let handler = Callbacks::new().on_read(|stream| stream.output().append_from(&stream.input()));
/// let stream = BufferEvent::from_socket(&base, ours, handler)?;
/// # std::io::Write::write_all(&mut &theirs, b"again").unwrap();
/// # base.run_once()?;
/// # let mut text = [0; 5];
/// # std::io::Read::read_exact(&mut &theirs, &mut text).unwrap();
/// # assert_eq!(&text, b"again");
/// # Ok::<(), libevent2::Error>(())
/// ```
#[must_use]
pub struct Callbacks<R = Unset, W = Unset, E = Unset> {
    read: R,
    write: W,
    event: E,
}

/// A closure of [`Callbacks`] that was not set.
#[derive(Debug, Clone, Copy)]
pub struct Unset;

impl Handler for Unset {}

impl Callbacks {
    /// None of the three.
    pub fn new() -> Self {
        Callbacks {
            read: Unset,
            write: Unset,
            event: Unset,
        }
    }
}

impl Default for Callbacks {
    fn default() -> Self {
        Self::new()
    }
}

impl<R, W, E> Callbacks<R, W, E> {
    /// Sets what is done when there is something to read.
    #[doc(alias = "bufferevent_setcb")]
    pub fn on_read<O, F>(self, callback: F) -> Callbacks<F, W, E>
    where
        O: CallbackResult,
        F: FnMut(&BufferEventRef) -> O + 'static,
    {
        Callbacks {
            read: callback,
            write: self.write,
            event: self.event,
        }
    }

    /// Sets what is done when the output was sent.
    pub fn on_write<O, F>(self, callback: F) -> Callbacks<R, F, E>
    where
        O: CallbackResult,
        F: FnMut(&BufferEventRef) -> O + 'static,
    {
        Callbacks {
            read: self.read,
            write: callback,
            event: self.event,
        }
    }

    /// Sets what is done when something has happened to the connection.
    pub fn on_event<O, F>(self, callback: F) -> Callbacks<R, W, F>
    where
        O: CallbackResult,
        F: FnMut(&BufferEventRef, StreamEvent) -> O + 'static,
    {
        Callbacks {
            read: self.read,
            write: self.write,
            event: callback,
        }
    }
}

/// A closure for reading, or none.
trait ReadCallback: 'static {
    fn call(&mut self, stream: &BufferEventRef) -> Outcome;
}

/// A closure for writing, or none.
trait WriteCallback: 'static {
    fn call(&mut self, stream: &BufferEventRef) -> Outcome;
}

/// A closure for events, or none.
trait EventCallback: 'static {
    fn call(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome;
}

impl<O: CallbackResult, F: FnMut(&BufferEventRef) -> O + 'static> ReadCallback for F {
    fn call(&mut self, stream: &BufferEventRef) -> Outcome {
        self(stream).outcome()
    }
}

impl<O: CallbackResult, F: FnMut(&BufferEventRef) -> O + 'static> WriteCallback for F {
    fn call(&mut self, stream: &BufferEventRef) -> Outcome {
        self(stream).outcome()
    }
}

impl<O: CallbackResult, F: FnMut(&BufferEventRef, StreamEvent) -> O + 'static> EventCallback for F {
    fn call(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        self(stream, event).outcome()
    }
}

impl ReadCallback for Unset {
    fn call(&mut self, stream: &BufferEventRef) -> Outcome {
        self.on_read(stream)
    }
}

impl WriteCallback for Unset {
    fn call(&mut self, stream: &BufferEventRef) -> Outcome {
        self.on_write(stream)
    }
}

impl EventCallback for Unset {
    fn call(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        self.on_event(stream, event)
    }
}

#[allow(private_bounds, reason = "closures, or none")]
impl<R: ReadCallback, W: WriteCallback, E: EventCallback> Handler for Callbacks<R, W, E> {
    fn on_read(&mut self, stream: &BufferEventRef) -> Outcome {
        self.read.call(stream)
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Outcome {
        self.write.call(stream)
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        self.event.call(stream, event)
    }
}

impl<R, W, E> std::fmt::Debug for Callbacks<R, W, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}
