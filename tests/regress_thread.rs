//! libevent's own regress cases for threads (test/regress_thread.c): other threads reach a loop
//! through its `Remote`. The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, bounded, count};
use libevent2::{Error, EventBase, LoopEnd, Remote, Signal, Timer, UserEvent};
use regress::{alone, assert_about, wait_for};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const THREADS: usize = 100;
const ITERATIONS: usize = 100;

/// Sets a timer on the loop and waits until it ran, again and again.
fn wait_for_timers(remote: &Remote, total: &AtomicUsize) {
    let (tell, ran) = channel();
    for _ in 0..ITERATIONS {
        let tell = tell.clone();
        let job = move |handle: &libevent2::LoopHandle| {
            let timer = Timer::after(handle, Duration::from_millis(3), move |_| tell.send(()))?;
            timer.detach();
            Ok::<(), Error>(())
        };
        remote.post(job).unwrap();
        ran.recv().unwrap();
        // The last of all ends the loop.
        if total.fetch_add(1, Ordering::SeqCst) + 1 == THREADS * ITERATIONS {
            remote.post(|handle| handle.exit()).unwrap();
        }
    }
}

/// Runs the loop, with many threads that use it.
fn many_threads(base: &mut EventBase) {
    let total = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (remote, total) = (base.remote().unwrap(), Arc::clone(&total));
            thread::spawn(move || wait_for_timers(&remote, &total))
        })
        .collect();
    let long = Duration::from_secs(1000);
    let _keeps_running = Timer::after(base, long, |_| -> () { panic!("not for so long") });

    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(total.load(Ordering::SeqCst), THREADS * ITERATIONS);
}

#[test]
fn basic() {
    let _watchdog = bounded();
    many_threads(&mut EventBase::new().unwrap());
}

#[test]
fn forking() {
    let _watchdog = bounded();
    alone("forking", || {
        let mut base = EventBase::new().unwrap();
        let remote = base.remote().unwrap();
        let children = count();
        let seen = Rc::clone(&children);
        let signal = Signal::new(&base, libc::SIGCHLD, move |signal| {
            seen.bump();
            signal.handle().exit_after(Duration::from_millis(100))
        });
        let signal = signal.unwrap();

        let pid = regress::fork(|| {
            // SAFETY: the child of a fork, in a process with one thread, outside of the loop;
            // nothing was done with the base before.
            unsafe { base.reinit_after_fork() }.unwrap();
            many_threads(&mut base);
            76
        });
        assert_eq!(base.run().unwrap(), LoopEnd::Exit);
        assert_eq!(wait_for(pid), 76);
        assert_eq!(children.get(), 1);
        // Nothing of what the child's threads posted came here.
        assert_eq!(base.stats().callbacks(), 1);
        // And the parent's own way in is its own still.
        drop(signal);
        remote.post(|handle| handle.exit()).unwrap();
        assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Exit);
    });
}

thread_local! {
    /// Events of the loop that runs on this thread, for the jobs that another one posts.
    static EVENTS: RefCell<Vec<UserEvent>> = const { RefCell::new(Vec::new()) };
    /// Which timers ran on it, and when.
    static RAN: RefCell<Vec<(usize, Instant)>> = const { RefCell::new(Vec::new()) };
}

fn note(nth: usize) {
    RAN.with_borrow_mut(|ran| ran.push((nth, Instant::now())));
}

fn trigger(remote: &Remote, nth: usize) {
    let job = move |_: &_| EVENTS.with_borrow(|events| events[nth].trigger());
    remote.post(job).unwrap();
}

#[test]
fn no_events() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    for nth in [0, 1, 4] {
        let event = UserEvent::new(&base, move |event| {
            note(nth);
            if nth == 4 {
                event.handle().exit_now();
            }
        });
        EVENTS.with_borrow_mut(|events| events.push(event.unwrap()));
    }

    let ms = Duration::from_millis;
    let start = Instant::now();
    let remote = base.remote().unwrap();
    let thread = thread::spawn(move || {
        sleep(ms(100));
        trigger(&remote, 0);
        sleep(ms(100));
        trigger(&remote, 1);
        sleep(ms(100));
        let job = move |handle: &libevent2::LoopHandle| {
            for (nth, delay) in [(2, ms(100)), (3, ms(150))] {
                let timer = Timer::after(handle, delay, move |_| note(nth))?;
                timer.detach();
            }
            Ok::<(), Error>(())
        };
        remote.post(job).unwrap();
        sleep(ms(200));
        trigger(&remote, 2);
    });
    // Without any event it waits for what other threads do.
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Break);
    let end = start.elapsed();
    thread.join().unwrap();

    // On a busy machine a timer may be later than the break, after which it waits for the next run.
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);

    let times = RAN.take();
    for order in [[0, 1, 4], [0, 1, 2], [0, 2, 3]] {
        let places = order.map(|nth| times.iter().position(|time| time.0 == nth));
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{times:?}"
        );
    }
    assert_eq!(times.len(), 5);
    for (nth, at) in &times {
        assert_about(*at - start, ms([100, 200, 400, 450, 500][*nth]));
    }
    assert_about(end, ms(500));
    EVENTS.take();
}
