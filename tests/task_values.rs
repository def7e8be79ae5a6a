//! What tasks work with: pauses, limits, promises, and values that stay on the loop's thread.
#![cfg(feature = "async")]

mod common;
mod tasks;

use common::bounded;
use libevent2::task::{Broken, OnLoop, promise, yield_now};
use libevent2::time::Elapsed;
use libevent2::{EventBase, EventConfig, Kind};
use std::cell::Cell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tasks::{Drops, OnDrop, Wakes, panic_of};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3600);

fn base() -> EventBase {
    EventBase::new().unwrap()
}

/// A waker, and how often it was woken.
fn waker() -> (Arc<Wakes>, Waker) {
    let wakes = Arc::new(Wakes::default());
    (wakes.clone(), Waker::from(wakes))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

// --- pauses ----------------------------------------------------------------------------------------

#[test]
fn a_pause_is_put_off_and_brought_forward_while_it_is_awaited() {
    let _bounded = bounded();
    let mut base = base();
    let (wakes, waker) = waker();
    let mut sleep = base.sleep(LONG);
    assert!(poll(&mut sleep, &waker).is_pending());
    let begin = Instant::now();
    sleep.reset(begin + LONG);
    let later = base.sleep(SHORT * 2);
    base.block_on(later).unwrap();
    assert!(poll(&mut sleep, &waker).is_pending());
    assert_eq!(wakes.get(), 0);
    let soon = Instant::now() + SHORT;
    sleep.reset(soon);
    while wakes.get() == 0 {
        base.run_once().unwrap();
    }
    assert!(Instant::now() >= soon);
    assert!(poll(&mut sleep, &waker).is_ready());
    // Once more.
    sleep.reset(Instant::now() + LONG);
    assert!(poll(&mut sleep, &waker).is_pending());
    sleep.reset(Instant::now() + SHORT);
    base.block_on(&mut sleep).unwrap();
    assert_eq!(wakes.get(), 1, "who polled last is woken");
}

#[test]
fn a_pause_that_is_dropped_leaves_nothing_in_the_loop() {
    let _bounded = bounded();
    let base = base();
    let (wakes, waker) = waker();
    let mut sleeps: Vec<_> = (0..1_000).map(|_| base.sleep(LONG)).collect();
    for sleep in &mut sleeps {
        assert!(poll(sleep, &waker).is_pending());
    }
    assert_eq!(base.stats().live(Kind::Timer), 1_000);
    drop(sleeps);
    assert_eq!((base.stats().live(Kind::Timer), wakes.get()), (0, 0));
    assert_eq!(Arc::strong_count(&wakes), 2, "nor a waker");
}

#[test]
fn a_pause_moves_from_task_to_task() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    base.block_on(async {
        let mut sleep = handle.sleep(LONG);
        for _ in 0..3 {
            let (back, returned) = promise();
            let handle2 = handle.clone();
            drop(handle.spawn(async move {
                let limited = handle2.timeout(SHORT / 5, &mut sleep).await;
                assert!(limited.is_err());
                back.resolve(sleep);
            }));
            sleep = returned.await.unwrap();
        }
        let soon = Instant::now() + SHORT;
        sleep.reset(soon);
        handle.spawn(sleep).await.unwrap();
        assert!(Instant::now() >= soon);
    })
    .unwrap();
}

#[test]
fn a_pause_hears_of_the_end_of_its_base() {
    let _bounded = bounded();
    let (wakes, waker) = waker();
    let gone = base();
    let mut sleep = gone.sleep(LONG);
    let mut fresh = gone.sleep(LONG);
    assert!(poll(&mut sleep, &waker).is_pending());
    drop(gone);
    assert_eq!(wakes.get(), 1);
    for sleep in [&mut sleep, &mut fresh] {
        let text = panic_of(|| poll(sleep, &waker));
        assert!(text.starts_with("a sleep is awaited on a base that is gone"));
    }
    // One whose time has come needs no base.
    sleep.reset(Instant::now());
    assert!(poll(&mut sleep, &waker).is_ready());
}

