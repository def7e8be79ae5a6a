//! One request: its C object, what C tells of it, and what of that its user has heard.
//!
//! The C object is owned by the user in C's sense (`evhttp_request_own`): on no path does C free
//! it. So it is freed here, once, by the loop, when it is on no connection. Whatever C calls takes
//! notes only; the user's closures run from the loop when C has returned. So they may do anything.

use super::request::{ChunkHook, ClientRequest, DoneHook, HeaderHook, Spec};
use super::{ClientError, ConnectionRef, Response, ResponseHead};
use crate::callback::retain;
use crate::error::{Error, Result};
use crate::{Buffer, ffi};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::raw::{c_int, c_void};
use std::ptr;
use std::rc::{Rc, Weak};

/// What C has told and the user has not heard.
enum Step {
    Head(ResponseHead),
    Chunk(Buffer),
}

/// How C's part has ended.
pub(super) enum End {
    /// The response is complete; this is its body.
    Complete(Buffer),
    /// `evhttp_request_error`, and the system's error at that time.
    Failed(ffi::evhttp_request_error, io::Error),
    /// The attempt to connect was refused, or has timed out.
    NotConnected,
    /// evhttp_make_request has refused.
    NotSent(io::Error),
    /// Ended here, for this reason.
    Refused(ClientError),
}

/// Whether anybody still wants the response.
enum Interest {
    Wanted,
    /// It is to be told that it ends so.
    Ended(ClientError),
    /// Nobody is to be told anything.
    Dropped,
    Over,
}

pub(super) struct Exchange {
    me: Weak<Exchange>,
    connection: Weak<ConnectionRef>,
    spec: Spec,
    /// Null before it is first sent, and when it is over.
    req: Cell<*mut ffi::evhttp_request>,
    /// The body, until the C object has it.
    body: Cell<Option<Buffer>>,
    on_header: Cell<Option<HeaderHook>>,
    on_chunk: Cell<Option<ChunkHook>>,
    on_done: Cell<Option<DoneHook>>,
    interest: Cell<Interest>,
    /// Whether C has begun to write it: before, there is no connection.
    pub(super) written: Cell<bool>,
    /// Whether the server has asked for the body.
    continued: Cell<bool>,
    steps: RefCell<VecDeque<Step>>,
    head: Cell<Option<ResponseHead>>,
    refused: Cell<Option<ClientError>>,
    failed: Cell<Option<(ffi::evhttp_request_error, io::Error)>>,
    end: Cell<Option<End>>,
}

impl Exchange {
    pub(super) fn new(
        connection: Weak<ConnectionRef>,
        mut request: ClientRequest,
        host: &str,
    ) -> Result<Rc<Self>> {
        let spec = request.checked(host)?;
        Ok(Rc::new_cyclic(|me| Exchange {
            me: me.clone(),
            connection,
            spec,
            req: Cell::new(ptr::null_mut()),
            body: Cell::new(Some(request.take_body())),
            on_header: Cell::new(request.on_header.take()),
            on_chunk: Cell::new(request.on_chunk.take()),
            on_done: Cell::new(request.on_done.take()),
            interest: Cell::new(Interest::Wanted),
            written: Cell::new(false),
            continued: Cell::new(false),
            steps: RefCell::default(),
            head: Cell::new(None),
            refused: Cell::new(None),
            failed: Cell::new(None),
            end: Cell::new(None),
        }))
    }

    // --- the C object -----------------------------------------------------------------------

    /// Makes the C object anew: C leaves one that has failed unfit to be sent again.
    fn make(&self) -> Result<*mut ffi::evhttp_request> {
        let refused = |op| Err(Error::Libevent { op });
        let arg = self.me.as_ptr().cast_mut().cast::<c_void>();
        // SAFETY: the connection has a count on `self` until C has forgotten the request. All that
        // is handed in is copied or, as the body, moved. The old object is on no connection.
        unsafe {
            let req = ffi::evhttp_request_new(Some(on_done), arg);
            if req.is_null() {
                return refused("evhttp_request_new");
            }
            let old = self.req.replace(req);
            ffi::evhttp_request_own(req);
            ffi::evhttp_request_set_header_cb(req, Some(on_header));
            ffi::evhttp_request_set_error_cb(req, Some(on_error));
            if self.spec.streams {
                ffi::evhttp_request_set_chunked_cb(req, Some(on_chunk));
            }
            let output = ffi::evhttp_request_get_output_buffer(req);
            let mut moved = 0;
            if let Some(body) = self.body.take() {
                moved = ffi::evbuffer_add_buffer(output, body.as_ptr());
            } else if !old.is_null() {
                moved =
                    ffi::evbuffer_add_buffer(output, ffi::evhttp_request_get_output_buffer(old));
            }
            if !old.is_null() {
                ffi::evhttp_request_free(old);
            }
            if moved != 0 {
                return refused("evbuffer_add_buffer");
            }
            let list = ffi::evhttp_request_get_output_headers(req);
            for (name, value) in &self.spec.headers {
                if ffi::evhttp_add_header(list, name.as_ptr(), value.as_ptr()) != 0 {
                    return refused("evhttp_add_header");
                }
            }
            Ok(req)
        }
    }

