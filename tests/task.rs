//! Tasks on the loop: block_on, spawn, and what becomes of them.
#![cfg(feature = "async")]

mod common;

use common::{Bump, bounded, count};
use libevent2::task::{JoinHandle, promise, yield_now};
use libevent2::{Error, EventBase, LoopEnd, Timer};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn block_on_returns_what_the_future_does() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let text = String::from("borrowed");
    let length = base.block_on(async { text.len() }).unwrap();
    assert_eq!(length, 8);
}

#[test]
fn callbacks_run_while_a_future_is_awaited() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let ticks = count();
    let (promise, promised) = promise();
    let mut promise = Some(promise);
    let counted = ticks.clone();
    let _timer = Timer::every(&base, Duration::from_millis(1), move |timer| {
        if counted.bump() == 3 {
            timer.close();
            promise.take().unwrap().resolve("done");
        }
    })
    .unwrap();
    assert_eq!(base.block_on(promised).unwrap(), Ok("done"));
    assert_eq!(ticks.get(), 3);
}

#[test]
fn tasks_run_under_run_and_hold_it_open() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let done = count();
    let handle = base.handle().clone();
    let counted = done.clone();
    base.spawn(async move {
        handle.sleep(SHORT).await;
        // Only a thread will wake it: the loop has no event meanwhile.
        handle
            .spawn_blocking(|| std::thread::sleep(SHORT))
            .await
            .unwrap();
        counted.bump();
    })
    .detach();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(done.get(), 1);
}

#[test]
fn two_pauses_at_once_take_the_time_of_one() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let began = Instant::now();
    base.block_on(async {
        let one = handle.spawn(handle.sleep(Duration::from_millis(200)));
        let two = handle.spawn(handle.sleep(Duration::from_millis(200)));
        one.await.unwrap();
        two.await.unwrap();
    })
    .unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(began.elapsed() < Duration::from_millis(390));
}

#[test]
fn a_panic_reaches_who_awaits_the_task() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let task: JoinHandle<()> = base.spawn(async { panic!("of the task") });
    let error = base.block_on(task).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the task panicked: of the task");
}

#[test]
#[should_panic(expected = "nobody waits")]
fn a_panic_that_nobody_waits_for_reaches_run() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    drop(base.spawn(async { panic!("nobody waits") }));
    let _ = base.run();
}

#[test]
fn a_stop_ends_block_on_with_an_error() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let _timer = Timer::after(&base, SHORT, |base| base.exit()).unwrap();
    let error = base.block_on(std::future::pending::<()>()).unwrap_err();
    assert!(matches!(error, Error::Stopped));
    assert_eq!(base.block_on(async { 1 }).unwrap(), 1);
}

#[test]
fn a_busy_task_does_not_keep_a_timer_from_running() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let busy = base.spawn(async {
        loop {
            yield_now().await;
        }
    });
    base.block_on(handle.sleep(SHORT)).unwrap();
    busy.cancel();
    let end: Result<(), _> = base.block_on(busy).unwrap();
    assert!(end.unwrap_err().is_cancelled());
}

#[test]
fn a_base_of_cs_hears_of_other_threads_as_soon_as_it_may() {
    let _bounded = bounded();
    // libevent's locks are switched on before the first base is made.
    drop(EventBase::new().unwrap());
    // SAFETY: a new base, which is nobody else's.
    let mut base = unsafe { EventBase::from_ptr(libevent2::ffi::event_base_new()) };
    let done = count();
    let (handle, counted) = (base.handle().clone(), done.clone());
    base.spawn(async move {
        handle
            .spawn_blocking(|| std::thread::sleep(SHORT))
            .await
            .unwrap();
        counted.bump();
    })
    .detach();
    // SAFETY: threads were switched on before it was made.
    unsafe { base.assume_locks() };
    base.run().unwrap();
    assert_eq!(done.get(), 1);
}
