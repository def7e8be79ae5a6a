//! A server of evhttp over TLS, and a client that OpenSSL makes.

#![allow(dead_code, reason = "each test binary uses its own part")]

use crate::certificates::{self, WORLD};
use crate::evhttp_common::{Client, connect, listening};
use libevent2::EventBase;
use libevent2::evhttp::Server;
use openssl::ssl::{Ssl, SslConnector, SslContext, SslStream};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;

/// Shows the right certificate.
pub fn context() -> SslContext {
    certificates::server(&WORLD.right).build().into_context()
}

/// A base and a server that listens.
pub fn secure() -> (EventBase, Server, SocketAddr) {
    let (base, server, addr) = listening();
    let context = context();
    server.set_tls(move || Ssl::new(&context)).unwrap();
    (base, server, addr)
}

/// A connection whose certificate was verified.
pub fn handshake(addr: SocketAddr) -> Result<SslStream<TcpStream>, String> {
    static CONNECTOR: LazyLock<SslConnector> = LazyLock::new(|| certificates::client().build());
    let stream = CONNECTOR.connect("localhost", connect(addr));
    stream.map_err(|error| error.to_string())
}

pub fn client(addr: SocketAddr) -> Client<SslStream<TcpStream>> {
    Client::over(handshake(addr).unwrap())
}
