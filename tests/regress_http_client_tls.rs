//! The https cases of regress_http.c that a client has a part in, by name.
#![cfg(all(unix, feature = "http", feature = "openssl"))]

mod common;
mod dns_common;
mod evhttp_client_common;
#[path = "evhttp_client_common/https.rs"]
mod https;
#[path = "common/tls.rs"]
mod tls;

use common::bounded;
use dns_common::NameServer;
use evhttp_client_common::{Got, ask, noting, refused, text, until};
use https::{serve, serve_on, web};
use libevent2::EventBase;
use libevent2::dns::{Config, Resolver};
use libevent2::evhttp::{ClientError, ClientRequest, Connection, ConnectionFlags};
use libevent2::stream::Resolve;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};
use tls::WORLD;

fn connect(base: &EventBase, port: u16) -> Connection {
    let (connector, _) = tls::ends();
    Connection::tls(base, &connector, false, &Resolve::base(), "127.0.0.1", port).unwrap()
}

fn get() -> ClientRequest {
    ClientRequest::get("/test")
}

fn three(persist: bool) -> usize {
    let mut base = EventBase::new().unwrap();
    let server = serve(&WORLD.right, web);
    let connection = connect(&base, server.port());
    for number in 0..3 {
        let request = match persist || number != 1 {
            true => get(),
            false => get().header("Connection", "close"),
        };
        assert_eq!(
            text(ask(&mut base, &connection, request)).1,
            "This is funny"
        );
    }
    assert_eq!(connection.addr(), Some(server.addr));
    server.connections()
}

#[test]
fn https_connection() {
    let _bounded = bounded();
    assert_eq!(three(false), 2);
}

#[test]
fn https_persist_connection() {
    let _bounded = bounded();
    assert_eq!(three(true), 1);
}

#[test]
fn https_connection_fail() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (connector, _) = tls::ends();
    let connection = Connection::tls(
        &base,
        &connector,
        false,
        &Resolve::base(),
        "239.10.20.30",
        80,
    )
    .unwrap();
    match ask(&mut base, &connection, get()) {
        Err(ClientError::Connect { source, .. }) => {
            assert_eq!(source.raw_os_error(), Some(libc::ENETUNREACH), "{source}");
        }
        other => panic!("{other:?}"),
    }
}

/// As the plain case, more briefly: a retry waits, and finds a server that starts late.
fn retry(base: &mut EventBase, connection: &Connection, port: u16) {
    connection
        .set_initial_retry(Duration::from_millis(200))
        .unwrap();
    assert!(matches!(
        ask(base, connection, get()),
        Err(ClientError::Connect { .. })
    ));
    connection.set_retries(Some(1)).unwrap();
    let began = Instant::now();
    assert!(matches!(
        ask(base, connection, get()),
        Err(ClientError::Connect { .. })
    ));
    assert!(began.elapsed() >= Duration::from_millis(190));
    connection.set_retries(Some(5)).unwrap();
    let got = Got::default();
    connection.send(noting(get(), &got)).unwrap().detach();
    for _ in 0..10 {
        base.run_nonblocking().unwrap();
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let _server = serve_on(listener, &WORLD.right, false, web);
    until(base, || !got.borrow().is_empty());
    assert_eq!(text(got.take().remove(0)).1, "This is funny");
}

#[test]
fn https_connection_retry() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let port = refused();
    let connection = connect(&base, port);
    retry(&mut base, &connection, port);
}

#[test]
fn https_connection_retry_conn_address() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let names = NameServer::start(|query| Some(query.address(Ipv4Addr::LOCALHOST, 60)));
    let mut config = dns_common::impatient(Config::default());
    config.servers = vec![names.address()];
    config.search = vec![];
    let resolver = Resolver::new(&base, config).unwrap();
    let port = refused();
    let (connector, _) = tls::ends();
    // The name that the certificate is for; the resolver knows it without asking.
    let resolve = Resolve::by(&resolver).ipv4();
    let connection =
        Connection::tls(&base, &connector, false, &resolve, "localhost", port).unwrap();
    connection
        .set_flags(ConnectionFlags::REUSE_CONNECTED_ADDR)
        .unwrap();
    retry(&mut base, &connection, port);
}

/// A body that ends with the connection.
fn until_end(dirty_server: bool, allowed: bool) -> Result<(u16, String), ClientError> {
    let mut base = EventBase::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = serve_on(listener, &WORLD.right, dirty_server, |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nall of it");
    });
    let (connector, _) = tls::ends();
    let resolve = Resolve::base();
    let port = server.port();
    let connection =
        Connection::tls(&base, &connector, allowed, &resolve, "127.0.0.1", port).unwrap();
    ask(&mut base, &connection, get()).map(|response| text(Ok(response)))
}

#[test]
fn https_simple() {
    let _bounded = bounded();
    assert_eq!(until_end(false, false).unwrap().1, "all of it");
}

#[test]
fn https_simple_dirty() {
    let _bounded = bounded();
    assert_eq!(until_end(true, true).unwrap().1, "all of it");
    // Somebody in between may have cut it off.
    assert!(matches!(until_end(true, false), Err(ClientError::Eof)));
}

fn half(ends: bool) -> ClientError {
    let mut base = EventBase::new().unwrap();
    let server = serve(&WORLD.right, move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        if !ends {
            peer.until_end();
        }
    });
    let connection = connect(&base, server.port());
    connection
        .set_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    ask(&mut base, &connection, get()).unwrap_err()
}

#[test]
fn https_incomplete() {
    let _bounded = bounded();
    assert!(matches!(half(true), ClientError::Eof));
}

#[test]
fn https_incomplete_timeout() {
    let _bounded = bounded();
    assert!(matches!(half(false), ClientError::TimedOut));
}

#[test]
fn https_chunk_out() {
    let _bounded = bounded();
    // The client's part: all chunks arrive.
    let mut base = EventBase::new().unwrap();
    let server = serve(&WORLD.right, web);
    let connection = connect(&base, server.port());
    for _ in 0..2 {
        let chunked = text(ask(&mut base, &connection, ClientRequest::get("/chunked"))).1;
        let expected: String = (0..100).map(|number| format!("<br>{number}")).collect();
        assert_eq!(chunked, expected);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn https_stream_out() {
    let _bounded = bounded();
    // The client's part, with more than fits into the buffers between.
    let mut base = EventBase::new().unwrap();
    let server = serve(&WORLD.right, web);
    let connection = connect(&base, server.port());
    let large = text(ask(&mut base, &connection, ClientRequest::get("/large"))).1;
    assert_eq!(large.len(), 1_000_000);
}
