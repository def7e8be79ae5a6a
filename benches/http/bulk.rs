//! One large thing: a file that is fetched, and a body that is sent. How fast, what it takes of the
//! CPU, and how much memory the server needs beyond what it had.

use super::client::{Head, connect, get};
use super::report::{Figure, Goal, print_heads, print_row};
use super::servers::{C, HYPER, NGINX, OURS};
use super::support::process::{Program, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

const MIB: f64 = 1024.0 * 1024.0;
const PIECE: usize = 256 * 1024;

pub struct Case {
    pub name: &'static str,
    what: &'static str,
    servers: &'static [&'static str],
    /// Moves so many bytes.
    transfer: fn(&mut TcpStream, u64),
    rate: &'static [(&'static str, Goal)],
}

pub const CASES: [Case; 2] = [
    Case {
        name: "file",
        what: "a file is fetched (nginx with sendfile off)",
        servers: &[C, OURS, NGINX],
        transfer: fetch,
        rate: &[(NGINX, Goal::AtLeast(1.0))],
    },
    Case {
        name: "upload",
        what: "a body is sent (C holds it in memory)",
        servers: &[C, OURS, HYPER],
        transfer: send,
        rate: &[],
    },
];

/// The most that memory may grow, in MiB.
const FLAT: Goal = Goal::AtMost(8.0);

#[derive(Clone, Copy)]
struct Run {
    /// MiB in a second.
    rate: f64,
    /// Of the server, in s for each GiB.
    cpu: f64,
    /// MiB.
    grown: f64,
}

impl Case {
    pub fn compare(&self, programs: &[Program], bytes: u64, rounds: usize) {
        let has = |program: &&Program| self.servers.contains(&program.name);
        let programs: Vec<Program> = programs.iter().filter(has).cloned().collect();
        let mut columns = vec![Vec::new(); programs.len()];
        for round in 0..rounds {
            let mut order: Vec<usize> = (0..programs.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                columns[index].push(self.measure(&programs[index], bytes));
            }
        }
        println!();
        let mib = bytes as f64 / MIB;
        println!("{} of {mib:.0} MiB; {rounds} times, in turn", self.what);
        report(&programs, &columns, self.rate);
    }

    fn measure(&self, program: &Program, bytes: u64) -> Run {
        let server = Server::start(program);
        let mut stream = connect(server.port);
        let cpu = || {
            // So that the server waits.
            thread::sleep(Duration::from_millis(5));
            server.cpu()
        };
        let (before, resident) = (cpu(), server.resident());
        let start = Instant::now();
        (self.transfer)(&mut stream, bytes);
        let elapsed = start.elapsed();
        let spent = cpu() - before;
        let gib = bytes as f64 / MIB / 1024.0;
        Run {
            rate: bytes as f64 / MIB / elapsed.as_secs_f64(),
            cpu: spent.as_secs_f64() / gib,
            grown: (server.most_resident() as f64 - resident as f64) / MIB,
        }
    }
}

fn fetch(stream: &mut TcpStream, bytes: u64) {
    stream
        .write_all(get("/file").as_bytes())
        .expect("the server reads");
    let head = Head::read(stream);
    assert_eq!(head.body_bytes, bytes);
    let mut buffer = vec![0; PIECE];
    let mut received = head.body.len() as u64;
    while received < bytes {
        let n = stream.read(&mut buffer).expect("the server sends");
        assert!(n > 0, "the file ended at {received} of {bytes}");
        received += n as u64;
    }
}

fn send(stream: &mut TcpStream, bytes: u64) {
    let head =
        format!("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the server reads");
    let piece = vec![b'x'; PIECE];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(PIECE as u64) as usize;
        stream.write_all(&piece[..n]).expect("the server reads");
        left -= n as u64;
    }
    let mut head = Head::read(stream);
    let mut rest = vec![0; head.body_bytes as usize - head.body.len()];
    stream.read_exact(&mut rest).expect("the server answers");
    head.body.append(&mut rest);
    assert_eq!(head.body, bytes.to_string().as_bytes());
}

fn report(programs: &[Program], columns: &[Vec<Run>], goals: &[(&str, Goal)]) {
    let figure = |name: &'static str, of: fn(&Run) -> f64| Figure {
        name,
        programs,
        columns: columns
            .iter()
            .map(|runs| runs.iter().map(of).collect())
            .collect(),
    };
    let rate = figure("rate", |run| run.rate);
    let cpu = figure("CPU", |run| run.cpu);
    let grown = figure("memory", |run| run.grown);
    print_heads(&["MiB/s", "CPU of the server, s/GiB", "memory grew by MiB"]);
    for (at, program) in programs.iter().enumerate() {
        let figures = [
            (&rate.columns[at][..], 0),
            (&cpu.columns[at], 3),
            (&grown.columns[at], 1),
        ];
        print_row(program.name, &figures);
    }
    rate.print_ratios(goals);
    cpu.print_ratios(&[]);
    if let Some(grown) = grown.column(OURS) {
        let most = grown.iter().copied().fold(0.0, f64::max);
        println!("  flat memory in {OURS}, MiB: {}", FLAT.verdict(most));
    }
}
