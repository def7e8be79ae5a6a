//! What C calls on a server, and when its C object is made and freed.

use super::ServerRef;
use crate::base::{Kind, Live};
use crate::callback::retain;
use crate::error::{Error, Result};
use crate::ffi;
use crate::http::exchange::{self, Exchange};
use crate::http::received::Received;
use crate::http::{HeaderValue, Request, Response, StatusCode, header};
use std::ffi::c_void;
use std::os::raw::c_short;
use std::ptr;
use std::rc::Rc;

/// All that libevent knows: which of them a path has is for its handler to say.
const METHODS: u32 = (ffi::EVHTTP_REQ_GET
    | ffi::EVHTTP_REQ_POST
    | ffi::EVHTTP_REQ_HEAD
    | ffi::EVHTTP_REQ_PUT
    | ffi::EVHTTP_REQ_DELETE
    | ffi::EVHTTP_REQ_OPTIONS
    | ffi::EVHTTP_REQ_TRACE
    | ffi::EVHTTP_REQ_CONNECT
    | ffi::EVHTTP_REQ_PATCH) as u32;

impl ServerRef {
    pub(super) fn create(&self, raw_base: *mut ffi::event_base) -> Result<()> {
        // SAFETY: the base is alive.
        let raw = unsafe { ffi::evhttp_new(raw_base) };
        if raw.is_null() {
            return Err(Error::Libevent { op: "evhttp_new" });
        }
        // SAFETY: alive and ours, without connections. A NULL content type is one that C does
        // not add, nor point to.
        unsafe {
            ffi::evhttp_set_bevcb(raw, Some(new_stream), ptr::null_mut());
            ffi::evhttp_set_allowed_methods(raw, METHODS as _);
            ffi::evhttp_set_default_content_type(raw, ptr::null());
            self.take_charge(raw_base, raw)
        }
    }

    /// Gets the requests that C has no callback of its own for.
    ///
    /// # Safety
    /// `raw` is alive, on this base, and ours from now on, whatever this returns.
    pub(super) unsafe fn take_charge(
        &self,
        raw_base: *mut ffi::event_base,
        raw: *mut ffi::evhttp,
    ) -> Result<()> {
        self.raw.set(raw);
        let arg = self.me.as_ptr().cast_mut().cast::<c_void>();
        // SAFETY: the base is alive, and `arg` is valid until the server is freed, with which
        // these go: until then its owner, the base or `hold` has a count on it.
        let made = unsafe {
            self.settle
                .set(raw_base, on_settle, arg)
                .and_then(|()| self.resume.set(raw_base, on_resume, arg))
        };
        match made {
            // SAFETY: alive.
            Ok(()) => unsafe { ffi::evhttp_set_gencb(raw, Some(on_request), arg) },
            Err(_) => self.free(),
        }
        made
    }

    /// Finds the handler of a request, and runs it.
    fn dispatch(&self, exchange: Rc<Exchange>, received: Received) {
        let found = self.routes.borrow().find(&received.target);
        let Some((handler, params)) = found else {
            return exchange.respond(Response::page(StatusCode::NOT_FOUND));
        };
        let request = Request::new(exchange, received, params);
        self.running.set(self.running.get() + 1);
        self.base.inner().guard(|| match handler.try_borrow_mut() {
            Ok(mut handler) => handler(request),
            Err(_) => {
                // A loop inside the handler.
                request.respond(Response::page(StatusCode::SERVICE_UNAVAILABLE));
                Ok(())
            }
        });
        // It may have been replaced meanwhile.
        self.base.inner().guard(|| drop(handler));
        self.running.set(self.running.get() - 1);
        if self.is_closing() {
            self.settle.trigger();
        }
    }

