//! The runs, in turn.

use super::load::Load;
use super::process::{self, Program, Server};
use super::server;
use super::support::{c_program_optimised, fastest, median};
use std::path::Path;
use std::time::Duration;
use std::{env, fs, thread};

/// As much of C's CPU time as a query may take.
const GOAL: f64 = 1.05;

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
    let number = |i: usize, default: f64| match args.get(i) {
        Some(arg) => arg.parse().expect("[count | RUNS [SECONDS]]"),
        None => default,
    };
    let (runs, seconds) = (number(0, 20.0) as usize, number(1, 1.0));

    let mut columns = [Vec::new(), Vec::new()];
    for round in 0..runs {
        for side in [round % 2, 1 - round % 2] {
            columns[side].push(measure(&programs[side], &load, seconds));
        }
    }
    println!("{runs} runs of {seconds} s each, in turn");
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

fn measure(program: &Program, load: &Load, seconds: f64) -> Run {
    let server = Server::start(program);
    load.ask(server.port, 1000);
    let cpu = || {
        // So that the server waits.
        thread::sleep(Duration::from_millis(5));
        server.cpu()
    };
    let before = cpu();
    let queries = load.run(server.port, seconds);
    let spent = cpu() - before;
    server.end();
    Run {
        cpu_per_query: spent.as_secs_f64() * 1e6 / queries as f64,
        queries_per_second: queries as f64 / seconds,
    }
}

/// Instructions in user space, as the difference of a long and a short run, so that starting up
/// does not count.
fn count(programs: &[Program], load: &Load) {
    const QUERIES: [usize; 2] = [2000, 12_000];
    println!("instructions per query");
    for program in programs {
        let counted = QUERIES.map(|queries| instructions(program, load, queries));
        let [Some(short), Some(long)] = counted else {
            return println!("skipped: there is no valgrind, which counts");
        };
        let per_query = (long - short) as f64 / (QUERIES[1] - QUERIES[0]) as f64;
        println!("{:5} {per_query:8.0}", program.name);
    }
}

fn instructions(program: &Program, load: &Load, queries: usize) -> Option<u64> {
    let out = env::temp_dir().join(format!("dns-count.{}", std::process::id()));
    let mut args = vec![
        "-q".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
        program.path.display().to_string(),
    ];
    args.extend(program.args.iter().cloned());
    let server = Server::try_start(&Program {
        path: "valgrind".into(),
        args,
        ..program.clone()
    })?;
    load.ask(server.port, queries);
    server.end();
    let text = fs::read_to_string(&out).ok()?;
    let _ = fs::remove_file(&out);
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    totals?.trim().parse().ok()
}

/// `median (least .. most)`
fn spread(numbers: &[f64], digits: usize) -> String {
    let least = fastest(numbers);
    let most = numbers.iter().copied().fold(0.0, f64::max);
    let median = median(numbers);
    format!("{median:.digits$} ({least:.digits$} .. {most:.digits$})")
}
