//! Answers whose body is sent piece by piece.

use super::exchange::Exchange;
use crate::callback::CallbackResult;
use crate::error::Result;
use crate::{Buffer, LoopHandle};
use std::fmt;
use std::rc::Rc;

/// An answer that has begun, and the duty to [end](Self::end) it. Dropped before, it closes the
/// connection, so that the client sees that something is missing.
///
/// ```
/// use libevent2::EventBase;
/// use libevent2::evhttp::{Reply, Server};
///
/// /// Sends `left` more pieces, each when the one before was taken.
/// fn count_down(reply: Reply, left: u32) -> libevent2::Result<()> {
///     match left {
///         0 => reply.end(),
///         _ => reply.chunk_with(format!("{left}\n"), move |reply| count_down(reply, left - 1)),
///     }
/// }
///
/// let base = EventBase::new()?;
/// let server = Server::bind(&base, "127.0.0.1:0")?;
/// server.set_gencb(|request| count_down(request.start(200, None)?, 1000));
/// # Ok::<(), libevent2::Error>(())
/// ```
#[must_use = "dropping it closes the connection; `end` ends the answer"]
pub struct Reply {
    exchange: Rc<Exchange>,
    ended: bool,
}

impl Reply {
    pub(super) fn new(exchange: Rc<Exchange>) -> Self {
        Reply {
            exchange,
            ended: false,
        }
    }

    /// Sends a piece of the body, in the background. An empty one is nothing; one that the status
    /// or the method does not allow is left out.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the client is gone,
    /// [`Error::Invalid`](crate::Error::Invalid) when it is more than the `Content-Length` that
    /// was announced, [`Error::Frozen`](crate::Error::Frozen) when the piece is.
    #[doc(alias = "evhttp_send_reply_chunk")]
    pub fn chunk(&self, piece: impl Into<Buffer>) -> Result<()> {
        self.exchange.chunk(piece.into())
    }

    /// As [`chunk`](Self::chunk); when all was taken by the system, `next` gets the answer back
    /// to go on with it. It runs once, from the loop, and is dropped when the client has gone.
    ///
    /// # Errors
    /// As for [`chunk`](Self::chunk); the connection is closed then.
    #[doc(alias = "evhttp_send_reply_chunk_with_cb")]
    pub fn chunk_with<O: CallbackResult>(
        self,
        piece: impl Into<Buffer>,
        next: impl FnOnce(Reply) -> O + 'static,
    ) -> Result<()> {
        let exchange = Rc::clone(&self.exchange);
        exchange.chunk(piece.into())?;
        exchange.on_drained(self, Box::new(move |reply| next(reply).outcome()));
        Ok(())
    }

    /// How many bytes wait to be sent, the headers and the framing included.
    pub fn pending(&self) -> usize {
        self.exchange.pending()
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when less was sent than the `Content-Length` that
    /// was announced; the connection is closed then.
    #[doc(alias = "evhttp_send_reply_end")]
    pub fn end(mut self) -> Result<()> {
        self.exchange.end()?;
        self.ended = true;
        Ok(())
    }

    /// Whether the client is known to be gone.
    pub fn is_client_gone(&self) -> bool {
        self.exchange.is_client_gone()
    }

    /// The loop, to make timers and other objects on.
    pub fn handle(&self) -> &LoopHandle {
        self.exchange.server().handle()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.ended {
            self.exchange.abort();
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
