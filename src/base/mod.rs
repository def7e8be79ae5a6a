//! The event loop: [`EventBase`] owns and runs it, [`LoopHandle`] makes objects on it,
//! [`Remote`] reaches it from other threads, [`EventConfig`] says how it is made.

mod config;
mod handle;
mod inner;
mod inspect;
mod remote;

pub use config::{ConfigFlags, EventConfig, Features};
pub use handle::LoopHandle;
pub(crate) use inner::{Inner, Live};
pub use inspect::{EventCounts, EventInfo, Kind, Stats};
pub use remote::Remote;

use crate::callback::Failure;
use crate::error::{Error, Result};
use crate::ffi;
use std::fmt;
use std::ops::Deref;
use std::os::raw::c_int;
use std::panic::resume_unwind;
use std::ptr;
use std::rc::Rc;

/// The owner of an event loop (C: `struct event_base`).
///
/// It stays on the thread that made it. Objects are made through its [`LoopHandle`], to which it
/// dereferences; when the base is dropped, every object that still lives on it is closed.
///
/// ```
/// use libevent2::{EventBase, LoopEnd, Timer};
/// use std::time::Duration;
///
/// let mut base = EventBase::new()?;
/// let timer = Timer::after(&base, Duration::from_millis(1), |_| println!("tick"))?;
/// assert_eq!(base.run()?, LoopEnd::NoEvents);
/// # drop(timer);
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "event_base")]
#[doc(alias = "event_base_free")]
pub struct EventBase {
    handle: LoopHandle,
    owned: bool,
}

/// Why a run of the loop returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoopEnd {
    /// No event is pending or active any more.
    NoEvents,
    /// [`exit`](LoopHandle::exit) or [`exit_after`](LoopHandle::exit_after) asked for it.
    #[doc(alias = "event_base_got_exit")]
    Exit,
    /// [`exit_now`](LoopHandle::exit_now) asked for it.
    #[doc(alias = "event_base_got_break")]
    Break,
    /// The one turn that was asked for is over.
    Turn,
}

impl EventBase {
    /// A base with the best back end of this system and three priorities: 0 (urgent),
    /// 1 (normal, what every object gets) and 2 (idle work).
    ///
    /// # Errors
    /// [`Error::Os`] when the process has no descriptors left, [`Error::Unsupported`] when no back
    /// end can be set up.
    #[doc(alias = "event_base_new")]
    pub fn new() -> Result<Self> {
        EventConfig::new().build()
    }

    pub(crate) fn own(raw: *mut ffi::event_base, locked: bool) -> Self {
        EventBase {
            handle: LoopHandle::new(Inner::new(raw, locked)),
            owned: true,
        }
    }

    /// Takes over a base that C made; it is freed with this value. It has no
    /// [`Remote`](LoopHandle::remote) before [`assume_locks`](Self::assume_locks).
    ///
    /// # Safety
    /// `raw` is a live `event_base` that nobody else frees and that is not running; no other
    /// thread uses it, unless libevent's threading was switched on before it was made.
    pub unsafe fn from_ptr(raw: *mut ffi::event_base) -> Self {
        assert!(!raw.is_null(), "the event_base is NULL");
        EventBase::own(raw, false)
    }

    /// Allows [`remote`](LoopHandle::remote) on a base that C made, and has other threads wake its
    /// tasks.
    ///
    /// # Safety
    /// libevent's threading was switched on (`evthread_use_pthreads`) before the base was made,
    /// and it was made without `EVENT_BASE_FLAG_NOLOCK`.
    pub unsafe fn assume_locks(&self) {
        self.handle.inner().assume_locks();
    }

