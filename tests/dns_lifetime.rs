//! How long lookups and resolvers live, and that closures are dropped once, whatever ends them.

mod common;
mod dns_common;

use common::{Bump, DropCount, bounded, count};
use dns_common::NameServer;
use dns_common::got::{Client, Got, config, knowing, ms};
use libevent2::dns::{Cause, Config, Lookup, Resolver};
use libevent2::util::AddrHints;
use libevent2::{EventBase, EventConfig, EventCounts, Kind, LoopEnd};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How a lookup may end, and what its closure is told.
type End = fn(&mut Client, Lookup);
type Told = Option<Result<(), Cause>>;

#[test]
fn a_closure_is_dropped_once_however_its_lookup_ends() {
    let _watchdog = bounded();
    let (knowing, silent) = (knowing(), NameServer::silent());
    let ends: [(&str, &NameServer, End, Told); 8] = [
        (
            "an answer",
            &knowing,
            |client, lookup| {
                client.run();
                drop(lookup);
            },
            Some(Ok(())),
        ),
        (
            "a timeout",
            &silent,
            |client, lookup| {
                client.run();
                drop(lookup);
            },
            Some(Err(Cause::TimedOut)),
        ),
        (
            "detach",
            &knowing,
            |client, lookup| {
                lookup.detach();
                client.run();
            },
            Some(Ok(())),
        ),
        (
            "drop",
            &silent,
            |client, lookup| {
                drop(lookup);
                client.run();
            },
            None,
        ),
        (
            "cancel",
            &silent,
            |client, lookup| {
                lookup.cancel();
                client.run();
            },
            Some(Err(Cause::Cancelled)),
        ),
        (
            "close",
            &silent,
            |client, lookup| {
                client.resolver.close();
                client.run();
                drop(lookup);
            },
            Some(Err(Cause::Closed)),
        ),
        (
            "the end of the base",
            &silent,
            |client, lookup| {
                drop(std::mem::replace(
                    &mut client.base,
                    EventBase::new().unwrap(),
                ));
                assert!(lookup.is_done());
                assert!(client.resolver.is_closed());
                lookup.cancel();
            },
            None,
        ),
        (
            "the end of a base that ran",
            &silent,
            |client, lookup| {
                client.base.exit_after(ms(20)).unwrap();
                assert_eq!(client.base.run().unwrap(), LoopEnd::Exit);
                drop(std::mem::replace(
                    &mut client.base,
                    EventBase::new().unwrap(),
                ));
                drop(lookup);
            },
            None,
        ),
    ];
    for (how, server, end, told) in ends {
        for host in ["www", "192.0.2.7", "a..b"] {
            let mut client = Client::new(config(&[server]));
            let (dropped, got) = (count(), Got::<IpAddr>::new());
            let (token, note) = (DropCount(dropped.clone()), got.note());
            let lookup = client.resolver.lookup_host(host, move |found| {
                let _token = token;
                note(found);
            });
            end(&mut client, lookup.unwrap());
            assert_eq!(dropped.get(), 1, "{how} of {host}");
            match told {
                // What is known at once was told before.
                None if host != "www" && how.ends_with("ran") => assert!(!got.is_empty()),
                None => assert!(got.is_empty(), "{how} of {host}"),
                // What is known at once is told if nothing else was said.
                Some(told) => {
                    let cause = got.once().map(|_| ()).map_err(|error| error.cause());
                    let own = match host {
                        "192.0.2.7" => Ok(()),
                        "a..b" => Err(Cause::BadName),
                        _ => told,
                    };
                    match told {
                        Err(Cause::Cancelled | Cause::Closed) => {
                            assert_eq!(cause, told, "{how} of {host}")
                        }
                        _ => assert_eq!(cause, own, "{how} of {host}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_closure_that_is_refused_is_dropped() {
    let _watchdog = bounded();
    let client = Client::new(Config::default());
    client.resolver.close();
    assert!(client.resolver.as_ptr().is_null());
    let dropped = count();
    let token = DropCount(dropped.clone());
    let refused = client.resolver.lookup_host("www", move |_| drop(token));
    assert_eq!(refused.unwrap_err().to_string(), "resolver is closed");
    let token = DropCount(dropped.clone());
    let refused = client
        .resolver
        .getaddrinfo(None, None, AddrHints::new(), move |_| drop(token));
    assert!(refused.is_err());
    assert_eq!(dropped.get(), 2);
    let Client { resolver, base } = client;
    let handle = base.handle().clone();
    drop(base);
    assert!(Resolver::new(&handle, Config::default()).is_err());
    drop(resolver);
}

#[test]
fn a_resolver_without_lookups_does_not_hold_the_loop() {
    let _watchdog = bounded();
    let (knowing, silent) = (knowing(), NameServer::silent());
    let mut client = Client::new(config(&[&silent, &knowing]));
    client.run();
    for _ in 0..3 {
        assert!(client.host("www").is_ok());
        let pending = client.base.num_events(EventCounts::ADDED);
        assert_eq!(pending, 0, "no server, no timer");
    }
    client.resolver.suspend().unwrap();
    client.run();
    client.resolver.resume().unwrap();
    client.run();
}

#[test]
fn a_detached_resolver_goes_on_with_its_lookups_and_lives_as_long_as_the_base() {
    let _watchdog = bounded();
    let server = knowing();
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config(&[&server])).unwrap();
    let got = Got::new();
    resolver.lookup_host("www", got.note()).unwrap().detach();
    resolver.detach();
    base.run().unwrap();
    assert!(got.once().is_ok());
    let stats = base.stats();
    assert_eq!(
        (stats.live(Kind::Resolver), stats.live(Kind::Lookup)),
        (1, 0)
    );
    let resolver = Resolver::new(&base, config(&[&server])).unwrap();
    let (dropped, called) = (count(), count());
    let (token, seen) = (DropCount(dropped.clone()), called.clone());
    let lookup = resolver.lookup_host("www", move |_| {
        let _token = token;
        seen.bump();
    });
    lookup.unwrap().detach();
    resolver.detach();
    drop(base);
    assert_eq!((dropped.get(), called.get()), (1, 0));
}

#[test]
fn a_resolver_that_is_dropped_tells_its_lookups() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config(&[&server])).unwrap();
    let got = Got::new();
    let lookup = resolver.lookup_host("www", got.note()).unwrap();
    drop(resolver);
    assert!(!lookup.is_done());
    assert_eq!(base.stats().live(Kind::Resolver), 0);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(lookup.is_done());
    assert_eq!(got.cause(), Cause::Closed);
    assert_eq!(base.stats().live_total(), 0);
}

/// Each question that C has is a deferred callback when the base goes: more than it calls in a turn.
#[test]
fn a_base_that_never_ran_may_go_with_a_thousand_lookups() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    for handles_first in [false, true] {
        let client = Client::new(config(&[&server]));
        let dropped = count();
        let lookups: Vec<_> = (0..1000)
            .map(|index| {
                let token = DropCount(dropped.clone());
                let host = if index % 5 == 0 { "::1" } else { "www" };
                let lookup = client.resolver.lookup_host(host, move |_| drop(token));
                lookup.unwrap()
            })
            .collect();
        assert_eq!(client.resolver.lookups(), 1000);
        let Client { resolver, base } = client;
        if handles_first {
            drop(lookups);
            drop(resolver);
            drop(base);
        } else {
            drop(base);
            assert_eq!(dropped.get(), 1000);
            assert!(lookups.iter().all(Lookup::is_done));
            drop((resolver, lookups));
        }
        assert_eq!(dropped.get(), 1000);
    }
}

#[test]
fn ten_thousand_lookups_are_answered() {
    let _watchdog = bounded();
    let server = knowing();
    let mut slow = config(&[&server]);
    slow.timeout = Duration::from_secs(5);
    slow.deadline = Duration::from_secs(50);
    let mut client = Client::new(slow);
    let answered = count();
    for index in 0..10_000 {
        let answered = answered.clone();
        let name = format!("host{index}.example");
        let lookup = client.resolver.lookup_ipv4(&name.clone(), move |found| {
            assert_eq!(found.unwrap().name, name);
            answered.bump();
        });
        lookup.unwrap().detach();
    }
    assert_eq!(client.base.stats().live(Kind::Lookup), 10_000);
    client.run();
    assert_eq!(answered.get(), 10_000);
    assert_eq!(client.base.stats().callbacks(), 10_000);
}

#[test]
fn two_resolvers_on_a_base_do_not_know_each_other() {
    let _watchdog = bounded();
    let (one, two) = (knowing(), NameServer::silent());
    let mut client = Client::new(config(&[&one]));
    let other = Resolver::new(&client.base, config(&[&two])).unwrap();
    let (here, there) = (Got::new(), Got::new());
    let first = client.resolver.lookup_host("www", here.note()).unwrap();
    let second = other.lookup_host("www", there.note()).unwrap();
    other.close();
    client.run();
    assert!(here.once().is_ok());
    assert_eq!(there.cause(), Cause::Closed);
    drop((first, second));
}

#[test]
fn a_base_with_priorities_and_few_callbacks_a_turn_or_without_locks_is_no_different() {
    let _watchdog = bounded();
    let few = EventConfig::new()
        .priorities(3)
        .max_dispatch(None, Some(1), 0);
    for config_of_base in [few, EventConfig::new().no_lock()] {
        let (dead, live) = (NameServer::silent(), knowing());
        let mut base = config_of_base.build().unwrap();
        let resolver = Resolver::new(&base, config(&[&dead, &live])).unwrap();
        let lookups: Vec<_> = (0..50)
            .map(|_| {
                let got = Got::new();
                resolver.lookup_host("www", got.note()).unwrap().detach();
                got
            })
            .collect();
        base.run().unwrap();
        for got in lookups {
            assert_eq!(got.once().unwrap().records.len(), 2);
        }
    }
}

#[test]
fn a_deadline_without_end_is_no_deadline_in_the_past() {
    let _watchdog = bounded();
    let server = knowing();
    let mut patient = config(&[&server]);
    patient.deadline = Duration::MAX;
    let begun = Instant::now();
    assert!(Client::new(patient).host("www").is_ok());
    assert!(begun.elapsed() < ms(5000));
}
