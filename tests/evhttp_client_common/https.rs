//! The server of https tests, on threads.
#![allow(dead_code, reason = "not every test needs all of it")]

use crate::evhttp_client_common::{Peer, Server};
use crate::tls::{self, Identity};
use openssl::ssl::{SslAcceptor, SslStream};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

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

pub fn serve_on(
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

pub fn serve(identity: &Identity, serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
    serve_on(
        TcpListener::bind("127.0.0.1:0").unwrap(),
        identity,
        false,
        serve,
    )
}

pub fn web(peer: &mut Peer) {
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
