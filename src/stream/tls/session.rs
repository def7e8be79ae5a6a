//! What a stream over TLS does differently from others: what its events mean, and its end.

use super::super::node::{Form, State, TlsSession};
use super::super::{BufferEventRef, Direction, StreamError, StreamEvent};
use super::handshake::Counted;
use super::last::{leave_loop, take_socket, write_out};
use super::reason::{cut_off, explain};
use super::sys::{self, Notice};
use crate::callback::retain;
use crate::event::InternalEvent;
use crate::ffi;
use crate::ffi::ssl as ffi_ssl;
use openssl::ssl::SslRef;
use std::cell::Cell;
use std::io;
use std::os::raw::{c_short, c_void};
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

type Watched = (*mut ffi::evbuffer, *mut ffi::evbuffer_cb_entry);

/// What is kept for a stream over TLS.
pub(super) struct Session {
    /// After an error OpenSSL must not be asked for anything more.
    failed: Cell<bool>,
    /// The stream below was told that nothing follows.
    told_below: Cell<bool>,
    /// Waits for room for the notice of the end.
    room: InternalEvent,
    /// Reads on what OpenSSL has already, when a rate limit lets it.
    rest: InternalEvent,
    /// The stream below has ended, but not all that it has was decrypted.
    below_ended: Cell<bool>,
    /// The buffers below, and what watches them.
    watched: Cell<[Watched; 2]>,
    /// What C calls meanwhile.
    handshake: Cell<Option<Counted>>,
}

impl Session {
    pub(super) fn new() -> Self {
        Session {
            failed: Cell::new(false),
            told_below: Cell::new(false),
            room: InternalEvent::unset(),
            rest: InternalEvent::unset(),
            below_ended: Cell::new(false),
            watched: Cell::new([(ptr::null_mut(), ptr::null_mut()); 2]),
            handshake: Cell::default(),
        }
    }

    /// The end of the peer's data: with notice, or without where that is allowed.
    fn end(
        &self,
        stream: &BufferEventRef,
        raw: *mut ffi::bufferevent,
        ssl: &SslRef,
    ) -> Option<StreamEvent> {
        if is_shaking(stream, ssl) {
            let error = cut_off(stream.peer(), true);
            return Some(self.broken(stream, raw, error));
        }
        if stream.is(State::AT_EOF) && !stream.enabled.get().contains(Direction::READ) {
            return None;
        }
        stream.set(State::AT_EOF, true);
        turn_off(stream, raw, Direction::READ);
        // C has stopped writing too.
        if stream.enabled.get().contains(Direction::WRITE) {
            // SAFETY: alive.
            unsafe { ffi::bufferevent_enable(raw, ffi::EV_WRITE as c_short) };
        }
        Some(StreamEvent::Eof)
    }

    /// An error, which may be no more than the end.
    fn failed(
        &self,
        stream: &BufferEventRef,
        raw: *mut ffi::bufferevent,
        ssl: &SslRef,
        error: StreamError,
    ) -> Option<StreamEvent> {
        if let StreamError::Tls {
            truncated: true, ..
        } = error
        {
            // SAFETY: alive.
            let lax = unsafe { ffi_ssl::bufferevent_openssl_get_allow_dirty_shutdown(raw) } == 1;
            if lax || sys::has_ended(ssl) {
                return self.end(stream, raw, ssl);
            }
        }
        Some(self.broken(stream, raw, error))
    }

    /// Whether there is something below that was not decrypted yet; its end is told after that.
    fn has_more(&self, stream: &BufferEventRef) -> bool {
        let more = stream
            .below()
            .is_some_and(|below| !below.input().is_empty());
        self.below_ended.set(more);
        more
    }

    /// The end of the connection by an error.
    fn broken(
        &self,
        stream: &BufferEventRef,
        raw: *mut ffi::bufferevent,
        error: StreamError,
    ) -> StreamEvent {
        self.failed.set(true);
        stream.set(State::CONNECTING, false);
        stream.set(State::STUCK, true);
        turn_off(stream, raw, Direction::BOTH);
        StreamEvent::Failed(error)
    }

    fn timed_out(
        &self,
        stream: &BufferEventRef,
        raw: *mut ffi::bufferevent,
        what: c_short,
    ) -> StreamEvent {
        if stream.is(State::CONNECTING) {
            let awaited = stream.extra(|extra| extra.awaited.take());
            drop(awaited);
            let peer = stream.peer();
            return self.broken(stream, raw, StreamError::ConnectTimedOut { peer });
        }
        let direction = match what & ffi::BEV_EVENT_READING as c_short {
            0 => Direction::WRITE,
            _ => Direction::READ,
        };
        turn_off(stream, raw, direction);
        StreamEvent::TimedOut(direction)
    }

