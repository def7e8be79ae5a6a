//! What a connection takes of the server's memory while nothing happens on it.

use super::load::Load;
use super::programs::{C_STREAMS, STREAMS};
use super::report::verdict;
use super::support::process::{Program, Server};
use std::time::Duration;

const CONNECTIONS: usize = 5000;
/// What a bufferevent may take beyond one in C, in bytes.
const GOAL: f64 = 256.0;

/// Bytes per connection.
struct Taken {
    resident: f64,
    allocated: Option<f64>,
}

/// When nothing was exchanged yet, and after a message of 64 bytes on each.
struct Idle {
    fresh: Taken,
    used: Taken,
}

/// `limit` is how many descriptors a process may have.
pub fn compare(programs: &[Program], limit: u64) {
    let connections = CONNECTIONS.min(limit.saturating_sub(100) as usize);
    println!();
    println!("{connections} idle connections: bytes of the server's memory for each");
    println!(
        "{:19}  {:>18} {:>18}  {:>18} {:>18}",
        "", "resident, fresh", "after an exchange", "allocated, fresh", "after an exchange"
    );
    let all: Vec<Idle> = programs
        .iter()
        .map(|program| measure(program, connections))
        .collect();
    let number = |bytes: Option<f64>| bytes.map_or("-".to_owned(), |bytes| format!("{bytes:.0}"));
    for (program, Idle { fresh, used }) in programs.iter().zip(&all) {
        println!(
            "{:19}  {:18.0} {:18.0}  {:>18} {:>18}",
            program.name,
            fresh.resident,
            used.resident,
            number(fresh.allocated),
            number(used.allocated)
        );
    }
    let of = |name| {
        all.iter()
            .zip(programs)
            .find(|(_, program)| program.name == name)
    };
    let Some(((ours, _), (c, _))) = of(STREAMS).zip(of(C_STREAMS)) else {
        return;
    };
    println!("{STREAMS}, beyond {C_STREAMS}");
    let allocated = ours.fresh.allocated.zip(c.fresh.allocated);
    for (what, beyond) in [
        ("resident", Some(ours.fresh.resident - c.fresh.resident)),
        ("allocated", allocated.map(|(ours, c)| ours - c)),
    ] {
        if let Some(beyond) = beyond {
            println!("  {what:10} {beyond:6.0}  {}", verdict(beyond, GOAL));
        }
    }
}

fn measure(program: &Program, connections: usize) -> Idle {
    let mut server = Server::start(program);
    // One that has come and gone, so that what is made once is there.
    exchange(&mut Load::connect(server.port, 1, 64));
    let mut look = || {
        let allocated = program.answers.then(|| server.allocated());
        (server.resident(), allocated, server.port)
    };
    let (resident, allocated, port) = look();
    let mut taken = || {
        let (resident_now, allocated_now, _) = look();
        let per_connection =
            |now: u64, before: u64| (now as f64 - before as f64) / connections as f64;
        Taken {
            resident: per_connection(resident_now, resident),
            allocated: allocated_now
                .zip(allocated)
                .map(|(now, before)| per_connection(now, before)),
        }
    };

    let mut load = Load::connect(port, connections, 64);
    // Accepted last: when it is answered, all are accepted.
    exchange(&mut Load::connect(port, 1, 64));
    let fresh = taken();
    exchange(&mut load);
    let used = taken();
    Idle { fresh, used }
}

fn exchange(load: &mut Load) {
    load.run(Duration::ZERO);
}
