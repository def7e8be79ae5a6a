//! An answer over UDP that was cut short, and what comes over TCP then: libevent 2.2 asks there,
//! where 2.1 knows no other way.

mod common;
mod dns_common;

use common::bounded;
use dns_common::{NameServer, Query, impatient};
use libevent2::dns::{Answer, Cause, Config, LookupError, Resolver};
use libevent2::{EventBase, Kind, version_number};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "www.example.com";
const IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// A name server whose answers over UDP are cut short, and the one for TCP on the same port.
fn name_server() -> (NameServer, TcpListener) {
    loop {
        let udp = NameServer::start(|query| Some(query.reply().truncated().bytes()));
        if let Ok(tcp) = TcpListener::bind(udp.address()) {
            return (udp, tcp);
        }
    }
}

/// The result of a lookup, when each connection that asks gets what `answer` has for it and is
/// closed then, or later.
fn ipv4(
    answer: impl Fn(&Query) -> Vec<u8> + Send + 'static,
    close: bool,
) -> Result<Answer<Ipv4Addr>, LookupError> {
    let (udp, tcp) = name_server();
    // It ends with the process.
    thread::spawn(move || {
        let mut open = Vec::new();
        for connection in tcp.incoming() {
            let mut connection = connection.unwrap();
            if let Some(query) = question(&mut connection) {
                let _ = connection.write_all(&answer(&query));
            }
            if !close {
                open.push(connection);
            }
        }
    });
    let mut base = EventBase::new().unwrap();
    let config = impatient(Config::with_servers([udp.address()]));
    let resolver = Resolver::new(&base, config).unwrap();
    let results = Rc::<RefCell<Vec<_>>>::default();
    let slot = results.clone();
    let lookup = resolver.lookup_ipv4(NAME, move |found| slot.borrow_mut().push(found));
    lookup.unwrap().detach();
    let begun = Instant::now();
    base.run().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(base.stats().live(Kind::Lookup), 0);
    let mut results = results.take();
    assert_eq!(results.len(), 1, "a closure is called once");
    results.remove(0)
}

/// Over TCP a message comes after its length.
fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

fn question(connection: &mut TcpStream) -> Option<Query> {
    let mut length = [0; 2];
    connection.read_exact(&mut length).ok()?;
    let mut question = vec![0; u16::from_be_bytes(length).into()];
    connection.read_exact(&mut question).ok()?;
    Query::parse(&question, connection.peer_addr().ok()?)
}

/// Whether anybody asks over TCP.
fn asks() -> bool {
    version_number() >= 0x0202_0000
}

#[test]
fn a_long_answer_comes_over_tcp_or_is_an_error_that_says_why_not() {
    let _watchdog = bounded();
    let right = |query: &Query| message(&query.address(IPV4, 60));
    let twice = move |query: &Query| [right(query), right(query)].concat();
    let another_id_first = move |query: &Query| {
        let mut other = query.clone();
        other.id ^= 1;
        [right(&other), right(query)].concat()
    };
    for close in [false, true] {
        for found in [
            ipv4(right, close),
            ipv4(twice, close),
            ipv4(another_id_first, false),
        ] {
            if asks() {
                assert_eq!(found.unwrap().records, [IPV4]);
            } else {
                assert_eq!(found.unwrap_err().cause(), Cause::Truncated);
            }
        }
    }
}

#[test]
fn whatever_comes_over_tcp_is_an_error() {
    let _watchdog = bounded();
    for bytes in [
        &[][..],
        &[0],
        &[0, 0],
        &[0, 0, 0, 0],
        &[0, 1, 0],
        &[0, 12, 0, 0],
        &[0xff; 2],
        &[0xff; 200],
        &[0; 70_000],
        &[0xff; 70_000],
    ] {
        for close in [false, true] {
            let bytes = bytes.to_vec();
            let error = ipv4(move |_| bytes.clone(), close).unwrap_err();
            let expected = match asks() {
                false => error.cause() == Cause::Truncated,
                true => matches!(
                    error.cause(),
                    Cause::TimedOut | Cause::ServerFailed | Cause::BadAnswer
                ),
            };
            assert!(expected, "{error}");
        }
    }
}

#[test]
fn an_answer_over_tcp_that_is_cut_off_anywhere_is_an_error() {
    let _watchdog = bounded();
    for length in [1, 2, 3, 13, 14, 20, 40] {
        let cut = ipv4(
            move |query| {
                let mut bytes = message(&query.address(IPV4, 60));
                bytes.truncate(length);
                bytes
            },
            true,
        );
        let shorter = ipv4(
            move |query| message(&query.address(IPV4, 60)[..length]),
            true,
        );
        for error in [cut.unwrap_err(), shorter.unwrap_err()] {
            assert_eq!(error.cause() == Cause::Truncated, !asks(), "{error}");
        }
    }
}
