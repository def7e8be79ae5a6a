//! Closures of lookups that panic or return an error.

mod common;
mod dns_common;

use common::{Bump, DropCount, bounded, count};
use dns_common::NameServer;
use dns_common::got::{Client, Got, config, knowing};
use libevent2::dns::Cause;
use libevent2::{EventBase, LoopEnd};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

/// Its drop panics.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(self.0);
    }
}

fn raise(payload: &'static str) {
    panic_any(payload);
}

#[track_caller]
fn panic_of(f: impl FnOnce()) -> &'static str {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    *payload.downcast::<&'static str>().unwrap()
}

#[test]
fn a_panic_comes_out_of_run_and_the_other_lookups_go_on() {
    let _watchdog = bounded();
    let server = knowing();
    for host in ["www", "192.0.2.7", "a..b"] {
        let mut client = Client::new(config(&[&server]));
        let (got, dropped) = (Got::new(), count());
        let token = DropCount(dropped.clone());
        let lookup = client.resolver.lookup_host(host, move |_| {
            let _token = token;
            raise("first");
        });
        let other = client.resolver.lookup_host(host, got.note());
        assert_eq!(panic_of(|| _ = client.base.run()), "first");
        assert_eq!(dropped.get(), 1);
        client.run();
        got.once()
            .map(|_| ())
            .or_else(|error| match error.cause() {
                Cause::BadName => Ok(()),
                _ => Err(error),
            })
            .unwrap();
        assert!(lookup.unwrap().is_done());
        drop(other);
    }
}

#[test]
fn a_panic_in_the_drop_of_a_closure_comes_out_of_what_dropped_it() {
    let _watchdog = bounded();
    let server = knowing();
    let mut client = Client::new(config(&[&server]));
    let lookup = |bomb: Bomb, client: &Client| {
        let lookup = client.resolver.lookup_host("www", move |_| {
            let _ = &bomb;
        });
        lookup.unwrap()
    };
    let dropped = lookup(Bomb("drop"), &client);
    assert_eq!(panic_of(|| drop(dropped)), "drop");
    client.run();

    lookup(Bomb("run"), &client).detach();
    assert_eq!(panic_of(|| _ = client.base.run()), "run");
    client.run();

    lookup(Bomb("cancel"), &client).cancel();
    assert_eq!(panic_of(|| _ = client.base.run()), "cancel");
    client.run();

    let bomb = Bomb("refused");
    client.resolver.close();
    let refused = || {
        client
            .resolver
            .lookup_host("www", move |_| drop(bomb))
            .is_err()
    };
    assert_eq!(panic_of(|| _ = refused()), "refused");
}

#[test]
fn a_panic_when_the_base_goes_comes_out_of_its_drop_and_nothing_leaks() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let Client { resolver, base } = Client::new(config(&[&server]));
    let dropped = count();
    for index in 0..50 {
        let (token, bomb) = (
            DropCount(dropped.clone()),
            (index == 7).then(|| Bomb("end")),
        );
        let lookup = resolver.lookup_host("www", move |_| {
            let _token = token;
            drop(bomb);
        });
        lookup.unwrap().detach();
    }
    assert_eq!(panic_of(|| drop(base)), "end");
    assert_eq!(dropped.get(), 50);
    assert!(resolver.is_closed());
}

#[test]
fn an_error_stops_the_loop_or_goes_to_the_handler() {
    let _watchdog = bounded();
    let server = knowing();
    let mut client = Client::new(config(&[&server]));
    let fails = |client: &Client, host: &str| {
        let lookup = client
            .resolver
            .lookup_ipv4(host, |found| -> Result<(), String> {
                found.map_err(|error| error.to_string())?;
                Err("not as it should be".to_owned())
            });
        lookup.unwrap().detach();
    };
    for host in ["www", "::1"] {
        fails(&client, host);
        let error = client.base.run().unwrap_err().to_string();
        let why = match host {
            "www" => "not as it should be",
            _ => "looking up ::1: it has no record of that kind",
        };
        assert!(error.contains(why), "{error}");
    }
    let handled = count();
    let seen = handled.clone();
    client.base.on_error(move |_, _| _ = seen.bump());
    fails(&client, "www");
    fails(&client, "::1");
    client.run();
    assert_eq!(handled.get(), 2);
}

#[test]
fn a_closure_that_panics_while_the_resolver_goes_with_it_frees_it_all_the_same() {
    let _watchdog = bounded();
    let server = knowing();
    let mut base: EventBase = EventBase::new().unwrap();
    let resolver = libevent2::dns::Resolver::new(&base, config(&[&server])).unwrap();
    let own = std::rc::Rc::new(std::cell::RefCell::new(None));
    let taken = own.clone();
    let lookup = resolver.lookup_host("www", move |_| {
        let _resolver = taken.take();
        raise("gone");
    });
    lookup.unwrap().detach();
    own.replace(Some(resolver));
    assert_eq!(panic_of(|| _ = base.run()), "gone");
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(base.stats().live_total(), 0);
}
