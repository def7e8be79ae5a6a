//! What C calls on a server, and when its C object is made and freed.
//!
//! C reads the socket until it is empty, and calls us for each request. Closing the port on top of
//! that frees it under C's feet, as answering the last request of a closed port does (T19). So the
//! port is closed when none of our frames is on top of C's reading, and no request is left in it.

use super::request::{name, questions};
use super::{Reply, Request, ResponseCode, ServerRef, fit};
use crate::base::{Kind, Live};
use crate::callback::retain;
use crate::error::{Error, Result};
use crate::ffi;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::raw::{c_int, c_short, c_void};
use std::ptr;
use std::rc::Rc;

/// How many requests are kept back for the next turn of the loop, and how many answers until the
/// system takes them. Nobody waits for the answer to a datagram that is that late.
const KEPT: usize = 1024;

/// The flag of a message that is not all there is to tell.
const TRUNCATED: c_int = 0x0200;

/// How many requests are dispatched before the loop has to come back, for its other events. C
/// reads as long as there is something.
const BURST: usize = 64;

type RawRequest = *mut ffi::evdns_server_request;

/// What became of an answer.
enum Sent {
    /// C is done with the request.
    Done,
    /// The system does not take it now.
    Later,
}

impl ServerRef {
    /// Makes the C server, which has the descriptor from then on.
    pub(super) fn create(&self, raw_base: *mut ffi::event_base, fd: OwnedFd) -> Result<()> {
        let arg = self.me.as_ptr().cast_mut().cast::<c_void>();
        let number = fd.as_raw_fd() as ffi::evutil_socket_t;
        let write = ffi::EV_WRITE as c_short;
        // SAFETY: the base is alive. `arg` is valid until the port and these events are freed:
        // until then its owner, the base or `hold` has a count on it. The descriptor is open until
        // the port is freed, which comes last.
        let raw = unsafe {
            self.settle.set(raw_base, on_settle, arg)?;
            self.writable
                .set_fd(raw_base, number, write, on_writable, arg)?;
            ffi::evdns_add_server_port_with_base(raw_base, number, 0, Some(on_request), arg)
        };
        if raw.is_null() {
            return Err(Error::Os {
                op: format!("evdns_add_server_port_with_base on {}", self.addr),
                source: io::Error::last_os_error(),
            });
        }
        let _ = fd.into_raw_fd();
        self.raw.set(raw);
        // SAFETY: both are alive.
        self.event.set(unsafe { event_of(raw_base, raw, number) });
        Ok(())
    }

    /// Takes the port out of the loop while its descriptor is open. C would close that first; if
    /// there is another one for the same socket then, epoll goes on to report it, for ever.
    pub(super) fn stop_reading(&self) {
        let event = self.event.get();
        if !event.is_null() && !self.is_closed() {
            // SAFETY: a part of the port, which is alive.
            unsafe { ffi::event_del(event) };
        }
    }

    /// A request that C has just read.
    fn incoming(&self, raw: RawRequest) {
        // SAFETY: alive; looked at before anything can be done to it.
        let can_answer = unsafe {
            let asked = questions(raw).map(|question| name(question).to_bytes());
            asked.clone().next().is_some() && fit::can_repeat(asked)
        };
        let waiting = self.waiting.borrow().len();
        if self.closing.get() || !can_answer || waiting >= KEPT {
            drop_all([raw]);
        } else if waiting > 0 || self.burst.get() >= BURST || self.base.inner().is_stopped_by_us() {
            self.waiting.borrow_mut().push_back(raw);
            if waiting == 0 {
                self.settle.trigger();
            }
        } else {
            self.dispatch(raw);
        }
    }

    /// Gives a request to the callback.
    fn dispatch(&self, raw: RawRequest) {
        let Some(server) = self.me.upgrade() else {
            return;
        };
        let inner = self.base.inner();
        inner.count_callback();
        self.burst.set(self.burst.get() + 1);
        self.running.set(self.running.get() + 1);
        let key = self.requests.borrow_mut().insert(raw);
        // SAFETY: alive, in its place, and `incoming` has seen a question.
        let request = unsafe { Request::read(server, key, raw) };
        let callback = self.callback.borrow().clone();
        if let Some(callback) = callback {
            inner.guard(|| {
                // Free: libevent runs no loop inside of a loop.
                let mut callback = callback.borrow_mut();
                callback(request)
            });
            // It may have been replaced meanwhile.
            if Rc::strong_count(&callback) == 1 {
                inner.guard(|| drop(callback));
            }
        }
        self.running.set(self.running.get() - 1);
        if self.closing.get() {
            self.settle.trigger();
        }
    }