#[test]
fn limits_lie_in_each_other() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    base.block_on(async {
        let never = handle.timeout(LONG, handle.timeout(LONG, pending::<()>()));
        assert!(handle.timeout(SHORT, never).await.is_err());
        let inner = handle.timeout(SHORT, pending::<()>());
        assert!(handle.timeout(LONG, inner).await.unwrap().is_err());
        // A hundred of them, of which the one in the middle is over first.
        let mut future: Pin<Box<dyn Future<Output = usize>>> = Box::pin(pending());
        for depth in 0..100 {
            let limit = if depth == 50 { SHORT } else { LONG };
            let handle = handle.clone();
            future = Box::pin(async move {
                match handle.timeout(limit, future).await {
                    Ok(depth) => depth,
                    Err(_) => depth,
                }
            });
        }
        assert_eq!(future.await, 50);
    })
    .unwrap();
    assert_eq!(base.stats().live(Kind::Timer), 0);
}

#[test]
fn a_limit_holds_for_a_future_that_is_always_ready_to_be_polled() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let busy = async {
        loop {
            yield_now().await;
        }
    };
    let end: Result<(), Elapsed> = base.block_on(handle.timeout(SHORT, busy)).unwrap();
    assert!(end.is_err());
}

#[test]
fn an_interval_leaves_out_what_was_missed_and_does_not_drift() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    base.block_on(async {
        let period = SHORT * 2;
        let mut interval = handle.interval(period);
        let first = interval.tick().await;
        thread::sleep(period * 3 + SHORT);
        let late = interval.tick().await;
        let next = interval.tick().await;
        let periods = |time: Instant| {
            let nanos = (time - first).as_nanos();
            assert_eq!(nanos % period.as_nanos(), 0, "it drifts");
            nanos / period.as_nanos()
        };
        // The one that it was late for, and then the next that can be kept.
        assert!((1..3).contains(&periods(late)), "{}", periods(late));
        assert!(periods(next) >= 4);
        assert!(Instant::now() >= next);
        interval.reset();
        let begin = Instant::now();
        interval.tick().await;
        assert!(begin.elapsed() >= period - Duration::from_micros(100));
    })
    .unwrap();
}

#[test]
fn absurd_times_are_as_good_as_never() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let (_, waker) = waker();
    assert!(poll(&mut base.sleep(Duration::MAX), &waker).is_pending());
    let mut interval = base.interval(Duration::MAX);
    assert!(
        interval
            .poll_tick(&mut Context::from_waker(&waker))
            .is_pending()
    );
    interval.reset();
    let end = base.block_on(handle.timeout(Duration::MAX, async { 1 }));
    assert_eq!(end.unwrap(), Ok(1));
}

// --- promises ----------------------------------------------------------------------------------------

#[test]
fn a_promise_and_its_future_may_end_in_any_order() {
    let _bounded = bounded();
    let drops = Drops::default();
    let (wakes, waker) = waker();

    let (first, mut promised) = promise();
    assert!(poll(&mut promised, &waker).is_pending());
    first.resolve(drops.hold());
    assert_eq!((wakes.get(), drops.get()), (1, 0));
    assert!(matches!(poll(&mut promised, &waker), Poll::Ready(Ok(_))));
    assert_eq!(drops.get(), 1);
    assert!(matches!(
        poll(&mut promised, &waker),
        Poll::Ready(Err(Broken { .. }))
    ));

    let (promise2, promised) = promise();
    promise2.resolve(drops.hold());
    drop(promised);
    assert_eq!(drops.get(), 2, "given and never taken");

    let (promise3, promised) = promise();
    drop(promised);
    assert!(promise3.is_abandoned());
    promise3.resolve(drops.hold());
    assert_eq!(drops.get(), 3, "nobody waits");

    let (promise4, mut promised) = promise::<()>();
    assert!(!promise4.is_abandoned());
    assert!(poll(&mut promised, &waker).is_pending());
    drop(promise4);
    assert_eq!(wakes.get(), 2);
    assert!(matches!(
        poll(&mut promised, &waker),
        Poll::Ready(Err(Broken { .. }))
    ));

    let (promise5, mut promised) = promise::<()>();
    assert!(poll(&mut promised, &waker).is_pending());
    drop(promised);
    drop(promise5);
    assert_eq!((wakes.get(), Arc::strong_count(&wakes)), (2, 2));
}

