//! What the systems could do that this project grew from, with futures: each test has the name of
//! its row or of the test that it was there. Where they had a time to keep, nothing here is early,
//! and what is said to go on side by side takes less than one after the other.
#![cfg(all(feature = "async", unix))]

#[path = "../common/mod.rs"]
mod common;

mod errors;
mod futures;
mod threads;
mod time;

use libevent2::{EventBase, LoopHandle};
use std::future::Future;
use std::time::{Duration, Instant};

/// What a future on a new base comes to, and how long that took.
fn run<F: Future>(future: impl FnOnce(LoopHandle) -> F) -> (F::Output, Duration) {
    let mut base = EventBase::new().unwrap();
    let future = future(base.handle().clone());
    let begun = Instant::now();
    let value = base.block_on(future).unwrap();
    (value, begun.elapsed())
}
