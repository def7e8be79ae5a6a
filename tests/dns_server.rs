//! What a name server answers, as its clients see it.
#![cfg(target_os = "linux")]

mod common;
mod dns_server_client;

use common::bounded;
use dns_server_client::{
    AA, Client, Message, QR, RA, RD, TC, TTL, holding, labels, limit, localhost, query, query_of,
};
use libevent2::dns::{Record, RecordType, Reply, Request, ResponseCode, Section, Server, Soa};
use libevent2::{Error, EventBase, Timer};
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::time::Duration;

/// What a client gets of a server that gives this reply.
fn replied(reply: Reply) -> Message {
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, localhost(), move |request: Request| {
        request.respond(reply.clone())
    });
    let server = server.unwrap();
    let client = Client::new(server.local_addr());
    let message = client.exchange(&mut base, "host.example", RecordType::A);
    assert_eq!(
        message.questions,
        [("host.example".to_owned(), RecordType::A, 1)]
    );
    message
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

#[test]
fn an_address_is_answered() {
    let _bounded = bounded();
    let record = Record::a("host.example", address(1), TTL).unwrap();
    let message = replied(Reply::new().answer(record));
    assert_eq!(message.flags, QR | RD);
    let [answer] = &message.answers[..] else {
        panic!("{message:?}");
    };
    assert_eq!(answer.name, "host.example");
    assert_eq!(
        (answer.kind, answer.class, answer.ttl),
        (RecordType::A, 1, 300)
    );
    assert_eq!(answer.data, [192, 0, 2, 1]);
    assert_eq!(message.authority, []);
    assert_eq!(message.additional, []);
}

/// C's `evdns_server_request_add_a_reply` writes all addresses into one record, which only its own
/// resolver can read.
#[test]
fn each_address_is_a_record() {
    let _bounded = bounded();
    let reply = (1..=3).fold(Reply::new(), |reply, last| {
        reply.answer(Record::a("host.example", address(last), TTL).unwrap())
    });
    let data: Vec<_> = replied(reply)
        .answers
        .into_iter()
        .map(|answer| answer.data)
        .collect();
    assert_eq!(data, [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]]);
}

#[test]
fn records_of_every_type_arrive_as_they_were_given() {
    let _bounded = bounded();
    let soa = Soa {
        primary: "ns.example".to_owned(),
        mailbox: "admin.example".to_owned(),
        serial: 0x0102_0304,
        refresh: Duration::from_secs(5),
        retry: Duration::from_secs(6),
        expire: Duration::from_secs(7),
        minimum: Duration::from_secs(8),
    };
    let v6 = "2001:db8::1".parse().unwrap();
    let records = [
        Record::aaaa("host.example", v6, TTL),
        Record::address("host.example", v6.into(), TTL),
        Record::cname("www.example", "host.example", TTL),
        Record::ns("example", "ns.example", TTL),
        Record::ptr(address(1).into(), "host.example", TTL),
        Record::mx("example", 10, "mail.example", TTL),
        Record::txt("host.example", "some text", TTL),
        Record::txt("host.example", "", TTL),
        Record::soa("example", &soa, TTL),
        Record::raw("host.example", RecordType(99), [1, 2, 3], TTL),
        Record::a(".", address(1), TTL).map(|record| record.class(3)),
    ];
    let reply = records
        .into_iter()
        .fold(Reply::new(), |reply, record| reply.answer(record.unwrap()));
    let answers = replied(reply).answers;
    let names: Vec<_> = answers.iter().map(|answer| &answer.name[..]).collect();
    let host = "host.example";
    assert_eq!(names[..4], [host, host, "www.example", "example"]);
    assert_eq!(
        names[4..8],
        ["1.2.0.192.in-addr.arpa", "example", host, host]
    );
    assert_eq!(names[8..], ["example", host, ""]);
    let target = |at: usize| answers[at].target.as_deref();
    assert_eq!(
        [target(2), target(3), target(4)],
        [Some(host), Some("ns.example"), Some(host)]
    );
    assert_eq!(answers[0].data, v6.octets());
    assert_eq!(answers[1].data, v6.octets());
    assert_eq!(
        answers[5].data,
        [&[0, 10][..], &labels("mail.example")].concat()
    );
    assert_eq!(answers[6].data, b"\x09some text");
    assert_eq!(answers[7].data, b"\0");
    let numbers = [1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8];
    let soa = [
        &labels("ns.example")[..],
        &labels("admin.example"),
        &numbers,
    ]
    .concat();
    assert_eq!(answers[8].data, soa);
    assert_eq!(
        (answers[9].kind, &answers[9].data[..]),
        (RecordType(99), &[1, 2, 3][..])
    );
    assert_eq!(answers[10].class, 3);
}