    /// Joins a base that C owns, and as a rule runs: Rust objects can be made on it and their
    /// callbacks run when C runs its loop. Dropping the value closes those objects and leaves
    /// the base alone.
    ///
    /// A panic of a callback stops C's loop; [`take_panic`](LoopHandle::take_panic) has its
    /// payload then, and [`take_error`](LoopHandle::take_error) an error that was returned.
    ///
    /// # Safety
    /// `raw` is a live `event_base` which stays alive until this value is dropped, and whose loop
    /// runs on this thread only. Events that were given to C with `into_ptr` are freed before
    /// this value is dropped.
    pub unsafe fn attach(raw: *mut ffi::event_base) -> Self {
        assert!(!raw.is_null(), "the event_base is NULL");
        EventBase {
            handle: LoopHandle::new(Inner::new(raw, false)),
            owned: false,
        }
    }

    /// Gives the C base away. All objects that were made on it through this value are closed.
    ///
    /// The caller has to free it with `event_base_free`, unless it was [attached](Self::attach).
    pub fn into_ptr(mut self) -> *mut ffi::event_base {
        self.owned = false;
        let raw = self.handle.inner().raw();
        drop(self);
        raw
    }

    /// The handle through which objects are made; it can be cloned into callbacks.
    pub fn handle(&self) -> &LoopHandle {
        &self.handle
    }

    /// Runs the loop until no event is left or it is told to stop, and says which.
    ///
    /// # Errors
    /// [`Error::Callback`] when a callback returned an error (see [`LoopHandle::on_error`]),
    /// [`Error::Os`] when the back end failed.
    ///
    /// # Panics
    /// With the payload of the first callback that panicked.
    #[doc(alias = "event_base_dispatch")]
    #[doc(alias = "event_base_loop")]
    pub fn run(&mut self) -> Result<LoopEnd> {
        let end = self.run_through();
        self.finish(end)
    }

    /// Also without events it goes on as long as there are tasks: another thread may wake them.
    fn run_through(&mut self) -> Result<LoopEnd> {
        loop {
            let mut end = self.turn(0)?;
            if end == LoopEnd::NoEvents && self.handle.inner().tasks() > 0 {
                self.handle.inner().hold_for_tasks(true);
                let waited = self.turn(ffi::EVLOOP_NO_EXIT_ON_EMPTY as c_int);
                self.handle.inner().hold_for_tasks(false);
                end = waited?;
            }
            // The last task is done, or one has interrupted the loop as its predecessor's run ended.
            if end != LoopEnd::Turn {
                return Ok(end);
            }
        }
    }

    /// Runs the loop until it is told to stop, also while there is no event: for a loop that
    /// waits for work from a [`Remote`].
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// With the payload of the first callback that panicked.
    #[doc(alias = "EVLOOP_NO_EXIT_ON_EMPTY")]
    pub fn run_until_exit(&mut self) -> Result<LoopEnd> {
        let end = self.turn(ffi::EVLOOP_NO_EXIT_ON_EMPTY as c_int);
        self.finish(end)
    }

    /// Waits until at least one event is active, runs what is active, and returns. Without events
    /// it waits if there are tasks, which another thread may wake.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// With the payload of the first callback that panicked.
    #[doc(alias = "EVLOOP_ONCE")]
    pub fn run_once(&mut self) -> Result<LoopEnd> {
        let flags = match self.handle.inner().tasks() {
            0 => ffi::EVLOOP_ONCE,
            _ => ffi::EVLOOP_ONCE | ffi::EVLOOP_NO_EXIT_ON_EMPTY,
        };
        let end = self.turn(flags as c_int);
        self.surface(end)
    }

    /// Runs what is active now, without waiting, and returns. An event that is ready all the time
    /// is called once.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// With the payload of the first callback that panicked.
    #[doc(alias = "EVLOOP_NONBLOCK")]
    pub fn run_nonblocking(&mut self) -> Result<LoopEnd> {
        // With NONBLOCK alone C goes on until nothing is active: for ever, when a descriptor stays
        // ready or there is idle work.
        let end = self.turn((ffi::EVLOOP_NONBLOCK | ffi::EVLOOP_ONCE) as c_int);
        self.surface(end)
    }

