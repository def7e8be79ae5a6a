//! Wakers: from any thread, at any time, none lost. Also under ThreadSanitizer.
#![cfg(feature = "async")]

mod common;
mod tasks;

use common::bounded;
use libevent2::task::{OnLoop, promise, yield_now};
use libevent2::{EventBase, EventConfig, LoopEnd, Timer};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use tasks::{CBase, Drops, give_waker, lock};

fn base() -> EventBase {
    EventBase::new().unwrap()
}

/// A counter that threads raise, and a task awaits.
#[derive(Default)]
struct Raised {
    count: AtomicUsize,
    waiter: Mutex<Option<Waker>>,
}

impl Raised {
    fn raise(&self) {
        self.count.fetch_add(1, SeqCst);
        let waiter = lock(&self.waiter).clone();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Waits until it is raised beyond `seen`.
    async fn beyond(&self, seen: usize) -> usize {
        poll_fn(|cx| {
            *lock(&self.waiter) = Some(cx.waker().clone());
            match self.count.load(SeqCst) {
                count if count > seen => Poll::Ready(count),
                _ => Poll::Pending,
            }
        })
        .await
    }

    async fn at_least(&self, count: usize) {
        let mut seen = 0;
        while seen < count {
            seen = self.beyond(seen).await;
        }
    }
}

/// Eight threads, that each do `act` so often.
fn eight_threads(times: usize, act: impl Fn(usize) + Send + Sync + 'static) {
    let act = Arc::new(act);
    for i in 0..8 {
        let act = act.clone();
        thread::spawn(move || (0..times).for_each(|_| act(i)));
    }
}

const TIMES: usize = 10_000;

#[test]
fn no_wake_of_eight_threads_is_lost_to_a_task() {
    let _bounded = bounded();
    let mut base = base();
    let raised = Arc::new(Raised::default());
    let raises = raised.clone();
    let task = base.spawn(async move { raised.at_least(8 * TIMES).await });
    eight_threads(TIMES, move |_| raises.raise());
    base.block_on(task).unwrap().unwrap();
}

#[test]
fn no_wake_of_eight_threads_is_lost_to_the_main_future() {
    let _bounded = bounded();
    let mut base = base();
    let raised = Arc::new(Raised::default());
    let raises = raised.clone();
    eight_threads(TIMES, move |_| raises.raise());
    base.block_on(raised.at_least(8 * TIMES)).unwrap();
}

#[test]
fn each_of_eight_threads_is_answered_by_its_own_task_before_it_goes_on() {
    let _bounded = bounded();
    const ROUNDS: usize = 2_000;
    let mut base = base();
    for _ in 0..8 {
        let asked = Arc::new(Raised::default());
        let (answer, answers) = channel();
        let asks = asked.clone();
        thread::spawn(move || {
            for _ in 0..ROUNDS {
                asks.raise();
                answers.recv().unwrap();
            }
        });
        base.spawn(async move {
            for seen in 0..ROUNDS {
                asked.beyond(seen).await;
                answer.send(()).unwrap();
            }
        })
        .detach();
    }
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn the_main_future_answers_a_thread_each_time() {
    let _bounded = bounded();
    let mut base = base();
    let asked = Arc::new(Raised::default());
    let (answer, answers) = channel();
    let asks = asked.clone();
    thread::spawn(move || {
        for _ in 0..TIMES {
            asks.raise();
            answers.recv().unwrap();
        }
    });
    base.block_on(async {
        for seen in 0..TIMES {
            asked.beyond(seen).await;
            answer.send(()).unwrap();
        }
    })
    .unwrap();
}

#[test]
fn thousands_of_tasks_are_woken_once_each_by_other_threads() {
    let _bounded = bounded();
    let mut base = base();
    let (to, wakers) = channel::<(Arc<AtomicBool>, Waker)>();
    let wakers = Arc::new(Mutex::new(wakers));
    for _ in 0..8 {
        let wakers = wakers.clone();
        thread::spawn(move || {
            loop {
                let next = wakers.lock().unwrap().recv();
                let Ok((woken, waker)) = next else { return };
                woken.store(true, SeqCst);
                waker.wake();
            }
        });
    }
    for _ in 0..TIMES {
        let to = to.clone();
        let woken = Arc::new(AtomicBool::new(false));
        let mut sent = false;
        base.spawn(poll_fn(move |cx| {
            if !sent {
                sent = true;
                to.send((woken.clone(), cx.waker().clone())).unwrap();
            }
            match woken.load(SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }))
        .detach();
    }
    drop(to);
    // Nothing but the tasks keeps the loop, and the last of them is woken by a thread.
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(base.stats().tasks(), 0);
}

#[test]
fn a_wake_by_another_thread_during_the_poll_counts() {
    let _bounded = bounded();
    let mut base = base();
    let mut polls = 0;
    let task = base.spawn(poll_fn(move |cx| {
        polls += 1;
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake()).join().unwrap();
        match polls {
            1_000 => Poll::Ready(polls),
            _ => Poll::Pending,
        }
    }));
    assert_eq!(base.block_on(task).unwrap().unwrap(), 1_000);
    let mut polls = 0;
    let main = poll_fn(move |cx| {
        polls += 1;
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake()).join().unwrap();
        match polls {
            1_000 => Poll::Ready(polls),
            _ => Poll::Pending,
        }
    });
    assert_eq!(base.block_on(main).unwrap(), 1_000);
}

#[test]
fn a_wake_after_the_end_of_a_task_or_of_its_base_does_nothing() {
    let _bounded = bounded();
    let mut base = base();
    let (to, wakers) = channel();
    let mut polled = false;
    let done = base.spawn(poll_fn(move |cx| {
        assert!(!polled, "polled after its end");
        polled = true;
        to.send(cx.waker().clone()).unwrap();
        Poll::Ready(())
    }));
    base.block_on(done).unwrap().unwrap();
    let waker = wakers.recv().unwrap();
    let other = waker.clone();
    waker.wake_by_ref();
    thread::spawn(move || other.wake()).join().unwrap();
    base.run().unwrap();

    let (to, wakers) = channel();
    drop(base.spawn(give_waker(to)));
    base.run_nonblocking().unwrap();
    drop(base);
    let pending = wakers.recv().unwrap();
    pending.wake_by_ref();
    thread::spawn(move || {
        pending.wake_by_ref();
        drop(pending);
    })
    .join()
    .unwrap();
    waker.wake();
}

#[test]
fn a_waker_may_be_the_last_of_a_task_on_another_thread() {
    let _bounded = bounded();
    for ends_first in [false, true] {
        let drops = Drops::default();
        let mut base = base();
        let (to, wakers) = channel();
        for _ in 0..100 {
            let (held, give) = (drops.hold(), give_waker(to.clone()));
            drop(base.spawn(async move {
                let _held = held;
                give.await;
            }));
        }
        drop(to);
        for _ in 0..3 {
            base.run_nonblocking().unwrap();
        }
        let wakers: Vec<Waker> = wakers.try_iter().collect();
        assert_eq!(wakers.len(), 100);
        let mut base = Some(base);
        if ends_first {
            base.take();
            assert_eq!(drops.get(), 100);
        }
        thread::spawn(move || drop(wakers)).join().unwrap();
        drop(base);
        assert_eq!(drops.get(), 100);
    }
}

#[test]
fn a_base_may_go_while_other_threads_wake_its_tasks() {
    let _bounded = bounded();
    for round in 0..50 {
        let drops = Drops::default();
        let mut base = base();
        let (to, wakers) = channel();
        for _ in 0..100 {
            let (held, give) = (drops.hold(), give_waker(to.clone()));
            drop(base.spawn(async move {
                let _held = held;
                give.await;
            }));
        }
        drop(to);
        for _ in 0..3 {
            base.run_nonblocking().unwrap();
        }
        let wakers: Vec<Waker> = wakers.try_iter().collect();
        let begin = Arc::new(Barrier::new(4));
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (begin, stop, wakers) = (begin.clone(), stop.clone(), wakers.clone());
                thread::spawn(move || {
                    begin.wait();
                    while !stop.load(SeqCst) {
                        wakers.iter().for_each(Waker::wake_by_ref);
                    }
                })
            })
            .collect();
        drop(wakers);
        begin.wait();
        for _ in 0..round % 5 {
            base.run_nonblocking().unwrap();
        }
        drop(base);
        assert_eq!(drops.get(), 100);
        stop.store(true, SeqCst);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn the_main_futures_waker_may_outlive_block_on_and_the_base() {
    let _bounded = bounded();
    let mut base = base();
    let mut taken = None;
    base.block_on(poll_fn(|cx| {
        taken = Some(cx.waker().clone());
        Poll::Ready(())
    }))
    .unwrap();
    let waker = taken.unwrap();
    let other = waker.clone();
    thread::spawn(move || other.wake()).join().unwrap();
    waker.wake_by_ref();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    drop(base);
    waker.wake_by_ref();
    thread::spawn(move || waker.wake()).join().unwrap();
}

#[test]
fn an_old_main_futures_waker_does_not_end_a_later_run() {
    let _bounded = bounded();
    let mut base = base();
    let mut taken = None;
    base.block_on(poll_fn(|cx| {
        taken = Some(cx.waker().clone());
        Poll::Ready(())
    }))
    .unwrap();
    let waker = taken.unwrap();
    let other = waker.clone();
    let wake = Timer::after(&base, Duration::from_millis(1), move |_| waker.wake());
    let from_a_thread = Timer::after(&base, Duration::from_millis(2), move |_| {
        thread::spawn(move || other.wake()).join().unwrap();
    });
    let reached = Rc::new(Cell::new(false));
    let reaches = reached.clone();
    let end = Timer::after(&base, Duration::from_millis(10), move |handle| {
        reaches.set(true);
        handle.exit();
    });
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Exit);
    assert!(reached.get());
    drop((wake, from_a_thread, end));
}

