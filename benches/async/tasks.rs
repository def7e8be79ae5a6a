//! Switches of tasks: what each executor takes for the same work.

use super::options::Options;
use super::report::{Figure, print_row};
use super::servers;
use super::support::process::Program;
use super::support::{Side, in_turn};
use std::path::Path;

/// By the name that the programs know; benches/peers/src/tasks.rs has them.
const WORKS: [(&str, &str); 6] = [
    ("yield", "one of 100 tasks lets the others go first"),
    ("wake", "one of 100 tasks wakes itself"),
    (
        "ping-pong",
        "a message from one task to another, through a channel",
    ),
    (
        "spawn",
        "an empty task, 100 of which are spawned and then waited for",
    ),
    ("join", "an empty task that another one waits for"),
    (
        "main",
        "an empty task that the program's own future waits for",
    ),
];

/// How often, in the short and the long run that are counted.
const COUNTED: [usize; 2] = [20_000, 60_000];

pub fn compare(peers: &Path, options: &Options) {
    let (rounds, count) = if options.quick {
        (3, 100_000)
    } else {
        (15, 1_000_000)
    };
    let rounds = options.rounds.unwrap_or(rounds);
    for (work, what) in WORKS {
        println!();
        if options.count {
            println!("{what}: instructions");
            for program in servers::tasks(peers, work, 0) {
                let each = instructions(&program, work).unwrap_or(f64::NAN);
                println!("{:19}  {each:.0}", program.name);
            }
            continue;
        }
        let programs = servers::tasks(peers, work, count);
        let sides: Vec<Side> = programs.iter().map(side).collect();
        let time = Figure {
            name: "CPU",
            programs: &programs,
            columns: in_turn(&sides, rounds),
        };
        println!("{what}: ns of CPU time; {rounds} runs, in turn");
        for (program, column) in programs.iter().zip(&time.columns) {
            print_row(program.name, &[(column, 1)]);
        }
        time.print_ratios(&[]);
    }
}

pub fn side(program: &Program) -> Side {
    Side::new(&program.path, &program.args)
}

/// For each time that the work is done; `None` without valgrind.
fn instructions(program: &Program, work: &str) -> Option<f64> {
    let run = |count: usize| {
        let args = [work.to_owned(), count.to_string()];
        Side::new(&program.path, &args).instructions()
    };
    let (short, long) = (run(COUNTED[0])?, run(COUNTED[1])?);
    Some((long - short) as f64 / (COUNTED[1] - COUNTED[0]) as f64)
}
