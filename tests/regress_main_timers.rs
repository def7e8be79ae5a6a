//! libevent's own regress cases (test/regress.c, group `main`): timers and the loop's clock.
//! The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, Count, bounded, count};
use libevent2::{
    CommonTimeout, ConfigFlags, Error, EventBase, EventBuilder, EventConfig, Interest, LoopEnd,
    Ready, Timer, UserEvent, log,
};
use regress::{assert_about, pair};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn simpletimeout() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let called = Rc::new(Cell::new(None));
    let seen = Rc::clone(&called);
    let start = Instant::now();
    let timer = Timer::after(&base, ms(200), move |_| seen.set(Some(Instant::now()))).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_about(called.get().expect("called") - start, ms(200));
    assert!(timer.is_closed());
}

#[test]
fn persistent_timeout() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    let seen = Rc::clone(&calls);
    let start = Instant::now();
    let timer = Timer::every(&base, ms(10), move |timer| {
        if seen.bump() == 6 {
            timer.handle().exit_now();
        }
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    assert_eq!(calls.get(), 6);
    assert_about(start.elapsed(), ms(60));
    assert!(timer.is_pending());
}

#[test]
fn persistent_timeout_jump() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    let seen = Rc::clone(&calls);
    let timer = Timer::every(&base, ms(400), move |_| {
        seen.bump();
    })
    .unwrap();
    // Nobody runs the loop for three times as long: the timer is late once, not three times.
    sleep(ms(1200));
    base.exit_after(ms(50)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(calls.get(), 1);
    // And the next call is an interval away, in the future.
    assert!(timer.remaining().expect("it is pending") <= ms(420));
}

#[test]
fn persistent_active_timeout() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, _there) = pair();
    let calls = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&calls);
    let event = EventBuilder::new(Interest::READ)
        .timeout(ms(300))
        .build(&base, here, move |event, ready| {
            seen.borrow_mut().push((ready, Instant::now()));
            if seen.borrow().len() == 3 {
                event.handle().exit();
            }
        })
        .unwrap();
    let event = Rc::new(event);
    let activated = Rc::clone(&event);
    let _activate = Timer::after(&base, ms(150), move |_| {
        activated.activate(Ready::READ).unwrap()
    });

    let start = Instant::now();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    let calls = calls.borrow();
    let why: Vec<_> = calls.iter().map(|(ready, _)| *ready).collect();
    assert_eq!(why, [Ready::READ, Ready::TIMEOUT, Ready::TIMEOUT]);
    // To activate it begins the timeout anew.
    assert_about(calls[0].1 - start, ms(150));
    assert_about(calls[1].1 - start, ms(450));
    assert_about(calls[2].1 - start, ms(750));
}

#[test]
fn common_timeout() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let ms_100 = CommonTimeout::new(&base, ms(100)).unwrap();
    let ms_200 = CommonTimeout::new(&base, ms(200)).unwrap();
    let sec_5 = CommonTimeout::new(&base, Duration::from_secs(5)).unwrap();
    assert_eq!(ms_100.duration(), ms(100));
    assert_eq!(ms_200.duration(), ms(200));
    assert_eq!(sec_5.duration(), ms(5000));

    struct Info {
        calls: Count,
        last: Rc<Cell<Option<Instant>>>,
        timer: Timer,
    }
    let start = Instant::now();
    let infos: Vec<Info> = (0..100)
        .map(|i| {
            let (calls, last) = (count(), Rc::new(Cell::new(None)));
            let (seen, seen_at) = (Rc::clone(&calls), Rc::clone(&last));
            let callback = move |timer: &libevent2::TimerRef| {
                seen_at.set(Some(Instant::now()));
                if seen.bump() >= 4 {
                    timer.cancel();
                }
            };
            let every = |first: libevent2::Timeout| Timer::every(&base, first, callback).unwrap();
            let timer = match i % 20 {
                // From a queue to the heap, from the heap to a queue, from queue to queue.
                1 => {
                    let timer = every((&ms_200).into());
                    timer.set(ms(100)).unwrap();
                    timer
                }
                3 => {
                    let timer = every(ms(200).into());
                    timer.set(&ms_100).unwrap();
                    timer
                }
                5 => {
                    let timer = every((&ms_200).into());
                    timer.set(&ms_100).unwrap();
                    timer
                }
                odd if odd % 2 == 1 => every((&ms_100).into()),
                _ => every((&ms_200).into()),
            };
            Info { calls, last, timer }
        })
        .collect();

    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    for (i, info) in infos.iter().enumerate() {
        assert_eq!(info.calls.get(), 4, "timer {i}");
        let expected = if i % 2 == 1 { ms(400) } else { ms(800) };
        assert_about(info.last.get().expect("called") - start, expected);
    }

    // A base can be dropped with some of them pending.
    for (i, info) in infos.iter().enumerate() {
        let common = if i % 2 == 1 { &ms_100 } else { &ms_200 };
        info.timer.set(common).unwrap();
    }
    drop(base);
    assert!(infos.iter().all(|info| info.timer.is_closed()));
}

