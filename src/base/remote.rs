//! The way into a loop from other threads: one event that any thread may activate, and a queue
//! of closures beside it.

use super::Inner;
use crate::LoopHandle;
use crate::callback::{CallbackResult, retain};
use crate::error::{Error, Result};
use crate::ffi;
use crate::sync::lock;
use crate::time;
use std::os::raw::{c_short, c_void};
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

type Job = Box<dyn FnOnce(&LoopHandle) + Send>;

/// A handle on an event loop for other threads.
///
/// ```
/// use libevent2::EventBase;
/// use std::thread;
///
/// let mut base = EventBase::new()?;
/// let remote = base.remote()?;
/// let worker = thread::spawn(move || {
///     remote.post(|handle| handle.exit()).expect("the loop lives until then");
/// });
/// base.run_until_exit()?;
/// worker.join().unwrap();
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

/// The part that all threads see.
pub(super) struct Shared {
    state: Mutex<State>,
}

struct State {
    /// Null when the base is gone.
    wake: *mut ffi::event,
    jobs: Vec<Job>,
    /// Whether the loop has been told, and has not yet looked or will look again by itself.
    told: bool,
}

// SAFETY: `wake` is used under the mutex only, with calls that libevent allows from any thread on
// a base with locks (event_active); it is freed by the loop's thread under the mutex too, which
// leaves null behind. The jobs are Send.
unsafe impl Send for State {}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The base goes: nothing can be posted any more; what was not run is dropped.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        let wake = std::mem::replace(&mut state.wake, ptr::null_mut());
        let jobs = std::mem::take(&mut state.jobs);
        if !wake.is_null() {
            // SAFETY: made by `Remote::of`, freed once, on the loop's thread, outside its own
            // callback or in it (both are allowed).
            unsafe { ffi::event_free(wake) };
        }
        drop(state);
        drop(jobs);
    }

    /// The end of a turn: `left` are the jobs that a stop kept from running, which come first
    /// next time. What was posted meanwhile waits for the next turn, so that jobs that post
    /// jobs do not keep the loop from everything else.
    fn end_turn(&self, left: std::vec::IntoIter<Job>) {
        let mut state = self.lock();
        if state.wake.is_null() {
            drop(state);
            return drop(left);
        }
        state.jobs.splice(0..0, left);
        state.told = !state.jobs.is_empty();
        if state.told {
            let soon = time::timeval(Duration::ZERO);
            // SAFETY: not null, so the event and its base are alive; the timeval is copied.
            unsafe { ffi::event_add(state.wake, &soon) };
        }
    }

    fn take_jobs(&self) -> Vec<Job> {
        std::mem::take(&mut self.lock().jobs)
    }
}

impl Remote {
    pub(super) fn of(inner: &Rc<Inner>) -> Result<Self> {
        let base = inner.open()?;
        if let Some(shared) = inner.remote().get() {
            return Ok(Remote {
                shared: Arc::clone(shared),
            });
        }
        if !inner.is_locked() {
            return Err(Error::Unsupported {
                what: "a Remote",
                why: "it was made without locks (EventConfig::no_lock), or by C (EventBase::assume_locks)",
            });
        }
        let arg = Rc::as_ptr(inner).cast_mut().cast::<c_void>();
        // SAFETY: the base is alive. `arg` outlives the event: `close_objects` frees the event
        // while the base's owner still holds a count on `inner`.
        let wake = unsafe { ffi::event_new(base, -1, 0, Some(on_wake), arg) };
        if wake.is_null() {
            return Err(Error::Libevent { op: "event_new" });
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                wake,
                jobs: Vec::new(),
                told: false,
            }),
        });
        let shared = Arc::clone(inner.remote().get_or_init(|| shared));
        Ok(Remote { shared })
    }

    /// Runs `job` on the loop's thread, in the order of posting. Jobs do not keep a loop
    /// running that has no events; [`run_until_exit`](crate::EventBase::run_until_exit) waits.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone; `job` is dropped then.
    pub fn post<O: CallbackResult>(
        &self,
        job: impl FnOnce(&LoopHandle) -> O + Send + 'static,
    ) -> Result<()> {
        self.push(Some(Box::new(move |handle| {
            if let Err(error) = job(handle).outcome() {
                handle.inner().failed(error);
            }
        })))
    }

    /// Stops the loop after the turn in which it hears of this; the next run, if none runs now.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    pub fn stop(&self) -> Result<()> {
        self.post(|handle| handle.exit_now())
    }

    /// Ends the wait of a loop that waits for events, as
    /// [`run_once`](crate::EventBase::run_once) does.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    pub fn wake(&self) -> Result<()> {
        self.push(None)
    }

    fn push(&self, job: Option<Job>) -> Result<()> {
        let mut state = self.shared.lock();
        if state.wake.is_null() {
            drop(state);
            return Err(Error::Closed { what: "event base" });
        }
        state.jobs.extend(job);
        if std::mem::replace(&mut state.told, true) {
            return Ok(());
        }
        // SAFETY: not null, so the event and its base are alive, and stay so while the mutex is
        // held. The base has locks: libevent allows this call from any thread then.
        unsafe { ffi::event_active(state.wake, ffi::EV_READ as i32, 1) };
        Ok(())
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Remote")
            .field("open", &!state.wake.is_null())
            .field("waiting", &state.jobs.len())
            .finish()
    }
}

unsafe extern "C" fn on_wake(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is `Rc::as_ptr` of the base's Inner, alive as long as the event is (see
    // `Remote::of`).
    let handle = LoopHandle::new(unsafe { retain::<Inner>(arg) });
    let Some(shared) = handle.inner().remote().get().map(Arc::clone) else {
        return;
    };
    let mut jobs = shared.take_jobs().into_iter();
    for job in jobs.by_ref() {
        handle.inner().count_callback();
        handle.inner().guard(|| job(&handle));
        if handle.inner().is_stopping() {
            break;
        }
    }
    // Jobs that are dropped here are the user's code too.
    handle.inner().guard(|| shared.end_turn(jobs));
}
