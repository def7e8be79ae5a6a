mod foreign;
mod lifecycle;

use super::exchange::{Exchange, Finished};
use super::listener::{self, Socket};
use super::routes::{Handler, Routes};
use super::{Limits, Request};
use crate::base::Live;
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::{LoopHandle, ffi, time};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::ops::Deref;
use std::ptr;
use std::rc::{Rc, Weak};

/// An HTTP server, and the one owner of it. See the [module](super) for an example.
///
/// Dropping it is like [`close`](ServerRef::close): it stops accepting at once, and answers that
/// are being made or sent are finished. [`detach`](Self::detach) leaves it to the base.
#[must_use = "dropping it closes the server; `detach` gives it to the base"]
#[doc(alias = "evhttp")]
#[doc(alias = "evhttp_free")]
pub struct Server(Rc<ServerRef>);

/// A server as everybody but its owner sees it: [`Server`] dereferences to it, and a
/// [`Request`] has it.
pub struct ServerRef {
    me: Weak<ServerRef>,
    base: LoopHandle,
    /// Null when closed.
    raw: Cell<*mut ffi::evhttp>,
    key: Cell<usize>,
    detached: Cell<bool>,
    /// C made the evhttp, and perhaps listening sockets that are not in `sockets`.
    from_c: Cell<bool>,
    limits: Cell<Limits>,
    closing: Cell<bool>,
    /// How many handlers run now, on top of C's frames.
    running: Cell<usize>,
    routes: RefCell<Routes>,
    sockets: RefCell<Vec<Socket>>,
    exchanges: RefCell<Slab<Rc<Exchange>>>,
    finished: RefCell<Vec<Finished>>,
    on_closed: Cell<Option<ClosedHook>>,
    /// What is not done under C's frames: hooks, and freeing the evhttp.
    settle: InternalEvent,
    resume: InternalEvent,
    /// The server itself, while it is freed from the loop though its base object is gone.
    hold: Cell<Option<Rc<ServerRef>>>,
    /// Where a piece of a file is read into, between two reads.
    chunk: Cell<Vec<u8>>,
}

type ClosedHook = Box<dyn FnOnce(&LoopHandle) -> Outcome>;

impl Server {
    /// A server that does not listen yet, with the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone, [`Error::Libevent`] when memory is short.
    #[doc(alias = "evhttp_new")]
    pub fn new(base: &LoopHandle) -> Result<Self> {
        let server = Self::on(base);
        server.create(base.inner().open()?)?;
        Ok(Self::register(server))
    }

    /// A server without its C part.
    fn on(base: &LoopHandle) -> Rc<ServerRef> {
        Rc::new_cyclic(|me| ServerRef {
            me: me.clone(),
            base: base.clone(),
            raw: Cell::new(ptr::null_mut()),
            key: Cell::new(usize::MAX),
            detached: Cell::new(false),
            from_c: Cell::new(false),
            limits: Cell::new(Limits::new()),
            closing: Cell::new(false),
            running: Cell::new(0),
            routes: RefCell::default(),
            sockets: RefCell::default(),
            exchanges: RefCell::default(),
            finished: RefCell::default(),
            on_closed: Cell::new(None),
            settle: InternalEvent::unset(),
            resume: InternalEvent::unset(),
            hold: Cell::new(None),
            chunk: Cell::default(),
        })
    }

    fn register(server: Rc<ServerRef>) -> Self {
        server.set_limits(Limits::new());
        let inner = server.base.inner();
        let weak: Weak<dyn Live> = Rc::downgrade(&server) as Weak<dyn Live>;
        server.key.set(inner.add_object(weak));
        Server(server)
    }

