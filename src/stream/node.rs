//! The counted node behind every stream: its C object, its handler, and what C calls.
//!
//! C's data pointer points at a [`BufferEventRef`], which an `Rc` owns. A trampoline takes a count
//! for the length of the call. The handler is moved out of its place while it runs: whatever it
//! does to its own stream, nobody frees it or calls it again meanwhile.

use super::direct::{Expected, Reader};
use super::event::{PeerSlot, StreamError};
pub(super) use super::state::{Call, Extra, Form, State, TlsSession};
use super::{Direction, Handler, StreamEvent, StreamShare};
use crate::base::{Kind, Live};
use crate::callback::retain;
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi, later};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::raw::{c_short, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

/// A stream: a connection with a buffer in each direction, as its handler and everybody but its
/// owner see it (C: `struct bufferevent`).
#[doc(alias = "bufferevent")]
pub struct BufferEventRef {
    base: LoopHandle,
    pub(super) form: Form,
    /// Null when closed.
    pub(super) raw: Cell<*mut ffi::bufferevent>,
    pub(super) state: Cell<State>,
    /// What the user has enabled.
    pub(super) enabled: Cell<Direction>,
    pub(super) fd: Cell<ffi::evutil_socket_t>,
    pub(super) handler: Cell<Option<Box<dyn Handler>>>,
    /// Reads the socket, while the stream is direct.
    pub(super) reader: Reader,
    pub(super) expected: Cell<Expected>,
    pub(super) key: Cell<u32>,
    /// What few streams have.
    pub(super) extra: Cell<Option<Box<Extra>>>,
    pub(super) peer: PeerSlot,
}

/// No entry among the base's objects.
pub(super) const NO_KEY: u32 = u32::MAX;

impl BufferEventRef {
    /// Takes over a C bufferevent that was just made; frees it when that fails.
    ///
    /// # Safety
    /// `raw` is alive, lives on `base`, and is nobody else's.
    pub(super) unsafe fn adopt(
        base: &LoopHandle,
        raw: *mut ffi::bufferevent,
        form: Form,
        state: State,
        handler: Box<dyn Handler>,
    ) -> Result<Rc<Self>> {
        let this = Rc::new(BufferEventRef {
            base: base.clone(),
            form,
            raw: Cell::new(raw),
            state: Cell::new(state),
            enabled: Cell::new(Direction::WRITE),
            fd: Cell::new(-1),
            handler: Cell::new(Some(handler)),
            reader: Reader::unset(),
            expected: Cell::new(Expected::FIRST),
            key: Cell::new(NO_KEY),
            extra: Cell::new(None),
            peer: PeerSlot::default(),
        });
        let object: Rc<dyn Live> = this.clone();
        // There is no memory for more objects than that.
        let key = base.inner().add_object(Rc::downgrade(&object)) as u32;
        this.key.set(key);
        // The queue is there before it is needed, so that writing cannot fail.
        if let Err(error) = base.inner().flush_queue() {
            this.close();
            return Err(error);
        }
        // SAFETY: alive, by the caller's promise. The node outlives the callbacks: they end with
        // bufferevent_free in `close`, until when the owner or the base holds a count.
        unsafe {
            let arg = Rc::as_ptr(&this).cast_mut().cast::<c_void>();
            ffi::bufferevent_setcb(raw, Some(on_read), Some(on_write), Some(on_event), arg);
        }
        Ok(this)
    }

    /// The loop that this stream lives on.
    #[doc(alias = "bufferevent_get_base")]
    pub fn handle(&self) -> &LoopHandle {
        &self.base
    }

    /// Whether it was closed, by [`close`](Self::close) or by the end of its base.
    pub fn is_closed(&self) -> bool {
        self.raw.get().is_null()
    }

    pub(super) fn is(&self, state: State) -> bool {
        self.state.get().contains(state)
    }

    pub(super) fn set(&self, state: State, on: bool) {
        let mut now = self.state.get();
        now.set(state, on);
        self.state.set(now);
    }

    pub(super) fn open(&self) -> Result<*mut ffi::bufferevent> {
        let raw = self.raw.get();
        if raw.is_null() {
            return Err(Error::Closed { what: "stream" });
        }
        Ok(raw)
    }

    /// As [`open`](Self::open), for what ends or replaces something: one that another stream lives
    /// on is closed to its users.
    pub(super) fn user_open(&self) -> Result<*mut ffi::bufferevent> {
        match self.is(State::BELOW) {
            true => Err(Error::Closed { what: "stream" }),
            false => self.open(),
        }
    }

    /// Calls C with the open bufferevent. C may call the user's code from inside, such as a
    /// filter: the base stays until C is back, and what had to wait is done then.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(*mut ffi::bufferevent) -> R) -> Result<R> {
        let raw = self.open()?;
        let entered = self.base.inner().enter();
        let result = f(raw);
        drop(entered);
        later::run();
        Ok(result)
    }

    /// A share in the stream, to get at it from elsewhere, such as from a timer or from the
    /// handler of another stream. It does not keep the connection: once that is closed, what can
    /// fail returns [`Error::Closed`].
    pub fn share(&self) -> StreamShare {
        StreamShare(self.me())
    }

    /// Itself, counted.
    pub(super) fn me(&self) -> Rc<Self> {
        // SAFETY: `adopt`, the only constructor, puts it into an `Rc`, which nobody outside gets
        // and so nobody takes it out of; whoever calls holds a reference, and so somebody a count.
        unsafe { retain(ptr::from_ref(self).cast_mut().cast()) }
    }

    pub(super) fn with_extra<R>(&self, f: impl FnOnce(&mut Extra) -> R) -> R {
        let mut extra = self.extra.take().unwrap_or_default();
        let result = f(&mut extra);
        let nested = self.extra.replace(Some(extra));
        debug_assert!(nested.is_none(), "`f` looks at the extras only");
        result
    }

    /// What `f` finds in the extras, if there are any.
    pub(super) fn extra<R>(&self, f: impl FnOnce(&mut Extra) -> Option<R>) -> Option<R> {
        let mut extra = self.extra.take()?;
        let result = f(&mut extra);
        let nested = self.extra.replace(Some(extra));
        debug_assert!(nested.is_none(), "`f` looks at the extras only");
        result
    }

    pub(super) fn read_low(&self) -> usize {
        self.setting(|extra| extra.read_low)
    }

    pub(super) fn read_high(&self) -> usize {
        self.setting(|extra| extra.read_high)
    }

    pub(super) fn write_low(&self) -> usize {
        self.setting(|extra| extra.write_low)
    }

    pub(super) fn read_timeout(&self) -> Option<Duration> {
        self.setting(|extra| extra.read_timeout)
    }

    /// What few streams have set.
    #[inline]
    fn setting<R: Default>(&self, f: impl FnOnce(&Extra) -> R) -> R {
        let extra = self.extra.take();
        let value = extra.as_deref().map(f).unwrap_or_default();
        self.extra.set(extra);
        value
    }

    /// Replaces the handler. Inside a callback the new one takes over when the callback returns.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "bufferevent_setcb")]
    pub fn set_handler(&self, handler: impl Handler) -> Result<()> {
        self.user_open()?;
        let old = self.handler.replace(Some(Box::new(handler)));
        drop(old);
        Ok(())
    }

    /// The handler, unless it runs.
    pub(super) fn take_handler(&self) -> Option<Box<dyn Handler>> {
        self.handler.take()
    }

    /// Calls the handler. Of what comes while it runs, it hears when it has returned.
    pub(super) fn dispatch(&self, call: Call) {
        let state = self.state.get();
        if state.contains(State::CLOSED) {
            return;
        }
        if state.contains(State::RUNNING) {
            return self.missed(call);
        }
        let Some(mut handler) = self.handler.take() else {
            return self.pass_up(call);
        };
        self.state.set(state | State::RUNNING);
        let result = catch_unwind(AssertUnwindSafe(|| match call {
            Call::Read => handler.on_read(self),
            Call::Write => handler.on_write(self),
            Call::Event(event) => handler.on_event(self, event),
        }));
        self.set(State::RUNNING, false);
        let inner = self.base.inner();
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => inner.failed(error),
            Err(payload) => inner.panicked(payload),
        }
        // It stays, unless it was replaced or its stream closed.
        let newer = self.handler.take();
        let (next, old) = match newer {
            None if !self.state.get().intersects(State::CLOSED | State::BELOW) => {
                (Some(handler), None)
            }
            newer => (newer, Some(handler)),
        };
        self.handler.set(next);
        if let Some(old) = old {
            inner.guard(|| drop(old));
        }
        if self.state.get().intersects(
            State::MISSED_READ
                .union(State::MISSED_WRITE)
                .union(State::MISSED_EVENT),
        ) {
            self.catch_up();
        }
    }

    #[cold]
    fn missed(&self, call: Call) {
        match call {
            Call::Read => self.set(State::MISSED_READ, true),
            Call::Write => self.set(State::MISSED_WRITE, true),
            Call::Event(event) => {
                self.set(State::MISSED_EVENT, true);
                let before = self.with_extra(|extra| extra.missed_event.replace(event));
                drop(before);
            }
        }
    }

    /// What was missed is queued: the loop calls again.
    #[cold]
    fn catch_up(&self) {
        let missed = self.state.get();
        for flag in [State::MISSED_READ, State::MISSED_WRITE, State::MISSED_EVENT] {
            self.set(flag, false);
        }
        if missed.contains(State::MISSED_EVENT)
            && let Some(event) = self.extra(|extra| extra.missed_event.take())
        {
            self.dispatch(Call::Event(event));
        }
        let mut what = 0;
        if missed.contains(State::MISSED_READ) {
            what |= ffi::EV_READ;
        }
        if missed.contains(State::MISSED_WRITE) {
            what |= ffi::EV_WRITE;
        }
        if let Ok(raw) = self.open()
            && what != 0
        {
            let options = ffi::BEV_TRIG_IGNORE_WATERMARKS | ffi::BEV_TRIG_DEFER_CALLBACKS;
            // SAFETY: alive; deferred, so nothing is called from here.
            unsafe { ffi::bufferevent_trigger(raw, what as c_short, options as _) };
        }
    }

    /// Ends the connection at once, for good: what is in the output and can be sent without
    /// waiting is sent, the rest is lost, the descriptor is closed, and the handler is not called
    /// again. Legal at any time, also inside the handler, which is then dropped when it returns.
    /// Closing twice is fine.
    ///
    /// [`close_when_flushed`](Self::close_when_flushed) waits for the output to be sent.
    #[doc(alias = "bufferevent_free")]
    pub fn close(&self) {
        if self.user_open().is_err() {
            return;
        }
        if self.is(State::DIRECT) {
            self.send_last();
        }
        let raw = self.raw.replace(ptr::null_mut());
        self.reader.free();
        self.end_attempt();
        let entered = self.base.inner().enter();
        // SAFETY: it was ours and alive; C counts references while it runs a callback of it.
        unsafe { self.free(raw) };
        drop(entered);
        self.set(State::CLOSED, true);
        if let Some(below) = self.below() {
            below.gone();
        }
        let extra = self.extra.take();
        // The key is another object's as soon as one is made.
        let key = self.key.replace(NO_KEY);
        let object = self.base.inner().remove_object(key as usize);
        // None while it is running: `dispatch` drops that one.
        let handler = self.handler.take();
        drop((extra, handler, object));
        later::run();
    }

    /// # Safety
    /// `raw` is the bufferevent of this node, alive, and not used after this.
    unsafe fn free(&self, raw: *mut ffi::bufferevent) {
        // SAFETY: the caller's promise. A socket is taken out of the loop and closed at once, where
        // C would wait for a turn of the loop; without it C has nothing to close.
        unsafe {
            let fd = self.let_go(raw);
            ffi::bufferevent_free(raw);
            if fd >= 0 {
                ffi::evutil_closesocket(fd);
            }
        }
    }

    /// The event that C's bits stand for.
    pub(super) fn event(&self, what: c_short, errno: io::Error) -> Option<StreamEvent> {
        match self.tls_session() {
            Some(tls) => tls.event(self, what, errno),
            None => Some(self.plain_event(what, errno)),
        }
    }

    pub(super) fn tls_session(&self) -> Option<Rc<dyn TlsSession>> {
        self.extra(|extra| extra.tls.clone())
    }

    fn plain_event(&self, what: c_short, errno: io::Error) -> StreamEvent {
        let what = u32::from(what as u16);
        let is = |flag: c_short| what & u32::from(flag as u16) != 0;
        let direction = if is(ffi::BEV_EVENT_READING as c_short) {
            Direction::READ
        } else {
            Direction::WRITE
        };
        if is(ffi::BEV_EVENT_CONNECTED as c_short) {
            return StreamEvent::Connected;
        }
        self.enabled.set(self.enabled.get() - direction);
        if direction == Direction::WRITE {
            // C has disabled it.
            self.set(State::C_WRITES, false);
        }
        let timed_out = is(ffi::BEV_EVENT_TIMEOUT as c_short);
        if is(ffi::BEV_EVENT_ERROR as c_short) || direction == Direction::WRITE && timed_out {
            self.set(State::STUCK, true);
        }
        let connecting = self.is(State::CONNECTING);
        if connecting {
            self.set(State::CONNECTING, false);
            self.drop_socket();
        }
        let peer = self.peer();
        if is(ffi::BEV_EVENT_EOF as c_short) {
            if direction == Direction::WRITE && self.form == Form::Socket {
                // Nothing could be written though there was something: a file became shorter.
                let source = io::ErrorKind::UnexpectedEof.into();
                return StreamEvent::Failed(StreamError::Io { peer, source });
            }
            self.set(State::AT_EOF, true);
            return StreamEvent::Eof;
        }
        if timed_out {
            return match connecting {
                true => StreamEvent::Failed(StreamError::ConnectTimedOut { peer }),
                false => StreamEvent::TimedOut(direction),
            };
        }
        if connecting && errno.kind() == io::ErrorKind::TimedOut {
            return StreamEvent::Failed(StreamError::ConnectTimedOut { peer });
        }
        StreamEvent::Failed(StreamError::from_os(peer, errno))
    }

    /// The end of each callback of C's: what the handler wrote goes out, and what had to wait for
    /// C is done.
    #[inline]
    pub(super) fn settle(&self) {
        if self.is(State::DIRECT) && !self.raw.get().is_null() {
            self.flush_direct();
        }
        if self
            .state
            .get()
            .intersects(State::FINISHING | State::ENDING)
        {
            self.finish_if_flushed();
        }
        later::run();
    }
}

