//! One request and its answer, as C sees them.
//!
//! The C request is ours from evhttp's generic callback until it is answered, and C's from then
//! on. What can happen to it, by http.c:
//!
//! - the answer was written: `on_complete`, after which C frees the request;
//! - the connection fails or the server is freed: evhttp_connection_free calls `on_connection_closed`
//!   and then frees the requests that are left on the connection. One that was not answered in
//!   full was taken off the connection when it failed (its connection is NULL then), and must be
//!   freed by evhttp_send_reply_end.
//!
//! So exactly one of the two is called, once, and the request is never touched after it.
//! Everything that a user looks at was copied before.

use super::{Reply, ServerRef, sockets};
use crate::base::{Kind, Live};
use crate::callback::{Outcome, retain};
use crate::{LoopHandle, ffi, later, time};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::os::raw::c_short;
use std::ptr;
use std::rc::{Rc, Weak};

const READ: c_short = ffi::EV_READ as c_short;

/// How much of the next requests is read while an answer is sent in pieces.
const READ_AHEAD: usize = 16 << 10;

/// What became of an answer; see [`Request::on_complete`](super::Request::on_complete).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Its status; `None` when the client was gone before there was an answer.
    pub status: Option<u16>,
    /// How many bytes of the body the system has taken, as far as is known.
    pub body_bytes: u64,
    /// Whether the answer was sent to its end.
    pub complete: bool,
}

pub(super) type CompleteHook = Box<dyn FnOnce(Sent) -> Outcome>;
pub(super) type CloseHook = Box<dyn FnOnce(&LoopHandle) -> Outcome>;
pub(super) type DrainHook = Box<dyn FnOnce(Reply) -> Outcome>;

/// What the answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, or it was given with the head.
    Whole,
    /// It ends by a last chunk, or with the connection.
    Open,
    /// So many bytes of it are still to come.
    Left(u64),
}

pub(super) struct Exchange {
    me: Weak<Exchange>,
    server: Rc<ServerRef>,
    /// Null once C's part is over.
    req: Cell<*mut ffi::evhttp_request>,
    /// The keys in the server's list, which holds a count for C, and in the base's.
    key: Cell<usize>,
    object: Cell<usize>,
    pub(super) head: Cell<bool>,
    pub(super) status: Cell<Option<u16>>,
    pub(super) framing: Cell<Framing>,
    /// Bytes of the body given to libevent.
    pub(super) given: Cell<u64>,
    complete: Cell<Option<CompleteHook>>,
    close: RefCell<Vec<CloseHook>>,
    drained: Cell<Option<(Reply, DrainHook)>>,
    /// Whether C says when the output is empty: it was given a piece of the body.
    pub(super) watched: Cell<bool>,
    /// Whether C has still to say so of what it was given last.
    pub(super) unsettled: Cell<bool>,
    /// Whether the answer ends then.
    pub(super) ending: Cell<bool>,
}

impl Exchange {
    /// Takes charge of a request.
    ///
    /// # Safety
    /// Called from the generic callback of `server`'s evhttp or of one of its virtual hosts, which
    /// was given `req`.
    pub(super) unsafe fn begin(server: &Rc<ServerRef>, req: *mut ffi::evhttp_request) -> Rc<Self> {
        // SAFETY: `req` and its connection are alive.
        let (connection, head) = unsafe {
            let head = ffi::evhttp_request_get_command(req) == ffi::EVHTTP_REQ_HEAD;
            (ffi::evhttp_request_get_connection(req), head)
        };
        let exchange = Rc::new_cyclic(|me| Exchange {
            me: me.clone(),
            server: Rc::clone(server),
            req: Cell::new(req),
            key: Cell::new(usize::MAX),
            object: Cell::new(usize::MAX),
            head: Cell::new(head),
            status: Cell::new(None),
            framing: Cell::new(Framing::Whole),
            given: Cell::new(0),
            complete: Cell::new(None),
            close: RefCell::new(server.take_close_hooks(connection)),
            drained: Cell::new(None),
            watched: Cell::new(false),
            unsettled: Cell::new(false),
            ending: Cell::new(false),
        });
        let weak: Weak<dyn Live> = Rc::downgrade(&exchange) as Weak<dyn Live>;
        let inner = server.handle().inner();
        exchange.object.set(inner.add_object(weak));
        exchange.key.set(server.add_exchange(Rc::clone(&exchange)));

        let arg = exchange.arg();
        let idle = time::timeval(server.timeout());
        // SAFETY: `req` and its connection are alive. `arg` stays valid until `done`, which is
        // called by the last of the callbacks set here; the server's list has a count until then.
        unsafe {
            ffi::evhttp_connection_set_closecb(connection, Some(on_connection_closed), arg);
            ffi::evhttp_request_set_on_complete_cb(req, Some(on_complete), arg);
            let stream = ffi::evhttp_connection_get_bufferevent(connection);
            // Nothing is read until the answer is sent: its time is not the client's fault.
            ffi::bufferevent_set_timeouts(stream, ptr::null(), &idle);
            ffi::bufferevent_setwatermark(stream, READ, 0, READ_AHEAD);
            server.tame(stream);
        }
        exchange
    }