#[test]
fn a_long_text_is_sent_in_pieces() {
    let _bounded = bounded();
    let text = "x".repeat(300);
    let message = replied(Reply::new().answer(Record::txt("a", &text, TTL).unwrap()));
    let sent = [
        &[255][..],
        &text.as_bytes()[..255],
        &[45],
        &text.as_bytes()[255..],
    ]
    .concat();
    assert_eq!(message.answers[0].data, sent);
}

#[test]
fn records_are_in_their_sections() {
    let _bounded = bounded();
    let record = |name| Record::a(name, address(1), TTL).unwrap();
    let reply = Reply::new()
        .additional(record("more.example"))
        .answer(record("first.example"))
        .authority(record("knows.example"))
        .record(Section::Answer, record("second.example"));
    let message = replied(reply);
    let names = [message.answers, message.authority, message.additional]
        .map(|section| section.into_iter().map(|one| one.name).collect::<Vec<_>>());
    assert_eq!(names[0], ["first.example", "second.example"]);
    assert_eq!(names[1], ["knows.example"]);
    assert_eq!(names[2], ["more.example"]);
}

#[test]
fn flags_and_codes_arrive() {
    let _bounded = bounded();
    assert_eq!(
        replied(Reply::new().authoritative(true)).flags,
        QR | RD | AA
    );
    assert_eq!(
        replied(Reply::new().recursion_available(true)).flags,
        QR | RD | RA
    );
    let both = Reply::new().recursion_available(true).authoritative(true);
    assert_eq!(replied(both.authoritative(false)).flags, QR | RD | RA);
    for number in 0..16 {
        let code = ResponseCode::new(number).unwrap();
        assert_eq!(replied(code.into()).flags, QR | RD | u16::from(number));
    }
    assert_eq!(ResponseCode::new(16), None);
}

#[test]
fn codes_and_types_are_written_as_other_tools_do() {
    let codes = [0, 1, 2, 3, 4, 5, 6].map(|number| ResponseCode::new(number).unwrap().to_string());
    let names = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "RCODE6",
    ];
    assert_eq!(codes, names);
    let types = [1, 2, 5, 6, 12, 15, 16, 28, 252, 255, 64].map(|kind| RecordType(kind).to_string());
    let names = [
        "A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA", "AXFR", "ANY", "TYPE64",
    ];
    assert_eq!(types, names);
}

#[test]
fn times_are_counted_in_seconds_of_31_bits() {
    let _bounded = bounded();
    let times = [Duration::from_millis(1999), Duration::ZERO, Duration::MAX];
    let reply = times.into_iter().fold(Reply::new(), |reply, ttl| {
        reply.answer(Record::a("a", address(1), ttl).unwrap())
    });
    let ttls: Vec<_> = replied(reply)
        .answers
        .iter()
        .map(|answer| answer.ttl)
        .collect();
    assert_eq!(ttls, [1, 0, 0x7fff_ffff]);
}

#[test]
fn a_request_tells_what_is_asked_and_by_whom() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held) = holding(&base);
    let client = Client::new(server.local_addr());
    client.send(&query(
        1,
        &[("Host.Example", RecordType::A), ("", RecordType::ALL)],
    ));
    let flags = 0x0010;
    client.send(&query_of(2, flags, &[(labels("x"), RecordType(64))]));
    base.run_nonblocking().unwrap();
    let requests = held.take();
    let [first, second] = &requests[..] else {
        panic!("{requests:?}");
    };
    assert_eq!(first.question().name(), "Host.Example");
    let kinds: Vec<_> = first.questions().map(|one| one.record_type()).collect();
    assert_eq!(kinds, [RecordType::A, RecordType::ALL]);
    assert_eq!(first.questions().nth(1).unwrap().name(), ".");
    assert_eq!(first.questions().last().unwrap().class(), 1);
    assert_eq!(first.peer(), client.0.local_addr().unwrap());
    assert!(first.recursion_desired() && !first.checking_disabled());
    assert!(!second.recursion_desired() && second.checking_disabled());
    assert_eq!(second.question().record_type(), RecordType(64));
    assert!(first.handle().same_base(&base));
    assert_eq!(first.server().local_addr(), server.local_addr());
}