    /// Has C send it. What comes of that is noted, also when it fails at once.
    ///
    /// # Safety
    /// `raw` is alive and has no request. The caller has a count on `self` until C has forgotten it.
    pub(super) unsafe fn send(&self, raw: *mut ffi::evhttp_connection) {
        let req = match self.make() {
            Ok(req) => req,
            Err(error) => {
                return self
                    .end
                    .set(Some(End::Refused(ClientError::Libevent(error))));
            }
        };
        // SAFETY: the caller's promise; C copies the URI.
        let result =
            unsafe { ffi::evhttp_make_request(raw, req, self.spec.method, self.spec.uri.as_ptr()) };
        if result != 0 {
            let error = io::Error::last_os_error();
            self.end.set(Some(End::NotSent(error)));
        }
    }

    /// Takes it from its connection, which is reset with it.
    ///
    /// # Safety
    /// It is the first of a connection that is alive, and no frame of C's is below.
    pub(super) unsafe fn cancel_in_c(&self) {
        // SAFETY: the caller's promise. C calls `on_error`, and nothing after it.
        unsafe { ffi::evhttp_cancel_request(self.req.get()) };
    }

    fn free(&self) {
        let req = self.req.replace(ptr::null_mut());
        if !req.is_null() {
            // SAFETY: ours; on no connection any more, as its connection has a count until then.
            unsafe { ffi::evhttp_request_free(req) };
        }
    }

    // --- what the user hears ------------------------------------------------------------------

    fn interest<R>(&self, look: impl FnOnce(&Interest) -> R) -> R {
        let now = self.interest.replace(Interest::Over);
        let result = look(&now);
        self.interest.set(now);
        result
    }

    pub(super) fn is_over(&self) -> bool {
        self.interest(|now| matches!(now, Interest::Over))
    }

    /// Whether its response is not to be waited for.
    pub(super) fn is_given_up(&self) -> bool {
        self.interest(|now| !matches!(now, Interest::Wanted))
    }

    /// Nobody wants the response any more. With a reason, `on_done` gets that, from the loop.
    pub(super) fn give_up(&self, reason: Option<ClientError>) {
        if self.is_given_up() {
            return;
        }
        let silent = reason.is_none();
        self.interest.set(match reason {
            Some(reason) => Interest::Ended(reason),
            None => Interest::Dropped,
        });
        if silent {
            self.drop_hooks();
        }
        if let Some(connection) = self.connection.upgrade() {
            connection.wake();
        }
    }

    fn drop_hooks(&self) {
        drop(self.on_header.take());
        drop(self.on_chunk.take());
        drop(self.on_done.take());
    }

    /// The base is gone: nobody is told.
    pub(super) fn abandon(&self) {
        self.interest.set(Interest::Over);
        self.drop_hooks();
    }

    /// Tells the user what there is to tell before the end. One piece at a time; false when there
    /// is no more.
    pub(super) fn deliver(&self, connection: &ConnectionRef) -> bool {
        if self.is_given_up() {
            self.steps.take();
            return false;
        }
        let step = self.steps.borrow_mut().pop_front();
        let inner = connection.handle().inner();
        match step {
            None => return false,
            Some(Step::Head(head)) => {
                let mut wanted = true;
                if let Some(hook) = self.on_header.take() {
                    // A panic is an answer too.
                    wanted = false;
                    inner.guard(|| wanted = hook(&head));
                }
                self.head.set(Some(head));
                if !wanted {
                    self.give_up(Some(ClientError::Unwanted));
                }
            }
            Some(Step::Chunk(chunk)) => {
                let Some(mut hook) = self.on_chunk.take() else {
                    return true;
                };
                inner.guard(|| hook(chunk));
                if self.is_given_up() {
                    inner.guard(|| drop(hook));
                } else {
                    self.on_chunk.set(Some(hook));
                }
            }
        }
        true
    }

    /// How C's part has ended, if it has.
    pub(super) fn take_end(&self) -> Option<End> {
        self.end.take()
    }

    /// The response of a complete exchange.
    pub(super) fn response(&self, body: Buffer) -> Result<Response, ClientError> {
        let head = self.head.take();
        let head = head.ok_or(ClientError::BadResponse("it has no head"))?;
        Ok(Response { head, body })
    }

    /// Why a request that was sent has no response.
    pub(super) fn reason(&self, kind: ffi::evhttp_request_error) -> ClientError {
        self.refused.take().unwrap_or_else(|| ClientError::of(kind))
    }

