//! What a query costs a name server, in C and in Rust on the same libevent, in one run.
//! `cargo bench --bench dns`; after `--`: `[ROUNDS]`, or `count` to count instructions instead. It needs dnsperf, and valgrind to count.
//!
//! CPU time is what the scheduler counted for the server's process, which has a core of its own,
//! while dnsperf on another one kept 100 queries under way. Both servers are asked in turn in each round,
//! and compared within it.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "."]
mod linux {
    #[path = "../support/mod.rs"]
    mod support;

    mod compare;
    mod load;
    mod server;

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
