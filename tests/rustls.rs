//! TLS by rustls between streams of ours: what is sent, verified, ended and broken.
#![cfg(feature = "rustls")]

#[path = "common/rustls.rs"]
mod certificates;
mod common;

use certificates::{
    BOTH, Below, EACH, Identity, Log, WORLD, acceptor, client_config, connector, echo, run_until,
    server_config, tls,
};
use common::bounded;
use libevent2::stream::rustls::{Acceptor, Connector};
use libevent2::stream::{BufferEvent, Callbacks, Direction, StreamError, StreamEvent};
use libevent2::{Error, EventBase, Kind, Listener};
use rustls::version::{TLS12, TLS13};
use std::cell::{Cell, RefCell};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn an_echo_answers_and_both_hear_the_end_over_whatever_there_is() {
    for below in EACH {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let (near, far) = (Log::default(), Log::default());
        let (client, server) = tls(&base, below, near.handler(), far.handler());
        client.write(b"hello").unwrap();
        client.shutdown_write().unwrap();
        run_until(&mut base, || far.has("Eof"));
        assert_eq!(far.lines(), ["Connected", "\"hello\"", "Eof"], "{below:?}");
        server.write(b"and ").unwrap();
        server.write(b"bye").unwrap();
        server.finish();
        run_until(&mut base, || near.has("Eof") && far.has("Closed"));
        assert_eq!(
            near.lines(),
            ["Connected", "\"and bye\"", "Eof"],
            "{below:?}"
        );
        assert_eq!(far.lines().last().unwrap(), "Closed", "{below:?}");
        drop(client);
        assert_eq!(base.stats().live_total(), 0, "{below:?}");
    }
}

#[test]
fn what_is_known_of_a_connection() {
    for version in [&TLS12, &TLS13] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let mut config = client_config(&[version]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"echo/1".to_vec()];
        let connector = Connector::from(Arc::new(config));
        let mut config = server_config(&WORLD.right, BOTH);
        config.alpn_protocols = vec![b"echo/1".to_vec()];
        let acceptor = Acceptor::from(Arc::new(config));
        let text = if version.version == TLS13.version {
            "TLSv1.3"
        } else {
            "TLSv1.2"
        };
        for resumed in [false, true] {
            let log = Log::default();
            let (here, there) = Below::Sockets.ends(&base);
            let client = connector.wrap(here, "localhost", log.handler()).unwrap();
            let server = acceptor.wrap(there, log.handler()).unwrap();
            let tls = client.rustls().unwrap();
            assert_eq!((tls.version(), tls.alpn()), (None, None));
            server.write(b"so that the tickets have come").unwrap();
            run_until(&mut base, || log.has("tickets") && log.lines().len() == 3);
            for stream in [&client, &server] {
                let tls = stream.rustls().unwrap();
                assert_eq!(tls.version(), Some(text));
                assert!(tls.cipher().unwrap().starts_with("TLS"));
                assert_eq!(tls.alpn().as_deref(), Some(&b"echo/1"[..]));
                assert_eq!(tls.is_session_reused(), resumed, "{text}");
            }
            let shown = client.rustls().unwrap().peer_certificate();
            assert_eq!(shown, Some(WORLD.right.certificate.clone()));
            assert_eq!(server.rustls().unwrap().peer_certificates(), None);
            assert_eq!(
                server.rustls().unwrap().server_name().as_deref(),
                Some("localhost")
            );
            assert_eq!(client.rustls().unwrap().server_name(), None);
            client.close();
            assert!(client.rustls().is_none());
            drop(server);
        }
        assert_eq!(base.stats().live(Kind::BufferEvent), 0);
    }
}

/// What the client hears of a server with that certificate, and what the server hears.
fn refused(identity: &Identity, host: &str) -> (Vec<String>, Vec<String>) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = (Log::default(), Log::default());
    let (here, there) = Below::Sockets.ends(&base);
    let heard = near.clone();
    let closes = Callbacks::new().on_event(move |stream, event| {
        heard.event(&event);
        stream.close();
    });
    let client = connector().wrap(here, host, closes).unwrap();
    let acceptor = Acceptor::from(Arc::new(server_config(identity, BOTH)));
    let server = acceptor.wrap(there, far.handler()).unwrap();
    client.write(b"secret").unwrap();
    run_until(&mut base, || near.has("failed") && far.has("failed"));
    drop((client, server));
    (near.lines(), far.lines())
}

