//! libevent's own regress cases for DNS (test/regress_dns.c): hosts and services to addresses of
//! both families. The whole list, and what differs, is in docs/regress.md.

mod common;
mod dns_common;
#[path = "common/regress_dns.rs"]
mod regress_dns;

use common::bounded;
use dns_common::{A, AAAA, NO_SUCH_NAME, NameServer, Query};
use libevent2::dns::{Cause, Config, Hosts, Lookup, Resolver};
use libevent2::util::{AddrHints, AddrInfo};
use libevent2::{EventBase, LoopEnd, Timer};
use regress_dns::{FOOF, FOOF_TABLE, Found, Got, asking, ms, table_server};
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn tcp() -> AddrHints {
    AddrHints::new().tcp()
}

/// Looks up what needs no server. The loop calls the closure nevertheless.
fn at_once(host: Option<&str>, service: Option<&str>, hints: AddrHints) -> Found<AddrInfo> {
    let mut base = EventBase::new().unwrap();
    let mut config = Config::default();
    config.hosts = Hosts::parse("127.0.0.1 localhost\n::1 localhost");
    let resolver = Resolver::new(&base, config).unwrap();
    let got = Got::new();
    let lookup = resolver.getaddrinfo(host, service, hints, got.note());
    lookup.unwrap().detach();
    assert!(got.is_empty());
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    got.once()
}

/// The addresses that are for sockets of TCP and of UDP, those of IPv4 first.
#[track_caller]
fn of_tcp_and_udp(answer: Found<AddrInfo>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let answer = answer.unwrap();
    assert_eq!(answer.ttl, None, "nobody has told");
    let of = |socket_type, protocol| {
        let records = answer.records.iter();
        let mut found: Vec<_> = records
            .filter(|record| (record.socket_type, record.protocol) == (socket_type, protocol))
            .map(|record| record.address)
            .collect();
        found.sort();
        found
    };
    (
        of(libc::SOCK_STREAM, libc::IPPROTO_TCP),
        of(libc::SOCK_DGRAM, libc::IPPROTO_UDP),
    )
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What never gets to a name server.
fn numbers_and_hosts() {
    let none = Vec::new();
    match at_once(Some("1.2.3.4"), Some("http"), tcp()) {
        Err(error) => assert_eq!(error.cause(), Cause::BadName, "a system without services"),
        found => assert_eq!(
            of_tcp_and_udp(found),
            (addresses(&["1.2.3.4:80"]), none.clone())
        ),
    }
    let hints = AddrHints::new().numeric_host();
    let error = at_once(Some("www.google.com"), Some("80"), hints).unwrap_err();
    assert_eq!(error.cause(), Cause::BadName);
    assert_eq!(error.name(), "www.google.com");
    let found = at_once(Some("f::f"), Some("8008"), tcp());
    assert_eq!(found.as_ref().unwrap().records.len(), 1);
    assert_eq!(
        of_tcp_and_udp(found),
        (addresses(&["[f::f]:8008"]), none.clone())
    );
    let found = at_once(Some("5.6.7.8"), None, AddrHints::new());
    let it = addresses(&["5.6.7.8:0"]);
    assert_eq!(of_tcp_and_udp(found), (it.clone(), it));

    // To listen at, and to connect to.
    let hints = AddrHints::new().udp().passive();
    let found = at_once(None, Some("9090"), hints);
    let any = addresses(&["0.0.0.0:9090", "[::]:9090"]);
    assert_eq!(of_tcp_and_udp(found), (none.clone(), any));
    for host in [None, Some("LOCALHOST")] {
        let found = at_once(host, Some("2"), tcp());
        let mine = addresses(&["127.0.0.1:2", "[::1]:2"]);
        assert_eq!(of_tcp_and_udp(found), (mine, none.clone()));
    }
    let found = at_once(Some("LOCALHOST"), Some("9999"), tcp().ipv6());
    assert_eq!(of_tcp_and_udp(found), (addresses(&["[::1]:9999"]), none));
}

/// What the original's server says, if anything.
fn answer(query: &Query) -> Option<Vec<u8>> {
    let name = query
        .name
        .strip_suffix(".example.com")
        .expect("a name of the test");
    let v4 = |ip: u32| query.reply().a(&query.exact, 2000, Ipv4Addr::from_bits(ip));
    let v6 = |first, last| {
        let ip = Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last);
        query.reply().aaaa(&query.exact, 2000, ip)
    };
    let canonical =
        |reply: dns_common::Message| reply.cname(&query.exact, 1000, "both-canonical.example.com");
    let reply = match (name, query.kind) {
        ("both", A) => canonical(v4(0x5050_2020)),
        ("both", AAAA) => canonical(v6(0x80ff, 0xbbbb)),
        ("v4only" | "v4assert", A) => v4(0x1234_5678),
        ("v6only" | "v6assert", AAAA) => v6(0x0b0b, 0xf00d),
        ("v6timeout", A) => v4(0xabcd_ef01),
        ("v4timeout", AAAA) => v6(0x0a0a, 0xff01),
        ("v6timeout" | "v6timeout-nonexist", AAAA) | ("v4timeout", A) | ("all-timeout", _) => {
            return None;
        }
        _ => query.reply().code(NO_SUCH_NAME),
    };
    Some(reply.bytes())
}