#[test]
fn a_promise_that_is_kept_by_the_drop_of_its_own_future_harms_nobody() {
    let _bounded = bounded();
    let mut base = base();
    let (promise, promised) = promise();
    let mut promise = Some(promise);
    let kept = Rc::new(Cell::new(false));
    let keeps = kept.clone();
    let guard = OnDrop(move || {
        keeps.set(true);
        promise.take().unwrap().resolve(());
    });
    let task = base.spawn(async move {
        let _guard = guard;
        promised.await.unwrap();
    });
    base.run_nonblocking().unwrap();
    task.cancel();
    base.run().unwrap();
    assert!(kept.get());
    assert!(base.block_on(task).unwrap().unwrap_err().is_cancelled());
}

// --- values that stay on their thread ------------------------------------------------------------------

#[test]
fn a_value_that_is_dropped_elsewhere_comes_home_first() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    for _ in 0..100 {
        let value = OnLoop::new(&base, drops.hold());
        thread::spawn(move || {
            assert!(value.get().is_none());
            drop(value);
        })
        .join()
        .unwrap();
    }
    assert_eq!(drops.get(), 0);
    base.run_once().unwrap();
    assert_eq!(drops.get(), 100);
}

#[test]
fn a_value_that_is_on_its_way_home_as_the_base_goes_is_dropped() {
    let _bounded = bounded();
    let drops = Drops::default();
    let base = base();
    let value = OnLoop::new(&base, drops.hold());
    thread::spawn(move || drop(value)).join().unwrap();
    drop(base);
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_value_without_a_way_home_is_leaked_elsewhere_and_dropped_here() {
    let _bounded = bounded();
    // What is leaked here has no memory of its own, for the sake of LeakSanitizer.
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Static;
    impl Drop for Static {
        fn drop(&mut self) {
            DROPS.fetch_add(1, SeqCst);
        }
    }

    let gone = base();
    let here = OnLoop::new(&gone, Static);
    let there = OnLoop::new(&gone, Static);
    drop(gone);
    thread::spawn(move || drop(there)).join().unwrap();
    assert_eq!(DROPS.load(SeqCst), 0);
    drop(here);
    assert_eq!(DROPS.load(SeqCst), 1);

    let no_lock = EventConfig::new().no_lock().build().unwrap();
    let there = OnLoop::new(&no_lock, Static);
    thread::spawn(move || drop(there)).join().unwrap();
    drop(no_lock);
    assert_eq!(DROPS.load(SeqCst), 1);
}

#[test]
fn a_value_is_not_used_elsewhere() {
    let _bounded = bounded();
    let base = base();
    let value = OnLoop::new(&base, 7);
    let copy = value.clone();
    let texts = thread::spawn(move || {
        let mut value = value;
        [
            panic_of(|| *value),
            panic_of(|| *value = 8),
            panic_of(|| value.clone()),
            panic_of(|| value.into_inner()),
        ]
    })
    .join()
    .unwrap();
    for text in texts {
        assert!(text.starts_with("used on another thread"), "{text}");
    }
    assert_eq!(format!("{copy:?}"), "OnLoop(7)");
    let text = thread::spawn(move || format!("{copy:?}")).join().unwrap();
    assert_eq!(text, "OnLoop(..)");
    let on_loop = OnLoop::new(&base, base.handle().clone());
    let mut future = on_loop.future(|_| async { 1 });
    let (_, waker) = waker();
    let text = thread::spawn(move || panic_of(|| poll(&mut future, &waker)))
        .join()
        .unwrap();
    assert!(text.starts_with("used on another thread"), "{text}");
}

#[test]
fn a_value_may_panic_on_its_way_home() {
    let _bounded = bounded();
    let mut base = base();
    let value = OnLoop::new(&base, tasks::Bomb("at home"));
    thread::spawn(move || drop(value)).join().unwrap();
    assert_eq!(panic_of(|| base.run_once()), "at home");
}
