//! Tasks that other threads give to a loop: `Remote::spawn`.
#![cfg(feature = "async")]

mod common;

use common::bounded;
use libevent2::task::{JoinError, RemoteTask, promise};
use libevent2::{EventBase, LoopHandle, Remote, Timer};
use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

/// A loop on a thread of its own, until it is told to stop.
struct Loop {
    remote: Remote,
    thread: JoinHandle<()>,
}

impl Loop {
    fn start() -> Self {
        let (there, here) = channel();
        let thread = thread::spawn(move || {
            let mut base = EventBase::new().unwrap();
            there.send(base.remote().unwrap()).unwrap();
            base.run_until_exit().unwrap();
        });
        let remote = here.recv().unwrap();
        Loop { remote, thread }
    }

    fn id(&self) -> ThreadId {
        self.thread.thread().id()
    }

    /// What `run_until_exit` panicked with is passed on.
    fn stop(self) -> thread::Result<()> {
        let _ = self.remote.stop();
        self.thread.join()
    }
}

/// On a loop of this thread's.
fn wait<F: Future>(future: F) -> F::Output {
    EventBase::new().unwrap().block_on(future).unwrap()
}

fn panics(message: &'static str) {
    panic_any(message)
}

/// Tells when it is dropped.
struct Sends(Sender<()>);

impl Drop for Sends {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

/// Notes on which threads it is dropped.
struct NotesDrop(Arc<Mutex<Vec<ThreadId>>>);

impl Drop for NotesDrop {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

#[test]
fn a_remote_task_is_send_and_what_it_runs_need_not_be() {
    fn send_and_sync<T: Send + Sync>(value: T) -> T {
        value
    }
    let _bounded = bounded();
    let there = Loop::start();
    let task = send_and_sync(there.remote.spawn(|handle: LoopHandle| async move {
        let local = Rc::new(Cell::new(1));
        handle.sleep(Duration::from_millis(1)).await;
        local.set(local.get() + 1);
        (local.get(), thread::current().id())
    }));
    assert_eq!(wait(task).unwrap(), (2, there.id()));
    there.stop().unwrap();
}

#[test]
fn callbacks_of_the_loop_answer_another_thread() {
    let _bounded = bounded();
    let there = Loop::start();
    let task = there.remote.spawn(|handle| async move {
        let (promise, promised) = promise();
        let _timer = Timer::after(&handle, Duration::from_millis(1), |_| {
            promise.resolve("tick");
        })
        .unwrap();
        promised.await.unwrap()
    });
    assert_eq!(wait(task).unwrap(), "tick");
    there.stop().unwrap();
}

#[test]
fn a_thousand_tasks_of_four_threads_end_each_with_its_own_result() {
    let _bounded = bounded();
    let there = Loop::start();
    let start = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (remote, start) = (there.remote.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                let tasks: Vec<RemoteTask<u64>> = (0..250)
                    .map(|n| {
                        remote.spawn(move |handle| async move {
                            handle.sleep(Duration::from_micros(n % 7)).await;
                            thread * 1000 + n
                        })
                    })
                    .collect();
                wait(async {
                    for (n, task) in (0..).zip(tasks) {
                        assert_eq!(task.await.unwrap(), thread * 1000 + n);
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    there.stop().unwrap();
}

#[test]
fn a_panic_reaches_who_awaits_the_task_and_the_loop_goes_on() {
    let _bounded = bounded();
    let there = Loop::start();
    let at_once = there.remote.spawn(|_| {
        panics("at once");
        ready(())
    });
    let later = there.remote.spawn(|handle| async move {
        handle.sleep(Duration::from_millis(1)).await;
        panics("later");
    });
    for (task, message) in [(at_once, "at once"), (later, "later")] {
        let payload = wait(task).unwrap_err().into_panic().unwrap();
        assert_eq!(*payload.downcast::<&str>().unwrap(), message);
    }
    assert_eq!(wait(there.remote.spawn(|_| async { 1 })).unwrap(), 1);
    there.stop().unwrap();
}

#[test]
fn a_panic_of_a_task_that_nobody_waits_for_reaches_run() {
    let _bounded = bounded();
    let there = Loop::start();
    let (go, gone) = channel();
    let task = there.remote.spawn(move |_| async move {
        gone.recv().unwrap();
        panics("unheard");
    });
    drop(task);
    go.send(()).unwrap();
    let payload = there.thread.join().unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "unheard");
}

#[test]
fn so_does_one_that_came_before_its_handle_was_dropped() {
    let _bounded = bounded();
    let there = Loop::start();
    let task = there.remote.spawn(|_| async { panics("unheard") });
    while !task.is_finished() {
        thread::yield_now();
    }
    drop(task);
    let payload = there.thread.join().unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "unheard");
}

#[test]
fn a_task_goes_on_when_its_handle_is_dropped() {
    let _bounded = bounded();
    let there = Loop::start();
    let (done, heard) = channel();
    drop(there.remote.spawn(move |handle| async move {
        handle.sleep(Duration::from_millis(1)).await;
        done.send(()).unwrap();
    }));
    heard.recv().unwrap();
    there.stop().unwrap();
}

#[test]
fn a_cancelled_task_drops_its_future_on_the_loops_thread() {
    let _bounded = bounded();
    let there = Loop::start();
    let dropped = Arc::default();
    let held = NotesDrop(Arc::clone(&dropped));
    let (begun, heard) = channel();
    let task = there.remote.spawn(move |_| async move {
        let _held = held;
        begun.send(()).unwrap();
        pending::<()>().await;
    });
    heard.recv().unwrap();
    assert!(!task.is_finished());
    task.cancel();
    task.cancel();
    assert!(wait(task).unwrap_err().is_cancelled());
    assert_eq!(*dropped.lock().unwrap(), [there.id()]);
    there.stop().unwrap();
}

#[test]
fn a_task_may_be_cancelled_by_dropping_its_handle() {
    let _bounded = bounded();
    let there = Loop::start();
    let (dropped, heard) = channel();
    let held = Sends(dropped);
    let task = there.remote.spawn(move |_| async move {
        let _held = held;
        pending::<()>().await;
    });
    let task = task.cancel_on_drop();
    let mut base = EventBase::new().unwrap();
    let timed = base.timeout(Duration::from_millis(1), task);
    assert!(base.block_on(timed).unwrap().is_err());
    heard.recv().unwrap();
    there.stop().unwrap();
}

#[test]
fn a_task_cancelled_before_its_turn_never_begins() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let task = base.remote().unwrap().spawn(|_| async { panics("begun") });
    task.cancel();
    assert!(base.block_on(task).unwrap().unwrap_err().is_cancelled());
}

#[test]
fn a_task_that_is_done_is_not_cancelled() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let task = base.remote().unwrap().spawn(|_| async { 1 });
    base.block_on(async {
        while !task.is_finished() {
            libevent2::task::yield_now().await;
        }
    })
    .unwrap();
    task.cancel();
    assert_eq!(base.block_on(task).unwrap().unwrap(), 1);
}

#[test]
fn when_the_base_is_dropped_its_remote_tasks_are_cancelled() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    let never_begun = remote.spawn(|_| pending::<()>());
    drop(base);
    assert!(wait(never_begun).unwrap_err().is_cancelled());
    // And one that is given to a base that is gone.
    let task = remote.spawn(|_| async { 1 });
    assert!(task.is_finished());
    assert!(wait(task).unwrap_err().is_cancelled());

