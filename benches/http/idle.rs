//! What a connection takes of the server's memory while it waits for the next request, after one
//! answer.

use super::load::Load;
use super::report::Goal;
use super::servers::{C, OURS};
use super::support::process::{Program, Server};
use std::time::Duration;

const CONNECTIONS: usize = 8000;
/// What a connection may take beyond one in C, in bytes.
const GOAL: Goal = Goal::AtMost(512.0);

/// Bytes per connection.
struct Taken {
    resident: f64,
    allocated: Option<f64>,
}

/// `limit` is how many descriptors a process may have.
pub fn compare(programs: &[Program], limit: u64, quick: bool) {
    let connections = CONNECTIONS.min(limit.saturating_sub(100) as usize);
    let connections = if quick { connections / 16 } else { connections };
    println!();
    println!("{connections} waiting connections: bytes of the server's memory for each");
    println!("{:19}  {:>9} {:>10}", "", "resident", "allocated");
    let all: Vec<Taken> = programs
        .iter()
        .map(|program| measure(program, connections))
        .collect();
    for (program, taken) in programs.iter().zip(&all) {
        let allocated = taken.allocated.map(|bytes| format!("{bytes:.0}"));
        println!(
            "{:19}  {:9.0} {:>10}",
            program.name,
            taken.resident,
            allocated.as_deref().unwrap_or("-")
        );
    }
    let of = |name| {
        let at = programs.iter().position(|program| program.name == name)?;
        Some(&all[at])
    };
    if let Some((ours, c)) = of(OURS).zip(of(C)) {
        let beyond = ours.resident - c.resident;
        println!(
            "  {OURS}, beyond {C}: {beyond:.0}  {}",
            GOAL.verdict(beyond)
        );
    }
}

fn measure(program: &Program, connections: usize) -> Taken {
    let mut server = Server::start(program);
    // Some that have come and gone, so that what is made once is there.
    exchange(&mut load(&server, 16));
    let allocated = program.answers.then(|| server.allocated());
    let resident = server.resident();

    let mut load = load(&server, connections);
    exchange(&mut load);
    let each = |now: u64, before: u64| (now as f64 - before as f64) / connections as f64;
    Taken {
        resident: each(server.resident(), resident),
        allocated: allocated.map(|before| each(server.allocated(), before)),
    }
}

fn load(server: &Server, connections: usize) -> Load {
    Load::connect(server.port, "/hello", connections, 1)
}

fn exchange(load: &mut Load) {
    load.run(Duration::ZERO);
}