impl Live for BufferEventRef {
    fn kind(&self) -> Kind {
        Kind::BufferEvent
    }

    fn close(&self) {
        BufferEventRef::close(self);
    }

    fn clear(&self) {}
}

impl fmt::Debug for BufferEventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferEventRef")
            .field("ptr", &self.raw.get())
            .field("peer", &self.peer())
            .field("enabled", &self.enabled.get())
            .field("input", &self.input().len())
            .field("output", &self.output().len())
            .finish_non_exhaustive()
    }
}

/// # Safety
/// `arg` is the data pointer of a bufferevent that was not freed yet.
#[inline(always)]
unsafe fn node(arg: *mut c_void) -> Rc<BufferEventRef> {
    // SAFETY: `adopt` set it; C calls only before bufferevent_free, on this thread, until when
    // the owner or the base holds a count.
    let node = unsafe { retain::<BufferEventRef>(arg) };
    node.base.inner().count_callback();
    node
}

/// The body of what C calls: no panic gets out of it, such as that of a handler that is dropped.
#[inline(always)]
fn called(node: Rc<BufferEventRef>, f: impl FnOnce(&Rc<BufferEventRef>)) {
    let inner = node.base.inner();
    inner.guard(|| f(&node));
    inner.guard(|| node.settle());
}

