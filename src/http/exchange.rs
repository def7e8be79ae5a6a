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

use super::response::{Content, Framed};
use super::{Response, ServerRef, StatusCode};
use crate::base::{Kind, Live};
use crate::callback::{Outcome, retain};
use crate::{ffi, time};
use ::http::{HeaderMap, HeaderName};
use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::raw::c_short;
use std::ptr;
use std::rc::{Rc, Weak};

/// How much of a file is read at once and waits to be sent: with the header of libevent's own,
/// it fills one of its chunks.
pub(super) const CHUNK: usize = (128 << 10) - 256;

/// What became of an answer; see [`Request::on_sent`](super::Request::on_sent).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Its status; `None` when the client was gone before there was an answer.
    pub status: Option<StatusCode>,
    /// How many bytes of the body the system has taken.
    pub body_bytes: u64,
    /// Whether the answer was sent to its end.
    pub complete: bool,
}

pub(super) type SentHook = Box<dyn FnOnce(Sent) -> Outcome>;

/// A hook that is to run, and what it is to be told.
pub(super) type Finished = (SentHook, Sent);

pub(super) struct Exchange {
    me: Weak<Exchange>,
    server: Rc<ServerRef>,
    /// Null once C's part is over.
    req: Cell<*mut ffi::evhttp_request>,
    /// The keys in the server's list, which holds a count for C, and in the base's.
    key: Cell<usize>,
    object: Cell<usize>,
    head: Cell<bool>,
    status: Cell<Option<StatusCode>>,
    /// Bytes of the body given to libevent.
    given: Cell<u64>,
    file: Cell<Option<Rest>>,
    hook: Cell<Option<SentHook>>,
}

/// What is left to send of a file.
struct Rest {
    file: File,
    at: u64,
    left: u64,
}

impl Exchange {
    /// Takes charge of a request.
    ///
    /// # Safety
    /// Called from the generic callback of `server`'s evhttp, which was given `req`.
    pub(super) unsafe fn begin(server: &Rc<ServerRef>, req: *mut ffi::evhttp_request) -> Rc<Self> {
        let exchange = Rc::new_cyclic(|me| Exchange {
            me: me.clone(),
            server: Rc::clone(server),
            req: Cell::new(req),
            key: Cell::new(usize::MAX),
            object: Cell::new(usize::MAX),
            head: Cell::new(false),
            status: Cell::new(None),
            given: Cell::new(0),
            file: Cell::new(None),
            hook: Cell::new(None),
        });
        let weak: Weak<dyn Live> = Rc::downgrade(&exchange) as Weak<dyn Live>;
        let inner = server.handle().inner();
        exchange.object.set(inner.add_object(weak));
        exchange.key.set(server.add_exchange(Rc::clone(&exchange)));

        let arg = exchange.arg();
        let idle = time::timeval(server.limits().idle);
        // SAFETY: `req` and its connection are alive. `arg` stays valid until `done`, which is
        // called by the last of the callbacks set here; the server's list has a count until then.
        unsafe {
            exchange
                .head
                .set(ffi::evhttp_request_get_command(req) == ffi::EVHTTP_REQ_HEAD);
            let connection = ffi::evhttp_request_get_connection(req);
            ffi::evhttp_connection_set_closecb(connection, Some(on_connection_closed), arg);
            ffi::evhttp_request_set_on_complete_cb(req, Some(on_complete), arg);
            let stream = ffi::evhttp_connection_get_bufferevent(connection);
            // Nothing is read until the answer is sent: its time is not the client's fault.
            ffi::bufferevent_set_timeouts(stream, ptr::null(), &idle);
        }
        exchange
    }

    /// What C's data pointers are.
    fn arg(&self) -> *mut c_void {
        self.me.as_ptr().cast_mut().cast()
    }

    pub(super) fn server(&self) -> &ServerRef {
        &self.server
    }

    pub(super) fn is_answered(&self) -> bool {
        self.status.get().is_some() || self.req.get().is_null()
    }

    pub(super) fn on_sent(&self, hook: SentHook) {
        if self.req.get().is_null() {
            return self.server.finish(Some((hook, self.sent(0, false))));
        }
        drop(self.hook.replace(Some(hook)));
    }

