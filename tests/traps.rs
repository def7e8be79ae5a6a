//! Traps of libevent's event core that belong to no other suite; the numbers are those of
//! `docs/traps.md`.

#[path = "common/mod.rs"]
mod common;
#[path = "kinds/mod.rs"]
mod kinds;

use common::{Bump, bounded, count};
use kinds::{Readable, Subject, base, fail, signals};
use libevent2::{
    CommonTimeout, ConfigFlags, Event, EventBase, EventBuilder, EventConfig, Interest, LoopEnd,
    Ready, Timer,
};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

/// T38: a descriptor that is closed while it is watched.
#[test]
fn t38_what_is_watched_stays_open_as_long_as_its_event_lives() {
    let _bound = bounded();
    let base = base();
    let (here, mut there) = UnixStream::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    let event = Event::new(&base, here, Interest::READ, |_, _| ()).unwrap();
    let mut text = [0; 1];
    event.close();
    let still_open = there.read(&mut text).unwrap_err();
    assert_eq!(still_open.kind(), std::io::ErrorKind::WouldBlock);
    drop(event);
    assert_eq!(there.read(&mut text).unwrap(), 0, "closed with the event");
}

/// T38: a number that is used again for another file.
fn t38_the_next_descriptor_of_the_same_number_gets_its_own_events_only(mut base: EventBase) {
    let wrong = count();
    let old = Readable::new();
    let number = old.as_fd().as_raw_fd();
    let counted = wrong.clone();
    let event = Event::new(&base, old, Interest::READ, move |_, _| {
        counted.bump();
    });
    base.run_nonblocking().unwrap();
    let before = wrong.get();
    assert!(before > 0);
    drop(event);
    // Another test's thread may take the number first: then there is nothing to see here.
    let (here, mut there) = UnixStream::pair().unwrap();
    let same = [&here, &there].iter().any(|end| end.as_raw_fd() == number);
    let (here, right) = (Rc::new(here), count());
    let counted = right.clone();
    let _event = Event::new(&base, here, Interest::READ, move |event, ready| {
        assert_eq!(ready, Ready::READ);
        counted.bump();
        event.close();
    })
    .unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(right.get(), 0, "nothing to read yet (same number: {same})");
    there.write_all(b"x").unwrap();
    base.run().unwrap();
    assert_eq!((right.get(), wrong.get()), (1, before));
}

#[test]
fn t38_a_number_can_be_used_again() {
    let _bound = bounded();
    t38_the_next_descriptor_of_the_same_number_gets_its_own_events_only(base());
}

#[test]
fn t38_a_number_can_be_used_again_while_changes_are_collected() {
    let _bound = bounded();
    let config = EventConfig::new().flags(ConfigFlags::EPOLL_USE_CHANGELIST);
    let base = config.build().unwrap();
    t38_the_next_descriptor_of_the_same_number_gets_its_own_events_only(base);
}

/// T40: a deadline that overflows would be in the past.
#[test]
fn t40_a_timeout_too_long_to_count_does_not_fire_at_once() {
    let _bound = bounded();
    let mut base = base();
    let common = CommonTimeout::new(&base, Duration::MAX).unwrap();
    let never = || fail("fired at once");
    let timer = Timer::after(&base, Duration::MAX, move |_| never()).unwrap();
    let _ticker = Timer::every(&base, Duration::MAX, move |_| never()).unwrap();
    let _common = Timer::after(&base, &common, move |_| never()).unwrap();
    let (silent, _there) = UnixStream::pair().unwrap();
    let _event = EventBuilder::new(Interest::READ)
        .timeout(Duration::MAX)
        .build(&base, silent, move |_, _| never())
        .unwrap();
    let far = Instant::now().checked_add(Duration::from_secs(1 << 40));
    let _at = far.map(|far| Timer::at(&base, far, move |_| never()).unwrap());
    base.exit_after(Duration::MAX).unwrap();
    for _ in 0..3 {
        assert_eq!(base.run_nonblocking().unwrap(), LoopEnd::Turn);
    }
    assert!(timer.remaining().unwrap() > Duration::from_secs(365 * 24 * 60 * 60));
}

