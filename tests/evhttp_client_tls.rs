//! What TLS makes of servers that are not who they say, and of connections that end at any time.
#![cfg(all(unix, feature = "http", feature = "openssl"))]

mod common;
mod evhttp_client_common;
#[path = "evhttp_client_common/https.rs"]
mod https;
#[path = "common/tls.rs"]
mod tls;

use common::bounded;
use evhttp_client_common::{Server, ask};
use https::{serve, web};
use libevent2::EventBase;
use libevent2::evhttp::{ClientError, ClientRequest, Connection};
use libevent2::stream::Resolve;
use std::time::{Duration, Instant};
use tls::WORLD;

fn connect(base: &EventBase, port: u16) -> Connection {
    let (connector, _) = tls::ends();
    Connection::tls(base, &connector, false, &Resolve::base(), "127.0.0.1", port).unwrap()
}

fn get() -> ClientRequest {
    ClientRequest::get("/test")
}

#[test]
fn a_server_that_is_not_who_it_says_is_refused() {
    let _bounded = bounded();
    for identity in [&WORLD.expired, &WORLD.self_signed, &WORLD.wrong_host] {
        let mut base = EventBase::new().unwrap();
        let server = serve(identity, web);
        let connection = connect(&base, server.port());
        connection.set_retries(Some(3)).unwrap();
        let began = Instant::now();
        match ask(&mut base, &connection, get()) {
            Err(ClientError::Tls { reason, .. }) => {
                assert!(reason.contains("certificate verify failed"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        // It is the same at the next time: nothing is retried.
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn a_server_that_speaks_no_tls_is_an_error() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::new(|peer| {
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        peer.until_end();
    });
    let connection = connect(&base, server.port());
    let got = ask(&mut base, &connection, get());
    assert!(
        matches!(
            got,
            Err(ClientError::Tls { .. } | ClientError::Connect { .. })
        ),
        "{got:?}"
    );
    // Nor is one that goes in the middle of the handshake.
    let server = Server::new(|_| ());
    let connection = connect(&base, server.port());
    assert!(ask(&mut base, &connection, get()).is_err());
    // Or that never says a word.
    let server = Server::silent();
    let connection = connect(&base, server.port());
    connection
        .set_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let got = ask(&mut base, &connection, get());
    assert!(
        matches!(got, Err(ClientError::ConnectTimedOut { .. })),
        "{got:?}"
    );
}

#[test]
fn a_connection_over_tls_may_end_at_any_time() {
    let _bounded = bounded();
    let server = serve(&WORLD.right, web);
    for turns in 0..40 {
        for closes in [false, true] {
            let mut base = EventBase::new().unwrap();
            let connection = connect(&base, server.port());
            let pending = connection.send(ClientRequest::get("/large")).unwrap();
            for _ in 0..turns {
                base.run_nonblocking().unwrap();
            }
            match closes {
                true => connection.close(),
                false => pending.cancel(),
            }
            base.run_nonblocking().unwrap();
        }
    }
}
