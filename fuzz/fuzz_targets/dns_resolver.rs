//! Any datagrams to a resolver with open questions, while lookups are begun, cancelled and dropped:
//! each has one result, which is a record or an error, and in the end nothing holds the loop.

#![no_main]

use libevent2::dns::{Answer, Cause, Config, Lookup, LookupError, Resolver};
use libevent2::util::{AddrHints, AddrInfo};
use libevent2::{EventBase, Kind, LoopEnd, ffi};
use libfuzzer_sys::fuzz_target;
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::raw::{c_char, c_int};
use std::rc::Rc;
use std::time::Duration;

/// More finds no more, and takes long.
const MOST: usize = 24;

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|data: &[u8]| WORLD.with_borrow_mut(|world| world.run(Input(data))));

/// What the bytes of an input say, one after the other.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// A length, and so many bytes: some are longer than what libevent reads.
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?);
        Some(self.bytes(if length < 0xf0 { length } else { length * 8 }))
    }
}

/// A question that came to the name server.
struct Question {
    /// Which name server it came to.
    server: usize,
    id: [u8; 2],
    /// The name, type and class.
    text: Vec<u8>,
    from: SocketAddr,
}

/// A lookup, and how often its closure was called.
struct Asked {
    lookup: Option<Lookup>,
    calls: Rc<Cell<usize>>,
}

/// The loop and the name servers are the same for all inputs.
struct World {
    base: EventBase,
    servers: [UdpSocket; 2],
}

impl World {
    fn new() -> Self {
        // SAFETY: the function lives for ever.
        unsafe { ffi::event_set_log_callback(Some(say_nothing)) };
        let servers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        for server in &servers {
            server.set_nonblocking(true).unwrap();
        }
        let base = EventBase::new().unwrap();
        World { base, servers }
    }

    fn run(&mut self, mut input: Input) {
        self.questions();
        let Some(bits) = input.byte() else { return };
        let count = if bits >> 4 < 10 { 1 } else { 2 };
        let servers = self.servers[..count].iter();
        let mut config = Config::with_servers(servers.map(|server| server.local_addr().unwrap()));
        // No timer's time comes.
        config.timeout = Duration::from_secs(3600);
        config.deadline = Duration::from_secs(3600);
        config.attempts = 1 + (bits & 1);
        config.randomize_case = bits & 2 != 0;
        if bits & 4 != 0 {
            config.search = vec!["one.example".to_owned(), "two.example".to_owned()];
        }
        if bits & 8 != 0 {
            config.max_in_flight = 1;
        }
        let resolver = Resolver::new(&self.base, config).unwrap();
        let mut asked = vec![ask(&resolver, bits >> 4)];
        let mut questions = Vec::new();
        for _ in 0..MOST {
            let Some(step) = input.byte() else { break };
            self.turn();
            questions.extend(self.questions());
            let which = usize::from(step >> 3);
            let question = questions.iter().nth_back(which % questions.len().max(1));
            let lookup = which % asked.len();
            match (step & 7, question) {
                // An answer to a question: flags and counts, and then records.
                (0..=2, Some(question)) => {
                    let mut header = [0; 8];
                    let bytes = input.bytes(5);
                    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
                    (header[0], header[1]) = (byte(0) | 0x80, byte(1));
                    (header[3], header[5], header[7]) = (byte(2), byte(3), byte(4));
                    let [f0, f1, a0, a1, n0, n1, r0, r1] = header;
                    let counts = [f0, f1, 0, 1, a0, a1, n0, n1, r0, r1];
                    let records = input.text().unwrap_or_default();
                    let answer = [&question.id, &counts[..], &question.text, records].concat();
                    self.send(&answer, question);
                }
                // Anything, with the right number.
                (3, Some(question)) => {
                    let text = input.text().unwrap_or_default();
                    self.send(&[&question.id, text].concat(), question);
                }
                // Anything.
                (4, Some(question)) => self.send(input.text().unwrap_or_default(), question),
                (5, _) => asked.push(ask(&resolver, which as u8)),
                (6, _) => {
                    if let Some(lookup) = asked[lookup].lookup.take() {
                        lookup.cancel();
                    }
                }
                (7, _) => match which % 4 {
                    0 => {
                        let asked = asked.remove(lookup);
                        drop(asked.lookup);
                        let calls = asked.calls.get();
                        self.turn();
                        assert_eq!(asked.calls.get(), calls, "called after it was dropped");
                    }
                    1 => resolver.suspend().unwrap(),
                    2 => resolver.resume().unwrap(),
                    _ => resolver.set_config(resolver.config()).unwrap(),
                },
                _ => {}
            }
            if asked.is_empty() {
                asked.push(ask(&resolver, step));
            }
        }
        self.end(resolver, asked);
    }

