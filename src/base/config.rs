use super::EventBase;
use crate::error::{Error, Result};
use crate::ffi;
use crate::init::{self, Threading};
use crate::time;
use std::ffi::CString;
use std::os::raw::c_int;
use std::ptr;
use std::time::Duration;

bitflags::bitflags! {
    /// What a back end can do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Features: u32 {
        /// Edge-triggered events.
        #[doc(alias = "EV_FEATURE_ET")]
        const EDGE = ffi::EV_FEATURE_ET as u32;
        /// The cost of an event does not grow with the number of events.
        #[doc(alias = "EV_FEATURE_O1")]
        const O1 = ffi::EV_FEATURE_O1 as u32;
        /// Descriptors of any type, not only sockets.
        #[doc(alias = "EV_FEATURE_FDS")]
        const FDS = ffi::EV_FEATURE_FDS as u32;
        /// Notice of a peer that closed, without reading what it sent before.
        #[doc(alias = "EV_FEATURE_EARLY_CLOSE")]
        const EARLY_CLOSE = ffi::EV_FEATURE_EARLY_CLOSE as u32;
    }
}

bitflags::bitflags! {
    /// How a base works; see [`EventConfig::flags`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ConfigFlags: u32 {
        /// Do not look at the `EVENT_*` environment variables.
        #[doc(alias = "EVENT_BASE_FLAG_IGNORE_ENV")]
        const IGNORE_ENV = ffi::EVENT_BASE_FLAG_IGNORE_ENV as u32;
        /// Windows: start the IOCP dispatcher with the base.
        #[doc(alias = "EVENT_BASE_FLAG_STARTUP_IOCP")]
        const STARTUP_IOCP = ffi::EVENT_BASE_FLAG_STARTUP_IOCP as u32;
        /// Ask the system for the time whenever it is needed instead of once a turn.
        #[doc(alias = "EVENT_BASE_FLAG_NO_CACHE_TIME")]
        const NO_CACHE_TIME = ffi::EVENT_BASE_FLAG_NO_CACHE_TIME as u32;
        /// epoll: collect changes and make them once a turn. Faster where events are often added
        /// and removed; wrong results if two descriptors that are `dup`s of one are watched.
        #[doc(alias = "EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST")]
        const EPOLL_USE_CHANGELIST = ffi::EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST as u32;
        /// The most precise clock there is, even if it is slower.
        #[doc(alias = "EVENT_BASE_FLAG_PRECISE_TIMER")]
        const PRECISE_TIMER = ffi::EVENT_BASE_FLAG_PRECISE_TIMER as u32;
    }
}

/// How an [`EventBase`] is to be made (C: `struct event_config`).
///
/// ```
/// use libevent2::{EventConfig, Features};
///
/// let base = EventConfig::new()
///     .require(Features::EDGE)
///     .avoid_method("select")
///     .priorities(5)
///     .build()?;
/// assert_ne!(base.method(), "select");
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
#[doc(alias = "event_config")]
#[doc(alias = "event_config_new")]
#[doc(alias = "event_config_free")]
pub struct EventConfig {
    avoid: Vec<String>,
    require: Features,
    flags: ConfigFlags,
    threading: Threading,
    priorities: Option<usize>,
    cpus: Option<usize>,
    dispatch: Option<DispatchLimit>,
}

#[derive(Debug, Clone)]
struct DispatchLimit {
    interval: Option<Duration>,
    callbacks: Option<usize>,
    from_priority: usize,
}

/// The queues that a base gets unless told otherwise. Everything that C makes without asking
/// lands in the middle one, which leaves one queue above it and one below it for idle work.
pub(super) const DEFAULT_PRIORITIES: usize = 3;

impl EventConfig {
    /// The defaults of [`EventBase::new`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Does not use the back end of this name, such as `"epoll"`; may be called several times.
    #[doc(alias = "event_config_avoid_method")]
    pub fn avoid_method(mut self, method: &str) -> Self {
        self.avoid.push(method.to_owned());
        self
    }

    /// Takes only a back end that has all these features.
    #[doc(alias = "event_config_require_features")]
    pub fn require(mut self, features: Features) -> Self {
        self.require |= features;
        self
    }

