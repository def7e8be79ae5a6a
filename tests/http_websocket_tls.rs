//! WebSockets over TLS (`wss:`): each TLS of the server with each of the client.
#![cfg(all(feature = "websocket", feature = "rustls"))]

mod common;
#[path = "common/rustls.rs"]
mod rustls_ends;

use common::bounded;
use libevent2::http::websocket::{SendError, WebSocketOptions};
use libevent2::http::{Client, ClientOptions, ClientTls, Listen, Server, TlsAcceptor};
use libevent2::{EventBase, Kind};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[cfg(feature = "openssl")]
mod openssl_ends {
    use crate::rustls_ends::WORLD;
    use libevent2::stream::tls::{Acceptor, Connector};
    use openssl::pkey::PKey;
    use openssl::ssl::{SslAcceptor, SslConnector, SslMethod};
    use openssl::x509::X509;

    pub fn connector() -> Connector {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        let authority = X509::from_der(&WORLD.authority.certificate).unwrap();
        builder.cert_store_mut().add_cert(authority).unwrap();
        builder.build().into()
    }

    pub fn acceptor() -> Acceptor {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        let certificate = X509::from_pem(WORLD.right.certificate_pem.as_bytes()).unwrap();
        let key = PKey::private_key_from_pem(WORLD.right.key_pem.as_bytes()).unwrap();
        builder.set_certificate(&certificate).unwrap();
        builder.set_private_key(&key).unwrap();
        builder.build().into()
    }
}

fn acceptors() -> Vec<TlsAcceptor> {
    vec![
        rustls_ends::acceptor().into(),
        #[cfg(feature = "openssl")]
        openssl_ends::acceptor().into(),
    ]
}

fn connectors() -> Vec<ClientTls> {
    vec![
        rustls_ends::connector().into(),
        #[cfg(feature = "openssl")]
        openssl_ends::connector().into(),
    ]
}

/// A server with its route, a client, and the URL.
fn ends(base: &EventBase, acceptor: TlsAcceptor, tls: ClientTls) -> (Server, Client, String) {
    let server = Server::new(base).unwrap();
    let listen = Listen::tcp("127.0.0.1:0").unwrap().tls(acceptor);
    server.listen_by(listen).unwrap();
    let mut options = ClientOptions::default();
    options.tls = Some(tls);
    let client = Client::with(base, options).unwrap();
    let url = format!("wss://localhost:{}/", server.local_addrs()[0].port());
    (server, client, url)
}

#[test]
fn messages_of_all_lengths_come_back_and_the_end_is_clean() {
    let _bounded = bounded();
    for connector in connectors() {
        for acceptor in acceptors() {
            let mut base = EventBase::new().unwrap();
            let (server, client, url) = ends(&base, acceptor, connector.clone());
            let closed = Rc::new(RefCell::new(Vec::new()));
            let noted = Rc::clone(&closed);
            server.fallback(move |request| {
                let socket = request.websocket(&WebSocketOptions::new()).unwrap();
                socket.on_message(|socket, message| socket.send(message));
                let noted = Rc::clone(&noted);
                socket.on_close(move |end| noted.borrow_mut().push((end.code, end.was_clean)));
            });
            let noted = Rc::clone(&closed);
            let connect = client.websocket(&url).unwrap().connect(move |result| {
                let socket = result.unwrap();
                let lengths = [0, 1, 125, 126, 16_384, 65_535, 65_536, 1 << 20];
                for length in lengths {
                    socket.send_binary(&vec![7; length]).unwrap();
                }
                let mut left = lengths.to_vec();
                socket.on_message(move |socket, message| {
                    assert_eq!(message.as_bytes().len(), left.remove(0));
                    if left.is_empty() {
                        socket.close(1000, "all").unwrap();
                    }
                });
                socket.on_close(move |end| {
                    noted.borrow_mut().push((end.code, end.was_clean));
                    server.close();
                });
            });
            connect.detach();
            base.run().unwrap();
            assert_eq!(*closed.borrow(), [(1000, true), (1000, true)]);
            assert_eq!(base.stats().live(Kind::BufferEvent), 0);
        }
    }
}

#[test]
fn one_that_does_not_read_fills_no_memory() {
    let _bounded = bounded();
    const MESSAGES: usize = 300;
    for connector in connectors() {
        for acceptor in acceptors() {
            let mut base = EventBase::new().unwrap();
            let (server, client, url) = ends(&base, acceptor, connector.clone());
            let most = Rc::new(Cell::new(0));
            let seen = Rc::clone(&most);
            server.fallback(move |request| {
                let options = WebSocketOptions::new().pending_bytes(1 << 20);
                let socket = request.websocket(&options).unwrap();
                let (most, mut left) = (Rc::clone(&seen), MESSAGES);
                socket.on_drain(move |socket| {
                    while left > 0 {
                        match socket.send_binary(&[0; 64 << 10]) {
                            Ok(()) => left -= 1,
                            Err(SendError::Full { .. }) => break,
                            Err(error) => panic!("{error}"),
                        }
                        most.set(most.get().max(socket.pending()));
                    }
                });
            });
            let connect = client.websocket(&url).unwrap().connect(move |result| {
                let socket = result.unwrap();
                let mut left = MESSAGES;
                socket.on_message(move |socket, message| {
                    assert_eq!(message.as_bytes().len(), 64 << 10);
                    left -= 1;
                    if left == 0 {
                        socket.close(1000, "").unwrap();
                    }
                });
                socket.on_close(move |_| server.close());
            });
            connect.detach();
            base.run().unwrap();
            assert!(most.get() > 0 && most.get() <= 1 << 20, "{}", most.get());
        }
    }
}
