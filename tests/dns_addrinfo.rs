//! Hosts with services, canonical names, and how long answers may be remembered.

mod common;
mod dns_common;

use common::bounded;
use dns_common::got::{Client, Found, Got, IPV4, IPV6, config, knowing, known};
use dns_common::{A, AAAA, NO_SUCH_NAME, NameServer, Query, SERVER_FAILURE, impatient};
use libevent2::dns::{Cause, Config, Hosts};
use libevent2::util::{self, AddrHints, AddrInfo};
use std::net::SocketAddr;
use std::time::Duration;

fn addrinfo(
    client: &mut Client,
    host: Option<&str>,
    service: Option<&str>,
    hints: AddrHints,
) -> Found<AddrInfo> {
    let got = Got::new();
    let lookup = client
        .resolver
        .getaddrinfo(host, service, hints, got.note());
    assert!(got.is_empty(), "the closure is called by the loop");
    client.run();
    drop(lookup);
    got.once()
}

fn addresses(found: &Found<AddrInfo>) -> Vec<SocketAddr> {
    let records = &found.as_ref().unwrap().records;
    records.iter().map(|record| record.address).collect()
}

// --- services and hints ------------------------------------------------------------------------------

#[test]
fn a_host_and_a_service_are_addresses_with_a_port() {
    let _watchdog = bounded();
    let server = knowing();
    let mut client = Client::new(config(&[&server]));
    let tcp = AddrHints::new().tcp();
    let mut services = vec![(Some("8080"), 8080), (None, 0)];
    // Where the system has a list of services.
    if util::getaddrinfo(None, Some("http"), tcp).is_ok() {
        services.push((Some("http"), 80));
    }
    for (service, port) in services {
        let found = addrinfo(&mut client, Some("www"), service, tcp);
        let both = [(IPV6, port).into(), (IPV4, port).into()];
        assert_eq!(addresses(&found), both);
    }
    let found = addrinfo(&mut client, Some("www"), Some("1"), tcp.ipv4());
    assert_eq!(addresses(&found), [(IPV4, 1).into()]);
    let found = addrinfo(&mut client, Some("www"), Some("1"), tcp.ipv6());
    assert_eq!(addresses(&found), [(IPV6, 1).into()]);
    let found = addrinfo(&mut client, Some("192.0.2.7"), Some("1"), tcp);
    assert_eq!(addresses(&found), [(IPV4, 1).into()]);
}

#[test]
fn without_a_host_the_addresses_are_this_machines() {
    let _watchdog = bounded();
    let mut client = Client::new(Config::default());
    let tcp = AddrHints::new().tcp();
    for (hints, passive) in [(tcp, false), (tcp.passive(), true)] {
        let found = addrinfo(&mut client, None, Some("80"), hints);
        let found = addresses(&found);
        assert!(!found.is_empty());
        let as_it_should_be = |address: &SocketAddr| match passive {
            true => address.ip().is_unspecified(),
            false => address.ip().is_loopback(),
        };
        assert!(found.iter().all(as_it_should_be), "{found:?}");
    }
}

#[test]
fn what_cannot_be_is_an_error_of_its_own() {
    let _watchdog = bounded();
    let server = knowing();
    let mut client = Client::new(config(&[&server]));
    let tcp = AddrHints::new().tcp();
    for (host, service, hints, cause) in [
        ("www", Some("no-such-service"), tcp, Cause::BadName),
        ("www", Some("http"), tcp.numeric_service(), Cause::BadName),
        ("www", Some("65536"), tcp, Cause::BadName),
        (
            "192.0.2.7",
            Some("99999999999999999999"),
            tcp,
            Cause::BadName,
        ),
        ("www", None, tcp.numeric_host(), Cause::BadName),
        ("", None, tcp, Cause::BadName),
        ("a\0b", None, tcp, Cause::BadName),
        ("192.0.2.7", None, tcp.ipv6(), Cause::NoData),
        ("2001:db8::7", Some("80"), tcp.ipv4(), Cause::NoData),
    ] {
        let error = addrinfo(&mut client, Some(host), service, hints).unwrap_err();
        assert_eq!((error.name(), error.cause()), (host, cause));
    }
    assert!(server.queries().is_empty());
    let neither = client.resolver.getaddrinfo(None, None, tcp, |_| ());
    assert!(neither.is_err());
}

