//! A name server for tests, which answers what the test says, right or wrong.
#![allow(dead_code, reason = "not every test needs all of it")]

pub mod got;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const PTR: u16 = 12;
pub const AAAA: u16 = 28;

pub const FORMAT_ERROR: u16 = 1;
pub const SERVER_FAILURE: u16 = 2;
pub const NO_SUCH_NAME: u16 = 3;
pub const NOT_IMPLEMENTED: u16 = 4;
pub const REFUSED: u16 = 5;

/// A question that came.
#[derive(Debug, Clone)]
pub struct Query {
    pub id: u16,
    /// In lower case.
    pub name: String,
    /// As it came.
    pub exact: String,
    pub kind: u16,
    pub from: SocketAddr,
    /// The name, type and class, as they came.
    question: Vec<u8>,
}

impl Query {
    /// A datagram's, if it is a question.
    pub fn parse(datagram: &[u8], from: SocketAddr) -> Option<Self> {
        let id = u16::from_be_bytes([*datagram.first()?, *datagram.get(1)?]);
        let mut at = 12;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*datagram.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(datagram.get(at..at + length)?).into_owned());
            at += length;
        }
        let kind = u16::from_be_bytes([*datagram.get(at)?, *datagram.get(at + 1)?]);
        let exact = labels.join(".");
        Some(Query {
            id,
            name: exact.to_lowercase(),
            exact,
            kind,
            from,
            question: datagram.get(12..at + 4)?.to_vec(),
        })
    }

    /// An answer to it, without records.
    pub fn reply(&self) -> Message {
        Message {
            id: self.id,
            flags: 0x8180,
            questions: 1,
            question: self.question.clone(),
            counts: [0; 3],
            records: Vec::new(),
        }
    }

    /// The answer with this response code.
    pub fn error(&self, code: u16) -> Vec<u8> {
        self.reply().code(code).bytes()
    }

    /// The answer with this address, if it was asked for one of its family; else an empty one.
    pub fn address(&self, address: impl Into<IpAddr>, ttl: u32) -> Vec<u8> {
        match (self.kind, address.into()) {
            (A, IpAddr::V4(ip)) => self.reply().a(&self.exact, ttl, ip).bytes(),
            (AAAA, IpAddr::V6(ip)) => self.reply().aaaa(&self.exact, ttl, ip).bytes(),
            _ => self.reply().bytes(),
        }
    }
}

/// An answer in the making.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    /// How many questions it says that there are.
    pub questions: u16,
    pub question: Vec<u8>,
    /// How many records it says that there are: answers, authorities, others.
    pub counts: [u16; 3],
    pub records: Vec<u8>,
}

impl Message {
    pub fn code(mut self, code: u16) -> Self {
        self.flags = self.flags & !0xf | code;
        self
    }

    pub fn truncated(mut self) -> Self {
        self.flags |= 0x200;
        self
    }

    pub fn a(self, name: &str, ttl: u32, ip: Ipv4Addr) -> Self {
        self.record(0, &labels(name), A, ttl, &ip.octets())
    }

    pub fn aaaa(self, name: &str, ttl: u32, ip: Ipv6Addr) -> Self {
        self.record(0, &labels(name), AAAA, ttl, &ip.octets())
    }

    pub fn cname(self, name: &str, ttl: u32, target: &str) -> Self {
        self.record(0, &labels(name), CNAME, ttl, &labels(target))
    }

    pub fn ptr(self, name: &str, ttl: u32, target: &str) -> Self {
        self.record(0, &labels(name), PTR, ttl, &labels(target))
    }

    /// Says in the authority section how long there is nothing.
    pub fn soa(self, zone: &str, ttl: u32, minimum: u32) -> Self {
        let mut data = [labels("ns.invalid"), labels("root.invalid")].concat();
        for number in [1, 2, 3, 4, minimum] {
            data.extend(u32::to_be_bytes(number));
        }
        self.record(1, &labels(zone), SOA, ttl, &data)
    }

    /// A record with a name as it is on the wire. Those of one section come before the next one's.
    pub fn record(mut self, section: usize, name: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Self {
        self.counts[section] += 1;
        self.records.extend(name);
        self.records.extend(kind.to_be_bytes());
        self.records.extend(1u16.to_be_bytes());
        self.records.extend(ttl.to_be_bytes());
        self.records.extend((data.len() as u16).to_be_bytes());
        self.records.extend(data);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let [answers, authorities, others] = self.counts;
        let header = [
            self.id,
            self.flags,
            self.questions,
            answers,
            authorities,
            others,
        ];
        let header: Vec<u8> = header.into_iter().flat_map(u16::to_be_bytes).collect();
        [&header[..], &self.question, &self.records].concat()
    }
}

/// A name as it is on the wire.
pub fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A name server on a thread of its own, until it is dropped.
pub struct NameServer {
    address: SocketAddr,
    queries: Arc<Mutex<Vec<Query>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Sends the datagrams that `answer` has for a question: none, one, or several.
    pub fn start<I>(answer: impl FnMut(&Query) -> I + Send + 'static) -> Self
    where
        I: IntoIterator<Item = Vec<u8>>,
    {
        Self::start_on("127.0.0.1:0".parse().unwrap(), answer)
    }

    pub fn start_on<I>(
        address: SocketAddr,
        mut answer: impl FnMut(&Query) -> I + Send + 'static,
    ) -> Self
    where
        I: IntoIterator<Item = Vec<u8>>,
    {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let queries = Arc::<Mutex<Vec<Query>>>::default();
        let end = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let (queries, end) = (queries.clone(), end.clone());
            move || {
                let mut datagram = [0; 4096];
                loop {
                    let (length, from) = socket.recv_from(&mut datagram).unwrap();
                    if end.load(Ordering::Relaxed) {
                        return;
                    }
                    if let Some(query) = Query::parse(&datagram[..length], from) {
                        queries.lock().unwrap().push(query.clone());
                        for reply in answer(&query) {
                            socket.send_to(&reply, from).unwrap();
                        }
                    }
                }
            }
        });
        NameServer {
            address,
            queries,
            end,
            thread: Some(thread),
        }
    }

    /// One that never answers.
    pub fn silent() -> Self {
        Self::start(|_| None)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked so far.
    pub fn queries(&self) -> Vec<Query> {
        self.queries.lock().unwrap().clone()
    }

    /// The names that were asked for so far, in order.
    pub fn names(&self) -> Vec<String> {
        self.queries().into_iter().map(|query| query.name).collect()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let waker = UdpSocket::bind("127.0.0.1:0").unwrap();
        waker.send_to(b"end", self.address).unwrap();
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

/// What makes waiting short in tests.
pub fn impatient(mut config: libevent2::dns::Config) -> libevent2::dns::Config {
    config.timeout = Duration::from_millis(200);
    config.attempts = 2;
    config.deadline = Duration::from_secs(5);
    config.family_delay = Duration::from_millis(300);
    config
}
