//! libevent's own regress cases for DNS (test/regress_dns.c): name servers that do not answer, or
//! not well. The whole list, and what differs, is in docs/regress.md.

mod common;
mod dns_common;
#[path = "common/regress_dns.rs"]
mod regress_dns;

use common::bounded;
use dns_common::{NOT_IMPLEMENTED, NameServer};
use libevent2::dns::{Cause, Config, Lookup, Resolver};
use libevent2::{EventBase, LoopEnd};
use regress_dns::{Entry, FOOF, FOOF_IP, FOOF_TABLE, Got, asking, ms, table_server};
use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

const NAME: &str = "host.example.com";
const IP: Ipv4Addr = Ipv4Addr::new(16, 32, 64, 128);

/// A server that keeps silent about as many questions as it is told; then it has an address.
fn failing_server() -> (NameServer, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&drops);
    let server = NameServer::start(move |query| {
        let drop = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        drop.is_err().then(|| query.address(IP, 100))
    });
    (server, drops)
}

/// Looks up the address of a name while the loop runs, until nothing is left to do.
fn look_up(base: &mut EventBase, resolver: &Resolver, name: &str) -> Got<Ipv4Addr> {
    let got = Got::new();
    let lookup = resolver.lookup_ipv4(name, got.note()).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(lookup.is_done());
    got
}

#[test]
fn retry() {
    let _watchdog = bounded();
    let (server, drops) = failing_server();
    let mut base = EventBase::new().unwrap();
    let mut config = asking(&server);
    config.timeout = ms(200);
    config.max_timeouts = 10;
    config.retry_failed = ms(100);
    let resolver = Resolver::new(&base, config.clone()).unwrap();
    drops.store(2, Ordering::Relaxed);
    assert_eq!(look_up(&mut base, &resolver, NAME).records(), [IP]);
    assert_eq!(server.queries().len(), 3);

    // And now so that the server is left out.
    config.max_timeouts = 2;
    config.attempts = 3;
    resolver.set_config(config).unwrap();
    drops.store(4, Ordering::Relaxed);
    let error = look_up(&mut base, &resolver, NAME).error();
    assert_eq!(error.cause(), Cause::TimedOut);
    assert_eq!(server.queries().len(), 6);

    // The next one gives it another chance; it takes two.
    assert_eq!(look_up(&mut base, &resolver, NAME).records(), [IP]);
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    assert_eq!(server.names(), [NAME; 8], "nobody is asked for google.com");
}

/// Looks up the name again and again, so that there is always a question under way.
fn keep_asking(resolver: &Rc<Resolver>, until: &Rc<Cell<bool>>) {
    if until.get() {
        return;
    }
    let lookup = resolver.lookup_ipv4(NAME, {
        let (resolver, until) = (Rc::clone(resolver), Rc::clone(until));
        move |found| {
            assert_eq!(found.unwrap().records, [IP]);
            keep_asking(&resolver, &until);
        }
    });
    lookup.unwrap().detach();
}

#[test]
fn retry_disable_when_inactive() {
    let _watchdog = bounded();
    let slow = NameServer::start(|query| {
        thread::sleep(ms(5));
        Some(query.address(IP, 100))
    });
    let (failing, drops) = failing_server();
    drops.store(usize::MAX, Ordering::Relaxed);
    let mut base = EventBase::new().unwrap();
    let mut config = Config::with_servers([failing.address(), slow.address()]);
    config.timeout = ms(100);
    config.attempts = 5;
    config.max_timeouts = 1;
    config.retry_failed = ms(1500);
    let resolver = Rc::new(Resolver::new(&base, config).unwrap());
    let start = Instant::now();
    let end = Rc::new(Cell::new(false));
    for _ in 0..4 {
        keep_asking(&resolver, &end);
    }
    let run_for = |base: &mut EventBase, time| {
        base.exit_after(time).unwrap();
        assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    };
    run_for(&mut base, ms(400));
    let asked = failing.queries().len();
    assert!(asked > 0);
    run_for(&mut base, ms(200));
    let left_out = failing.queries().len() == asked;
    // Unless this machine was asleep.
    assert!(left_out || start.elapsed() > ms(1500));
    drops.store(0, Ordering::Relaxed);
    while failing.queries().len() == asked {
        run_for(&mut base, ms(50));
    }
    end.set(true);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(resolver.lookups(), 0);
    assert!(failing.names().iter().all(|name| name == NAME));
}

