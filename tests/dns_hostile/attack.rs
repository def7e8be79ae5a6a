//! One lookup under attack, and its peaceful neighbours.

use crate::dns_common::{NameServer, Query, impatient, labels};
use libevent2::dns::{Answer, Cause, Config, Lookup, LookupError, Resolver, ResolverRef};
use libevent2::util::{AddrHints, AddrInfo};
use libevent2::{EventBase, Kind, Result as EventResult};
use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

pub const NAME: &str = "www.example.com";
pub const IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
pub const IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
pub const FORGED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

/// Where the question begins: its name may be pointed to.
pub const QUESTION: u8 = 12;
/// The name of the question, by a pointer.
pub const SAME: [u8; 2] = [0xc0, QUESTION];

pub type Found<T> = Result<Answer<T>, LookupError>;
type Callback<T> = Box<dyn FnOnce(Found<T>)>;
type Slot<T> = Rc<RefCell<Vec<Found<T>>>>;

fn slot<T: 'static>() -> (Slot<T>, Callback<T>) {
    let slot = Slot::default();
    let ours = slot.clone();
    (slot, Box::new(move |found| ours.borrow_mut().push(found)))
}

fn one<T>(slot: Slot<T>) -> Found<T> {
    let mut got = slot.take();
    assert_eq!(got.len(), 1, "a closure is called once");
    got.remove(0)
}

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
    let (meanwhile, callback) = slot();
    let untouched = resolver.lookup_ipv6("meanwhile.good", callback).unwrap();
    let (attacked, callback) = slot();
    let lookup = ask(&resolver, callback).unwrap();
    base.run().unwrap();
    assert!(lookup.is_done() && untouched.is_done());
    let (later, callback) = slot();
    let lookup = resolver.lookup_ipv6("later.good", callback).unwrap();
    base.run().unwrap();
    drop(lookup);
    for good in [meanwhile, later] {
        assert_eq!(one(good).unwrap().records, [IPV6]);
    }
    assert_eq!(base.stats().live(Kind::Lookup), 0);
    one(attacked)
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