    let there = Loop::start();
    let (begun, heard) = channel();
    let waits = there.remote.spawn(move |_| async move {
        begun.send(()).unwrap();
        pending::<()>().await;
    });
    heard.recv().unwrap();
    there.stop().unwrap();
    assert!(wait(waits).unwrap_err().is_cancelled());
}

#[test]
fn a_value_that_nobody_takes_is_dropped() {
    let _bounded = bounded();
    let there = Loop::start();
    let dropped = Arc::default();
    let value = NotesDrop(Arc::clone(&dropped));
    let task = there.remote.spawn(move |_| async move { value });
    let (asked, heard) = channel();
    there.remote.post(move |_| asked.send(()).unwrap()).unwrap();
    heard.recv().unwrap();
    drop(task);
    there.stop().unwrap();
    assert_eq!(dropped.lock().unwrap().len(), 1);
}

#[test]
fn only_the_waker_of_the_last_poll_is_woken() {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let mut task = pin!(base.remote().unwrap().spawn(|_| async {}));
    let wakers = [(); 2].map(|()| Arc::new(Woken(AtomicBool::new(false))));
    for woken in &wakers {
        let waker = Waker::from(woken.clone());
        assert!(
            task.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    base.run_until(|| wakers[1].0.load(SeqCst));
    assert!(!wakers[0].0.load(SeqCst));
    assert_eq!(Arc::strong_count(&wakers[0]), 1, "a waker is kept");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(task.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
    let again = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut cx)));
    assert!(again.is_err(), "polled after the end");
}

#[test]
fn a_loop_may_await_a_task_of_its_own_remote() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    let sum = base
        .block_on(async move {
            let one = remote.spawn(|_| async { 1 });
            let two = remote.spawn(|_| async { 2 });
            Ok::<_, JoinError>(one.await? + two.await?)
        })
        .unwrap();
    assert_eq!(sum.unwrap(), 3);
}

trait RunUntil {
    fn run_until(&mut self, done: impl Fn() -> bool);
}

impl RunUntil for EventBase {
    fn run_until(&mut self, done: impl Fn() -> bool) {
        while !done() {
            self.run_once().unwrap();
        }
    }
}
