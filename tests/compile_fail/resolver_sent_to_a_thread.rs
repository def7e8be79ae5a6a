//! A resolver and its lookups stay on the thread of their loop.

use libevent2::EventBase;
use libevent2::dns::{Config, Resolver};
use std::thread;

fn main() {
    let base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, Config::default()).unwrap();
    let lookup = resolver.lookup_host("www.example", |_| ()).unwrap();
    thread::spawn(move || drop(resolver));
    thread::spawn(move || drop(lookup));
}
