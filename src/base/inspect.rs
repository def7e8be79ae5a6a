//! Looking at a base: what lives on it, what it did, what C says of it.

use super::{Features, LoopHandle};
use crate::error::{Error, Result};
use crate::event::{Interest, RawSocket, Ready};
use crate::ffi;
use std::ffi::CStr;
use std::os::raw::{c_int, c_short, c_uint, c_void};

/// The kinds of objects that live on a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// [`Event`](crate::Event).
    Event,
    /// [`Timer`](crate::Timer).
    Timer,
    /// [`Signal`](crate::Signal).
    Signal,
    /// [`UserEvent`](crate::UserEvent).
    UserEvent,
    /// [`Idle`](crate::Idle).
    Idle,
    /// [`BufferEvent`](crate::stream::BufferEvent), of every kind.
    BufferEvent,
    /// [`RateLimitGroup`](crate::stream::RateLimitGroup).
    RateLimitGroup,
    /// [`Listener`](crate::listener::Listener).
    Listener,
    /// `http::Server`.
    HttpServer,
    /// `evhttp::Connection`.
    HttpConnection,
    /// A request that an `http::Server` received and whose answer is not fully sent.
    HttpRequest,
    /// [`dns::Resolver`](crate::dns::Resolver).
    Resolver,
    /// A lookup of a [`dns::Resolver`](crate::dns::Resolver) that is under way.
    Lookup,
    /// [`dns::Server`](crate::dns::Server).
    DnsServer,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 14] = [
        Kind::Event,
        Kind::Timer,
        Kind::Signal,
        Kind::UserEvent,
        Kind::Idle,
        Kind::BufferEvent,
        Kind::RateLimitGroup,
        Kind::Listener,
        Kind::HttpServer,
        Kind::HttpConnection,
        Kind::HttpRequest,
        Kind::Resolver,
        Kind::Lookup,
        Kind::DnsServer,
    ];
    pub(crate) const COUNT: usize = Self::ALL.len();
}

/// The live objects of a base, and what it has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    objects: [usize; Kind::COUNT],
    callbacks: u64,
    tasks: usize,
}

impl Stats {
    /// The number of live objects of one kind.
    pub fn live(&self, kind: Kind) -> usize {
        self.objects[kind as usize]
    }

    /// The number of live objects.
    pub fn live_total(&self) -> usize {
        self.objects.iter().sum()
    }

    /// The number of tasks that are not done (feature `async`).
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// The number of callbacks and polls of tasks that were run since the base was made.
    pub fn callbacks(&self) -> u64 {
        self.callbacks
    }
}

bitflags::bitflags! {
    /// Which events to count.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct EventCounts: u32 {
        /// Events whose callback is about to run.
        #[doc(alias = "EVENT_BASE_COUNT_ACTIVE")]
        const ACTIVE = ffi::EVENT_BASE_COUNT_ACTIVE as u32;
        /// What holds the loop without being an event.
        #[doc(alias = "EVENT_BASE_COUNT_VIRTUAL")]
        const VIRTUAL = ffi::EVENT_BASE_COUNT_VIRTUAL as u32;
        /// Events that are pending, those of libevent itself included.
        #[doc(alias = "EVENT_BASE_COUNT_ADDED")]
        const ADDED = ffi::EVENT_BASE_COUNT_ADDED as u32;
    }
}

/// One event of a base, whoever made it: Rust, C, or libevent for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventInfo {
    /// The descriptor, the signal number, or -1.
    pub fd: i64,
    /// What it waits for on the descriptor.
    pub interest: Interest,
    /// Whether `fd` is the number of a signal.
    pub is_signal: bool,
    /// Whether it stays pending after its callback.
    pub persistent: bool,
    /// Its priority; 0 is the most urgent.
    pub priority: usize,
}

impl LoopHandle {
    /// The live objects that were made through this base's handles, and callbacks run.
    pub fn stats(&self) -> Stats {
        Stats {
            objects: self.inner().count_objects(),
            callbacks: self.inner().callbacks(),
            tasks: self.inner().tasks(),
        }
    }

