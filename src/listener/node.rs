//! The counted node behind every listener, and what C calls.
//!
//! C's `void *` points at a [`ListenerRef`], which an `Rc` owns; both of C's callbacks get it, and
//! take a count for the length of the call.

use super::handler::Handler;
use super::{Accepted, Address};
use crate::base::{Kind, Live};
use crate::callback::{CallbackResult, Outcome, retain};
use crate::error::{Error, Result};
use crate::event::{InternalEvent, RawSocket};
use crate::{LoopHandle, ffi};
use socket2::SockRef;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::raw::{c_int, c_short, c_void};
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// How long it does not accept when the system could not give a descriptor.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) type AcceptHandler = dyn FnMut(&ListenerRef, Accepted) -> Outcome;
pub(super) type ErrorHandler = dyn FnMut(&ListenerRef, &io::Error) -> Outcome;

pub(super) fn boxed<O: CallbackResult>(
    mut callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
) -> Box<AcceptHandler> {
    Box::new(move |listener, accepted| callback(listener, accepted).outcome())
}

pub(super) fn boxed_error<O: CallbackResult>(
    mut callback: impl FnMut(&ListenerRef, &io::Error) -> O + 'static,
) -> Box<ErrorHandler> {
    Box::new(move |listener, error| callback(listener, error).outcome())
}

/// What a listener's callbacks see of it.
pub struct ListenerRef {
    base: LoopHandle,
    /// Null when closed or given away.
    raw: Cell<*mut ffi::evconnlistener>,
    /// Its entry among the base's objects.
    key: Cell<usize>,
    on_accept: Handler<AcceptHandler>,
    on_error: Handler<ErrorHandler>,
    /// Whether the user wants it to accept.
    enabled: Cell<bool>,
    /// Whether it does not accept for the moment, until `resume`.
    paused: Cell<bool>,
    resume: InternalEvent,
}

impl ListenerRef {
    pub(super) fn new(
        base: &LoopHandle,
        on_accept: Box<AcceptHandler>,
        on_error: Option<Box<ErrorHandler>>,
    ) -> Result<Rc<Self>> {
        let raw_base = base.inner().open()?;
        let node = Rc::new(ListenerRef {
            base: base.clone(),
            raw: Cell::new(ptr::null_mut()),
            key: Cell::new(usize::MAX),
            on_accept: Handler::new(Some(on_accept)),
            on_error: Handler::new(on_error),
            enabled: Cell::new(false),
            paused: Cell::new(false),
            resume: InternalEvent::unset(),
        });
        // SAFETY: the base is alive. The event goes with the node at the latest, and before the
        // base, as the base closes what lives on it.
        unsafe { node.resume.set(raw_base, on_resume, node.data())? };
        Ok(node)
    }

    /// C's data pointer.
    pub(super) fn data(self: &Rc<Self>) -> *mut c_void {
        Rc::as_ptr(self).cast_mut().cast()
    }

    /// Has the C listener from now on.
    pub(super) fn begin(self: &Rc<Self>, raw: *mut ffi::evconnlistener) {
        self.raw.set(raw);
        // SAFETY: alive; its data pointer is this node.
        unsafe { ffi::evconnlistener_set_error_cb(raw, Some(on_accept_error)) };
        let weak: Weak<dyn Live> = Rc::downgrade(&(Rc::clone(self) as Rc<dyn Live>));
        self.key.set(self.base.inner().add_object(weak));
    }

    pub(super) fn key(&self) -> usize {
        self.key.get()
    }

    /// The loop that it lives on.
    #[doc(alias = "evconnlistener_get_base")]
    pub fn handle(&self) -> &LoopHandle {
        &self.base
    }

    /// The C listener, for calls of `ffi`; NULL when it is closed.
    pub fn as_ptr(&self) -> *mut ffi::evconnlistener {
        self.raw.get()
    }

    /// Whether it was closed, by [`close`](Self::close) or by the end of its base.
    pub fn is_closed(&self) -> bool {
        self.raw.get().is_null()
    }

