//! What libevent keeps for the whole process: threading, debug mode.

use crate::error::{Error, Result};
use crate::ffi;
use crate::sync::lock;
use std::sync::Mutex;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Threads {
    Off,
    On,
    Failed,
}

struct Process {
    threads: Threads,
    debug: bool,
    bases: bool,
}

static PROCESS: Mutex<Process> = Mutex::new(Process {
    threads: Threads::Off,
    debug: false,
    bases: false,
});

/// How much of libevent's threading a base is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Threading {
    /// Other threads may use the base.
    #[default]
    Locks,
    /// Other threads may use libevent, but not the base.
    NoLock,
    /// No other thread uses libevent.
    None,
}

/// Called before each base is made: C's switches are not safe to use from two threads, and have
/// no effect on what was made before.
pub(crate) fn before_first_base(threading: Threading) -> Result<()> {
    let mut process = lock(&PROCESS);
    process.bases = true;
    match threading {
        Threading::Locks => process.use_threads(),
        // Switched on for a later base, it would race with this one, which looks at the switch.
        Threading::NoLock => process.use_threads().or(Ok(())),
        Threading::None => Ok(()),
    }
}

/// Gives libevent's process-wide state its locks, for what uses it without a base.
pub(crate) fn use_threads() -> Result<()> {
    let mut process = lock(&PROCESS);
    process.use_threads()
}

impl Process {
    fn use_threads(&mut self) -> Result<()> {
        if self.threads == Threads::Off {
            self.threads = if switch_threads_on() == 0 {
                Threads::On
            } else {
                Threads::Failed
            };
        }
        if self.threads == Threads::Failed {
            return Err(Error::Libevent {
                op: "evthread_use_pthreads",
            });
        }
        Ok(())
    }
}

#[cfg(not(windows))]
fn switch_threads_on() -> i32 {
    // SAFETY: the caller holds the mutex, so no other call of ours runs.
    unsafe { ffi::evthread_use_pthreads() }
}

#[cfg(windows)]
fn switch_threads_on() -> i32 {
    // SAFETY: the caller holds the mutex, so no other call of ours runs.
    unsafe { ffi::evthread_use_windows_threads() }
}

/// Makes libevent check how events are used, for finding faults in C code that shares a base:
/// slow, and meant for tests.
///
/// # Errors
/// [`Error::Invalid`] once a base was made: C would end the process then.
#[doc(alias = "event_enable_debug_mode")]
pub fn enable_debug_mode() -> Result<()> {
    let mut process = lock(&PROCESS);
    if process.debug {
        return Ok(());
    }
    if process.bases {
        return Err(Error::invalid(
            "debug mode",
            "it has to be enabled before the first event base is made",
        ));
    }
    // SAFETY: not enabled before, and no base of ours exists.
    unsafe { ffi::event_enable_debug_mode() };
    process.debug = true;
    Ok(())
}
