//! Known defects of evdns: what the C call does, and what a [`Resolver`] does instead. The numbers
//! are those of `docs/traps.md`.
#![cfg(unix)]

#[path = "dns_c_defects/child.rs"]
mod child;
mod common;
mod dns_common;
#[path = "dns_c_defects/raw.rs"]
mod raw;

use child::{begun, broke_down, child, is_child, spoil_what_is_freed, survived};
use common::bounded;
use dns_common::got::{Found, Got, IPV4};
use dns_common::{A, NameServer, SERVER_FAILURE, impatient};
use libevent2::dns::{Cause, Config, Hosts, Lookup, Resolver, ResolverRef};
use libevent2::stream::{BufferEvent, Callbacks, Resolve, StreamError, StreamEvent};
use libevent2::util::{AddrHints, AddrInfo};
use libevent2::{EventBase, LoopEnd, Result as EventResult, ffi, version_number};
use raw::{Raw, Told};
use std::cell::Cell;
use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::raw::c_int;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{env, fs, process};

const NAME: &str = "www.example.com";
const DNS_ERR_TIMEOUT: c_int = ffi::DNS_ERR_TIMEOUT as c_int;

/// Mended on libevent's master branch.
fn mended_in_2_2() -> bool {
    version_number() >= 0x0202_0000
}

type Callback<T> = Box<dyn FnOnce(Found<T>)>;

/// Runs one lookup until the loop ends by itself.
fn found<T: 'static>(
    config: Config,
    ask: impl FnOnce(&ResolverRef, Callback<T>) -> EventResult<Lookup>,
) -> Found<T> {
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config).unwrap();
    let got = Got::new();
    let lookup = ask(&resolver, Box::new(got.note())).unwrap();
    assert!(got.is_empty(), "never from inside the call");
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    drop(lookup);
    got.once()
}

fn ipv4(config: Config) -> Found<Ipv4Addr> {
    found(config, |resolver, callback| {
        resolver.lookup_ipv4(NAME, callback)
    })
}

fn asking(server: &NameServer) -> Config {
    impatient(Config::with_servers([server.address()]))
}

