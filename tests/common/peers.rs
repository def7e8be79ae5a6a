//! Real programs at the other end.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::env;
use std::process::{Command, Stdio};

/// A program to talk to. On a machine with Rust and a C compiler only it may be missing: then the
/// test says so and has nothing to do. The project's own check sets `LIBEVENT2_PEERS=all`, with
/// which that is a failure.
pub fn peer(program: &str) -> Option<Command> {
    let mut probe = Command::new(program);
    let probe = probe
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match probe.arg("-h").spawn() {
        Ok(mut child) => {
            let _ = child.kill();
            let _ = child.wait();
            Some(Command::new(program))
        }
        Err(error) if env::var_os("LIBEVENT2_PEERS").is_some() => panic!("{program}: {error}"),
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            None
        }
    }
}
