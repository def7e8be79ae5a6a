//! Servers in Python, of the libraries that Debian packages for its own Python.

use super::{Program, program};
use std::env;
use std::process::Command;

/// The system's Python, if it has this library; the test says so and has nothing to do if not.
pub fn python(library: &str) -> Option<Command> {
    let mut command = program("/usr/bin/python3")?;
    let probe = Command::new(command.get_program())
        .args(["-c", &format!("import {library}")])
        .output()
        .expect("it is there");
    if probe.status.success() {
        command.args(["-u", "-c"]);
        return Some(command);
    }
    let missing = format!("Python's {library} is not installed");
    assert!(env::var_os("LIBEVENT2_PEERS").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// A script that begins with saying on which port it listens.
pub fn serve(python: &mut Command, script: &str, args: &[&str]) -> (Program, u16) {
    let server = Program::start(python.arg(script).args(args), "KILL");
    let line = server.line_with("port ");
    let port = line.trim_start_matches("port ").parse().expect("a number");
    (server, port)
}
