//! TCP echo: what a request costs the server, in C and Rust on libevent, with bufferevents and with
//! plain events, beside mio and tokio, all in one run. `cargo bench --bench echo`; after `--`:
//! `[RUNS [SECONDS]]`, of each server for each size of message; `count` counts instructions and
//! calls of the system instead; `levers` before either compares what makes a bufferevent cheaper.
//! docs/speed.md has figures and what they say.
//!
//! CPU time is what the scheduler counted for the server's process while the load ran; it is the
//! steady figure. The load comes from this process on another core: a closed loop in which each
//! connection sends a message, waits for all of it to come back, compares, and sends the next one.
//! All servers run in turn in each round, forward and then backward, and are compared within it.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "."]
mod linux {
    #[path = "../support/mod.rs"]
    mod support;

    mod compare;
    mod count;
    mod idle;
    mod load;
    mod programs;
    mod report;
    mod server;

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