#[test]
fn an_old_main_futures_waker_does_not_end_cs_run() {
    let _bounded = bounded();
    let c = CBase::new();
    let mut base = c.attach();
    let mut taken = None;
    base.block_on(poll_fn(|cx| {
        taken = Some(cx.waker().clone());
        Poll::Ready(())
    }))
    .unwrap();
    let waker = taken.unwrap();
    let wake = Timer::after(&base, Duration::from_millis(1), move |_| waker.wake());
    let reached = Rc::new(Cell::new(false));
    let reaches = reached.clone();
    let end = Timer::after(&base, Duration::from_millis(10), move |handle| {
        reaches.set(true);
        handle.exit();
    });
    c.run_on();
    assert!(reached.get());
    drop((wake, end));
}

#[test]
fn a_main_future_that_wakes_itself_as_it_ends_leaves_the_next_run_alone() {
    let _bounded = bounded();
    let mut base = base();
    base.block_on(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(())
    }))
    .unwrap();
    let raw = base.as_ptr();
    let _timer = Timer::after(&base, Duration::ZERO, move |_| {
        // C's own break, as C code on the loop makes it.
        // SAFETY: the base is alive, and runs.
        unsafe { libevent2::ffi::event_base_loopbreak(raw) };
    });
    let _later = Timer::after(&base, Duration::from_secs(3600), |_| ());
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
}