    /// The name of the back end, such as `"epoll"`; empty when the base is gone.
    #[doc(alias = "event_base_get_method")]
    pub fn method(&self) -> &'static str {
        let raw = self.as_ptr();
        if raw.is_null() {
            return "";
        }
        // SAFETY: the base is alive; the name is a string literal of libevent's.
        let name = unsafe { CStr::from_ptr(ffi::event_base_get_method(raw)) };
        name.to_str().unwrap_or("")
    }

    /// What the back end can do.
    #[doc(alias = "event_base_get_features")]
    pub fn features(&self) -> Features {
        let raw = self.as_ptr();
        if raw.is_null() {
            return Features::empty();
        }
        // SAFETY: the base is alive.
        let bits = unsafe { ffi::event_base_get_features(raw) };
        Features::from_bits_truncate(bits as u32)
    }

    /// The number of priorities; 0 when the base is gone.
    #[doc(alias = "event_base_get_npriorities")]
    pub fn priorities(&self) -> usize {
        let raw = self.as_ptr();
        if raw.is_null() {
            return 0;
        }
        // SAFETY: the base is alive.
        unsafe { ffi::event_base_get_npriorities(raw) as usize }
    }

    /// The number of events of this kind, as libevent counts them: C's and its own included.
    #[doc(alias = "event_base_get_num_events")]
    pub fn num_events(&self, which: EventCounts) -> usize {
        let raw = self.as_ptr();
        if raw.is_null() {
            return 0;
        }
        // SAFETY: the base is alive.
        unsafe { ffi::event_base_get_num_events(raw, which.bits() as c_uint) as usize }
    }

    /// The highest number of such events at one time; `clear` begins a new count.
    #[doc(alias = "event_base_get_max_events")]
    pub fn max_events(&self, which: EventCounts, clear: bool) -> usize {
        let raw = self.as_ptr();
        if raw.is_null() {
            return 0;
        }
        // SAFETY: the base is alive.
        unsafe {
            ffi::event_base_get_max_events(raw, which.bits() as c_uint, clear.into()) as usize
        }
    }

    /// libevent's own list of pending and active events, for a person to read.
    ///
    /// # Errors
    /// [`Error::Os`] when no temporary file can be made, [`Error::Closed`] when the base is gone.
    #[doc(alias = "event_base_dump_events")]
    pub fn dump(&self) -> Result<String> {
        let raw = self.inner().open()?;
        let file = TempFile::new()?;
        // SAFETY: the base and the FILE are alive.
        unsafe { ffi::event_base_dump_events(raw, file.0.cast()) };
        file.into_string()
    }

    /// All events of the base as they are now.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "event_base_foreach_event")]
    pub fn events(&self) -> Result<Vec<EventInfo>> {
        let raw = self.inner().open()?;
        let mut list = Vec::<EventInfo>::new();
        let arg = (&raw mut list).cast::<c_void>();
        // SAFETY: the base is alive; `list` outlives the call and is used by its callback only.
        unsafe { ffi::event_base_foreach_event(raw, Some(collect), arg) };
        Ok(list)
    }

    /// Activates every event that waits for one of these on `fd`, as if that had happened. For
    /// [`Ready::TIMEOUT`] these are the events of `fd` that have a timeout.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "event_base_active_by_fd")]
    pub fn activate_fd(&self, fd: RawSocket, ready: Ready) -> Result<()> {
        let raw = self.inner().open()?;
        let fd = fd as ffi::evutil_socket_t;
        if fd < 0 {
            // The number that all timers have, libevent's own included.
            return Ok(());
        }
        // C looks at timeouts only, when they are among what is asked for.
        let timeout = ready & Ready::TIMEOUT;
        let io = (ready & Ready::all()) - timeout;
        for bits in [io, timeout] {
            if !bits.is_empty() {
                // SAFETY: the base is alive; an fd without events is ignored.
                unsafe { ffi::event_base_active_by_fd(raw, fd, bits.bits() as c_short) };
            }
        }
        Ok(())
    }

    /// Activates every event of this signal, as if it had arrived.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "event_base_active_by_signal")]
    pub fn activate_signal(&self, signum: i32) -> Result<()> {
        let raw = self.inner().open()?;
        // SAFETY: the base is alive; a signal without events is ignored.
        unsafe { ffi::event_base_active_by_signal(raw, signum) };
        Ok(())
    }
}

/// Copies what there is to see of one event. It runs under the base's lock and over live lists,
/// so no code of the user's runs here.
unsafe extern "C" fn collect(
    _: *const ffi::event_base,
    event: *const ffi::event,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: `arg` is the Vec of `LoopHandle::events`, which waits for this call; `event` is
    // alive during it, and these calls take no lock.
    unsafe {
        let bits = ffi::event_get_events(event);
        (*arg.cast::<Vec<EventInfo>>()).push(EventInfo {
            fd: ffi::event_get_fd(event) as i64,
            interest: Interest::from_bits_truncate(bits as u16),
            is_signal: bits & ffi::EV_SIGNAL as c_short != 0,
            persistent: bits & ffi::EV_PERSIST as c_short != 0,
            priority: usize::try_from(ffi::event_get_priority(event)).unwrap_or(0),
        });
    }
    0
}

/// A C FILE that vanishes by itself.
struct TempFile(*mut libc::FILE);

impl TempFile {
    fn new() -> Result<Self> {
        // SAFETY: no preconditions.
        let file = unsafe { libc::tmpfile() };
        if file.is_null() {
            return Err(Error::last_os("tmpfile"));
        }
        Ok(TempFile(file))
    }

    fn into_string(self) -> Result<String> {
        let mut bytes = Vec::new();
        let mut chunk = [0u8; 4096];
        // SAFETY: the FILE is alive and ours; fread writes at most the chunk's length.
        unsafe {
            libc::rewind(self.0);
            loop {
                let n = libc::fread(chunk.as_mut_ptr().cast(), 1, chunk.len(), self.0);
                if n == 0 {
                    break;
                }
                bytes.extend_from_slice(&chunk[..n]);
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // SAFETY: ours, closed once.
        unsafe { libc::fclose(self.0) };
    }
}
