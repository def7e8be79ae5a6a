use super::core::{EventCore, Timeout};
use super::node::{self, Owned, Replacement};
use super::{owner, view};
use crate::base::{Features, Kind};
use crate::callback::CallbackResult;
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi};
use std::cell::Cell;
use std::os::raw::c_short;

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket};

/// The system's number of a descriptor or socket.
#[cfg(unix)]
pub type RawSocket = std::os::fd::RawFd;
/// The system's number of a descriptor or socket.
#[cfg(windows)]
pub type RawSocket = std::os::windows::io::RawSocket;

/// What an event can watch: anything that has a descriptor (on Windows: a socket) and keeps it
/// open, such as a `TcpStream`, an `OwnedFd`, or an `Rc` of one that others use too.
#[cfg(unix)]
pub trait Source: AsFd + 'static {}
#[cfg(unix)]
impl<S: AsFd + 'static> Source for S {}

/// What an event can watch: anything that has a descriptor (on Windows: a socket) and keeps it
/// open, such as a `TcpStream`, or an `Rc` of one that others use too.
#[cfg(windows)]
pub trait Source: AsSocket + 'static {}
#[cfg(windows)]
impl<S: AsSocket + 'static> Source for S {}

fn raw_socket<S: Source>(source: &S) -> RawSocket {
    #[cfg(unix)]
    return source.as_fd().as_raw_fd();
    #[cfg(windows)]
    return source.as_socket().as_raw_socket();
}

bitflags::bitflags! {
    /// What to wait for on a descriptor.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Interest: u16 {
        /// There is something to read, or the peer has closed.
        #[doc(alias = "EV_READ")]
        const READ = ffi::EV_READ as u16;
        /// There is room to write.
        #[doc(alias = "EV_WRITE")]
        const WRITE = ffi::EV_WRITE as u16;
        /// The peer has closed, though there may be something left to read.
        #[doc(alias = "EV_CLOSED")]
        const CLOSED = ffi::EV_CLOSED as u16;
        /// Call once for each change, not as long as the descriptor is ready.
        #[doc(alias = "EV_ET")]
        const EDGE = ffi::EV_ET as u16;
    }
}

bitflags::bitflags! {
    /// Why the callback of an [`Event`] runs.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Ready: u16 {
        /// There is something to read, or the peer has closed.
        const READ = ffi::EV_READ as u16;
        /// There is room to write.
        const WRITE = ffi::EV_WRITE as u16;
        /// The peer has closed.
        const CLOSED = ffi::EV_CLOSED as u16;
        /// Nothing happened for as long as the timeout says.
        #[doc(alias = "EV_TIMEOUT")]
        const TIMEOUT = ffi::EV_TIMEOUT as u16;
    }
}

owner! {
    /// Watches a descriptor: calls its closure when there is something to read, room to write,
    /// or nothing for too long.
    ///
    /// The event holds its [`Source`], so that the descriptor cannot be closed, and its number
    /// reused, while it is watched. To go on using it elsewhere, share it with an `Rc`.
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use libevent2::{Event, EventBase, Interest};
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let mut base = EventBase::new()?;
    /// let (here, mut there) = UnixStream::pair().unwrap();
    /// let _reader = Event::new(&base, here, Interest::READ, |event, _ready| {
    ///     let mut text = [0; 16];
    ///     let n = event.source().read(&mut text)?;
    ///     assert_eq!(&text[..n], b"hello");
    ///     event.close();
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// there.write_all(b"hello").unwrap();
    /// base.run()?;
    /// # }
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    #[doc(alias = "event_new")]
    Event<S> => EventRef<S>
}

/// What the callback of an [`Event`] sees of its event.
#[repr(C)]
pub struct EventRef<S: 'static> {
    core: EventCore,
    raw: RawSocket,
    source: S,
    interest: Interest,
    watched: Cell<bool>,
    timeout: Cell<Option<Timeout>>,
    replacement: Replacement<EventRef<S>>,
}

view!(EventRef<S>, what: Ready = |bits| Ready::from_bits_truncate(bits as u16));

