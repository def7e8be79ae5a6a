//! Answers every HTTP request, but not soon: how many connections at once, and what does each
//! take?
//!
//! `cargo run --release --example delay_server`, then `curl localhost:9009`. Ctrl-C ends it.
//! `examples/delay_load.rs` is the other side.
//!
//! The workers are processes and not threads, as the limit of open descriptors is one of the
//! process: two have twice as many. Each has a loop and a listener of its own, and the system
//! deals the connections out to them.

mod server;
mod statistics;
mod workers;

use lexopt::prelude::*;
use libevent2::{EventBase, Signal, SignalRef, Timer};
use server::Server;
use statistics::{Statistics, Terminal};
use std::error::Error;
use std::io;
use std::process::{ExitCode, exit};
use std::time::Duration;

const HELP: &str = "\
Usage: delay_server [--port N] [--delay SECS] [--workers N]

Answers every HTTP request after a delay, with a body of nine bytes, and closes
the connection. Each second it prints what is going on.

  --port N      listens on this port of all addresses (default 9009); with 0 the
                system picks one
  --delay SECS  how long a request waits for its answer (default 5)
  --workers N   the number of processes (default 1); each has as many
                connections as it may have open descriptors

SIGINT and SIGTERM end it at once.
";

const SECOND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("delay_server: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    port: u16,
    delay: Duration,
    workers: usize,
    /// Given by ourselves: this process is one of the workers.
    worker: bool,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut this = Arguments {
            port: 9009,
            delay: Duration::from_secs(5),
            workers: 1,
            worker: false,
        };
        let seconds = |text: &str| {
            let number = text.parse().map_err(|_| "not a number")?;
            Duration::try_from_secs_f64(number).map_err(|_| "not a time to wait for")
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("port") => this.port = arguments.value()?.parse()?,
                Long("delay") => this.delay = arguments.value()?.parse_with(seconds)?,
                Long("workers") => this.workers = arguments.value()?.parse()?,
                Long("worker") => this.worker = true,
                _ => return Err(argument.unexpected()),
            }
        }
        if this.workers == 0 {
            return Err("--workers: there has to be one".into());
        }
        Ok(this)
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.worker {
        return workers::be_one(arguments.port, arguments.delay);
    }
    let descriptors = allow_descriptors()?;
    let mut base = EventBase::new()?;
    base.on_error(|_, error| eprintln!("delay_server: {error}"));
    let stop = |signal: &SignalRef| signal.handle().exit();
    let _interrupt = Signal::new(&base, libc::SIGINT, stop)?;
    let _terminate = Signal::new(&base, libc::SIGTERM, stop)?;
    println!("each process may have {descriptors} descriptors");
    if arguments.workers > 1 {
        return workers::run(&mut base, &arguments);
    }

    let server = Server::bind(&base, arguments.port, arguments.delay)?;
    println!("listening on {}", server.address()?);
    let mut terminal = Terminal::default();
    let _every_second = Timer::every(&base, SECOND, move |_| {
        terminal.print(&server.statistics());
    })?;
    base.run()?;
    Ok(())
}

/// As many as this process may have. The workers inherit that.
fn allow_descriptors() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the system reads and writes the one struct.
    let done = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
        }
    };
    match done {
        true => Ok(limit.rlim_cur),
        false => Err(io::Error::last_os_error()),
    }
}
