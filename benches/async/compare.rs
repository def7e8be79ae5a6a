//! Which cases are run.

use super::options::Options;
use super::support::{crate_programs, process};
use super::{idle, loaded, tasks};

pub fn main() {
    let options = match Options::read() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    let limit = process::prepare();
    let peers = crate_programs("peers").expect("benches/peers can be built");
    println!("libevent {}", libevent2::version());
    for case in loaded::CASES {
        if !options.has(case.name) {
            continue;
        }
        match options.count {
            true => case.count(&peers),
            false => case.compare(&peers, options.rounds, options.quick),
        }
    }
    if options.has("tasks") {
        tasks::compare(&peers, &options);
    }
    if options.has("idle") && !options.count {
        idle::compare(&peers, limit, options.quick);
    }
}