#[test]
fn run_is_held_by_a_task_and_let_go_by_another_thread() {
    let _bounded = bounded();
    let mut base = base();
    for _ in 0..100 {
        let (to, wakers) = channel::<Waker>();
        let (resolve, resolved) = channel();
        let thread = thread::spawn(move || {
            let waker = wakers.recv().unwrap();
            resolve.send(()).unwrap();
            waker.wake();
        });
        base.spawn(poll_fn(move |cx| {
            let _ = to.send(cx.waker().clone());
            match resolved.try_recv() {
                Ok(()) => Poll::Ready(()),
                Err(_) => Poll::Pending,
            }
        }))
        .detach();
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(base.stats().tasks(), 0);
        thread.join().unwrap();
    }
}

#[test]
fn on_a_base_without_locks_a_thread_is_heard_with_the_next_turn_of_tasks() {
    let _bounded = bounded();
    let mut base = EventConfig::new().no_lock().build().unwrap();
    let handle = base.handle().clone();
    let raised = Arc::new(Raised::default());
    let raises = raised.clone();
    eight_threads(TIMES / 10, move |_| raises.raise());
    base.block_on(async move {
        let waits = handle.spawn(async move { raised.at_least(8 * TIMES / 10).await });
        while !waits.is_finished() {
            handle.sleep(Duration::from_millis(1)).await;
            handle.spawn(yield_now()).await.unwrap();
        }
    })
    .unwrap();
}

