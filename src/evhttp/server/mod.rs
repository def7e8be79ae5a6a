//! The server's side of evhttp.

mod bound;
mod callbacks;
mod dispatch;
mod exchange;
mod foreign;
pub(in crate::evhttp) mod headers;
mod hosts;
mod incoming;
mod lifecycle;
mod outgoing;
mod reply;
mod request;
mod screen;
mod settings;
mod sockets;
#[cfg(feature = "openssl")]
mod tls;

pub use bound::BoundSocket;
pub use exchange::Sent;
pub use reply::Reply;
pub use request::Request;
pub use settings::Methods;

use crate::base::Live;
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::{LoopHandle, ffi};
use bound::Socket;
use callbacks::{Callbacks, boxed};
use exchange::{CloseHook, Exchange};
use hosts::Hosts;
use settings::Settings;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::ops::Deref;
use std::ptr;
use std::rc::{Rc, Weak};

/// A server, and the one owner of it. See the [module](super) for an example.
///
/// Dropping it is like [`close`](ServerRef::close): it stops accepting at once, and answers that
/// are being made or sent are finished. [`detach`](Self::detach) leaves it to the base.
#[must_use = "dropping it closes the server; `detach` gives it to the base"]
#[doc(alias = "evhttp")]
#[doc(alias = "evhttp_free")]
pub struct Server(Rc<ServerRef>);

/// A share in a server; see [`ServerRef::share`].
#[derive(Clone)]
pub struct ServerShare(Rc<ServerRef>);

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
    closing: Cell<bool>,
    /// How many handlers run now, on top of C's frames.
    running: Cell<usize>,
    settings: Settings,
    callbacks: RefCell<Callbacks>,
    hosts: Hosts,
    sockets: RefCell<Vec<Socket>>,
    next_socket: Cell<u64>,
    exchanges: RefCell<Slab<Rc<Exchange>>>,
    /// The hooks of connections that have no request now.
    close_hooks: RefCell<HashMap<*mut ffi::evhttp_connection, Vec<CloseHook>>>,
    /// What runs in the next turn of the loop.
    later: RefCell<Vec<Later>>,
    on_closed: Cell<Option<CloseHook>>,
    /// What is not done under C's frames: hooks, and freeing the evhttp.
    settle: InternalEvent,
    resume: InternalEvent,
    /// The server itself, while it is freed from the loop though its base object is gone.
    hold: Cell<Option<Rc<ServerRef>>>,
    #[cfg(feature = "openssl")]
    tls: tls::Tls,
}

type Later = Box<dyn FnOnce() -> Outcome>;

