//! What is compared, by the name of the loop that it runs on.

use super::support::c_program_optimised;
use super::support::process::Program;
use std::path::{Path, PathBuf};

pub const OURS: &str = "libevent2";
pub const TOKIO: &str = "tokio";
const SMOL: &str = "smol";
const C: &str = "C bufferevents";

/// Echo, a task for each connection, but in C. `peers` is where the programs are.
pub fn echo(peers: &Path) -> Vec<Program> {
    let c = c_program_optimised("echo/echo_bufferevent.c", 2);
    let on = |name, file| program(name, peers.join(file), &[]);
    vec![
        program(C, c, &[]),
        on(OURS, "echo-libevent2"),
        on(TOKIO, "echo-tokio"),
        on(SMOL, "echo-smol"),
    ]
}

/// hyper, a task for each connection.
pub fn hyper(peers: &Path) -> Vec<Program> {
    vec![
        program(OURS, peers.join("http-hyper-libevent2"), &[]),
        program(TOKIO, peers.join("http-hyper"), &[]),
    ]
}

/// Programs that do some work with tasks, so often, and print what it took.
pub fn tasks(peers: &Path, work: &str, count: usize) -> Vec<Program> {
    let args = [work, &count.to_string()];
    let on = |name, file| program(name, peers.join(file), &args);
    vec![
        on(OURS, "tasks-libevent2"),
        on(TOKIO, "tasks-tokio"),
        on(SMOL, "tasks-smol"),
    ]
}

fn program(name: &'static str, path: PathBuf, args: &[&str]) -> Program {
    Program {
        name,
        path,
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        environment: None,
        answers: false,
    }
}
