//! hyper's executor and timer on the loop.

#![cfg(feature = "hyper")]

mod common;

use common::bounded;
use hyper::rt::{Executor, Timer};
use libevent2::task::{OnLoop, promise};
use libevent2::{Error, EventBase};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(20);

fn timer(base: &EventBase) -> OnLoop<libevent2::LoopHandle> {
    OnLoop::new(base, base.handle().clone())
}

#[test]
fn the_executor_runs_futures_that_stay_on_their_thread() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (handle, on_loop) = (base.handle().clone(), timer(&base));
    let local = Rc::new(42);
    let (first, second) = (promise(), promise());
    let (value, give) = (Rc::clone(&local), first.0);
    handle.execute(async move { give.resolve(value) });
    let (value, give) = (Rc::clone(&local), second.0);
    on_loop.execute(async move { give.resolve(value) });
    let both = async { (first.1.await, second.1.await) };
    assert_eq!(
        base.block_on(both).unwrap(),
        (Ok(Rc::clone(&local)), Ok(local))
    );
}

#[test]
fn a_panic_of_what_the_executor_runs_is_not_lost() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    base.handle().execute(async { panic!("deep inside") });
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        base.block_on(std::future::pending::<()>())
    }));
    let payload = run.unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"deep inside"));
}

#[test]
fn the_timers_sleep_for_so_long_and_until() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let timer = timer(&base);
    let start = Instant::now();
    base.block_on(Timer::sleep(&timer, MOMENT)).unwrap();
    assert!(start.elapsed() >= MOMENT);
    let until = timer.now() + MOMENT;
    base.block_on(Timer::sleep_until(&timer, until)).unwrap();
    assert!(Instant::now() >= until);
}

#[test]
fn a_sleep_is_put_off_brought_forward_and_begun_again_with_one_event() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let timer = timer(&base);
    let hour = Duration::from_secs(3600);
    base.block_on(async {
        let mut sleep = Timer::sleep(&timer, hour);
        let first: *const () = (&raw const *sleep).cast();
        // Waited for before, so that it has its event.
        assert!(timer.timeout(Duration::ZERO, &mut sleep).await.is_err());
        let live = timer.stats().live_total();

        let start = Instant::now();
        timer.reset(&mut sleep, start + MOMENT);
        sleep.as_mut().await;
        assert!((MOMENT..hour).contains(&start.elapsed()));

        let again = Instant::now();
        timer.reset(&mut sleep, again + MOMENT);
        sleep.as_mut().await;
        assert!((MOMENT..hour).contains(&again.elapsed()));

        timer.reset(&mut sleep, Instant::now() + hour);
        assert!(timer.timeout(MOMENT, &mut sleep).await.is_err());
        assert_eq!(timer.stats().live_total(), live);
        assert_eq!(first, (&raw const *sleep).cast(), "the same sleep");
    })
    .unwrap();
}

struct Foreign;

impl hyper::rt::Sleep for Foreign {}

impl Future for Foreign {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        std::task::Poll::Pending
    }
}

#[test]
fn the_sleep_of_another_timer_is_replaced() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let timer = timer(&base);
    let mut sleep: Pin<Box<dyn hyper::rt::Sleep>> = Box::pin(Foreign);
    timer.reset(&mut sleep, Instant::now() + MOMENT);
    base.block_on(sleep).unwrap();
}

#[test]
fn the_executor_of_a_base_that_is_gone_drops_what_it_gets() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    drop(base);
    let (give, given) = promise::<()>();
    handle.execute(async move {
        std::future::pending::<()>().await;
        give.resolve(());
    });
    let mut other = EventBase::new().unwrap();
    assert!(matches!(other.block_on(given), Ok(Err(_))));
    assert!(matches!(
        handle.signals(&[libc::SIGUSR2]),
        Err(Error::Closed { .. })
    ));
}
