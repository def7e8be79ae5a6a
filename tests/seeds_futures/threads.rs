//! Rows 48 and 49: other threads, and work on them.

use crate::common::{Bump, bounded, count};
use crate::run;
use libevent2::{EventBase, LoopHandle, Remote, Timer};
use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

thread_local! {
    /// What the closures that other threads post add up.
    static SUM: Cell<i32> = const { Cell::new(0) };
}

fn add(number: i32) {
    SUM.set(SUM.get() + number);
}

/// Has the loop add `number` after a delay, and end.
fn add_later(remote: &Remote, number: i32) {
    let added = remote.post(move |handle: &LoopHandle| {
        let delay = Timer::after(handle, MS, move |handle| {
            add(number);
            handle.exit();
        });
        delay.map(Timer::detach)
    });
    added.unwrap();
}

/// `threading-delay`: another thread adds a delay after a second, to a loop with one of its own.
#[test]
fn row_48_threading_delay() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    let begun = Instant::now();
    let thread = thread::spawn(move || {
        thread::sleep(1000 * MS);
        add_later(&remote, 69);
    });
    let _delay = Timer::after(&base, MS, |_| add(42)).unwrap();
    base.run_until_exit().unwrap();
    thread.join().unwrap();
    assert_eq!(SUM.get(), 111);
    assert!(begun.elapsed() >= 1000 * MS);
}

/// `thread-specific-loop`: two loops in two threads, each is told apart.
#[test]
fn row_48_threading_thread_specific_loop() {
    let _bounded = bounded();
    let (sender, remotes) = std::sync::mpsc::channel();
    let threads = [33, 77].map(|number| {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut base = EventBase::new().unwrap();
            sender.send((number, base.remote().unwrap())).unwrap();
            base.run_until_exit().unwrap();
            SUM.get()
        })
    });
    for (number, remote) in remotes.iter().take(2) {
        add_later(&remote, number);
    }
    let sums = threads.map(|thread| thread.join().unwrap());
    assert_eq!(sums, [33, 77]);
    assert_eq!(sums[0] + sums[1], 110);
}

#[test]
fn row_48_threading_posts_all_run() {
    const THREADS: usize = 8;
    const POSTS: usize = 10_000;
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let threads = [(); THREADS].map(|()| {
        let remote = base.remote().unwrap();
        thread::spawn(move || {
            for _ in 0..POSTS {
                remote
                    .post(|handle| {
                        add(1);
                        if SUM.get() as usize == THREADS * POSTS {
                            handle.exit();
                        }
                    })
                    .unwrap();
            }
        })
    });
    base.run_until_exit().unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(SUM.get() as usize, THREADS * POSTS);
}

/// A task is woken from whatever thread.
#[test]
fn row_48_threading_wakes_a_task() {
    let _bounded = bounded();
    let (woken, took) = run(async |_| {
        let begun = Rc::new(Cell::new(None));
        std::future::poll_fn(|cx| match begun.get() {
            None => {
                begun.set(Some(Instant::now()));
                let waker = cx.waker().clone();
                thread::spawn(move || {
                    thread::sleep(20 * MS);
                    waker.wake();
                });
                std::task::Poll::Pending
            }
            Some(begun) => std::task::Poll::Ready(begun.elapsed() >= 20 * MS),
        })
        .await
    });
    assert!(woken && took >= 20 * MS);
}

/// The loop goes on while a job of 3 s runs; its result is awaited.
#[test]
fn row_49_notifier() {
    let _bounded = bounded();
    let ticks = count();
    let counted = ticks.clone();
    let (result, took) = run(async move |handle: LoopHandle| {
        let ticker = Timer::every(&handle, 100 * MS, move |_| {
            counted.bump();
        })
        .unwrap();
        let job = handle.spawn_blocking(|| {
            thread::sleep(3000 * MS);
            42
        });
        let result = job.await.unwrap();
        drop(ticker);
        result
    });
    assert_eq!(result, 42);
    assert!(took >= 3000 * MS, "{took:?}");
    // As often as it could have been, but for a machine that is busy.
    assert!((5..=31).contains(&ticks.get()), "{}", ticks.get());
}