    /// A server that listens; port 0 picks a free one, see [`local_addrs`](ServerRef::local_addrs).
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`listen`](ServerRef::listen).
    #[doc(alias = "evhttp_bind_socket")]
    pub fn bind(base: &LoopHandle, addr: impl ToSocketAddrs) -> Result<Self> {
        let server = Server::new(base)?;
        server.listen(addr)?;
        Ok(server)
    }

    /// Gives it to the base: it lives until it is closed, or by the end of the base.
    pub fn detach(self) {
        self.0.detached.set(true);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.0.is_closed() {
            let inner = self.0.base.inner();
            inner.adopt(self.0.key.get(), Rc::clone(&self.0) as Rc<dyn Live>);
        }
        if !self.0.detached.get() {
            self.0.close();
        }
    }
}

impl Deref for Server {
    type Target = ServerRef;

    fn deref(&self) -> &ServerRef {
        &self.0
    }
}

impl ServerRef {
    /// The loop that this server lives on.
    pub fn handle(&self) -> &LoopHandle {
        &self.base
    }

    /// The C server, for calls of `ffi`; NULL when it is closed.
    pub fn as_ptr(&self) -> *mut ffi::evhttp {
        self.raw.get()
    }

    // --- listening --------------------------------------------------------------------------

    /// Listens on the first of the addresses that can be had; port 0 picks a free one. A server
    /// may listen on several.
    ///
    /// When the system is short of descriptors, it pauses for a tenth of a second at a time and
    /// clients wait.
    ///
    /// # Errors
    /// [`Error::Os`] when the address is none or cannot be had, [`Error::Closed`] when the
    /// server is.
    #[doc(alias = "evhttp_bind_socket_with_handle")]
    pub fn listen(&self, addr: impl ToSocketAddrs) -> Result<()> {
        let mut last = Error::invalid("address", "there is none");
        let addrs = addr.to_socket_addrs().map_err(|source| Error::Os {
            op: "looking up the address".to_owned(),
            source,
        })?;
        for addr in addrs {
            match TcpListener::bind(addr) {
                Ok(socket) => return self.listen_on(socket),
                Err(source) => {
                    let op = format!("listening on {addr}");
                    last = Error::Os { op, source };
                }
            }
        }
        Err(last)
    }

    /// Listens on a socket that is listening already.
    ///
    /// # Errors
    /// [`Error::Os`] when it is no socket of the Internet, [`Error::Closed`] when the server is.
    #[doc(alias = "evhttp_accept_socket")]
    #[doc(alias = "evhttp_accept_socket_with_handle")]
    #[doc(alias = "evhttp_bind_listener")]
    pub fn listen_on(&self, socket: TcpListener) -> Result<()> {
        let closed = Error::Closed {
            what: "http server",
        };
        let raw_base = self.base.inner().open()?;
        let Some(me) = self.me.upgrade().filter(|_| !self.is_closing()) else {
            return Err(closed);
        };
        // SAFETY: both are alive: the server is not closing.
        let socket = unsafe { Socket::new(raw_base, self.raw.get(), &me, socket)? };
        self.sockets.borrow_mut().push(socket);
        Ok(())
    }