    /// Has the stream hear when something has left the one below, either way.
    pub(super) fn watch(&self, stream: &Rc<BufferEventRef>, below: &BufferEventRef) {
        let (Ok(above), Ok(raw)) = (stream.open(), below.open()) else {
            return;
        };
        let arg = Rc::as_ptr(stream).cast_mut().cast::<c_void>();
        // SAFETY: alive. `let_go` removes it before either goes.
        unsafe {
            let output = ffi::bufferevent_get_output(raw);
            let input = ffi::bufferevent_get_input(raw);
            self.handshake.set(Some(Counted::install(raw, above)));
            self.watched.set([
                (output, ffi::evbuffer_add_cb(output, Some(sent_below), arg)),
                (input, ffi::evbuffer_add_cb(input, Some(taken_below), arg)),
            ]);
        }
    }
}

/// The input below has changed.
unsafe extern "C" fn taken_below(
    buffer: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: as for `sent_below`; so is C's buffer.
    let (stream, count, left) = unsafe {
        let left = ffi::evbuffer_get_length(buffer);
        (retain::<BufferEventRef>(arg), (*info).n_deleted, left)
    };
    if count > 0
        && left == 0
        && let Some(tls) = stream.tls_session()
    {
        tls.all_taken(&stream);
    }
}

/// The output below has changed.
unsafe extern "C" fn sent_below(
    _: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: C's `info` is alive, and so is the stream, which removes this before it goes.
    let (stream, count) = unsafe { (retain::<BufferEventRef>(arg), (*info).n_deleted) };
    if count > 0 {
        stream.sent_below();
        if stream
            .state
            .get()
            .intersects(State::FINISHING | State::ENDING)
        {
            stream.queue_flush();
        }
    }
}

impl TlsSession for Session {
    fn event(
        &self,
        stream: &BufferEventRef,
        what: c_short,
        errno: io::Error,
    ) -> Option<StreamEvent> {
        let raw = stream.open().ok()?;
        // SAFETY: alive.
        let ssl = unsafe { sys::ssl_of(raw) }?;
        let is = |flag: c_short| what & flag != 0;
        if is(ffi::BEV_EVENT_CONNECTED as c_short) {
            sys::set_modes(&ssl);
            // C does not tell TLS below that its handshake is complete, as it has to be by now.
            if let Some(below) = stream.below()
                && below.form == Form::Tls
            {
                below.set(State::CONNECTING, false);
            }
            turn_off(stream, raw, Direction::BOTH - stream.enabled.get());
            return Some(StreamEvent::Connected);
        }
        // SAFETY: alive.
        let errors = unsafe { sys::take_errors(raw) };
        if is(ffi::BEV_EVENT_EOF as c_short) && is(ffi::BEV_EVENT_READING as c_short) {
            return self.end(stream, raw, &ssl);
        }
        if !errors.is_empty() {
            let error = explain(
                &ssl,
                stream.peer(),
                &errors,
                errno,
                is_shaking(stream, &ssl),
            );
            return self.failed(stream, raw, &ssl, error);
        }
        if is(ffi::BEV_EVENT_TIMEOUT as c_short) {
            return Some(self.timed_out(stream, raw, what));
        }
        // Something has happened below. Its end comes without a side, and as an error.
        let below = stream.below()?;
        let sides = (ffi::BEV_EVENT_READING | ffi::BEV_EVENT_WRITING) as c_short;
        let what = match is(sides) {
            true => what,
            false => (ffi::BEV_EVENT_EOF | ffi::BEV_EVENT_READING) as c_short,
        };
        // From there it comes up again, and to `event_from_below`.
        let origin = below.origin();
        let event = origin.event(what, errno)?;
        origin.event_from_below(event);
        None
    }

    fn event_from_below(&self, stream: &BufferEventRef, event: StreamEvent) -> Option<StreamEvent> {
        let raw = stream.open().ok()?;
        // SAFETY: alive.
        let ssl = unsafe { sys::ssl_of(raw) }?;
        match event {
            StreamEvent::Eof if self.has_more(stream) => None,
            StreamEvent::Eof => {
                let error = cut_off(stream.peer(), is_shaking(stream, &ssl));
                self.failed(stream, raw, &ssl, error)
            }
            StreamEvent::Failed(error) => Some(self.broken(stream, raw, error)),
            StreamEvent::TimedOut(_) => Some(event),
            _ => None,
        }
    }

    fn all_taken(&self, stream: &BufferEventRef) {
        if self.below_ended.replace(false)
            && let Ok(raw) = stream.open()
        {
            let options = ffi::BEV_TRIG_DEFER_CALLBACKS as _;
            // SAFETY: alive; deferred, so it comes after what is decrypted now.
            unsafe {
                ffi::bufferevent_trigger_event(raw, ffi::BEV_EVENT_ERROR as c_short, options);
            }
        }
    }

    fn has_read(&self, stream: &BufferEventRef) {
        if stream.has_rest() {
            self.look_later(stream);
        }
    }

