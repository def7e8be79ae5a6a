//! The tasks of one base: those that are ready, and the event that runs them.

use super::join::{Body, JoinHandle, Shared};
use super::on_loop::OnLoop;
use crate::base::Inner;
use crate::error::Result;
use crate::event::Alarm;
use crate::sync::lock;
use crate::{LoopHandle, Remote};
use async_task::Runnable;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// How many tasks are polled before the loop looks at its events again.
const POLLS: usize = 64;

/// How many operations that succeed at once a task may make in one poll.
const OPERATIONS: u32 = 128;

pub(crate) struct Executor {
    queue: Arc<Queue>,
    /// All unfinished tasks, to be ended with the base.
    tasks: RefCell<Slab<Waker>>,
    /// What is left of the present poll's operations.
    operations: Cell<u32>,
    /// The task that ran last has used up its operations.
    exhausted: Cell<bool>,
    /// Whether a run of the loop waits for the last task to finish.
    holding: Cell<bool>,
    /// The task that is being polled, until it is done.
    running: Cell<Option<usize>>,
}

/// What is ready; every waker has a share in it.
struct Queue {
    local: OnLoop<Local>,
    /// Woken by other threads.
    foreign: Mutex<Vec<Runnable>>,
    /// Unset for a base without locks.
    remote: OnceLock<Remote>,
}

/// The part for the loop's own thread.
struct Local {
    ready: RefCell<VecDeque<Runnable>>,
    /// Whether the alarm will ring.
    told: Cell<bool>,
    /// Whether the base is going: what becomes ready is dropped.
    closed: Cell<bool>,
    /// None when the base is gone.
    alarm: RefCell<Option<Alarm>>,
    /// Dangles then too: whoever drops the queue last may be on another thread.
    base: RefCell<Weak<Inner>>,
}

impl Executor {
    pub(crate) fn new(base: &LoopHandle) -> Result<Self> {
        let local = Local {
            ready: RefCell::default(),
            told: Cell::new(false),
            closed: Cell::new(false),
            alarm: RefCell::default(),
            base: RefCell::new(Rc::downgrade(base.inner())),
        };
        let queue = Arc::new(Queue {
            local: OnLoop::new(base, local),
            foreign: Mutex::default(),
            remote: OnceLock::new(),
        });
        let ringing = Arc::downgrade(&queue);
        let alarm = Alarm::new(base, move || {
            if let Some(queue) = ringing.upgrade() {
                queue.turn();
            }
        })?;
        queue.local.alarm.replace(Some(alarm));
        let executor = Executor {
            queue,
            tasks: RefCell::default(),
            operations: Cell::new(OPERATIONS),
            exhausted: Cell::new(false),
            holding: Cell::new(false),
            running: Cell::new(None),
        };
        executor.heed_threads(base);
        Ok(executor)
    }

    /// Has other threads tell the loop what they woke, if it has locks.
    pub(crate) fn heed_threads(&self, base: &LoopHandle) {
        if let Ok(remote) = base.remote() {
            let _ = self.queue.remote.set(remote);
            self.queue.take_foreign();
        }
    }

