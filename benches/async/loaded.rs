//! Servers under load: the CPU time of a request, and how many there are in a second.

use super::report::{Figure, Goal, print_heads, print_row};
use super::servers::{self, TOKIO};
use super::support::counted;
use super::support::process::{Program, Server};
use super::{echo_load, http_load};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(20);

/// Keeps all connections busy for so long, each once at least. Returns how many requests that were.
type Load = Box<dyn FnMut(Duration) -> usize>;

pub struct Case {
    pub name: &'static str,
    what: &'static str,
    servers: fn(&Path) -> Vec<Program>,
    load: fn(u16) -> Load,
    /// Requests on each connection in the short and the long run that are counted.
    counted: [usize; 2],
    /// Our CPU time, as ratio to others'.
    cpu: &'static [(&'static str, Goal)],
}

pub const CASES: [Case; 4] = [
    Case {
        name: "small",
        what: "echo of 64 bytes over 64 connections",
        servers: servers::echo,
        load: |port| echo(port, 64),
        counted: [50, 150],
        cpu: &[],
    },
    Case {
        name: "large",
        what: "echo of 16 KiB over 64 connections",
        servers: servers::echo,
        load: |port| echo(port, 16 * 1024),
        counted: [50, 150],
        cpu: &[],
    },
    Case {
        name: "hello",
        what: "hyper's \"hello\" over 64 connections, one request at a time",
        servers: servers::hyper,
        load: |port| http(port, 1),
        counted: [10, 40],
        cpu: &[(TOKIO, Goal::AtMost(1.0))],
    },
    Case {
        name: "pipelined",
        what: "hyper's \"hello\" over 64 connections, 16 requests at once",
        servers: servers::hyper,
        load: |port| http(port, 16),
        counted: [10, 40],
        cpu: &[],
    },
];

fn echo(port: u16, size: usize) -> Load {
    let mut load = echo_load::Load::connect(port, CONNECTIONS, size);
    Box::new(move |time| load.run(time).0 as usize)
}

fn http(port: u16, depth: usize) -> Load {
    let load = http_load::Load::connect(port, "/hello", CONNECTIONS, depth);
    let mut load = load.polling();
    Box::new(move |time| load.run(time).answers)
}

struct Run {
    /// Of the server, in µs for each request.
    cpu: f64,
    /// Requests in a second.
    rate: f64,
}

impl Case {
    pub fn compare(&self, peers: &Path, rounds: Option<usize>, quick: bool) {
        let programs = (self.servers)(peers);
        let rounds = rounds.unwrap_or(if quick { 2 } else { 30 });
        let seconds = if quick { 0.05 } else { 0.1 };
        let mut columns: Vec<Vec<Run>> = programs.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            let mut order: Vec<usize> = (0..programs.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                columns[index].push(self.measure(&programs[index], seconds));
            }
        }
        println!();
        println!("{}; {rounds} runs of {seconds} s each, in turn", self.what);
        let figure = |name: &'static str, of: fn(&Run) -> f64| Figure {
            name,
            programs: &programs,
            columns: columns
                .iter()
                .map(|runs| runs.iter().map(of).collect())
                .collect(),
        };
        let (cpu, rate) = (figure("CPU", |run| run.cpu), figure("rate", |run| run.rate));
        print_heads(&["CPU of the server, µs/request", "requests/s"]);
        for (at, program) in programs.iter().enumerate() {
            let figures = [(&cpu.columns[at][..], 2), (&rate.columns[at], 0)];
            print_row(program.name, &figures);
        }
        cpu.print_ratios(self.cpu);
        rate.print_ratios(&[]);
    }

    /// What a request takes, counted instead of timed.
    pub fn count(&self, peers: &Path) {
        println!();
        println!("{}", self.what);
        println!("{:19}  instructions  calls of the system, per request", "");
        let ask = |port, rounds| {
            let mut load = (self.load)(port);
            (0..rounds).map(|_| load(Duration::ZERO)).sum()
        };
        for program in (self.servers)(peers) {
            let instructions = counted::instructions(&program, self.counted, &ask);
            let instructions = instructions.unwrap_or(f64::NAN);
            let calls = counted::calls(&program, self.counted, &ask).unwrap_or_default();
            println!("{:19}  {instructions:12.0}  {calls}", program.name);
        }
    }

    fn measure(&self, program: &Program, seconds: f64) -> Run {
        let server = Server::start(program);
        let mut load = (self.load)(server.port);
        load(WARM_UP);
        let cpu = || {
            // So that the server waits.
            thread::sleep(Duration::from_millis(5));
            server.cpu()
        };
        let before = cpu();
        let start = Instant::now();
        let requests = load(Duration::from_secs_f64(seconds)) as f64;
        let elapsed = start.elapsed();
        let spent = cpu() - before;
        Run {
            cpu: spent.as_secs_f64() * 1e6 / requests,
            rate: requests / elapsed.as_secs_f64(),
        }
    }
}
