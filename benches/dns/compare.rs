//! The runs, in turn.

use super::load::Load;
use super::server;
use super::support::process::{self, Program, Server};
use super::support::{c_program_optimised, counted, fastest, median, spread};
use std::path::Path;
use std::time::Duration;
use std::{env, thread};

/// As much of C's CPU time as a query may take.
const GOAL: f64 = 1.05;
/// In one run: a few, so that a busy machine is as busy in the run that it is compared with.
const QUERIES: usize = 2000;

/// What a run has shown.
#[derive(Clone, Copy)]
struct Run {
    /// Of the server, in µs.
    cpu_per_query: f64,
    queries_per_second: f64,
}

pub fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == "serve") {
        return server::run();
    }
    process::prepare();
    let Some(load) = Load::new() else {
        return println!("skipped: there is no dnsperf, which asks the questions");
    };
    let programs = [
        program("C", c_program_optimised("dns/dns.c", 2).as_ref(), &[]),
        program(
            "Rust",
            &env::current_exe().expect("its own path"),
            &["serve"],
        ),
    ];
    println!("libevent {}", libevent2::version());
    if args.first().is_some_and(|arg| arg == "count") {
        return count(&programs, &load);
    }
    let rounds = args
        .first()
        .map_or(300, |arg| arg.parse().expect("[count | ROUNDS]"));

    let servers = programs.each_ref().map(Server::start);
    let mut columns = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for side in [round % 2, 1 - round % 2] {
            let run = measure(&servers[side], &load);
            // The first round warms up.
            if round > 0 {
                columns[side].push(run);
            }
        }
    }
    println!("{rounds} rounds of {QUERIES} queries to each, in turn");
    println!("{:5} {:29}  queries/s", "", "CPU of the server, µs/query");
    for (program, runs) in programs.iter().zip(&columns) {
        let cpu: Vec<f64> = runs.iter().map(|run| run.cpu_per_query).collect();
        let rate: Vec<f64> = runs.iter().map(|run| run.queries_per_second).collect();
        println!(
            "{:5} {:29}  {}",
            program.name,
            spread(&cpu, 2),
            spread(&rate, 0)
        );
    }
    let [c, rust] = columns;
    let cpu = |runs: &[Run]| runs.iter().map(|run| run.cpu_per_query).collect::<Vec<_>>();
    let (c, rust) = (cpu(&c), cpu(&rust));
    let ratios: Vec<f64> = rust.iter().zip(&c).map(|(rust, c)| rust / c).collect();
    let verdict = match median(&ratios) <= GOAL {
        true => "PASS",
        false => "not reached",
    };
    let at_rest = fastest(&rust) / fastest(&c);
    println!(
        "CPU per query, Rust / C: {}, of the least {at_rest:.3}",
        spread(&ratios, 3)
    );
    println!("{verdict} (goal: at most {GOAL})");
}

fn program(name: &'static str, path: &Path, args: &[&str]) -> Program {
    Program {
        name,
        path: path.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        environment: None,
        answers: true,
    }
}

fn measure(server: &Server, load: &Load) -> Run {
    let cpu = || {
        // So that the server waits.
        thread::sleep(Duration::from_millis(2));
        server.cpu()
    };
    let before = cpu();
    let seconds = load.ask(server.port, QUERIES, 100);
    let spent = cpu() - before;
    Run {
        cpu_per_query: spent.as_secs_f64() * 1e6 / QUERIES as f64,
        queries_per_second: QUERIES as f64 / seconds,
    }
}

fn count(programs: &[Program], load: &Load) {
    const SHORT_AND_LONG: [usize; 2] = [2000, 12_000];
    println!("instructions per query");
    for program in programs {
        let ask = |port, queries| {
            load.ask(port, queries, 20);
            queries
        };
        let Some(per_query) = counted::instructions(program, SHORT_AND_LONG, &ask) else {
            return println!("skipped: there is no valgrind, which counts");
        };
        println!("{:5} {per_query:8.0}", program.name);
    }
}