    /// What C's data pointers are.
    pub(super) fn arg(&self) -> *mut c_void {
        self.me.as_ptr().cast_mut().cast()
    }

    pub(super) fn server(&self) -> &ServerRef {
        &self.server
    }

    /// Null once C's part is over.
    pub(super) fn req(&self) -> *mut ffi::evhttp_request {
        self.req.get()
    }

    pub(super) fn is_answered(&self) -> bool {
        self.status.get().is_some() || self.req.get().is_null()
    }

    // --- hooks ------------------------------------------------------------------------------

    pub(super) fn on_complete(&self, hook: CompleteHook) {
        if self.req.get().is_null() {
            let sent = self.sent(0, false);
            return self.server.run_later(Box::new(move || hook(sent)));
        }
        drop(self.complete.replace(Some(hook)));
    }

    pub(super) fn on_close(&self, hook: CloseHook) {
        if self.req.get().is_null() {
            return self.server.close_later(vec![hook]);
        }
        self.close.borrow_mut().push(hook);
    }

    /// Gives the answer to `hook` when the output is empty.
    pub(super) fn on_drained(&self, reply: Reply, hook: DrainHook) {
        if self.req.get().is_null() {
            return;
        }
        if self.pending() == 0 || !self.watched.get() {
            // Nothing that C would tell of was sent.
            return self.server.run_later(Box::new(move || hook(reply)));
        }
        let old = self.drained.replace(Some((reply, hook)));
        debug_assert!(old.is_none(), "who has the answer is not in a hook");
    }

    // --- the connection ---------------------------------------------------------------------

    pub(super) fn is_client_gone(&self) -> bool {
        // SAFETY: alive while C's part is not over.
        let fd = self
            .stream()
            .map(|stream| unsafe { ffi::bufferevent_getfd(stream) });
        fd.is_none_or(sockets::is_gone)
    }

    /// How many bytes wait in the connection's output.
    pub(super) fn pending(&self) -> usize {
        // SAFETY: alive while C's part is not over.
        let output = self
            .stream()
            .map(|stream| unsafe { ffi::evbuffer_get_length(ffi::bufferevent_get_output(stream)) });
        output.unwrap_or(0)
    }

    /// To be called after each call of C that sends something.
    ///
    /// C reads on while it sends, to hear of a client that closes. An answer in pieces needs that,
    /// and the input's high watermark keeps the client from filling our memory. Any other one is
    /// on its way: that a client has closed its sending side is no reason to give it up.
    pub(super) fn after_sending(&self) {
        if let Some(stream) = self.stream() {
            // SAFETY: alive.
            unsafe {
                if self.framing.get() == Framing::Whole {
                    ffi::bufferevent_disable(stream, READ);
                }
                self.server.tame(stream);
            }
        }
    }

    /// Gives the connection up: C hears, from the loop, what it would of a client that is gone.
    pub(super) fn abort(&self) {
        if let Some(stream) = self.stream() {
            let gone = (ffi::BEV_EVENT_EOF | ffi::BEV_EVENT_READING) as c_short;
            let deferred = ffi::BEV_TRIG_DEFER_CALLBACKS as i32;
            // SAFETY: alive; deferred, so nothing is freed in this call.
            unsafe { ffi::bufferevent_trigger_event(stream, gone, deferred) };
        }
    }

