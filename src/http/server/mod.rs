mod lifecycle;

use super::connection::Connection;
use super::exchange::Finished;
use super::guests::Guests;
use super::hosts::Hosts;
use super::routes::Route;
use super::stats::{Counters, ServerStats};
use super::{Limits, Listen, Request, TrustedProxies};
use crate::LoopHandle;
use crate::base::Live;
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use crate::event::Alarm;
use crate::listener::{Address, Listener};
use slab::Slab;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::ops::Deref;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// An HTTP server, and the one owner of it. See the [module](super) for an example.
///
/// Dropping it is like [`close`](ServerRef::close): it stops accepting at once, and answers that
/// are being made or sent are finished. [`detach`](Self::detach) leaves it to the base.
#[must_use = "dropping it closes the server; `detach` gives it to the base"]
#[doc(alias = "evhttp")]
pub struct Server(Rc<ServerRef>);

/// A server as everybody but its owner sees it: [`Server`] dereferences to it, and a
/// [`Request`] has it.
pub struct ServerRef {
    me: Weak<ServerRef>,
    base: LoopHandle,
    key: Cell<usize>,
    detached: Cell<bool>,
    limits: Cell<Limits>,
    closing: Cell<bool>,
    closed: Cell<bool>,
    hosts: Hosts,
    proxies: RefCell<TrustedProxies>,
    listeners: RefCell<Vec<Listener>>,
    connections: RefCell<Slab<Rc<Connection>>>,
    /// How many connections have not said yet whose they are, and are none of the others.
    announced: Cell<usize>,
    pub(super) guests: Guests,
    /// How many handlers run now.
    running: Cell<usize>,
    finished: RefCell<Vec<Finished>>,
    on_closed: Cell<Option<ClosedHook>>,
    counters: Counters,
    /// What is done from the loop, and what is done now and then.
    alarms: OnceCell<Alarms>,
    ticks: Cell<u32>,
    ticking: Cell<bool>,
    /// Where heads are written, input is looked at, and the date of this second.
    out: Cell<Vec<u8>>,
    scratch: Cell<Vec<u8>>,
    date: RefCell<(u64, String)>,
}

struct Alarms {
    settle: Alarm,
    tick: Alarm,
    deadline: Alarm,
}

type ClosedHook = Box<dyn FnOnce(&LoopHandle) -> Outcome>;

impl Server {
    /// A server that does not listen yet, with the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone, [`Error::Libevent`] when memory is short.
    #[doc(alias = "evhttp_new")]
    pub fn new(base: &LoopHandle) -> Result<Self> {
        let server = Rc::new_cyclic(|me| ServerRef {
            me: me.clone(),
            base: base.clone(),
            key: Cell::new(usize::MAX),
            detached: Cell::new(false),
            limits: Cell::new(Limits::new()),
            closing: Cell::new(false),
            closed: Cell::new(false),
            hosts: Hosts::default(),
            proxies: RefCell::default(),
            listeners: RefCell::default(),
            connections: RefCell::default(),
            announced: Cell::new(0),
            guests: Guests::default(),
            running: Cell::new(0),
            finished: RefCell::default(),
            on_closed: Cell::new(None),
            counters: Counters::default(),
            alarms: OnceCell::new(),
            ticks: Cell::new(0),
            ticking: Cell::new(false),
            out: Cell::default(),
            scratch: Cell::default(),
            date: RefCell::default(),
        });
        let alarm = |call: fn(&ServerRef)| {
            let me = server.me.clone();
            Alarm::new(base, move || {
                if let Some(server) = me.upgrade() {
                    call(&server);
                }
            })
        };
        let alarms = Alarms {
            settle: alarm(ServerRef::settle)?,
            tick: alarm(ServerRef::ticked)?,
            deadline: alarm(ServerRef::close_now)?,
        };
        let _ = server.alarms.set(alarms);
        let weak: Weak<dyn Live> = Rc::downgrade(&server) as Weak<dyn Live>;
        server.key.set(base.inner().add_object(weak));
        Ok(Server(server))
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

    // --- listening --------------------------------------------------------------------------

    /// Listens on the first of the addresses that can be had; port 0 picks a free one. A server
    /// may listen on several; more ways to listen has [`listen_by`](Self::listen_by).
    ///
    /// # Errors
    /// [`Error::Os`] when the address is none or cannot be had, [`Error::Closed`] when the
    /// server is.
    #[doc(alias = "evhttp_bind_socket_with_handle")]
    pub fn listen(&self, addr: impl ToSocketAddrs) -> Result<()> {
        self.listen_by(Listen::tcp(addr)?)
    }

    /// Listens on a socket that is listening already.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not listening, [`Error::Closed`] when the server is closed.
    #[doc(alias = "evhttp_accept_socket")]
    #[doc(alias = "evhttp_accept_socket_with_handle")]
    pub fn listen_on(&self, socket: TcpListener) -> Result<()> {
        self.listen_by(Listen::socket(socket))
    }

    /// The addresses of the Internet that it listens on, with the ports that were picked.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let places = self.places();
        places.iter().filter_map(Address::ip).collect()
    }

