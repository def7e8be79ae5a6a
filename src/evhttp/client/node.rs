//! The counted node of a client's connection: its queue, and what it does when it is C's turn no
//! more.
//!
//! C has one request at a time; the others wait here. All that C tells is noted and looked at by
//! [`ConnectionRef::settle`], which the loop calls: no frame of C's is below it, so that there
//! requests and connections can be freed, and the user's closures may do anything (T24 to T28).

use super::exchange::Exchange;
use super::link::{Link, Streams};
use super::settings::Settings;
use super::{ClientError, ConnectionRef};
use crate::LoopHandle;
use crate::base::{Kind, Live};
use crate::callback::{Outcome, retain};
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::ffi;
use crate::stream::{AddressLookup, Resolve};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::raw::{c_short, c_void};
use std::rc::{Rc, Weak};

pub(super) type CloseHook = Box<dyn FnMut(&ConnectionRef) -> Outcome>;

/// What a connection is made of; see [`ConnectionRef`].
pub(super) struct Node {
    pub(super) me: Weak<ConnectionRef>,
    pub(super) base: LoopHandle,
    key: Cell<usize>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) default_port: u16,
    pub(super) resolve: RefCell<Resolve>,
    pub(super) settings: RefCell<Settings>,
    pub(super) streams: RefCell<Streams>,
    pub(super) link: RefCell<Option<Link>>,
    /// Whether the link is not to be used for another request.
    pub(super) stale: Cell<bool>,
    /// C has closed a connection, and nobody was told.
    pub(super) went_down: Cell<bool>,
    pub(super) on_close: Cell<Option<CloseHook>>,
    pub(super) queue: RefCell<VecDeque<Rc<Exchange>>>,
    pub(super) current: RefCell<Option<Rc<Exchange>>>,
    /// Whether the current request is C's.
    pub(super) in_c: Cell<bool>,
    pub(super) lookup: RefCell<Option<AddressLookup>>,
    pub(super) found: Cell<Option<Result<Vec<SocketAddr>>>>,
    /// Addresses that were not tried.
    pub(super) addresses: RefCell<VecDeque<SocketAddr>>,
    /// What the name was found to be, or the one of it that has answered.
    pub(super) known: RefCell<Vec<SocketAddr>>,
    pub(super) failures: Cell<u32>,
    settle: InternalEvent,
    pub(super) retry: InternalEvent,
    pub(super) closing: Cell<bool>,
    closed: Cell<bool>,
}

impl ConnectionRef {
    pub(super) fn create(
        base: &LoopHandle,
        resolve: &Resolve,
        host: &str,
        port: u16,
        streams: Streams,
    ) -> Result<Rc<Self>> {
        let raw_base = base.inner().open()?;
        if port == 0 {
            return Err(Error::invalid("port", "0 is none to connect to"));
        }
        if host.is_empty() || host.contains(|c: char| c.is_ascii_control() || c == ' ') {
            return Err(Error::invalid("host", "it is no name and no address"));
        }
        let node = Rc::new_cyclic(|me: &Weak<ConnectionRef>| {
            ConnectionRef(Node {
                me: me.clone(),
                base: base.clone(),
                key: Cell::new(usize::MAX),
                host: host.to_owned(),
                port,
                default_port: streams.default_port(),
                resolve: RefCell::new(resolve.clone()),
                settings: RefCell::default(),
                streams: RefCell::new(streams),
                link: RefCell::default(),
                stale: Cell::new(false),
                went_down: Cell::new(false),
                on_close: Cell::default(),
                queue: RefCell::default(),
                current: RefCell::default(),
                in_c: Cell::new(false),
                lookup: RefCell::default(),
                found: Cell::default(),
                addresses: RefCell::default(),
                known: RefCell::default(),
                failures: Cell::new(0),
                settle: InternalEvent::unset(),
                retry: InternalEvent::unset(),
                closing: Cell::new(false),
                closed: Cell::new(false),
            })
        });
        let arg = Rc::as_ptr(&node).cast_mut().cast::<c_void>();
        // SAFETY: the base is alive. Both events go when the connection is closed, at the latest
        // with the base, until when its owner or the base has a count on it.
        unsafe {
            node.0.settle.set(raw_base, on_settle, arg)?;
            node.0.retry.set(raw_base, on_retry, arg)?;
        }
        let weak: Weak<dyn Live> = node.0.me.clone();
        node.0.key.set(base.inner().add_object(weak));
        Ok(node)
    }

    pub(super) fn adopt(self: Rc<Self>) {
        let (base, key) = (self.0.base.clone(), self.0.key.get());
        base.inner().adopt(key, self);
    }

    /// Has the loop look at what is to be done.
    pub(super) fn wake(&self) {
        self.0.settle.trigger();
    }

    pub(super) fn enqueue(&self, exchange: Rc<Exchange>) {
        self.0.queue.borrow_mut().push_back(exchange);
        self.wake();
    }

    pub(super) fn queue_len(&self) -> usize {
        self.0.queue.borrow().len() + usize::from(self.0.current.borrow().is_some())
    }

    /// Whether there is neither a connection nor an attempt at one.
    pub(super) fn is_disconnected(&self) -> bool {
        let has_link = self.0.link.borrow().is_some() && !self.0.stale.get();
        !has_link && self.0.current.borrow().is_none()
    }

    fn current(&self) -> Option<Rc<Exchange>> {
        self.0.current.borrow().clone()
    }

