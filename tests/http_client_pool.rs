//! Connections that are kept, used again, found closed, and bounded in number.
#![cfg(feature = "http")]

mod common;
mod http_client_common;

use common::bounded;
use http_client_common::{Peer, ask, begin, kind};
use libevent2::EventBase;
use libevent2::http::{Client, ClientErrorKind, ClientOptions, Method};
use std::net::Shutdown;
use std::time::Duration;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Answers one request on its first connection, and closes it when it is asked again.
fn forgetful() -> Peer {
    Peer::start(move |talk| {
        let mut first = true;
        while talk.request().is_some() {
            if talk.number == 0 && !first {
                // The request was read, and nothing is said.
                let _ = talk.stream.shutdown(Shutdown::Both);
                return;
            }
            first = false;
            talk.say(HELLO);
        }
    })
}

#[test]
fn a_request_that_may_be_repeated_is_sent_again_when_a_kept_connection_ends() {
    let _bounded = bounded();
    for method in ["GET", "PUT", "DELETE"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let peer = forgetful();
        let mut base = EventBase::new().unwrap();
        let client = Client::new(&base).unwrap();
        let first = client.get(&peer.url("/")).unwrap();
        ask(&mut base, &client, first).unwrap();
        let again = client.request(method.clone(), &peer.url("/again")).unwrap();
        assert_eq!(
            ask(&mut base, &client, again).unwrap().text(),
            "hello",
            "{method}"
        );
        assert_eq!((peer.accepted(), peer.seen().len()), (2, 3));
    }
}

#[test]
fn one_that_may_not_be_repeated_is_not() {
    let _bounded = bounded();
    let peer = forgetful();
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    ask(&mut base, &client, client.get(&peer.url("/")).unwrap()).unwrap();
    let request = client.post(&peer.url("/pay")).unwrap().body("1");
    let error = kind(ask(&mut base, &client, request));
    assert!(matches!(error, ClientErrorKind::Closed), "{error:?}");
    assert_eq!(peer.seen().len(), 2, "it was sent once");
}

#[test]
fn a_new_connection_that_says_nothing_is_not_tried_again() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| drop(talk.request()));
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let error = kind(ask(&mut base, &client, client.get(&peer.url("/")).unwrap()));
    assert!(matches!(error, ClientErrorKind::Closed), "{error:?}");
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_noticed_before_it_is_used() {
    let _bounded = bounded();
    // It closes after each answer, without having said so.
    let peer = Peer::start(|talk| {
        talk.request();
        talk.say(HELLO);
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for number in 1..=5 {
        let request = client.post(&peer.url("/")).unwrap().body("once");
        assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
        assert_eq!(peer.accepted(), number);
        // Until the end of the connection has come through.
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn a_server_that_speaks_unasked_is_not_asked_again() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        while talk.request().is_some() {
            talk.say(HELLO);
            std::thread::sleep(Duration::from_millis(20));
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for _ in 0..4 {
        let answer = ask(&mut base, &client, client.get(&peer.url("/")).unwrap());
        assert_eq!(answer.unwrap().text(), "hello");
        std::thread::sleep(Duration::from_millis(60));
    }
    assert_eq!(peer.accepted(), 4);
}

#[test]
fn idle_connections_are_bounded_in_number_and_time() {
    let _bounded = bounded();
    let peers: Vec<_> = (0..4).map(|_| Peer::saying(HELLO)).collect();
    let mut options = ClientOptions::default();
    options.pool.idle_per_host = 2;
    options.pool.idle = 5;
    options.pool.idle_time = Duration::from_millis(100);
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let all: Vec<_> = (0..12)
        .map(|number| begin(client.get(&peers[number % 4].url("/")).unwrap(), &client))
        .collect();
    while client.pending() > 0 {
        base.run().unwrap();
    }
    assert_eq!((client.idle_connections(), client.connections()), (5, 5));
    std::thread::sleep(Duration::from_millis(150));
    ask(&mut base, &client, client.get(&peers[0].url("/")).unwrap()).unwrap();
    assert_eq!((client.idle_connections(), client.connections()), (1, 1));
    client.close_idle();
    assert_eq!(client.connections(), 0);
    drop(all);
}

#[test]
fn nothing_is_kept_when_nothing_may_be() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let mut options = ClientOptions::default();
    options.pool.idle_per_host = 0;
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    for number in 1..=3 {
        ask(&mut base, &client, client.get(&peer.url("/")).unwrap()).unwrap();
        assert_eq!((client.connections(), peer.accepted()), (0, number));
    }
    let client = Client::new(&base).unwrap();
    let request = client
        .get(&peer.url("/"))
        .unwrap()
        .header("connection", "close");
    ask(&mut base, &client, request).unwrap();
    assert_eq!(client.connections(), 0);
}

#[test]
fn all_connections_together_are_bounded() {
    let _bounded = bounded();
    let peers: Vec<_> = (0..6).map(|_| Peer::saying(HELLO)).collect();
    let mut options = ClientOptions::default();
    options.pool.total = 3;
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let all: Vec<_> = (0..60)
        .map(|number| begin(client.get(&peers[number % 6].url("/")).unwrap(), &client))
        .collect();
    assert_eq!(client.connections(), 3);
    while client.pending() > 0 {
        base.run().unwrap();
        assert!(client.connections() <= 3);
    }
    for (slot, _) in all {
        assert_eq!(slot.borrow_mut().take().unwrap().unwrap().text(), "hello");
    }
}

#[test]
fn who_waits_gets_a_connection_when_another_fails() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        talk.request();
        if talk.number > 0 {
            talk.say(HELLO);
            talk.until_gone();
        }
    });
    let mut options = ClientOptions::default();
    options.pool.per_host = 1;
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let first = begin(client.get(&peer.url("/")).unwrap(), &client);
    let second = begin(client.get(&peer.url("/")).unwrap(), &client);
    while client.pending() > 0 {
        base.run().unwrap();
    }
    assert!(first.0.borrow_mut().take().unwrap().is_err());
    assert!(second.0.borrow_mut().take().unwrap().is_ok());
}