    /// Stops listening for good and closes the socket; inside its callbacks the socket is closed
    /// when they return. Connections that were accepted live on, those that still wait are
    /// refused by the system. Closing twice is fine.
    #[doc(alias = "evconnlistener_free")]
    pub fn close(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return;
        }
        self.resume.free();
        // SAFETY: it was ours and alive; C has a count of its own while a callback runs.
        unsafe { ffi::evconnlistener_free(raw) };
        // The key is another object's as soon as one is made.
        let object = self
            .base
            .inner()
            .remove_object(self.key.replace(usize::MAX));
        self.drop_handlers();
        drop(object);
    }

    /// Accepts connections (again).
    ///
    /// While the listener waits because the system is out of descriptors or memory, it stays
    /// that way until its time is over.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Os`] when the back end cannot watch it.
    #[doc(alias = "evconnlistener_enable")]
    pub fn enable(&self) -> Result<()> {
        let raw = self.open()?;
        if !self.paused.get() {
            // SAFETY: alive.
            if unsafe { ffi::evconnlistener_enable(raw) } != 0 {
                let error = io::Error::last_os_error();
                // SAFETY: alive. C takes it for enabled.
                unsafe { ffi::evconnlistener_disable(raw) };
                self.enabled.set(false);
                return Err(Error::Os {
                    op: format!("evconnlistener_enable on descriptor {}", self.fd()),
                    source: error,
                });
            }
        }
        self.enabled.set(true);
        Ok(())
    }

    /// Accepts no more connections until it is enabled; they wait in the backlog. On a closed
    /// one it does nothing.
    #[doc(alias = "evconnlistener_disable")]
    pub fn disable(&self) {
        self.enabled.set(false);
        self.disable_raw();
    }

    /// Whether it accepts connections, or will when the system has descriptors again.
    pub fn is_enabled(&self) -> bool {
        self.enabled.get() && !self.is_closed()
    }

    /// The address on which it listens, with the port that the system picked.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    pub fn local_addr(&self) -> Result<Address> {
        let fd = self.open().map(|_| self.fd())?;
        // SAFETY: open as long as the C listener is, so for the length of this call.
        let socket = unsafe { BorrowedFd::borrow_raw(fd) };
        let addr = SockRef::from(&socket).local_addr();
        let addr = addr.map_err(|source| Error::Os {
            op: format!("the address of descriptor {fd}"),
            source,
        })?;
        Ok(Address::from(&addr))
    }

    /// The number of the listening descriptor; -1 when it is closed. It stays the listener's.
    #[doc(alias = "evconnlistener_get_fd")]
    pub fn fd(&self) -> RawSocket {
        match self.raw.get() {
            raw if raw.is_null() => -1,
            // SAFETY: alive.
            raw => unsafe { ffi::evconnlistener_get_fd(raw) as RawSocket },
        }
    }

    /// Puts another closure in the place of the present one, also from inside it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the listener is closed.
    #[doc(alias = "evconnlistener_set_cb")]
    pub fn set_callback<O: CallbackResult + 'static>(
        &self,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<()> {
        self.open()?;
        self.on_accept.set(boxed(callback));
        Ok(())
    }

    /// Sets the closure that is called when a connection could not be accepted; without one such
    /// errors are passed over.
    ///
    /// When the system is out of descriptors or memory, or the error is of the listening socket
    /// itself, the listener has paused already and tries again after 100 ms: the connection
    /// waits. Other errors are of one connection, which is lost.
    ///
    /// # Errors
    /// [`Error::Closed`] when the listener is closed.
    #[doc(alias = "evconnlistener_set_error_cb")]
    pub fn set_error_callback<O: CallbackResult + 'static>(
        &self,
        callback: impl FnMut(&ListenerRef, &io::Error) -> O + 'static,
    ) -> Result<()> {
        self.open()?;
        self.on_error.set(boxed_error(callback));
        Ok(())
    }

    /// Gives the C listener away, in a state that needs no help of ours.
    pub(super) fn give_away(&self) -> *mut ffi::evconnlistener {
        let raw = self.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return raw;
        }
        self.resume.free();
        // SAFETY: alive. Nobody else would end a pause.
        unsafe {
            ffi::evconnlistener_set_error_cb(raw, None);
            if self.paused.take() && self.enabled.get() {
                ffi::evconnlistener_enable(raw);
            }
        }
        raw
    }

    fn open(&self) -> Result<*mut ffi::evconnlistener> {
        match self.raw.get() {
            raw if raw.is_null() => Err(Error::Closed { what: "listener" }),
            raw => Ok(raw),
        }
    }

    fn disable_raw(&self) {
        let raw = self.raw.get();
        if !raw.is_null() {
            // SAFETY: alive; allowed in its callbacks, after which C looks whether it is enabled.
            unsafe { ffi::evconnlistener_disable(raw) };
        }
    }

    /// User code runs here, last, and may do anything.
    fn drop_handlers(&self) {
        drop((self.on_accept.close(), self.on_error.close()));
    }

    fn accepted(&self, accepted: Accepted) {
        let base = self.base.inner();
        base.count_callback();
        self.on_accept
            .call(base, |callback| callback(self, accepted));
        self.stop_with_the_loop();
    }

    /// C goes on accepting until nobody waits. When the loop is to stop now, the rest has to wait
    /// for its next run.
    fn stop_with_the_loop(&self) {
        let raw_base = self.base.as_ptr();
        // SAFETY: the base is alive; this reads a flag.
        if !raw_base.is_null() && unsafe { ffi::event_base_got_break(raw_base) } != 0 {
            self.pause(None);
        }
    }

    fn failed(&self, error: &io::Error) {
        let base = self.base.inner();
        base.count_callback();
        if !concerns_one_connection(error) {
            self.pause(Some(PAUSE));
        }
        self.on_error.call(base, |callback| callback(self, error));
    }

    /// Does not accept until the time has passed, or the loop has its next turn.
    fn pause(&self, time: Option<Duration>) {
        if self.is_closed() {
            return;
        }
        self.paused.set(true);
        self.disable_raw();
        match time {
            Some(time) => self.resume.trigger_after(time),
            None => self.resume.trigger(),
        }
    }

    fn resume(&self) {
        self.paused.set(false);
        if self.is_enabled() && self.enable().is_err() {
            // Out of memory still.
            self.enabled.set(true);
            self.pause(Some(PAUSE));
        }
    }
}

