//! C and Rust look up names together: C's `evdns_base` asked by Rust, Rust's by C.
//!
//! What C does here is written with the raw bindings: the same calls that a C file would make.

mod common;
mod dns_common;

use common::bounded;
use dns_common::got::{Client, Got, IPV4, IPV6, config, knowing, known, ms};
use dns_common::{NO_SUCH_NAME, NameServer};
use libevent2::dns::{Cause, Config, Hosts, Resolver};
use libevent2::util::AddrHints;
use libevent2::{EventBase, LoopEnd, Timer, ffi};
use std::cell::Cell;
use std::ffi::CString;
use std::net::IpAddr;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;

/// C's own `evdns_base`, freed when the base has had its turn.
struct CResolver {
    raw: *mut ffi::evdns_base,
    base: EventBase,
}

impl CResolver {
    fn new(server: &NameServer) -> Self {
        let base = EventBase::new().unwrap();
        // SAFETY: the base is alive; the name server's address is a C string.
        let raw = unsafe {
            let raw = ffi::evdns_base_new(base.as_ptr(), 0);
            let address = CString::new(server.address().to_string()).unwrap();
            assert_eq!(ffi::evdns_base_nameserver_ip_add(raw, address.as_ptr()), 0);
            raw
        };
        CResolver { raw, base }
    }

    fn attach(&self, config: Config) -> Resolver {
        // SAFETY: alive until the tests have closed it and run the loop once more.
        unsafe { Resolver::attach(&self.base, self.raw, config).unwrap() }
    }
}

impl Drop for CResolver {
    fn drop(&mut self) {
        self.base.run_nonblocking().unwrap();
        // SAFETY: ours; nobody asks it any more.
        unsafe { ffi::evdns_base_free(self.raw, 1) };
        self.base.run_nonblocking().unwrap();
    }
}

/// Runs the loop until it exits: C's name servers hold it.
fn run_until_told<T: 'static>(base: &mut EventBase, got: &Got<T>) {
    while got.is_empty() {
        base.exit_after(ms(10)).unwrap();
        assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    }
}

#[test]
fn rust_asks_through_an_evdns_base_of_c() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| {
        Some(match query.name.as_str() {
            "www.two.example" => known(query),
            _ => query.error(NO_SUCH_NAME),
        })
    });
    let mut c = CResolver::new(&server);
    let mut here = dns_common::impatient(Config::default());
    here.search = vec!["one.example".to_owned(), "two.example".to_owned()];
    here.hosts = Hosts::parse("192.0.2.1 printer");
    let resolver = c.attach(here);
    assert_eq!(resolver.servers(), [server.address()]);
    assert_eq!(resolver.as_ptr(), c.raw);
    for refused in [
        resolver.suspend(),
        resolver.resume(),
        resolver.set_config(Config::default()),
    ] {
        assert!(refused.unwrap_err().to_string().contains("evdns_base"));
    }
    for (host, addresses) in [
        ("www", vec![IpAddr::V6(IPV6), IPV4.into()]),
        ("printer", vec!["192.0.2.1".parse().unwrap()]),
    ] {
        let got = Got::new();
        let lookup = resolver.lookup_host(host, got.note()).unwrap();
        run_until_told(&mut c.base, &got);
        assert_eq!(got.once().unwrap().records, addresses);
        drop(lookup);
    }
    resolver.close();
    assert!(resolver.as_ptr().is_null());
    assert!(resolver.servers().is_empty());
}

#[test]
fn a_resolver_on_cs_evdns_base_may_go_with_questions_under_way() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    for close in [false, true] {
        let mut c = CResolver::new(&server);
        let resolver = c.attach(config(&[]));
        let got = Got::new();
        let hints = AddrHints::new().tcp().canonical_name();
        let lookups = [
            resolver.lookup_host("www", |_| ()).unwrap(),
            resolver
                .getaddrinfo(Some("www"), None, hints, |_| ())
                .unwrap(),
        ];
        let told = resolver.lookup_host("www", got.note()).unwrap();
        drop(lookups);
        if close {
            resolver.close();
        }
        drop(resolver);
        run_until_told(&mut c.base, &got);
        assert!(told.is_done());
        assert_eq!(got.cause(), Cause::Closed);
    }
}

/// What C answers before `evdns_getaddrinfo` returns, from the hosts that C has.
#[test]
fn what_cs_hosts_know_is_told_by_the_loop() {
    let _watchdog = bounded();
    let server = knowing();
    let mut c = CResolver::new(&server);
    let hosts = std::env::temp_dir().join(format!("libevent2-hosts-{}", std::process::id()));
    std::fs::write(&hosts, "192.0.2.9 www\n").unwrap();
    let path = CString::new(hosts.to_str().unwrap()).unwrap();
    // SAFETY: alive; a C string.
    assert_eq!(
        // SAFETY: alive; a C string, which is read during the call.
        unsafe { ffi::evdns_base_load_hosts(c.raw, path.as_ptr()) },
        0
    );
    std::fs::remove_file(hosts).unwrap();
    let resolver = c.attach(config(&[]));
    let got = Got::new();
    let hints = AddrHints::new().tcp().canonical_name();
    let lookup = resolver.getaddrinfo(Some("www"), Some("80"), hints, got.note());
    assert!(got.is_empty());
    run_until_told(&mut c.base, &got);
    let found = got.once().unwrap();
    let addresses: Vec<_> = found.records.iter().map(|one| one.address.ip()).collect();
    // C's hosts have no IPv6 address: the server is asked for it.
    assert_eq!(addresses, [IpAddr::V6(IPV6), "192.0.2.9".parse().unwrap()]);
    drop((lookup, resolver));
}