#[test]
fn getaddrinfo_async() {
    let _watchdog = bounded();
    numbers_and_hosts();

    let server = NameServer::start(answer);
    let mut base = EventBase::new().unwrap();
    let mut config = asking(&server);
    config.timeout = ms(300);
    config.family_delay = ms(200);
    let resolver = Resolver::new(&base, config).unwrap();
    let begin = |host: &str, port: u16, hints: AddrHints| -> (Got<AddrInfo>, Lookup) {
        let (host, port) = (format!("{host}.example.com"), port.to_string());
        let got = Got::new();
        let lookup = resolver.getaddrinfo(Some(&host), Some(&port), hints, got.note());
        (got, lookup.unwrap())
    };
    let found = [
        ("both", 8000, tcp().canonical_name()),
        ("v4only", 8001, tcp().canonical_name()),
        ("v6only", 8002, tcp()),
        ("v4assert", 8003, tcp().ipv4()),
        ("v6assert", 8004, tcp().ipv6()),
        ("v6timeout", 8007, tcp()),
        ("v4timeout", 8010, tcp()),
    ]
    .map(|(host, port, hints)| begin(host, port, hints));
    let failed = [
        ("nosuchplace", 8005, tcp().ipv4()),
        ("nosuchplace", 8006, tcp()),
        ("v6timeout-nonexist", 8008, tcp()),
    ]
    .map(|(host, port, hints)| begin(host, port, hints));
    let (configured, _configured) = begin("both", 8009, tcp().configured_families());
    let (cancelled, lookup) = begin("all-timeout", 8011, tcp());
    let cancel = Timer::after(&base, ms(100), {
        let lookup = Cell::new(Some(lookup));
        move |_| lookup.take().expect("once").cancel()
    });
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    drop(cancel);

    let canonical = [Some("both-canonical.example.com"), None];
    let expected: [&[&str]; 7] = [
        &["[80ff::bbbb]:8000", "80.80.32.32:8000"],
        &["18.52.86.120:8001"],
        &["[b0b::f00d]:8002"],
        &["18.52.86.120:8003"],
        &["[b0b::f00d]:8004"],
        &["171.205.239.1:8007"],
        &["[a0a::ff01]:8010"],
    ];
    for (at, ((got, _), expected)) in found.into_iter().zip(expected).enumerate() {
        let answer = got.once().unwrap();
        let records = answer.records.iter();
        assert!(
            records
                .clone()
                .all(|record| record.socket_type == libc::SOCK_STREAM)
        );
        let found: Vec<_> = records.map(|record| record.address).collect();
        assert_eq!(found, addresses(expected));
        let canonical = canonical.get(at).copied().flatten();
        assert_eq!(
            answer.canonical_name.as_deref(),
            canonical,
            "{}",
            answer.name
        );
    }
    for (got, _) in failed {
        assert_eq!(got.cause(), Cause::NoSuchName);
    }
    let configured = configured.records();
    assert!(!configured.is_empty());
    for found in configured.iter().map(|record| record.address) {
        let both = addresses(&["[80ff::bbbb]:8009", "80.80.32.32:8009"]);
        assert!(both.contains(&found), "{found}");
    }
    assert_eq!(cancelled.cause(), Cause::Cancelled);
    for query in server.queries() {
        let unwanted = [("v4assert.example.com", AAAA), ("v6assert.example.com", A)];
        assert!(!unwanted.contains(&(&*query.name, query.kind)), "{query:?}");
    }
}