#[test]
fn a_certificate_that_is_not_right_is_refused_and_the_server_hears_why() {
    for (identity, host, why, told) in [
        (
            &WORLD.expired,
            "localhost",
            "certificate expired",
            "expired",
        ),
        (&WORLD.self_signed, "localhost", "UnknownIssuer", "unknown"),
        (
            &WORLD.wrong_host,
            "localhost",
            "not valid for name",
            "certificate",
        ),
        (
            &WORLD.right,
            "other.example",
            "not valid for name",
            "certificate",
        ),
        (
            &WORLD.right,
            "127.0.0.2",
            "not valid for name",
            "certificate",
        ),
    ] {
        let (near, far) = refused(identity, host);
        assert_eq!(near.len(), 1, "{near:?}");
        assert!(
            near[0].contains("TLS: ") && near[0].contains(why),
            "{near:?}"
        );
        assert!(
            far[0].contains("alert") && far[0].to_lowercase().contains(told),
            "{far:?}"
        );
        assert_eq!(far.len(), 1, "never connected, nothing read: {far:?}");
    }
}

#[test]
fn the_right_certificate_is_for_the_address_too() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (log, acceptor, handle) = (Log::default(), acceptor(), base.handle().clone());
    let listener = Listener::bind(
        &base,
        (Ipv4Addr::LOCALHOST, 0).into(),
        move |_, accepted| {
            acceptor
                .accept(&handle, accepted, echo())
                .map(BufferEvent::detach)
        },
    );
    let listener = listener.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap().ip().unwrap();
    let by_address = connector()
        .connect(&base, address, "127.0.0.1", log.handler())
        .unwrap();
    by_address.write(b"one").unwrap();
    run_until(&mut base, || log.has("one"));
    let by_name = connector()
        .connect_host(&base, "localhost", address.port(), log.handler())
        .unwrap();
    by_name.write(b"two").unwrap();
    run_until(&mut base, || log.has("two"));
    assert_eq!(
        log.lines(),
        ["Connected", "\"one\"", "Connected", "\"two\""]
    );
}

#[test]
fn nobody_listens() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let stream = connector()
        .connect(&base, address, "localhost", log.handler())
        .unwrap();
    stream.write(b"lost").unwrap();
    run_until(&mut base, || log.has("failed"));
    assert_eq!(
        log.lines(),
        [format!("failed: {address}: connection refused")]
    );
}

#[test]
fn a_server_that_writes_and_closes_at_once_has_its_text_delivered() {
    for below in EACH {
        for client_too in [false, true] {
            let _watchdog = bounded();
            let mut base = EventBase::new().unwrap();
            let (near, far) = (Log::default(), Log::default());
            let (client, server) = tls(&base, below, near.handler(), far.handler());
            let text = "all of it ".repeat(20_000);
            server.write(text.as_bytes()).unwrap();
            server.finish();
            if client_too {
                client.shutdown_write().unwrap();
            }
            run_until(&mut base, || near.has("Eof") && far.has("Closed"));
            assert_eq!(
                near.lines(),
                ["Connected".to_owned(), format!("\"{text}\""), "Eof".into()]
            );
            drop(client);
            assert_eq!(base.stats().live_total(), 0);
        }
    }
}

#[test]
fn close_and_drop_send_a_little_and_the_notice() {
    for below in [Below::Sockets, Below::Pair, Below::Tls] {
        for how in ["close", "drop"] {
            let _watchdog = bounded();
            let mut base = EventBase::new().unwrap();
            let (near, far) = (Log::default(), Log::default());
            let (client, server) = tls(&base, below, near.handler(), far.handler());
            server.write(b"so that the tickets have come").unwrap();
            run_until(&mut base, || near.has("tickets") && far.has("Connected"));
            client.write(b"last words").unwrap();
            match how {
                "close" => client.close(),
                _ => drop(client),
            }
            run_until(&mut base, || far.lines().len() == 3);
            assert_eq!(
                far.lines(),
                ["Connected", "\"last words\"", "Eof"],
                "{below:?} {how}"
            );
            drop(server);
            assert_eq!(base.stats().live_total(), 0);
        }
    }
}