    /// Does what must not be done under C's frames.
    fn settle(&self) {
        if self.running.get() > 0 {
            return;
        }
        loop {
            let finished = self.finished.take();
            if finished.is_empty() {
                break;
            }
            for (hook, sent) in finished {
                self.base.inner().guard(|| hook(sent));
            }
        }
        let base_gone = self.hold.take();
        let idle = base_gone.is_some() || self.exchanges.borrow().is_empty();
        if self.is_closing() && idle && !self.is_closed() {
            self.free();
            let hook = self.on_closed.take().filter(|_| base_gone.is_none());
            if let Some(hook) = hook {
                self.base.inner().guard(|| hook(&self.base));
            }
        }
        drop(base_gone);
    }

    /// Frees the C server; not under its callbacks.
    fn free(&self) {
        let raw = self.let_go();
        if !raw.is_null() {
            // SAFETY: ours, alive, freed once, with its listeners and connections; no frame of
            // its callbacks is below us. Exchanges hear of it, and touch C no more.
            unsafe { ffi::evhttp_free(raw) };
        }
        self.forget();
    }

    /// Ends all but the C server, which it returns.
    pub(super) fn let_go(&self) -> *mut ffi::evhttp {
        self.closing.set(true);
        self.settle.free();
        self.resume.free();
        self.raw.replace(ptr::null_mut())
    }

    /// Drops what was the user's, when C knows this server no more.
    pub(super) fn forget(&self) {
        drop(self.sockets.take());
        let inner = self.base.inner();
        let left = (self.routes.take(), self.finished.take());
        inner.guard(|| drop(left));
        drop(inner.remove_object(self.key.replace(usize::MAX)));
    }
}

impl Live for ServerRef {
    fn kind(&self) -> Kind {
        Kind::HttpServer
    }

    /// The base goes. In a handler, which is so only on a base that C owns and runs, the loop
    /// has to come back first.
    fn close(&self) {
        self.key.set(usize::MAX);
        if self.is_closed() {
            return;
        }
        if self.running.get() > 0 {
            self.hold.set(self.me.upgrade());
            ServerRef::close(self);
            self.settle.trigger();
        } else {
            self.free();
            drop(self.on_closed.take());
        }
    }

    fn clear(&self) {}
}

/// A request is complete, or is not going to be.
unsafe extern "C" fn on_request(req: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: C calls until evhttp_free.
    let server = unsafe { retain::<ServerRef>(arg) };
    let inner = server.base.inner();
    inner.count_callback();
    if inner.open().is_err() {
        // SAFETY: alive, and not answered.
        return unsafe { ffi::evhttp_send_error(req, 503, ptr::null()) };
    }
    // SAFETY: this is the generic callback, and `req` what it was given.
    let (exchange, received) = unsafe { (Exchange::begin(&server, req), Received::read(req)) };
    match received {
        Ok(received) => server.dispatch(exchange, received),
        Err(status) => {
            let close = HeaderValue::from_static("close");
            exchange.respond(Response::page(status).header(header::CONNECTION, close));
        }
    }
}

/// Makes the stream of a new connection.
unsafe extern "C" fn new_stream(
    base: *mut ffi::event_base,
    _: *mut c_void,
) -> *mut ffi::bufferevent {
    // SAFETY: C hands in its live base, and takes the stream over. Like the one that it would
    // make, it leaves closing the descriptor to evhttp.
    unsafe {
        let stream = ffi::bufferevent_socket_new(base, -1, 0);
        if !stream.is_null() {
            ffi::bufferevent_set_max_single_write(stream, exchange::CHUNK);
        }
        stream
    }
}

unsafe extern "C" fn on_settle(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: this event is freed with the server.
    let server = unsafe { retain::<ServerRef>(arg) };
    server.settle();
}

unsafe extern "C" fn on_resume(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: this event is freed with the server, which is alive therefore.
    let server = unsafe { retain::<ServerRef>(arg) };
    for socket in server.sockets.borrow().iter() {
        // SAFETY: as above. Nothing is called back: accepting is left to the loop.
        unsafe { socket.resume() };
    }
}
