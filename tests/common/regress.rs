//! What the ported regress cases share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

/// What libevent's cases send, its NUL included.
pub const TEXT: &[u8] = b"this is a test\0";

/// A pair of connected, non-blocking sockets that several events can share.
pub fn pair() -> (Rc<UnixStream>, Rc<UnixStream>) {
    let (here, there) = UnixStream::pair().expect("a socket pair");
    here.set_nonblocking(true).expect("a non-blocking socket");
    there.set_nonblocking(true).expect("a non-blocking socket");
    (Rc::new(here), Rc::new(there))
}

/// One read of up to 256 bytes; 0 is the end of the stream.
pub fn read(stream: &UnixStream) -> usize {
    let mut stream = stream;
    stream.read(&mut [0; 256]).expect("read")
}

pub fn write(stream: &UnixStream, bytes: &[u8]) {
    let mut stream = stream;
    stream.write_all(bytes).expect("write");
}

/// Writes until there is no more room.
pub fn stuff(stream: &UnixStream) {
    let mut stream = stream;
    while stream.write(&[99; 1024]).is_ok() {}
}

/// That something took as long as it should: not less, but for the steps of the clock that
/// libevent uses, and more only by what a busy machine may add.
#[track_caller]
pub fn assert_about(measured: Duration, expected: Duration) {
    assert!(
        measured + Duration::from_millis(20) >= expected,
        "{measured:?} is less than {expected:?}"
    );
    assert!(
        measured <= expected + Duration::from_millis(900),
        "{measured:?} is much more than {expected:?}"
    );
}

/// Runs the body of the test `name` in a process of its own that has this one thread: for what
/// concerns the whole process (`fork`, the environment, descriptor numbers).
#[track_caller]
pub fn alone(name: &str, body: impl FnOnce()) {
    if !alone_in(name, &[], body) {
        assert!(!is_alone());
    }
}

/// As [`alone`], with environment variables. Says whether this is the new process.
#[track_caller]
pub fn alone_in(name: &str, environment: &[(&str, &str)], body: impl FnOnce()) -> bool {
    if is_alone() {
        // SAFETY: no preconditions. It ends this process when it hangs.
        unsafe { libc::alarm(55) };
        body();
        return true;
    }
    let test = std::env::current_exe().expect("the path of this test");
    let output = Command::new(test)
        .args([name, "--exact", "--test-threads=1", "--nocapture"])
        .env(ALONE, "1")
        .envs(environment.iter().copied())
        .output()
        .expect("this test can be started once more");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{name} in its own process: {}\n{said}{complained}",
        output.status
    );
    false
}

const ALONE: &str = "LIBEVENT2_TEST_RUNS_ALONE";

fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs `child` in a new process, which ends with the number it returns, or with 101 when it
/// panics. To be called in a process of one thread: see [`alone`].
pub fn fork(child: impl FnOnce() -> i32) -> libc::pid_t {
    assert!(is_alone(), "other threads may hold locks");
    // SAFETY: this process has one thread, so the child is a whole copy of it.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: no preconditions. A child inherits no alarm.
        unsafe { libc::alarm(50) };
        let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(101);
        // SAFETY: no preconditions. It must not return into the harness that the parent is in.
        unsafe { libc::_exit(code) };
    }
    pid
}

/// The number with which the process `pid` ended; it is waited for.
#[track_caller]
pub fn wait_for(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is ours.
    while unsafe { libc::waitpid(pid, &mut status, 0) } != pid {
        let error = std::io::Error::last_os_error();
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "{error}");
    }
    assert!(libc::WIFEXITED(status), "it ended by a signal: {status:#x}");
    libc::WEXITSTATUS(status)
}

/// Sends a signal to this thread: it has arrived when this returns.
pub fn raise(signum: i32) {
    // SAFETY: no preconditions; the tests have a handler for what they send.
    assert_eq!(unsafe { libc::raise(signum) }, 0);
}
