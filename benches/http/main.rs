//! HTTP servers side by side in one run: C's evhttp, this crate's `http::Server`, hyper on tokio's
//! current-thread runtime, and nginx. `cargo bench --bench http`; after `--`, in any order:
//!
//! - the cases to run, else all: `hello`, `large`, `pipelined`, `idle`, `file`, `upload`;
//! - `--quick`: little of each, to see that it works;
//! - `--rounds N`: runs of each server;
//! - `count`: instructions and calls of the system per request instead, of the first three cases.
//!
//! CPU time is what the scheduler counted for the server's process, which has a core of its own;
//! the load comes from this process on another core. All servers run in turn in each round, forward
//! and then backward, and are compared within it. docs/speed.md has figures and what they say.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "."]
mod linux {
    #[path = "../support/mod.rs"]
    mod support;

    mod bulk;
    mod client;
    mod compare;
    mod idle;
    mod load;
    mod options;
    mod repeated;
    mod report;
    mod server;
    mod servers;

    pub use compare::main;
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() {
    linux::main();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    println!("it reads /proc and glibc's figures, and so runs on Linux only");
}
