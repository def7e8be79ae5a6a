//! https: what is trusted, what is refused, and through proxies; with each TLS that there is.
#![cfg(all(feature = "http", feature = "rustls"))]

mod common;
mod http_client_common;
#[path = "common/rustls.rs"]
mod rustls_ends;

use common::bounded;
use http_client_common::{Peer, Talk, ask, kind};
use libevent2::http::{
    Client, ClientErrorKind, ClientOptions, ClientTls, Phase, Proxy, StatusCode,
};
use libevent2::{EventBase, LoopEnd};
use rustls::{ServerConnection, StreamOwned};
use rustls_ends::{BOTH, Identity, WORLD, server_config};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

type Secure = StreamOwned<ServerConnection, TcpStream>;

/// A server by TLS that shows a certificate.
fn secure(identity: &Identity, serve: impl Fn(&mut Talk<Secure>) + Send + Sync + 'static) -> Peer {
    let config = Arc::new(server_config(identity, BOTH));
    Peer::start(move |talk| {
        let tls = ServerConnection::new(config.clone()).unwrap();
        serve(&mut Talk {
            stream: StreamOwned::new(tls, talk.stream.try_clone().unwrap()),
            number: talk.number,
            seen: talk.seen.clone(),
        });
    })
}

fn greeter(identity: &Identity) -> Peer {
    secure(identity, |talk| {
        while talk.request().is_some() {
            talk.say(HELLO);
        }
    })
}

fn url(peer: &Peer, path: &str) -> String {
    format!("https://localhost:{}{path}", peer.address.port())
}

/// Clients that trust the test's authority, one for each TLS.
fn each_tls() -> Vec<ClientTls> {
    vec![
        rustls_ends::connector().into(),
        #[cfg(feature = "openssl")]
        libevent2::stream::tls::Connector::from(openssl_authority()).into(),
    ]
}

/// OpenSSL, trusting the authority of the others.
#[cfg(feature = "openssl")]
fn openssl_authority() -> openssl::ssl::SslConnector {
    use openssl::ssl::{SslConnector, SslMethod};
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    let authority = openssl::x509::X509::from_der(&WORLD.authority.certificate).unwrap();
    builder.cert_store_mut().add_cert(authority).unwrap();
    builder.build()
}

fn options(tls: ClientTls) -> ClientOptions {
    let mut options = ClientOptions::default();
    options.tls = Some(tls);
    options
}

#[test]
fn https_is_as_good_as_http() {
    let _bounded = bounded();
    for tls in each_tls() {
        let peer = greeter(&WORLD.right);
        let mut base = EventBase::new().unwrap();
        let client = Client::with(&base, options(tls)).unwrap();
        for host in ["localhost", "127.0.0.1"] {
            for _ in 0..2 {
                let url = format!("https://{host}:{}/a", peer.address.port());
                let request = client.get(&url).unwrap();
                request
                    .send(|result| assert_eq!(result.unwrap().text(), "hello"))
                    .detach();
                // A kept connection does not keep the loop.
                assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
            }
        }
        assert_eq!((peer.accepted(), client.idle_connections()), (2, 2));
        let body = "x".repeat(3 << 20);
        let request = client.post(&url(&peer, "/")).unwrap().body(body.clone());
        ask(&mut base, &client, request).unwrap();
        assert!(peer.seen().pop().unwrap().ends_with(&body));
    }
}

#[test]
fn a_certificate_that_is_not_right_is_refused() {
    let _bounded = bounded();
    for tls in each_tls() {
        for identity in [&WORLD.expired, &WORLD.self_signed, &WORLD.wrong_host] {
            let peer = greeter(identity);
            let mut base = EventBase::new().unwrap();
            let client = Client::with(&base, options(tls.clone())).unwrap();
            let request = client.get(&url(&peer, "/secret")).unwrap();
            let error = kind(ask(&mut base, &client, request));
            assert!(matches!(error, ClientErrorKind::Tls(_)), "{error:?}");
            assert_eq!((client.connections(), peer.seen().len()), (0, 0));
        }
    }
    // Who trusts the system only does not trust the test.
    let peer = greeter(&WORLD.right);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let error = kind(ask(
        &mut base,
        &client,
        client.get(&url(&peer, "/")).unwrap(),
    ));
    let refused = matches!(error, ClientErrorKind::Tls(_) | ClientErrorKind::Invalid(_));
    assert!(refused, "{error:?}");
}

