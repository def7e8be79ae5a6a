//! A name server: [`Server`] reads requests and has them answered.

mod fit;
mod lifecycle;
mod names;
mod record;
mod reply;
mod request;
mod socket;

pub use names::{IntoName, Name};
pub use record::{Record, RecordType, Soa};
pub use reply::{Reply, ResponseCode, Section};
pub use request::{Question, Request};

use crate::base::Live;
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::{LoopHandle, ffi};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::ptr;
use std::rc::{Rc, Weak};

/// A name server on one UDP socket, and the one owner of it.
///
/// Its callback gets each [`Request`], and answers it at once or later. Dropping the server is like
/// [`close`](ServerRef::close); [`detach`](Self::detach) leaves it to the base.
///
/// ```
/// use libevent2::EventBase;
/// use libevent2::dns::{Record, RecordType, Reply, Request, ResponseCode, Server};
/// use std::net::Ipv4Addr;
/// use std::time::Duration;
///
/// let mut base = EventBase::new()?;
/// let server = Server::bind(&base, "127.0.0.1:0".parse().unwrap(), |request: Request| {
///     let question = request.question();
///     if question.name() != "host.example" {
///         return request.respond(ResponseCode::NO_SUCH_NAME);
///     }
///     let mut reply = Reply::new().authoritative(true);
///     if question.record_type() == RecordType::A {
///         let ttl = Duration::from_secs(300);
///         reply = reply.answer(Record::a(question.name(), Ipv4Addr::LOCALHOST, ttl)?);
///     }
///     # request.server().close();
///     request.respond(reply)
/// })?;
/// # let addr = server.local_addr();
/// # let client = std::thread::spawn(move || {
/// #     let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// #     let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04HOST\x07example\0\0\x01\0\x01";
/// #     socket.send_to(query, addr).unwrap();
/// #     let mut answer = [0; 512];
/// #     let length = socket.recv(&mut answer).unwrap();
/// #     answer[..length].to_vec()
/// # });
/// base.run()?;
/// # assert!(client.join().unwrap().ends_with(&[0, 0, 1, 44, 0, 4, 127, 0, 0, 1]));
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// Whoever can send a datagram gets an answer, and whoever forges its sender's address has that
/// answered instead; an answer is a few times as long as its question. C reads all requests that
/// wait before it returns to the loop. Behind 64 of them, or when the loop is to stop, up to 1024
/// are kept for the next turn or run, and more are dropped.
///
/// With libevent 2.1 there is a server on Linux only: see [`bind`](Self::bind).
#[must_use = "dropping it closes the server; `detach` gives it to the base"]
#[doc(alias = "evdns_server_port")]
pub struct Server(Rc<ServerRef>);

type Callback = dyn FnMut(Request) -> Outcome;

/// A name server as everybody but its owner sees it: [`Server`] dereferences to it, and a
/// [`Request`] has it.
pub struct ServerRef {
    me: Weak<ServerRef>,
    base: LoopHandle,
    /// Null when closed.
    raw: Cell<*mut ffi::evdns_server_port>,
    /// C's own event in it.
    event: Cell<*mut ffi::event>,
    addr: SocketAddr,
    key: Cell<usize>,
    detached: Cell<bool>,
    closing: Cell<bool>,
    /// How many of our frames are on top of C's reading.
    running: Cell<usize>,
    /// How many requests were dispatched since the loop came back.
    burst: Cell<usize>,
    callback: RefCell<Option<Rc<RefCell<Callback>>>>,
    /// What C holds for us, each in one of these: handed out, kept back, answered and not sent.
    requests: RefCell<Slab<*mut ffi::evdns_server_request>>,
    waiting: RefCell<VecDeque<*mut ffi::evdns_server_request>>,
    unsent: RefCell<VecDeque<*mut ffi::evdns_server_request>>,
    /// For what is not done on top of C's reading.
    settle: InternalEvent,
    writable: InternalEvent,
    /// The server itself, while it is freed from the loop though its base object is gone.
    hold: Cell<Option<Rc<ServerRef>>>,
}

