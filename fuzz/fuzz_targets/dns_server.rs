//! Any datagrams to a name server, which answers with records made of the same input, at once, later
//! or not, and is closed in between: what it sends is well formed, and answers what was asked.

#![no_main]

use libevent2::dns::{Record, RecordType, Reply, Request, ResponseCode, Section, Server, Soa};
use libevent2::{EventBase, Kind};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|data: &[u8]| WORLD.with_borrow_mut(|world| world.run(Input(data))));

/// What the bytes of an input say, one after the other; zeros when it is at its end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    /// A length, and so many bytes; a few are longer than what C reads.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        let length = if length < 0xf0 { length } else { length * 8 };
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// The loop and the client are the same for all inputs.
struct World {
    base: EventBase,
    client: UdpSocket,
}

/// What the callback is to do with the next requests.
#[derive(Default)]
struct Plan {
    replies: Vec<Vec<(Section, u8, Record)>>,
    held: Vec<Request>,
}

impl World {
    fn new() -> Self {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_nonblocking(true).unwrap();
        let base = EventBase::new().unwrap();
        World { base, client }
    }

    fn run(&mut self, mut input: Input) {
        let plan = Rc::new(RefCell::new(Plan::default()));
        let to_do = Rc::clone(&plan);
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let server = Server::bind(&self.base, any, move |request| answer(&to_do, request));
        let server = server.unwrap();
        let addr = server.local_addr();
        let mut server = Some(server);
        for _ in 0..16 {
            let step = input.byte();
            if input.0.is_empty() {
                break;
            }
            match step & 7 {
                0..=3 => self.send(&mut input, step, addr),
                4..=5 => {
                    let records = (0..step >> 4).filter_map(|_| record(&mut input));
                    let records = records.collect();
                    plan.borrow_mut().replies.push(records);
                }
                6 => {
                    let request = plan.borrow_mut().held.pop();
                    if let Some(request) = request {
                        answer_now(&plan, request);
                    }
                }
                _ if step & 0x10 != 0 => drop(server.take()),
                _ => {}
            }
            self.base.run_nonblocking().unwrap();
            self.receive();
        }
        plan.borrow_mut().replies.clear();
        let held = std::mem::take(&mut plan.borrow_mut().held);
        drop(held);
        drop(server);
        self.receive();
        assert_eq!(self.base.stats().live(Kind::DnsServer), 0);
    }

    /// Sends a datagram; most are made to look like a query.
    fn send(&self, input: &mut Input, step: u8, to: SocketAddr) {
        let mut datagram = input.bytes().to_vec();
        if step & 0x80 == 0 {
            // All requests have this number, so that nothing else is taken for an answer.
            datagram.splice(
                0..0,
                [
                    0x12,
                    0x34,
                    step & 1,
                    0x10,
                    0,
                    step >> 4 & 3,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                ],
            );
        }
        let _ = self.client.send_to(&datagram, to);
    }

    /// Looks at all that has come.
    fn receive(&self) {
        let mut datagram = [0; 2048];
        while let Ok(length) = self.client.recv(&mut datagram) {
            assert!(length <= 512, "{length}");
            check(&datagram[..length]);
        }
    }
}

fn answer(plan: &RefCell<Plan>, request: Request) {
    match request.question().record_type().0 & 3 {
        0 => plan.borrow_mut().held.push(request),
        1 => {
            request.server().close();
            answer_now(&RefCell::default(), request);
        }
        _ => answer_now(plan, request),
    }
}

fn answer_now(plan: &RefCell<Plan>, request: Request) {
    let Some(records) = plan.borrow_mut().replies.pop() else {
        // Each name that can be asked for can be answered with.
        let name = request.question().name();
        let target = request.questions().last().unwrap().name();
        let record = Record::cname(name, target, Duration::ZERO).unwrap();
        return request.respond(Reply::new().answer(record)).unwrap();
    };
    let mut reply = Reply::new();
    for (section, bits, record) in records {
        let code = ResponseCode::new(bits & 15).unwrap();
        reply = reply.record(section, record).code(code);
        reply = reply.authoritative(bits & 16 != 0);
        reply = reply.recursion_available(bits & 32 != 0);
    }
    request.respond(reply).unwrap();
}

/// A record of the input, if its names are names.
fn record(input: &mut Input) -> Option<(Section, u8, Record)> {
    let (bits, ttl) = (input.byte(), Duration::from_secs(input.byte().into()));
    let name = input.text();
    let record = match bits & 7 {
        0 => Record::a(&name, Ipv4Addr::from([bits; 4]), ttl),
        1 => Record::aaaa(&name, [bits; 16].into(), ttl),
        2 => Record::pointing(&name, RecordType::NS, &input.text(), ttl),
        3 => Record::mx(&name, 1, &input.text(), ttl),
        4 => Record::txt(&name, input.bytes(), ttl),
        5 => Record::ptr(IpAddr::from([bits; 16]), &name, ttl),
        6 => {
            let soa = Soa {
                primary: name.clone(),
                mailbox: input.text(),
                serial: 1,
                refresh: ttl,
                retry: ttl,
                expire: ttl,
                minimum: ttl,
            };
            Record::soa(&name, &soa, ttl)
        }
        _ => Record::raw(&name, RecordType(input.byte().into()), input.bytes(), ttl),
    };
    let section = match bits >> 6 {
        0 | 1 => Section::Answer,
        2 => Section::Authority,
        _ => Section::Additional,
    };
    record.ok().map(|record| (section, bits, record))
}

/// Whether it is a well-formed answer to its last byte.
fn check(bytes: &[u8]) {
    let number = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    assert!(bytes[2] & 0x80 != 0, "an answer");
    let mut at = 12;
    for _ in 0..number(4) {
        at = after_name(bytes, at) + 4;
    }
    for _ in 0..number(6) + number(8) + number(10) {
        at = after_name(bytes, at) + 10;
        at += number(at - 2);
    }
    assert_eq!(at, bytes.len());
}

/// Where the name that begins here ends. Its pointers go back.
fn after_name(bytes: &[u8], begin: usize) -> usize {
    let (mut at, mut end) = (begin, None);
    loop {
        let length = usize::from(bytes[at]);
        match length {
            0 => return end.unwrap_or(at + 1),
            1..64 => at += 1 + length,
            0xc0.. => {
                let to = (length & 0x3f) << 8 | usize::from(bytes[at + 1]);
                end = end.or(Some(at + 2));
                assert!(to < at);
                at = to;
            }
            _ => panic!("the length of a label: {length}"),
        }
    }
}