    /// C is not to be asked about this connection any more.
    pub(super) fn drop_link(&self) {
        let link = self.0.link.take();
        self.0.stale.set(false);
        self.0.in_c.set(false);
        let inner = self.0.base.inner();
        let entered = inner.enter();
        drop(link);
        drop(entered);
    }

    /// Whether the server has sent more than a response. C would take it for the next one.
    pub(super) fn has_leftover(&self) -> bool {
        let link = self.0.link.borrow();
        link.as_ref().is_some_and(Link::has_leftover)
    }

    // --- the loop's turn --------------------------------------------------------------------

    /// Does what there is to do; under no frame of C's but the loop's.
    fn settle(&self) {
        let inner = self.0.base.inner();
        while !self.0.closed.get() {
            if inner.is_stopped_by_us() {
                // The loop is to stop; the rest is for the next run.
                return self.wake();
            }
            if self.0.closing.get() {
                return self.end();
            }
            if !self.step() {
                return;
            }
        }
    }

    /// One thing; false when there is nothing left to do.
    fn step(&self) -> bool {
        let current = self.current();
        if let Some(current) = &current
            && current.deliver(self)
        {
            return true;
        }
        if self.0.went_down.take() {
            self.tell_closed();
            return true;
        }
        if let Some(current) = current {
            if current.is_given_up() {
                self.cancel(&current);
                return true;
            }
            if let Some(end) = current.take_end() {
                self.ended(&current, end);
                return true;
            }
            if let Some(found) = self.0.found.take() {
                drop(self.0.lookup.take());
                self.found(&current, found);
                return true;
            }
            return false;
        }
        if self.0.stale.get() || self.has_leftover() {
            self.drop_link();
        }
        let next = self.0.queue.borrow_mut().pop_front();
        let Some(next) = next else { return false };
        if next.is_given_up() {
            next.finish(self, Err(ClientError::Cancelled));
            return true;
        }
        self.0.current.replace(Some(Rc::clone(&next)));
        self.0.failures.set(0);
        let connected = self.0.link.borrow().is_some();
        match connected {
            true => self.give_to_c(&next),
            false => self.connect(&next),
        }
        true
    }

    fn tell_closed(&self) {
        let Some(mut hook) = self.0.on_close.take() else {
            return;
        };
        let inner = self.0.base.inner();
        inner.guard(|| hook(self));
        // One that was set meanwhile takes over.
        let newer = self.0.on_close.take();
        if newer.is_none() && !self.0.closed.get() {
            self.0.on_close.set(Some(hook));
        } else {
            self.0.on_close.set(newer);
            inner.guard(|| drop(hook));
        }
    }

    /// Closed by the user: all ends.
    fn end(&self) {
        let object = self.let_go();
        let waiting = self.0.queue.take();
        let current = self.0.current.take();
        for exchange in current.into_iter().chain(waiting) {
            exchange.finish(self, Err(ClientError::Closed));
        }
        let hook = self.0.on_close.take();
        self.0.base.inner().guard(|| drop(hook));
        drop(object);
    }

    /// Frees what is C's.
    fn let_go(&self) -> Option<Rc<dyn Live>> {
        self.0.closed.set(true);
        self.0.closing.set(true);
        self.0.settle.free();
        self.0.retry.free();
        drop(self.0.lookup.take());
        drop(self.0.found.take());
        self.drop_link();
        let inner = self.0.base.inner();
        inner.remove_object(self.0.key.replace(usize::MAX))
    }
}

impl Live for ConnectionRef {
    fn kind(&self) -> Kind {
        Kind::HttpConnection
    }

    /// The base goes: nobody is told.
    fn close(&self) {
        self.0.key.set(usize::MAX);
        if self.0.closed.get() {
            return;
        }
        drop(self.let_go());
        let waiting = self.0.queue.take();
        let current = self.0.current.take();
        for exchange in current.into_iter().chain(waiting) {
            exchange.abandon();
        }
        drop(self.0.on_close.take());
    }

    fn clear(&self) {}
}

/// The node of a data pointer, counted.
///
/// # Safety
/// `arg` is the data pointer of what a node owns, and that is alive.
unsafe fn node(arg: *mut c_void) -> Rc<ConnectionRef> {
    // SAFETY: what the node owns goes before it.
    unsafe { retain::<ConnectionRef>(arg) }
}

/// C has closed the connection, or is about to.
pub(super) unsafe extern "C" fn on_closed(_: *mut ffi::evhttp_connection, arg: *mut c_void) {
    // SAFETY: set by the link, and taken back before it goes.
    let node = unsafe { node(arg) };
    node.0.stale.set(true);
    node.0.went_down.set(true);
    node.wake();
}

/// C has begun to write a request, so there is a connection.
pub(super) unsafe extern "C" fn on_output(
    _: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: as above; `info` is C's for the call.
    let (node, added) = unsafe { (node(arg), (*info).n_added) };
    if added > 0
        && let Some(current) = node.current()
    {
        current.written.set(true);
    }
}

unsafe extern "C" fn on_settle(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: the event is freed with the connection.
    let node = unsafe { node(arg) };
    node.0.base.inner().count_callback();
    node.0.base.inner().guard(|| node.settle());
}

unsafe extern "C" fn on_retry(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: as above.
    let node = unsafe { node(arg) };
    if let Some(current) = node.current() {
        node.0.base.inner().guard(|| node.connect(&current));
    }
    node.wake();
}
