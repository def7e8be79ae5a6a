//! libevent's own regress cases (test/regress.c, group `main`): how the loop ends, and priorities.
//! The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, bounded, count};
use libevent2::{EventBase, EventConfig, LoopEnd, Timer, UserEvent};
use regress::assert_about;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[test]
fn loopbreak() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    let seen = Rc::clone(&calls);
    let first = Timer::after(&base, Duration::ZERO, move |handle| {
        seen.bump();
        handle.exit_now();
    })
    .unwrap();
    let second = Timer::after(&base, Duration::ZERO, |_| -> () {
        panic!("it comes after the break")
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    assert_eq!(calls.get(), 1);
    assert!(first.is_closed());
    assert!(second.is_pending(), "it waits for the next run");
}

#[test]
fn loopexit() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let day = Duration::from_secs(60 * 60 * 24);
    let timer = Timer::after(&base, day, |_| -> () { panic!("a day has passed") }).unwrap();
    base.exit_after(Duration::from_millis(300)).unwrap();

    let start = Instant::now();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_about(start.elapsed(), Duration::from_millis(300));
    assert!(timer.is_pending());
}

#[test]
fn loopexit_multiple() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    base.exit_after(Duration::from_millis(200)).unwrap();
    base.exit_after(Duration::from_secs(30)).unwrap();

    let start = Instant::now();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_about(start.elapsed(), Duration::from_millis(200));
}

#[test]
fn priorities() {
    let _watchdog = bounded();
    // With one queue both run in turn. With two, the exit (of the middle priority, which is the
    // less urgent one then) lets the second run once. With three, it never gets there.
    for (queues, calls_of_last) in [(1, 3), (2, 1), (3, 0)] {
        let mut base = EventConfig::new().priorities(queues).build().unwrap();
        let timer = |priority| {
            let calls = count();
            let seen = Rc::clone(&calls);
            let timer = Timer::new(&base, move |timer| {
                if seen.get() == 3 {
                    timer.handle().exit();
                    return Ok(());
                }
                seen.bump();
                timer.set(Duration::ZERO)
            })
            .unwrap();
            timer.set_priority(priority).unwrap();
            timer.set(Duration::ZERO).unwrap();
            (calls, timer)
        };
        let (first, last) = (timer(0), timer(queues - 1));
        assert_eq!(base.run().unwrap(), LoopEnd::Exit);
        assert_eq!(first.0.get(), 3, "{queues} priorities");
        assert_eq!(last.0.get(), calls_of_last, "{queues} priorities");
        assert!(first.1.set_priority(queues).is_err());
    }
}

#[test]
fn priority_active_inversion() {
    let _watchdog = bounded();
    let mut base = EventConfig::new().priorities(8).build().unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    let event = |name: &'static str, priority| {
        let order = Rc::clone(&order);
        let event = UserEvent::new(&base, move |_| order.borrow_mut().push(name)).unwrap();
        event.set_priority(priority).unwrap();
        Rc::new(event)
    };
    // Same priority as the first, and a more urgent one that is triggered after it.
    let (same, urgent) = (event("same", 4), event("urgent", 0));
    let first = {
        let (order, same, urgent) = (order.clone(), same.clone(), urgent.clone());
        UserEvent::new(&base, move |_| {
            order.borrow_mut().push("first");
            same.trigger()?;
            urgent.trigger()
        })
        .unwrap()
    };
    first.set_priority(4).unwrap();
    first.trigger().unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(*order.borrow(), ["first", "urgent", "same"]);
}
