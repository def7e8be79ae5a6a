//! The resolver and the name servers that people run: unbound and dnsmasq.
#![cfg(unix)]

mod common;
#[path = "dns_peers/daemon.rs"]
mod daemon;
mod dns_common;

use common::bounded;
use common::peers::peer;
use daemon::{Daemon, Dir, dnsmasq, free_port, unbound};
use dns_common::{NameServer, REFUSED, SERVER_FAILURE, impatient};
use libevent2::dns::{Answer, Cause, Config, Lookup, LookupError, Resolver, ResolverRef};
use libevent2::util::{AddrHints, AddrInfo};
use libevent2::{EventBase, Kind, Result as EventResult, version_number};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

const IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

type Found<T> = Result<Answer<T>, LookupError>;
type Callback<T> = Box<dyn FnOnce(Found<T>)>;

/// A resolver with its loop.
struct Client {
    base: EventBase,
    resolver: Resolver,
}

impl Client {
    fn new(config: Config) -> Self {
        let base = EventBase::new().unwrap();
        let resolver = Resolver::new(&base, config).unwrap();
        Client { base, resolver }
    }

    fn of(servers: &[SocketAddr]) -> Self {
        Self::new(impatient(Config::with_servers(servers.iter().copied())))
    }

    /// Whatever comes is sooner than the time of an attempt.
    fn patient(server: SocketAddr) -> Self {
        let mut config = Config::with_servers([server]);
        config.attempts = 2;
        Self::new(config)
    }

    /// Runs one lookup to its end, which is the end of the loop too.
    fn ask<T: 'static>(
        &mut self,
        lookup: impl FnOnce(&ResolverRef, Callback<T>) -> EventResult<Lookup>,
    ) -> Found<T> {
        let got = Rc::<RefCell<Vec<Found<T>>>>::default();
        let slot = got.clone();
        let callback: Callback<T> = Box::new(move |found| slot.borrow_mut().push(found));
        lookup(&self.resolver, callback).unwrap().detach();
        self.base.run().unwrap();
        assert_eq!(self.base.stats().live(Kind::Lookup), 0);
        let mut got = got.take();
        assert_eq!(got.len(), 1, "the closure is called once");
        got.remove(0)
    }

    fn host(&mut self, name: &str) -> Found<IpAddr> {
        self.ask(|resolver, callback| resolver.lookup_host(name, callback))
    }

    fn ipv4(&mut self, name: &str) -> Found<Ipv4Addr> {
        self.ask(|resolver, callback| resolver.lookup_ipv4(name, callback))
    }

    fn ipv6(&mut self, name: &str) -> Found<Ipv6Addr> {
        self.ask(|resolver, callback| resolver.lookup_ipv6(name, callback))
    }

    fn name(&mut self, address: impl Into<IpAddr>) -> Found<String> {
        let address = address.into();
        self.ask(|resolver, callback| resolver.lookup_addr(address, callback))
    }

    fn canonical(&mut self, name: &str, hints: AddrHints) -> Found<AddrInfo> {
        let hints = hints.tcp().canonical_name();
        self.ask(|resolver, callback| resolver.getaddrinfo(Some(name), Some("80"), hints, callback))
    }
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[track_caller]
fn assert_fails<T: std::fmt::Debug>(found: Found<T>, cause: Cause, name: &str) -> LookupError {
    let error = found.unwrap_err();
    assert_eq!((error.cause(), error.name()), (cause, name), "{error}");
    error
}

// --- what both of them have -------------------------------------------------------------------------

/// The same of every server: where it differs, the time that an address may be kept.
fn answers_for_what_is_there(server: SocketAddr, ttl: (u64, u64)) {
    let mut client = Client::of(&[server]);
    let found = client.ipv4("host.example.test").unwrap();
    assert_eq!((found.records, found.ttl), (vec![IPV4], seconds(ttl.0)));
    assert_eq!(found.name, "host.example.test");
    let found = client.ipv6("host.example.test").unwrap();
    assert_eq!((found.records, found.ttl), (vec![IPV6], seconds(ttl.1)));
    let found = client.host("host.example.test").unwrap();
    assert_eq!(found.records, [IpAddr::V6(IPV6), IPV4.into()]);
    assert_eq!(found.ttl, seconds(ttl.0.min(ttl.1)));
    let found = client.host("ipv4.example.test").unwrap();
    assert_eq!(found.records, [IpAddr::from([192, 0, 2, 4])]);
}