impl Live for ListenerRef {
    fn kind(&self) -> Kind {
        Kind::Listener
    }

    fn close(&self) {
        ListenerRef::close(self);
        // Of one whose C listener was given away there is no more than this.
        self.clear();
    }

    fn clear(&self) {
        self.drop_handlers();
    }
}

impl fmt::Debug for ListenerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerRef")
            .field("ptr", &self.raw.get())
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

/// Whether accept() failed for the connection that was next, and has dropped it. Any other error
/// comes again at once, as the socket stays readable.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
        )
    )
}

/// C calls this with each connection.
pub(super) unsafe extern "C" fn on_accept(
    _: *mut ffi::evconnlistener,
    fd: ffi::evutil_socket_t,
    address: *mut ffi::sockaddr,
    length: c_int,
    arg: *mut c_void,
) {
    // SAFETY: the descriptor is the callback's from now on. The address is as long as C says. `arg`
    // is the node, on which the owner or the base has a count until evconnlistener_free, after
    // which C does not call; that is on this thread.
    let (accepted, node) = unsafe {
        let fd = OwnedFd::from_raw_fd(fd as _);
        let peer = Address::from_c(address, length);
        (Accepted { fd, peer }, retain::<ListenerRef>(arg))
    };
    node.accepted(accepted);
    release(node);
}

/// C calls this when accept() failed, and not because there was nobody left.
unsafe extern "C" fn on_accept_error(_: *mut ffi::evconnlistener, arg: *mut c_void) {
    // First of all, as it is the thread's last error.
    let error = io::Error::last_os_error();
    // SAFETY: as in `on_accept`.
    let node = unsafe { retain::<ListenerRef>(arg) };
    node.failed(&error);
    release(node);
}

unsafe extern "C" fn on_resume(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is the node, which has this event freed before it goes.
    let node = unsafe { retain::<ListenerRef>(arg) };
    node.resume();
    release(node);
}

/// Drops the count of a call; it may be the last one.
fn release(node: Rc<ListenerRef>) {
    if Rc::strong_count(&node) == 1 {
        let base = Rc::clone(node.base.inner());
        base.guard(|| drop(node));
    }
}
