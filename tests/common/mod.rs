//! What many tests share.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod peers;

use std::cell::Cell;
use std::io::Write as _;
use std::process;
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Ends the whole test binary when a test hangs: hold one for the length of each test.
#[must_use]
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    pub fn new(limit: Duration) -> Self {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let (alive, gone) = channel();
        thread::spawn(move || {
            if gone.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // Not by eprintln, which the harness would keep for itself and lose.
                let _ = writeln!(std::io::stderr(), "{test} still runs after {limit:?}");
                process::abort();
            }
        });
        Watchdog { _alive: alive }
    }
}

/// The usual bound of a test.
pub fn bounded() -> Watchdog {
    Watchdog::new(Duration::from_secs(60))
}

/// A counter that closures can share.
pub type Count = Rc<Cell<usize>>;

pub fn count() -> Count {
    Rc::new(Cell::new(0))
}

pub trait Bump {
    fn bump(&self) -> usize;
}

impl Bump for Count {
    fn bump(&self) -> usize {
        self.set(self.get() + 1);
        self.get()
    }
}

/// Counts how often it is dropped.
pub struct DropCount(pub Count);

impl Drop for DropCount {
    fn drop(&mut self) {
        self.0.bump();
    }
}
