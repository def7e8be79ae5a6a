//! Rows 13 to 17: delays, intervals, calls later, pauses, idle work.

use crate::common::{Bump, bounded, count};
use crate::run;
use libevent2::{Event, EventBase, Idle, Interest, Kind, Timer};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// `delay-simple`.
#[test]
fn row_13_delay_of_nothing_runs() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let ran = count();
    let counted = ran.clone();
    let _delay = Timer::after(&base, Duration::ZERO, move |_| {
        counted.bump();
    })
    .unwrap();
    base.run().unwrap();
    assert_eq!(ran.get(), 1);
    run(async |handle| handle.sleep(Duration::ZERO).await);
}

/// `delay-timer`: 2 s, and the loop ends with it.
#[test]
fn row_13_delay_takes_its_time() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let begun = Instant::now();
    let _delay = Timer::after(&base, 2000 * MS, |_| ()).unwrap();
    base.run().unwrap();
    let took = begun.elapsed();
    assert!(took >= 1980 * MS && took < 4000 * MS, "{took:?}");
}

/// `delay-multi`: three of 1 s, at the same time; by callbacks and by tasks on one loop.
#[test]
fn row_13_delays_run_side_by_side() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let ran = count();
    let begun = Instant::now();
    let delays: Vec<_> = (0..3)
        .map(|_| {
            let (counted, also) = (ran.clone(), ran.clone());
            let pause = base.sleep(1000 * MS);
            let task = base.spawn(async move {
                pause.await;
                also.bump();
            });
            let timer = Timer::after(&base, 1000 * MS, move |_| {
                counted.bump();
            });
            (timer.unwrap(), task)
        })
        .collect();
    base.run().unwrap();
    let took = begun.elapsed();
    assert_eq!(ran.get(), 6);
    assert!(took >= 980 * MS && took < 2000 * MS, "{took:?}");
    assert!(delays.iter().all(|(_, task)| task.is_finished()));
}

/// `interval`: .1 s, removed at .32 s. It is the third tick that is waited for here, which cannot
/// come early; that there is no fourth is a matter of the removal.
#[test]
fn row_14_interval_ticks_until_it_is_removed() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let ran = count();
    let counted = ran.clone();
    let begun = Instant::now();
    let _interval = Timer::every(&base, 100 * MS, move |timer| {
        if counted.bump() == 3 {
            timer.close();
            timer.close();
        }
    })
    .unwrap();
    base.run().unwrap();
    // The clock of timers is a coarse one.
    assert!(begun.elapsed() >= 280 * MS);
    assert_eq!(ran.get(), 3);
}

#[test]
fn row_14_interval_is_awaited_and_dropped() {
    let _bounded = bounded();
    let (ticks, took) = run(async |handle| {
        let mut interval = handle.interval(100 * MS);
        let ticks = [
            interval.tick().await,
            interval.tick().await,
            interval.tick().await,
        ];
        drop(interval);
        assert_eq!(handle.stats().live(Kind::Timer), 0);
        ticks
    });
    assert_eq!(ticks[1] - ticks[0], 100 * MS);
    assert!(took >= 300 * MS, "{took:?}");
}

#[test]
fn row_15_a_call_that_is_cancelled_before_never_runs() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let ran = count();
    let (by_timer, by_task) = (ran.clone(), ran.clone());
    let timer = Timer::after(&base, 20 * MS, move |_| {
        by_timer.bump();
    })
    .unwrap();
    let pause = base.sleep(20 * MS);
    let task = base.spawn(async move {
        pause.await;
        by_task.bump();
    });
    let pause = base.sleep(60 * MS);
    base.block_on(async {
        timer.cancel();
        task.cancel();
        pause.await;
    })
    .unwrap();
    assert_eq!(ran.get(), 0);
}

#[test]
fn row_15_a_call_is_made_at_a_point_in_time() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let at = Instant::now() + 30 * MS;
    let order = Rc::new(RefCell::new(Vec::new()));
    let noted = order.clone();
    let _timer = Timer::at(&base, at + 30 * MS, move |_| {
        noted.borrow_mut().push("second")
    });
    let noted = order.clone();
    let pause = base.sleep_until(at);
    drop(base.spawn(async move {
        pause.await;
        noted.borrow_mut().push("first");
    }));
    base.run().unwrap();
    assert!(Instant::now() >= at + 30 * MS);
    assert_eq!(*order.borrow(), ["first", "second"]);
}

#[test]
fn row_16_two_sleeps_take_the_time_of_one() {
    let _bounded = bounded();
    let ((), took) = run(async |handle| {
        let one = handle.spawn(handle.sleep(200 * MS));
        let two = handle.spawn(handle.sleep(200 * MS));
        one.await.unwrap();
        two.await.unwrap();
    });
    assert!(took >= 200 * MS && took < 390 * MS, "{took:?}");
}

/// All that is ready is read before; also what tasks were woken by.
#[test]
fn row_17_idle_runs_when_nothing_else_is_ready() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    let noted = order.clone();
    let _idle = Idle::once(&base, move |_| noted.borrow_mut().push("idle")).unwrap();
    let mut senders = Vec::new();
    for _ in 0..10 {
        let (mut sender, receiver) = UnixStream::pair().unwrap();
        sender.write_all(b"x").unwrap();
        senders.push(sender);
        let noted = order.clone();
        let reader = Event::new(&base, receiver, Interest::READ, move |event, _| {
            noted.borrow_mut().push("read");
            event.source().read_exact(&mut [0]).unwrap();
            event.close();
        });
        reader.unwrap().detach();
    }
    let noted = order.clone();
    drop(base.spawn(async move { noted.borrow_mut().push("task") }));
    base.run().unwrap();
    let order = order.borrow();
    assert_eq!(order.len(), 12);
    assert_eq!(order[11], "idle");
}
