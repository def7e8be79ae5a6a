//! When a server's C object is made and freed, and what runs outside C's frames.

use super::exchange::{CloseHook, Exchange};
use super::{Later, ServerRef, dispatch};
use crate::base::{Kind, Live};
use crate::callback::{CallbackResult, retain};
use crate::error::{Error, Result};
use crate::{ffi, later};
use std::ffi::c_void;
use std::os::raw::c_short;
use std::ptr;
use std::rc::Rc;

impl ServerRef {
    pub(super) fn create(&self, raw_base: *mut ffi::event_base) -> Result<()> {
        // SAFETY: the base is alive.
        let raw = unsafe { ffi::evhttp_new(raw_base) };
        if raw.is_null() {
            return Err(Error::Libevent { op: "evhttp_new" });
        }
        // SAFETY: alive and ours, without connections.
        unsafe { self.take_charge(raw_base, raw) }
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
        let arg = self.arg();
        // SAFETY: the base is alive, and `arg` is valid until the server is freed, with which
        // these go: until then its owner, the base or `hold` has a count on it.
        let made = unsafe {
            self.settle
                .set(raw_base, on_settle, arg)
                .and_then(|()| self.resume.set(raw_base, on_resume, arg))
        };
        match made {
            // SAFETY: alive.
            Ok(()) => unsafe {
                ffi::evhttp_set_gencb(raw, Some(dispatch::on_request), arg);
            },
            Err(_) => self.free(false),
        }
        made
    }

    /// What C's data pointers are.
    pub(super) fn arg(&self) -> *mut c_void {
        self.me.as_ptr().cast_mut().cast()
    }

    // --- requests ---------------------------------------------------------------------------

    pub(super) fn add_exchange(&self, exchange: Rc<Exchange>) -> usize {
        self.exchanges.borrow_mut().insert(exchange)
    }

    /// The caller holds a count of its own.
    pub(super) fn remove_exchange(&self, key: usize) {
        let exchange = self.exchanges.borrow_mut().try_remove(key);
        drop(exchange);
    }

    /// Runs code of the user's on top of C's frames.
    pub(super) fn run_user<O: CallbackResult>(&self, f: impl FnOnce() -> O) {
        self.running.set(self.running.get() + 1);
        self.base.inner().guard(f);
        self.running.set(self.running.get() - 1);
        later::run();
        self.look_whether_closed();
    }

    // --- what waits for the loop --------------------------------------------------------------

    pub(super) fn run_later(&self, work: Later) {
        self.later.borrow_mut().push(work);
        self.settle.trigger();
    }

    pub(super) fn close_later(&self, hooks: Vec<CloseHook>) {
        for hook in hooks {
            let base = self.base.clone();
            self.run_later(Box::new(move || hook(&base)));
        }
    }

    pub(super) fn look_whether_closed(&self) {
        if self.is_closing() {
            self.settle.trigger();
        }
    }

    /// Does what must not be done under C's frames.
    fn settle(&self) {
        if self.running.get() > 0 {
            return;
        }
        self.run_what_waits();
        let base_gone = self.hold.take();
        let idle = base_gone.is_some() || self.exchanges.borrow().is_empty();
        if self.is_closing() && idle && !self.is_closed() {
            self.free(base_gone.is_none());
            let hook = self.on_closed.take().filter(|_| base_gone.is_none());
            if let Some(hook) = hook {
                self.base.inner().guard(|| hook(&self.base));
            }
        }
        drop(base_gone);
    }

    fn run_what_waits(&self) {
        loop {
            let waiting = self.later.take();
            if waiting.is_empty() {
                return;
            }
            for work in waiting {
                self.base.inner().guard(work);
            }
        }
    }

    /// Frees the C server, and closes its virtual hosts; not under its callbacks.
    fn free(&self, run_hooks: bool) {
        let hosts = self.cut_off();
        let raw = self.let_go();
        if !raw.is_null() {
            // SAFETY: ours, alive, freed once, with its listeners and connections; no frame of
            // its callbacks is below us, and it has no hosts. Exchanges hear of it, and touch C
            // no more.
            unsafe { ffi::evhttp_free(raw) };
        }
        if run_hooks {
            self.run_what_waits();
        } else {
            for host in hosts.iter().filter(|host| !host.is_closed()) {
                Live::close(&*host.0);
            }
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
        let left = (
            self.callbacks.take(),
            self.later.take(),
            self.close_hooks.take(),
        );
        inner.guard(|| drop(left));
        #[cfg(feature = "openssl")]
        self.tls.forget(inner);
        drop(inner.remove_object(self.key.replace(usize::MAX)));
    }

    // --- the hooks of connections -------------------------------------------------------------

    /// Takes the hooks of a connection that has a request now.
    pub(super) fn take_close_hooks(
        &self,
        connection: *mut ffi::evhttp_connection,
    ) -> Vec<CloseHook> {
        let hooks = self.close_hooks.borrow_mut().remove(&connection);
        hooks.unwrap_or_default()
    }

    /// Keeps them while it has none.
    ///
    /// # Safety
    /// `connection` is alive, and belongs to this server.
    pub(super) unsafe fn keep_close_hooks(
        &self,
        connection: *mut ffi::evhttp_connection,
        hooks: Vec<CloseHook>,
    ) {
        let wanted = !hooks.is_empty() || self.has_tls();
        if !hooks.is_empty() {
            self.close_hooks.borrow_mut().insert(connection, hooks);
        }
        let callback: CloseCallback = match wanted {
            true => Some(on_idle_closed),
            false => None,
        };
        // SAFETY: the caller's promise. This server lives as long as its C object, with which the
        // connection goes at the latest; `into_ptr` takes the callback back.
        unsafe { ffi::evhttp_connection_set_closecb(connection, callback, self.arg()) };
    }

    /// Forgets the hooks of all connections.
    pub(super) fn forget_close_hooks(&self) {
        let hooks = self.close_hooks.take();
        for connection in hooks.keys() {
            // SAFETY: alive: one that is closed is taken off the list.
            unsafe { ffi::evhttp_connection_set_closecb(*connection, None, ptr::null_mut()) };
        }
        self.base.inner().guard(|| drop(hooks));
    }
}

type CloseCallback = Option<unsafe extern "C" fn(*mut ffi::evhttp_connection, *mut c_void)>;

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
            self.free(false);
            drop(self.on_closed.take());
        }
    }

    fn clear(&self) {}
}

/// A connection without a request is going down.
unsafe extern "C" fn on_idle_closed(connection: *mut ffi::evhttp_connection, arg: *mut c_void) {
    // SAFETY: as `keep_close_hooks` says.
    let server = unsafe { retain::<ServerRef>(arg) };
    // SAFETY: alive until this returns.
    unsafe { server.say_goodbye(connection) };
    let hooks = server.take_close_hooks(connection);
    server.close_later(hooks);
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

/// What differs with TLS.
#[cfg(not(feature = "openssl"))]
impl ServerRef {
    pub(super) fn has_tls(&self) -> bool {
        false
    }

    /// # Safety
    /// None.
    pub(super) unsafe fn tame(&self, _: *mut ffi::bufferevent) {}

    /// # Safety
    /// None.
    pub(super) unsafe fn say_goodbye(&self, _: *mut ffi::evhttp_connection) {}
}