/// A file of this content, until it is dropped.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("libevent2-defect-{name}-{}", process::id());
        let path = env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        TempFile(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

// --- the loop does not end ----------------------------------------------------------------------------

/// `EVDNS_BASE_DISABLE_WHEN_INACTIVE` is looked at when the servers are there already.
#[test]
fn a_resolver_of_the_system_without_lookups_does_not_hold_the_loop() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let flags = ffi::EVDNS_BASE_INITIALIZE_NAMESERVERS | ffi::EVDNS_BASE_DISABLE_WHEN_INACTIVE;
    let mut c = Raw::new(&mut base, flags as c_int);
    // NULL is the other defect, of an /etc/resolv.conf without a server.
    if !c.dns.is_null() {
        assert_eq!(c.holds_the_loop(), !mended_in_2_2());
        // SAFETY: nothing was asked.
        unsafe { c.free(true) };
    } else {
        assert!(!mended_in_2_2());
    }
    let _ours = Resolver::system(&base).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

/// C waits ten seconds, and then asks for google.com, again and again.
#[test]
fn a_server_that_failed_does_not_hold_the_loop() {
    let _watchdog = bounded();
    let silent = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let mut c = Raw::asking(&mut base, silent.address());
    let told = Told::default();
    c.ask(c"www.example.com", &told);
    assert_eq!(c.wait(&told), DNS_ERR_TIMEOUT);
    assert!(c.holds_the_loop(), "to probe");
    // SAFETY: nothing is asked, and no probe under way for ten seconds.
    unsafe { c.free(true) };

    let begun = Instant::now();
    let error = ipv4(asking(&silent)).unwrap_err();
    assert_eq!(error.cause(), Cause::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(3));
    let names = silent.names();
    assert!(names.iter().all(|name| name == NAME), "{names:?}");
}

// --- configuration ------------------------------------------------------------------------------------

#[test]
fn a_resolv_conf_without_servers_stands_for_the_server_on_this_machine() {
    let _watchdog = bounded();
    let file = TempFile::new("resolv.conf", "search example.com\noptions timeout:2\n");
    let mut base = EventBase::new().unwrap();
    let c = Raw::new(&mut base, 0);
    let name = CString::new(file.0.to_str().unwrap()).unwrap();
    let all = ffi::DNS_OPTION_SEARCH | ffi::DNS_OPTION_NAMESERVERS | ffi::DNS_OPTION_MISC;
    // SAFETY: alive; a C string.
    let code = unsafe { ffi::evdns_base_resolv_conf_parse(c.dns, all as c_int, name.as_ptr()) };
    // For this `evdns_base_new` gives NULL; in 2.2 it no longer does.
    assert_eq!(code, 6);
    // SAFETY: nothing was asked.
    unsafe { c.free(true) };

    let config = Config::from_file(&file.0).unwrap();
    assert_eq!(config.servers, ["127.0.0.1:53".parse().unwrap()]);
    assert_eq!(config.search, ["example.com"]);
    let resolver = Resolver::new(&base, config).unwrap();
    assert_eq!(resolver.servers().len(), 1);
}

/// T14: C says that it has found something, and gives NULL.
#[test]
fn t14_a_host_that_has_only_the_other_family_has_no_data() {
    let _watchdog = bounded();
    let file = TempFile::new("hosts", "192.0.2.7 www.example.com\n");
    let mut base = EventBase::new().unwrap();
    let c = Raw::new(&mut base, 0);
    c.load_hosts(&file.0);
    let told = Told::default();
    c.getaddrinfo(c"www.example.com", libc::AF_INET6, 0, &told);
    assert!(told.list.get().is_null());
    assert_eq!(told.result.get() == Some(0), !mended_in_2_2());
    // SAFETY: nothing was asked.
    unsafe { c.free(true) };

    let mut config = Config::with_servers(["127.0.0.1:9".parse().unwrap()]);
    config.hosts = Hosts::from_file(&file.0).unwrap();
    let error = found::<Ipv6Addr>(config.clone(), |resolver, callback| {
        resolver.lookup_ipv6(NAME, callback)
    });
    assert_eq!(error.unwrap_err().cause(), Cause::NoData);
    let error = found::<AddrInfo>(config.clone(), |resolver, callback| {
        resolver.getaddrinfo(Some(NAME), None, AddrHints::new().ipv6(), callback)
    });
    assert_eq!(error.unwrap_err().cause(), Cause::NoData);
    assert_eq!(ipv4(config).unwrap().records, [IPV4]);
}

/// T14: and then uses it.
#[test]
fn t14_a_stream_to_a_host_that_has_only_the_other_family_fails() {
    let _watchdog = bounded();
    let file = TempFile::new("hosts-stream", "192.0.2.7 www.example.com\n");
    if is_child() {
        let mut base = EventBase::new().unwrap();
        let c = Raw::new(&mut base, 0);
        c.load_hosts(&file.0);
        begun();
        // SAFETY: not sound before libevent 2.2, on purpose.
        unsafe {
            let stream = ffi::bufferevent_socket_new(c.base.as_ptr(), -1, 0);
            let name = c"www.example.com".as_ptr();
            ffi::bufferevent_socket_connect_hostname(stream, c.dns, libc::AF_INET6, name, 80);
            c.base.run_nonblocking().unwrap();
            ffi::bufferevent_free(stream);
            c.free(true);
        }
        return survived();
    }
    let output = child("t14_a_stream_to_a_host_that_has_only_the_other_family_fails");
    assert_eq!(broke_down(&output), !mended_in_2_2());

    let mut config = Config::with_servers(["127.0.0.1:9".parse().unwrap()]);
    config.hosts = Hosts::from_file(&file.0).unwrap();
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config).unwrap();
    let failed = Rc::new(Cell::new(false));
    let seen = failed.clone();
    let handler = Callbacks::new().on_event(move |_, event| match event {
        StreamEvent::Failed(StreamError::Lookup { .. }) => seen.set(true),
        event => panic!("{event:?}"),
    });
    let how = Resolve::by(&resolver).ipv6();
    let stream = BufferEvent::connect_host_by(&base, &how, NAME, 80, handler).unwrap();
    base.run().unwrap();
    assert!(failed.get());
    drop(stream);
}