#[test]
fn a_base_without_locks_goes_with_tasks_that_threads_have_woken() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = EventConfig::new().no_lock().build().unwrap();
    let (to, wakers) = channel();
    for _ in 0..50 {
        let (held, give) = (drops.hold(), give_waker(to.clone()));
        drop(base.spawn(async move {
            let _held = held;
            give.await;
        }));
    }
    base.run_nonblocking().unwrap();
    thread::spawn(move || wakers.try_iter().for_each(Waker::wake))
        .join()
        .unwrap();
    drop(base);
    assert_eq!(drops.get(), 50);
}

#[test]
fn a_waker_of_ones_own_that_panics_is_heard_of() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }

    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    let held = drops.hold();
    let mut done = base.spawn(async { yield_now().await });
    let mut cancelled = base.spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    let waker = Waker::from(Arc::new(Panics));
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut done).poll(&mut cx).is_pending());
    assert_eq!(tasks::panic_of(|| base.run_nonblocking()), "a waker");
    assert!(Pin::new(&mut cancelled).poll(&mut cx).is_pending());
    cancelled.cancel();
    assert_eq!(tasks::panic_of(|| base.run()), "a waker");
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_task_that_is_woken_often_before_its_turn_is_polled_once() {
    let _bounded = bounded();
    let mut base = base();
    let polls = Rc::new(Cell::new(0));
    let (to, wakers) = channel();
    let counted = polls.clone();
    let mut give = Box::pin(give_waker(to));
    drop(base.spawn(poll_fn(move |cx| {
        counted.set(counted.get() + 1);
        give.as_mut().poll(cx)
    })));
    base.run_nonblocking().unwrap();
    let waker = wakers.recv().unwrap();
    (0..1_000).for_each(|_| waker.wake_by_ref());
    base.run_nonblocking().unwrap();
    assert_eq!(polls.get(), 2);
    thread::spawn(move || (0..1_000).for_each(|_| waker.wake_by_ref()))
        .join()
        .unwrap();
    for _ in 0..3 {
        base.run_nonblocking().unwrap();
    }
    assert_eq!(polls.get(), 3);
}

#[test]
fn a_promise_is_kept_from_a_job_that_another_thread_posts() {
    let _bounded = bounded();
    let mut base = base();
    let (handle, remote) = (base.handle().clone(), base.remote().unwrap());
    let kept = base.block_on(async {
        let mut total = 0;
        for i in 0..1_000 {
            let (promise, promised) = promise();
            let promise = OnLoop::new(&handle, promise);
            let remote = remote.clone();
            thread::spawn(move || {
                remote
                    .post(move |_| promise.into_inner().resolve(i))
                    .unwrap();
            });
            total += promised.await.unwrap();
        }
        total
    });
    assert_eq!(kept.unwrap(), 499_500);
}