    /// All places that it listens at, also those that are no address of the Internet.
    #[doc(alias = "evhttp_foreach_bound_socket")]
    pub fn places(&self) -> Vec<Address> {
        let listeners = self.listeners.borrow();
        listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    pub(super) fn add_listener(&self, listener: Listener) {
        self.listeners.borrow_mut().push(listener);
    }

    pub(super) fn counted(&self) -> Result<Rc<ServerRef>> {
        let closed = Error::Closed {
            what: "http server",
        };
        self.me
            .upgrade()
            .filter(|_| !self.is_closing())
            .ok_or(closed)
    }

    // --- settings ---------------------------------------------------------------------------

    /// Sets what clients may take, from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
        self.scratch.take();
        self.mind_limit();
    }

    /// What clients may take.
    #[inline]
    pub fn limits(&self) -> Limits {
        self.limits.get()
    }

    /// Believes these proxies, and nobody else, when they say whose requests they pass on; see
    /// [`Request::client_addr`].
    pub fn trust_proxies(&self, proxies: TrustedProxies) {
        self.proxies.replace(proxies);
    }

    pub(super) fn proxies(&self) -> std::cell::Ref<'_, TrustedProxies> {
        self.proxies.borrow()
    }

    /// Gives the requests for a path, or for a method and a path, to `handler`, in the place of
    /// the handler that this pattern may have had, also from inside that one. See [`Route`] for
    /// patterns and for what a route may have of its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a pattern that is none, or that conflicts with another one: two
    /// patterns may not name the same place of a path differently.
    #[doc(alias = "evhttp_set_cb")]
    pub fn route<O: CallbackResult + 'static>(
        &self,
        route: impl Into<Route>,
        handler: impl FnMut(Request) -> O + 'static,
    ) -> Result<()> {
        self.hosts.default.route(route, handler)
    }

    /// Forgets the handler of a pattern, also from inside it; whether there was one.
    #[doc(alias = "evhttp_del_cb")]
    pub fn remove_route(&self, pattern: &str) -> bool {
        self.hosts.default.remove_route(pattern)
    }

    /// Gives the requests for which there is no route to `handler`; without one they are
    /// answered 404.
    #[doc(alias = "evhttp_set_gencb")]
    pub fn fallback<O: CallbackResult + 'static>(
        &self,
        handler: impl FnMut(Request) -> O + 'static,
    ) {
        self.hosts.default.fallback(handler);
    }

    /// As [`fallback`](Self::fallback), with what the route says of bodies; its pattern does not
    /// count.
    pub fn fallback_by<O: CallbackResult + 'static>(
        &self,
        route: Route,
        handler: impl FnMut(Request) -> O + 'static,
    ) {
        self.hosts.default.fallback_by(route, handler);
    }

    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    // --- what it does -----------------------------------------------------------------------

    /// How many requests are being answered: begun, and their answers not sent to the end.
    pub fn in_flight(&self) -> usize {
        self.counters.in_flight.get()
    }

    /// How many connections are open.
    #[doc(alias = "evhttp_get_connection_count")]
    pub fn connection_count(&self) -> usize {
        self.connections.borrow().len()
    }

    /// What it has done, and what it does now.
    pub fn stats(&self) -> ServerStats {
        let counters = &self.counters;
        let (mut bytes_in, mut bytes_out) = (counters.bytes_in.get(), counters.bytes_out.get());
        for (_, connection) in self.connections.borrow().iter() {
            let (came, went) = connection.traffic();
            bytes_in += came;
            bytes_out += went;
        }
        ServerStats {
            connections: self.connection_count(),
            accepted: counters.accepted.get(),
            in_flight: self.in_flight(),
            requests: counters.requests.get(),
            answers: std::array::from_fn(|class| counters.answers[class].get()),
            refused: counters.refused.get(),
            timed_out: counters.timed_out.get(),
            bytes_in,
            bytes_out,
        }
    }

    // --- the end ----------------------------------------------------------------------------

    /// Ends the server, also from inside a handler: it stops accepting at once, finishes the
    /// answers that are in flight, however long that takes, and then closes all connections.
    /// Closing twice is fine.
    #[doc(alias = "evhttp_free")]
    pub fn close(&self) {
        if self.closing.replace(true) {
            return;
        }
        drop(self.listeners.take());
        self.alarm(|alarms| alarms.settle.now());
    }

    /// As [`close`](Self::close), but what is not finished when the time has passed is broken off.
    pub fn close_within(&self, time: Duration) {
        self.close();
        self.alarm(|alarms| alarms.deadline.after(time));
    }

    /// Whether it is closed to the end, by [`close`](Self::close) or by the end of its base.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
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

    fn alarm(&self, ring: impl FnOnce(&Alarms)) {
        self.alarms.get().map(ring);
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
            .field("places", &self.places())
            .field("connections", &self.connection_count())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
