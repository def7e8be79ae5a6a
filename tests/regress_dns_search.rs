//! libevent's own regress cases for DNS (test/regress_dns.c): names that are looked for in the
//! domains of a search list. The whole list, and what differs, is in docs/regress.md.

mod common;
mod dns_common;
#[path = "common/regress_dns.rs"]
mod regress_dns;

use common::bounded;
use dns_common::{NO_SUCH_NAME, NameServer};
use libevent2::dns::{Cause, Config, Resolver};
use libevent2::{EventBase, LoopEnd};
use regress_dns::{Entry, Got, asking, look_up};
use std::net::Ipv4Addr;
use std::time::Duration;

const HOST: Ipv4Addr = Ipv4Addr::new(11, 22, 33, 44);
const HOST2: Ipv4Addr = Ipv4Addr::new(200, 100, 0, 100);

const TABLE: &[(&str, Entry)] = &[
    ("host.c.example.com", Entry::A(HOST)),
    ("host2.b.example.com", Entry::A(HOST2)),
    ("hostn.a.example.com", Entry::CodeFor(0, 42)),
    ("hostn.b.example.com", Entry::CodeFor(NO_SUCH_NAME, 42)),
    ("hostn.c.example.com", Entry::Code(0)),
    ("*", Entry::Code(NO_SUCH_NAME)),
];

fn searching(mut config: Config, domains: &[&str]) -> Config {
    config.search = domains.iter().map(|&domain| domain.to_owned()).collect();
    config
}

fn search_in(lower: bool) {
    let server = NameServer::start(move |query| {
        let mut reply = look_up(TABLE, query);
        if lower {
            // No length of a label is a letter.
            reply.question.make_ascii_lowercase();
        }
        Some(reply.bytes())
    });
    let mut base = EventBase::new().unwrap();
    let domains = ["a.example.com", "b.example.com", "c.example.com"];
    let config = searching(asking(&server), &domains);
    assert!(config.randomize_case, "the case is something to keep");
    let resolver = Resolver::new(&base, config).unwrap();
    // A dot at the end: not to be searched for.
    let lookups = [
        "host",
        "host2",
        "host.",
        "host2.",
        "host3",
        "hostn.a.example.com.",
        "hostn.b.example.com.",
        "hostn.c.example.com.",
    ]
    .map(|name| {
        let got = Got::new();
        let lookup = resolver.lookup_ipv4(name, got.note()).unwrap();
        (got, lookup)
    });
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);

    let [
        host,
        host2,
        alone,
        alone2,
        host3,
        none,
        no_name,
        none_at_all,
    ] = lookups.map(|(got, _)| got.once());
    let host = host.unwrap();
    assert_eq!(host.records, [HOST]);
    assert_eq!(host.name, "host.c.example.com");
    let host2 = host2.unwrap();
    assert_eq!(host2.records, [HOST2]);
    assert_eq!(host2.name, "host2.b.example.com");
    for (failed, name, cause, ttl) in [
        (alone, "host.", Cause::NoSuchName, None),
        (alone2, "host2.", Cause::NoSuchName, None),
        (host3, "host3", Cause::NoSuchName, None),
        (none, "hostn.a.example.com.", Cause::NoData, Some(42)),
        (no_name, "hostn.b.example.com.", Cause::NoSuchName, Some(42)),
        (none_at_all, "hostn.c.example.com.", Cause::NoData, None),
    ] {
        let error = failed.unwrap_err();
        assert_eq!(error.name(), name);
        assert_eq!(error.cause(), cause, "{name}");
        assert_eq!(error.ttl(), ttl.map(Duration::from_secs), "{name}");
    }
    let asked = server.names();
    let asked_for = |host: &str| -> Vec<_> {
        let names = asked
            .iter()
            .filter(|name| name.split('.').next() == Some(host));
        names.cloned().collect()
    };
    assert_eq!(
        asked_for("host3"),
        [
            "host3.a.example.com",
            "host3.b.example.com",
            "host3.c.example.com",
            "host3"
        ]
    );
    // Once as it stands, and two domains.
    assert_eq!(asked_for("host2").len(), 3);
}

#[test]
fn search() {
    let _watchdog = bounded();
    search_in(false);
}

#[test]
fn search_lower() {
    let _watchdog = bounded();
    search_in(true);
}

#[test]
fn search_empty() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let config = searching(asking(&server), &["whatever.example.com"]);
    let resolver = Resolver::new(&base, config).unwrap();
    let got = Got::new();
    let lookup = resolver.lookup_ipv4("", got.note()).unwrap();
    assert!(got.is_empty(), "the closure is called by the loop");
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(got.cause(), Cause::BadName);
    assert!(lookup.is_done());
    assert!(server.queries().is_empty());
}
