//! The handle of a loop stays on its thread; `Remote` is what other threads use.

use libevent2::EventBase;

fn run_elsewhere<F: FnOnce() + Send>(_: F) {}

fn main() {
    let base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    run_elsewhere(move || handle.exit());
}
