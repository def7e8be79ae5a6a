//! A body that comes in piece by piece, for whoever reads it: a handler of the server, or who
//! asked a question as a client.

use crate::callback::{CallbackResult, Outcome};
use crate::{LoopHandle, Timer};
use ::http::HeaderMap;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Why a body did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The connection ended before the body did.
    #[error("the connection ended in the middle of the body")]
    Closed,
    /// It is longer than the limit allows.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Its chunks or its trailers are none.
    #[error("malformed body: {0}")]
    Malformed(&'static str),
    /// It came too slowly.
    #[error("the body did not come in time")]
    TimedOut,
    /// Whoever was to read it has ended it.
    #[error("the body was cancelled")]
    Cancelled,
}

/// A body that comes in piece by piece: nothing of it is held in memory, and one that is paused
/// makes its sender wait. Nothing is read before [`on_data`](Self::on_data).
///
/// What was not read when this is dropped is thrown away. A callback of
/// [`on_data`](Self::on_data) goes on without it.
pub struct Incoming(Rc<Inlet>);

type DataHook = Box<dyn FnMut(&[u8]) -> Outcome>;
type EndHook = Box<dyn FnOnce(Result<Option<HeaderMap>, BodyError>) -> Outcome>;

/// The side of a body that the connection feeds.
pub(crate) struct Inlet {
    handle: LoopHandle,
    source: Weak<dyn Source>,
    data: RefCell<Option<DataHook>>,
    end: Cell<Option<EndHook>>,
    over: RefCell<Option<Result<Option<HeaderMap>, BodyError>>>,
    paused: Cell<bool>,
    /// How many [`Incoming`]s there are, and whether one of them has had data asked for.
    handles: Cell<usize>,
    asked_for: Cell<bool>,
}

/// A connection that bodies come from.
pub(crate) trait Source {
    /// Somebody wants more of the body: go on, from the loop or at once.
    fn resume(&self);

    /// Nobody will ever ask for the body: called where the last [`Incoming`] is dropped, so that
    /// no callback may run from here.
    fn abandoned(&self) {}
}

impl Incoming {
    pub(crate) fn new(inlet: Rc<Inlet>) -> Self {
        inlet.handles.set(inlet.handles.get() + 1);
        Incoming(inlet)
    }

    /// Gives each piece of the body to `callback`, in order, until the end.
    pub fn on_data<O: CallbackResult>(&self, mut callback: impl FnMut(&[u8]) -> O + 'static) {
        let callback: DataHook = Box::new(move |bytes| callback(bytes).outcome());
        if self.0.over.borrow().is_some() {
            return;
        }
        // While a callback runs its place is empty; the new one takes over.
        self.0.asked_for.set(true);
        let old = self.0.data.borrow_mut().replace(callback);
        drop(old);
        self.0.wake();
    }

    /// Runs `callback` once, at the end of the body: with its trailers, if any came behind it, or
    /// with the reason why there will be no more. When the end has come already, the loop runs it.
    pub fn on_end<O: CallbackResult>(
        &self,
        callback: impl FnOnce(Result<Option<HeaderMap>, BodyError>) -> O + 'static,
    ) {
        let callback: EndHook = Box::new(move |end| callback(end).outcome());
        let over = self.0.over.borrow().clone();
        match over {
            Some(end) => {
                let mut call = Some(move || callback(end));
                let later = Timer::after(&self.0.handle, Duration::ZERO, move |_| {
                    call.take().map_or(Ok(()), |call| call())
                });
                // It fails when the base is gone, which runs no callback any more.
                drop(later.map(Timer::detach));
            }
            None => drop(self.0.end.replace(Some(callback))),
        }
    }

    /// Stops the body: its sender waits when the buffers between are full.
    pub fn pause(&self) {
        self.0.paused.set(true);
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        if self.0.paused.replace(false) {
            self.0.wake();
        }
    }
}

impl Inlet {
    pub(crate) fn new(handle: &LoopHandle, source: Weak<dyn Source>) -> Rc<Self> {
        Rc::new(Inlet {
            handle: handle.clone(),
            source,
            data: RefCell::default(),
            end: Cell::default(),
            over: RefCell::default(),
            paused: Cell::new(false),
            handles: Cell::new(0),
            asked_for: Cell::new(false),
        })
    }

    /// Whether the next piece may be given to it.
    pub(crate) fn wants_more(&self) -> bool {
        !self.paused.get() && self.data.try_borrow().is_ok_and(|data| data.is_some())
    }

    /// Whether nobody has asked for anything of it, nor can any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.handles.get() == 0 && !self.asked_for.get()
    }

    fn wake(&self) {
        if let Some(source) = self.source.upgrade() {
            source.resume();
        }
    }

    pub(crate) fn data(&self, bytes: &[u8]) {
        // Out of its place while it runs, so that it may replace itself.
        let Some(mut callback) = self.data.take() else {
            return;
        };
        self.handle.inner().guard(|| callback(bytes));
        let mut place = self.data.borrow_mut();
        if place.is_none() && self.over.borrow().is_none() {
            *place = Some(callback);
        } else {
            drop(place);
            self.handle.inner().guard(|| drop(callback));
        }
    }

    /// The end, whatever it is; only the first counts.
    pub(crate) fn end(&self, end: Result<Option<HeaderMap>, BodyError>) {
        if self.over.borrow().is_some() {
            return;
        }
        self.over.replace(Some(end.clone()));
        let (data, hook) = (self.data.take(), self.end.take());
        let inner = self.handle.inner();
        if let Some(hook) = hook {
            inner.guard(|| hook(end));
        }
        inner.guard(|| drop(data));
    }
}

impl Inlet {
    /// The connection is gone, and nobody is to be called any more: the callbacks are dropped.
    pub(crate) fn forget(&self) {
        if self.over.borrow().is_some() {
            return;
        }
        self.over.replace(Some(Err(BodyError::Cancelled)));
        let hooks = (self.data.take(), self.end.take());
        self.handle.inner().guard(|| drop(hooks));
    }
}

impl Clone for Incoming {
    fn clone(&self) -> Self {
        Incoming::new(self.0.clone())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let left = self.0.handles.get() - 1;
        self.0.handles.set(left);
        if left == 0
            && !self.0.asked_for.get()
            && self.0.over.borrow().is_none()
            && let Some(source) = self.0.source.upgrade()
        {
            source.abandoned();
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("over", &self.0.over.borrow())
            .field("paused", &self.0.paused.get())
            .finish_non_exhaustive()
    }
}