#[test]
fn a_server_without_tls_is_told_as_such() {
    let _bounded = bounded();
    for tls in each_tls() {
        for close in [false, true] {
            let peer = Peer::start(move |talk| {
                let mut hello = [0; 5];
                let _ = talk.stream.read(&mut hello);
                if !close {
                    talk.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                    talk.until_gone();
                }
            });
            let mut base = EventBase::new().unwrap();
            let client = Client::with(&base, options(tls.clone())).unwrap();
            let error = kind(ask(
                &mut base,
                &client,
                client.get(&url(&peer, "/")).unwrap(),
            ));
            assert!(matches!(error, ClientErrorKind::Tls(_)), "{error:?}");
        }
    }
}

#[test]
fn the_handshake_has_its_time() {
    let _bounded = bounded();
    for tls in each_tls() {
        let peer = Peer::start(|talk| talk.until_gone());
        let mut options = options(tls);
        options.timeouts.tls = Some(Duration::from_millis(100));
        let mut base = EventBase::new().unwrap();
        let client = Client::with(&base, options).unwrap();
        let error = kind(ask(
            &mut base,
            &client,
            client.get(&url(&peer, "/")).unwrap(),
        ));
        assert!(
            matches!(error, ClientErrorKind::TimedOut(Phase::Tls)),
            "{error:?}"
        );
        assert_eq!(client.connections(), 0);
    }
}

#[test]
fn a_server_that_takes_nothing_is_given_up() {
    let _bounded = bounded();
    for tls in each_tls() {
        let peer = secure(&WORLD.right, |talk| {
            talk.head();
            thread::park();
        });
        let mut options = options(tls);
        options.timeouts.send = Some(Duration::from_millis(200));
        let mut base = EventBase::new().unwrap();
        let client = Client::with(&base, options).unwrap();
        let request = client
            .post(&url(&peer, "/"))
            .unwrap()
            .body(vec![b'x'; 16 << 20]);
        let error = kind(ask(&mut base, &client, request));
        assert!(
            matches!(error, ClientErrorKind::TimedOut(Phase::Request)),
            "{error:?}"
        );
        assert_eq!(client.connections(), 0);
    }
}

