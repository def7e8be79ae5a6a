//! Signals, handled in the loop: the closure may do anything, unlike a signal handler.
//!
//! `cargo run --example signals`; it ends after two Ctrl-C, or after ten seconds.

use libevent2::{EventBase, Result, Signal, Timer};
use std::time::Duration;

/// Runs the example.
pub fn main() -> Result<()> {
    run(Duration::from_secs(10))
}

/// Runs the example for no longer than `limit`.
pub fn run(limit: Duration) -> Result<()> {
    let mut base = EventBase::new()?;
    let mut times = 0;
    let _interrupt = Signal::new(&base, libc::SIGINT, move |signal| {
        times += 1;
        println!("Ctrl-C, {times}");
        if times == 2 {
            signal.handle().exit();
        }
    })?;
    let _terminate = Signal::new(&base, libc::SIGTERM, |signal| {
        println!("asked to end");
        signal.handle().exit();
    })?;
    let _limit = Timer::after(&base, limit, |handle| {
        println!("time is over");
        handle.exit();
    })?;
    println!("press Ctrl-C twice");
    base.run()?;
    // Both signals have their former meaning again when `base` is dropped here.
    Ok(())
}
