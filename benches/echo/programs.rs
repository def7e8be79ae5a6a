//! What is compared: the servers, by name.

use super::support::process::Program;
use super::support::{c_program_optimised, crate_programs};
use std::env;

pub const C_STREAMS: &str = "C bufferevents";
pub const STREAMS: &str = "Rust bufferevents";
const C_EVENTS: &str = "C events";
const EVENTS: &str = "Rust events";
const MIO: &str = "mio";
const TOKIO: &str = "tokio";

/// What is divided by what, and the goal, where there is one.
pub type Ratio = (&'static str, &'static str, Option<f64>);

pub struct Comparison {
    pub programs: Vec<Program>,
    pub ratios: Vec<Ratio>,
}

/// This crate beside C and the others.
pub fn sides() -> Comparison {
    let mut programs = vec![
        c(C_STREAMS, "echo/echo_bufferevent.c", &[]),
        rust(STREAMS, "bufferevents"),
        c(C_EVENTS, "echo/echo_event.c", &[]),
        rust(EVENTS, "events"),
    ];
    if let Some(folder) = crate_programs("peers") {
        for (name, file) in [(MIO, "echo-mio"), (TOKIO, "echo-tokio")] {
            programs.push(Program {
                name,
                path: folder.join(file),
                args: Vec::new(),
                environment: None,
                answers: false,
            });
        }
    }
    let ratios = vec![
        (EVENTS, C_EVENTS, Some(1.03)),
        (STREAMS, C_STREAMS, None),
        (STREAMS, TOKIO, Some(1.15)),
        (STREAMS, MIO, None),
        (STREAMS, C_EVENTS, None),
        (EVENTS, TOKIO, None),
        (EVENTS, MIO, None),
    ];
    Comparison { programs, ratios }
}

/// What each way to make a bufferevent cheaper brings alone.
pub fn levers() -> Comparison {
    let source = "echo/echo_bufferevent.c";
    let (read, write) = ("read-on", "write-at-once");
    let changelist = |name, program: Program| Program {
        name,
        environment: Some("EVENT_EPOLL_USE_CHANGELIST"),
        ..program
    };
    let programs = vec![
        c(C_STREAMS, source, &[]),
        c("C, reads on", source, &[read]),
        c("C, writes at once", source, &[write]),
        c("C, both", source, &[read, write]),
        changelist("C, changelist", c(C_STREAMS, source, &[])),
        rust(STREAMS, "bufferevents"),
        rust("Rust, left to C", "bufferevents-left-to-c"),
        changelist("Rust, changelist", rust(STREAMS, "bufferevents")),
        rust("Rust, no locks", "bufferevents-no-lock"),
        rust("Rust, no threads", "bufferevents-no-threads"),
    ];
    let others = programs[1..].iter();
    let ratios = others
        .map(|program| (program.name, C_STREAMS, None))
        .collect();
    Comparison { programs, ratios }
}

fn c(name: &'static str, source: &str, args: &[&str]) -> Program {
    Program {
        name,
        path: c_program_optimised(source, 2),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        environment: None,
        answers: true,
    }
}

fn rust(name: &'static str, server: &str) -> Program {
    Program {
        name,
        path: env::current_exe().expect("its own path"),
        args: vec![server.to_owned()],
        environment: None,
        answers: true,
    }
}