// --- what is told --------------------------------------------------------------------------------------

#[test]
fn a_server_failure_is_no_timeout() {
    let _watchdog = bounded();
    let failing = NameServer::start(|query| Some(query.error(SERVER_FAILURE)));
    let mut base = EventBase::new().unwrap();
    let mut c = Raw::asking(&mut base, failing.address());
    c.option(c"timeout:", "5");
    let told = Told::default();
    c.ask(c"www.example.com", &told);
    assert_eq!(c.wait(&told), DNS_ERR_TIMEOUT, "at once");
    // SAFETY: nothing is asked, and no probe under way for ten seconds.
    unsafe { c.free(true) };

    let mut config = asking(&failing);
    config.timeout = Duration::from_secs(5);
    let error = ipv4(config).unwrap_err();
    assert_eq!(error.cause(), Cause::ServerFailed);
}

/// The callback of `evdns_getaddrinfo` may have been called when it returns, with NULL.
#[test]
fn what_is_known_at_once_is_told_by_the_loop_all_the_same() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let c = Raw::new(&mut base, 0);
    let told = Told::default();
    c.getaddrinfo(c"192.0.2.7", libc::AF_INET, 0, &told);
    assert_eq!(told.result.get(), Some(0), "before the loop runs");
    // SAFETY: the list is ours; nothing was asked.
    unsafe {
        ffi::evutil_freeaddrinfo(told.list.get());
        c.free(true);
    }

    let config = Config::with_servers(["127.0.0.1:9".parse().unwrap()]);
    let answer = found::<AddrInfo>(config, |resolver, callback| {
        resolver.getaddrinfo(Some("192.0.2.7"), None, AddrHints::new(), callback)
    });
    let address = answer.unwrap().records[0].address;
    assert_eq!(address, SocketAddr::new(IPV4.into(), 0));
}

/// A name of 64 bytes is too long for the buffer of libevent 2.1 on Linux.
#[test]
fn an_alias_of_a_long_name_has_its_addresses_all_the_same() {
    let _watchdog = bounded();
    let long = format!("{}.example.com", "x".repeat(63));
    let server = NameServer::start({
        let long = long.clone();
        move |query| {
            let alias = query.reply().cname(&query.exact, 60, &long);
            let reply = match query.kind {
                A => alias.a(&long, 60, IPV4),
                _ => alias,
            };
            Some(reply.bytes())
        }
    });
    let mut base = EventBase::new().unwrap();
    let mut c = Raw::asking(&mut base, server.address());
    let told = Told::default();
    let canonical = libc::AI_CANONNAME;
    c.getaddrinfo(c"www.example.com", libc::AF_INET, canonical, &told);
    let failed = c.wait(&told) != 0;
    if cfg!(target_os = "linux") {
        assert_eq!(failed, !mended_in_2_2());
    }
    // SAFETY: the list is ours, or NULL; nothing is asked any more.
    unsafe {
        if !told.list.get().is_null() {
            ffi::evutil_freeaddrinfo(told.list.get());
        }
        c.free(true);
    }

    let answer = found::<AddrInfo>(asking(&server), |resolver, callback| {
        let hints = AddrHints::new().ipv4().canonical_name();
        resolver.getaddrinfo(Some(NAME), None, hints, callback)
    });
    let answer = answer.unwrap();
    assert_eq!(answer.records[0].address.ip(), IpAddr::V4(IPV4));
    assert_eq!(answer.canonical_name, (!failed).then_some(long));
}

// --- freed while it works --------------------------------------------------------------------------------

