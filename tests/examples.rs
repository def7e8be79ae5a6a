//! The examples do what they say, and end.

mod common;

#[path = "../examples/port_from_c.rs"]
mod port_from_c;
#[path = "../examples/readable.rs"]
mod readable;
#[path = "../examples/remote.rs"]
mod remote;
#[path = "../examples/signals.rs"]
#[allow(dead_code, reason = "its main waits for ten seconds")]
mod signals;
#[path = "../examples/timers.rs"]
mod timers;

use std::time::Duration;

#[test]
fn timers_ends_by_itself() {
    let _watchdog = common::bounded();
    timers::main().unwrap();
}

#[test]
fn signals_ends_when_its_time_is_over() {
    let _watchdog = common::bounded();
    signals::run(Duration::from_millis(20)).unwrap();
}

#[test]
fn readable_ends_with_its_child() {
    let _watchdog = common::bounded();
    readable::main().unwrap();
}

#[test]
fn remote_ends_when_the_work_is_done() {
    let _watchdog = common::bounded();
    remote::main().unwrap();
}

#[test]
fn port_from_c_ends_after_its_ticks() {
    let _watchdog = common::bounded();
    port_from_c::main().unwrap();
}
