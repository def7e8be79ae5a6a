//! Tasks that other threads give to the loop, and wait for.

use super::JoinError;
use crate::sync::lock;
use crate::{LoopHandle, Remote};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

impl Remote {
    /// Starts a task on the loop, from any thread. `make` runs there, with a handle on the loop,
    /// and so does the future that it returns, which may hold what never leaves the loop's
    /// thread. Only the result comes back: the [`RemoteTask`] is `Send`, and awaited wherever
    /// there is something that polls futures: on another loop, in a program of tokio's.
    ///
    /// The loop has to run. A task that has begun holds it open; for one that is yet to come,
    /// there is [`run_until_exit`](crate::EventBase::run_until_exit).
    ///
    /// ```
    /// use libevent2::EventBase;
    /// use std::thread;
    /// use std::time::Duration;
    ///
    /// let mut base = EventBase::new()?;
    /// let remote = base.remote()?;
    /// let there = thread::spawn(move || {
    ///     let answer = remote.spawn(|handle| async move {
    ///         handle.sleep(Duration::from_millis(1)).await;
    ///         handle.exit();
    ///         42
    ///     });
    ///     EventBase::new()?.block_on(answer)
    /// });
    /// base.run_until_exit()?;
    /// assert_eq!(there.join().unwrap()??, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "run_coroutine_threadsafe")]
    pub fn spawn<F>(
        &self,
        make: impl FnOnce(LoopHandle) -> F + Send + 'static,
    ) -> RemoteTask<F::Output>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let errand = Errand(Arc::clone(&shared));
        // Where the base is gone the errand is dropped with the job, and the task is cancelled.
        let _ = self.post(move |handle| {
            let handle = handle.clone();
            drop(handle.spawn(errand.run(handle.clone(), make)));
        });
        RemoteTask {
            shared,
            remote: self.clone(),
            cancels: false,
        }
    }
}

/// A task on a loop of another thread, by [`Remote::spawn`]: the future of its result.
///
/// It goes on when this is dropped, unless [`cancel_on_drop`](Self::cancel_on_drop) says
/// otherwise. A panic reaches whoever awaits this, or else the loop's `run`.
pub struct RemoteTask<T> {
    shared: Arc<Shared<T>>,
    remote: Remote,
    cancels: bool,
}

struct Shared<T>(Mutex<State<T>>);

struct State<T> {
    phase: Phase<T>,
    cancelled: bool,
    /// Whoever awaits the result.
    waiter: Option<Waker>,
    /// The task, to hear that it is cancelled.
    task: Option<Waker>,
}

enum Phase<T> {
    Running,
    /// Nobody waits for it any more.
    Abandoned,
    Ended(Result<T, JoinError>),
    Taken,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Shared(Mutex::new(State {
            phase: Phase::Running,
            cancelled: false,
            waiter: None,
            task: None,
        }))
    }
}

// What is taken out under the lock is dropped, or woken, after it: that is code of others, which
// may come back here.

impl<T> RemoteTask<T> {
    /// Drops the task's future, on the loop's thread, when it is the task's turn there. It gives
    /// [`JoinError::Cancelled`] then, unless it was done before.
    pub fn cancel(&self) {
        let task = {
            let mut state = lock(&self.shared.0);
            state.cancelled = true;
            state.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Has the task cancelled when this is dropped, as a timeout around it does.
    #[must_use = "dropping it cancels the task"]
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels = true;
        self
    }

    /// Whether the task is done, so that awaiting it returns at once.
    pub fn is_finished(&self) -> bool {
        !matches!(lock(&self.shared.0).phase, Phase::Running)
    }
}

impl<T> Future for RemoteTask<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// After it has returned the result.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.shared.0);
        if let Phase::Running = state.phase {
            let old = state.waiter.replace(waker);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let phase = std::mem::replace(&mut state.phase, Phase::Taken);
        drop(state);
        match phase {
            Phase::Ended(result) => Poll::Ready(result),
            _ => panic!("polled after it was ready"),
        }
    }
}

impl<T> Drop for RemoteTask<T> {
    fn drop(&mut self) {
        if self.cancels {
            self.cancel();
        }
        let (phase, waiter) = {
            let mut state = lock(&self.shared.0);
            let phase = std::mem::replace(&mut state.phase, Phase::Abandoned);
            (phase, state.waiter.take())
        };
        drop(waiter);
        if let Phase::Ended(Err(JoinError::Panicked(panic))) = phase {
            let payload = panic.into_payload();
            let _ = self.remote.post(move |_| -> () { resume_unwind(payload) });
        }
    }
}

impl<T> fmt::Debug for RemoteTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTask")
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// The loop's side of a task. One that is dropped before its end was cancelled.
struct Errand<T>(Arc<Shared<T>>);

impl<T> Errand<T> {
    async fn run<F: Future<Output = T>>(
        self,
        handle: LoopHandle,
        make: impl FnOnce(LoopHandle) -> F,
    ) {
        let result = {
            let mut future = pin!(async move { make(handle).await });
            poll_fn(|cx| {
                if self.is_cancelled(cx) {
                    return Poll::Ready(Err(JoinError::Cancelled));
                }
                match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                    Ok(poll) => poll.map(Ok),
                    Err(payload) => Poll::Ready(Err(JoinError::panicked(payload))),
                }
            })
            .await
            // What the future held is gone before anybody hears of its end.
        };
        // A panic is for whoever awaits the task. If nobody does, it goes on, to `run`.
        if let Some(Err(JoinError::Panicked(panic))) = self.end(result) {
            resume_unwind(panic.into_payload());
        }
    }

    /// Whether the task is to end; it is woken when that changes.
    fn is_cancelled(&self, cx: &Context<'_>) -> bool {
        let waker = cx.waker();
        let mut state = lock(&self.0.0);
        if !state
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(waker))
        {
            let old = state.task.replace(waker.clone());
            let cancelled = state.cancelled;
            drop(state);
            drop(old);
            return cancelled;
        }
        state.cancelled
    }

    /// Gives the result to whoever awaits it, or back.
    fn end(&self, result: Result<T, JoinError>) -> Option<Result<T, JoinError>> {
        let mut state = lock(&self.0.0);
        let unheard = match state.phase {
            Phase::Running => {
                state.phase = Phase::Ended(result);
                None
            }
            _ => Some(result),
        };
        let (waiter, task) = (state.waiter.take(), state.task.take());
        drop(state);
        drop(task);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        unheard
    }
}

impl<T> Drop for Errand<T> {
    fn drop(&mut self) {
        drop(self.end(Err(JoinError::Cancelled)));
    }
}
