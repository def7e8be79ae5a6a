//! libevent's own regress cases for DNS (test/regress_dns.c): a resolver and a server on one loop,
//! and the cases that the original asks the Internet for. The whole list, and what differs, is in
//! docs/regress.md.
#![cfg(target_os = "linux")]

mod common;
mod dns_common;
#[path = "common/regress_dns.rs"]
mod regress_dns;

use common::bounded;
use dns_common::{A, AAAA, NameServer, PTR};
use libevent2::dns::{
    Cause, Config, Lookup, Record, RecordType, Reply, Request, Resolver, ResponseCode, Server,
};
use libevent2::{BoxError, Error, EventBase, LoopEnd};
use regress_dns::{Found, Got, asking, ms};
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

const ZZ: &str = "zz.example.com";
const IPV4: Ipv4Addr = Ipv4Addr::new(192, 168, 11, 11);
const IPV6: Ipv6Addr = Ipv6Addr::from_bits(u128::from_be_bytes(*b"abcdefghijklmnop"));
const OTHER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfff0, 0, 0, 0xaaaa, 0x1111, 0, 0, 0xefef);

fn answer(request: Request) -> Result<(), BoxError> {
    if *request.question().name() == *"drop.example.com" {
        request.ignore();
        return Ok(());
    }
    let mut reply = Reply::new();
    for question in request.questions() {
        assert_eq!(question.class(), 1);
        let name = question.name();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let seconds = Duration::from_secs;
        let record = match question.record_type() {
            RecordType::A if is(ZZ) => Record::a(name, IPV4, seconds(12345))?,
            RecordType::AAAA if is(ZZ) => Record::aaaa(name, IPV6, seconds(123))?,
            RecordType::PTR if is("11.11.168.192.in-addr.arpa") => {
                Record::pointing(name, RecordType::PTR, "ZZ.EXAMPLE.COM", seconds(54321))?
            }
            RecordType::PTR
                if is(
                    "f.e.f.e.0.0.0.0.0.0.0.0.1.1.1.1.a.a.a.a.0.0.0.0.0.0.0.0.0.f.f.f.ip6.arpa",
                ) =>
            {
                Record::ptr(OTHER_IPV6.into(), "ZZ-INET6.EXAMPLE.COM", seconds(54322))?
            }
            _ => panic!("{question:?}"),
        };
        reply = reply.answer(record);
    }
    Ok(request.respond(reply)?)
}

#[track_caller]
fn assert_found<T: PartialEq + std::fmt::Debug>(got: Found<T>, record: T, ttl: u64) {
    let answer = got.unwrap();
    assert_eq!(answer.records, [record]);
    assert_eq!(answer.ttl, Some(Duration::from_secs(ttl)));
}

#[test]
fn server() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0".parse().unwrap(), answer).unwrap();
    // The only one, and no other.
    let config = Config::with_servers([server.local_addr()]);
    let resolver = Resolver::new(&base, config).unwrap();
    assert_eq!(resolver.servers(), [server.local_addr()]);

    let (server, left) = (Rc::new(server), Rc::new(Cell::new(5)));
    let one_less = || {
        let (server, left) = (server.clone(), left.clone());
        move || {
            left.set(left.get() - 1);
            if left.get() == 0 {
                server.close();
            }
        }
    };
    let ipv4 = Got::new();
    let (note, done) = (ipv4.note(), one_less());
    let lookup = resolver.lookup_ipv4(ZZ, move |found| {
        note(found);
        done();
    });
    lookup.unwrap().detach();
    let ipv6 = Got::new();
    let (note, done) = (ipv6.note(), one_less());
    let lookup = resolver.lookup_ipv6(ZZ, move |found| {
        note(found);
        done();
    });
    lookup.unwrap().detach();
    let [name, name6] = [IpAddr::from(IPV4), OTHER_IPV6.into()].map(|address| {
        let got = Got::new();
        let (note, done) = (got.note(), one_less());
        let lookup = resolver.lookup_addr(address, move |found| {
            note(found);
            done();
        });
        lookup.unwrap().detach();
        got
    });
    let dropped = Got::new();
    let (note, done) = (dropped.note(), one_less());
    let lookup = resolver.lookup_ipv4("drop.example.com", move |found| {
        note(found);
        done();
    });
    lookup.unwrap().cancel();
    assert!(dropped.is_empty());

    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_found(ipv4.once(), IPV4, 12345);
    assert_found(ipv6.once(), IPV6, 123);
    assert_found(name.once(), "ZZ.EXAMPLE.COM".to_owned(), 54321);
    assert_found(name6.once(), "ZZ-INET6.EXAMPLE.COM".to_owned(), 54322);
    assert_eq!(dropped.cause(), Cause::Cancelled);
    assert!(server.is_closed());
}