impl Server {
    /// Answers at `addr`; with port 0 the system picks one, which
    /// [`local_addr`](ServerRef::local_addr) tells. On a machine with several addresses, a server
    /// at all of them (`0.0.0.0`) may answer from another one than it was asked at.
    ///
    /// # Errors
    /// [`Error::Os`], which names the address, when it cannot be had; [`Error::Closed`] when the
    /// base is gone. [`Error::Unsupported`] with libevent 2.1 elsewhere than on Linux: a datagram
    /// of less than 12 bytes would end the process, and only there they can be kept away.
    #[doc(alias = "evdns_add_server_port_with_base")]
    #[doc(alias = "evdns_add_server_port")]
    pub fn bind<O: CallbackResult + 'static>(
        base: &LoopHandle,
        addr: SocketAddr,
        callback: impl FnMut(Request) -> O + 'static,
    ) -> Result<Self> {
        base.inner().open()?;
        let (fd, addr) = socket::bind(addr)?;
        Self::new(base, fd, addr, boxed(callback))
    }

    /// Answers on a socket that is bound already: a `UdpSocket`, or a descriptor that the program
    /// was started with. It is made non-blocking and close-on-exec; what has come already is lost.
    /// On Linux it gets a filter for good that lets only queries through.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no bound UDP socket, [`Error::Os`] when it is no socket or
    /// has a filter of its own that cannot be changed; else as [`bind`](Self::bind).
    #[doc(alias = "evdns_add_server_port_with_base")]
    pub fn from_socket<O: CallbackResult + 'static>(
        base: &LoopHandle,
        socket: impl Into<OwnedFd>,
        callback: impl FnMut(Request) -> O + 'static,
    ) -> Result<Self> {
        base.inner().open()?;
        let (fd, addr) = socket::take(socket.into())?;
        Self::new(base, fd, addr, boxed(callback))
    }

    fn new(
        base: &LoopHandle,
        fd: OwnedFd,
        addr: SocketAddr,
        callback: Rc<RefCell<Callback>>,
    ) -> Result<Self> {
        let server = Rc::new_cyclic(|me| ServerRef {
            me: me.clone(),
            base: base.clone(),
            raw: Cell::new(ptr::null_mut()),
            event: Cell::new(ptr::null_mut()),
            addr,
            key: Cell::new(usize::MAX),
            detached: Cell::new(false),
            closing: Cell::new(false),
            running: Cell::new(0),
            burst: Cell::new(0),
            callback: RefCell::new(Some(callback)),
            requests: RefCell::default(),
            waiting: RefCell::default(),
            unsent: RefCell::default(),
            settle: InternalEvent::unset(),
            writable: InternalEvent::unset(),
            hold: Cell::new(None),
        });
        server.create(base.inner().open()?, fd)?;
        let weak: Weak<dyn Live> = Rc::downgrade(&server) as Weak<dyn Live>;
        server.key.set(base.inner().add_object(weak));
        Ok(Server(server))
    }

    /// Gives it to the base: it lives until it is closed, or by the end of the base.
    pub fn detach(self) {
        self.0.detached.set(true);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_closed() {
            let inner = self.base.inner();
            inner.adopt(self.key.get(), Rc::clone(&self.0) as Rc<dyn Live>);
        }
        if !self.detached.get() {
            self.close();
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

    /// The C server, for calls of `ffi`; NULL when it is closed. C has no way to give it another
    /// callback, so that it can be neither taken over from C nor given to it.
    pub fn as_ptr(&self) -> *mut ffi::evdns_server_port {
        self.raw.get()
    }

    /// The address at which it answers, with the port that the system picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Puts another closure in the place of the present one, also from inside it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the server is closed or closing.
    pub fn set_callback<O: CallbackResult + 'static>(
        &self,
        callback: impl FnMut(Request) -> O + 'static,
    ) -> Result<()> {
        if self.closing.get() {
            return Err(Error::Closed {
                what: "name server",
            });
        }
        let old = self.callback.replace(Some(boxed(callback)));
        drop(old);
        Ok(())
    }

    /// How many requests are not answered yet, or their answers not sent.
    pub fn in_flight(&self) -> usize {
        self.requests.borrow().len() + self.unsent.borrow().len()
    }

    /// Ends the server, also from inside its callback: it reads no more requests, and drops its
    /// closure. Requests that are [in flight](Self::in_flight) can still be answered; the socket
    /// is closed with the last of them, at once if there are none. In the callback all this waits
    /// until that returns. Closing twice is fine.
    #[doc(alias = "evdns_close_server_port")]
    pub fn close(&self) {
        if self.closing.replace(true) {
            return;
        }
        self.stop_reading();
        self.settle_soon();
    }

    /// Whether it is closed to the end, by [`close`](Self::close) or by the end of its base.
    pub fn is_closed(&self) -> bool {
        self.raw.get().is_null()
    }

    /// Whether [`close`](Self::close) was called or the base is gone.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }
}

fn boxed<O: CallbackResult>(
    mut callback: impl FnMut(Request) -> O + 'static,
) -> Rc<RefCell<Callback>> {
    Rc::new(RefCell::new(move |request| callback(request).outcome()))
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
            .field("local_addr", &self.addr)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
