//! What libevent has to say: its messages, and its last words.
//!
//! Both hooks are of the whole process. Without them libevent writes to standard error.
//!
//! libevent speaks in the middle of its work, with its locks held and its lists half changed, so
//! no code of the program's may run then: it could reach an event through a thread-local and free
//! it under C's hands. Hooks run on a thread of their own, to which nothing of a loop can get.

use crate::error::{Error, Result};
use crate::ffi;
use crate::sync::lock;
use std::cell::Cell;
use std::ffi::CStr;
use std::fmt;
use std::os::raw::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

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

/// How long a dying process waits for a hook.
const LAST_WORDS: Duration = Duration::from_secs(5);

enum Item {
    Message(Level, String),
    /// Dropped when all that came before was handled.
    Flush(Sender<()>),
}

type FatalHook = Box<dyn FnOnce(i32) + Send>;

/// A hook, and which call has set it.
struct Hook<T> {
    id: u64,
    hook: T,
}

/// Where messages of one source go: to the thread of a logger, if there is one.
pub(crate) struct Sink {
    logger: Mutex<Option<Hook<Sender<Item>>>>,
    /// Tells C to call us, or to go its own way.
    connect: fn(bool),
}

static LOGGER: Sink = Sink::new(|on| {
    // SAFETY: the function lives for ever; NULL brings back libevent's own way.
    unsafe { ffi::event_set_log_callback(on.then_some(on_log as _)) };
});
static FATAL: Mutex<Option<Hook<FatalHook>>> = Mutex::new(None);

thread_local! {
    /// Whether this is the thread of a logger: what it makes libevent say is dropped.
    static IS_LOGGER: Cell<bool> = const { Cell::new(false) };
}

/// Takes its hook away when dropped, unless another one has taken its place; a logger has
/// handled all messages then.
#[derive(Debug)]
#[must_use = "dropping it takes the hook away"]
pub struct HookGuard {
    id: u64,
    logger: Option<(&'static Sink, JoinHandle<()>)>,
}

impl HookGuard {
    /// Leaves the hook in place for the rest of the process.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        let Some((sink, logger)) = self.logger.take() else {
            return drop(take(&mut lock(&FATAL), self.id));
        };
        let mut hook = lock(&sink.logger);
        if let Some(sender) = take(&mut hook, self.id) {
            // No other logger can come meanwhile.
            (sink.connect)(false);
            drop(sender);
        }
        drop(hook);
        if logger.thread().id() != thread::current().id() {
            // It catches the logger's panics.
            let _ = logger.join();
        }
    }
}