unsafe extern "C" fn on_read(_: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: C passes what `adopt` set.
    called(unsafe { node(arg) }, |node| node.dispatch_read());
}

unsafe extern "C" fn on_write(_: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: as above.
    called(unsafe { node(arg) }, |node| {
        node.written_by_c();
        node.dispatch(Call::Write);
    });
}

unsafe extern "C" fn on_event(_: *mut ffi::bufferevent, what: c_short, arg: *mut c_void) {
    let errno = io::Error::last_os_error();
    // SAFETY: as above.
    called(unsafe { node(arg) }, |node| {
        let what = node.late_events(what);
        if what == 0 {
            return;
        }
        // It is about the lowest one that C has no other way to tell of.
        let origin = node.origin();
        if let Some(event) = origin.event(what, errno) {
            if let StreamEvent::Connected = event {
                node.connected();
            }
            origin.event_from_below(event);
        }
    });
}

/// The event that reads a direct stream.
pub(super) unsafe extern "C" fn on_readable(
    _: ffi::evutil_socket_t,
    what: c_short,
    arg: *mut c_void,
) {
    // SAFETY: `watch` set it; C calls only before event_free, on this thread, until when the
    // owner or the base holds a count.
    called(unsafe { node(arg) }, |node| node.readable(what));
}
