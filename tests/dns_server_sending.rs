//! Answers that the system does not take. Alone in its binary, which has a `sendto` of its own for
//! libevent: loopback takes everything.
#![cfg(all(target_os = "linux", not(libevent_2_2)))]

mod common;
mod dns_server_client;

use common::bounded;
use dns_server_client::{Client, Held, TC, TTL, holding};
use libevent2::dns::{Record, RecordType, Reply, ResponseCode, Server};
use libevent2::{EventBase, LoopEnd};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::UdpSocket;
use std::os::raw::{c_int, c_void};

const A: RecordType = RecordType::A;

thread_local! {
    /// The errors of the next calls on this thread.
    static ERRORS: RefCell<VecDeque<c_int>> = const { RefCell::new(VecDeque::new()) };
}

/// Takes the place of the C library's for the whole process.
///
/// # Safety
/// As for `sendto`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendto(
    socket: c_int,
    bytes: *const c_void,
    length: libc::size_t,
    flags: c_int,
    to: *const libc::sockaddr,
    to_length: libc::socklen_t,
) -> libc::ssize_t {
    if let Some(error) = ERRORS.with_borrow_mut(VecDeque::pop_front) {
        // SAFETY: the thread's own.
        unsafe { *libc::__errno_location() = error };
        return -1;
    }
    // SAFETY: what the caller has promised.
    unsafe {
        let sendto = libc::SYS_sendto;
        libc::syscall(sendto, socket, bytes, length, flags, to, to_length) as libc::ssize_t
    }
}

fn fail(errors: impl IntoIterator<Item = c_int>) {
    ERRORS.with_borrow_mut(|next| next.extend(errors));
}

/// How many errors are left.
fn left() -> usize {
    ERRORS.with_borrow(VecDeque::len)
}

/// A server that has these requests, numbered.
fn asked(base: &mut EventBase, count: u16) -> (Server, Held, Client) {
    let (server, held) = holding(base);
    let client = Client::new(server.local_addr());
    for id in 0..count {
        client.ask(id, "host.example", A);
    }
    base.run_nonblocking().unwrap();
    (server, held, client)
}

fn answer(held: &Held) {
    for request in held.take() {
        let name = request.question().name();
        let record = Record::a(name, "192.0.2.1".parse().unwrap(), TTL).unwrap();
        request.respond(Reply::new().answer(record)).unwrap();
    }
}

fn is_free(client: &Client) -> bool {
    UdpSocket::bind(client.0.peer_addr().unwrap()).is_ok()
}

#[test]
fn an_answer_that_the_system_does_not_take_now_is_sent_later_and_once() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held, client) = asked(&mut base, 3);
    fail([libc::EAGAIN, libc::EINTR, libc::EAGAIN, libc::EAGAIN]);
    answer(&held);
    assert_eq!(left(), 1, "libevent calls our sendto");
    assert_eq!(server.in_flight(), 3);
    assert!(client.hears_nothing());
    while server.in_flight() > 0 {
        base.run_once().unwrap();
    }
    for id in 0..3 {
        let reply = client.reply();
        assert_eq!(
            (reply.id, reply.answers.len(), reply.is(TC)),
            (id, 1, false)
        );
    }
    assert!(client.hears_nothing());
    // What was meant for writing does not keep it from reading.
    client.ask(9, "next", A);
    base.run_nonblocking().unwrap();
    drop(held.take());
    assert_eq!(client.reply().id, 9);
}

#[test]
fn answers_that_were_not_taken_are_sent_after_close_and_then_the_port_is_free() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held, client) = asked(&mut base, 2);
    fail([libc::EAGAIN; 3]);
    answer(&held);
    drop(server);
    assert!(!is_free(&client));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!([client.reply().id, client.reply().id], [0, 1]);
    assert!(is_free(&client));
}

#[test]
fn answers_that_were_not_taken_go_with_the_base() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held, client) = asked(&mut base, 2);
    fail([libc::EAGAIN; 2]);
    answer(&held);
    drop(base);
    assert!(server.is_closed() && is_free(&client) && client.hears_nothing());
}

/// C would keep them, and free the port that it is about to use when the last one goes.
#[test]
fn an_answer_that_the_system_refuses_is_lost_and_the_server_goes_on() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held, client) = asked(&mut base, 3);
    fail([libc::EPERM, libc::ENETUNREACH]);
    answer(&held);
    assert_eq!((left(), server.in_flight()), (0, 0));
    assert_eq!(client.reply().id, 2);
    base.run_nonblocking().unwrap();
    assert!(client.hears_nothing());
    for id in 4..8 {
        client.ask(id, "next", A);
        base.run_nonblocking().unwrap();
        drop(held.take());
        assert_eq!(client.reply().id, id);
    }
}

#[test]
fn an_answer_that_the_system_refuses_after_close_ends_the_server() {
    let _bounded = bounded();
    for errors in [vec![libc::EPERM], vec![libc::EAGAIN, libc::EPERM]] {
        let mut base = EventBase::new().unwrap();
        let (server, held, client) = asked(&mut base, 1);
        drop(server);
        fail(errors);
        answer(&held);
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(left(), 0);
        assert!(is_free(&client) && client.hears_nothing());
    }
}

#[test]
fn a_server_may_be_closed_while_c_waits_to_write() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held, client) = asked(&mut base, 2);
    fail([libc::EPERM]);
    answer(&held);
    // C has put the port into the loop for writing, and there is nothing to write.
    drop(server);
    assert!(is_free(&client));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(client.reply().id, 1);
}

/// Who asks faster than the system sends does not fill the memory.
#[test]
fn no_more_than_1024_answers_wait() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (server, held, client) = asked(&mut base, 0);
    let mut answered = 0;
    // One for the answer, and one for the loop, which tries it again.
    while answered < 1100 {
        client.ask(answered, "a", A);
        base.run_nonblocking().unwrap();
        ERRORS.with_borrow_mut(VecDeque::clear);
        fail([libc::EAGAIN; 2]);
        for request in held.take() {
            request.respond(ResponseCode::NO_ERROR).unwrap();
            answered += 1;
        }
    }
    assert_eq!(server.in_flight(), 1024);
    ERRORS.with_borrow_mut(VecDeque::clear);
    drop(server);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(is_free(&client));
}
