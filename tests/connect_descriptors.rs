//! Connecting leaves no descriptor behind however it ends, and says so when there is none left.
//! Alone in its binary: the descriptors are the process's.
#![cfg(target_os = "linux")]

mod common;
mod connect_common;
mod dns_common;
mod stream_common;

use common::bounded;
use connect_common::silent;
use dns_common::NameServer;
use libevent2::dns::{Config, Resolver};
use libevent2::stream::{BufferEvent, Resolve};
use libevent2::{Error, EventBase};
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use stream_common::{Log, MOMENT, noting, noting_and, run_for, run_until};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn limit_descriptors(limit: u64) {
    // SAFETY: rlimit is plain data; the limit is lowered only.
    unsafe {
        let mut old: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut old), 0);
        old.rlim_cur = (limit as libc::rlim_t).min(old.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &old), 0);
    }
}

#[test]
fn every_end_of_an_attempt_closes_what_it_had_open() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| Some(query.address([127, 0, 0, 1], 60)));
    let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
    nothing_stays_open(&server, &somebody);
    when_none_is_left_everybody_is_told(&server, somebody.local_addr().unwrap());
}

fn nothing_stays_open(server: &NameServer, somebody: &TcpListener) {
    let (_listener, silent, _queue) = silent();
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let there = somebody.local_addr().unwrap();
    let before = descriptors();
    for (name, host) in [
        ("base", "localhost"),
        ("base", "127.0.0.1"),
        ("system", "localhost"),
        ("own", "www.example.com"),
    ] {
        let mut base = EventBase::new().unwrap();
        let config = Config::with_servers([server.address()]);
        let resolver = Resolver::new(&base, config).unwrap();
        let how = match name {
            "base" => Resolve::base(),
            "system" => Resolve::system(),
            _ => Resolve::by(&resolver),
        };
        let log = Log::default();
        let connect = |address: SocketAddr| {
            let close = noting_and(&log, |stream, _| stream.close());
            BufferEvent::connect_host_by(&base, &how, host, address.port(), close).unwrap()
        };
        // Dropped during the lookup, and closed by their handlers.
        for _ in 0..10 {
            drop(connect(there));
        }
        connect(there).detach();
        connect(nobody).detach();
        let late = connect(silent);
        late.set_timeouts(None, Some(MOMENT)).unwrap();
        late.detach();
        base.run().unwrap();
        assert_eq!(log.take().len(), 3);
        // Dropped while they connect, or with the base.
        let connect = |address: SocketAddr| {
            let port = address.port();
            BufferEvent::connect_host_by(&base, &how, host, port, noting(&log)).unwrap()
        };
        let dropped = connect(silent);
        connect(silent).detach();
        run_for(&mut base, MOMENT);
        drop(dropped);
        drop(base);
        assert!(log.take().is_empty());
        drop(somebody.accept().unwrap());
    }
    // A thread may still have to hear that nobody waits for it.
    while descriptors() > before {
        thread::yield_now();
    }
    assert_eq!(descriptors(), before);
}

fn when_none_is_left_everybody_is_told(server: &NameServer, there: SocketAddr) {
    limit_descriptors(100);
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let resolver = Resolver::new(&base, Config::with_servers([server.address()])).unwrap();
    let handle = base.handle().clone();
    let connect = |how: &Resolve, host: &str| {
        BufferEvent::connect_host_by(&handle, how, host, there.port(), noting(&log))
    };
    let os = |result: Result<BufferEvent, Error>| match result {
        Err(Error::Os { op, source }) => (op, source.raw_os_error()),
        other => panic!("{other:?}"),
    };
    let full = Some(libc::EMFILE);
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // The base's resolver is not there yet.
    assert_eq!(
        os(connect(&Resolve::base(), "localhost")),
        ("reading /etc/resolv.conf".to_owned(), full)
    );
    drop(taken);
    drop(connect(&Resolve::base(), "localhost").unwrap());

    let waiting = connect(&Resolve::base(), "127.0.0.1").unwrap();
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert_eq!(
        os(connect(&Resolve::system(), "localhost")),
        ("a socket pair for the lookup of localhost".to_owned(), full)
    );
    assert_eq!(
        os(BufferEvent::connect(&base, there, noting(&log))),
        (format!("connecting to {there}"), full)
    );
    base.run().unwrap();
    let error = io::Error::from_raw_os_error(libc::EMFILE);
    assert_eq!(log.take(), [format!("failed: {there}: {error}")]);
    assert!(!waiting.is_closed());
    let port = there.port();
    // What needs no name server is found, and then there is no socket for it.
    let known = connect(&Resolve::base(), "localhost").unwrap();
    base.run().unwrap();
    assert_eq!(
        log.take(),
        [format!("failed: localhost:{port} ({there}): {error}")]
    );
    // And what does has none to ask with.
    let asked = connect(&Resolve::by(&resolver), "www.example.com").unwrap();
    base.run().unwrap();
    let why = format!(
        "there is no name server to ask: {}: {error}",
        server.address()
    );
    let host = "www.example.com";
    assert_eq!(
        log.take(),
        [format!("failed: {host}:{port}: looking up {host}: {why}")]
    );
    assert!(!known.is_closed() && !asked.is_closed());
    drop(taken);
    // It is as if nothing had been.
    let again = connect(&Resolve::by(&resolver), "www.example.com").unwrap();
    run_until(&mut base, || log.count("connected") > 0);
    assert_eq!(log.take(), ["connected"]);
    drop(again);
}
