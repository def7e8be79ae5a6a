//! Running the loop until a future is done.

use super::OnLoop;
use crate::error::{Error, Result};
use crate::event::Alarm;
use crate::{EventBase, LoopEnd, LoopHandle, Remote, ffi};
use std::cell::RefCell;
use std::future::Future;
use std::os::raw::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

impl EventBase {
    /// Runs the loop, with all that lives on it, until `future` is done. What else is on the loop
    /// stays there, for the next run.
    ///
    /// ```
    /// use libevent2::EventBase;
    /// use std::time::Duration;
    ///
    /// let mut base = EventBase::new()?;
    /// let pause = base.sleep(Duration::from_millis(1));
    /// base.block_on(async {
    ///     pause.await;
    ///     println!("tick");
    /// })?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Stopped`] when the loop is stopped before that, else as [`run`](Self::run): the
    /// future is dropped then.
    ///
    /// # Panics
    /// With the payload of the first callback that panicked, or of a task that panicked and that
    /// nobody waits for; when the future panics.
    pub fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output> {
        // Also where nothing is spawned, the executor counts what the future does in one poll.
        self.handle().inner().executor()?;
        let main = Arc::new(Main::new(self));
        let waker = Waker::from(Arc::clone(&main));
        // Caught, so that what is to be done at the end of a run is done.
        let result = catch_unwind(AssertUnwindSafe(|| self.drive(future, &main, &waker)));
        main.retire();
        match result {
            Ok(result) => self.finish(result),
            Err(payload) => {
                self.handle().inner().panicked(payload);
                self.finish(Err(Error::Stopped))
            }
        }
    }

    fn drive<F: Future>(&mut self, future: F, main: &Main, waker: &Waker) -> Result<F::Output> {
        let mut cx = Context::from_waker(waker);
        let mut future = pin!(future);
        let mut again = None;
        loop {
            if main.woken.swap(false, Ordering::AcqRel) {
                self.handle().inner().refill();
                if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                    return Ok(value);
                }
            }
            if main.woken.load(Ordering::Acquire) {
                // It has only let others run. They have one turn: C, asked not to wait, would go
                // on as long as there is anything to do.
                let again = match &again {
                    Some(again) => again,
                    None => again.insert(self.interruption()?),
                };
                again.after(Duration::ZERO);
            }
            let end = self.turn(ffi::EVLOOP_NO_EXIT_ON_EMPTY as c_int)?;
            if let LoopEnd::Exit | LoopEnd::Break = end {
                return Err(Error::Stopped);
            }
        }
    }

    /// What has the loop come back when it rings.
    fn interruption(&self) -> Result<Alarm> {
        let handle = self.handle().clone();
        Alarm::new(self, move || handle.inner().interrupt())
    }
}

/// The future that a loop runs for.
struct Main {
    woken: AtomicBool,
    /// None when it is over: a waker may be left, here or on another thread.
    handle: OnLoop<RefCell<Option<LoopHandle>>>,
    remote: Option<Remote>,
}

impl Main {
    fn new(base: &LoopHandle) -> Self {
        Main {
            woken: AtomicBool::new(true),
            handle: OnLoop::new(base, RefCell::new(Some(base.clone()))),
            remote: base.remote().ok(),
        }
    }

    fn retire(&self) {
        self.handle.take();
    }

    /// On the loop's thread.
    fn interrupt(&self) {
        if let Some(handle) = &*self.handle.borrow() {
            handle.inner().interrupt();
        }
    }
}

impl Wake for Main {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.woken.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.handle.get().is_some() {
            self.interrupt();
        } else if let Some(remote) = &self.remote {
            let main = Arc::clone(self);
            // An error means that the base is gone, and the future with it.
            let _ = remote.post(move |_| main.interrupt());
        }
    }
}