#[test]
fn ten_megabytes_go_both_ways_at_once() {
    for below in EACH {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let sent: Vec<u8> = (0..10 * 1024 * 1024u32).map(|n| (n / 7) as u8).collect();
        let got = Rc::new(RefCell::new(Vec::new()));
        let back = got.clone();
        let collect = Callbacks::new()
            .on_read(move |stream| back.borrow_mut().extend(stream.input().take().to_vec()));
        let (client, server) = tls(&base, below, collect, echo());
        client.write(&sent).unwrap();
        let most = Cell::new(0);
        run_until(&mut base, || {
            most.set(most.get().max(server.output().len()));
            got.borrow().len() >= sent.len()
        });
        assert!(*got.borrow() == sent, "{below:?}");
    }
}

#[test]
fn the_high_watermark_holds_to_the_byte_and_nothing_is_left_behind_it() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (most, total) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (seen, all) = (most.clone(), total.clone());
    let handler = Callbacks::new().on_read(move |stream| {
        seen.set(seen.get().max(stream.input().len()));
        all.set(all.get() + stream.input().drain(700));
    });
    let (client, server) = tls(&base, Below::Sockets, handler, Callbacks::new());
    client.set_watermarks(Direction::READ, 0, 1000).unwrap();
    server.write(&[7; 100_000]).unwrap();
    run_until(&mut base, || total.get() + 1000 >= 100_000);
    assert_eq!(most.get(), 1000);
}

#[test]
fn a_reader_that_stops_stops_the_writer_in_bounded_memory() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (client, server) = tls(&base, Below::Sockets, log.handler(), Callbacks::new());
    run_until(&mut base, || log.has("Connected"));
    client.disable(Direction::READ).unwrap();
    let sent = 8 * 1024 * 1024;
    server.write(&vec![b'x'; sent]).unwrap();
    for _ in 0..100 {
        base.run_nonblocking().unwrap();
    }
    assert!(!log.has("x"));
    // What has left it is in the two socket buffers, and 64 KiB before them.
    assert!(
        server.output().len() > sent / 2,
        "{}",
        server.output().len()
    );
    client.enable(Direction::READ).unwrap();
    run_until(&mut base, || {
        log.0.borrow().last().unwrap().len() == sent + 2
    });
}

#[test]
fn an_end_without_notice_is_an_error_unless_it_is_allowed() {
    for below in [Below::Sockets, Below::Pair] {
        for lax in [false, true] {
            let _watchdog = bounded();
            let mut base = EventBase::new().unwrap();
            let log = Log::default();
            let (here, there) = below.ends(&base);
            let truncated = Rc::new(Cell::new(None));
            let (noted, heard, said) = (truncated.clone(), log.clone(), log.clone());
            let handler = Callbacks::new()
                .on_read(move |stream| said.text(stream))
                .on_event(move |stream, event| {
                    heard.event(&event);
                    if let StreamEvent::Failed(StreamError::Tls { truncated, .. }) = event {
                        noted.set(Some(truncated));
                        assert_eq!(stream.enabled(), Direction::empty());
                    }
                });
            let client = connector().wrap(here, "localhost", handler).unwrap();
            client
                .rustls()
                .unwrap()
                .set_allow_dirty_shutdown(lax)
                .unwrap();
            assert_eq!(client.rustls().unwrap().allows_dirty_shutdown(), lax);
            // A server that speaks TLS by hand, and is cut off.
            let mut tls =
                rustls::ServerConnection::new(Arc::new(server_config(&WORLD.right, BOTH))).unwrap();
            let cut = log.clone();
            there
                .set_handler(Callbacks::new().on_read(move |stream| {
                    let bytes = stream.input().take().to_vec();
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        tls.read_tls(&mut rest).unwrap();
                        tls.process_new_packets().unwrap();
                    }
                    if !tls.is_handshaking() {
                        std::io::Write::write_all(&mut tls.writer(), b"half of a").unwrap();
                    }
                    let mut out = Vec::new();
                    while tls.wants_write() {
                        tls.write_tls(&mut out).unwrap();
                    }
                    stream.write(&out)?;
                    if cut.has("Connected") {
                        stream.close();
                    }
                    Ok::<(), Error>(())
                }))
                .unwrap();
            client.write(b"?").unwrap();
            run_until(&mut base, || log.has("Eof") || log.has("failed"));
            let lines = log.lines();
            assert_eq!(lines[0], "Connected");
            assert!(lines[1].contains("half of a"));
            assert_eq!(
                truncated.get(),
                if lax { None } else { Some(true) },
                "{lines:?}"
            );
            assert!(
                lines[2] == "Eof" || lines[2].contains("the end may be missing"),
                "{lines:?}"
            );
        }
    }
}

