//! Servers that come from C, and go there.

use super::{Server, ServerRef};
use crate::error::Result;
use crate::{LoopHandle, ffi};
use std::os::raw::c_void;
use std::ptr;
use std::rc::Rc;

impl Server {
    /// Takes over a server that C made on this base, with its listening sockets and connections;
    /// it is freed with this value.
    ///
    /// Paths that C has callbacks for (`evhttp_set_cb`) stay C's, and so do virtual hosts; all
    /// other requests go to the handlers of this value. The default limits are set.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone (`raw` stays the caller's),
    /// [`Error::Libevent`](crate::Error::Libevent) when memory is short (`raw` is freed).
    ///
    /// # Safety
    /// `raw` is such a server, alive, freed by nobody else; none of its callbacks is running, and
    /// what they point at outlives it. It listens on sockets of the Internet only.
    pub unsafe fn from_ptr(base: &LoopHandle, raw: *mut ffi::evhttp) -> Result<Self> {
        let raw_base = base.inner().open()?;
        let server = Server::on(base);
        server.from_c.set(true);
        // SAFETY: the caller's promise.
        unsafe { server.take_charge(raw_base, raw)? };
        Ok(Server::register(server))
    }

    /// Gives the C server to C, which has to free it with `evhttp_free`: with its listening
    /// sockets and idle connections, and without the handlers and the default content type, which
    /// are dropped.
    ///
    /// # Errors
    /// Gives the server back while requests are [in flight](ServerRef::in_flight), or a handler
    /// of it runs, or it is closing, or has virtual hosts or TLS, which C cannot go on with.
    pub fn into_ptr(self) -> Result<*mut ffi::evhttp, Self> {
        let server = Rc::clone(&self.0);
        let busy = server.in_flight() > 0 || server.running.get() > 0 || server.is_closing();
        if busy || !server.hosts.is_empty() || server.has_tls() {
            return Err(self);
        }
        server.forget_close_hooks();
        let raw = server.let_go();
        for socket in server.sockets.borrow().iter() {
            // SAFETY: the C server is alive, and so are its listeners.
            unsafe { socket.forget_owner() };
        }
        // SAFETY: alive, and no request of it is with us: these were the last of C's pointers to
        // us.
        unsafe {
            ffi::evhttp_set_gencb(raw, None, ptr::null_mut());
            ffi::evhttp_set_default_content_type(raw, ptr::null());
        }
        server.forget();
        Ok(raw)
    }
}

impl ServerRef {
    /// Stops the listening sockets that C made.
    pub(super) fn close_sockets_of_c(&self) {
        let raw = self.raw.get();
        if !self.from_c.get() || raw.is_null() {
            return;
        }
        let mut found = Vec::<*mut ffi::evhttp_bound_socket>::new();
        let arg = (&raw mut found).cast::<c_void>();
        // SAFETY: alive; `found` outlives the call that fills it, and each socket is taken away
        // once, when C does not walk its list any more.
        unsafe {
            ffi::evhttp_foreach_bound_socket(raw, Some(collect), arg);
            for bound in found {
                ffi::evhttp_del_accept_socket(raw, bound);
            }
        }
    }
}

unsafe extern "C" fn collect(bound: *mut ffi::evhttp_bound_socket, arg: *mut c_void) {
    // SAFETY: the Vec of `close_sockets_of_c`, which waits for this call.
    unsafe { (*arg.cast::<Vec<*mut ffi::evhttp_bound_socket>>()).push(bound) };
}
