//! The https cases of regress_http.c that a client has a part in, by name, and what verification
//! makes of servers that are not who they say.
#![cfg(all(unix, feature = "http", feature = "openssl"))]

mod common;
mod dns_common;
mod evhttp_client_common;
#[path = "common/tls.rs"]
mod tls;

use common::bounded;
use dns_common::NameServer;
use evhttp_client_common::{Got, Peer, Server, ask, noting, refused, text, until};
use libevent2::EventBase;
use libevent2::dns::{Config, Resolver};
use libevent2::evhttp::{ClientError, ClientRequest, Connection, ConnectionFlags};
use libevent2::stream::Resolve;
use openssl::ssl::{SslAcceptor, SslStream};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tls::{Identity, WORLD};

/// The server's side, which ends in TLS's way, or not.
struct Side {
    stream: SslStream<TcpStream>,
    dirty: bool,
}

impl Read for Side {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl Write for Side {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if !self.dirty {
            let _ = self.stream.shutdown();
        }
    }
}

fn serve_on(
    listener: TcpListener,
    identity: &Identity,
    dirty: bool,
    serve: impl Fn(&mut Peer) + Send + Sync + 'static,
) -> Server {
    let acceptor: SslAcceptor = tls::server(identity).build();
    Server::on(listener, move |stream| {
        if let Ok(stream) = acceptor.accept(stream) {
            serve(&mut Peer::new(Side { stream, dirty }));
        }
    })
}

fn serve(identity: &Identity, serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
    serve_on(
        TcpListener::bind("127.0.0.1:0").unwrap(),
        identity,
        false,
        serve,
    )
}

fn web(peer: &mut Peer) {
    while let Some(seen) = peer.request() {
        match seen.path() {
            "/chunked" => {
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for number in 0..100 {
                    let piece = format!("<br>{number}");
                    peer.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
                }
                peer.send("0\r\n\r\n");
            }
            "/large" => peer.ok(&"large".repeat(200_000)),
            _ => peer.ok("This is funny"),
        }
    }
}

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
fn https_chunk_out_and_stream_out() {
    let _bounded = bounded();
    // The client's part of both.
    let mut base = EventBase::new().unwrap();
    let server = serve(&WORLD.right, web);
    let connection = connect(&base, server.port());
    let chunked = text(ask(&mut base, &connection, ClientRequest::get("/chunked"))).1;
    assert_eq!(
        chunked,
        (0..100)
            .map(|number| format!("<br>{number}"))
            .collect::<String>()
    );
    let large = text(ask(&mut base, &connection, ClientRequest::get("/large"))).1;
    assert_eq!(large.len(), 1_000_000);
    assert_eq!(server.connections(), 1);
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
