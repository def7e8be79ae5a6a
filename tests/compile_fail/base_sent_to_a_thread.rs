//! A base stays on its thread.

use libevent2::EventBase;

fn run_elsewhere<F: FnOnce() + Send>(_: F) {}

fn main() {
    let mut base = EventBase::new().unwrap();
    run_elsewhere(move || drop(base.run()));
}