    /// The addresses that it listens on, with the ports that were picked.
    #[doc(alias = "evhttp_bound_socket_get_fd")]
    #[doc(alias = "evhttp_foreach_bound_socket")]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets.borrow();
        sockets.iter().map(|socket| socket.addr).collect()
    }

    pub(super) fn pause(&self) {
        self.resume.trigger_after(listener::PAUSE);
    }

    // --- settings ---------------------------------------------------------------------------

    /// Sets what clients may take, for connections made from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
        let raw = self.raw.get();
        if raw.is_null() {
            return;
        }
        let header_bytes = isize::try_from(limits.header_bytes).unwrap_or(isize::MAX);
        let body_bytes = isize::try_from(limits.body_bytes).unwrap_or(isize::MAX);
        // SAFETY: alive; the timeval is copied.
        unsafe {
            ffi::evhttp_set_max_headers_size(raw, header_bytes as _);
            ffi::evhttp_set_max_body_size(raw, body_bytes as _);
            ffi::evhttp_set_timeout_tv(raw, &time::timeval(limits.idle));
        }
    }

    /// What clients may take.
    pub fn limits(&self) -> Limits {
        self.limits.get()
    }

    /// Gives the requests for a path to `handler`, in the place of the handler that this pattern
    /// may have had, also from inside that one.
    ///
    /// In a pattern `{name}` stands for one segment of a path and `{*name}` for all that is left;
    /// see [`Request::param`]. `{{` and `}}` stand for braces. Paths are compared decoded, except
    /// that an escaped `/` does not end a segment; exact segments win over names. A handler gets
    /// requests of all methods.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a pattern that is none, or that conflicts with another one.
    #[doc(alias = "evhttp_set_cb")]
    pub fn route<O: CallbackResult + 'static>(
        &self,
        pattern: &str,
        handler: impl FnMut(Request) -> O + 'static,
    ) -> Result<()> {
        let handler = boxed(handler);
        let old = self.routes.borrow_mut().insert(pattern, handler)?;
        drop(old);
        Ok(())
    }

    /// Forgets the handler of a pattern, also from inside it; whether there was one.
    #[doc(alias = "evhttp_del_cb")]
    pub fn remove_route(&self, pattern: &str) -> bool {
        let old = self.routes.borrow_mut().remove(pattern);
        old.is_some()
    }

    /// Gives the requests for which there is no route to `handler`; without one they are
    /// answered 404.
    #[doc(alias = "evhttp_set_gencb")]
    pub fn fallback<O: CallbackResult + 'static>(
        &self,
        handler: impl FnMut(Request) -> O + 'static,
    ) {
        let handler = boxed(handler);
        let old = self.routes.borrow_mut().set_fallback(handler);
        drop(old);
    }

    // --- the end ----------------------------------------------------------------------------

    /// How many requests are being answered: handed to a handler, and their answers not sent to
    /// the end.
    pub fn in_flight(&self) -> usize {
        self.exchanges.borrow().len()
    }

    /// Ends the server, also from inside a handler: it stops accepting at once, finishes the
    /// answers that are in flight, however long that takes, and then closes all connections.
    /// Closing twice is fine.
    #[doc(alias = "evhttp_del_accept_socket")]
    pub fn close(&self) {
        if self.closing.replace(true) {
            return;
        }
        let raw = self.raw.get();
        for socket in self.sockets.take() {
            // SAFETY: alive, as it was not closing.
            unsafe { socket.close(raw) };
        }
        self.close_sockets_of_c();
        self.settle.trigger();
    }

    /// Whether it is closed to the end, by [`close`](Self::close) or by the end of its base.
    pub fn is_closed(&self) -> bool {
        self.raw.get().is_null()
    }

    /// Whether [`close`](Self::close) was called or the base is gone.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Runs `hook` once, when everything is finished after a [`close`](Self::close). It does not
    /// run when the base goes first, nor on a server that is closed already.
    pub fn on_closed<O: CallbackResult>(&self, hook: impl FnOnce(&LoopHandle) -> O + 'static) {
        if self.is_closed() {
            return;
        }
        let hook: ClosedHook = Box::new(move |handle| hook(handle).outcome());
        drop(self.on_closed.replace(Some(hook)));
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

    /// An answer is sent, or will not be: its hook runs from the loop.
    pub(super) fn finish(&self, finished: Option<Finished>) {
        let wanted = finished.is_some() || self.is_closing();
        self.finished.borrow_mut().extend(finished);
        if wanted {
            self.settle.trigger();
        }
    }

    pub(super) fn take_chunk(&self) -> Vec<u8> {
        self.chunk.take()
    }

    pub(super) fn give_chunk(&self, chunk: Vec<u8>) {
        self.chunk.set(chunk);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ServerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("ptr", &self.raw.get())
            .field("local_addrs", &self.local_addrs())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

fn boxed<O: CallbackResult>(mut handler: impl FnMut(Request) -> O + 'static) -> Handler {
    Rc::new(RefCell::new(move |request| handler(request).outcome()))
}