fn an_alias_of_an_alias_has_the_addresses_of_what_it_stands_for(server: SocketAddr) {
    let mut client = Client::of(&[server]);
    let found = client.host("www.example.test").unwrap();
    assert_eq!(found.records, [IpAddr::V6(IPV6), IPV4.into()]);
    assert_eq!(found.name, "www.example.test");
    assert_eq!(found.canonical_name, None, "nobody asked for it");
    for hints in [
        AddrHints::new().ipv4(),
        AddrHints::new().ipv6(),
        AddrHints::new(),
    ] {
        let found = client.canonical("www.example.test", hints).unwrap();
        let name = found.canonical_name.unwrap();
        assert_eq!(name.to_lowercase(), "alias.example.test");
        assert!(found.records.iter().all(|info| info.address.port() == 80));
        assert!(!found.records.is_empty());
    }
}

#[test]
fn unbound_answers_for_what_is_there() {
    let _watchdog = bounded();
    let Some((server, _dir)) = unbound() else {
        return;
    };
    answers_for_what_is_there(server.address(), (600, 60));
    an_alias_of_an_alias_has_the_addresses_of_what_it_stands_for(server.address());
}

#[test]
fn dnsmasq_answers_for_what_is_there() {
    let _watchdog = bounded();
    let Some((server, _dir)) = dnsmasq(&[]) else {
        return;
    };
    answers_for_what_is_there(server.address(), (77, 77));
    an_alias_of_an_alias_has_the_addresses_of_what_it_stands_for(server.address());
}

#[test]
fn an_address_has_the_name_that_the_server_has_for_it() {
    let _watchdog = bounded();
    if let Some((server, _dir)) = unbound() {
        let mut client = Client::of(&[server.address()]);
        let found = client.name(IPV4).unwrap();
        assert_eq!(found.records, ["host.example.test"]);
        assert_eq!(found.ttl, seconds(77));
        let found = client.name(IPV6).unwrap();
        assert_eq!(found.records, ["host6.example.test"]);
        assert_eq!(found.ttl, seconds(66));
        let error = assert_fails(client.name([192, 0, 2, 8]), Cause::NoSuchName, "192.0.2.8");
        assert_eq!(error.ttl(), seconds(45));
    }
    if let Some((server, _dir)) = dnsmasq(&[]) {
        let mut client = Client::of(&[server.address()]);
        assert_eq!(client.name(IPV4).unwrap().records, ["host.example.test"]);
        assert_eq!(client.name(IPV6).unwrap().records, ["host.example.test"]);
    }
}

// --- what is not there -------------------------------------------------------------------------------

#[test]
fn unbound_says_what_there_is_not_and_how_long_that_holds() {
    let _watchdog = bounded();
    let Some((server, _dir)) = unbound() else {
        return;
    };
    let mut client = Client::of(&[server.address()]);
    let name = "nobody.example.test";
    // The shorter of the SOA's own time, 3600 s, and its last field.
    assert_eq!(
        assert_fails(client.host(name), Cause::NoSuchName, name).ttl(),
        seconds(45)
    );
    let name = "ipv4.example.test";
    assert_eq!(
        assert_fails(client.ipv6(name), Cause::NoData, name).ttl(),
        seconds(45)
    );
    // For an alias of it, unbound says only what it is an alias of.
    let name = "away.example.test";
    assert_fails(client.host(name), Cause::NoData, name);
}

#[test]
fn dnsmasq_says_what_there_is_not() {
    let _watchdog = bounded();
    let Some((server, _dir)) = dnsmasq(&[]) else {
        return;
    };
    let mut client = Client::of(&[server.address()]);
    let name = "nobody.example.test";
    let error = assert_fails(client.host(name), Cause::NoSuchName, name);
    assert_eq!(error.ttl(), None, "it sends no SOA");
    for name in ["ipv4.example.test", "text.example.test"] {
        assert_fails(client.ipv6(name), Cause::NoData, name);
    }
}

// --- what goes wrong there -----------------------------------------------------------------------------

