//! What the closures of lookups get, and a resolver with its loop.
#![allow(dead_code, reason = "not every test needs all of it")]

use super::{A, AAAA, NameServer, Query, impatient};
use libevent2::dns::{Answer, Cause, Config, LookupError, Resolver};
use libevent2::{EventBase, Kind, LoopEnd};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub const IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
pub const IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

pub const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// Answers with an address of the family that was asked for.
pub fn known(query: &Query) -> Vec<u8> {
    match query.kind {
        A => query.address(IPV4, 60),
        AAAA => query.address(IPV6, 60),
        _ => query.reply().ptr(&query.exact, 60, "host.example").bytes(),
    }
}

/// A server that knows every name.
pub fn knowing() -> NameServer {
    NameServer::start(|query| Some(known(query)))
}

pub fn config(servers: &[&NameServer]) -> Config {
    impatient(Config::with_servers(
        servers.iter().map(|server| server.address()),
    ))
}

pub type Found<T> = Result<Answer<T>, LookupError>;

/// What a closure got.
pub struct Got<T>(Rc<RefCell<Vec<Found<T>>>>);

impl<T: 'static> Got<T> {
    pub fn new() -> Self {
        Got(Rc::default())
    }

    /// The closure.
    pub fn note(&self) -> impl FnOnce(Found<T>) + 'static {
        let got = self.0.clone();
        move |found| got.borrow_mut().push(found)
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Whether the closure is gone, called or not.
    pub fn is_dropped(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// What it got, in one call; it is gone.
    #[track_caller]
    pub fn once(&self) -> Found<T> {
        assert!(self.is_dropped(), "the closure is dropped");
        let mut got = self.0.take();
        assert_eq!(got.len(), 1, "it is called once");
        got.remove(0)
    }

    #[track_caller]
    pub fn records(&self) -> Vec<T> {
        match self.once() {
            Ok(answer) => answer.records,
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    pub fn error(&self) -> LookupError {
        match self.once() {
            Ok(answer) => panic!("{} was found", answer.name),
            Err(error) => error,
        }
    }

    #[track_caller]
    pub fn cause(&self) -> Cause {
        self.error().cause()
    }
}

/// A resolver, and the loop that it is on.
pub struct Client {
    // Dropped first.
    pub resolver: Resolver,
    pub base: EventBase,
}

impl Client {
    pub fn new(config: Config) -> Self {
        let base = EventBase::new().unwrap();
        let resolver = Resolver::new(&base, config).unwrap();
        Client { resolver, base }
    }

    /// Runs the loop until it has nothing to do: no lookup is left then.
    #[track_caller]
    pub fn run(&mut self) {
        assert_eq!(self.base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(self.base.stats().live(Kind::Lookup), 0);
        assert_eq!(self.resolver.lookups(), 0);
    }

    #[track_caller]
    pub fn host(&mut self, host: &str) -> Found<IpAddr> {
        let got = Got::new();
        let lookup = self.resolver.lookup_host(host, got.note()).unwrap();
        assert!(got.is_empty(), "the closure is called by the loop");
        self.run();
        assert!(lookup.is_done());
        got.once()
    }

    #[track_caller]
    pub fn ipv4(&mut self, host: &str) -> Found<Ipv4Addr> {
        let got = Got::new();
        let lookup = self.resolver.lookup_ipv4(host, got.note()).unwrap();
        assert!(got.is_empty(), "the closure is called by the loop");
        self.run();
        assert!(lookup.is_done());
        got.once()
    }

    /// The cause, and how long it took.
    #[track_caller]
    pub fn fails(&mut self, host: &str) -> (Cause, Duration) {
        let begun = Instant::now();
        let error = self.host(host).unwrap_err();
        assert_eq!(error.name(), host);
        (error.cause(), begun.elapsed())
    }
}
