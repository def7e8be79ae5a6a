//! The runs, in turn.

use super::load::Load;
use super::support::process::{self, Program, Server};
use super::{count, idle, programs, report, server};
use std::env;
use std::thread;
use std::time::Duration;

pub const CONNECTIONS: usize = 64;
pub const SIZES: [usize; 2] = [64, 16 * 1024];
const WARM_UP: Duration = Duration::from_millis(20);

/// What a run has shown.
#[derive(Clone, Copy)]
pub struct Run {
    /// Of the server, in µs.
    pub cpu_per_request: f64,
    pub requests_per_second: f64,
}

pub fn main() {
    let mut args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|name| server::run(name)) {
        return;
    }
    let mut has = |word| {
        let found = args.first().is_some_and(|arg| arg == word);
        found.then(|| args.remove(0)).is_some()
    };
    let compared = match has("levers") {
        true => programs::levers(),
        false => programs::sides(),
    };
    let counts = has("count");
    let number = |i: usize, default: f64| match args.get(i) {
        Some(arg) => arg.parse().expect("[levers] [count | RUNS [SECONDS]]"),
        None => default,
    };
    let (runs, seconds) = (number(0, 40.0) as usize, number(1, 0.1));

    let limit = process::prepare();
    println!("libevent {}", libevent2::version());
    if counts {
        return count::print(&compared.programs);
    }
    for size in SIZES {
        let time = Duration::from_secs_f64(seconds);
        let columns = in_turn(&compared.programs, size, runs, time);
        println!();
        println!(
            "{CONNECTIONS} connections × {size} bytes; {runs} runs of {seconds} s each, in turn"
        );
        report::speed(&compared, &columns);
    }
    idle::compare(&compared.programs, limit);
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
