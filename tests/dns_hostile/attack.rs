//! One lookup under attack, and its peaceful neighbours.

pub use crate::dns_common::got::{Found, IPV4, IPV6};

use crate::dns_common::got::Got;
use crate::dns_common::{NameServer, Query, impatient, labels};
use libevent2::dns::{Cause, Config, Lookup, Resolver, ResolverRef};
use libevent2::util::{AddrHints, AddrInfo};
use libevent2::{EventBase, Kind, Result as EventResult};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub const NAME: &str = "www.example.com";
pub const FORGED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

/// Where the question begins: its name may be pointed to.
pub const QUESTION: u8 = 12;
/// The name of the question, by a pointer.
pub const SAME: [u8; 2] = [0xc0, QUESTION];

type Callback<T> = Box<dyn FnOnce(Found<T>)>;

/// The result of a lookup whose questions are answered like this, while another one is under way,
/// and before a third one, which are answered as they should be.
fn attacked<T: 'static>(
    mut answers: impl FnMut(&Query) -> Vec<Vec<u8>> + Send + 'static,
    ask: impl FnOnce(&ResolverRef, Callback<T>) -> EventResult<Lookup>,
) -> Found<T> {
    let server = NameServer::start(move |query| match query.name.ends_with(".good") {
        true => vec![query.address(IPV6, 5)],
        false => answers(query),
    });
    let mut base = EventBase::new().unwrap();
    let mut config = impatient(Config::with_servers([server.address()]));
    // Whom C has not heard of for that long has failed, which is all that it tells.
    config.timeout = Duration::from_secs(1);
    let resolver = Resolver::new(&base, config).unwrap();
    let meanwhile = Got::new();
    let untouched = resolver
        .lookup_ipv6("meanwhile.good", meanwhile.note())
        .unwrap();
    let attacked = Got::new();
    let lookup = ask(&resolver, Box::new(attacked.note())).unwrap();
    base.run().unwrap();
    assert!(lookup.is_done() && untouched.is_done());
    let later = Got::new();
    let lookup = resolver.lookup_ipv6("later.good", later.note()).unwrap();
    base.run().unwrap();
    drop(lookup);
    for good in [meanwhile, later] {
        assert_eq!(good.once().unwrap().records, [IPV6]);
    }
    assert_eq!(base.stats().live(Kind::Lookup), 0);
    attacked.once()
}

pub fn ipv4(answers: impl FnMut(&Query) -> Vec<Vec<u8>> + Send + 'static) -> Found<Ipv4Addr> {
    attacked(answers, |resolver, callback| {
        resolver.lookup_ipv4(NAME, callback)
    })
}

pub fn ipv6(answers: impl FnMut(&Query) -> Vec<Vec<u8>> + Send + 'static) -> Found<Ipv6Addr> {
    attacked(answers, |resolver, callback| {
        resolver.lookup_ipv6(NAME, callback)
    })
}

pub fn pointer(answers: impl FnMut(&Query) -> Vec<Vec<u8>> + Send + 'static) -> Found<String> {
    attacked(answers, |resolver, callback| {
        resolver.lookup_addr(IPV4.into(), callback)
    })
}

pub fn canonical(answers: impl FnMut(&Query) -> Vec<Vec<u8>> + Send + 'static) -> Found<AddrInfo> {
    let hints = AddrHints::new().ipv4().tcp().canonical_name();
    attacked(answers, move |resolver, callback| {
        resolver.getaddrinfo(Some(NAME), None, hints, callback)
    })
}

pub fn right(query: &Query) -> Vec<u8> {
    query.address(IPV4, 60)
}

#[track_caller]
pub fn assert_right(found: Found<Ipv4Addr>) {
    assert_eq!(found.unwrap().records, [IPV4]);
}

#[track_caller]
pub fn assert_fails<T: std::fmt::Debug>(found: Found<T>, cause: Cause) {
    let error = found.unwrap_err();
    assert_eq!(error.cause(), cause, "{error}");
}

/// Names that end nowhere, or too late; they are put where a message has had `at` bytes.
pub fn bad_names(at: usize) -> Vec<Vec<u8>> {
    let at = at as u8;
    let long_labels = |count: usize| [1, b'x'].repeat(count);
    let mut names = vec![
        // To itself.
        vec![0xc0, at],
        // To and fro.
        vec![0xc0, at + 2, 0xc0, at],
        // A label, and then from the beginning.
        vec![1, b'x', 0xc0, at],
        // Beyond the end.
        vec![0xff, 0xff],
        vec![0xc1, 0xff],
        // 257 bytes and more, with a dot between two labels. (C has room for 255, where 253 are
        // allowed.)
        [long_labels(129), vec![0]].concat(),
        [long_labels(700), vec![0]].concat(),
        [long_labels(127), SAME.to_vec()].concat(),
    ];
    // Labels over 63 bytes, which there is no way to write.
    for length in [64, 65, 127, 128, 191] {
        let label = [&[length][..], &vec![0xff; length.into()], &[0]].concat();
        names.push(label);
    }
    names
}

/// Where the first record's owner is, and its data when the owner is [`SAME`].
pub fn places(name: &str) -> (usize, usize) {
    let owner = usize::from(QUESTION) + labels(name).len() + 4;
    (owner, owner + 12)
}
