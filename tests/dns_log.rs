//! Where evdns's messages go.

mod common;
mod dns_common;

use common::bounded;
use dns_common::{NameServer, impatient};
use libevent2::dns::{Config, Resolver};
use libevent2::log::Level;
use libevent2::{EventBase, dns};
use std::sync::{Arc, Mutex};

/// One lookup that nobody answers.
fn look_up_in_vain() {
    let server = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let config = impatient(Config::with_servers([server.address()]));
    let resolver = Resolver::new(&base, config).unwrap();
    let lookup = resolver.lookup_ipv4("www.example.com", |_| {}).unwrap();
    base.run().unwrap();
    drop(lookup);
}

#[test]
fn messages_go_to_the_logger_and_after_it_to_libevents_own() {
    let _watchdog = bounded();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let list = heard.clone();
    let guard = dns::set_logger(move |level, text| {
        list.lock().unwrap().push((level, text.to_owned()));
    });
    let guard = guard.unwrap();
    look_up_in_vain();
    dns::flush_logger();
    let first = std::mem::take(&mut *heard.lock().unwrap());
    let says = |words: &str| {
        let mut lines = first.iter();
        lines.any(|(level, text)| *level == Level::Message && text.contains(words))
    };
    assert!(says("Resolve requested for www.example.com"), "{first:?}");
    assert!(says("has failed: request timed out"), "{first:?}");

    drop(guard);
    let all = Arc::new(Mutex::new(Vec::new()));
    let list = all.clone();
    let _guard = libevent2::log::set_logger(move |_, text| {
        list.lock().unwrap().push(text.to_owned());
    });
    look_up_in_vain();
    libevent2::log::flush();
    assert!(heard.lock().unwrap().is_empty());
    let all = all.lock().unwrap();
    assert!(
        all.iter().any(|text| text.contains("has failed")),
        "{all:?}"
    );
}