    pub(super) fn is_client_gone(&self) -> bool {
        let req = self.req.get();
        if req.is_null() {
            return true;
        }
        // SAFETY: alive and on a connection while `req` is not null.
        let fd = unsafe {
            let connection = ffi::evhttp_request_get_connection(req);
            let stream = ffi::evhttp_connection_get_bufferevent(connection);
            ffi::bufferevent_getfd(stream)
        };
        match borrow_socket(fd).peek(&mut [0]) {
            Ok(seen) => seen == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    // --- the answer -------------------------------------------------------------------------

    /// Answers, once; later calls and calls without a client do nothing.
    pub(super) fn respond(&self, response: Response) {
        let req = self.req.get();
        if self.is_answered() {
            return;
        }
        let Framed {
            status,
            headers,
            content,
        } = response.framed(self.head.get(), self.server.is_closing());
        self.status.set(Some(status));
        let reason = CString::new(status.canonical_reason().unwrap_or("Unknown"));
        let reason = reason.unwrap_or_default();
        let code = i32::from(status.as_u16());

        let bytes: &[u8] = match &content {
            Some(Content::Bytes(bytes)) => bytes,
            Some(Content::Text(text)) => text.as_bytes(),
            None | Some(Content::File { .. }) => b"",
        };
        self.given.set(bytes.len() as u64);
        // SAFETY: not answered and not done, so `req` is alive, ours, and the first of its
        // connection, as evhttp_send wants it. What is handed in is copied. None of these calls
        // gets back to us: what they start is written by the loop.
        let started = unsafe {
            let output = ffi::evhttp_request_get_output_buffer(req);
            let ok = add_headers(req, &headers)
                && ffi::evbuffer_add(output, bytes.as_ptr().cast(), bytes.len()) == 0;
            if ok && matches!(content, Some(Content::File { .. })) {
                ffi::evhttp_send_reply_start(req, code, reason.as_ptr());
            } else if ok {
                ffi::evhttp_send_reply(req, code, reason.as_ptr(), ptr::null_mut());
            }
            self.stop_reading();
            ok
        };
        if !started {
            // Out of memory.
            return self.abort();
        }
        if let Some(Content::File { file, len }) = content {
            let rest = Rest {
                file,
                at: 0,
                left: len,
            };
            self.file.set(Some(rest));
            self.send_more();
        }
    }

    /// Puts the next piece of the file behind what is being sent.
    fn send_more(&self) {
        let req = self.req.get();
        let Some(mut rest) = self.file.take().filter(|_| !req.is_null()) else {
            return;
        };
        let mut chunk = self.server.take_chunk();
        chunk.resize(usize::try_from(rest.left).unwrap_or(CHUNK).min(CHUNK), 0);
        // No byte before the end means that the promised length cannot be kept.
        let read = read_at(&rest.file, &mut chunk, rest.at).unwrap_or(0);
        // SAFETY: `req` is alive and ours, as its file is not sent to the end. The bytes are
        // copied; the buffer is empty between chunks, and C moves it into the connection's
        // output, from where nothing calls us now.
        let added = unsafe {
            let buffer = ffi::evhttp_request_get_output_buffer(req);
            let added = read > 0 && ffi::evbuffer_add(buffer, chunk.as_ptr().cast(), read) == 0;
            if added {
                let arg = self.arg();
                ffi::evhttp_send_reply_chunk_with_cb(req, buffer, Some(on_drained), arg);
                self.stop_reading();
            }
            added
        };
        self.server.give_chunk(chunk);
        if !added {
            return self.abort();
        }
        rest.at += read as u64;
        rest.left -= read as u64;
        self.given.set(rest.at);
        if rest.left > 0 {
            self.file.set(Some(rest));
        } else {
            // SAFETY: as above. The output is not empty, so that C only notes that this was all:
            // the request is freed when it is written.
            unsafe { ffi::evhttp_send_reply_end(req) };
        }
    }

    /// C reads on while it sends, to hear of a client that closes; but then a client could fill
    /// our memory, a half-closed one would lose its answer, and the time to read would run out
    /// in a long download. A client that is gone is noticed when writing fails.
    fn stop_reading(&self) {
        if let Some(stream) = self.stream() {
            // SAFETY: alive.
            unsafe { ffi::bufferevent_disable(stream, ffi::EV_READ as c_short) };
        }
    }

    /// Gives the connection up: C hears, from the loop, what it would of a client that is gone.
    fn abort(&self) {
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

    /// C's part is over: nothing of C's is touched any more, and C calls no more.
    fn done(&self, unsent: u64, complete: bool) {
        self.req.set(ptr::null_mut());
        drop(self.file.take());
        let inner = self.server.handle().inner();
        drop(inner.remove_object(self.object.replace(usize::MAX)));
        let hook = self.hook.take();
        self.server.remove_exchange(self.key.get());
        let sent = self.sent(unsent, complete);
        self.server.finish(hook.map(|hook| (hook, sent)));
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

/// Adds the headers; their names as most servers write them.
///
/// # Safety
/// `req` is alive.
unsafe fn add_headers(req: *mut ffi::evhttp_request, headers: &HeaderMap) -> bool {
    // SAFETY: the caller's promise. The strings are copied; they hold no NUL, CR or LF: the types
    // see to that.
    unsafe {
        let list = ffi::evhttp_request_get_output_headers(req);
        headers.iter().all(|(name, value)| {
            let name = CString::new(title_case(name)).unwrap_or_default();
            let value = CString::new(value.as_bytes()).unwrap_or_default();
            ffi::evhttp_add_header(list, name.as_ptr(), value.as_ptr()) == 0
        })
    }
}

fn title_case(name: &HeaderName) -> String {
    let mut start = true;
    let letters = name.as_str().chars().map(|c| {
        let upper = std::mem::replace(&mut start, c == '-');
        if upper { c.to_ascii_uppercase() } else { c }
    });
    letters.collect()
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

#[cfg(windows)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, at)
}

/// The socket as one of std's, which does not close it.
fn borrow_socket(fd: ffi::evutil_socket_t) -> ManuallyDrop<TcpStream> {
    #[cfg(unix)]
    use std::os::fd::FromRawFd;
    #[cfg(windows)]
    use std::os::windows::io::FromRawSocket;
    // SAFETY: an open socket: its connection is alive. It is used by the caller's expression
    // only, and never closed by this value.
    unsafe {
        #[cfg(unix)]
        return ManuallyDrop::new(TcpStream::from_raw_fd(fd));
        #[cfg(windows)]
        return ManuallyDrop::new(TcpStream::from_raw_socket(fd as _));
    }
}

/// The answer was sent; C frees the request when this returns, and goes on with the connection.
unsafe extern "C" fn on_complete(req: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: set by `begin`, and called once, before `done`.
    let exchange = unsafe { retain::<Exchange>(arg) };
    let idle = time::timeval(exchange.server.limits().idle);
    // SAFETY: the request still knows its connection, which is alive. `arg` leaves C here.
    unsafe {
        let connection = ffi::evhttp_request_get_connection(req);
        ffi::evhttp_connection_set_closecb(connection, None, ptr::null_mut());
        let stream = ffi::evhttp_connection_get_bufferevent(connection);
        ffi::bufferevent_set_timeouts(stream, &idle, &idle);
    }
    exchange
        .server
        .handle()
        .inner()
        .guard(|| exchange.done(0, true));
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
    exchange.server.handle().inner().guard(|| {
        exchange.done(unsent as u64, false);
    });
    // SAFETY: not freed yet. Without a connection it was left to us, to be freed in this way;
    // else C frees it next.
    unsafe {
        if ffi::evhttp_request_get_connection(req).is_null() {
            ffi::evhttp_send_reply_end(req);
        }
    }
}

/// The output has become empty; C may say so more than once.
unsafe extern "C" fn on_drained(connection: *mut ffi::evhttp_connection, arg: *mut c_void) {
    // SAFETY: C calls this for the running answer only: evhttp_send_reply_end puts another
    // callback in its place, and a connection that fails is freed. So the exchange is not done.
    let exchange = unsafe { retain::<Exchange>(arg) };
    // SAFETY: the connection is alive.
    let waiting = unsafe {
        let stream = ffi::evhttp_connection_get_bufferevent(connection);
        ffi::evbuffer_get_length(ffi::bufferevent_get_output(stream))
    };
    if waiting == 0 {
        exchange
            .server
            .handle()
            .inner()
            .guard(|| exchange.send_more());
    }
}
