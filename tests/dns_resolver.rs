//! What a resolver is for: addresses of a name, the name of an address, and why there is none.

mod common;
mod dns_common;

use common::bounded;
use dns_common::got::{Client, Got, IPV4, IPV6, config};
use dns_common::{A, NO_SUCH_NAME, NameServer, PTR, SERVER_FAILURE};
use libevent2::dns::Cause;
use std::net::IpAddr;
use std::time::Duration;

#[test]
fn a_host_has_the_addresses_of_both_families_and_the_shorter_time() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| {
        Some(match query.kind {
            A => query.address(IPV4, 600),
            _ => query.address(IPV6, 60),
        })
    });
    let found = Client::new(config(&[&server]))
        .host("www.example.com")
        .unwrap();
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
        let reply = query.reply();
        Some(reply.ptr(&query.exact, 5, "host.example.com").bytes())
    });
    let mut client = Client::new(config(&[&server]));
    for (address, asked) in [
        (IpAddr::from(IPV4), "7.2.0.192.in-addr.arpa"),
        (
            IPV6.into(),
            "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        ),
    ] {
        let got = Got::new();
        let lookup = client.resolver.lookup_addr(address, got.note()).unwrap();
        client.run();
        assert!(lookup.is_done());
        let found = got.once().unwrap();
        assert_eq!(found.records, ["host.example.com"]);
        assert_eq!(found.ttl, Some(Duration::from_secs(5)));
        assert_eq!(server.names().last().unwrap(), asked);
    }
}

#[test]
fn each_cause_has_its_own_error_with_the_name() {
    let _watchdog = bounded();
    let cause = |server: NameServer| Client::new(config(&[&server])).fails("www.example.com").0;
    for (code, expected) in [
        (NO_SUCH_NAME, Cause::NoSuchName),
        (SERVER_FAILURE, Cause::ServerFailed),
    ] {
        let server = NameServer::start(move |query| Some(query.error(code)));
        assert_eq!(cause(server), expected);
    }
    assert_eq!(cause(NameServer::silent()), Cause::TimedOut);
}
