//! A closure that C calls later cannot borrow from the stack.

use libevent2::{EventBase, Timer};
use std::time::Duration;

fn set(base: &EventBase) -> Timer {
    let mut calls = 0;
    Timer::every(base, Duration::from_secs(1), |_| calls += 1).unwrap()
}

fn main() {
    set(&EventBase::new().unwrap());
}