const REFUSING_TABLE: &[(&str, Entry)] = &[(FOOF, Entry::Code(NOT_IMPLEMENTED))];

#[test]
fn reissue() {
    let _watchdog = bounded();
    let cannot = table_server(REFUSING_TABLE);
    let can = table_server(FOOF_TABLE);
    let mut base = EventBase::new().unwrap();
    let mut config = Config::with_servers([cannot.address(), can.address()]);
    config.timeout = ms(300);
    config.max_timeouts = 2;
    config.attempts = 5;
    let resolver = Resolver::new(&base, config).unwrap();
    assert_eq!(look_up(&mut base, &resolver, FOOF).records(), [FOOF_IP]);
    assert_eq!(cannot.names(), [FOOF]);
    assert_eq!(can.names(), [FOOF]);
}

#[test]
fn reissue_disable_when_inactive() {
    let _watchdog = bounded();
    let cannot = table_server(REFUSING_TABLE);
    let can = table_server(FOOF_TABLE);
    let mut base = EventBase::new().unwrap();
    let mut config = asking(&cannot);
    config.timeout = ms(300);
    config.max_timeouts = 2;
    config.attempts = 5;
    let resolver = Resolver::new(&base, config.clone()).unwrap();
    let got = Got::new();
    let _lookup = resolver.lookup_ipv4(FOOF, got.note()).unwrap();
    // As in the original the other server comes when the question was sent.
    config.servers.push(can.address());
    resolver.set_config(config).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(got.records(), [FOOF_IP]);
    assert!(cannot.names().iter().all(|name| name == FOOF));
    assert!(!cannot.names().is_empty());
    assert_eq!(can.names(), [FOOF]);
}

/// Looks a name up twenty times at once.
fn twenty(resolver: &Resolver) -> Vec<(Got<Ipv4Addr>, Lookup)> {
    let look_up = |_| {
        let got = Got::new();
        let lookup = resolver.lookup_ipv4(FOOF, got.note()).unwrap();
        (got, lookup)
    };
    (0..20).map(look_up).collect()
}

#[test]
fn inflight() {
    let _watchdog = bounded();
    let server = table_server(FOOF_TABLE);
    let mut base = EventBase::new().unwrap();
    let mut config = asking(&server);
    config.max_in_flight = 3;
    config.randomize_case = false;
    let resolver = Resolver::new(&base, config.clone()).unwrap();
    let lookups = twenty(&resolver);
    assert_eq!(resolver.lookups(), 20);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    for (got, _) in lookups {
        assert_eq!(got.records(), [FOOF_IP]);
    }
    assert_eq!(server.queries().len(), 20);
    assert!(server.queries().iter().all(|query| query.exact == FOOF));

    let silent = NameServer::silent();
    config.servers = vec![silent.address()];
    resolver.set_config(config).unwrap();
    let lookups = twenty(&resolver);
    base.exit_after(ms(100)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert!(lookups.iter().all(|(got, _)| got.is_empty()));
    assert_eq!(silent.queries().len(), 3, "three at a time");
}

#[test]
fn disable_when_inactive() {
    let _watchdog = bounded();
    let server = table_server(FOOF_TABLE);
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, asking(&server)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    for round in 1..=2 {
        let lookups = twenty(&resolver);
        // The loop ends by itself; the resolver is still there.
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        for (got, _) in lookups {
            assert_eq!(got.records(), [FOOF_IP]);
        }
        assert_eq!(server.queries().len(), 20 * round);
    }
    assert!(!resolver.is_closed());
}

#[test]
fn disable_when_inactive_no_ns() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let mut config = asking(&server);
    config.timeout = ms(100);
    let resolver = Resolver::new(&base, config).unwrap();
    let start = Instant::now();
    let error = look_up(&mut base, &resolver, FOOF).error();
    assert_eq!(error.cause(), Cause::TimedOut);
    assert_eq!(error.name(), FOOF);
    // Three attempts.
    assert_eq!(server.names(), [FOOF; 3]);
    assert!(start.elapsed() >= ms(280), "{:?}", start.elapsed());
    assert!(!resolver.is_closed());
}
