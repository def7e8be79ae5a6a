//! An event keeps what it watches, so a borrowed source cannot be closed under it.

use libevent2::{Event, EventBase, Interest};
use std::net::TcpListener;

fn main() {
    let base = EventBase::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _event = Event::new(&base, &listener, Interest::READ, |_, _| ());
}