#[test]
fn common_timeout_queues_are_shared_and_limited() {
    let _watchdog = bounded();
    let _quiet = log::set_logger(|_, _| ()).unwrap();
    let base = EventBase::new().unwrap();
    // One duration, however it is written, is one queue of the 256.
    for _ in 0..300 {
        CommonTimeout::new(&base, Duration::from_secs(5)).unwrap();
        CommonTimeout::new(&base, Duration::from_micros(5_000_000)).unwrap();
    }
    for i in 1..256 {
        CommonTimeout::new(&base, ms(i)).unwrap();
    }
    let error = CommonTimeout::new(&base, ms(256)).unwrap_err();
    assert!(matches!(error, Error::Libevent { .. }), "{error}");
    let queue = CommonTimeout::new(&base, ms(255)).unwrap();

    // Its mark means another queue to another base, so that one does not take it.
    let other = EventBase::new().unwrap();
    let error = Timer::after(&other, &queue, |_| ()).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}

/// What three callbacks of one turn of the loop get as the time.
fn cached_times(cached: bool, pause: bool, update: bool) -> [SystemTime; 3] {
    let mut config = EventConfig::new();
    if !cached {
        config = config.flags(ConfigFlags::NO_CACHE_TIME);
    }
    let mut base = config.build().unwrap();

    // Outside of the loop it is the time of now.
    let difference = match base.now().duration_since(SystemTime::now()) {
        Ok(ahead) => ahead,
        Err(behind) => behind.duration(),
    };
    assert!(difference < ms(400), "{difference:?}");

    let times = Rc::new(RefCell::new(Vec::new()));
    let events: Vec<_> = (0..3)
        .map(|_| {
            let times = Rc::clone(&times);
            let event = UserEvent::new(&base, move |event| {
                times.borrow_mut().push(event.handle().now());
                if pause {
                    sleep(ms(30));
                }
                if update {
                    event.handle().update_time();
                }
            })
            .unwrap();
            event.trigger().unwrap();
            event
        })
        .collect();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(events.iter().all(|event| !event.is_pending()));
    let times = times.borrow();
    [times[0], times[1], times[2]]
}

/// That the callbacks saw the time go on, by what they slept (less the steps of the clock).
fn assert_goes_on(times: [SystemTime; 3]) {
    for two in times.windows(2) {
        let step = two[1].duration_since(two[0]).expect("it does not go back");
        assert!(step > ms(10), "{step:?}");
    }
}

fn assert_stands_still([first, second, third]: [SystemTime; 3]) {
    assert_eq!(first, second);
    assert_eq!(second, third);
}

#[test]
fn gettimeofday_cached() {
    let _watchdog = bounded();
    assert_stands_still(cached_times(true, false, false));
}

#[test]
fn gettimeofday_cached_sleep() {
    let _watchdog = bounded();
    assert_stands_still(cached_times(true, true, false));
}

#[test]
fn gettimeofday_cached_reset() {
    let _watchdog = bounded();
    assert_goes_on(cached_times(true, true, true));
}

#[test]
fn gettimeofday_cached_disabled() {
    let _watchdog = bounded();
    assert_goes_on(cached_times(false, true, false));
}

#[test]
fn gettimeofday_cached_disabled_nosleep() {
    let _watchdog = bounded();
    let [first, second, third] = cached_times(false, false, false);
    assert!(first <= second && second <= third);
}
