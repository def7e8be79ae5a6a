//! Which cases are run.

use super::load::Load;
use super::options::Options;
use super::servers::{self, Folder};
use super::support::counted;
use super::support::process::{self, Program};
use super::{bulk, idle, repeated, server};
use std::time::Duration;

const GIB: u64 = 1 << 30;

pub fn main() {
    let options = match Options::read() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    if let Some(file) = &options.serve {
        return server::run(file).expect("it serves");
    }
    let limit = process::prepare();
    let bytes = if options.quick { GIB / 16 } else { GIB };
    let folder = Folder::new(bytes);
    let programs = servers::all(&folder);
    println!("libevent {}", libevent2::version());
    if options.count {
        return count(&programs);
    }
    for case in repeated::CASES {
        if options.has(case.name) {
            case.compare(&programs, options.rounds, options.quick);
        }
    }
    if options.has("idle") {
        idle::compare(&programs, limit, options.quick);
    }
    for case in bulk::CASES {
        if options.has(case.name) {
            let rounds = if options.quick { 2 } else { 7 };
            case.compare(&programs, bytes, options.rounds.unwrap_or(rounds));
        }
    }
}

/// What a request of the case "hello" takes.
fn count(programs: &[Program]) {
    const CONNECTIONS: usize = 64;
    let ask = |port, rounds| {
        let mut load = Load::connect(port, "/hello", CONNECTIONS, 1);
        for _ in 0..rounds {
            load.run(Duration::ZERO);
        }
        rounds * CONNECTIONS
    };
    let rounds = [50, 150];
    println!("{:19}  instructions  calls of the system, per request", "");
    for program in programs {
        let instructions = counted::instructions(program, rounds, &ask).unwrap_or(f64::NAN);
        let calls = counted::calls(program, rounds, &ask).unwrap_or_default();
        println!("{:19}  {instructions:12.0}  {calls}", program.name);
    }
}