#[test]
fn a_kept_connection_that_has_ended_is_noticed() {
    let _bounded = bounded();
    for tls in each_tls() {
        let peer = secure(&WORLD.right, |talk| {
            talk.request();
            talk.say(HELLO);
            talk.stream.conn.send_close_notify();
            let _ = talk.stream.flush();
        });
        let mut base = EventBase::new().unwrap();
        let client = Client::with(&base, options(tls)).unwrap();
        for _ in 0..3 {
            let request = client.post(&url(&peer, "/")).unwrap().body("once");
            assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
            // Until the end of the connection has come through.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn an_answer_that_was_cut_off_is_found_out() {
    let _bounded = bounded();
    for tls in each_tls() {
        for notice in [true, false] {
            let peer = secure(&WORLD.right, move |talk| {
                talk.request();
                talk.say("HTTP/1.1 200 OK\r\n\r\npay 10");
                if notice {
                    talk.stream.conn.send_close_notify();
                    let _ = talk.stream.flush();
                }
                let _ = talk.stream.sock.shutdown(std::net::Shutdown::Write);
                talk.until_gone();
            });
            let mut base = EventBase::new().unwrap();
            let client = Client::with(&base, options(tls.clone())).unwrap();
            match ask(&mut base, &client, client.get(&url(&peer, "/")).unwrap()) {
                Ok(answer) => assert!(notice && answer.text() == "pay 10"),
                Err(error) => {
                    let incomplete = matches!(error.kind(), ClientErrorKind::Incomplete);
                    assert!(!notice && incomplete, "{error}");
                }
            }
        }
    }
}

#[test]
fn nobody_is_sent_from_https_to_http() {
    let _bounded = bounded();
    for tls in each_tls() {
        let plain = Peer::saying(HELLO);
        let to = plain.url("/");
        let peer = secure(&WORLD.right, move |talk| {
            while talk.request().is_some() {
                let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n");
                talk.say(format!("{head}Content-Length: 0\r\n\r\n"));
            }
        });
        for allow in [false, true] {
            let mut options = options(tls.clone());
            options.allow_downgrade = allow;
            let mut base = EventBase::new().unwrap();
            let client = Client::with(&base, options).unwrap();
            match ask(&mut base, &client, client.get(&url(&peer, "/")).unwrap()) {
                Ok(answer) => assert!(allow && answer.text() == "hello"),
                Err(error) => {
                    let refused = matches!(error.kind(), ClientErrorKind::Redirect { .. });
                    assert!(!allow && refused, "{error}");
                    assert_eq!(plain.accepted(), 0);
                }
            }
        }
    }
}

#[test]
fn requests_over_tls_are_cancelled_in_each_phase() {
    let _bounded = bounded();
    for tls in each_tls() {
        let deaf = Peer::start(|talk| talk.until_gone());
        let dumb = secure(&WORLD.right, |talk| {
            talk.request();
            talk.until_gone();
        });
        let half = secure(&WORLD.right, |talk| {
            talk.request();
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
            talk.until_gone();
        });
        for peer in [deaf, dumb, half] {
            for millis in [0, 40] {
                let mut base = EventBase::new().unwrap();
                let client = Client::with(&base, options(tls.clone())).unwrap();
                let request = client.get(&url(&peer, "/")).unwrap();
                let pending = request.send(http_client_common::never);
                base.handle()
                    .exit_after(Duration::from_millis(millis))
                    .unwrap();
                base.run().unwrap();
                drop(pending);
                assert_eq!((client.pending(), client.connections()), (0, 0));
                base.run().unwrap();
            }
        }
    }
}

// --- proxies ----------------------------------------------------------------------------------------

/// Answers requests that come whole, and makes tunnels for those that may have one.
fn proxy(allow: bool) -> (Peer, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let seen = heads.clone();
    let peer = Peer::start(move |talk| {
        while let Some(head) = talk.head() {
            seen.lock().unwrap().push(head.clone());
            let target = head.split(' ').nth(1).unwrap();
            if !head.starts_with("CONNECT") {
                talk.say(HELLO);
            } else if !allow {
                let more = "Proxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nno!\n";
                talk.say(format!("HTTP/1.1 407 Authenticate\r\n{more}"));
            } else {
                let port = target.rsplit(':').next().unwrap().parse().unwrap();
                let there = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
                talk.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connected\r\nX: y\r\n\r\n");
                let (mut here, mut to) =
                    (talk.stream.try_clone().unwrap(), there.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut here, &mut to));
                let _ = std::io::copy(&mut &there, &mut talk.stream);
                return;
            }
        }
    });
    (peer, heads)
}

#[test]
fn requests_go_through_a_proxy_whole() {
    let _bounded = bounded();
    let (peer, heads) = proxy(true);
    let direct = Peer::saying(HELLO);
    let mut options = ClientOptions::default();
    let by = Proxy::new(&format!("http://us%65r:secret@{}", peer.address)).unwrap();
    options.proxy = Some(by.except("127.0.0.1"));
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    for host in ["one.example", "two.example:81"] {
        let request = client.get(&format!("http://{host}/a?b")).unwrap();
        assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
        let head = heads.lock().unwrap().pop().unwrap();
        assert!(
            head.starts_with(&format!("GET http://{host}/a?b HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(head.contains(&format!("Host: {host}\r\n")), "{head}");
        assert!(
            head.contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"),
            "{head}"
        );
    }
    assert_eq!(peer.accepted(), 1, "one connection to the proxy is enough");
    ask(&mut base, &client, client.get(&direct.url("/")).unwrap()).unwrap();
    let seen = direct.seen().pop().unwrap();
    assert!(
        !seen.contains("Proxy-Authorization") && seen.starts_with("GET / "),
        "{seen}"
    );
}

#[test]
fn https_goes_through_a_tunnel() {
    let _bounded = bounded();
    for tls in each_tls() {
        let (peer, heads) = proxy(true);
        let server = greeter(&WORLD.right);
        let mut options = options(tls.clone());
        options.proxy = Some(Proxy::new(&format!("http://user:secret@{}", peer.address)).unwrap());
        let mut base = EventBase::new().unwrap();
        let client = Client::with(&base, options).unwrap();
        for _ in 0..2 {
            let request = client.get(&url(&server, "/")).unwrap();
            assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
        }
        assert_eq!(peer.accepted(), 1);
        let heads = heads.lock().unwrap().clone();
        let place = format!("localhost:{}", server.address.port());
        let expected = format!(
            "CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\
             Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n"
        );
        assert_eq!(heads, [expected]);
        let seen = server.seen().pop().unwrap();
        assert!(!seen.contains("Proxy-Authorization"), "{seen}");
        // The proxy cannot pass itself off as the server.
        let wrong = greeter(&WORLD.wrong_host);
        let request = client.get(&url(&wrong, "/")).unwrap();
        let error = kind(ask(&mut base, &client, request));
        assert!(matches!(error, ClientErrorKind::Tls(_)), "{error:?}");
    }
}

#[test]
fn a_proxy_that_refuses_is_told_as_such() {
    let _bounded = bounded();
    for tls in each_tls() {
        let server = greeter(&WORLD.right);
        let refusing = proxy(false).0;
        let garbled = Peer::saying_once("SSH-2.0-OpenSSH\r\n");
        let chatty = Peer::saying("HTTP/1.1 200 OK\r\n\r\nand more");
        let closing = Peer::start(|talk| drop(talk.head()));
        let try_by = |proxy: &Peer| {
            let mut options = options(tls.clone());
            options.proxy = Some(Proxy::new(&proxy.url("")).unwrap());
            let mut base = EventBase::new().unwrap();
            let client = Client::with(&base, options).unwrap();
            let error = kind(ask(
                &mut base,
                &client,
                client.get(&url(&server, "/")).unwrap(),
            ));
            assert_eq!((client.connections(), client.pending()), (0, 0));
            error
        };
        let refused = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        assert!(matches!(try_by(&refusing), ClientErrorKind::Proxy(status) if status == refused));
        assert!(matches!(try_by(&garbled), ClientErrorKind::Malformed(_)));
        assert!(matches!(try_by(&chatty), ClientErrorKind::Malformed(_)));
        let error = try_by(&closing);
        assert!(matches!(error, ClientErrorKind::Closed), "{error:?}");
        assert_eq!(server.accepted(), 0);
    }
}

#[test]
fn a_proxy_may_be_by_tls_itself() {
    let _bounded = bounded();
    for tls in each_tls() {
        let server = greeter(&WORLD.right);
        let port = server.address.port();
        let peer = secure(&WORLD.right, move |talk| {
            let head = talk.head().unwrap();
            if !head.starts_with("CONNECT") {
                return talk.say(HELLO);
            }
            let mut there = TcpStream::connect(("127.0.0.1", port)).unwrap();
            talk.say("HTTP/1.1 200 OK\r\n\r\n");
            // In turn: what there is from one side, then from the other.
            let pause = Some(Duration::from_millis(5));
            talk.stream.sock.set_read_timeout(pause).unwrap();
            there.set_read_timeout(pause).unwrap();
            let mut bytes = [0; 16384];
            loop {
                match talk.stream.read(&mut bytes) {
                    Ok(0) => return,
                    Ok(length) => there.write_all(&bytes[..length]).unwrap(),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
                match there.read(&mut bytes) {
                    Ok(0) => return,
                    Ok(length) => talk.say(&bytes[..length]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        });
        let mut options = options(tls);
        options.proxy = Some(Proxy::new(&url(&peer, "")).unwrap());
        let mut base = EventBase::new().unwrap();
        let client = Client::with(&base, options).unwrap();
        for url in [url(&server, "/"), "http://one.example/".to_owned()] {
            let request = client.get(&url).unwrap();
            assert_eq!(
                ask(&mut base, &client, request).unwrap().text(),
                "hello",
                "{url}"
            );
        }
    }
}
