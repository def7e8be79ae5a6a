//! What a callback is lent ends with the call.

use libevent2::{EventBase, TimerRef, Timer};
use std::cell::Cell;
use std::rc::Rc;

fn main() {
    let base = EventBase::new().unwrap();
    let kept: Rc<Cell<Option<&'static TimerRef>>> = Rc::default();
    let _timer = Timer::new(&base, move |timer| kept.set(Some(timer)));
}