    // --- answers ----------------------------------------------------------------------------

    /// Answers the request in this place.
    pub(super) fn answer(&self, key: usize, mut reply: Reply) -> Result<()> {
        let raw = self.take_request(key)?;
        // SAFETY: alive, and nobody else has it any more.
        let sent = unsafe { write(raw, &mut reply).map(|()| send(raw, reply.code)) };
        match sent {
            Ok(Sent::Later) if self.unsent.borrow().len() < KEPT => {
                self.unsent.borrow_mut().push_back(raw);
                self.writable.add(None);
            }
            Ok(Sent::Done) => {}
            Ok(Sent::Later) | Err(_) => drop_all([raw]),
        }
        self.finished();
        sent.map(drop)
    }

    /// Gives up the request in this place.
    pub(super) fn ignore(&self, key: usize) {
        if let Ok(raw) = self.take_request(key) {
            drop_all([raw]);
            self.finished();
        }
    }

    fn take_request(&self, key: usize) -> Result<RawRequest> {
        // A place is not given to another request after the end of the base.
        let raw = self.requests.borrow_mut().try_remove(key);
        raw.ok_or(Error::Closed {
            what: "name server",
        })
    }

    /// The system takes answers again.
    fn send_more(&self) {
        loop {
            let Some(raw) = self.unsent.borrow().front().copied() else {
                break;
            };
            // SAFETY: alive: written, and not sent.
            if let Sent::Later = unsafe { send(raw, ResponseCode::NO_ERROR) } {
                self.writable.add(None);
                break;
            }
            self.unsent.borrow_mut().pop_front();
        }
        self.finished();
    }

    /// A request is gone.
    fn finished(&self) {
        if self.closing.get() {
            // C may have put the port back into the loop, to send what it could not.
            self.stop_reading();
            self.settle_soon();
        }
    }

    // --- the end ----------------------------------------------------------------------------

    /// Settles at once, or when C is back from reading.
    pub(super) fn settle_soon(&self) {
        if self.running.get() == 0 {
            self.settle();
        } else {
            self.settle.trigger();
        }
    }

    /// Does what must not be done on top of C's reading.
    fn settle(&self) {
        if self.running.get() > 0 {
            return;
        }
        // The server may go with the last of what is done here.
        let (_me, hold) = (self.me.upgrade(), self.hold.take());
        if !self.closing.get() {
            return self.go_on();
        }
        // Requests may be in the closure.
        let callback = self.callback.take();
        self.base.inner().guard(|| drop(callback));
        drop_all(self.waiting.take());
        if !self.is_closed() && (hold.is_some() || self.in_flight() == 0) {
            self.free();
        }
    }

    /// Takes up what was kept back. C does not read meanwhile.
    fn go_on(&self) {
        while !self.closing.get() && !self.base.inner().is_stopped_by_us() {
            let Some(raw) = self.waiting.borrow_mut().pop_front() else {
                return self.burst.set(0);
            };
            self.dispatch(raw);
        }
        self.settle.trigger();
    }

    /// Frees the C server; not on top of its reading.
    fn free(&self) {
        self.stop_reading();
        self.drop_requests();
        self.settle.free();
        self.writable.free();
        let raw = self.raw.replace(ptr::null_mut());
        // SAFETY: ours, alive, closed once. It has no request, so C frees it, with its event and
        // the descriptor; nothing of C's is below us that uses it.
        unsafe { ffi::evdns_close_server_port(raw) };
        let inner = self.base.inner();
        drop(inner.remove_object(self.key.replace(usize::MAX)));
    }

    /// Gives up all that C holds for us.
    fn drop_requests(&self) {
        drop_all(self.requests.take().drain());
        drop_all(self.waiting.take());
        drop_all(self.unsent.take());
    }
}

