//! Running the loop until a future is done.

use super::OnLoop;
use crate::error::{Error, Result};
use crate::{EventBase, LoopEnd, LoopHandle, Remote, ffi};
use std::future::Future;
use std::os::raw::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

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
        let main = Arc::new(Main::new(self));
        let waker = Waker::from(Arc::clone(&main));
        // Caught, so that what is to be done at the end of a run is done.
        let result = catch_unwind(AssertUnwindSafe(|| self.drive(future, &main, &waker)));
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
        loop {
            if main.woken.swap(false, Ordering::AcqRel) {
                self.handle().inner().refill();
                if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                    return Ok(value);
                }
            }
            let flags = match main.woken.load(Ordering::Acquire) {
                // It has only let others run.
                true => ffi::EVLOOP_NONBLOCK,
                false => ffi::EVLOOP_NO_EXIT_ON_EMPTY,
            };
            if let LoopEnd::Exit | LoopEnd::Break = self.turn(flags as c_int)? {
                return Err(Error::Stopped);
            }
        }
    }
}

/// The future that a loop runs for.
struct Main {
    woken: AtomicBool,
    handle: OnLoop<LoopHandle>,
    remote: Option<Remote>,
}

impl Main {
    fn new(base: &LoopHandle) -> Self {
        Main {
            woken: AtomicBool::new(true),
            handle: OnLoop::new(base, base.clone()),
            remote: base.remote().ok(),
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
        if let Some(handle) = self.handle.get() {
            handle.inner().interrupt();
        } else if let Some(remote) = &self.remote {
            // An error means that the base is gone, and the future with it.
            let _ = remote.post(|handle| handle.inner().interrupt());
        }
    }
}
