//! An answer whose body is made piece by piece.

use super::exchange::Exchange;
use crate::LoopHandle;
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use ::http::HeaderMap;
use std::fmt;
use std::rc::Rc;

pub(super) type DrainHook = Box<dyn FnMut(&Outgoing) -> Outcome>;

/// The body of an answer that is made piece by piece; see
/// [`Request::start`](super::Request::start).
///
/// It has to be ended by [`finish`](Self::finish). When all clones are dropped before that, the
/// client's connection is closed, so that it does not take half an answer for a whole one.
#[derive(Clone)]
#[must_use = "dropping it before `finish` closes the connection"]
pub struct Outgoing(Rc<Handle>);

struct Handle(Rc<Exchange>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.abandon_stream();
    }
}

impl Outgoing {
    pub(super) fn new(exchange: Rc<Exchange>) -> Self {
        Outgoing(Rc::new(Handle(exchange)))
    }

    fn exchange(&self) -> &Exchange {
        &self.0.0
    }

    /// Sends a piece, behind the others. It is held in memory until the client takes it: who
    /// makes a lot looks at [`pending`](Self::pending) and waits for
    /// [`on_drain`](Self::on_drain).
    ///
    /// # Errors
    /// [`Error::Closed`] when the client has gone or the body was ended; [`Error::Invalid`] when
    /// it is more than the `Content-Length` that the answer was started with. Nothing is sent then.
    #[doc(alias = "evhttp_send_reply_chunk")]
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Result<()> {
        if !self.is_open() {
            return Err(Error::Closed { what: "answer" });
        }
        match self.exchange().send(bytes.as_ref()) {
            true => Ok(()),
            false => Err(Error::invalid("body", "longer than its Content-Length")),
        }
    }

    /// How many bytes wait to be taken by the client.
    pub fn pending(&self) -> usize {
        usize::try_from(self.exchange().connection().output().1).unwrap_or(usize::MAX)
    }

    /// Whether more can be sent.
    pub fn is_open(&self) -> bool {
        self.exchange().is_streaming()
    }

    /// Runs `callback` from the loop each time when all was sent, until the body is finished or
    /// the client gone. It keeps this body: nobody else needs to. When it fails, the body is given
    /// up.
    #[doc(alias = "evhttp_send_reply_chunk_with_cb")]
    pub fn on_drain<O: CallbackResult>(&self, mut callback: impl FnMut(&Outgoing) -> O + 'static) {
        if !self.is_open() {
            return;
        }
        let hook: DrainHook = Box::new(move |outgoing| callback(outgoing).outcome());
        self.exchange().set_drain(hook, self.clone());
        self.exchange().connection().drain_later();
    }

    /// Runs `callback` once when the client has gone, or has closed its sending side; see
    /// [`Request::on_disconnect`](super::Request::on_disconnect).
    pub fn on_disconnect<O: CallbackResult>(&self, callback: impl FnOnce() -> O + 'static) {
        let hook = Box::new(move || callback().outcome());
        self.exchange().on_disconnect(hook);
    }

    /// Ends the body. What is sent with a `Content-Length` must be that long by now: otherwise
    /// the connection is closed.
    #[doc(alias = "evhttp_send_reply_end")]
    pub fn finish(&self) {
        self.exchange().finish_stream(None);
    }

    /// Ends the body with trailers, which clients of HTTP/1.0 and those of a body with a
    /// `Content-Length` do not get.
    pub fn finish_with(&self, trailers: &HeaderMap) {
        self.exchange().finish_stream(Some(trailers));
    }

    /// Gives the body up: the connection is closed, so that the client does not take half an answer
    /// for a whole one.
    pub fn abort(&self) {
        if self.is_open() {
            self.exchange().connection().abort();
        }
    }

    /// The loop, to make timers and other objects on.
    pub fn handle(&self) -> &LoopHandle {
        self.exchange().server().handle()
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("pending", &self.pending())
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}