    fn end(&mut self, resolver: Resolver, asked: Vec<Asked>) {
        self.settle();
        if asked.iter().all(|asked| asked.calls.get() > 0) {
            assert_eq!(self.turn(), LoopEnd::NoEvents, "a resolver holds the loop");
        }
        drop(resolver);
        self.settle();
        for asked in asked {
            assert_eq!(asked.calls.get(), 1);
        }
        let stats = self.base.stats();
        assert_eq!(stats.live(Kind::Lookup) + stats.live(Kind::Resolver), 0);
        assert_eq!(self.turn(), LoopEnd::NoEvents, "something holds the loop");
    }

    fn turn(&mut self) -> LoopEnd {
        self.base.run_nonblocking().unwrap()
    }

    /// Until nothing is to be done at once.
    fn settle(&mut self) {
        loop {
            let before = self.base.stats().callbacks();
            for _ in 0..2 {
                self.turn();
            }
            if self.base.stats().callbacks() == before {
                return;
            }
        }
    }

    /// What has come to the name servers.
    fn questions(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        let mut datagram = [0; 512];
        for (server, socket) in self.servers.iter().enumerate() {
            while let Ok((length, from)) = socket.recv_from(&mut datagram) {
                questions.push(Question {
                    server,
                    id: [datagram[0], datagram[1]],
                    text: datagram[12..length].to_vec(),
                    from,
                });
            }
        }
        questions
    }

    fn send(&self, datagram: &[u8], question: &Question) {
        // Nobody may be there any more.
        let _ = self.servers[question.server].send_to(datagram, question.from);
    }
}

unsafe extern "C" fn say_nothing(_: c_int, _: *const c_char) {}

fn ask(resolver: &Resolver, what: u8) -> Asked {
    let calls = Rc::new(Cell::new(0));
    let seen = calls.clone();
    let lookup = match what % 6 {
        0 => resolver.lookup_ipv4("www.example.com", told(seen)),
        1 => resolver.lookup_ipv6("host", told(seen)),
        2 => resolver.lookup_host("www.example.com", told(seen)),
        3 => resolver.lookup_addr(Ipv4Addr::LOCALHOST.into(), checked(seen)),
        4 => resolver.lookup_addr(Ipv6Addr::LOCALHOST.into(), checked(seen)),
        _ => {
            let hints = AddrHints::new().tcp().canonical_name();
            resolver.getaddrinfo(Some("www.example.com"), Some("80"), hints, canonical(seen))
        }
    };
    Asked {
        lookup: Some(lookup.unwrap()),
        calls,
    }
}

fn told<T>(calls: Rc<Cell<usize>>) -> impl FnOnce(Result<Answer<T>, LookupError>) {
    move |found| {
        calls.set(calls.get() + 1);
        match found {
            Ok(found) => {
                assert!((1..=64).contains(&found.records.len()));
                assert!(found.canonical_name.as_deref().is_none_or(is_plain));
            }
            Err(error) => assert_ne!(error.cause(), Cause::OutOfMemory),
        }
    }
}

fn canonical(calls: Rc<Cell<usize>>) -> impl FnOnce(Result<Answer<AddrInfo>, LookupError>) {
    told(calls)
}

fn checked(calls: Rc<Cell<usize>>) -> impl FnOnce(Result<Answer<String>, LookupError>) {
    let told = told(calls);
    move |found| {
        if let Ok(found) = &found {
            assert!(found.records.iter().all(|name| is_plain(name)));
        }
        told(found);
    }
}

/// Whether a terminal may be trusted with it.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_graphic())
}
