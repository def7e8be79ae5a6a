//! The body of a request, for those who need it whole.

use crate::page;
use libevent2::http::{BodyError, Request, StatusCode};
use std::cell::RefCell;
use std::rc::Rc;

/// What is held in memory for one request at most.
const MOST: usize = 16 << 20;

/// Reads the body and goes on with it. A longer one is answered 413; a client that goes before its
/// end gets nothing.
pub fn whole(request: Request, then: impl FnOnce(Request, Vec<u8>) + 'static) {
    let Some(incoming) = request.incoming() else {
        return then(request, Vec::new());
    };
    let bytes = Rc::new(RefCell::new(Vec::new()));
    let all = Rc::clone(&bytes);
    incoming.on_end(move |end| {
        let bytes = bytes.take();
        match end {
            Ok(_) if bytes.len() <= MOST => then(request, bytes),
            Ok(_) => request.respond(page::of(StatusCode::PAYLOAD_TOO_LARGE)),
            Err(error) => request.respond(page::of(status_of(&error))),
        }
    });
    incoming.on_data(move |piece| {
        let mut all = all.borrow_mut();
        // One byte more than there may be tells that there are too many.
        let room = (MOST + 1).saturating_sub(all.len());
        all.extend_from_slice(&piece[..piece.len().min(room)]);
    });
}

/// What a client gets whose body did not come to its end.
pub fn status_of(error: &BodyError) -> StatusCode {
    match error {
        BodyError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::BAD_REQUEST,
    }
}
