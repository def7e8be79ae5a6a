//! A listener in a process that has no descriptor left. Alone in its binary: the limit is the
//! process's.
#![cfg(unix)]

mod common;

use common::{Bump, bounded, count};
use libevent2::{EventBase, Listener, LoopEnd, Timer};
use std::fs::File;
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

/// The processor time that this process has used.
fn used() -> Duration {
    // SAFETY: rusage is plain data, and written by getrusage.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000))
        .iter()
        .sum()
}

fn limit_descriptors(limit: u64) {
    // SAFETY: rlimit is plain data; the limit is lowered only.
    unsafe {
        let mut old: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut old), 0);
        let new = libc::rlimit {
            rlim_cur: (limit as libc::rlim_t).min(old.rlim_max),
            rlim_max: old.rlim_max,
        };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &new), 0);
    }
}

/// Every descriptor that is left.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn run_for(base: &mut EventBase, time: Duration) {
    let _stop = Timer::after(base, time, |handle| handle.exit()).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
}

#[test]
fn a_listener_waits_for_descriptors_without_spinning() {
    let _watchdog = bounded();
    limit_descriptors(100);
    let mut base = EventBase::new().unwrap();
    let (accepted, errors) = (count(), count());
    let (counted, failed) = (accepted.clone(), errors.clone());
    let listener = Listener::options()
        .on_error(move |listener, error| {
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            assert!(listener.is_enabled());
            failed.bump();
            // A handler that insists cannot make it spin.
            listener.enable()
        })
        .bind(&base, "127.0.0.1:0".parse().unwrap(), move |listener, _| {
            if counted.bump() == 10 {
                listener.handle().exit();
            }
        })
        .unwrap();
    let addr = listener.local_addr().unwrap().ip().unwrap();

    // The system has accepted these; the listener cannot.
    let mut clients: Vec<_> = (0..10).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let taken = take_all();
    let before = used();
    let waited = Duration::from_millis(1000);
    run_for(&mut base, waited);
    let spent = used() - before;
    assert_eq!(accepted.get(), 0);
    assert!((2..=11).contains(&errors.get()), "{errors:?} errors");
    assert!(
        spent < waited / 5,
        "{spent:?} of {waited:?} spent on waiting"
    );

    // Those that waited get their turn.
    drop(taken);
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(accepted.get(), 10);
    for client in &mut clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    // Disabled while it waits, it stays so; enabled while it waits, it goes on when that is over.
    let waiting = TcpStream::connect(addr).unwrap();
    let taken = take_all();
    base.run_once().unwrap();
    listener.disable();
    drop(taken);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(accepted.get(), 10);
    listener.enable().unwrap();
    base.run_once().unwrap();
    assert_eq!(accepted.get(), 11);
    drop(waiting);

    // Without a handler it waits as well; closing it then is fine.
    let quiet = Listener::bind(&base, "127.0.0.1:0".parse().unwrap(), |_, _| ()).unwrap();
    let waiting = TcpStream::connect(quiet.local_addr().unwrap().ip().unwrap()).unwrap();
    let taken = take_all();
    let before = used();
    run_for(&mut base, Duration::from_millis(300));
    assert!(used() - before < Duration::from_millis(100));
    drop(quiet);
    assert_eq!(base.stats().live_total(), 1);

    // And so is giving it to C, which then has no pause to end.
    let another = TcpStream::connect(addr);
    drop((another, taken, waiting));
    let raw = listener.into_ptr();
    // SAFETY: ours, alive, freed once.
    unsafe { libevent2::ffi::evconnlistener_free(raw) };
}