#[test]
fn an_end_in_the_handshake_is_an_error() {
    for lax in [false, true] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let (here, there) = Below::Sockets.ends(&base);
        let client = connector().wrap(here, "localhost", log.handler()).unwrap();
        client
            .rustls()
            .unwrap()
            .set_allow_dirty_shutdown(lax)
            .unwrap();
        client.write(b"never sent").unwrap();
        there.shutdown_write().unwrap();
        run_until(&mut base, || log.has("failed"));
        assert_eq!(log.lines().len(), 1);
        assert!(log.has("during the handshake"));
    }
}

#[test]
fn a_peer_that_says_nothing_times_out() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = (Log::default(), Log::default());
    let (here, there) = Below::Sockets.ends(&base);
    let server = acceptor().wrap(here, near.handler()).unwrap();
    server
        .set_timeouts(Some(Duration::from_millis(20)), None)
        .unwrap();
    server.write(b"never sent").unwrap();
    server.close_when_flushed();
    there.set_handler(far.handler()).unwrap();
    run_until(&mut base, || near.has("Closed"));
    assert_eq!(
        near.lines(),
        ["failed: unnamed peer: no connection in time", "Closed"]
    );
    // After the handshake it is a timeout like any other.
    let (client, server) = tls(&base, Below::Sockets, far.handler(), Callbacks::new());
    run_until(&mut base, || far.has("Connected"));
    client
        .set_timeouts(Some(Duration::from_millis(20)), None)
        .unwrap();
    run_until(&mut base, || far.has("timed out"));
    assert!(
        far.has("Direction(READ) timed out") || far.has("READ"),
        "{:?}",
        far.lines()
    );
    assert!(server.rustls().is_some());
}

#[test]
fn a_closed_half_does_not_time_out() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = (Log::default(), Log::default());
    let (client, server) = tls(&base, Below::Sockets, near.handler(), far.handler());
    server.shutdown_write().unwrap();
    run_until(&mut base, || near.has("Eof"));
    client
        .set_timeouts(Some(Duration::from_millis(20)), None)
        .unwrap();
    // As much time as nobody else has.
    server
        .set_timeouts(Some(Duration::from_millis(60)), None)
        .unwrap();
    run_until(&mut base, || far.has("timed out"));
    server.set_timeouts(None, None).unwrap();
    server.enable(Direction::READ).unwrap();
    client.write(b"still there").unwrap();
    run_until(&mut base, || far.has("still there"));
    assert_eq!(near.lines(), ["Connected", "Eof"]);
}

#[test]
fn certificates_come_from_files_and_wrong_ones_are_named() {
    let folder = std::env::temp_dir().join(format!("libevent2-rustls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let chain = write("chain.pem", &WORLD.right.certificate_pem);
    let key = write("key.pem", &WORLD.right.key_pem);
    let other = write("other.pem", &WORLD.expired.key_pem);
    let empty = write("empty.pem", "");
    Acceptor::from_pem(&chain, &key).unwrap();
    for (chain, key, named) in [
        (&chain, &other, "other.pem"),
        (&empty, &key, "empty.pem"),
        (&chain, &empty, "empty.pem"),
        (&folder.join("none.pem"), &key, "none.pem"),
        (&chain, &chain, "chain.pem"),
    ] {
        let error = Acceptor::from_pem(chain, key).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    fs::remove_dir_all(&folder).unwrap();
    let base = EventBase::new().unwrap();
    let (here, _there) = Below::Sockets.ends(&base);
    let error = connector()
        .wrap(here, "not a name", Callbacks::new())
        .unwrap_err();
    assert!(
        matches!(error, Error::Invalid { what: "host", .. }),
        "{error}"
    );
}