/// What C's callback got: the result, and the first address.
type Answer = Cell<Option<(c_int, [u8; 4])>>;

unsafe extern "C" fn on_answer(
    result: c_int,
    _: c_char,
    count: c_int,
    _: c_int,
    addresses: *mut c_void,
    arg: *mut c_void,
) {
    // SAFETY: the tests hand over an `Answer` that lives until the loop has run; `addresses` has
    // `count` IPv4 addresses.
    unsafe {
        let first = match count {
            0 => [0; 4],
            _ => addresses.cast::<[u8; 4]>().read(),
        };
        (*arg.cast::<Answer>()).set(Some((result, first)));
    }
}

#[test]
fn c_asks_through_a_resolver_of_rust() {
    let _watchdog = bounded();
    let (dead, server) = (NameServer::silent(), knowing());
    let mut config = config(&[&server, &dead]);
    config.search = vec!["example".to_owned()];
    config.ndots = 3;
    let mut client = Client::new(config);
    // While the first server is asked alone.
    let under_way = Got::new();
    let lookup = client.resolver.lookup_ipv4("www", under_way.note());
    let raw = client.resolver.as_ptr();
    assert_eq!(client.resolver.as_ptr(), raw);
    let answer = Answer::default();
    // SAFETY: alive; the answer lives until the loop has run.
    unsafe {
        assert_eq!(ffi::evdns_base_count_nameservers(raw), 2);
        let arg = (&raw const answer).cast_mut().cast();
        let request = ffi::evdns_base_resolve_ipv4(raw, c"www.c".as_ptr(), 0, Some(on_answer), arg);
        assert!(!request.is_null());
    }
    while answer.get().is_none() || under_way.is_empty() {
        client.base.exit_after(ms(10)).unwrap();
        assert_eq!(client.base.run().unwrap(), LoopEnd::Exit);
    }
    assert_eq!(answer.take(), Some((ffi::DNS_ERR_NONE, IPV4.octets())));
    assert!(under_way.once().is_ok());
    assert!(server.names().contains(&"www.c.example".to_owned()) || !dead.queries().is_empty());

    // Rust's own names do not go through C's list, also where C has one function for both.
    let got = Got::new();
    let hints = AddrHints::new().tcp().ipv4().canonical_name();
    let host = Some("complete.test.");
    let second = client.resolver.getaddrinfo(host, None, hints, got.note());
    run_until_told(&mut client.base, &got);
    assert_eq!(got.once().unwrap().name, "complete.test");
    let asked = [server.names(), dead.names()].concat();
    assert!(asked.contains(&"complete.test".to_owned()));
    assert!(!asked.contains(&"complete.test.example".to_owned()));
    // C's servers hold the loop until it is closed.
    let timer = Timer::after(&client.base, ms(20), |_| ()).unwrap();
    client.base.run_once().unwrap();
    client.resolver.close();
    client.run();
    drop((lookup, second, timer));
}

#[test]
fn what_c_has_asked_fails_when_the_resolver_is_closed() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut client = Client::new(config(&[&server]));
    let raw = client.resolver.as_ptr();
    let answer = Answer::default();
    // SAFETY: alive; the answer lives until the loop has run.
    unsafe {
        let arg = (&raw const answer).cast_mut().cast();
        let request = ffi::evdns_base_resolve_ipv4(raw, c"www".as_ptr(), 0, Some(on_answer), arg);
        assert_ne!(request, ptr::null_mut());
    }
    client.resolver.close();
    client.run();
    assert_eq!(answer.take(), Some((ffi::DNS_ERR_SHUTDOWN, [0; 4])));
}

/// The base is C's, and Rust's part of it goes while questions are under way.
#[test]
fn an_attached_base_may_go_before_cs() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    // SAFETY: freed at the end, when what is attached to it is gone; it runs on this thread.
    unsafe {
        let raw = ffi::event_base_new();
        let base = EventBase::attach(raw);
        let resolver = Resolver::new(&base, config(&[&server])).unwrap();
        let lookup = resolver.lookup_host("www", |_| ()).unwrap();
        drop(base);
        assert!(lookup.is_done());
        // C's callbacks for what was cancelled.
        assert_eq!(ffi::event_base_dispatch(raw), 1);
        drop((lookup, resolver));
        ffi::event_base_free(raw);
    }
}
