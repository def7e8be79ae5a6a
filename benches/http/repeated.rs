//! The cases of many requests: the CPU time of each, how many there are in a second, and how long one
//! waits.

use super::load::Load;
use super::report::{Figure, Goal, print_heads, print_row};
use super::servers::{C, HYPER, NGINX};
use super::support::counted;
use super::support::process::{Program, Server};
use std::thread;
use std::time::Duration;

pub struct Case {
    pub name: &'static str,
    what: &'static str,
    path: &'static str,
    connections: usize,
    /// Requests that are sent at once.
    depth: usize,
    rounds: usize,
    seconds: f64,
    cpu: &'static [(&'static str, Goal)],
    rate: &'static [(&'static str, Goal)],
    /// Nagle's algorithm against a delayed acknowledgement makes 40 ms of stall, which a server
    /// beside it does not have, however busy the machine is.
    wait: &'static [(&'static str, Goal)],
}

pub const CASES: [Case; 3] = [
    Case {
        name: "hello",
        what: "\"hello\" over 64 connections, one request at a time",
        path: "/hello",
        connections: 64,
        depth: 1,
        rounds: 30,
        seconds: 0.1,
        cpu: &[(C, Goal::AtMost(1.0 / 1.5))],
        rate: &[],
        wait: &[],
    },
    Case {
        name: "large",
        what: "1 MiB over 16 connections, one request at a time",
        path: "/mib",
        connections: 16,
        depth: 1,
        rounds: 10,
        seconds: 0.4,
        cpu: &[],
        rate: &[(HYPER, Goal::AtLeast(0.8))],
        wait: &[(HYPER, Goal::AtMost(1.5))],
    },
    Case {
        name: "pipelined",
        what: "\"hello\" over 64 connections, 16 requests at once",
        path: "/hello",
        connections: 64,
        depth: 16,
        rounds: 20,
        seconds: 0.2,
        cpu: &[],
        rate: &[(NGINX, Goal::AtLeast(1.0))],
        wait: &[(NGINX, Goal::AtMost(1.0))],
    },
];

const WARM_UP: Duration = Duration::from_millis(20);

#[derive(Clone, Copy)]
struct Run {
    /// Of the server, in µs for each request.
    cpu: f64,
    /// Requests in a second.
    rate: f64,
    /// In ms.
    wait: f64,
    /// Of a hundred waits only one is longer.
    longest: f64,
}

impl Case {
    pub fn compare(&self, programs: &[Program], rounds: Option<usize>, quick: bool) {
        let rounds = rounds.unwrap_or(if quick { 2 } else { self.rounds });
        let seconds = if quick { 0.05 } else { self.seconds };
        let mut columns = vec![Vec::new(); programs.len()];
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
        self.report(programs, &columns);
    }

    /// What a request takes, counted instead of timed.
    pub fn count(&self, programs: &[Program]) {
        const ROUNDS: [usize; 2] = [10, 40];
        let ask = |port, rounds| {
            let mut load = Load::connect(port, self.path, self.connections, self.depth);
            (0..rounds).map(|_| load.run(Duration::ZERO).answers).sum()
        };
        println!();
        println!("{}", self.what);
        println!("{:19}  instructions  calls of the system, per request", "");
        for program in programs {
            let instructions = counted::instructions(program, ROUNDS, &ask).unwrap_or(f64::NAN);
            let calls = counted::calls(program, ROUNDS, &ask).unwrap_or_default();
            println!("{:19}  {instructions:12.0}  {calls}", program.name);
        }
    }

    fn measure(&self, program: &Program, seconds: f64) -> Run {
        let server = Server::start(program);
        let load = Load::connect(server.port, self.path, self.connections, self.depth);
        let mut load = load.polling();
        load.run(WARM_UP);
        let cpu = || {
            // So that the server waits.
            thread::sleep(Duration::from_millis(5));
            server.cpu()
        };
        let before = cpu();
        let mut ran = load.run(Duration::from_secs_f64(seconds));
        let spent = cpu() - before;
        ran.waits.sort_by(f64::total_cmp);
        let of_hundred = |part: usize| ran.waits[ran.waits.len() * part / 100] / 1e3;
        Run {
            cpu: spent.as_secs_f64() * 1e6 / ran.answers as f64,
            rate: ran.answers as f64 / ran.elapsed.as_secs_f64(),
            wait: of_hundred(50),
            longest: of_hundred(99),
        }
    }

    fn report(&self, programs: &[Program], columns: &[Vec<Run>]) {
        let figure = |name: &'static str, of: fn(&Run) -> f64| Figure {
            name,
            programs,
            columns: columns
                .iter()
                .map(|runs| runs.iter().map(of).collect())
                .collect(),
        };
        let cpu = figure("CPU", |run| run.cpu);
        let rate = figure("rate", |run| run.rate);
        let wait = figure("wait", |run| run.wait);
        let longest = figure("", |run| run.longest);
        print_heads(&[
            "CPU of the server, µs/request",
            "requests/s",
            "wait, ms",
            "99 of 100 waits at most, ms",
        ]);
        for (at, program) in programs.iter().enumerate() {
            print_row(
                program.name,
                &[
                    (&cpu.columns[at], 2),
                    (&rate.columns[at], 0),
                    (&wait.columns[at], 2),
                    (&longest.columns[at], 2),
                ],
            );
        }
        cpu.print_ratios(self.cpu);
        rate.print_ratios(self.rate);
        wait.print_ratios(self.wait);
    }
}