    /// The connection's stream, while C's part is not over.
    fn stream(&self) -> Option<*mut ffi::bufferevent> {
        let req = self.req.get();
        if req.is_null() {
            return None;
        }
        // SAFETY: alive while not null; a connection is there until `done`.
        unsafe {
            let connection = ffi::evhttp_request_get_connection(req);
            Some(ffi::evhttp_connection_get_bufferevent(connection))
        }
    }

    // --- the end ----------------------------------------------------------------------------

    fn sent(&self, unsent: u64, complete: bool) -> Sent {
        Sent {
            status: self.status.get(),
            body_bytes: self.given.get().saturating_sub(unsent),
            complete,
        }
    }

    /// C's part is over: nothing of C's is touched any more, and C calls no more. Returns the
    /// hooks for the end of the connection.
    fn done(&self, unsent: u64, complete: bool) -> Vec<CloseHook> {
        self.req.set(ptr::null_mut());
        let inner = self.server.handle().inner();
        drop(inner.remove_object(self.object.replace(usize::MAX)));
        self.server.remove_exchange(self.key.get());
        let sent = self.sent(unsent, complete);
        match self.complete.take() {
            Some(hook) => self.server.run_later(Box::new(move || hook(sent))),
            None => self.server.look_whether_closed(),
        }
        let close = self.close.take();
        let left = self.drained.take();
        // Code of the user's, and what C has dropped of what a buffer referred to.
        inner.guard(|| drop(left));
        inner.guard(later::run);
        close
    }
}

impl Live for Exchange {
    fn kind(&self) -> Kind {
        Kind::HttpRequest
    }

    /// The base goes: the server, which goes too, frees the request.
    fn close(&self) {
        self.object.set(usize::MAX);
    }

    fn clear(&self) {}
}

/// The answer was sent; C frees the request when this returns, and goes on with the connection.
unsafe extern "C" fn on_complete(req: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: set by `begin`, and called once, before `done`.
    let exchange = unsafe { retain::<Exchange>(arg) };
    let server = &exchange.server;
    let idle = time::timeval(server.timeout());
    let hooks = exchange.done(0, true);
    // SAFETY: the request still knows its connection, which is alive. `arg` leaves C here.
    unsafe {
        let connection = ffi::evhttp_request_get_connection(req);
        server.keep_close_hooks(connection, hooks);
        let stream = ffi::evhttp_connection_get_bufferevent(connection);
        ffi::bufferevent_set_timeouts(stream, &idle, &idle);
        ffi::bufferevent_setwatermark(stream, READ, 0, 0);
    }
}

/// The connection is going down, and with it the request.
unsafe extern "C" fn on_connection_closed(
    connection: *mut ffi::evhttp_connection,
    arg: *mut c_void,
) {
    // SAFETY: set by `begin`, taken back by `on_complete`, and called once: C frees the
    // connection after it.
    let exchange = unsafe { retain::<Exchange>(arg) };
    let req = exchange.req.get();
    // SAFETY: the connection's parts are freed after this call.
    let unsent = unsafe {
        let stream = ffi::evhttp_connection_get_bufferevent(connection);
        ffi::evbuffer_get_length(ffi::bufferevent_get_output(stream))
    };
    let hooks = exchange.done(unsent as u64, false);
    exchange.server.close_later(hooks);
    // SAFETY: not freed yet. Without a connection it was left to us, to be freed in this way;
    // else C frees it next.
    unsafe {
        if ffi::evhttp_request_get_connection(req).is_null() {
            ffi::evhttp_send_reply_end(req);
        }
    }
}

/// The output has become empty; C may say so more than once.
pub(super) unsafe extern "C" fn on_drained(_: *mut ffi::evhttp_connection, arg: *mut c_void) {
    // SAFETY: C calls this for the running answer only: `Exchange::end` waits for the call that is
    // due, evhttp_send_reply_end puts another callback in its place where one is to come, and a
    // connection that fails is freed. So the exchange is not done.
    let exchange = unsafe { retain::<Exchange>(arg) };
    if exchange.pending() > 0 {
        return;
    }
    exchange.unsettled.set(false);
    if exchange.ending.get() {
        return exchange.end_now();
    }
    if let Some((reply, hook)) = exchange.drained.take() {
        let server = Rc::clone(&exchange.server);
        server.run_user(|| hook(reply));
    }
}