#[test]
fn a_name_with_odd_bytes_is_escaped_and_can_be_given_back() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let names = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&names);
    let server = Server::bind(&base, localhost(), move |request: Request| {
        let name = request.question().name();
        seen.borrow_mut().push(name.to_string());
        let reply = Reply::new().answer(Record::a(name, address(1), TTL)?);
        request.respond(reply)
    });
    let client = Client::new(server.as_ref().unwrap().local_addr());
    let odd = b"\x0ca b\\\x1b[31m\x01\xff-\x07example\0".to_vec();
    client.send(&query_of(1, 0, &[(odd.clone(), RecordType::A)]));
    base.run_nonblocking().unwrap();
    assert_eq!(names.take(), [r"a\032b\\\027[31m\001\255-.example"]);
    let datagram = client.datagram();
    assert_eq!(datagram[12..12 + odd.len()], odd);
    assert_eq!(Message::read(&datagram).answers[0].data, [192, 0, 2, 1]);
    // The answer points at the name of the question.
    assert_eq!(datagram[12 + odd.len() + 4..][..2], [0xc0, 12]);
}

#[test]
fn requests_are_answered_later_and_in_any_order() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held) = holding(&base);
    let client = Client::new(server.local_addr());
    for id in 0..3 {
        client.ask(id, &format!("n{id}.example"), RecordType::A);
    }
    base.run_nonblocking().unwrap();
    assert!(client.hears_nothing());
    assert_eq!(server.in_flight(), 3);

    let mut requests = held.take();
    requests
        .swap_remove(1)
        .respond(ResponseCode::NO_SUCH_NAME)
        .unwrap();
    let timer = Timer::after(&base, Duration::from_millis(1), move |timer| {
        for request in requests.drain(..) {
            request.respond(ResponseCode::NO_ERROR).unwrap();
        }
        timer.exit();
    });
    base.run().unwrap();
    drop(timer);
    let replies = [(); 3].map(|()| client.reply());
    let order = replies.each_ref().map(|reply| (reply.id, reply.code()));
    assert_eq!(order, [(1, 3), (0, 0), (2, 0)]);
    assert_eq!(replies[0].questions[0].0, "n1.example");
    assert_eq!(server.in_flight(), 0);
}

#[test]
fn a_request_dropped_is_refused() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, localhost(), drop).unwrap();
    let client = Client::new(server.local_addr());
    let reply = client.exchange(&mut base, "host.example", RecordType::A);
    assert_eq!(reply.code(), 5);
}

#[test]
fn a_request_ignored_is_not_answered() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, localhost(), Request::ignore).unwrap();
    let client = Client::new(server.local_addr());
    client.ask(1, "host.example", RecordType::A);
    base.run_nonblocking().unwrap();
    assert!(client.hears_nothing());
    assert_eq!(server.in_flight(), 0);
}

#[test]
fn a_bad_name_is_an_error_that_tells_why_and_the_request_is_still_there() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held) = holding(&base);
    let client = Client::new(server.local_addr());
    client.ask(1, "host.example", RecordType::A);
    base.run_nonblocking().unwrap();
    let (label, name) = ("x".repeat(64), "x.".repeat(127) + "x");
    for bad in [
        "",
        "..",
        "a..b",
        ".a",
        "a\0b",
        "ä.example",
        r"a\.b",
        &label,
        &name,
    ] {
        let errors = [
            Record::a(bad, address(1), TTL).unwrap_err(),
            Record::cname("a", bad, TTL).unwrap_err(),
            Record::mx("a", 1, bad, TTL).unwrap_err(),
        ];
        for error in errors {
            assert!(
                matches!(error, Error::Invalid { what: "name", .. }),
                "{error}"
            );
            assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
        }
    }
    for bytes in [0, 65536] {
        let error = Record::raw("a", RecordType::TXT, vec![0; bytes], TTL).unwrap_err();
        assert!(error.to_string().contains(&bytes.to_string()), "{error}");
    }
    assert!(client.hears_nothing());
    let request = held.borrow_mut().pop().unwrap();
    request.respond(ResponseCode::SERVER_FAILURE).unwrap();
    assert_eq!(client.reply().code(), 2);
}