impl<S: Source> Event<S> {
    /// Calls `callback` each time that `source` is ready, until the event is closed.
    ///
    /// The descriptor should be non-blocking.
    ///
    /// # Errors
    /// - [`Error::Os`] when the back end refuses the descriptor (epoll: a regular file);
    /// - [`Error::Unsupported`] for [`Interest::EDGE`] or [`Interest::CLOSED`] on a back end
    ///   without it;
    /// - [`Error::Invalid`] for no interest at all or an unknown one, or when the descriptor is
    ///   watched both edge-triggered and not;
    /// - [`Error::Closed`] when the base is gone.
    #[doc(alias = "event_add")]
    pub fn new<O: CallbackResult + 'static>(
        base: &LoopHandle,
        source: S,
        interest: Interest,
        callback: impl FnMut(&EventRef<S>, Ready) -> O + 'static,
    ) -> Result<Self> {
        EventBuilder::new(interest).build(base, source, callback)
    }

    /// Calls `callback` once, when `source` is ready or the timeout has passed, and then closes
    /// the event. Dropping it before cancels it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[doc(alias = "event_base_once")]
    pub fn once<O: CallbackResult + 'static>(
        base: &LoopHandle,
        source: S,
        interest: Interest,
        timeout: Option<Timeout>,
        callback: impl FnOnce(&LoopHandle, Ready) -> O + 'static,
    ) -> Result<Self> {
        let mut callback = Some(callback);
        let builder = EventBuilder {
            persistent: false,
            timeout,
            ..EventBuilder::new(interest)
        };
        builder.build(base, source, move |event, ready| {
            let callback = callback.take();
            event.close();
            callback.map_or(Ok(()), |callback| callback(event.handle(), ready).outcome())
        })
    }
}

/// How an [`Event`] is to be made, where [`Event::new`] is not enough.
///
/// ```
/// # #[cfg(unix)] {
/// use libevent2::{EventBase, EventBuilder, Interest, Ready};
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
///
/// let mut base = EventBase::new()?;
/// let (silent, _peer) = UnixStream::pair().unwrap();
/// let _event = EventBuilder::new(Interest::READ)
///     .timeout(Duration::from_millis(5))
///     .once()
///     .priority(0)
///     .build(&base, silent, |_, ready| assert_eq!(ready, Ready::TIMEOUT))?;
/// base.run()?;
/// # }
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct EventBuilder {
    interest: Interest,
    persistent: bool,
    timeout: Option<Timeout>,
    priority: Option<usize>,
    pending: bool,
}

impl EventBuilder {
    /// An event that waits for `interest` until it is closed, without a timeout.
    pub fn new(interest: Interest) -> Self {
        EventBuilder {
            interest,
            persistent: true,
            timeout: None,
            priority: None,
            pending: true,
        }
    }

    /// Not pending any more once it was called, until [`EventRef::add`].
    pub fn once(mut self) -> Self {
        self.persistent = false;
        self
    }

    /// Called with [`Ready::TIMEOUT`] when nothing happened for so long. The time begins anew
    /// after each call.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// See [`EventCore::set_priority`].
    pub fn priority(mut self, priority: usize) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Not pending before [`EventRef::add`].
    pub fn paused(mut self) -> Self {
        self.pending = false;
        self
    }

    /// Makes the event.
    ///
    /// # Errors
    /// As [`Event::new`], and [`Error::Invalid`] for a priority that the base does not have, or
    /// for a timeout of zero unless the event is called [once](Self::once).
    pub fn build<S: Source, O: CallbackResult + 'static>(
        self,
        base: &LoopHandle,
        source: S,
        callback: impl FnMut(&EventRef<S>, Ready) -> O + 'static,
    ) -> Result<Event<S>> {
        base.inner().open()?;
        self.check(base)?;
        let raw = raw_socket(&source);
        let fd = raw as ffi::evutil_socket_t;
        let mut flags = self.interest.bits() as c_short;
        if self.persistent {
            flags |= ffi::EV_PERSIST as c_short;
        }
        let view = EventRef {
            core: EventCore::new(base, Kind::Event),
            replacement: Replacement::default(),
            interest: self.interest,
            timeout: Cell::new(self.timeout),
            watched: Cell::new(false),
            raw,
            source,
        };
        let event = Event(node::make(view, fd, flags, callback)?);
        base.inner().watch_fd(fd, event.is_edge())?;
        event.watched.set(true);
        if let Some(priority) = self.priority {
            event.set_priority(priority)?;
        }
        if self.pending {
            event.add()?;
        }
        Ok(event)
    }

    fn check(&self, base: &LoopHandle) -> Result<()> {
        if !Interest::all().contains(self.interest) {
            // `EV_SIGNAL` would take the descriptor's number for that of a signal.
            return Err(Error::invalid(
                "interest",
                format!(
                    "{:#x} has bits that stand for no interest",
                    self.interest.bits()
                ),
            ));
        }
        if (self.interest - Interest::EDGE).is_empty() {
            return Err(Error::invalid("interest", "it names nothing to wait for"));
        }
        check_timeout(self.persistent, self.timeout.as_ref())?;
        let features = base.features();
        for (interest, feature, what) in [
            (Interest::EDGE, Features::EDGE, "edge-triggering"),
            (Interest::CLOSED, Features::EARLY_CLOSE, "Interest::CLOSED"),
        ] {
            if self.interest.contains(interest) && !features.contains(feature) {
                return Err(Error::Unsupported {
                    what,
                    why: "its back end does not have it",
                });
            }
        }
        Ok(())
    }
}

