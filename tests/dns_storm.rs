//! Everything that can be done with a resolver, in random order: each closure is dropped once, and
//! called at most once.

mod common;
mod dns_common;

use common::{Bump, Count, DropCount, Watchdog, count};
use dns_common::got::{config, known, ms};
use dns_common::{NO_SUCH_NAME, NameServer, Query, REFUSED, SERVER_FAILURE};
use libevent2::dns::{Config, Lookup, Resolver};
use libevent2::util::AddrHints;
use libevent2::{EventBase, Kind};
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// Numbers that are the same in every run (xorshift).
struct Dice(Cell<u64>);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 16) % sides
    }
}

/// By the name's first letter.
fn answer(query: &Query) -> Option<Vec<u8>> {
    match query.name.as_bytes().first() {
        Some(b's') => None,
        Some(b'r') => Some(query.error(REFUSED)),
        Some(b'f') => Some(query.error(SERVER_FAILURE)),
        Some(b'n') => Some(query.error(NO_SUCH_NAME)),
        Some(b't') => Some(query.reply().truncated().bytes()),
        Some(b'e') => Some(query.reply().bytes()),
        _ => Some(known(query)),
    }
}

const HOSTS: [&str; 10] = [
    "known",
    "silent",
    "refused",
    "failing",
    "nowhere",
    "truncated",
    "empty",
    "192.0.2.7",
    "a..b",
    "known.",
];

struct Storm {
    dice: Dice,
    resolver: RefCell<Rc<Resolver>>,
    configs: Vec<Config>,
    lookups: RefCell<Vec<Lookup>>,
    begun: Cell<usize>,
    called: Count,
    dropped: Count,
}

impl Storm {
    fn act(self: &Rc<Self>, depth: usize) {
        let resolver = self.resolver.borrow().clone();
        match self.dice.roll(16) {
            0..=7 => self.look_up(&resolver, depth),
            8 => drop(self.pick()),
            9 => {
                if let Some(lookup) = self.pick() {
                    lookup.cancel();
                }
            }
            10 => {
                if let Some(lookup) = self.pick() {
                    lookup.detach();
                }
            }
            11 => _ = resolver.suspend(),
            12 | 13 => _ = resolver.resume(),
            14 => {
                let config = &self.configs[self.dice.roll(self.configs.len() as u64) as usize];
                _ = resolver.set_config(config.clone());
            }
            _ if self.dice.roll(4) == 0 => self.renew(),
            _ => _ = (resolver.servers(), format!("{resolver:?}")),
        }
    }

    fn pick(&self) -> Option<Lookup> {
        let mut lookups = self.lookups.borrow_mut();
        let index = self.dice.roll(lookups.len().max(1) as u64) as usize;
        (index < lookups.len()).then(|| lookups.swap_remove(index))
    }

    /// Another resolver in its place.
    fn renew(&self) {
        let old = self.resolver.borrow().clone();
        if self.dice.roll(2) == 0 {
            old.close();
        }
        if let Ok(new) = Resolver::new(old.handle(), self.configs[0].clone()) {
            drop((self.resolver.replace(Rc::new(new)), old));
        }
    }

    fn look_up(self: &Rc<Self>, resolver: &Resolver, depth: usize) {
        let host = HOSTS[self.dice.roll(HOSTS.len() as u64) as usize];
        let hints = AddrHints::new().tcp().canonical_name();
        let lookup = match self.dice.roll(5) {
            0 => resolver.lookup_ipv4(host, self.closure(depth)),
            1 => resolver.lookup_ipv6(host, self.closure(depth)),
            2 => resolver.lookup_addr(IpAddr::from([192, 0, 2, 7]), self.closure(depth)),
            3 => resolver.getaddrinfo(Some(host), None, hints, self.closure(depth)),
            _ => resolver.lookup_host(host, self.closure(depth)),
        };
        self.lookups.borrow_mut().extend(lookup);
    }

    fn closure<T>(self: &Rc<Self>, depth: usize) -> impl FnOnce(T) + 'static {
        self.begun.set(self.begun.get() + 1);
        let token = DropCount(self.dropped.clone());
        let storm = Rc::downgrade(self);
        move |_| {
            let _token = token;
            let Some(storm) = storm.upgrade() else { return };
            storm.called.bump();
            if depth < 3 {
                storm.act(depth + 1);
            }
        }
    }
}

#[test]
fn whatever_is_done_each_closure_is_dropped_once() {
    let _watchdog = Watchdog::new(Duration::from_secs(180));
    let (one, two) = (NameServer::start(answer), NameServer::start(answer));
    let dead = NameServer::silent();
    let mut configs = vec![
        config(&[&one, &two]),
        config(&[&dead, &one]),
        config(&[&one, &dead, &two]),
        config(&[&two]),
        Config::default(),
    ];
    for (index, config) in configs.iter_mut().enumerate() {
        config.timeout = ms(8);
        config.deadline = ms(60);
        config.family_delay = ms(5);
        config.retry_failed = ms(10);
        config.max_in_flight = if index == 2 { 1 } else { 64 };
        config.search = vec!["one.example".to_owned(), "two.example".to_owned()];
    }
    for seed in 1..=12 {
        let mut base = EventBase::new().unwrap();
        let resolver = Resolver::new(&base, configs[seed % 4].clone()).unwrap();
        let storm = Rc::new(Storm {
            dice: Dice(Cell::new((seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            resolver: RefCell::new(Rc::new(resolver)),
            configs: configs.clone(),
            lookups: RefCell::default(),
            begun: Cell::new(0),
            called: count(),
            dropped: count(),
        });
        for _ in 0..60 {
            for _ in 0..storm.dice.roll(12) {
                storm.act(0);
            }
            base.exit_after(ms(storm.dice.roll(6))).unwrap();
            base.run().unwrap();
        }
        if seed % 3 == 0 {
            // To the end.
            storm
                .resolver
                .borrow()
                .set_config(configs[0].clone())
                .unwrap();
            storm.resolver.borrow().resume().unwrap();
            base.run().unwrap();
            assert_eq!(base.stats().live(Kind::Lookup), 0);
            assert_eq!(storm.dropped.get(), storm.begun.get());
        }
        let (called, dropped, begun) = (
            storm.called.clone(),
            storm.dropped.clone(),
            storm.begun.get(),
        );
        match seed % 2 {
            0 => drop((base, storm)),
            _ => drop((storm, base)),
        }
        assert_eq!(dropped.get(), begun, "seed {seed}");
        assert!(called.get() <= begun && called.get() > 0);
    }
}
