//! Programs in other languages, of the libraries that Debian packages for them.

use super::{Program, program};
use std::env;
use std::process::Command;

/// The system's Python, to be given a script, if it has this library.
pub fn python(library: &str) -> Option<Command> {
    let mut command = program("/usr/bin/python3")?;
    command.args(["-u", "-c"]);
    with_library(command, &format!("import {library}"), library)
}

/// Node, to be given a script, if it has this library.
pub fn node(library: &str) -> Option<Command> {
    let mut command = program("node")?;
    // Where Debian puts them, which other builds of Node do not look for.
    command.env("NODE_PATH", "/usr/share/nodejs").arg("-e");
    with_library(command, &format!("require('{library}')"), library)
}

/// The test says so, and has nothing to do, if the library is missing.
fn with_library(command: Command, script: &str, library: &str) -> Option<Command> {
    let mut probe = Command::new(command.get_program());
    probe.args(command.get_args()).arg(script);
    for (name, value) in command.get_envs() {
        probe.env(name, value.unwrap_or_default());
    }
    if probe.output().expect("it is there").status.success() {
        return Some(command);
    }
    let missing = format!("{:?} has no {library}", command.get_program());
    assert!(env::var_os("LIBEVENT2_PEERS").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// Runs a script that begins with saying on which port it listens.
pub fn serve(command: &mut Command, script: &str, args: &[&str]) -> (Program, u16) {
    let server = Program::start(command.arg(script).args(args), "KILL");
    let line = server.line_with("port ");
    let port = line.trim_start_matches("port ").parse().expect("a number");
    (server, port)
}
