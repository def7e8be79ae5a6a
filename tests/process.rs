//! What belongs to the whole process, where `tests/hooks.rs` leaves off. Each test that needs a
//! process of its own runs this binary again.

#[path = "common/mod.rs"]
mod common;

use common::bounded;
use libevent2::{Error, Event, EventBase, Interest, Timer, ffi, log};
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, thread};

/// There is one logger at a time.
static LOGGER: Mutex<()> = Mutex::new(());

const CHILD: &str = "LIBEVENT2_TEST_CHILD";

/// Runs the test of this name alone in a new process, where [`is_child`] is true.
fn child(test: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap()
}

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// libevent warns when epoll refuses a regular file.
fn refused_by_epoll(base: &EventBase) -> Error {
    let file = File::open("Cargo.toml").unwrap();
    Event::new(base, file, Interest::READ, |_, _| ()).unwrap_err()
}

#[test]
fn what_a_logger_does_to_errno_does_not_change_the_error() {
    let _one = LOGGER.lock().unwrap_or_else(PoisonError::into_inner);
    let called = Arc::new(AtomicUsize::new(0));
    let counted = called.clone();
    let guard = log::set_logger(move |_, _| {
        File::open("/no such file").unwrap_err();
        counted.fetch_add(1, Relaxed);
    })
    .unwrap();
    let base = EventBase::new().unwrap();
    if base.method() == "epoll" {
        let error = refused_by_epoll(&base);
        assert_eq!(error.io().unwrap().kind(), io::ErrorKind::PermissionDenied);
        log::flush();
        assert_eq!(called.load(Relaxed), 1);
    }
    drop(guard);
}

/// T41: a logger is called from any thread.
#[test]
fn a_logger_may_be_called_set_and_taken_away_from_many_threads() {
    let _bound = bounded();
    let _one = LOGGER.lock().unwrap_or_else(PoisonError::into_inner);
    let called = Arc::new(AtomicUsize::new(0));
    let outer = log::set_logger(|_, _| ()).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let called = called.clone();
            thread::spawn(move || {
                let base = EventBase::new().unwrap();
                for _ in 0..50 {
                    let called = called.clone();
                    let guard = log::set_logger(move |_, _| {
                        called.fetch_add(1, Relaxed);
                    })
                    .unwrap();
                    if base.method() == "epoll" {
                        refused_by_epoll(&base);
                    }
                    drop(guard);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    drop(outer);
    assert_eq!(Arc::strong_count(&called), 1, "every logger was dropped");
}

/// T42: the last words may be about the hooks themselves.
#[test]
fn a_fatal_hook_that_changes_the_hooks_or_fails_again_still_ends_in_an_abort() {
    let _bound = bounded();
    if is_child() {
        log::set_fatal_hook(|_| {
            log::set_fatal_hook(|_| eprintln!("the second hook")).keep();
            eprintln!("the first hook");
            break_a_promise();
        })
        .keep();
        break_a_promise();
        unreachable!("libevent goes on after a fatal error");
    }
    let output = child("a_fatal_hook_that_changes_the_hooks_or_fails_again_still_ends_in_an_abort");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(
        said.contains("the first hook") && said.contains("the second hook"),
        "{said}"
    );
}

/// Makes libevent find a fault that it does not go on from: debug mode after the first base.
fn break_a_promise() {
    let _base = EventBase::new().unwrap();
    // SAFETY: ends in the fatal hook, which is the point, and does nothing else.
    unsafe { ffi::event_enable_debug_mode() };
}

/// T4, T31: libevent's own checks are compiled in, so that a fault of C code ends the process
/// instead of spoiling its memory.
#[test]
fn a_fault_of_c_code_on_a_base_of_ours_ends_in_an_abort() {
    let _bound = bounded();
    if is_child() {
        log::set_fatal_hook(|_| eprintln!("the last words")).keep();
        let mut base = EventBase::new().unwrap();
        let timer = Timer::after(&base, Duration::ZERO, |_| ()).unwrap();
        timer.set_priority(2).unwrap();
        // SAFETY: not sound, on purpose: C code takes away a priority that an event has. The
        // process has no further life in which that could matter.
        unsafe { ffi::event_base_priority_init(base.as_ptr(), 1) };
        base.run().unwrap();
        unreachable!("libevent was compiled without its asserts");
    }
    let output = child("a_fault_of_c_code_on_a_base_of_ours_ends_in_an_abort");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(said.contains("the last words"), "{said}");
}