/// T40: more than 999,999 microseconds, or bits of libevent's mark for common timeouts.
#[test]
fn t40_odd_fractions_of_a_second_fire_in_order() {
    let _bound = bounded();
    let mut base = base();
    let order = Rc::new(std::cell::RefCell::new(Vec::new()));
    let mut timers = Vec::new();
    for nanos in [2_000_000, 1, 999_999, 1_000_001, 500_000, 1_999_999] {
        let order = order.clone();
        let timer = Timer::after(&base, Duration::from_nanos(nanos), move |_| {
            order.borrow_mut().push(nanos);
        });
        timers.push(timer.unwrap());
    }
    base.run().unwrap();
    let mut sorted = order.borrow().clone();
    sorted.sort_unstable();
    assert_eq!(*order.borrow(), sorted);
    assert_eq!(sorted.len(), 6);
}

/// T40: to C, a timeout of zero on an event that persists is one timeout and then none.
#[test]
fn t40_a_timeout_of_zero_on_an_event_that_persists_is_refused() {
    let base = base();
    let (silent, _there) = UnixStream::pair().unwrap();
    let silent = Rc::new(silent);
    let builder = EventBuilder::new(Interest::READ);
    let error = builder
        .clone()
        .timeout(Duration::ZERO)
        .build(&base, silent.clone(), |_, _| ())
        .unwrap_err();
    assert!(error.to_string().contains("timeout"), "{error}");
    let event = builder.build(&base, silent, |_, _| ()).unwrap();
    let error = event.set_timeout(Some(Duration::ZERO.into())).unwrap_err();
    assert!(error.to_string().contains("timeout"), "{error}");
}

#[test]
fn t40_a_timeout_of_zero_on_an_event_that_runs_once_is_a_look() {
    let _bound = bounded();
    let mut base = base();
    let seen = count();
    let counted = seen.clone();
    let (silent, _there) = UnixStream::pair().unwrap();
    let now = Some(Duration::ZERO.into());
    let _event = Event::once(&base, silent, Interest::READ, now, move |_, ready| {
        assert_eq!(ready, Ready::TIMEOUT);
        counted.bump();
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(seen.get(), 1);
}

/// T37: what the process did on a signal before comes back when the event goes, whichever base
/// had it.
#[test]
fn t37_signals_move_from_base_to_base_and_end_as_they_began() {
    fn action() -> usize {
        let mut old = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: only asks; all zeroes is a value of the struct.
        unsafe {
            let code = libc::sigaction(libc::SIGUSR1, std::ptr::null(), old.as_mut_ptr());
            assert_eq!(code, 0);
            old.assume_init().sa_sigaction
        }
    }
    let _turn = signals();
    let _bound = bounded();
    let before = action();
    for _ in 0..3 {
        let mut base = base();
        let ran = count();
        let counted = ran.clone();
        let signal = kinds::Sig::make(&base, move |signal| {
            counted.bump();
            signal.handle().exit_now();
        })
        .unwrap();
        assert_ne!(action(), before);
        assert_eq!(base.run().unwrap(), LoopEnd::Break);
        assert_eq!(ran.get(), 1);
        drop(base);
        assert_eq!(action(), before);
        drop(signal);
    }
}

/// T20: after a refusal C's own event_base_once leaves the base locked, and the next thread
/// waits for ever.
#[test]
fn t20_a_refused_event_leaves_the_base_unlocked() {
    let _bound = bounded();
    let mut base = base();
    if base.method() != "epoll" {
        return assert!(!base.method().is_empty());
    }
    let file = std::fs::File::open("Cargo.toml").unwrap();
    let refused = Event::once(&base, file, Interest::READ, None, |_, _| ());
    refused.unwrap_err();
    let remote = base.remote().unwrap();
    let other = thread::spawn(move || remote.stop().unwrap());
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Break);
    other.join().unwrap();
}

/// T47: a write to a peer that is gone is an error in a Rust program, not its end.
#[test]
fn t47_a_write_to_a_closed_peer_is_an_error_of_the_callback() {
    let _bound = bounded();
    let mut base = base();
    let (here, there) = UnixStream::pair().unwrap();
    drop(there);
    let _event = Event::new(&base, here, Interest::WRITE, |event, _| {
        event.source().write_all(b"x")
    })
    .unwrap();
    let error = base.run().unwrap_err();
    assert!(error.to_string().contains("Broken pipe"), "{error}");
}
