//! What a task and a connection take of the memory while nothing happens.

use super::report::{Figure, print_row};
use super::servers;
use super::support::process::{Program, Server};
use super::tasks::side;
use super::{echo_load, http_load};
use std::any::Any;
use std::path::Path;
use std::time::Duration;

const TASKS: usize = 10_000;
const CONNECTIONS: usize = 5000;
/// Of an echo's connection, so that what the loop takes is seen beside it.
const BUFFER: usize = 64;

/// `limit` is how many descriptors a process may have.
pub fn compare(peers: &Path, limit: u64, quick: bool) {
    for (work, what) in [
        ("idle", "that wait for what does not come"),
        ("asleep", "that sleep"),
    ] {
        let what = format!("{TASKS} tasks {what}");
        let programs = servers::tasks(peers, work, TASKS);
        report(&what, &programs, &|program| side(program).measure());
    }

    let connections = CONNECTIONS.min(limit.saturating_sub(100) as usize);
    let connections = if quick { connections / 10 } else { connections };
    let what = format!(
        "{connections} connections of echo that have had an answer, beside {BUFFER} bytes to read to"
    );
    let mut programs = servers::echo(peers);
    for program in &mut programs[1..] {
        program.args.push(BUFFER.to_string());
    }
    report(&what, &programs, &|program| {
        taken(program, connections, |port, connections| {
            let mut load = echo_load::Load::connect(port, connections, BUFFER);
            load.run(Duration::ZERO);
            Box::new(load)
        })
    });
    let what = format!("{connections} connections of hyper that have had an answer");
    report(&what, &servers::hyper(peers), &|program| {
        taken(program, connections, |port, connections| {
            let mut load = http_load::Load::connect(port, "/hello", connections, 1);
            load.run(Duration::ZERO);
            Box::new(load)
        })
    });
}

fn report(what: &str, programs: &[Program], measure: &dyn Fn(&Program) -> f64) {
    println!();
    println!("{what}: bytes of resident memory for each");
    let taken = Figure {
        name: "",
        programs,
        columns: programs
            .iter()
            .map(|program| vec![measure(program)])
            .collect(),
    };
    for (program, column) in programs.iter().zip(&taken.columns) {
        print_row(program.name, &[(column, 0)]);
    }
}

/// Bytes for each of so many connections; they last as long as what `exchange` returns.
fn taken(program: &Program, connections: usize, exchange: fn(u16, usize) -> Box<dyn Any>) -> f64 {
    let server = Server::start(program);
    // Some that have come and gone, so that what is made once is there.
    drop(exchange(server.port, 16));
    let before = server.resident();
    let load = exchange(server.port, connections);
    let taken = server.resident() as f64 - before as f64;
    drop(load);
    taken / connections as f64
}