    fn notify_end(&self, stream: &BufferEventRef) -> bool {
        let Ok(raw) = stream.open() else { return true };
        // SAFETY: alive.
        let Some(ssl) = (unsafe { sys::ssl_of(raw) }) else {
            return true;
        };
        if !self.failed.get() && !sys::has_notified(&ssl) && sys::is_open(&ssl) {
            match sys::notify(&ssl) {
                Notice::Sent => {}
                Notice::Failed => self.failed.set(true),
                Notice::Waits if self.wait_for_room(stream, raw) => return false,
                Notice::Waits => {}
            }
        }
        // A protocol below has its own last words, once.
        if stream.is(State::FINISHING)
            && !self.told_below.replace(true)
            && let Some(below) = stream.below()
            && matches!(below.form, Form::Filter | Form::Tls)
        {
            let _ = below.shutdown_write();
        }
        true
    }

    fn let_go(&self, stream: &BufferEventRef, raw: *mut ffi::bufferevent) -> ffi::evutil_socket_t {
        self.room.free();
        self.rest.free();
        let none = (ptr::null_mut(), ptr::null_mut());
        for (buffer, entry) in self.watched.replace([none; 2]) {
            if !entry.is_null() {
                // SAFETY: alive, as what is below lives as long as this one; added by `watch`.
                unsafe { ffi::evbuffer_remove_cb_entry(buffer, entry) };
            }
        }
        // SAFETY: alive.
        let Some(ssl) = (unsafe { sys::ssl_of(raw) }) else {
            return -1;
        };
        if !self.failed.get() && sys::is_open(&ssl) && !sys::has_notified(&ssl) {
            // SAFETY: alive.
            if unsafe { write_out(raw, &ssl) } {
                sys::notify(&ssl);
            }
        }
        // SAFETY: alive, and freed by whoever calls.
        unsafe { leave_loop(raw) };
        // A handshake may be under way on the stack, if one of OpenSSL's callbacks closes the
        // stream: then C goes on with the socket, and closes it a turn of the loop later.
        let is_busy = !self.failed.get() && !sys::is_open(&ssl)
            || stream
                .above()
                .is_some_and(|above| above.is(State::CONNECTING));
        match stream.below() {
            None if is_busy => -1,
            // SAFETY: as above.
            None => unsafe { take_socket(raw, &ssl) },
            Some(_) => -1,
        }
    }
}

impl Session {
    /// Tries once more to tell the peer of the end when the socket has room; what is below another
    /// stream says so itself. False when that cannot be waited for.
    fn wait_for_room(&self, stream: &BufferEventRef, raw: *mut ffi::bufferevent) -> bool {
        if stream.below().is_some() {
            return true;
        }
        let Ok(base) = stream.handle().inner().open() else {
            return false;
        };
        self.room.free();
        let arg = ptr::from_ref(stream).cast_mut().cast::<c_void>();
        // SAFETY: the base is alive, and so are the stream and its descriptor until `close` frees
        // the event.
        let set = unsafe {
            let fd = ffi::bufferevent_getfd(raw);
            self.room
                .set_fd(base, fd, ffi::EV_WRITE as c_short, has_room, arg)
        };
        set.is_ok() && self.room.add(None)
    }
}

impl Session {
    /// C does not look at what OpenSSL has when a rate limit lets it read again, and the socket may
    /// have nothing more: asks now and then until that is empty.
    fn look_later(&self, stream: &BufferEventRef) {
        const NOW_AND_THEN: Duration = Duration::from_millis(20);
        if self.rest.is_unset() {
            let Ok(base) = stream.handle().inner().open() else {
                return;
            };
            let arg = ptr::from_ref(stream).cast_mut().cast::<c_void>();
            // SAFETY: the base is alive, and so is the stream until `let_go` frees the event.
            let _ = unsafe { self.rest.set(base, look, arg) };
        }
        self.rest.trigger_after(NOW_AND_THEN);
    }
}

unsafe extern "C" fn look(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `look_later` set it; the stream frees the event before it goes.
    let stream = unsafe { retain::<BufferEventRef>(arg) };
    stream.read_rest();
    if let Some(tls) = stream.tls_session() {
        tls.has_read(&stream);
    }
}

unsafe extern "C" fn has_room(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `wait_for_room` set it; the stream frees the event before it goes.
    let stream = unsafe { retain::<BufferEventRef>(arg) };
    stream.queue_flush();
}

/// Neither for us nor for C.
pub(super) fn turn_off(stream: &BufferEventRef, raw: *mut ffi::bufferevent, direction: Direction) {
    stream.enabled.set(stream.enabled.get() - direction);
    // SAFETY: alive. Over another stream C reads on when writing ends, so reading ends last.
    unsafe {
        if direction.contains(Direction::WRITE) {
            ffi::bufferevent_disable(raw, ffi::EV_WRITE as c_short);
        }
        if !stream.enabled.get().contains(Direction::READ) {
            ffi::bufferevent_disable(raw, ffi::EV_READ as c_short);
        }
    }
}

/// Whether the handshake is not complete yet. One that another stream lives on does not hear of
/// that.
fn is_shaking(stream: &BufferEventRef, ssl: &SslRef) -> bool {
    stream.is(State::CONNECTING) && !(stream.is(State::BELOW) && ssl.peer_finished(&mut [0; 8]) > 0)
}