/// To C, zero on an event that persists means one timeout at once, and then none.
fn check_timeout(persistent: bool, timeout: Option<&Timeout>) -> Result<()> {
    if persistent && timeout.is_some_and(|timeout| timeout.duration().is_zero()) {
        return Err(Error::invalid(
            "timeout",
            "it is zero on an event that persists; that is for one that runs once",
        ));
    }
    Ok(())
}

impl<S: 'static> EventRef<S> {
    /// What is watched.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The descriptor's number.
    #[doc(alias = "event_get_fd")]
    pub fn fd(&self) -> RawSocket {
        self.raw
    }

    /// What the event waits for.
    #[doc(alias = "event_get_events")]
    pub fn interest(&self) -> Interest {
        self.interest
    }

    /// What it waits for, its timeout included, and what it is about to be called for.
    #[doc(alias = "event_pending")]
    pub fn pending(&self) -> Ready {
        let raw = self.core.as_ptr();
        if raw.is_null() {
            return Ready::empty();
        }
        let all = Ready::all().bits() as c_short;
        // SAFETY: the event is alive; NULL stands for no interest in the deadline.
        let found = unsafe { ffi::event_pending(raw, all, std::ptr::null_mut()) };
        Ready::from_bits_truncate(found as u16)
    }

    /// Waits for the descriptor, again after [`remove`](Self::remove) or after an event that
    /// was made to be called once. The timeout, if there is one, begins anew.
    ///
    /// # Errors
    /// [`Error::Os`] when the back end refuses, [`Error::Closed`] when the event is closed.
    #[doc(alias = "event_add")]
    pub fn add(&self) -> Result<()> {
        let timeout = self.timeout.take();
        let added = self.core.add(timeout.as_ref());
        self.timeout.set(timeout);
        added
    }

    /// Does not wait for the descriptor until [`add`](Self::add). The callback does not run
    /// for what happened before either.
    #[doc(alias = "event_del")]
    pub fn remove(&self) {
        self.core.del();
    }

    /// Sets or takes away the timeout of a waiting event, and of each later [`add`](Self::add).
    ///
    /// # Errors
    /// As [`add`](Self::add), and [`Error::Invalid`] for zero on an event that persists.
    #[doc(alias = "event_remove_timer")]
    pub fn set_timeout(&self, timeout: Option<Timeout>) -> Result<()> {
        let raw = self.core.open()?;
        // SAFETY: the event is alive.
        let flags = unsafe { ffi::event_get_events(raw) };
        check_timeout(flags & ffi::EV_PERSIST as c_short != 0, timeout.as_ref())?;
        if let Some(Timeout::Common(common)) = &timeout {
            common.timeval(self.core.handle())?;
        }
        self.timeout.set(timeout);
        if !self.is_pending() {
            return Ok(());
        }
        // SAFETY: the event is alive. C keeps a timeout when an event is added without one.
        unsafe { ffi::event_remove_timer(raw) };
        self.add()
    }

    /// Calls the callback as if the descriptor were ready.
    ///
    /// # Errors
    /// [`Error::Closed`] when the event is closed.
    #[doc(alias = "event_active")]
    pub fn activate(&self, ready: Ready) -> Result<()> {
        self.core.activate(ready.bits() as c_short)
    }

    /// Puts another closure in the place of the present one, also from inside it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the event is closed.
    pub fn set_callback<O: CallbackResult + 'static>(
        &self,
        callback: impl FnMut(&EventRef<S>, Ready) -> O + 'static,
    ) -> Result<()> {
        node::replace(self, callback)
    }

    fn is_edge(&self) -> bool {
        self.interest.contains(Interest::EDGE)
    }

    fn on_closed(&self) {
        if self.watched.take() {
            let fd = self.raw as ffi::evutil_socket_t;
            self.core.handle().inner().unwatch_fd(fd, self.is_edge());
        }
    }
}

impl Event<()> {
    /// Takes over an event that C made with `event_new` on this base, with C's own callback: it
    /// can be added, removed and activated, and is freed with this value.
    ///
    /// # Safety
    /// `raw` is such an event, alive, freed by nobody else, and what its callback's argument
    /// points at outlives it.
    pub unsafe fn from_ptr(base: &LoopHandle, raw: *mut ffi::event) -> Self {
        // SAFETY: alive, says the caller.
        let (fd, bits) = unsafe { (ffi::event_get_fd(raw), ffi::event_get_events(raw)) };
        let view = EventRef {
            core: EventCore::new(base, Kind::Event),
            replacement: Replacement::default(),
            interest: Interest::from_bits_truncate(bits as u16),
            timeout: Cell::new(None),
            watched: Cell::new(false),
            raw: fd as RawSocket,
            source: (),
        };
        Event(Owned::adopt(view, raw))
    }
}