/// T16: the probe of a server is answered with "shut down", when the server is freed already.
#[test]
fn t16_a_resolver_may_be_closed_while_its_servers_are_tried_again() {
    let _watchdog = bounded();
    let silent = NameServer::silent();
    if is_child() {
        // SAFETY: first of all.
        unsafe { spoil_what_is_freed() };
        let mut base = EventBase::new().unwrap();
        let mut c = Raw::asking(&mut base, silent.address());
        c.option(c"initial-probe-timeout:", "0.01");
        let told = Told::default();
        c.ask(c"www.example.com", &told);
        assert_eq!(c.wait(&told), DNS_ERR_TIMEOUT);
        // The probe's own.
        c.option(c"timeout:", "20");
        let probed = || {
            silent
                .names()
                .last()
                .is_some_and(|name| name == "google.com")
        };
        while !probed() {
            c.base.exit_after(Duration::from_millis(5)).unwrap();
            c.base.run().unwrap();
        }
        begun();
        // SAFETY: not sound, on purpose.
        unsafe { c.free(true) };
        return survived();
    }
    let output = child("t16_a_resolver_may_be_closed_while_its_servers_are_tried_again");
    assert!(broke_down(&output));

    // A name server that is given up and tried again all the time, and closed at any moment of it.
    for moment in [0, 10, 25, 40, 60, 110] {
        let mut config = asking(&silent);
        config.timeout = Duration::from_millis(10);
        config.retry_failed = Duration::from_millis(15);
        let mut base = EventBase::new().unwrap();
        let resolver = Resolver::new(&base, config).unwrap();
        let got = Got::new();
        let lookup = resolver.lookup_host(NAME, got.note()).unwrap();
        base.exit_after(Duration::from_millis(moment)).unwrap();
        base.run().unwrap();
        drop(resolver);
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        drop(lookup);
        // On a machine that stalls, a timeout of 10 ms cannot be told from a server that failed.
        let cause = got.cause();
        assert!(
            matches!(cause, Cause::Closed | Cause::TimedOut | Cause::ServerFailed),
            "{cause:?}"
        );
    }
    let names = silent.names();
    assert!(names.iter().all(|name| name == NAME), "{names:?}");
}

/// T16: the timer that waits for the other family lives on when its resolver is freed.
#[test]
fn t16_a_resolver_may_be_closed_when_one_family_is_there_and_the_other_is_not() {
    let _watchdog = bounded();
    let halved = NameServer::start(|query| (query.kind == A).then(|| query.address(IPV4, 60)));
    if is_child() {
        // SAFETY: first of all.
        unsafe { spoil_what_is_freed() };
        let mut base = EventBase::new().unwrap();
        let c = Raw::asking(&mut base, halved.address());
        c.option(c"timeout:", "20");
        c.option(c"getaddrinfo-allow-skew:", "0.2");
        let told = Told::default();
        c.getaddrinfo(c"www.example.com", libc::AF_UNSPEC, 0, &told);
        // The answer is there before the timer's time, which begins with it.
        c.base.exit_after(Duration::from_millis(150)).unwrap();
        c.base.run().unwrap();
        assert_eq!(told.result.get(), None);
        begun();
        // SAFETY: not sound, on purpose.
        unsafe { c.free(false) };
        return survived();
    }
    let output =
        child("t16_a_resolver_may_be_closed_when_one_family_is_there_and_the_other_is_not");
    assert!(broke_down(&output));

    let mut base = EventBase::new().unwrap();
    let mut config = asking(&halved);
    config.timeout = Duration::from_secs(20);
    config.family_delay = Duration::from_millis(200);
    let resolver = Resolver::new(&base, config).unwrap();
    let got = Got::new();
    let lookup = resolver.lookup_host(NAME, got.note()).unwrap();
    base.exit_after(Duration::from_millis(100)).unwrap();
    base.run().unwrap();
    assert!(got.is_empty());
    drop(resolver);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    drop(lookup);
    assert_eq!(got.cause(), Cause::Closed);
}
