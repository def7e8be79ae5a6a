//! The servers, the runs, and what is compared with what.

use super::load::Load;
use super::process::{Program, Server};
use super::support::{c_program_optimised, crate_programs};
use super::{idle, process, report, server};
use std::env;
use std::thread;
use std::time::Duration;

const CONNECTIONS: usize = 64;
const SIZES: [usize; 2] = [64, 16 * 1024];
const WARM_UP: Duration = Duration::from_millis(20);

pub const C_STREAMS: &str = "C bufferevents";
pub const STREAMS: &str = "Rust bufferevents";
pub const C_EVENTS: &str = "C events";
pub const EVENTS: &str = "Rust events";
pub const MIO: &str = "mio";
pub const TOKIO: &str = "tokio";

/// What a run has shown.
#[derive(Clone, Copy)]
pub struct Run {
    /// Of the server, in µs.
    pub cpu_per_request: f64,
    pub requests_per_second: f64,
}

pub fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|name| server::run(name)) {
        return;
    }
    let number = |i: usize, default: f64| match args.get(i) {
        Some(arg) => arg.parse().expect("[RUNS [SECONDS]]"),
        None => default,
    };
    let (runs, seconds) = (number(0, 40.0) as usize, number(1, 0.1));

    let programs = programs();
    let limit = process::prepare();
    println!("libevent {}", libevent2::version());
    for size in SIZES {
        let columns = in_turn(&programs, size, runs, Duration::from_secs_f64(seconds));
        println!();
        println!(
            "{CONNECTIONS} connections × {size} bytes; {runs} runs of {seconds} s each, in turn"
        );
        report::speed(&programs, &columns);
    }
    idle::compare(&programs, limit);
}

fn programs() -> Vec<Program> {
    let c = |name, source| Program {
        name,
        path: c_program_optimised(source, 2),
        args: Vec::new(),
        answers: true,
    };
    let rust = |name, server| Program {
        name,
        path: env::current_exe().expect("its own path"),
        args: vec![server],
        answers: true,
    };
    let mut programs = vec![
        c(C_STREAMS, "echo/echo_bufferevent.c"),
        rust(STREAMS, "bufferevents"),
        c(C_EVENTS, "echo/echo_event.c"),
        rust(EVENTS, "events"),
    ];
    if let Some(folder) = crate_programs("peers") {
        for (name, file) in [(MIO, "echo-mio"), (TOKIO, "echo-tokio")] {
            programs.push(Program {
                name,
                path: folder.join(file),
                args: Vec::new(),
                answers: false,
            });
        }
    }
    programs
}

/// One column of runs per program.
fn in_turn(programs: &[Program], size: usize, runs: usize, time: Duration) -> Vec<Vec<Run>> {
    let mut columns = vec![Vec::new(); programs.len()];
    for round in 0..runs {
        let mut order: Vec<usize> = (0..programs.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            columns[index].push(measure(&programs[index], size, time));
        }
    }
    columns
}

fn measure(program: &Program, size: usize, time: Duration) -> Run {
    let server = Server::start(program);
    let mut load = Load::connect(server.port, CONNECTIONS, size);
    load.run(WARM_UP);
    let cpu = || {
        // So that the server waits.
        thread::sleep(Duration::from_millis(5));
        server.cpu()
    };
    let before = cpu();
    let (requests, elapsed) = load.run(time);
    let spent = cpu() - before;
    Run {
        cpu_per_request: spent.as_secs_f64() * 1e6 / requests as f64,
        requests_per_second: requests as f64 / elapsed.as_secs_f64(),
    }
}