#[test]
fn gethostbyname() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| {
        assert_eq!((query.kind, &*query.name), (A, "www.monkey.org"));
        Some(query.address(IPV4, 300))
    });
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, asking(&server)).unwrap();
    let got = Got::new();
    let lookup = resolver.lookup_ipv4("www.monkey.org", got.note());
    lookup.unwrap().detach();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_found(got.once(), IPV4, 300);
}

#[test]
fn gethostbyname6() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| {
        assert_eq!((query.kind, &*query.name), (AAAA, "www.ietf.org"));
        Some(query.address(IPV6, 300))
    });
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, asking(&server)).unwrap();
    let got = Got::new();
    let lookup = resolver.lookup_ipv6("www.ietf.org", got.note());
    lookup.unwrap().detach();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_found(got.once(), IPV6, 300);
}

/// One that knows the name of this machine.
fn names_localhost() -> NameServer {
    NameServer::start(|query| {
        assert_eq!((query.kind, &*query.name), (PTR, "1.0.0.127.in-addr.arpa"));
        Some(query.reply().ptr(&query.exact, 7, "localhost").bytes())
    })
}

fn name_of_localhost(config: Config) -> Vec<String> {
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config).unwrap();
    let got = Got::new();
    let lookup = resolver.lookup_addr(Ipv4Addr::LOCALHOST.into(), got.note());
    lookup.unwrap().detach();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    got.records()
}

#[test]
fn gethostbyaddr() {
    let _watchdog = bounded();
    let server = names_localhost();
    assert_eq!(name_of_localhost(asking(&server)), ["localhost"]);
    assert_eq!(server.queries().len(), 1);
}

#[test]
fn resolve_reverse() {
    let _watchdog = bounded();
    let server = names_localhost();
    // As this machine is configured, and so perhaps from its file of hosts.
    let mut config = Config::system().unwrap();
    config.servers = vec![server.address()];
    let known = config.hosts.names(Ipv4Addr::LOCALHOST.into()).len() > 0;
    assert!(!name_of_localhost(config).is_empty());
    assert_eq!(server.queries().is_empty(), known);
}

#[test]
fn search_cancel() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let asked = Rc::new(RefCell::new(Vec::new()));
    let lookup = Rc::new(Cell::new(None::<Lookup>));
    let server = Server::bind(&base, "127.0.0.1:0".parse().unwrap(), {
        let (asked, lookup) = (Rc::clone(&asked), Rc::clone(&lookup));
        move |request: Request| {
            let name = request.question().name().to_ascii_lowercase();
            request.respond(ResponseCode::NO_SUCH_NAME)?;
            asked.borrow_mut().push(name);
            if asked.borrow().len() == 3 {
                let lookup = lookup.take().expect("it is under way");
                assert!(!lookup.is_done());
                lookup.cancel();
            }
            Ok::<_, Error>(())
        }
    })
    .unwrap();
    let domains = ["a", "b", "c", "d"].map(|domain| format!("{domain}.example.com"));
    let mut config = Config::with_servers([server.local_addr()]);
    config.search = domains.to_vec();
    let resolver = Resolver::new(&base, config).unwrap();
    let got = Got::<Ipv4Addr>::new();
    let (note, handle) = (got.note(), base.handle().clone());
    lookup.set(Some(
        resolver
            .lookup_ipv4("host", move |found| {
                note(found);
                handle.exit();
            })
            .unwrap(),
    ));
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(got.cause(), Cause::Cancelled);
    assert_eq!(resolver.lookups(), 0);
    // Nobody is asked for the rest.
    base.exit_after(ms(50)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    let three = ["a", "b", "c"].map(|domain| format!("host.{domain}.example.com"));
    assert_eq!(*asked.borrow(), three);
}
