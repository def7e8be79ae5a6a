//! From a request of C's to its handler.

use super::exchange::Exchange;
use super::incoming::Received;
use super::{Request, ServerRef};
use crate::callback::retain;
use crate::ffi;
use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;

impl ServerRef {
    /// Finds the handler of a request, and runs it.
    fn dispatch(&self, exchange: Rc<Exchange>, received: Received) {
        let handler = self.callbacks.borrow().find(&received.path());
        let Some(handler) = handler else {
            return exchange.refuse(404);
        };
        let request = Request::new(exchange, received);
        self.run_user(|| match handler.try_borrow_mut() {
            Ok(mut handler) => handler(request),
            Err(_) => {
                // A loop inside the handler.
                Ok(request.error(503, None)?)
            }
        });
        // It may have been replaced meanwhile.
        self.base.inner().guard(|| drop(handler));
    }
}

/// A request is complete.
pub(super) unsafe extern "C" fn on_request(req: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: C calls until evhttp_free.
    let server = unsafe { retain::<ServerRef>(arg) };
    let inner = server.base.inner();
    inner.count_callback();
    if inner.open().is_err() {
        // SAFETY: alive, and not answered.
        return unsafe { ffi::evhttp_send_error(req, 503, ptr::null()) };
    }
    let root = server.root();
    // Its frames are below this one, whichever of its hosts the request is for.
    root.running.set(root.running.get() + 1);
    // SAFETY: this is the generic callback, and `req` what it was given.
    let (exchange, received) = unsafe { (Exchange::begin(&root, req), Received::read(req)) };
    match received {
        Ok(received) if !root.allows(&received.method) => exchange.refuse(501),
        Ok(received) => server.dispatch(exchange, received),
        Err(status) => exchange.refuse(status.as_u16()),
    }
    root.running.set(root.running.get() - 1);
    root.look_whether_closed();
}