    pub(crate) fn turn(&mut self, flags: c_int) -> Result<LoopEnd> {
        let inner = self.handle.inner();
        let raw = inner.raw();
        // C forgets an interruption of a loop that has ended, too.
        inner.take_interrupt();
        if inner.take_break() {
            // C forgets a break that was asked for before its loop began.
            return Ok(LoopEnd::Break);
        }
        // SAFETY: the base is alive as long as `self`. `&mut self` keeps callbacks from getting
        // here again, and no reference to anything of ours is held that a callback may change.
        let code = unsafe { ffi::event_base_loop(raw, flags) };
        let broke = inner.take_break();
        let interrupted = inner.take_interrupt();
        // SAFETY: as above; these only read flags.
        let (got_break, got_exit) = unsafe {
            (
                ffi::event_base_got_break(raw) != 0,
                ffi::event_base_got_exit(raw) != 0,
            )
        };
        match code {
            _ if broke || got_break && !interrupted => Ok(LoopEnd::Break),
            _ if got_exit => Ok(LoopEnd::Exit),
            _ if interrupted => Ok(LoopEnd::Turn),
            0 if flags & (ffi::EVLOOP_ONCE | ffi::EVLOOP_NONBLOCK) as c_int != 0 => {
                Ok(LoopEnd::Turn)
            }
            0 | 1 => Ok(LoopEnd::NoEvents),
            _ => Err(Error::last_os("event_base_loop")),
        }
    }

    /// The end of a whole run: exit hooks, then what a callback left behind.
    pub(crate) fn finish<T>(&mut self, end: Result<T>) -> Result<T> {
        self.handle.inner().guard(crate::later::run);
        self.handle.inner().run_exit_hooks(&self.handle);
        self.handle.inner().take_break();
        self.surface(end)
    }

    fn surface<T>(&mut self, end: Result<T>) -> Result<T> {
        match self.handle.inner().take_failure() {
            None => end,
            Some(Failure::Error(error)) => Err(Error::Callback(error)),
            Some(Failure::Panic(payload)) => resume_unwind(payload),
        }
    }

    /// Sets the base up again in a child process after `fork`: the back end is opened anew and
    /// pending events are registered again.
    ///
    /// # Errors
    /// [`Error::Libevent`] when some events could not be added again.
    ///
    /// # Safety
    /// Call it in the child of a `fork`, before anything else is done with the base, and only
    /// when the loop was not running at the time of the `fork`. No other thread of the parent
    /// may have been inside libevent then.
    #[doc(alias = "event_reinit")]
    pub unsafe fn reinit_after_fork(&mut self) -> Result<()> {
        // SAFETY: the base is alive; the rest is the caller's promise.
        match unsafe { ffi::event_reinit(self.handle.inner().raw()) } {
            0 => Ok(()),
            _ => Err(Error::Libevent { op: "event_reinit" }),
        }
    }
}

impl Deref for EventBase {
    type Target = LoopHandle;

    fn deref(&self) -> &LoopHandle {
        &self.handle
    }
}

impl Drop for EventBase {
    fn drop(&mut self) {
        let inner = Rc::clone(self.handle.inner());
        inner.run_exit_hooks(&self.handle);
        inner.close_objects();
        let raw = inner.forget_raw();
        if self.owned {
            // SAFETY: it is ours, no object of ours lives on it any more, and it is not running:
            // a running one is borrowed by `run`.
            unsafe { inner.free_raw(raw) };
        }
        inner.guard(crate::later::run);
        if let Some(Failure::Panic(payload)) = inner.take_failure()
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }
}

impl fmt::Debug for EventBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self.handle.inner().raw();
        f.debug_struct("EventBase")
            .field("ptr", &ptr::from_ref(&raw))
            .field("owned", &self.owned)
            .finish_non_exhaustive()
    }
}
