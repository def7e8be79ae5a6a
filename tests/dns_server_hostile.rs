//! Datagrams that are no queries, or meant to do harm.
#![cfg(target_os = "linux")]

mod common;
mod dns_server_client;

use common::{Bump, bounded, count};
use dns_server_client::{
    Client, Message, QR, RD, TC, TTL, holding, labels, limit, localhost, query, query_of,
};
use libevent2::dns::{Record, RecordType, Reply, Request, ResponseCode, Server};
use libevent2::{EventBase, ffi};
use proptest::prelude::*;
use socket2::SockRef;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::raw::c_void;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::{env, ptr};

const A: RecordType = RecordType::A;
const CHILD: &str = "LIBEVENT2_TEST_CHILD";

/// A server that says yes to all, and its client.
fn saying_yes(base: &EventBase) -> (Server, Client) {
    let server = Server::bind(base, localhost(), |request: Request| {
        request.respond(ResponseCode::NO_ERROR)
    });
    let server = server.unwrap();
    let client = Client::new(server.local_addr());
    (server, client)
}

/// Sends this, and wants no answer to it, and the next query answered.
fn unanswered(base: &mut EventBase, client: &Client, datagram: &[u8]) {
    client.send(datagram);
    base.run_nonblocking().unwrap();
    assert!(client.hears_nothing(), "{datagram:x?}");
    assert_eq!(client.exchange(base, "next", A).code(), 0, "{datagram:x?}");
}

/// Runs the test of this name alone in a new process, where [`is_child`] is true.
fn child(test: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap()
}

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

#[test]
fn a_datagram_shorter_than_a_header_is_not_read() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    let query = query(1, &[("a", A)]);
    for length in 0..12 {
        unanswered(&mut base, &client, &query[..length]);
    }
}

/// What the test above keeps from C: libevent 2.1 reads through a null pointer.
#[test]
fn c_without_us_dies_of_a_datagram_shorter_than_a_header() {
    unsafe extern "C" fn answer(request: *mut ffi::evdns_server_request, _: *mut c_void) {
        // SAFETY: alive, and answered once.
        unsafe { ffi::evdns_server_request_respond(request, 0) };
    }
    let _bounded = bounded();
    if is_child() {
        let mut base = EventBase::new().unwrap();
        let socket = UdpSocket::bind(localhost()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let client = Client::new(socket.local_addr().unwrap());
        let fd = socket.into_raw_fd();
        // SAFETY: the base and the descriptor are alive as long as the process.
        let port = unsafe {
            let callback = Some(answer as unsafe extern "C" fn(_, _));
            ffi::evdns_add_server_port_with_base(base.as_ptr(), fd, 0, callback, ptr::null_mut())
        };
        assert!(!port.is_null());
        assert_eq!(client.exchange(&mut base, "a", A).code(), 0);
        client.send(b"short");
        base.run_nonblocking().unwrap();
        assert_eq!(client.exchange(&mut base, "a", A).code(), 0);
        return;
    }
    let output = child("c_without_us_dies_of_a_datagram_shorter_than_a_header");
    let status = output.status;
    if libevent2::version_number() >= 0x0202_0000 {
        assert!(status.success(), "{output:?}");
    } else {
        // The sanitizers end it with a code and a signal of their own.
        let sanitized = String::from_utf8_lossy(&output.stderr).contains("AddressSanitizer");
        let signals = [Some(libc::SIGSEGV), Some(libc::SIGILL)];
        let died = signals.contains(&status.signal()) || sanitized;
        assert!(died, "{output:?}");
    }
}

#[test]
fn what_came_to_a_socket_before_it_had_a_server_does_no_harm() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let socket = UdpSocket::bind(localhost()).unwrap();
    let client = Client::new(socket.local_addr().unwrap());
    for length in 0..12 {
        client.send(&[0; 12][..length]);
    }
    let _server = Server::from_socket(&base, socket, drop).unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(client.exchange(&mut base, "a", A).code(), 5);
}

/// Nobody who has the socket too can take the filter away.
#[test]
fn the_filter_stays() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let socket = UdpSocket::bind(localhost()).unwrap();
    let share = socket.try_clone().unwrap();
    let server = Server::from_socket(&base, socket, drop).unwrap();
    let share = SockRef::from(&share);
    let accept_all = [socket2::SockFilter::new(
        libc::BPF_RET as u16,
        0,
        0,
        u32::MAX,
    )];
    let errors = [
        share.detach_filter().unwrap_err(),
        share.attach_filter(&accept_all).unwrap_err(),
    ];
    assert_eq!(
        errors.map(|error| error.raw_os_error()),
        [Some(libc::EPERM); 2]
    );
    let client = Client::new(server.local_addr());
    client.send(b"short");
    assert_eq!(client.exchange(&mut base, "a", A).code(), 5);
}

