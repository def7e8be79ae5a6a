//! Work on other threads, results in the loop.
//!
//! `cargo run --example remote`; it ends when all work is done.

use libevent2::{EventBase, Result, Timer};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const WORKERS: usize = 4;

/// Runs the example.
pub fn main() -> Result<()> {
    let mut base = EventBase::new()?;

    // The loop goes on while the threads compute.
    let _ticker = Timer::every(&base, Duration::from_millis(10), |_| println!("…"))?;

    let left = Arc::new(AtomicUsize::new(WORKERS));
    let mut threads = Vec::new();
    for worker in 1..=WORKERS {
        let (remote, left) = (base.remote()?, Arc::clone(&left));
        threads.push(thread::spawn(move || {
            let sum: u64 = (0..1_000_000 * worker as u64).filter(|n| n % 7 == 0).sum();
            // Runs on the loop's thread, where it may use every object of the loop.
            remote.post(move |handle| {
                println!("worker {worker}: {sum}");
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    handle.exit();
                }
            })
        }));
    }

    // Unlike `run` it also waits when the loop has no events of its own.
    base.run_until_exit()?;
    for thread in threads {
        thread.join().expect("no worker panics")?;
    }
    Ok(())
}