#[test]
fn getaddrinfo_cancel_stress() {
    let _watchdog = bounded();
    // From some time on it keeps silent, so that some are left to cancel.
    let mut left = 1500;
    let server = NameServer::start(move |query| {
        left -= 1;
        (left > 0).then(|| query.address(Ipv4Addr::LOCALHOST, 100))
    });
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, asking(&server)).unwrap();
    // Found, and cancelled.
    let counts = Rc::new(Cell::new((0, 0)));
    for _ in 0..1000 {
        let counts = Rc::clone(&counts);
        let timer = Rc::new(RefCell::new(None));
        let no_timer = Rc::clone(&timer);
        let host = Some("foobar.bazquux.example.com");
        let lookup = resolver.getaddrinfo(host, Some("80"), AddrHints::new(), move |found| {
            let (found_so_far, cancelled) = counts.get();
            counts.set(match found.map_err(|error| error.cause()) {
                Ok(_) => (found_so_far + 1, cancelled),
                Err(Cause::Cancelled) => (found_so_far, cancelled + 1),
                Err(other) => panic!("{other:?}"),
            });
            drop(no_timer.take());
        });
        let lookup = Cell::new(Some(lookup.unwrap()));
        let cancel = Timer::after(&base, ms(10), move |_| {
            lookup.take().expect("once").cancel();
        });
        timer.replace(Some(cancel.unwrap()));
    }
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    let (found, cancelled) = counts.get();
    assert_eq!(found + cancelled, 1000);
    assert_ne!(cancelled, 0);
    assert_eq!(resolver.lookups(), 0);
    drop(resolver);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn getaddrinfo_race_gotresolve() {
    let _watchdog = bounded();
    const LOOKUPS: usize = 4096;
    const THREADS: usize = 4;
    let server = table_server(FOOF_TABLE);
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, asking(&server)).unwrap();
    thread_local! {
        // A job is sent to the loop's thread without what lives there.
        static STATE: RefCell<Option<(Resolver, usize)>> = const { RefCell::new(None) };
    }
    STATE.set(Some((resolver, LOOKUPS)));
    fn look_up() {
        STATE.with_borrow(|state| {
            let (resolver, _) = state.as_ref().expect("lookups are left");
            let lookup = resolver.getaddrinfo(Some(FOOF), Some("80"), tcp(), |found| {
                assert_eq!(found.unwrap().records.len(), 1);
                STATE.with_borrow_mut(|state| state.as_mut().expect("not the last one").1 -= 1);
            });
            lookup.unwrap().detach();
        });
    }
    let remote = base.remote().unwrap();
    let stopping = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..LOOKUPS / THREADS {
                    remote.post(|_| look_up()).unwrap();
                }
            });
        }
        scope.spawn(|| {
            while !stopping.load(Ordering::Relaxed) {
                remote.wake().unwrap();
                thread::yield_now();
            }
        });
        while STATE.with_borrow(|state| state.as_ref().unwrap().1) > 0 {
            base.run_once().unwrap();
        }
        stopping.store(true, Ordering::Relaxed);
    });
    drop(STATE.take());
    assert_eq!(base.stats().live_total(), 0);
}