impl Server {
    /// A server that does not listen yet. It takes 64 KiB of headers, 1 MiB of body, and the
    /// methods GET, POST, HEAD, PUT and DELETE, and waits 50 seconds for a client.
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
            closing: Cell::new(false),
            running: Cell::new(0),
            settings: Settings::default(),
            callbacks: RefCell::default(),
            hosts: Hosts::default(),
            sockets: RefCell::default(),
            next_socket: Cell::new(0),
            exchanges: RefCell::default(),
            close_hooks: RefCell::default(),
            later: RefCell::default(),
            on_closed: Cell::new(None),
            settle: InternalEvent::unset(),
            resume: InternalEvent::unset(),
            hold: Cell::new(None),
            #[cfg(feature = "openssl")]
            tls: tls::Tls::default(),
        })
    }

    fn register(server: Rc<ServerRef>) -> Self {
        server.set_defaults();
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

impl Deref for ServerShare {
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

    /// A share in the server, to get at it from elsewhere. It does not keep the server open.
    pub fn share(&self) -> ServerShare {
        ServerShare(self.me())
    }

    fn me(&self) -> Rc<Self> {
        self.me.upgrade().expect("a server is always in an Rc")
    }

    /// The C server, unless it is closing.
    fn open(&self) -> Result<*mut ffi::evhttp> {
        if self.is_closing() {
            return Err(Error::Closed {
                what: "evhttp server",
            });
        }
        Ok(self.raw.get())
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
    /// server is, [`Error::Invalid`] when it is a virtual host.
    #[doc(alias = "evhttp_bind_socket_with_handle")]
    pub fn listen(&self, addr: impl ToSocketAddrs) -> Result<BoundSocket> {
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
    /// As for [`listen`](Self::listen); [`Error::Invalid`] when it is no socket of the Internet.
    #[doc(alias = "evhttp_accept_socket")]
    #[doc(alias = "evhttp_accept_socket_with_handle")]
    pub fn listen_on(&self, socket: TcpListener) -> Result<BoundSocket> {
        let raw_base = self.base.inner().open()?;
        let raw = self.open_to_listen()?;
        // SAFETY: both are alive: the server is not closing.
        let socket = unsafe { Socket::new(raw_base, raw, &self.me(), socket)? };
        Ok(self.add_socket(socket))
    }

    /// Takes a listener: what it was to do with connections is forgotten.
    ///
    /// # Errors
    /// As for [`listen`](Self::listen); [`Error::Invalid`] when it is no socket of the Internet,
    /// or belongs to another base. The listener is closed then.
    #[cfg(unix)]
    #[doc(alias = "evhttp_bind_listener")]
    pub fn bind_listener(&self, listener: crate::Listener) -> Result<BoundSocket> {
        let raw = self.open_to_listen()?;
        if !listener.handle().same_base(&self.base) {
            return Err(Error::invalid("listener", "it belongs to another base"));
        }
        let Some(addr) = listener.local_addr()?.ip() else {
            let why = "evhttp can do with TCP over IPv4 and IPv6 only";
            return Err(Error::invalid("listener", why));
        };
        // SAFETY: both are alive; the listener, which is open, is given up here.
        let socket = unsafe { Socket::bind(raw, &self.me(), listener.into_ptr(), addr)? };
        Ok(self.add_socket(socket))
    }

    fn open_to_listen(&self) -> Result<*mut ffi::evhttp> {
        let raw = self.open()?;
        if self.hosts.parent().is_some() {
            let why = "a virtual host gets its requests from the server that it belongs to";
            return Err(Error::invalid("evhttp server", why));
        }
        Ok(raw)
    }

    fn add_socket(&self, socket: Socket) -> BoundSocket {
        let name = socket.name;
        self.sockets.borrow_mut().push(socket);
        name
    }

    /// What it listens on.
    #[doc(alias = "evhttp_foreach_bound_socket")]
    pub fn bound_sockets(&self) -> Vec<BoundSocket> {
        let sockets = self.sockets.borrow();
        sockets.iter().map(|socket| socket.name).collect()
    }

    /// The addresses that it listens on, with the ports that were picked.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let sockets = self.bound_sockets();
        sockets.iter().map(BoundSocket::local_addr).collect()
    }

    /// Stops listening on one socket, and closes it; whether there was such a one. Connections
    /// that were made live on.
    #[doc(alias = "evhttp_del_accept_socket")]
    pub fn remove_socket(&self, socket: BoundSocket) -> bool {
        let mut sockets = self.sockets.borrow_mut();
        let found = sockets.iter().position(|bound| bound.name == socket);
        let found = found.map(|at| sockets.swap_remove(at));
        drop(sockets);
        let Some(socket) = found else {
            return false;
        };
        // SAFETY: alive as long as one of its sockets is.
        unsafe { socket.close(self.raw.get()) };
        true
    }

    fn pause(&self) {
        self.resume.trigger_after(bound::PAUSE);
    }

    // --- callbacks --------------------------------------------------------------------------

    /// Gives the requests for a path, of all methods, to `handler`. The path is compared as a
    /// whole with that of a request, whose escapes are decoded, up to an escaped NUL.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the path has a handler, or a NUL in it.
    #[doc(alias = "evhttp_set_cb")]
    pub fn set_cb<O: CallbackResult + 'static>(
        &self,
        path: &str,
        handler: impl FnMut(Request) -> O + 'static,
    ) -> Result<()> {
        if path.contains('\0') {
            return Err(Error::invalid("path", "there is a NUL in it"));
        }
        let handler = boxed(handler);
        let inserted = self.callbacks.borrow_mut().insert(path, handler.clone());
        match inserted {
            true => Ok(()),
            false => Err(Error::invalid("path", format!("{path} has a handler"))),
        }
    }

    /// Forgets the handler of a path, also from inside it; whether there was one.
    #[doc(alias = "evhttp_del_cb")]
    pub fn del_cb(&self, path: &str) -> bool {
        let old = self.callbacks.borrow_mut().remove(path);
        old.is_some()
    }

    /// Gives the requests that have no handler of their own to `handler`, in the place of the one
    /// that was there; without one they are answered 404.
    #[doc(alias = "evhttp_set_gencb")]
    pub fn set_gencb<O: CallbackResult + 'static>(
        &self,
        handler: impl FnMut(Request) -> O + 'static,
    ) {
        let old = self
            .callbacks
            .borrow_mut()
            .set_generic(Some(boxed(handler)));
        drop(old);
    }

    /// Forgets that handler.
    pub fn del_gencb(&self) {
        let old = self.callbacks.borrow_mut().set_generic(None);
        drop(old);
    }

    // --- the end ----------------------------------------------------------------------------

    /// How many requests are being answered: handed to a handler, and their answers not sent to
    /// the end. Those of a virtual host count for the server that has the connection.
    pub fn in_flight(&self) -> usize {
        self.exchanges.borrow().len()
    }

    /// Ends the server, also from inside a handler: it stops accepting at once, finishes the
    /// answers that are in flight, however long that takes, and then closes all connections, and
    /// its virtual hosts. Closing twice is fine.
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
        let hook: CloseHook = Box::new(move |handle| hook(handle).outcome());
        drop(self.on_closed.replace(Some(hook)));
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ServerShare {
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