#[test]
fn a_socket_whose_own_filter_cannot_be_changed_is_refused() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let socket = UdpSocket::bind(localhost()).unwrap();
    let accept_all = [socket2::SockFilter::new(
        libc::BPF_RET as u16,
        0,
        0,
        u32::MAX,
    )];
    SockRef::from(&socket).attach_filter(&accept_all).unwrap();
    let on: libc::c_int = 1;
    // SAFETY: an int is read there.
    let locked = unsafe {
        let on = (&raw const on).cast();
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LOCK_FILTER,
            on,
            4,
        )
    };
    assert_eq!(locked, 0);
    let error = Server::from_socket(&base, socket, drop).unwrap_err();
    assert_eq!(
        error.io().unwrap().raw_os_error(),
        Some(libc::EPERM),
        "{error}"
    );
}

#[test]
fn what_is_no_standard_query_is_not_read() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    let of = |flags| query_of(1, flags, &[(labels("a"), A)]);
    // An answer, and all the kinds of question that are no query: C masks them away.
    unanswered(&mut base, &client, &of(QR));
    for opcode in 1..16 {
        unanswered(&mut base, &client, &of(opcode << 11));
    }
    // No question at all.
    unanswered(&mut base, &client, &query_of(1, RD, &[]));
}

#[test]
fn a_query_that_ends_too_soon_is_not_answered() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    let query = query(1, &[("host.example", A), ("other.example", A)]);
    for length in 12..query.len() {
        unanswered(&mut base, &client, &query[..length]);
    }
    // A count of questions that are not there, for which C takes half a megabyte.
    let mut many = query.clone();
    many[4..6].copy_from_slice(&[0xff, 0xff]);
    unanswered(&mut base, &client, &many);
}

#[test]
fn names_that_go_in_circles_or_out_of_bounds_are_not_answered() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    let names: [&[u8]; 9] = [
        // To itself, to each other, round by a label.
        b"\xc0\x0c",
        b"\xc0\x0e\xc0\x0c",
        b"\x01a\xc0\x0c",
        // Behind the end, and half a pointer.
        b"\xff\xff",
        b"\xc0",
        // Labels of reserved kinds.
        b"\x40a\0",
        b"\x80\x0c",
        b"\xbf\xff",
        b"\x3fa\0",
    ];
    for name in names {
        unanswered(&mut base, &client, &query_of(1, RD, &[(name.to_vec(), A)]));
    }
}

#[test]
fn a_pointer_in_a_question_is_followed() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held) = holding(&base);
    let client = Client::new(server.local_addr());
    let questions = [(labels("host.example"), A), (b"\x01x\xc0\x11".to_vec(), A)];
    client.send(&query_of(1, RD, &questions));
    base.run_nonblocking().unwrap();
    let requests = held.take();
    let names: Vec<_> = requests[0]
        .questions()
        .map(|one| one.name().as_str())
        .collect();
    assert_eq!(names, ["host.example", "x.example"]);
}

#[test]
fn a_name_longer_than_253_bytes_is_not_answered() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    let label = "x".repeat(63);
    let with = |last: usize| [&label[..], &label, &label, &label[..last]].join(".");
    let longest = with(61);
    assert_eq!(longest.len(), 253);
    assert_eq!(
        client.exchange(&mut base, &longest, A).questions[0].0,
        longest
    );
    for name in [
        with(62),
        with(63),
        [&longest[..], "x", "x"].join("."),
        longest.repeat(3),
    ] {
        unanswered(&mut base, &client, &query(1, &[(&name, A)]));
    }
}

/// C knows names as text with dots: these it would send back as something else, or malformed.
#[test]
fn a_name_that_c_cannot_repeat_is_not_answered() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    for name in [
        &b"\x01.\0"[..],
        b"\x02a.\0",
        b"\x02.a\0",
        b"\x02a.\x01b\0",
        b"\x04a..b\0",
    ] {
        unanswered(&mut base, &client, &query_of(1, RD, &[(name.to_vec(), A)]));
    }
}

/// T52, CVE-2026-63387: the questions alone can be too much for C's buffer, in any answer.
#[test]
fn more_questions_than_fit_into_a_reply_are_not_answered() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    let mut answered = 0;
    for count in 1..250 {
        let questions: Vec<_> = (0..count).map(|n| (labels(&format!("{n}")), A)).collect();
        let query = query_of(1, RD, &questions);
        if query.len() > limit() {
            unanswered(&mut base, &client, &query);
        } else {
            client.send(&query);
            base.run_nonblocking().unwrap();
            assert_eq!(client.reply().questions.len(), count);
            answered = count;
        }
    }
    assert!(answered > 50);
    // Small questions for a long name, which C would repeat once.
    let mut questions = vec![(labels(&"x.".repeat(100)), A)];
    questions.extend(vec![(b"\xc0\x0c".to_vec(), A); 45]);
    client.send(&query_of(1, RD, &questions));
    base.run_nonblocking().unwrap();
    assert_eq!(client.reply().questions.len(), 46);
    // Many long ones, of which none is a part of another one.
    let long = (0..20).map(|n| {
        let mut name = b"\x3f".to_vec();
        name.extend(format!("{n:063}").into_bytes());
        name.extend(b"\xc0\x0c");
        (name, A)
    });
    let long = long.collect::<Vec<_>>();
    let datagram = query_of(1, RD, &[vec![(labels("y"), A)], long].concat());
    unanswered(&mut base, &client, &datagram);
}