#[test]
fn the_hosts_have_a_port_too() {
    let _watchdog = bounded();
    let mut known = impatient(Config::default());
    known.hosts = Hosts::parse("192.0.2.7 web\n2001:db8::7 web");
    let mut client = Client::new(known);
    let hints = AddrHints::new().tcp().canonical_name();
    let found = addrinfo(&mut client, Some("web"), Some("80"), hints);
    assert_eq!(addresses(&found), [(IPV6, 80).into(), (IPV4, 80).into()]);
    assert_eq!(found.unwrap().canonical_name, None);
}

// --- canonical names ---------------------------------------------------------------------------------

/// `www` is an alias of `web.example`.
fn aliased(query: &Query) -> Vec<u8> {
    let reply = query.reply().cname(&query.exact, 60, "web.example");
    match query.kind {
        A => reply.a("web.example", 60, IPV4).bytes(),
        _ => reply.aaaa("web.example", 60, IPV6).bytes(),
    }
}

#[test]
fn an_alias_has_its_canonical_name_for_who_asks_for_it() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| Some(aliased(query)));
    let mut client = Client::new(config(&[&server]));
    let tcp = AddrHints::new().tcp();
    let found = addrinfo(&mut client, Some("www"), None, tcp.canonical_name()).unwrap();
    assert_eq!(found.canonical_name.as_deref(), Some("web.example"));
    assert_eq!(found.name, "www");
    assert_eq!(found.records.len(), 2);
    let found = addrinfo(&mut client, Some("www"), None, tcp).unwrap();
    assert_eq!(found.canonical_name, None);
    assert_eq!(client.host("www").unwrap().canonical_name, None);
}

#[test]
fn errors_are_the_same_with_a_canonical_name() {
    let _watchdog = bounded();
    let tcp = AddrHints::new().tcp();
    type Answer = fn(&Query) -> Vec<u8>;
    let cases: [(Answer, Cause); 3] = [
        (|query| query.error(NO_SUCH_NAME), Cause::NoSuchName),
        (|query| query.error(SERVER_FAILURE), Cause::ServerFailed),
        (|query| query.reply().bytes(), Cause::NoData),
    ];
    for (answer, cause) in cases {
        let server = NameServer::start(move |query| Some(answer(query)));
        let mut client = Client::new(config(&[&server]));
        for hints in [tcp, tcp.canonical_name()] {
            let error = addrinfo(&mut client, Some("www"), None, hints).unwrap_err();
            assert_eq!((error.name(), error.cause()), ("www", cause));
        }
    }
}

#[test]
fn a_canonical_name_is_looked_for_through_the_search_list_once() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| {
        Some(match query.name.as_str() {
            "www.two.example" => aliased(query),
            _ => query.error(NO_SUCH_NAME),
        })
    });
    let mut searching = config(&[&server]);
    searching.search = vec!["one.example".to_owned(), "two.example".to_owned()];
    let mut client = Client::new(searching);
    let hints = AddrHints::new().tcp().ipv4().canonical_name();
    let found = addrinfo(&mut client, Some("www"), None, hints).unwrap();
    assert_eq!(found.name, "www.two.example");
    assert_eq!(found.canonical_name.as_deref(), Some("web.example"));
    assert_eq!(server.names(), ["www.one.example", "www.two.example"]);
}

// --- how long ----------------------------------------------------------------------------------------

#[test]
fn the_shorter_time_counts_also_of_two_negative_answers() {
    let _watchdog = bounded();
    let ttl = |query: &Query| if query.kind == AAAA { 30 } else { 90 };
    type Code = fn(&Query) -> u16;
    let cases: [(Code, Cause); 2] = [
        (|_| NO_SUCH_NAME, Cause::NoSuchName),
        (|_| 0, Cause::NoData),
    ];
    for (code, cause) in cases {
        let server = NameServer::start(move |query| {
            let reply = query.reply().code(code(query));
            Some(reply.soa("example", 3600, ttl(query)).bytes())
        });
        let error = Client::new(config(&[&server])).host("www").unwrap_err();
        assert_eq!(error.cause(), cause);
        assert_eq!(error.ttl(), Some(Duration::from_secs(30)));
    }
    let server = NameServer::start(|query| Some(query.error(NO_SUCH_NAME)));
    let error = Client::new(config(&[&server])).host("www").unwrap_err();
    assert_eq!(error.ttl(), None, "nobody said");
}

#[test]
fn an_answer_for_no_time_is_to_be_forgotten_at_once() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| Some(query.address(IPV4, 0)));
    let found = Client::new(config(&[&server])).ipv4("www").unwrap();
    assert_eq!(found.ttl, Some(Duration::ZERO));
    let server = NameServer::start(|query| Some(known(query)));
    let found = Client::new(config(&[&server])).ipv4("www").unwrap();
    assert_eq!(found.ttl, Some(Duration::from_secs(60)));
}
