//! A process that has no descriptor left. Alone in its binary: the limit is the process's.
#![cfg(all(feature = "http", unix))]

mod common;
mod evhttp_common;

use common::bounded;
use evhttp_common::{Client, finish, in_background, request};
use libevent2::evhttp::{Request, Server};
use libevent2::{EventBase, Timer};
use std::fs::File;
use std::time::Duration;

/// The processor time that this process has used.
fn used() -> Duration {
    // SAFETY: rusage is plain data, and written by getrusage.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000))
        .iter()
        .sum()
}

fn limit_descriptors(limit: u64) {
    // SAFETY: rlimit is plain data; the limit is lowered only.
    unsafe {
        let mut old: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut old), 0);
        let new = libc::rlimit {
            rlim_cur: (limit as libc::rlim_t).min(old.rlim_max),
            rlim_max: old.rlim_max,
        };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &new), 0);
    }
}

#[test]
fn a_server_waits_for_descriptors_without_spinning() {
    let _bounded = bounded();
    limit_descriptors(100);
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server.set_gencb(|request: Request| request.reply(200, None, "served"));
    let addr = server.local_addrs()[0];

    // The system has accepted these; the server cannot.
    let mut clients: Vec<Client> = (0..20).map(|_| Client::new(addr)).collect();
    for client in &mut clients {
        client.send(request("GET /", "\r\n"));
    }
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }

    let before = used();
    let waited = Duration::from_millis(1000);
    let stop = Timer::after(&base, waited, |handle| handle.exit_now()).unwrap();
    base.run().unwrap();
    let spent = used() - before;
    assert_eq!(server.in_flight(), 0);
    assert!(
        spent < waited / 5,
        "{spent:?} of {waited:?} spent on waiting"
    );
    drop(stop);

    // Descriptors for some of the clients: these are served, the others wait.
    taken.truncate(taken.len() - 5);
    let reader = in_background(&base, addr, move |_| {
        for client in &mut clients {
            assert_eq!(client.read().unwrap().text(), "served");
            // Makes room for another.
            client.stream().shutdown(std::net::Shutdown::Both).unwrap();
        }
    });
    base.run_until_exit().unwrap();
    reader.join().unwrap();
    drop(taken);

    // Closing while it pauses is fine.
    let waiting = Client::new(addr);
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    let soon = Timer::after(&base, Duration::from_millis(30), |handle| handle.exit_now()).unwrap();
    base.run().unwrap();
    drop(soon);
    assert_eq!(base.stats().live_total(), 1);
    finish(&mut base, server);
    drop((waiting, taken));
}
