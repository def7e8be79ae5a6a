//! What a resolver finds, and what it says when there is nothing.

mod common;
mod dns_common;

use common::bounded;
use dns_common::{A, NO_SUCH_NAME, NameServer, PTR, SERVER_FAILURE, impatient};
use libevent2::dns::{Answer, Cause, Config, LookupError, Resolver};
use libevent2::{EventBase, Kind};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

const IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

type Slot<T> = Rc<RefCell<Vec<Result<Answer<T>, LookupError>>>>;

fn config(servers: &[&NameServer]) -> Config {
    impatient(Config::with_servers(
        servers.iter().map(|server| server.address()),
    ))
}

/// Runs one lookup to its end, and gives what its closure got.
fn host(config: Config, name: &str) -> Result<Answer<IpAddr>, LookupError> {
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config).unwrap();
    let got: Slot<IpAddr> = Rc::default();
    let slot = got.clone();
    let lookup = resolver
        .lookup_host(name, move |found| slot.borrow_mut().push(found))
        .unwrap();
    assert!(got.borrow().is_empty(), "the closure is called by the loop");
    base.run().unwrap();
    assert!(lookup.is_done());
    assert_eq!(base.stats().live(Kind::Lookup), 0);
    let got = got.take();
    assert_eq!(got.len(), 1);
    got.into_iter().next().unwrap()
}

#[test]
fn a_host_has_the_addresses_of_both_families_and_the_shorter_time() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| {
        let ttl = if query.kind == A { 600 } else { 60 };
        let address = if query.kind == A {
            IpAddr::V4(IPV4)
        } else {
            IPV6.into()
        };
        Some(query.address(address, ttl))
    });
    let found = host(config(&[&server]), "www.example.com").unwrap();
    assert_eq!(found.name, "www.example.com");
    assert_eq!(found.records, [IpAddr::V6(IPV6), IPV4.into()]);
    assert_eq!(found.ttl, Some(Duration::from_secs(60)));
    assert_eq!(found.canonical_name, None);
}

#[test]
fn an_address_has_a_name() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| {
        assert_eq!(query.kind, PTR);
        Some(
            query
                .reply()
                .ptr(&query.exact, 5, "host.example.com")
                .bytes(),
        )
    });
    for (address, asked) in [
        (IpAddr::from(IPV4), "7.2.0.192.in-addr.arpa"),
        (
            IPV6.into(),
            "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        ),
    ] {
        let mut base = EventBase::new().unwrap();
        let resolver = Resolver::new(&base, config(&[&server])).unwrap();
        let got: Slot<String> = Rc::default();
        let slot = got.clone();
        let lookup = resolver.lookup_addr(address, move |found| slot.borrow_mut().push(found));
        lookup.unwrap().detach();
        base.run().unwrap();
        let found = got.take().remove(0).unwrap();
        assert_eq!(found.records, ["host.example.com"]);
        assert_eq!(found.ttl, Some(Duration::from_secs(5)));
        assert_eq!(server.names().last().unwrap(), asked);
    }
}

#[test]
fn each_cause_has_its_own_error_with_the_name() {
    let _watchdog = bounded();
    for (code, cause) in [
        (NO_SUCH_NAME, Cause::NoSuchName),
        (SERVER_FAILURE, Cause::ServerFailed),
    ] {
        let server = NameServer::start(move |query| Some(query.error(code)));
        let error = host(config(&[&server]), "www.example.com").unwrap_err();
        assert_eq!(error.cause(), cause);
        assert_eq!(error.name(), "www.example.com");
    }
    let server = NameServer::silent();
    let error = host(config(&[&server]), "www.example.com").unwrap_err();
    assert_eq!(error.cause(), Cause::TimedOut);
}