#[test]
fn what_a_server_could_not_find_out_is_told_from_what_it_refuses() {
    let _watchdog = bounded();
    if let Some((server, _dir)) = unbound() {
        let mut client = Client::patient(server.address());
        for (name, cause) in [
            ("host.broken.test", Cause::ServerFailed),
            ("host.refused.test", Cause::Refused),
        ] {
            let begun = Instant::now();
            assert_fails(client.host(name), cause, name);
            assert!(begun.elapsed() < Duration::from_secs(2), "at once");
        }
        // It is as good as before.
        assert_eq!(client.ipv4("host.example.test").unwrap().records, [IPV4]);
    }
    let broken = NameServer::start(|query| Some(query.error(SERVER_FAILURE)));
    let refusing = NameServer::start(|query| Some(query.error(REFUSED)));
    let forward = |zone: &str, to: &NameServer| {
        let (ip, port) = (to.address().ip(), to.address().port());
        format!("--server=/{zone}/{ip}#{port}")
    };
    let servers = [
        forward("broken.test", &broken),
        forward("refused.test", &refusing),
    ];
    if let Some((server, _dir)) = dnsmasq(&servers) {
        let mut client = Client::patient(server.address());
        for (name, cause) in [
            ("host.broken.test", Cause::ServerFailed),
            ("host.refused.test", Cause::Refused),
            // It has nobody to ask.
            ("host.elsewhere.test", Cause::Refused),
        ] {
            assert_fails(client.host(name), cause, name);
        }
        assert_eq!(client.ipv4("host.example.test").unwrap().records, [IPV4]);
    }
}

#[test]
fn an_answer_that_does_not_fit_is_an_error_that_says_so_or_is_got_whole() {
    let _watchdog = bounded();
    let Some((server, _dir)) = unbound() else {
        return;
    };
    let mut client = Client::of(&[server.address()]);
    // 20 addresses are 349 bytes.
    let found = client.ipv4("twenty.example.test").unwrap();
    assert_eq!(found.records.len(), 20);
    let name = "many.example.test";
    let found = client.ipv4(name);
    if version_number() < 0x0202_0000 {
        let error = assert_fails(found, Cause::Truncated, name);
        assert!(error.to_string().contains("too long"), "{error}");
    } else {
        // Over TCP.
        let records = found.unwrap().records;
        assert!(records.len() >= 32, "{}", records.len());
    }
    assert_eq!(client.ipv4("host.example.test").unwrap().records, [IPV4]);
}

/// Carries datagrams to `server` and its answers back, each a while later.
fn slowly(server: SocketAddr, delay: Duration) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // It ends with the process.
    thread::spawn(move || {
        let mut datagram = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let (question, socket) = (datagram[..length].to_vec(), socket.try_clone().unwrap());
            thread::spawn(move || {
                let there = UdpSocket::bind("127.0.0.1:0").unwrap();
                there.send_to(&question, server).unwrap();
                let mut answer = [0; 1500];
                let length = there.recv(&mut answer).unwrap();
                thread::sleep(delay);
                let _ = socket.send_to(&answer[..length], from);
            });
        }
    });
    address
}

#[test]
fn a_slow_server_is_waited_for() {
    let _watchdog = bounded();
    let Some((server, _dir)) = unbound() else {
        return;
    };
    let slow = slowly(server.address(), Duration::from_millis(300));
    let mut config = impatient(Config::with_servers([slow]));
    config.timeout = Duration::from_secs(2);
    let begun = Instant::now();
    let found = Client::new(config).host("host.example.test").unwrap();
    assert_eq!(found.records, [IpAddr::V6(IPV6), IPV4.into()]);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(2));
}

/// The answer to the first question counts, also when it comes after the second one.
#[test]
fn an_answer_counts_that_comes_after_the_question_was_repeated() {
    let _watchdog = bounded();
    let Some((server, _dir)) = unbound() else {
        return;
    };
    let slow = slowly(server.address(), Duration::from_millis(300));
    let mut config = impatient(Config::with_servers([slow]));
    config.timeout = Duration::from_millis(200);
    config.attempts = 4;
    let mut client = Client::new(config);
    for _ in 0..2 {
        let begun = Instant::now();
        let found = client.ipv4("host.example.test").unwrap();
        assert_eq!(found.records, [IPV4]);
        assert!(begun.elapsed() < Duration::from_millis(600));
    }
}

#[test]
fn a_server_that_is_silent_costs_the_time_of_its_attempts() {
    let _watchdog = bounded();
    let Some((server, _dir)) = unbound() else {
        return;
    };
    let mut client = Client::of(&[server.address()]);
    let begun = Instant::now();
    let name = "host.silent.test";
    assert_fails(client.host(name), Cause::TimedOut, name);
    let took = begun.elapsed();
    // Two attempts of 200 ms.
    assert!(took >= Duration::from_millis(390) && took < Duration::from_secs(2));
    // It is silent about that zone only.
    assert_eq!(client.ipv4("host.example.test").unwrap().records, [IPV4]);
}

