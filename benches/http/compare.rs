//! Which cases are run.

use super::options::Options;
use super::servers::{self, Folder};
use super::support::process;
use super::{bulk, idle, repeated, server};

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
    for case in repeated::CASES {
        if options.has(case.name) && options.count {
            case.count(&programs);
        } else if options.has(case.name) {
            case.compare(&programs, options.rounds, options.quick);
        }
    }
    if options.count {
        return;
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
