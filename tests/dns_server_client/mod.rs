//! A client that asks a name server of this process. On loopback what is sent is there at once, so
//! that a turn of the loop answers it, and a client needs no thread.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::EventBase;
use libevent2::dns::{RecordType, Request, Server};
use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

/// What a reply may have.
pub fn limit() -> usize {
    match libevent2::version_number() >= 0x0202_0000 {
        true => 512 - 11,
        false => 512,
    }
}

pub const TTL: Duration = Duration::from_secs(300);

pub fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Where a callback leaves requests for later.
pub type Held = Rc<RefCell<Vec<Request>>>;

/// A server that keeps all its requests.
pub fn holding(base: &EventBase) -> (Server, Held) {
    let held = Held::default();
    let keep = Rc::clone(&held);
    let server = Server::bind(base, localhost(), move |request: Request| {
        keep.borrow_mut().push(request);
    });
    (server.unwrap(), held)
}

pub struct Client(pub UdpSocket);

impl Client {
    pub fn new(server: SocketAddr) -> Self {
        let mut any = server;
        any.set_port(0);
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server).unwrap();
        Client(socket)
    }

    pub fn send(&self, datagram: &[u8]) {
        self.0.send(datagram).unwrap();
    }

    pub fn ask(&self, id: u16, name: &str, kind: RecordType) {
        self.send(&query(id, &[(name, kind)]));
    }

    /// The next reply, which has to be there.
    pub fn datagram(&self) -> Vec<u8> {
        self.0
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut datagram = [0; 4096];
        let length = self.0.recv(&mut datagram).expect("a reply");
        datagram[..length].to_vec()
    }

    pub fn reply(&self) -> Message {
        Message::read(&self.datagram())
    }

    /// Nothing came. What was sent to it before is there already.
    pub fn hears_nothing(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let nothing = self.0.recv(&mut [0; 4096]).is_err();
        self.0.set_nonblocking(false).unwrap();
        nothing
    }

    /// The reply after one turn of the loop.
    pub fn exchange(&self, base: &mut EventBase, name: &str, kind: RecordType) -> Message {
        self.ask(0x1234, name, kind);
        base.run_nonblocking().unwrap();
        let reply = self.reply();
        assert_eq!(reply.id, 0x1234);
        reply
    }
}

/// A name as it is sent.
pub fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

pub const RD: u16 = 0x0100;
pub const RA: u16 = 0x0080;
pub const QR: u16 = 0x8000;
pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;

/// A standard query, recursion desired, class of the Internet.
pub fn query(id: u16, questions: &[(&str, RecordType)]) -> Vec<u8> {
    let names = questions.iter().map(|&(name, kind)| (labels(name), kind));
    query_of(id, RD, &names.collect::<Vec<_>>())
}

/// A query for names as they are sent.
pub fn query_of(id: u16, flags: u16, questions: &[(Vec<u8>, RecordType)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [id, flags, questions.len() as u16, 0, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    for (name, kind) in questions {
        bytes.extend(name);
        bytes.extend(kind.0.to_be_bytes());
        bytes.extend(1_u16.to_be_bytes());
    }
    bytes
}

/// A reply, taken apart without mercy: it must be well formed to its last byte.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    pub questions: Vec<(String, RecordType, u16)>,
    pub answers: Vec<Received>,
    pub authority: Vec<Received>,
    pub additional: Vec<Received>,
}

#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Received {
    pub name: String,
    pub kind: RecordType,
    pub class: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
    /// The data as a name, of the types that have one there.
    pub target: Option<String>,
}

impl Message {
    pub fn read(bytes: &[u8]) -> Self {
        let mut at = 0;
        let mut number = || {
            at += 2;
            u16::from_be_bytes([bytes[at - 2], bytes[at - 1]])
        };
        let [id, flags, asked, answers, authority, additional] = [(); 6].map(|()| number());
        let mut reader = Reader { bytes, at };
        let question =
            |reader: &mut Reader| (reader.name(), RecordType(reader.number()), reader.number());
        let questions = (0..asked).map(|_| question(&mut reader)).collect();
        let mut section = |count| (0..count).map(|_| reader.record()).collect();
        let message = Message {
            id,
            flags,
            questions,
            answers: section(answers),
            authority: section(authority),
            additional: section(additional),
        };
        assert_eq!(reader.at, bytes.len(), "{message:?}");
        message
    }

    pub fn code(&self) -> u16 {
        self.flags & 15
    }

    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        self.at += count;
        &self.bytes[self.at - count..self.at]
    }

    fn number(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn name(&mut self) -> String {
        let mut labels = Vec::new();
        let mut back_at = None;
        loop {
            let length = usize::from(self.take(1)[0]);
            match length {
                0 => break,
                1..64 => labels.push(String::from_utf8_lossy(self.take(length)).into_owned()),
                0xc0.. => {
                    let to = (length & 0x3f) << 8 | usize::from(self.take(1)[0]);
                    back_at.get_or_insert(self.at);
                    assert!(to < self.at - 2, "a pointer goes back");
                    self.at = to;
                }
                _ => panic!("the length of a label: {length}"),
            }
        }
        self.at = back_at.unwrap_or(self.at);
        labels.join(".")
    }

    fn record(&mut self) -> Received {
        let name = self.name();
        let kind = RecordType(self.number());
        let class = self.number();
        let ttl = u32::from_be_bytes(self.take(4).try_into().unwrap());
        let length = usize::from(self.number());
        let begin = self.at;
        let mut target = None;
        if [RecordType::NS, RecordType::CNAME, RecordType::PTR].contains(&kind) {
            target = Some(self.name());
            assert_eq!(self.at, begin + length, "the length of a name as data");
        }
        self.at = begin;
        let data = self.take(length).to_vec();
        Received {
            name,
            kind,
            class,
            ttl,
            data,
            target,
        }
    }
}