// --- servers that come and go ---------------------------------------------------------------------------

#[test]
fn of_two_servers_the_dead_one_is_asked_last_from_then_on() {
    let _watchdog = bounded();
    let Some((server, _dir)) = unbound() else {
        return;
    };
    let dead = free_port();
    for servers in [[dead, server.address()], [server.address(), dead]] {
        let mut config = impatient(Config::with_servers(servers));
        // One family is asked for at the dead one, and may be once more: C lets servers take turns.
        config.attempts = 3;
        config.family_delay = Duration::from_secs(2);
        let mut client = Client::new(config);
        let found = client.host("host.example.test").unwrap();
        assert_eq!(found.records, [IpAddr::V6(IPV6), IPV4.into()]);
        let mut slow = 0;
        for _ in 0..4 {
            let begun = Instant::now();
            assert_eq!(client.ipv4("host.example.test").unwrap().records, [IPV4]);
            slow += usize::from(begun.elapsed() >= Duration::from_millis(200));
        }
        assert!(slow <= 1, "{slow} of 4 were asked of the dead one first");
    }
}

fn dies_and_comes_back(server: Option<(Daemon, Dir)>) {
    let Some((mut server, _dir)) = server else {
        return;
    };
    let mut client = Client::of(&[server.address()]);
    for _ in 0..2 {
        assert_eq!(client.ipv4("host.example.test").unwrap().records, [IPV4]);
        server.kill();
        let name = "host.example.test";
        for _ in 0..3 {
            assert_fails(client.host(name), Cause::TimedOut, name);
        }
        server.restart();
        let begun = Instant::now();
        let found = client.host("host.example.test").unwrap();
        assert_eq!(found.records, [IpAddr::V6(IPV6), IPV4.into()]);
        assert!(begun.elapsed() < Duration::from_secs(2), "at once");
    }
}

#[test]
fn unbound_may_die_and_come_back() {
    let _watchdog = bounded();
    dies_and_comes_back(unbound());
}

#[test]
fn dnsmasq_may_die_and_come_back() {
    let _watchdog = bounded();
    dies_and_comes_back(dnsmasq(&[]));
}

/// Lookups whose questions nobody has answered, and more of them as soon as they fail, so that C
/// has questions all the time. They end when the server is back.
fn found_when_the_server_is_back(retry_failed: Duration) -> usize {
    let Some((mut server, _dir)) = unbound() else {
        return 0;
    };
    let mut config = impatient(Config::with_servers([server.address()]));
    config.retry_failed = retry_failed;
    config.deadline = Duration::from_secs(20);
    config.max_timeouts = 1;
    let mut base = EventBase::new().unwrap();
    let resolver = Rc::new(Resolver::new(&base, config).unwrap());
    server.kill();
    let results = Rc::<RefCell<Vec<Found<Ipv4Addr>>>>::default();
    for _ in 0..3 {
        until_found(resolver.clone(), results.clone());
    }
    let restart = thread::spawn(move || {
        // For as long it is given up, several times.
        thread::sleep(Duration::from_millis(900));
        server.restart();
        (server, Instant::now())
    });
    base.run().unwrap();
    let ended = Instant::now();
    let (_server, back) = restart.join().unwrap();
    assert!(ended.duration_since(back) < Duration::from_secs(2));
    let results = results.take();
    let (found, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(found.len(), 3);
    for error in failed.iter() {
        assert_eq!(error.as_ref().unwrap_err().cause(), Cause::TimedOut);
    }
    failed.len()
}

fn until_found(resolver: Rc<Resolver>, results: Rc<RefCell<Vec<Found<Ipv4Addr>>>>) {
    let next = resolver.clone();
    let lookup = resolver.lookup_ipv4("host.example.test", move |result| {
        let found = result.is_ok();
        results.borrow_mut().push(result);
        if !found {
            until_found(next, results);
        }
    });
    lookup.unwrap().detach();
}

#[test]
fn a_server_that_comes_back_is_found_again_while_there_are_always_lookups() {
    let _watchdog = bounded();
    // Two attempts take 400 ms.
    let failed = found_when_the_server_is_back(Duration::from_millis(500));
    assert!(failed > 0 || peer("unbound").is_none());
}

#[test]
fn questions_run_out_of_attempts_also_when_servers_are_forgiven_sooner() {
    let _watchdog = bounded();
    let failed = found_when_the_server_is_back(Duration::from_millis(300));
    assert!(failed > 0 || peer("unbound").is_none());
}
