//! `evserve`: serves a folder over HTTP, and what a prototype needs.
//!
//! Exit codes: 0 after SIGINT or SIGTERM, when what was in flight is sent; 128 + the signal's
//! number (130, 143) when a second one ends it at once; 2 for what it cannot serve.

#[cfg(not(unix))]
compile_error!("evserve is for Unix: it hands sockets from process to process");

mod app;
mod args;
mod body;
mod files;
mod mock;
mod ops;
mod page;
mod prototype;
mod serving;

use args::Args;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Args::parse().and_then(serving::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody may be there to read it; the code says it too.
            let _ = writeln!(io::stderr(), "evserve: {message}");
            ExitCode::from(2)
        }
    }
}
