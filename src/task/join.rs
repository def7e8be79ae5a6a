//! A task's end, and who waits for it.

use crate::LoopHandle;
use crate::base::Inner;
use crate::callback::CallbackResult;
use crate::sync::lock;
use async_task::Task;
use pin_project_lite::pin_project;
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// A task that was spawned: a future of what the task's own returns. Dropping it lets the task go on.
///
/// What becomes of the end of a task that nobody waits for: a panic reaches
/// [`run`](crate::EventBase::run) or [`block_on`](crate::EventBase::block_on); an error does after
/// [`detach`](Self::detach), by the base's policy for errors; any other value is dropped.
///
/// ```
/// # let mut base = libevent2::EventBase::new()?;
/// let handle = base.handle().clone();
/// base.block_on(async {
///     let task = handle.spawn(std::future::pending::<()>());
///     task.cancel();
///     assert!(task.await.unwrap_err().is_cancelled());
/// })?;
/// # Ok::<(), libevent2::Error>(())
/// ```
pub struct JoinHandle<T> {
    shared: Rc<Shared<T>>,
    task: Cell<Option<Task<()>>>,
    cancels: bool,
}

/// Why there is no value of a task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It was cancelled, or dropped with its base, before it was done.
    #[error("the task was cancelled")]
    Cancelled,
    /// It panicked.
    #[error("the task panicked{}", .0.message())]
    Panicked(Panic),
}

/// What a task panicked with.
pub struct Panic(Mutex<Box<dyn Any + Send>>);

type Ended<T> = Result<T, JoinError>;

/// What is done with the end of a task that nobody waits for.
type Unheard<T> = fn(&Inner, Ended<T>);

/// What the task and its handle have in common.
pub(super) struct Shared<T> {
    base: LoopHandle,
    /// Of the executor's list.
    key: Cell<usize>,
    end: Cell<Option<Ended<T>>>,
    waiter: Cell<Option<Waker>>,
    done: Cell<bool>,
    /// What is done with the end when the handle is gone.
    unheard: Cell<Option<Unheard<T>>>,
}

impl<T> Shared<T> {
    pub(super) fn new(base: &LoopHandle) -> Rc<Self> {
        Rc::new(Shared {
            base: base.clone(),
            key: Cell::new(usize::MAX),
            end: Cell::new(None),
            waiter: Cell::new(None),
            done: Cell::new(false),
            unheard: Cell::new(None),
        })
    }

    pub(super) fn entered(&self, key: usize) {
        self.key.set(key);
    }

    fn begin(&self) {
        if let Some(executor) = self.base.inner().executor_if_any() {
            executor.begun(self.key.get());
        }
    }

    fn finish(&self, end: Ended<T>) {
        if self.done.replace(true) {
            return;
        }
        let base = self.base.inner();
        if let Some(executor) = base.executor_if_any() {
            executor.finished(base, self.key.get());
        }
        match self.unheard.get() {
            Some(unheard) => unheard(base, end),
            None => self.end.set(Some(end)),
        }
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// Nobody will ask any more.
    fn abandon(&self, unheard: Unheard<T>) {
        if self.unheard.get().is_some() {
            return;
        }
        self.unheard.set(Some(unheard));
        let left = (self.end.take(), self.waiter.take());
        if let (Some(end), _) = left {
            unheard(self.base.inner(), end);
        }
    }
}

/// A panic is never lost.
fn let_go<T>(base: &Inner, end: Ended<T>) {
    if let Err(JoinError::Panicked(panic)) = end {
        base.panicked(panic.into_payload());
    }
}

/// Nor is an error, here.
fn report<T: CallbackResult>(base: &Inner, end: Ended<T>) {
    match end {
        Ok(value) => {
            if let Err(error) = value.outcome() {
                base.failed(error);
            }
        }
        end => let_go(base, end),
    }
}

pin_project! {
    /// What the executor polls: the future, whose end it passes on.
    pub(super) struct Body<F: Future> {
        #[pin]
        future: Option<F>,
        shared: Rc<Shared<F::Output>>,
    }

    impl<F: Future> PinnedDrop for Body<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !this.shared.done.get() {
                let base = this.shared.base.inner();
                // A panic that got out of here would end the process.
                base.guard(|| this.future.set(None));
                base.guard(|| this.shared.finish(Err(JoinError::Cancelled)));
            }
        }
    }
}

impl<F: Future> Body<F> {
    pub(super) fn new(future: F, shared: Rc<Shared<F::Output>>) -> Self {
        let future = Some(future);
        Body { future, shared }
    }
}

impl<F: Future> Future for Body<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        this.shared.begin();
        let end = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(payload) => Err(JoinError::panicked(payload)),
        };
        // What it held is free before anybody hears of its end.
        this.shared.base.inner().guard(|| this.future.set(None));
        this.shared.finish(end);
        Poll::Ready(())
    }
}

impl<T> JoinHandle<T> {
    pub(super) fn new(shared: Rc<Shared<T>>, task: Task<()>) -> Self {
        JoinHandle {
            shared,
            task: Cell::new(Some(task)),
            cancels: false,
        }
    }

    /// Of a task that never was.
    pub(super) fn cancelled(base: &LoopHandle) -> Self {
        let shared = Shared::new(base);
        shared.done.set(true);
        shared.end.set(Some(Err(JoinError::Cancelled)));
        JoinHandle {
            shared,
            task: Cell::new(None),
            cancels: false,
        }
    }

    /// Ends the task where it waits: its future is dropped in the loop's next turn. Who awaits the
    /// handle gets [`JoinError::Cancelled`], unless the task was done.
    pub fn cancel(&self) {
        drop(self.task.take());
    }

    /// Whether the task has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        self.shared.done.get()
    }

    /// Has the task cancelled when the handle is dropped.
    #[must_use = "dropping it cancels the task"]
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels = true;
        self
    }

    /// Gives the task to the base, as a callback is: an error that it returns goes to
    /// [`on_error`](LoopHandle::on_error), or stops the loop.
    pub fn detach(self)
    where
        T: CallbackResult,
    {
        if let Some(task) = self.task.take() {
            task.detach();
        }
        self.shared.abandon(report::<T>);
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// When it was done already.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = &self.shared;
        match shared.end.take() {
            Some(end) => Poll::Ready(end),
            None => {
                assert!(!shared.done.get(), "a JoinHandle is polled after its end");
                shared.waiter.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take()
            && !self.cancels
        {
            task.detach();
        }
        self.shared.abandon(let_go::<T>);
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

impl JoinError {
    pub(super) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        JoinError::Panicked(Panic(Mutex::new(payload)))
    }

    /// Whether the task was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Cancelled)
    }

    /// What the task panicked with, for [`std::panic::resume_unwind`]; None when it was cancelled.
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self {
            JoinError::Cancelled => None,
            JoinError::Panicked(panic) => Some(panic.into_payload()),
        }
    }
}

impl Panic {
    /// What was given to the panic.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        let payload = self.0.into_inner();
        payload.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Its message, where it has one.
    fn message(&self) -> String {
        let payload = lock(&self.0);
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        text.map_or_else(String::new, |text| format!(": {text}"))
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic{}", self.message())
    }
}