/// The hook, if it is still the one with this id.
fn take<T>(slot: &mut Option<Hook<T>>, id: u64) -> Option<T> {
    slot.take_if(|hook| hook.id == id).map(|hook| hook.hook)
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Sends libevent's messages, from whatever thread they come, to `logger`, which gets them one
/// after the other on a thread of its own, shortly after they were made; [`flush`] waits for it.
/// A panic in it is swallowed. What it makes libevent say itself is not logged.
///
/// Set it before other threads use libevent: C keeps it in a variable without a lock. A child
/// process that `fork` made has no logger's thread: it has to set a logger of its own.
///
/// ```
/// use libevent2::log;
///
/// let _guard = log::set_logger(|level, message| eprintln!("{level:?}: {message}"))?;
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// [`Error::Os`] when the system has no thread to give.
#[doc(alias = "event_set_log_callback")]
pub fn set_logger(logger: impl FnMut(Level, &str) + Send + 'static) -> Result<HookGuard> {
    LOGGER.set(logger)
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl Sink {
    pub(crate) const fn new(connect: fn(bool)) -> Self {
        Sink {
            logger: Mutex::new(None),
            connect,
        }
    }

    pub(crate) fn set(
        &'static self,
        logger: impl FnMut(Level, &str) + Send + 'static,
    ) -> Result<HookGuard> {
        let id = next_id();
        let (sender, items) = channel();
        let thread = thread::Builder::new()
            .name("libevent-log".to_owned())
            .spawn(move || handle(items, logger))
            .map_err(|source| Error::Os {
                op: "starting the logger's thread".to_owned(),
                source,
            })?;
        let mut slot = lock(&self.logger);
        let old = slot.replace(Hook { id, hook: sender });
        (self.connect)(true);
        drop(slot);
        drop(old);
        Ok(HookGuard {
            id,
            logger: Some((self, thread)),
        })
    }

    /// For a callback of C's: passes on what C says.
    ///
    /// # Safety
    /// `message` is NULL, or a C string that lives for this call.
    pub(crate) unsafe fn send(&self, level: Level, message: *const c_char) {
        if message.is_null() || IS_LOGGER.get() {
            return;
        }
        // libevent's callers look at it after the message.
        let errno = ffi::EVUTIL_SOCKET_ERROR();
        // SAFETY: the caller's promise.
        let text = unsafe { CStr::from_ptr(message) }.to_string_lossy();
        if let Some(logger) = &*lock(&self.logger) {
            // It fails only when the logger's thread is gone, and nobody is left to tell.
            let _ = logger.hook.send(Item::Message(level, text.into_owned()));
        }
        ffi::EVUTIL_SET_SOCKET_ERROR(errno);
    }

    fn ask_to_flush(&self) -> Option<Receiver<()>> {
        if IS_LOGGER.get() {
            return None;
        }
        let (done, handled) = channel();
        let slot = lock(&self.logger);
        slot.as_ref()?.hook.send(Item::Flush(done)).ok()?;
        Some(handled)
    }

    /// Waits until the logger has handled all messages made before.
    pub(crate) fn flush(&self) {
        if let Some(handled) = self.ask_to_flush() {
            // It ends when the other side is dropped.
            let _ = handled.recv();
        }
    }
}

/// The logger's thread.
fn handle(items: Receiver<Item>, mut logger: impl FnMut(Level, &str)) {
    IS_LOGGER.set(true);
    for item in items {
        match item {
            Item::Message(level, text) => {
                let _ = catch_unwind(AssertUnwindSafe(|| logger(level, &text)));
            }
            Item::Flush(done) => drop(done),
        }
    }
}

/// Waits until the logger has handled all messages made before.
pub fn flush() {
    LOGGER.flush();
}

/// Runs `hook` with libevent's error code when it finds something it cannot go on from, on a
/// thread of its own, for five seconds at most; then the process is aborted, as its state is not
/// to be trusted.
#[doc(alias = "event_set_fatal_callback")]
pub fn set_fatal_hook(hook: impl FnOnce(i32) + Send + 'static) -> HookGuard {
    let id = next_id();
    let hook: FatalHook = Box::new(hook);
    let mut slot = lock(&FATAL);
    let old = slot.replace(Hook { id, hook });
    // SAFETY: the function lives for ever. It stays set when the hook goes: aborting is better
    // than C's exit(), which runs destructors while libevent's locks are held.
    unsafe { ffi::event_set_fatal_callback(Some(on_fatal)) };
    drop(slot);
    drop(old);
    HookGuard { id, logger: None }
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
    let level = match severity {
        ffi::EVENT_LOG_DEBUG => Level::Debug,
        ffi::EVENT_LOG_MSG => Level::Message,
        ffi::EVENT_LOG_WARN => Level::Warning,
        _ => Level::Error,
    };
    // SAFETY: as C calls it.
    unsafe { LOGGER.send(level, message) };
}

unsafe extern "C" fn on_fatal(code: c_int) {
    let _ = catch_unwind(|| {
        let hook = lock(&FATAL).take();
        if let Some(Hook { hook, .. }) = hook {
            wait_for(move || hook(code));
        }
        // The message that tells why comes before this call.
        if let Some(handled) = LOGGER.ask_to_flush() {
            let _ = handled.recv_timeout(LAST_WORDS);
        }
    });
    abort();
}

/// Runs `last` on another thread, and waits as long as a dying process can.
fn wait_for(last: impl FnOnce() + Send + 'static) {
    let (running, ended) = channel::<()>();
    let thread = thread::Builder::new().spawn(move || {
        let _running = running;
        last();
    });
    if thread.is_ok() {
        // Nobody sends: this ends when the thread does, or when it has taken too long.
        let _ = ended.recv_timeout(LAST_WORDS);
    }
}