/// T52, CVE-2026-63387: C writes one byte behind its buffer, and cuts records apart.
#[test]
fn a_reply_that_is_too_long_leaves_out_whole_records() {
    let _bounded = bounded();
    // A header of 12, a question of 18, and records of 12 and their data.
    let room = limit() - 12 - 18 - 12;
    let raw = |length| Record::raw("host.example", RecordType(99), vec![7; length], TTL).unwrap();
    let fits = replied(Reply::new().answer(raw(room)));
    assert_eq!((fits.is(TC), fits.answers.len()), (false, 1));
    for length in [room + 1, 1500 - 42 - 1, 1500 - 42, 1500 - 42 + 1, 65535] {
        let cut = replied(Reply::new().answer(raw(length)));
        assert_eq!((cut.is(TC), cut.answers.len()), (true, 0), "{length}");
    }

    let some = replied((0..100).fold(Reply::new(), |reply, _| reply.answer(raw(4))));
    assert_eq!(
        (some.is(TC), some.answers.len()),
        (true, (limit() - 30) / 16)
    );
    let reply = Reply::new()
        .additional(raw(4))
        .authority(raw(room))
        .answer(raw(4));
    let cut = replied(reply);
    assert!(cut.is(TC) && cut.answers.len() == 1 && cut.authority.is_empty());
    assert_eq!(cut.additional, []);
}

#[test]
fn a_reply_without_all_additional_records_is_not_truncated() {
    let _bounded = bounded();
    let record = |last| Record::a("host.example", address(last), TTL).unwrap();
    let reply = (0..100).fold(Reply::new(), |reply, last| reply.additional(record(last)));
    let message = replied(reply.answer(record(200)));
    assert!(!message.is(TC));
    assert_eq!(message.answers.len(), 1);
    assert_eq!(message.additional.len(), (limit() - 30) / 16 - 1);
}

#[test]
fn requests_come_over_ipv6_too() {
    let _bounded = bounded();
    let Ok(probe) = UdpSocket::bind("[::1]:0") else {
        return eprintln!("skipped: no IPv6 here");
    };
    drop(probe);
    let mut base = EventBase::new().unwrap();
    let addr = "[::1]:0".parse().unwrap();
    let server = Server::bind(&base, addr, |request: Request| {
        let is_v6 = request.peer().is_ipv6();
        request.respond(ResponseCode::new(u8::from(is_v6)).unwrap())
    });
    let server = server.unwrap();
    let client = Client::new(server.local_addr());
    client.send(b"short");
    assert_eq!(client.exchange(&mut base, "a", RecordType::A).code(), 1);
}

#[test]
fn a_socket_that_is_bound_already_is_taken() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let socket = UdpSocket::bind(localhost()).unwrap();
    let addr = socket.local_addr().unwrap();
    let client = Client::new(addr);
    client.send(b"");
    client.ask(1, "too.early", RecordType::A);
    let server = Server::from_socket(&base, socket, drop).unwrap();
    assert_eq!(server.local_addr(), addr);
    assert_eq!(client.exchange(&mut base, "a", RecordType::A).id, 0x1234);
    assert!(client.hears_nothing());
}

#[test]
fn a_socket_may_have_one_server_after_the_other() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let socket = UdpSocket::bind(localhost()).unwrap();
    let client = Client::new(socket.local_addr().unwrap());
    for code in [1, 2] {
        let code = ResponseCode::new(code).unwrap();
        let share = socket.try_clone().unwrap();
        let server =
            Server::from_socket(&base, share, move |request: Request| request.respond(code));
        client.send(b"short");
        let reply = client.exchange(&mut base, "a", RecordType::A);
        assert_eq!(reply.code(), u16::from(code.number()));
        drop(server);
    }
}

#[test]
fn what_is_no_udp_socket_with_a_port_is_refused() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let unbound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
    let wrong: [OwnedFd; 3] = [
        TcpListener::bind(localhost()).unwrap().into(),
        UnixDatagram::unbound().unwrap().into(),
        unbound.unwrap().into(),
    ];
    for fd in wrong {
        let error = Server::from_socket(&base, fd, drop).unwrap_err();
        assert!(
            matches!(error, Error::Invalid { what: "socket", .. }),
            "{error}"
        );
    }
    let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let error = Server::from_socket(&base, file, drop).unwrap_err();
    assert_eq!(error.io().unwrap().raw_os_error(), Some(libc::ENOTSOCK));
}

#[test]
fn an_address_that_is_taken_or_not_there_is_named() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let holder = UdpSocket::bind(localhost()).unwrap();
    let absent: SocketAddr = "192.0.2.1:53".parse().unwrap();
    for addr in [holder.local_addr().unwrap(), absent] {
        let error = Server::bind(&base, addr, drop).unwrap_err();
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
        assert!(error.io().is_some());
    }
}
