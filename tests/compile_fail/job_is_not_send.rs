//! A job runs on the loop's thread, so it can hold only what may go there.

use libevent2::EventBase;
use std::rc::Rc;

fn main() {
    let base = EventBase::new().unwrap();
    let shared = Rc::new(1);
    base.remote().unwrap().post(move |_| drop(shared)).unwrap();
}
