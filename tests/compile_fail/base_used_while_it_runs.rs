//! A callback cannot run or drop the base that runs it (T1).

use libevent2::{EventBase, Timer};
use std::time::Duration;

fn main() {
    let mut base = EventBase::new().unwrap();
    let timer = Timer::after(&base, Duration::ZERO, |_| drop(base));
    base.run().unwrap();
    drop(timer);
}
