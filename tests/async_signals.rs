//! Signals that are awaited.
#![cfg(all(feature = "async", unix))]

mod common;
mod kinds;

use common::bounded;
use kinds::signals as turn;
use libevent2::{Error, EventBase};
use std::time::Duration;

/// As the system sends it to this process.
fn raise(signum: i32) {
    // SAFETY: plain system call; the signal is caught.
    assert_eq!(unsafe { libc::raise(signum) }, 0);
}

#[test]
fn signals_are_given_in_the_order_in_which_they_came() {
    let (_bounded, _turn) = (bounded(), turn());
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let mut signals = handle.signals(&[libc::SIGUSR1, libc::SIGUSR2]).unwrap();
    base.block_on(async {
        assert_eq!(signals.try_next(), None);
        for signum in [libc::SIGUSR2, libc::SIGUSR1, libc::SIGUSR1] {
            raise(signum);
            assert_eq!(signals.next().await, signum);
        }
    })
    .unwrap();
}

#[test]
fn a_task_ends_what_runs_when_a_signal_comes() {
    let (_bounded, _turn) = (bounded(), turn());
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let mut signals = handle.signals(&[libc::SIGTERM]).unwrap();
    let task = base.spawn(async move {
        let signum = signals.next().await;
        handle.exit();
        signum
    });
    let sender = base.spawn({
        let handle = base.handle().clone();
        async move {
            handle.sleep(Duration::from_millis(5)).await;
            raise(libc::SIGTERM);
        }
    });
    base.run().unwrap();
    assert_eq!(base.block_on(task).unwrap().unwrap(), libc::SIGTERM);
    base.block_on(sender).unwrap().unwrap();
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_future_that_is_dropped_loses_no_signal() {
    let (_bounded, _turn) = (bounded(), turn());
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let mut signals = handle.signals(&[libc::SIGUSR1]).unwrap();
    base.block_on(async {
        let wait = handle.timeout(Duration::from_millis(5), signals.next());
        assert!(wait.await.is_err());
        raise(libc::SIGUSR1);
        handle.sleep(Duration::from_millis(5)).await;
        assert_eq!(signals.next().await, libc::SIGUSR1);
    })
    .unwrap();
}

#[test]
fn a_flood_of_one_signal_counts_once_until_it_is_taken() {
    let (_bounded, _turn) = (bounded(), turn());
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let mut signals = handle.signals(&[libc::SIGUSR1, libc::SIGUSR2]).unwrap();
    base.block_on(async {
        for _ in 0..100 {
            raise(libc::SIGUSR1);
            libevent2::task::yield_now().await;
        }
        raise(libc::SIGUSR2);
        handle.sleep(Duration::from_millis(5)).await;
        assert_eq!(signals.next().await, libc::SIGUSR1);
        assert_eq!(signals.next().await, libc::SIGUSR2);
        assert_eq!(signals.try_next(), None);
    })
    .unwrap();
}

#[test]
fn signals_of_two_bases_are_refused_and_none_is_caught_then() {
    let (_bounded, _turn) = (bounded(), turn());
    let base = EventBase::new().unwrap();
    let other = EventBase::new().unwrap();
    let signals = base.signals(&[libc::SIGUSR1]).unwrap();
    let refused = other.signals(&[libc::SIGUSR2]).unwrap_err();
    assert!(matches!(
        refused,
        Error::SignalsTaken {
            signum: libc::SIGUSR2
        }
    ));
    let invalid = base.signals(&[libc::SIGUSR2, libc::SIGKILL]).unwrap_err();
    assert!(matches!(invalid, Error::Invalid { .. }), "{invalid}");
    assert_eq!(base.stats().live_total(), 1);
    drop(signals);
    assert_eq!(base.stats().live_total(), 0);
    drop(other.signals(&[libc::SIGUSR2]).unwrap());
}
