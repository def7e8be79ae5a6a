//! async/await on this crate's loop beside tokio's current-thread runtime and smol, all in one run:
//! echo over TCP, hyper's "hello", switches of tasks, and the memory of what waits. `cargo bench --bench
//! async`; after `--`, in any order:
//!
//! - the cases to run, else all: `small`, `large`, `hello`, `pipelined`, `tasks`, `idle`;
//! - `--quick`: little of each, to see that it works;
//! - `--rounds N`: runs of each program;
//! - `count`: instructions and calls of the system instead of times.
//!
//! All programs but C's are in benches/peers. Servers are measured as in benches/echo and benches/http, whose
//! loads these are. A program with tasks tells the CPU time that its work took. docs/speed.md has
//! figures and what they say.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "."]
mod linux {
    #[path = "../http/client.rs"]
    mod client;
    #[path = "../echo/load.rs"]
    mod echo_load;
    #[path = "../http/load.rs"]
    #[allow(dead_code, reason = "waits are not looked at here")]
    mod http_load;
    #[path = "../http/options.rs"]
    #[allow(dead_code, reason = "the servers are programs of their own here")]
    mod options;
    #[path = "../http/report.rs"]
    #[allow(dead_code, reason = "a part is used")]
    mod report;
    #[path = "../support/mod.rs"]
    mod support;

    mod compare;
    mod idle;
    mod loaded;
    mod servers;
    mod tasks;

    pub use compare::main;
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() {
    linux::main();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    println!("it reads /proc, and so runs on Linux only");
}