    /// Sets flags, in addition to those set before.
    #[doc(alias = "event_config_set_flag")]
    pub fn flags(mut self, flags: ConfigFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Leaves out the base's locks: a little faster, but no [`Remote`](crate::Remote), and no C
    /// library may use the base from another thread. A task that another thread wakes (by
    /// `spawn_blocking`, or a channel) goes on when the loop has something else for its tasks to
    /// do, and not before.
    #[doc(alias = "EVENT_BASE_FLAG_NOLOCK")]
    pub fn no_lock(mut self) -> Self {
        self.threading = Threading::NoLock;
        self
    }

    /// Leaves out all that libevent does for threads, in the base and in the process: what a C
    /// program has that never calls `evthread_use_pthreads`.
    ///
    /// # Safety
    /// As long as the base lives, this thread is the only one that uses libevent, through this
    /// crate or otherwise. libevent's process-wide state has no locks.
    pub unsafe fn no_threads(mut self) -> Self {
        self.threading = Threading::None;
        self
    }

    /// The number of priorities, 1 to 256. Objects get the middle one (`n / 2`) unless told
    /// otherwise, [`Idle`](crate::Idle) work gets the last one.
    #[doc(alias = "event_base_priority_init")]
    pub fn priorities(mut self, n: usize) -> Self {
        self.priorities = Some(n);
        self
    }

    /// A hint at the number of processors (used by IOCP on Windows).
    #[doc(alias = "event_config_set_num_cpus_hint")]
    pub fn cpus(mut self, n: usize) -> Self {
        self.cpus = Some(n);
        self
    }

    /// Looks for new events at the latest after `interval` or after so many `callbacks`, while
    /// events of priority `from_priority` or less urgent ones run.
    #[doc(alias = "event_config_set_max_dispatch_interval")]
    pub fn max_dispatch(
        mut self,
        interval: impl Into<Option<Duration>>,
        callbacks: impl Into<Option<usize>>,
        from_priority: usize,
    ) -> Self {
        self.dispatch = Some(DispatchLimit {
            interval: interval.into(),
            callbacks: callbacks.into(),
            from_priority,
        });
        self
    }

    /// Makes the base.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a number that is out of range or a method name with a NUL,
    /// [`Error::Unsupported`] when no back end is left that meets the requirements,
    /// [`Error::Os`] when the process has no descriptors left.
    #[doc(alias = "event_base_new_with_config")]
    pub fn build(&self) -> Result<EventBase> {
        let priorities = self.priorities.unwrap_or(DEFAULT_PRIORITIES);
        if !(1..=256).contains(&priorities) {
            return Err(Error::invalid(
                "priorities",
                format!("{priorities} is not between 1 and 256"),
            ));
        }
        check_descriptors()?;
        init::before_first_base(self.threading)?;
        let config = self.to_c()?;
        // SAFETY: the config is alive, and copied by the call.
        let raw = unsafe { ffi::event_base_new_with_config(config.0) };
        if raw.is_null() {
            return Err(Error::Unsupported {
                what: "this configuration",
                why: "no back end of this system has what it requires",
            });
        }
        let base = EventBase::own(raw, self.has_locks());
        // SAFETY: the base is new: it has no events yet, which is when this is allowed.
        match unsafe { ffi::event_base_priority_init(raw, priorities as c_int) } {
            0 => Ok(base),
            _ => Err(Error::Libevent {
                op: "event_base_priority_init",
            }),
        }
    }

    fn has_locks(&self) -> bool {
        self.threading == Threading::Locks
    }

    fn to_c(&self) -> Result<Config> {
        let config = Config::new()?;
        for method in &self.avoid {
            let name = CString::new(method.as_str())
                .map_err(|_| Error::invalid("avoid_method", "the name has a NUL in it"))?;
            // SAFETY: both pointers are alive; the name is copied.
            unsafe { ffi::event_config_avoid_method(config.0, name.as_ptr()) };
        }
        // Only the flags named above: one more bit leaves out the locks, of which this side must
        // know.
        let mut flags = (self.flags & ConfigFlags::all()).bits();
        if !self.has_locks() {
            flags |= ffi::EVENT_BASE_FLAG_NOLOCK as u32;
        }
        // SAFETY: the config is alive; the bits are libevent's own.
        unsafe {
            ffi::event_config_require_features(config.0, self.require.bits() as c_int);
            ffi::event_config_set_flag(config.0, flags as c_int);
            if let Some(cpus) = self.cpus {
                let cpus = c_int::try_from(cpus).unwrap_or(c_int::MAX);
                ffi::event_config_set_num_cpus_hint(config.0, cpus);
            }
        }
        if let Some(limit) = &self.dispatch {
            let interval = limit.interval.map(time::timeval);
            let callbacks = limit.callbacks.map_or(-1, |n| {
                // 0 would mean "never run anything".
                c_int::try_from(n.max(1)).unwrap_or(c_int::MAX)
            });
            let priority = c_int::try_from(limit.from_priority).unwrap_or(c_int::MAX);
            // SAFETY: the config is alive; the timeval is copied, NULL stands for no limit.
            unsafe {
                ffi::event_config_set_max_dispatch_interval(
                    config.0,
                    interval.as_ref().map_or(ptr::null(), ptr::from_ref),
                    callbacks,
                    priority,
                );
            }
        }
        Ok(config)
    }
}

/// Without descriptors for its own use (at most six) C ends the process instead of failing.
#[cfg(unix)]
fn check_descriptors() -> Result<()> {
    use std::os::unix::net::UnixStream;
    let pair = || UnixStream::pair();
    match (pair(), pair(), pair()) {
        (Ok(_), Ok(_), Ok(_)) => Ok(()),
        (first, second, third) => {
            let failed = first.and(second).and(third);
            let source = failed.expect_err("one of them is none");
            let op = "event_base_new".to_owned();
            Err(Error::Os { op, source })
        }
    }
}

#[cfg(not(unix))]
fn check_descriptors() -> Result<()> {
    Ok(())
}

/// C's config, freed on every path.
struct Config(*mut ffi::event_config);

impl Config {
    fn new() -> Result<Self> {
        // SAFETY: no preconditions.
        let raw = unsafe { ffi::event_config_new() };
        if raw.is_null() {
            return Err(Error::Libevent {
                op: "event_config_new",
            });
        }
        Ok(Config(raw))
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: ours, and freed once.
        unsafe { ffi::event_config_free(self.0) };
    }
}
