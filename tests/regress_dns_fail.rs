//! libevent's own regress cases for DNS (test/regress_dns.c): lookups whose resolver goes. The
//! whole list, and what differs, is in docs/regress.md.

mod common;
mod dns_common;
#[path = "common/regress_dns.rs"]
mod regress_dns;

use common::bounded;
use libevent2::dns::{Cause, Config, Lookup, Resolver};
use libevent2::util::AddrHints;
use libevent2::{EventBase, LoopEnd};
use regress_dns::{FOOF, FOOF_TABLE, Got, asking, table_server};

/// Begins twenty lookups and drops the resolver; says how many questions had been sent at most.
fn fail<T: 'static>(
    change: impl FnOnce(&mut Config),
    begin: impl Fn(&Resolver, &Got<T>) -> Lookup,
) -> usize {
    let server = table_server(FOOF_TABLE);
    let mut base = EventBase::new().unwrap();
    let mut config = asking(&server);
    change(&mut config);
    let resolver = Resolver::new(&base, config).unwrap();
    let lookups = [(); 20].map(|()| {
        let got = Got::new();
        let lookup = begin(&resolver, &got);
        (got, lookup)
    });
    drop(resolver);
    for (got, lookup) in &lookups {
        assert!(got.is_empty(), "the loop has not run");
        assert!(!lookup.is_done());
    }
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    for (got, lookup) in lookups {
        let error = got.error();
        assert_eq!(error.cause(), Cause::Closed);
        assert_eq!(error.name(), FOOF);
        assert!(lookup.is_done());
    }
    assert_eq!(base.stats().live_total(), 0);
    server.queries().len()
}

#[test]
fn client_fail_requests() {
    let _watchdog = bounded();
    fail(
        |_| {},
        |resolver, got| resolver.lookup_ipv4(FOOF, got.note()).unwrap(),
    );
}

#[test]
fn client_fail_waiting_requests() {
    let _watchdog = bounded();
    let sent = fail(
        |config| config.max_in_flight = 11,
        |resolver, got| resolver.lookup_ipv4(FOOF, got.note()).unwrap(),
    );
    assert!(sent <= 11, "{sent}: the others waited");
}

#[test]
fn client_fail_requests_getaddrinfo() {
    let _watchdog = bounded();
    fail(
        |_| {},
        |resolver, got| {
            let hints = AddrHints::new();
            let lookup = resolver.getaddrinfo(Some(FOOF), Some("80"), hints, got.note());
            lookup.unwrap()
        },
    );
}