/// C's event of a port, to whose structs there is no other way.
///
/// # Safety
/// Both are alive.
unsafe fn event_of(
    raw_base: *mut ffi::event_base,
    raw: *mut ffi::evdns_server_port,
    fd: ffi::evutil_socket_t,
) -> *mut ffi::event {
    struct Search {
        arg: *mut c_void,
        fd: ffi::evutil_socket_t,
        found: *mut ffi::event,
    }
    unsafe extern "C" fn look(
        _: *const ffi::event_base,
        event: *const ffi::event,
        search: *mut c_void,
    ) -> c_int {
        let search = search.cast::<Search>();
        // SAFETY: the event is alive during this call, and `search` waits for it.
        unsafe {
            let ours = ffi::event_get_callback_arg(event) == (*search).arg
                && ffi::event_get_fd(event) == (*search).fd;
            if ours {
                (*search).found = event.cast_mut();
            }
            c_int::from(ours)
        }
    }
    let mut search = Search {
        arg: raw.cast(),
        fd,
        found: ptr::null_mut(),
    };
    // SAFETY: the base is alive; `search` outlives the call, which only looks.
    unsafe { ffi::event_base_foreach_event(raw_base, Some(look), (&raw mut search).cast()) };
    search.found
}

/// Writes the reply into the request, as much as fits.
///
/// # Safety
/// `raw` is alive and not answered.
unsafe fn write(raw: RawRequest, reply: &mut Reply) -> Result<()> {
    // SAFETY: alive, says the caller, and as it was read.
    let asked = unsafe { questions(raw).map(|question| name(question).to_bytes()) };
    let is_cut = fit::cut(asked, &mut reply.records);
    let flag = |on, flag| if on { flag } else { 0 };
    let flags = flag(reply.authoritative, ffi::EVDNS_FLAGS_AA)
        | flag(reply.recursion_available, ffi::EVDNS_FLAGS_RD)
        | flag(is_cut, TRUNCATED);
    // SAFETY: as above.
    unsafe { ffi::evdns_server_request_set_flags(raw, flags) };
    for (section, record) in &reply.records {
        let (data, is_name) = (record.data.bytes(), record.data.is_name());
        // SAFETY: as above. All is copied: names up to their NUL, which a name as data has behind
        // its bytes, and other data as long as they are.
        let result = unsafe {
            ffi::evdns_server_request_add_reply(
                raw,
                *section as c_int,
                record.name.raw().as_ptr(),
                record.kind.0.into(),
                record.class.into(),
                record.ttl as c_int,
                data.len() as c_int,
                is_name.into(),
                data.as_ptr().cast(),
            )
        };
        if result != 0 {
            return Err(Error::Libevent {
                op: "evdns_server_request_add_reply",
            });
        }
    }
    Ok(())
}

/// Sends what was written. The code is for the first time that this is tried.
///
/// # Safety
/// `raw` is alive, and nobody else has it.
unsafe fn send(raw: RawRequest, code: ResponseCode) -> Sent {
    // SAFETY: alive. Its port has a count of its own, so that this frees the request at most.
    let result = unsafe { ffi::evdns_server_request_respond(raw, code.number().into()) };
    if result == 0 {
        return Sent::Done;
    }
    let error = io::Error::last_os_error().kind();
    let again = matches!(
        error,
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    );
    if result < 0 && again {
        return Sent::Later;
    }
    // Above 0, the system will not have it, and C means to try once more. It must not be there
    // when the port is closed; with the port closed, C would free that while it still uses it.
    // SAFETY: C is not done with it; it takes it from its list as well.
    unsafe { ffi::evdns_server_request_drop(raw) };
    Sent::Done
}

fn drop_all(requests: impl IntoIterator<Item = RawRequest>) {
    for raw in requests {
        // SAFETY: ours and alive, as its port is.
        unsafe { ffi::evdns_server_request_drop(raw) };
    }
}

impl Live for ServerRef {
    fn kind(&self) -> Kind {
        Kind::DnsServer
    }

    /// The base goes. In the callback, which is so only on a base that C owns and runs, the loop
    /// has to come back first.
    fn close(&self) {
        self.key.set(usize::MAX);
        if self.is_closed() {
            return;
        }
        self.closing.set(true);
        self.stop_reading();
        self.drop_requests();
        if self.running.get() > 0 {
            self.hold.set(self.me.upgrade());
            self.settle.trigger();
        } else {
            self.free();
            drop(self.callback.take());
        }
    }

    fn clear(&self) {}
}

/// C has read a request.
unsafe extern "C" fn on_request(raw: RawRequest, arg: *mut c_void) {
    // SAFETY: C calls until the port is freed.
    let server = unsafe { retain::<ServerRef>(arg) };
    server.incoming(raw);
}

unsafe extern "C" fn on_settle(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: this event is freed with the server.
    let server = unsafe { retain::<ServerRef>(arg) };
    server.settle();
}

unsafe extern "C" fn on_writable(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: this event is freed with the server.
    let server = unsafe { retain::<ServerRef>(arg) };
    server.send_more();
}
