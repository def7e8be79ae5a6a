//! A base in a process that has no descriptor left. Alone in its binary: the limit is the process's.
#![cfg(unix)]

mod common;

use common::bounded;
use libevent2::{Error, EventBase};
use std::fs::File;
use std::io;

#[test]
fn a_base_without_descriptors_is_an_error_and_not_the_end_of_the_process() {
    let _bounded = bounded();
    // SAFETY: rlimit is plain data; the limit is lowered only.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_cur.min(64);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    // Also with some left, but not enough.
    for _ in 0..5 {
        let error = EventBase::new().unwrap_err();
        assert!(matches!(error, Error::Os { .. }), "{error}");
        let errno = error.io().and_then(io::Error::raw_os_error);
        assert_eq!(errno, Some(libc::EMFILE), "{error}");
        taken.pop();
    }
    taken.clear();
    EventBase::new().unwrap();
}