#[test]
fn a_large_datagram_is_read_in_part_and_does_no_harm() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    let mut large = query(0x1234, &[("a", A)]);
    large.resize(60_000, 0xff);
    client.send(&large);
    base.run_nonblocking().unwrap();
    assert_eq!(client.reply().questions.len(), 1);
}

/// A query as a client with EDNS sends it: the server knows nothing of that, and answers.
#[test]
fn additional_records_of_a_query_are_left_alone() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (_server, client) = saying_yes(&base);
    let mut query = query(1, &[("a", A)]);
    query[11] = 1;
    query.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    client.send(&query);
    base.run_nonblocking().unwrap();
    let reply = client.reply();
    assert_eq!((reply.code(), reply.questions.len()), (0, 1));
}

/// Bytes of any kind, and queries with some bytes changed.
#[test]
fn ten_thousand_random_datagrams_do_no_harm() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let served = count();
    let counted = served.clone();
    let server = Server::bind(&base, localhost(), move |request: Request| {
        counted.bump();
        let mut reply = Reply::new();
        for question in request.questions() {
            let record = Record::cname(question.name(), question.name(), TTL);
            reply = reply.answer(record.expect("what comes can go"));
        }
        request.respond(reply)
    });
    let client = Client::new(server.as_ref().unwrap().local_addr());
    let mut state = 1_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as usize
    };
    for round in 0..10_000_u16 {
        let mut datagram = if round.is_multiple_of(2) {
            (0..random() % 600).map(|_| random() as u8).collect()
        } else {
            query(round, &[("host.example", A), ("www.host.example", A)])
        };
        if datagram.len() >= 12 {
            // So that more than one in thousands is taken for a query.
            datagram[2] &= 7;
            datagram[4] = 0;
            datagram[5] = (random() % 4) as u8;
        }
        for _ in 0..random() % 4 {
            if !datagram.is_empty() {
                let at = random() % datagram.len();
                datagram[at] = random() as u8;
            }
        }
        let before = served.get();
        client.send(&datagram);
        base.run_nonblocking().unwrap();
        if served.get() > before {
            // It is well formed.
            client.reply();
        }
    }
    assert!(client.hears_nothing());
    assert!(served.get() > 1000, "{}", served.get());
    assert_eq!(client.exchange(&mut base, "next", A).code(), 0);
}

/// Names with parts in common, so that C compresses them.
fn names() -> impl Strategy<Value = Vec<String>> {
    let label = prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        "[a-c]{1,3}",
        "[a-z]{40,63}",
    ];
    let name = prop::collection::vec(label, 0..4).prop_map(|labels| match labels.len() {
        0 => ".".to_owned(),
        _ => labels.join("."),
    });
    prop::collection::vec(name, 2..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// What we count is what C writes: a reply is never cut by C, which would leave half a record,
    /// and never short of a record that has room.
    #[test]
    fn a_reply_has_as_many_records_as_fit(names in names(), length in 1_usize..40) {
        let mut base = EventBase::new().unwrap();
        let mut records = Vec::new();
        for pair in names.chunks_exact(2) {
            records.push(Record::cname(&pair[0], &pair[1], TTL).unwrap());
            records.push(Record::raw(&pair[0], RecordType(99), vec![0; length], TTL).unwrap());
        }
        let all = records.len();
        let server = Server::bind(&base, localhost(), move |request: Request| {
            request.respond(records.iter().cloned().fold(Reply::new(), Reply::answer))
        });
        let client = Client::new(server.as_ref().unwrap().local_addr());
        client.ask(1, "a.example", A);
        base.run_nonblocking().unwrap();
        let datagram = client.datagram();
        let reply = Message::read(&datagram);
        prop_assert_eq!(reply.is(TC), reply.answers.len() < all);
        prop_assert!(datagram.len() <= limit());
        // The next record takes no more than its names and data without compression.
        let next = reply.answers.len();
        if next < all {
            let pair = &names[next / 2 * 2..];
            let data = if next.is_multiple_of(2) { pair[1].len() + 2 } else { length };
            prop_assert!(datagram.len() + pair[0].len() + 2 + 10 + data > limit());
        }
    }
}
