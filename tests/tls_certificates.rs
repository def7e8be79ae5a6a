//! What the two ends of a TLS connection know and think of each other.
#![cfg(feature = "openssl")]

#[path = "common/tls.rs"]
mod certificates;
mod common;
#[path = "common/tls_streams.rs"]
mod streams;

use certificates::{Identity, WORLD, client, only, server};
use common::bounded;
use libevent2::EventBase;
use libevent2::stream::Callbacks;
use libevent2::stream::tls::Acceptor;
use openssl::ssl::SslVersion;
use std::cell::Cell;
use std::rc::Rc;
use streams::{ALL, Below, Log, listening};

/// What a client and a server hear of a handshake.
fn shake_hands(below: Below, identity: &Identity) -> (Vec<String>, Vec<String>) {
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = (Log::default(), Log::default());
    let both = (client().build().into(), server(identity).build().into());
    let (stream, other) = below.tls(&base, both, listening(&ours), listening(&theirs));
    while ours.borrow().is_empty() || theirs.borrow().is_empty() {
        base.run_once().unwrap();
    }
    drop((stream, other));
    (ours.take(), theirs.take())
}

#[test]
fn bad_certificates_are_refused_in_openssls_words() {
    let _watchdog = bounded();
    for below in ALL {
        for (identity, why) in [
            (&WORLD.expired, "certificate has expired"),
            (&WORLD.self_signed, "self-signed certificate"),
            (&WORLD.wrong_host, "hostname mismatch"),
        ] {
            let (ours, _) = shake_hands(below, identity);
            let whole = format!("truncated=false certificate verify failed: {why}");
            // OpenSSL 1.1 writes "self signed".
            assert_eq!(ours[0].replace("self signed", "self-signed"), whole);
            assert_eq!(ours.len(), 1);
        }
        let (ours, _) = shake_hands(below, &WORLD.right);
        assert_eq!(ours, ["Connected"]);
    }
}

#[test]
fn the_server_hears_what_the_client_objects_to() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = (Log::default(), Log::default());
    let (mut connector, mut acceptor) = (client(), server(&WORLD.expired));
    only(SslVersion::TLS1_2)(&mut connector);
    only(SslVersion::TLS1_2)(&mut acceptor);
    let both = (connector.build().into(), acceptor.build().into());
    let (stream, other) = Below::Socket.tls(&base, both, listening(&ours), listening(&theirs));
    while theirs.borrow().is_empty() {
        base.run_once().unwrap();
    }
    assert!(
        theirs.borrow()[0].contains("alert certificate expired"),
        "{theirs:?}"
    );
    drop((stream, other));
}

#[test]
fn old_versions_are_not_spoken() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = (Log::default(), Log::default());
    let (mut connector, mut acceptor) = (client(), server(&WORLD.right));
    // Nothing but our own minimum is in the way.
    for context in [&mut *connector, &mut *acceptor] {
        context.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        context.set_min_proto_version(None).unwrap();
        context.clear_options(openssl::ssl::SslOptions::all());
    }
    connector
        .set_max_proto_version(Some(SslVersion::TLS1_1))
        .unwrap();
    let both = (connector.build().into(), acceptor.build().into());
    let (stream, other) = Below::Socket.tls(&base, both, listening(&ours), listening(&theirs));
    while ours.borrow().is_empty() {
        base.run_once().unwrap();
    }
    assert!(ours.borrow()[0].starts_with("truncated=false"), "{ours:?}");
    drop((stream, other));
}

#[test]
fn names_and_protocols_are_known_to_both() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (mut connector, mut acceptor) = (client(), server(&WORLD.right));
    connector.set_alpn_protos(b"\x02h2\x08http/1.1").unwrap();
    acceptor.set_alpn_select_callback(|_, offered| {
        openssl::ssl::select_next_proto(b"\x08http/1.1", offered)
            .ok_or(openssl::ssl::AlpnError::NOACK)
    });
    let both = (connector.build().into(), acceptor.build().into());
    let log = Log::default();
    let (stream, other) = Below::Socket.tls(&base, both, Callbacks::new(), listening(&log));
    while log.borrow().is_empty() {
        base.run_once().unwrap();
    }
    for stream in [&stream, &other] {
        let tls = stream.tls().unwrap();
        assert_eq!(tls.alpn().as_deref(), Some(&b"http/1.1"[..]));
        assert!(tls.cipher().unwrap().starts_with("TLS_"));
        assert!(!tls.is_session_reused());
    }
    assert_eq!(other.tls().unwrap().server_name().unwrap(), "localhost");
    assert!(!stream.tls().unwrap().ssl(|ssl| ssl.is_server()).unwrap());
    stream.close();
    assert!(stream.tls().is_none());
}

#[test]
fn a_session_is_taken_up_again() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let acceptor = Acceptor::from(server(&WORLD.right).build());
    let connector = client().build();
    let mut session: Option<openssl::ssl::SslSession> = None;
    for round in 0..2 {
        let (ours, theirs) = Below::Socket.ends(&base);
        let mut ssl = connector
            .configure()
            .unwrap()
            .into_ssl("localhost")
            .unwrap();
        if let Some(session) = &session {
            // SAFETY: it is of the same context.
            unsafe { ssl.set_session(session).unwrap() };
        }
        let other = acceptor
            .wrap(
                theirs,
                Callbacks::new().on_event(|stream, _| stream.write(b"!")),
            )
            .unwrap();
        let got = Rc::new(Cell::new(false));
        let seen = got.clone();
        let handler = Callbacks::new().on_read(move |_| seen.set(true));
        let role = libevent2::stream::tls::Role::Client;
        let stream = libevent2::stream::tls::wrap_ssl(ours, ssl, role, handler).unwrap();
        while !got.get() {
            base.run_once().unwrap();
        }
        let tls = stream.tls().unwrap();
        assert_eq!(tls.is_session_reused(), round == 1);
        session = tls.ssl(|ssl| ssl.session().map(ToOwned::to_owned)).unwrap();
        drop(other);
    }
}
