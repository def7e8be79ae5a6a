//! Connecting leaves no descriptor behind however it ends, and says so when there is none left.
//! Alone in its binary: the descriptors are the process's.
#![cfg(target_os = "linux")]

mod common;
mod stream_common;

use common::bounded;
use libevent2::stream::BufferEvent;
use libevent2::{Error, EventBase};
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use stream_common::{Log, MOMENT, noting, noting_and, run_for};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A listener whose queue is full: connecting to it takes until it is accepted, which is never.
fn silent() -> (TcpListener, SocketAddr, Vec<TcpStream>) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
    }
    (listener, address, queue)
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
    let (_listener, silent, _queue) = silent();
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = somebody.local_addr().unwrap();
    let before = descriptors();
    for host in ["localhost", "127.0.0.1"] {
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let connect = |address: SocketAddr| {
            let close = noting_and(&log, |stream, _| stream.close());
            BufferEvent::connect_host(&base, host, address.port(), close).unwrap()
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
            BufferEvent::connect_host(&base, host, address.port(), noting(&log)).unwrap()
        };
        let dropped = connect(silent);
        connect(silent).detach();
        run_for(&mut base, MOMENT);
        drop(dropped);
        drop(base);
        assert!(log.take().is_empty());
    }
    drop(somebody.accept().unwrap());
    // A thread may still have to hear that nobody waits for it.
    while descriptors() > before {
        thread::yield_now();
    }
    assert_eq!(descriptors(), before);

    // And when there is none left, everybody is told.
    limit_descriptors(100);
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let waiting =
        BufferEvent::connect_host(&base, "127.0.0.1", there.port(), noting(&log)).unwrap();
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let os = |result: Result<BufferEvent, Error>| match result {
        Err(Error::Os { op, source }) => (op, source.raw_os_error()),
        other => panic!("{other:?}"),
    };
    let full = Some(libc::EMFILE);
    assert_eq!(
        os(BufferEvent::connect_host(
            &base,
            "localhost",
            there.port(),
            noting(&log)
        )),
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
    drop(taken);
}
