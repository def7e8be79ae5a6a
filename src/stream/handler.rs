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

type DataCallback = Box<dyn FnMut(&BufferEventRef) -> Outcome>;
type EventCallback = Box<dyn FnMut(&BufferEventRef, StreamEvent) -> Outcome>;

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
#[derive(Default)]
#[must_use]
pub struct Callbacks {
    read: Option<DataCallback>,
    write: Option<DataCallback>,
    event: Option<EventCallback>,
}

impl Callbacks {
    /// None of the three.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what is done when there is something to read.
    #[doc(alias = "bufferevent_setcb")]
    pub fn on_read<O: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&BufferEventRef) -> O + 'static,
    ) -> Self {
        self.read = Some(Box::new(move |stream| callback(stream).outcome()));
        self
    }

    /// Sets what is done when the output was sent.
    pub fn on_write<O: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&BufferEventRef) -> O + 'static,
    ) -> Self {
        self.write = Some(Box::new(move |stream| callback(stream).outcome()));
        self
    }

    /// Sets what is done when something has happened to the connection.
    pub fn on_event<O: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&BufferEventRef, StreamEvent) -> O + 'static,
    ) -> Self {
        self.event = Some(Box::new(move |stream, event| {
            callback(stream, event).outcome()
        }));
        self
    }
}

/// Does what the trait does by itself.
struct Unset;
impl Handler for Unset {}

impl Handler for Callbacks {
    fn on_read(&mut self, stream: &BufferEventRef) -> Outcome {
        match &mut self.read {
            Some(callback) => callback(stream),
            None => Unset.on_read(stream),
        }
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Outcome {
        self.write
            .as_mut()
            .map_or(Ok(()), |callback| callback(stream))
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        match &mut self.event {
            Some(callback) => callback(stream, event),
            None => Unset.on_event(stream, event),
        }
    }
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callbacks")
            .field("read", &self.read.is_some())
            .field("write", &self.write.is_some())
            .field("event", &self.event.is_some())
            .finish()
    }
}
