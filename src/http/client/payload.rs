//! The body of a request.

use super::conn::Conn;
use crate::LoopHandle;
use crate::buffer::FileSegment;
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use crate::http::wire::framing::Framing;
use crate::http::wire::write;
use ::http::HeaderMap;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::IoSlice;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Where the body comes from.
#[derive(Default)]
pub(super) enum Payload {
    #[default]
    None,
    Bytes(Arc<[u8]>),
    File(Rc<FileSegment>),
    Upload {
        length: Option<u64>,
        /// None once it was begun: there is no second time.
        begin: Option<Begin>,
    },
}

pub(super) type Begin = Box<dyn FnOnce(Upload) -> Outcome>;

impl Payload {
    pub(super) fn is_repeatable(&self) -> bool {
        !matches!(self, Payload::Upload { begin: None, .. })
    }

    /// How its end is known; None when there is no body.
    pub(super) fn framing(&self) -> Option<Framing> {
        match self {
            Payload::None => None,
            Payload::Bytes(bytes) => Some(Framing::Length(bytes.len() as u64)),
            Payload::File(segment) => Some(Framing::Length(segment.len())),
            Payload::Upload {
                length: Some(length),
                ..
            } => Some(Framing::Length(*length)),
            Payload::Upload { length: None, .. } => Some(Framing::Chunked),
        }
    }
}

/// The body of a request that is sent piece by piece.
///
/// It has to come to its end by [`finish`](Self::finish); dropped before, without a callback of
/// [`on_drain`](Self::on_drain), it fails the request. When the request is over, however it
/// ended, sending returns [`Error::Closed`].
pub struct Upload(Rc<Uploading>);

type DrainHook = Box<dyn FnMut(&Upload) -> Outcome>;

/// What the connection knows of an [`Upload`].
pub(super) struct Uploading {
    handle: LoopHandle,
    conn: Weak<Conn>,
    /// Bytes to go; None for chunks.
    left: Cell<Option<u64>>,
    finished: Cell<bool>,
    begin: Cell<Option<Begin>>,
    drain: RefCell<Option<DrainHook>>,
    handles: Cell<usize>,
    hooked: Cell<bool>,
}

impl Uploading {
    pub(super) fn new(conn: &Rc<Conn>, length: Option<u64>, begin: Begin) -> Rc<Self> {
        Rc::new(Uploading {
            handle: conn.handle.clone(),
            conn: Rc::downgrade(conn),
            left: Cell::new(length),
            finished: Cell::new(false),
            begin: Cell::new(Some(begin)),
            drain: RefCell::default(),
            handles: Cell::default(),
            hooked: Cell::default(),
        })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.get()
    }

    /// All that was sent has left: the first time, that it can begin.
    pub(super) fn drained(self: &Rc<Self>, conn: &Conn) {
        let inner = conn.handle.inner();
        if let Some(begin) = self.begin.take() {
            let upload = Upload::new(self);
            return inner.guard(|| begin(upload));
        }
        // Out of its place while it runs, so that it may replace itself.
        let hook = self.drain.borrow_mut().take();
        let Some(mut hook) = hook else { return };
        let upload = Upload::new(self);
        inner.guard(|| hook(&upload));
        let mut place = self.drain.borrow_mut();
        let old = match place.is_none() && !self.finished.get() && conn.uploads(self) {
            true => place.replace(hook),
            false => Some(hook),
        };
        drop(place);
        inner.guard(|| drop((old, upload)));
    }

    /// The request is over: nobody is called any more.
    pub(super) fn forget(&self, conn: &Conn) {
        self.finished.set(true);
        let hook = self.drain.borrow_mut().take();
        let all = (self.begin.take(), hook);
        conn.handle.inner().guard(|| drop(all));
    }
}

impl Upload {
    fn new(state: &Rc<Uploading>) -> Self {
        state.handles.set(state.handles.get() + 1);
        Upload(state.clone())
    }

    fn conn(&self) -> Result<Rc<Conn>> {
        const CLOSED: Error = Error::Closed { what: "request" };
        let conn = self.0.conn.upgrade().ok_or(CLOSED)?;
        match !self.0.finished.get() && conn.uploads(&self.0) {
            true => Ok(conn),
            false => Err(CLOSED),
        }
    }

    /// Sends a piece. What the server does not take yet is held in memory:
    /// [`pending`](Self::pending) says how much that is, and [`on_drain`](Self::on_drain) when to
    /// go on.
    ///
    /// # Errors
    /// [`Error::Closed`] when the request is over; [`Error::Invalid`] for more bytes than were
    /// announced.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        let conn = self.conn()?;
        let Some(stream) = conn.stream() else {
            return Err(Error::Closed { what: "request" });
        };
        if bytes.is_empty() {
            return Ok(());
        }
        match self.0.left.get() {
            Some(left) => {
                let left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
                    Error::invalid("upload", "there is more of it than was announced")
                })?;
                self.0.left.set(Some(left));
                stream.output().append(bytes)
            }
            None => {
                let mut size = Vec::with_capacity(18);
                write::chunk_size(&mut size, bytes.len());
                stream.output().append_vectored(&[
                    IoSlice::new(&size),
                    IoSlice::new(bytes),
                    IoSlice::new(b"\r\n"),
                ])
            }
        }
    }

    /// The loop that it lives on.
    pub fn handle(&self) -> &LoopHandle {
        &self.0.handle
    }

    /// How many bytes of what was sent wait in memory.
    pub fn pending(&self) -> usize {
        let stream = self.conn().ok().and_then(|conn| conn.stream());
        stream.map_or(0, |stream| stream.output().len())
    }

    /// Calls `callback` from the loop whenever the server has taken all that was sent, and once at
    /// the beginning: the place to send the next piece.
    pub fn on_drain<O: CallbackResult>(&self, mut callback: impl FnMut(&Upload) -> O + 'static) {
        let Ok(conn) = self.conn() else { return };
        let callback: DrainHook = Box::new(move |upload| callback(upload).outcome());
        self.0.hooked.set(true);
        let old = self.0.drain.borrow_mut().replace(callback);
        drop(old);
        conn.look_at_sending();
    }

    /// Ends the body.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`Error::Invalid`] for fewer bytes than were announced.
    pub fn finish(&self) -> Result<()> {
        self.finish_with(&HeaderMap::new())
    }

    /// Ends the body, with trailers behind it: for one without an announced length.
    ///
    /// # Errors
    /// As [`finish`](Self::finish); [`Error::Invalid`] for trailers behind a body of known length.
    pub fn finish_with(&self, trailers: &HeaderMap) -> Result<()> {
        let conn = self.conn()?;
        match self.0.left.get() {
            Some(0) if trailers.is_empty() => {}
            Some(0) => {
                let why = "only a body without an announced length has trailers";
                return Err(Error::invalid("trailers", why));
            }
            Some(left) => {
                let why = format!("{left} bytes of what was announced are missing");
                return Err(Error::invalid("upload", why));
            }
            None => {
                let mut end = Vec::new();
                write::last_chunk(&mut end, Some(trailers));
                if let Some(stream) = conn.stream() {
                    stream.output().append(&end)?;
                }
            }
        }
        self.0.finished.set(true);
        conn.look_at_sending();
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let left = self.0.handles.get() - 1;
        self.0.handles.set(left);
        if left == 0
            && !self.0.hooked.get()
            && let Ok(conn) = self.conn()
        {
            conn.upload_dropped();
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("pending", &self.pending())
            .field("left", &self.0.left.get())
            .finish_non_exhaustive()
    }
}
