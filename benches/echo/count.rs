//! What a request takes, counted instead of timed.

use super::compare::{CONNECTIONS, SIZES};
use super::load::Load;
use super::support::counted;
use super::support::process::Program;
use std::time::Duration;

/// Messages on each connection.
const ROUNDS: [usize; 2] = [50, 150];

pub fn print(programs: &[Program]) {
    for size in SIZES {
        println!();
        println!("{CONNECTIONS} connections × {size} bytes");
        println!("{:19}  instructions  calls of the system, per request", "");
        let ask = |port, rounds| {
            let mut load = Load::connect(port, CONNECTIONS, size);
            for _ in 0..rounds {
                load.run(Duration::ZERO);
            }
            rounds * CONNECTIONS
        };
        for program in programs {
            let instructions = counted::instructions(program, ROUNDS, &ask).unwrap_or(f64::NAN);
            let calls = counted::calls(program, ROUNDS, &ask).unwrap_or_default();
            println!("{:19}  {instructions:12.0}  {calls}", program.name);
        }
    }
}
