//! libevent's own regress cases for DNS (test/regress_dns.c): whom a resolver asks, and its
//! options. The whole list, and what differs, is in docs/regress.md.
#![expect(non_snake_case, reason = "a test has the name of its original")]

mod common;
mod dns_common;
#[path = "common/regress_dns.rs"]
mod regress_dns;

use common::bounded;
use dns_common::NameServer;
use libevent2::dns::{Cause, Config, Resolver};
use libevent2::{Error, EventBase, LoopEnd};
use regress_dns::{FOOF, Got, ms};
use socket2::{SockRef, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;
use std::{fs, process};

#[test]
fn initialize_nameservers() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, Config::default()).unwrap();
    assert!(resolver.servers().is_empty());
    let got = Got::<Ipv4Addr>::new();
    let lookup = resolver.lookup_ipv4(FOOF, got.note()).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(got.cause(), Cause::NoServer);
    drop((resolver, lookup));

    let resolver = Resolver::system(&base).unwrap();
    assert!(!resolver.servers().is_empty());
    drop(resolver);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn nameservers_no_default() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let path = std::env::temp_dir().join(format!("empty-resolv-{}.conf", process::id()));
    fs::write(&path, "").unwrap();
    let resolver = Resolver::new(&base, Config::default()).unwrap();
    assert!(resolver.servers().is_empty());
    // The text says nothing, and nothing is made up.
    resolver.set_config(Config::parse("")).unwrap();
    assert!(resolver.servers().is_empty());
    // A file has defaults.
    resolver
        .set_config(Config::from_file(&path).unwrap())
        .unwrap();
    let here: SocketAddr = "127.0.0.1:53".parse().unwrap();
    assert_eq!(resolver.servers(), [here]);
    fs::remove_file(&path).unwrap();
    let missing = Config::from_file(&path).unwrap_err();
    assert!(matches!(missing, Error::Os { .. }), "{missing}");
}

/// The sizes of the buffers of this process's UDP socket with that port.
fn buffers_at(port: u16) -> Option<(usize, usize)> {
    (3..1024).find_map(|fd| {
        // SAFETY: no preconditions.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return None;
        }
        // SAFETY: it was open a moment ago. Another test may close it meanwhile: then the system
        // refuses, or it is not the one that is looked for.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = SockRef::from(&fd);
        let is_udp = socket.r#type().ok()? == Type::DGRAM;
        let addr = socket.local_addr().ok()?.as_socket()?;
        let sizes = (
            socket.recv_buffer_size().ok()?,
            socket.send_buffer_size().ok()?,
        );
        (is_udp && addr.port() == port).then_some(sizes)
    })
}

#[test]
fn set_SO_RCVBUF_SO_SNDBUF() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let mut config = Config::parse("options so-rcvbuf:10240 so-sndbuf:20480");
    assert_eq!(config.receive_buffer, Some(10240));
    assert_eq!(config.send_buffer, Some(20480));
    config.servers = vec![server.address()];
    let resolver = Resolver::new(&base, config).unwrap();
    let _lookup = resolver.lookup_ipv4(FOOF, |_| {}).unwrap();
    let query = loop {
        base.exit_after(ms(5)).unwrap();
        base.run().unwrap();
        if let Some(query) = server.queries().pop() {
            break query;
        }
    };
    // Linux doubles what it is told.
    let times = if cfg!(target_os = "linux") { 2 } else { 1 };
    let sizes = (10240 * times, 20480 * times);
    assert_eq!(buffers_at(query.from.port()), Some(sizes));
}

type Get<T> = fn(&Config) -> T;
type Change = fn(&mut Config);

/// What an option becomes, which a resolver takes then.
fn set<T>(option: &str, value: &str, get: Get<T>) -> T {
    let config = Config::parse(&format!("options {option}:{value}"));
    let base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, Config::default()).unwrap();
    resolver.set_config(config.clone()).unwrap();
    assert_eq!(resolver.config(), config);
    get(&config)
}

#[test]
fn set_options() {
    let _watchdog = bounded();
    let none = Config::default();
    let numbers: [(&str, Get<u32>, [u32; 3]); 5] = [
        ("ndots", |config| config.ndots.into(), [0, 1, 15]),
        (
            "max-timeouts",
            |config| config.max_timeouts.into(),
            [1, 1, 255],
        ),
        (
            "max-inflight",
            |config| config.max_in_flight.into(),
            [1, 1, 10000],
        ),
        ("attempts", |config| config.attempts.into(), [1, 1, 255]),
        (
            "randomize-case",
            |config| config.randomize_case.into(),
            [0, 1, 1],
        ),
    ];
    for (option, get, values) in numbers {
        assert_eq!(
            ["0", "1", "10000"].map(|text| set(option, text, get)),
            values,
            "{option}"
        );
        // C refuses these two; in a file they are passed over.
        for text in ["foo", "3.14"] {
            assert_eq!(set(option, text, get), get(&none), "{option}:{text}");
        }
    }
    let sizes: [(&str, Get<Option<u32>>); 2] = [
        ("so-rcvbuf", |config| config.receive_buffer),
        ("so-sndbuf", |config| config.send_buffer),
    ];
    for (option, get) in sizes {
        let values = ["0", "1", "10000", "foo", "3.14"].map(|text| set(option, text, get));
        assert_eq!(values, [None, Some(1), Some(10000), None, None], "{option}");
    }
    let times: [(&str, Get<Duration>, u64); 3] = [
        ("timeout", |config| config.timeout, 30),
        ("getaddrinfo-allow-skew", |config| config.family_delay, 3600),
        ("initial-probe-timeout", |config| config.retry_failed, 1800),
    ];
    for (option, get, most) in times {
        let values = ["1", "0.001", "3.14", "10000"].map(|text| set(option, text, get));
        let most = Duration::from_secs(most);
        assert_eq!(values, [ms(1000), ms(1), ms(3140), most], "{option}");
        for text in ["0", "foo"] {
            assert_eq!(set(option, text, get), get(&none), "{option}:{text}");
        }
    }
    for (text, addr) in [
        ("8.8.8.8:80", Some("8.8.8.8:80")),
        ("1.2.3.4", Some("1.2.3.4:0")),
        ("::1:82", Some("[::1:82]:0")),
        ("3::4", Some("[3::4]:0")),
        ("3.14", None),
        ("foo", None),
    ] {
        let addr = addr.map(|addr| addr.parse::<SocketAddr>().unwrap());
        assert_eq!(set("bind-to", text, |config| config.bind), addr, "{text}");
    }
    // What is not from a file is refused, by name.
    let base = EventBase::new().unwrap();
    let wrong: [(&str, Change); 3] = [
        ("timeout", |config| config.timeout = Duration::ZERO),
        ("receive_buffer", |config| config.receive_buffer = Some(0)),
        ("send_buffer", |config| config.send_buffer = Some(1 << 31)),
    ];
    for (name, change) in wrong {
        let mut config = Config::default();
        change(&mut config);
        let error = Resolver::new(&base, config).unwrap_err();
        assert!(
            matches!(&error, Error::Invalid { what, .. } if *what == name),
            "{error:?}"
        );
    }
}
