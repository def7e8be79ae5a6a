//! libevent's own regress cases for signals (test/regress.c, group `signal`). The whole list, and
//! what is left out, is in docs/regress.md.
//!
//! Signals are of the whole process, and one base at a time has them: the tests take turns.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, Count, DropCount, bounded, count};
use libevent2::{Error, EventBase, LoopEnd, Signal, Timer};
use regress::raise;
use std::mem::{MaybeUninit, zeroed};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A signal event that counts, and ends itself when it comes.
fn once(base: &EventBase, signum: i32) -> (Count, Signal) {
    let calls = count();
    let seen = Rc::clone(&calls);
    let signal = Signal::new(base, signum, move |signal| {
        assert_eq!(signal.signum(), signum);
        seen.bump();
        signal.close();
    });
    (calls, signal.unwrap())
}

/// Lets the system send SIGALRM to the process in a tenth of a second.
fn alarm_soon() {
    // SAFETY: integers only; `itv` is ours.
    unsafe {
        let mut itv: libc::itimerval = zeroed();
        itv.it_value.tv_usec = 100_000;
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &itv, ptr::null_mut()), 0);
    }
}

/// What the process does on a signal now, as a number.
fn handler_of(signum: i32) -> libc::sighandler_t {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: it only asks; `action` is ours and filled in.
    unsafe {
        assert_eq!(libc::sigaction(signum, ptr::null(), action.as_mut_ptr()), 0);
        action.assume_init().sa_sigaction
    }
}

fn simple(reorder: bool) {
    let _watchdog = bounded();
    let _turn = turn();
    let mut base = EventBase::new().unwrap();
    let mut alarm = once(&base, libc::SIGALRM);
    if reorder {
        // Taken away and made once more: C must not mix up the two.
        drop(alarm);
        alarm = once(&base, libc::SIGALRM);
    }
    alarm_soon();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(alarm.0.get(), 1);
    assert!(alarm.1.is_closed());
}

#[test]
fn simplestsignal() {
    simple(false);
}

#[test]
fn simplesignal() {
    simple(true);
}

#[test]
fn multiplesignal() {
    let _watchdog = bounded();
    let _turn = turn();
    let mut base = EventBase::new().unwrap();
    let (one, two) = (once(&base, libc::SIGALRM), once(&base, libc::SIGALRM));
    alarm_soon();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((one.0.get(), two.0.get()), (1, 1));
}

#[test]
fn immediatesignal() {
    let _watchdog = bounded();
    let _turn = turn();
    let mut base = EventBase::new().unwrap();
    let (calls, _signal) = once(&base, libc::SIGUSR1);
    raise(libc::SIGUSR1);
    assert_eq!(calls.get(), 0, "it waits for the loop");
    base.run_nonblocking().unwrap();
    assert_eq!(calls.get(), 1);
}

#[test]
fn signal_dealloc() {
    let _watchdog = bounded();
    let _turn = turn();
    let before = handler_of(libc::SIGUSR1);
    let dropped = count();
    let make = |base: &EventBase| {
        let held = DropCount(Rc::clone(&dropped));
        let signal = Signal::new(base, libc::SIGUSR1, move |_| -> () {
            let _held = &held;
            panic!("it does not come")
        });
        signal.unwrap()
    };
    // The event goes first, the base does, and the base does with an event that is its own.
    let base = EventBase::new().unwrap();
    drop(make(&base));
    assert_eq!(handler_of(libc::SIGUSR1), before);
    drop(base);
    let base = EventBase::new().unwrap();
    let signal = make(&base);
    assert_ne!(handler_of(libc::SIGUSR1), before);
    drop(base);
    assert!(signal.is_closed());
    assert_eq!(handler_of(libc::SIGUSR1), before);
    let base = EventBase::new().unwrap();
    make(&base).detach();
    drop(base);
    assert_eq!(handler_of(libc::SIGUSR1), before);
    assert_eq!(dropped.get(), 3);
}

#[test]
fn signal_switchbase() {
    let _watchdog = bounded();
    let _turn = turn();
    let (mut base1, mut base2) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let (calls1, signal1) = once(&base1, libc::SIGUSR1);
    // C lets a second base take the signals of the first away, with a warning.
    let taken = Signal::new(&base2, libc::SIGUSR1, |_| ());
    let Err(Error::SignalsTaken { signum }) = taken else {
        panic!("two bases had signals: {taken:?}");
    };
    assert_eq!(signum, libc::SIGUSR1);
    assert!(Signal::new(&base2, libc::SIGUSR2, |_| ()).is_err());

    // Before the loop runs is early enough.
    raise(libc::SIGUSR1);
    base2.run_nonblocking().unwrap();
    assert_eq!(calls1.get(), 0);
    base1.run_nonblocking().unwrap();
    assert_eq!(calls1.get(), 1);
    assert!(signal1.is_closed());

    // When the first has none any more, the second may.
    let (calls2, _signal2) = once(&base2, libc::SIGUSR1);
    assert!(Signal::new(&base1, libc::SIGUSR1, |_| ()).is_err());
    raise(libc::SIGUSR1);
    base1.run_nonblocking().unwrap();
    assert_eq!(calls2.get(), 0);
    base2.run_nonblocking().unwrap();
    assert_eq!((calls1.get(), calls2.get()), (1, 1));
}

#[test]
fn signal_restore() {
    static OURS: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn ours(_: libc::c_int) {
        OURS.fetch_add(1, Ordering::SeqCst);
    }
    let _watchdog = bounded();
    let _turn = turn();
    let ours: extern "C" fn(libc::c_int) = ours;
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the handler only counts, which a signal handler may.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = ours as *const () as libc::sighandler_t;
        assert_eq!(
            libc::sigaction(libc::SIGUSR1, &action, before.as_mut_ptr()),
            0
        );
    }

    let mut base = EventBase::new().unwrap();
    let (calls, signal) = once(&base, libc::SIGUSR1);
    raise(libc::SIGUSR1);
    base.run_nonblocking().unwrap();
    assert_eq!((calls.get(), OURS.load(Ordering::SeqCst)), (1, 0));
    assert!(signal.is_closed());
    let (calls, signal) = once(&base, libc::SIGUSR1);
    drop(signal);
    // With the last event gone the process does what it did before.
    raise(libc::SIGUSR1);
    base.run_nonblocking().unwrap();
    assert_eq!((calls.get(), OURS.load(Ordering::SeqCst)), (0, 1));

    // SAFETY: it was filled in above.
    unsafe { libc::sigaction(libc::SIGUSR1, before.as_ptr(), ptr::null_mut()) };
}

#[test]
fn signal_while_processing() {
    let _watchdog = bounded();
    let _turn = turn();
    let mut base = EventBase::new().unwrap();
    let calls = count();
    let seen = Rc::clone(&calls);
    let _signal = Signal::new(&base, libc::SIGUSR1, move |signal| {
        if seen.bump() < 5 {
            raise(libc::SIGUSR1);
        } else {
            signal.handle().exit();
        }
    })
    .unwrap();
    let _first = Timer::after(&base, Duration::ZERO, |_| raise(libc::SIGUSR1)).unwrap();
    let late = Duration::from_secs(30);
    let _late = Timer::after(&base, late, |_| -> () { panic!("a signal was lost") }).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(calls.get(), 5);
}