    /// Tells the user how it ended, once; C knows of it no more.
    pub(super) fn finish(&self, connection: &ConnectionRef, result: Result<Response, ClientError>) {
        self.free();
        let inner = connection.handle().inner();
        let result = match self.interest.replace(Interest::Over) {
            Interest::Wanted => result,
            Interest::Ended(reason) => Err(reason),
            Interest::Dropped | Interest::Over => return,
        };
        if let Some(hook) = self.on_done.take() {
            inner.guard(|| hook(connection, result));
        }
        inner.guard(|| self.drop_hooks());
    }

    // --- what C tells ---------------------------------------------------------------------------

    /// Status and headers are there. Returns whether C is to go on.
    ///
    /// # Safety
    /// `req` is this exchange's, and C has read its head.
    unsafe fn got_head(&self, req: *mut ffi::evhttp_request) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let list = ffi::evhttp_request_get_input_headers(req);
            if ffi::evhttp_request_get_response_code(req) == 100 {
                // What follows would be added to these.
                ffi::evhttp_clear_headers(list);
                self.continued.set(true);
                return true;
            }
            let head = match ResponseHead::read(req) {
                Ok(head) => head,
                Err(error) => {
                    self.refused.set(Some(error));
                    return false;
                }
            };
            // C waits for the end of the connection if this header says so, and takes the body for
            // empty when it says anything else and there is no length. A server that did not ask
            // for the body takes it for the next request.
            let has_body = !matches!(head.status().as_u16(), 204 | 304)
                && self.spec.method != ffi::EVHTTP_REQ_HEAD
                && self.spec.method != ffi::EVHTTP_REQ_CONNECT;
            let closes = head.closes()
                || (has_body && head.ends_with_connection())
                || (self.spec.expects && !self.continued.get());
            let connection = c"Connection".as_ptr();
            while ffi::evhttp_remove_header(list, connection) == 0 {}
            if closes {
                ffi::evhttp_add_header(list, connection, c"close".as_ptr());
            }
            self.steps.borrow_mut().push_back(Step::Head(head));
            true
        }
    }

    /// # Safety
    /// `req` is this exchange's.
    unsafe fn take_input(&self, req: *mut ffi::evhttp_request) -> Buffer {
        let taken = Buffer::new();
        // SAFETY: the caller's promise; both are alive. That moves chains, which can fail for
        // frozen buffers only.
        unsafe {
            let input = ffi::evhttp_request_get_input_buffer(req);
            ffi::evbuffer_add_buffer(taken.as_ptr(), input);
        }
        taken
    }

    fn wake(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.wake();
        }
    }

    /// A panic of ours, if there is one, ends up where those of the user do.
    fn note(&self, f: impl FnOnce()) {
        if let Some(connection) = self.connection.upgrade() {
            connection.handle().inner().guard(f);
        }
        self.wake();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.free();
    }
}

/// # Safety
/// `arg` is the data pointer of a request that C has.
unsafe fn exchange(arg: *mut c_void) -> Rc<Exchange> {
    // SAFETY: `make` set it; the connection has a count on it until C has forgotten the request.
    unsafe { retain::<Exchange>(arg) }
}

unsafe extern "C" fn on_header(req: *mut ffi::evhttp_request, arg: *mut c_void) -> c_int {
    // SAFETY: as `make` set it.
    let exchange = unsafe { exchange(arg) };
    let mut go_on = false;
    // SAFETY: C has read the head of `req`.
    exchange.note(|| go_on = unsafe { exchange.got_head(req) });
    if go_on { 0 } else { -1 }
}

unsafe extern "C" fn on_chunk(req: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: as `make` set it.
    let exchange = unsafe { exchange(arg) };
    exchange.note(|| {
        // SAFETY: `req` is the exchange's; C drains what is left in its input, which is nothing.
        let chunk = unsafe { exchange.take_input(req) };
        exchange.steps.borrow_mut().push_back(Step::Chunk(chunk));
    });
}

/// Comes before `on_done`, and in its place when the request is cancelled.
unsafe extern "C" fn on_error(kind: ffi::evhttp_request_error, arg: *mut c_void) {
    let errno = io::Error::last_os_error();
    // SAFETY: as `make` set it.
    let exchange = unsafe { exchange(arg) };
    exchange.failed.set(Some((kind, errno)));
}

/// The response is complete, or (without a request, or without a status) is not going to be.
unsafe extern "C" fn on_done(req: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: as `make` set it.
    let exchange = unsafe { exchange(arg) };
    exchange.note(|| {
        let code = match req.is_null() {
            true => 0,
            // SAFETY: alive, as it is given.
            false => unsafe { ffi::evhttp_request_get_response_code(req) },
        };
        let end = match exchange.failed.take() {
            Some((kind, errno)) => End::Failed(kind, errno),
            None if code == 0 => End::NotConnected,
            // SAFETY: `req` is the exchange's.
            None => End::Complete(unsafe { exchange.take_input(req) }),
        };
        exchange.end.set(Some(end));
    });
}
