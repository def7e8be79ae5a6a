//! What was given to the base or to C is not ours any more.

use libevent2::{EventBase, UserEvent};

fn main() {
    let base = EventBase::new().unwrap();
    let event = UserEvent::new(&base, |_| ()).unwrap();
    event.detach();
    event.trigger().unwrap();

    let event = UserEvent::new(&base, |_| ()).unwrap();
    let _raw = event.into_ptr();
    event.close();
}