    pub(super) fn spawn<F: Future + 'static>(
        &self,
        base: &LoopHandle,
        future: F,
    ) -> JoinHandle<F::Output> {
        let shared = Shared::new(base);
        let queue = Arc::clone(&self.queue);
        let body = Body::new(future, shared.clone());
        let (runnable, task) = async_task::spawn_local(body, move |runnable| queue.push(runnable));
        shared.entered(self.tasks.borrow_mut().insert(runnable.waker()));
        runnable.schedule();
        JoinHandle::new(shared, task)
    }

    /// A task is about to be polled.
    pub(super) fn begun(&self, key: usize) {
        self.running.set(Some(key));
    }

    /// A task is done, or dropped.
    pub(super) fn finished(&self, base: &Inner, key: usize) {
        if self.running.get() == Some(key) {
            self.running.set(None);
        }
        let waker = self.tasks.borrow_mut().try_remove(key);
        drop(waker);
        if self.holding.get() && self.tasks.borrow().is_empty() {
            base.interrupt();
        }
    }

    /// How many tasks are not finished.
    pub(crate) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Whether the run of the loop is to be interrupted when the last task is done.
    pub(crate) fn hold(&self, holding: bool) {
        self.holding.set(holding);
    }

    fn refill(&self) {
        self.operations.set(OPERATIONS);
        self.exhausted.set(false);
    }

    /// Drops every task, while the base is still there; one that is being polled when that is over.
    pub(crate) fn close(&self, base: &Inner) {
        self.holding.set(false);
        while self.len() > usize::from(self.running.get().is_some()) {
            // Woken, each one is in a queue, or another thread is about to put it there.
            self.wake_all();
            self.queue.take_foreign();
            let ready = self.queue.local.ready.take();
            if ready.is_empty() {
                thread::yield_now();
            }
            for runnable in ready {
                base.guard(|| drop(runnable));
            }
        }
        self.queue.local.closed.set(true);
        // Woken, the one that is left is dropped instead of waiting on.
        self.wake_all();
        // Whoever drops the queue last, on another thread, finds nothing to leak.
        drop(self.queue.local.ready.take());
        self.queue.local.base.take();
        let alarm = self.queue.local.alarm.take();
        if let Some(alarm) = &alarm {
            alarm.free();
        }
    }

    /// Nothing is borrowed while a waker runs.
    fn wake_all(&self) {
        let wakers: Vec<Waker> = self.tasks.borrow().iter().map(|(_, w)| w.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Queue {
    /// From any thread.
    fn push(&self, runnable: Runnable) {
        if let Some(local) = self.local.get() {
            if local.closed.get() {
                return drop(runnable);
            }
            local.ready.borrow_mut().push_back(runnable);
            return local.tell();
        }
        let mut foreign = lock(&self.foreign);
        foreign.push(runnable);
        let first = foreign.len() == 1;
        drop(foreign);
        if first && let Some(remote) = self.remote.get() {
            // An error means that the base is gone, with all tasks but this one's husk.
            let _ = remote.post(|base| {
                if let Some(executor) = base.inner().executor_if_any() {
                    executor.queue.take_foreign();
                }
            });
        }
    }

    fn take_foreign(&self) {
        let foreign = mem::take(&mut *lock(&self.foreign));
        if !foreign.is_empty() {
            self.local.ready.borrow_mut().extend(foreign);
            self.local.tell();
        }
    }

    /// Polls what is ready, but not for too long.
    fn turn(&self) {
        let local = &*self.local;
        let base = local.base.borrow().upgrade();
        let Some(base) = base else {
            return;
        };
        let Some(executor) = base.executor_if_any() else {
            return;
        };
        // A base without locks is not told of what other threads woke.
        if self.remote.get().is_none() {
            self.take_foreign();
        }
        for _ in 0..POLLS {
            let next = local.ready.borrow_mut().pop_front();
            let Some(runnable) = next else {
                local.told.set(false);
                return;
            };
            executor.refill();
            base.count_callback();
            base.guard(|| {
                runnable.run();
            });
            executor.running.set(None);
            if executor.exhausted.get() || base.is_stopped_by_us() {
                break;
            }
        }
        local.told.set(false);
        if !local.ready.borrow().is_empty() {
            local.told.set(true);
            if let Some(alarm) = &*local.alarm.borrow() {
                // After the loop has looked at its events.
                alarm.after(Duration::ZERO);
            }
        }
    }
}

impl Local {
    /// Has the loop poll what is ready.
    fn tell(&self) {
        if !self.told.replace(true)
            && let Some(alarm) = &*self.alarm.borrow()
        {
            alarm.now();
        }
    }
}

impl Inner {
    /// A future is about to be polled.
    pub(crate) fn refill(&self) {
        if let Some(executor) = self.executor_if_any() {
            executor.refill();
        }
    }

    /// To be asked before each operation that may succeed at once: `Pending` when the task has made
    /// so many in this poll that it is the turn of others; it will be polled again.
    #[inline]
    pub(crate) fn spend(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(executor) = self.executor_if_any() else {
            return Poll::Ready(());
        };
        match executor.operations.get() {
            0 => {
                // Also for a task of another executor, which does not refill.
                executor.operations.set(OPERATIONS);
                executor.exhausted.set(true);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            left => {
                executor.operations.set(left - 1);
                Poll::Ready(())
            }
        }
    }
}

impl LoopHandle {
    /// Gives the loop a task: `future` is polled from the loop, for the first time in this turn or
    /// the next, until it is done. It need not be `Send`.
    ///
    /// The task goes on when the [`JoinHandle`] is dropped, and keeps [`run`](crate::EventBase::run)
    /// from returning until it is done. When the base is dropped it is too.
    ///
    /// ```
    /// use libevent2::EventBase;
    ///
    /// let mut base = EventBase::new()?;
    /// let task = base.spawn(async { 6 * 7 });
    /// assert_eq!(base.block_on(task)?.unwrap(), 42);
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// On a base that is gone, or going, the task is [cancelled](super::JoinError::Cancelled) from the
    /// beginning.
    ///
    /// # Panics
    /// When memory is short.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        if self.inner().open().is_err() {
            drop(future);
            return JoinHandle::cancelled(self);
        }
        let executor = self.inner().executor();
        executor.expect("memory for an event").spawn(self, future)
    }
}
