//! Answers that come from other threads.

use super::Response;
use super::exchange::Exchange;
use crate::base::Remote;
use crate::error::Result;
use ::http::StatusCode;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// The duty to answer a request, as a value that any thread may have. Dropped, it answers 500.
///
/// ```
/// use libevent2::http::{Request, Response};
/// use std::thread;
///
/// fn handler(request: Request) -> libevent2::Result<()> {
///     let responder = request.into_responder()?;
///     thread::spawn(move || {
///         let result = (1..=20).product::<u64>();
///         responder.respond(Response::text(format!("{result}\n")));
///     });
///     Ok(())
/// }
/// ```
#[must_use = "dropping it answers 500"]
pub struct Responder {
    remote: Remote,
    /// The request, by its number on the loop's thread; none when it is answered.
    number: Option<u64>,
}

thread_local! {
    /// The requests of this thread's loops whose answers come from elsewhere.
    static WAITING: RefCell<HashMap<u64, Rc<Exchange>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

impl Responder {
    pub(super) fn new(exchange: &Rc<Exchange>) -> Result<Self> {
        let remote = exchange.server().handle().remote()?;
        if exchange.is_answered() {
            // Nobody is left to be answered, and nobody would take it out of the list.
            let number = None;
            return Ok(Responder { remote, number });
        }
        let number = NEXT.replace(NEXT.get() + 1);
        WAITING.with_borrow_mut(|waiting| waiting.insert(number, Rc::clone(exchange)));
        exchange.set_deferred(number);
        Ok(Responder {
            remote,
            number: Some(number),
        })
    }

    /// Answers, as [`Request::respond`](super::Request::respond) does. When the client or the
    /// loop is gone, nothing happens.
    pub fn respond(mut self, response: Response) {
        self.post(response);
    }

    fn post(&mut self, response: Response) {
        let Some(number) = self.number.take() else {
            return;
        };
        // It fails when the base is gone, and with it the client.
        let _ = self.remote.post(move |_| answer(number, response));
    }
}

/// On the loop's thread.
fn answer(number: u64, response: Response) {
    if let Some(exchange) = forget(number) {
        exchange.respond(response);
    }
}

/// Takes a request out of those that wait.
pub(super) fn forget(number: u64) -> Option<Rc<Exchange>> {
    WAITING
        .try_with(|waiting| waiting.borrow_mut().remove(&number))
        .ok()
        .flatten()
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.post(Response::page(StatusCode::INTERNAL_SERVER_ERROR));
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
