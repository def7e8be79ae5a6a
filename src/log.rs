//! What libevent has to say: its messages, and its last words.
//!
//! Both hooks are of the whole process. Without them libevent writes to standard error.

use crate::ffi;
use crate::sync::lock;
use std::cell::Cell;
use std::ffi::CStr;
use std::os::raw::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::{Arc, Mutex};

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For finding faults in libevent; needs [`enable_debug`].
    #[doc(alias = "EVENT_LOG_DEBUG")]
    Debug,
    /// Worth knowing.
    #[doc(alias = "EVENT_LOG_MSG")]
    Message,
    /// Something is wrong.
    #[doc(alias = "EVENT_LOG_WARN")]
    Warning,
    /// The process is about to end.
    #[doc(alias = "EVENT_LOG_ERR")]
    Error,
}

type Logger = Arc<dyn Fn(Level, &str) + Send + Sync>;
type FatalHook = Arc<dyn Fn(i32) + Send + Sync>;

static LOGGER: Mutex<Option<(u64, Logger)>> = Mutex::new(None);
static FATAL: Mutex<Option<(u64, FatalHook)>> = Mutex::new(None);

thread_local! {
    /// Whether this thread runs a logger: a message from inside one is dropped.
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Takes its hook away when dropped, unless another one has taken its place.
#[derive(Debug)]
#[must_use = "dropping it takes the hook away"]
pub struct HookGuard {
    id: u64,
    fatal: bool,
}

impl HookGuard {
    /// Leaves the hook in place for the rest of the process.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        if self.fatal {
            remove(&FATAL, self.id, || {});
        } else {
            // SAFETY: NULL brings back libevent's own way.
            remove(&LOGGER, self.id, || unsafe {
                ffi::event_set_log_callback(None)
            });
        }
    }
}

/// Takes the hook away if it is still the one with this id, and tells C while no other can come.
fn remove<T>(hook: &Mutex<Option<(u64, T)>>, id: u64, tell: impl FnOnce()) {
    let mut hook = lock(hook);
    if hook.as_ref().is_some_and(|(there, _)| *there == id) {
        let old = hook.take();
        tell();
        drop(hook);
        drop(old);
    }
}

fn next_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Sends libevent's messages to `logger`, which may be called from any thread that uses
/// libevent, and with its locks held: it must not use libevent. A panic in it is swallowed.
///
/// ```
/// use libevent2::log;
///
/// let _guard = log::set_logger(|level, message| eprintln!("{level:?}: {message}"));
/// ```
#[doc(alias = "event_set_log_callback")]
pub fn set_logger(logger: impl Fn(Level, &str) + Send + Sync + 'static) -> HookGuard {
    let id = next_id();
    let new: (u64, Logger) = (id, Arc::new(logger));
    let mut hook = lock(&LOGGER);
    let old = hook.replace(new);
    // SAFETY: the function lives for ever.
    unsafe { ffi::event_set_log_callback(Some(on_log)) };
    drop(hook);
    drop(old);
    HookGuard { id, fatal: false }
}

/// Runs `hook` with libevent's error code when it finds something it cannot go on from; then
/// the process is aborted, as its state is not to be trusted.
#[doc(alias = "event_set_fatal_callback")]
pub fn set_fatal_hook(hook: impl Fn(i32) + Send + Sync + 'static) -> HookGuard {
    let id = next_id();
    let new: (u64, FatalHook) = (id, Arc::new(hook));
    let mut slot = lock(&FATAL);
    let old = slot.replace(new);
    // SAFETY: the function lives for ever. It stays set when the hook goes: aborting is better
    // than C's exit(), which runs destructors while libevent's locks are held.
    unsafe { ffi::event_set_fatal_callback(Some(on_fatal)) };
    drop(slot);
    drop(old);
    HookGuard { id, fatal: true }
}

/// Switches libevent's debug messages on or off: very many of them.
#[doc(alias = "event_enable_debug_logging")]
pub fn enable_debug(on: bool) {
    let which = if on {
        ffi::EVENT_DBG_ALL as u32
    } else {
        ffi::EVENT_DBG_NONE as u32
    };
    // SAFETY: no preconditions.
    unsafe { ffi::event_enable_debug_logging(which) };
}

unsafe extern "C" fn on_log(severity: c_int, message: *const c_char) {
    if message.is_null() || LOGGING.replace(true) {
        return;
    }
    // libevent's callers look at it after the message.
    let errno = ffi::EVUTIL_SOCKET_ERROR();
    let level = match severity {
        ffi::EVENT_LOG_DEBUG => Level::Debug,
        ffi::EVENT_LOG_MSG => Level::Message,
        ffi::EVENT_LOG_WARN => Level::Warning,
        _ => Level::Error,
    };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let hook = lock(&LOGGER);
        let logger = hook.as_ref().map(|(_, logger)| Arc::clone(logger));
        drop(hook);
        if let Some(logger) = logger {
            // SAFETY: not NULL, and a C string that lives for this call.
            logger(level, &unsafe { CStr::from_ptr(message) }.to_string_lossy());
        }
    }));
    LOGGING.set(false);
    ffi::EVUTIL_SET_SOCKET_ERROR(errno);
}

unsafe extern "C" fn on_fatal(code: c_int) {
    let _ = catch_unwind(|| {
        let slot = lock(&FATAL);
        let hook = slot.as_ref().map(|(_, hook)| Arc::clone(hook));
        // The hook may change the hooks, or fail once more.
        drop(slot);
        if let Some(hook) = hook {
            hook(code);
        }
    });
    abort();
}
