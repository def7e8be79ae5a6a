//! A lookup's closure outlives the call that is given it.

use libevent2::EventBase;
use libevent2::dns::{Config, Resolver};

fn main() {
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, Config::default()).unwrap();
    let mut found = Vec::new();
    let lookup = resolver.lookup_host("www.example", |answer| found.push(answer));
    base.run().unwrap();
    drop(lookup);
}
