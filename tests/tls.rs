//! TLS between streams: what is sent, verified and ended, over whatever there is below.
#![cfg(feature = "openssl")]

#[path = "common/tls.rs"]
mod certificates;
mod common;

use certificates::{Identity, WORLD, client, ends, only, server};
use common::bounded;
use libevent2::stream::tls::{Acceptor, Connector};
use libevent2::stream::{
    BufferEvent, BufferEventRef, Callbacks, Direction, Filter, Handler, StreamError, StreamEvent,
};
use libevent2::{EventBase, LoopHandle};
use openssl::ssl::{ShutdownState, SslVersion};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

type Log = Rc<RefCell<Vec<String>>>;

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

struct Nothing;
impl Filter for Nothing {}

/// What is below.
#[derive(Debug, Clone, Copy)]
enum Below {
    Socket,
    /// A socket that stays in its bufferevent, since C code could have that.
    BusySocket,
    Pair,
    Filter,
    Tls,
}

const ALL: [Below; 5] = [
    Below::Socket,
    Below::BusySocket,
    Below::Pair,
    Below::Filter,
    Below::Tls,
];

impl Below {
    fn ends(self, base: &LoopHandle) -> (BufferEvent, BufferEvent) {
        let sockets = || {
            let (ours, theirs) = tcp_pair();
            let plain = |socket| BufferEvent::from_socket(base, socket, Callbacks::new()).unwrap();
            (plain(ours), plain(theirs))
        };
        let filtered = |stream| BufferEvent::filter(stream, Nothing, Callbacks::new()).unwrap();
        match self {
            Below::Socket | Below::BusySocket => sockets(),
            Below::Pair => BufferEvent::pair(base, Callbacks::new(), Callbacks::new()).unwrap(),
            Below::Filter => {
                let (ours, theirs) = sockets();
                (filtered(ours), filtered(theirs))
            }
            Below::Tls => {
                let (connector, acceptor) = ends();
                let (ours, theirs) = sockets();
                let ours = connector.wrap(ours, "localhost", Callbacks::new());
                let theirs = acceptor.wrap(theirs, Callbacks::new());
                (ours.unwrap(), theirs.unwrap())
            }
        }
    }

    /// A client and a server.
    fn tls(
        self,
        base: &LoopHandle,
        ends: (Connector, Acceptor),
        client: impl Handler,
        server: impl Handler,
    ) -> (BufferEvent, BufferEvent) {
        let (ours, theirs) = self.ends(base);
        if let Below::BusySocket = self {
            for stream in [&ours, &theirs] {
                stream.as_ptr();
            }
        }
        let (connector, acceptor) = ends;
        (
            connector.wrap(ours, "localhost", client).unwrap(),
            acceptor.wrap(theirs, server).unwrap(),
        )
    }
}

/// Answers what it gets, and ends when the peer ends.
fn echo() -> impl Handler {
    Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, event| {
            if event.is_end() {
                stream.close_when_flushed();
            }
        })
}

/// Notes the events.
fn listening(log: &Log) -> impl Handler {
    let log = log.clone();
    Callbacks::new().on_event(move |stream, event| {
        log.borrow_mut().push(said(&event));
        if event.is_end() {
            stream.close();
        }
    })
}

fn said(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Failed(StreamError::Tls {
            reason, truncated, ..
        }) => format!("truncated={truncated} {reason}"),
        StreamEvent::Failed(error) => format!("{error}"),
        event => format!("{event:?}"),
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 7 + n / 65_521) as u8).collect()
}

#[test]
fn an_echo_answers_and_both_hear_the_end() {
    let _watchdog = bounded();
    for below in ALL {
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let (read, heard) = (log.clone(), log.clone());
        let handler = Callbacks::new()
            .on_read(move |stream| {
                let text = String::from_utf8(stream.input().take().to_vec()).unwrap();
                read.borrow_mut().push(text);
                stream.shutdown_write().unwrap();
            })
            .on_event(move |_, event| heard.borrow_mut().push(said(&event)));
        let (stream, other) = below.tls(&base, ends(), handler, echo());
        other.detach();
        stream.write(b"hello").unwrap();
        while log.borrow().len() < 3 {
            base.run_once().unwrap();
        }
        assert_eq!(*log.borrow(), ["Connected", "hello", "Eof"], "{below:?}");
        let tls = stream.tls().unwrap();
        assert_eq!(tls.version(), Some("TLSv1.3"));
        assert!(tls.peer_certificate().unwrap() == WORLD.right.certificate);
        drop(stream);
        while base.stats().live_total() > 0 {
            base.run_once().unwrap();
        }
    }
}

#[test]
fn megabytes_go_both_ways_whole_and_in_order() {
    let _watchdog = bounded();
    for below in ALL {
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let mut base = EventBase::new().unwrap();
            let (mut connector, mut acceptor) = (client(), server(&WORLD.right));
            only(version)(&mut connector);
            only(version)(&mut acceptor);
            let sent = Rc::new(bytes(4_000_000));
            let back = Rc::new(RefCell::new(Vec::new()));
            let ended = Rc::new(Cell::new(false));
            let (got, done) = (back.clone(), ended.clone());
            let handler = Callbacks::new()
                .on_read(move |stream| got.borrow_mut().extend(stream.input().take().to_vec()))
                .on_event(move |_, event| {
                    if event.is_end() {
                        assert!(matches!(event, StreamEvent::Eof), "{event:?}");
                        done.set(true);
                    }
                });
            let both = (connector.build().into(), acceptor.build().into());
            let (stream, other) = below.tls(&base, both, handler, echo());
            other.detach();
            // Pieces of all sizes, in chunks of their own and together.
            let mut rest = &sent[..];
            for size in [1, 100, 16_384, 16_385, 70_000, 1_000_000].iter().cycle() {
                let (piece, more) = rest.split_at(rest.len().min(*size));
                rest = more;
                match size % 2 {
                    0 => stream.output().append_shared(piece.to_vec()).unwrap(),
                    _ => stream.write(piece).unwrap(),
                }
                if rest.is_empty() {
                    break;
                }
            }
            stream.shutdown_write().unwrap();
            while !ended.get() {
                base.run_once().unwrap();
            }
            assert!(*back.borrow() == *sent, "{below:?} {version:?}");
        }
    }
}

#[test]
fn the_end_comes_after_all_that_was_received() {
    let _watchdog = bounded();
    for below in ALL {
        // The low watermark is never reached, the high one always.
        for (low, high) in [(0, 0), (1 << 30, 0), (0, 1000), (0, 5000), (500, 16_000)] {
            let mut base = EventBase::new().unwrap();
            let received = Rc::new(Cell::new(0));
            let at_end = Rc::new(Cell::new(None));
            let (count, total) = (received.clone(), at_end.clone());
            let so_far = received.clone();
            let handler = Callbacks::new()
                .on_read(move |stream| {
                    count.set(count.get() + stream.input().drain(usize::MAX));
                })
                .on_event(move |stream, event| match event {
                    StreamEvent::Eof => {
                        total.set(Some(so_far.get() + stream.input().len()));
                        stream.close();
                    }
                    StreamEvent::Connected => {}
                    event => panic!("{event:?}"),
                });
            let (stream, other) = below.tls(&base, ends(), Callbacks::new(), handler);
            other.set_watermarks(Direction::READ, low, high).unwrap();
            stream.write(&bytes(300_000)).unwrap();
            stream.finish();
            while at_end.get().is_none() {
                base.run_once().unwrap();
            }
            assert_eq!(at_end.get(), Some(300_000), "{below:?} {low} {high}");
        }
    }
}

#[test]
fn what_is_above_the_high_watermark_comes_when_there_is_room() {
    let _watchdog = bounded();
    for below in ALL {
        let mut base = EventBase::new().unwrap();
        let (stream, other) = below.tls(&base, ends(), Callbacks::new(), StayThere);
        other.set_watermarks(Direction::READ, 0, 1000).unwrap();
        // One record; then the peer says nothing more.
        stream.write(&bytes(10_000)).unwrap();
        let mut got = Vec::new();
        while got.len() < 10_000 {
            base.run_nonblocking().unwrap();
            // From outside the handler.
            let mut piece = [0; 700];
            let count = other.input().read(&mut piece);
            got.extend_from_slice(&piece[..count]);
        }
        assert!(got == bytes(10_000), "{below:?}");
    }
}

/// Leaves the input where it is.
struct StayThere;

impl Handler for StayThere {
    fn on_read(&mut self, _: &BufferEventRef) -> Result<(), libevent2::BoxError> {
        Ok(())
    }
}

#[test]
fn a_stream_that_does_not_read_takes_no_memory() {
    let _watchdog = bounded();
    for below in [Below::BusySocket, Below::Pair, Below::Filter, Below::Tls] {
        for direction in [Direction::READ, Direction::BOTH] {
            let mut base = EventBase::new().unwrap();
            let (stream, other) = below.tls(&base, ends(), Callbacks::new(), Callbacks::new());
            while stream.tls().unwrap().cipher().is_none() {
                base.run_once().unwrap();
            }
            for _ in 0..20 {
                base.run_nonblocking().unwrap();
            }
            other.disable(direction).unwrap();
            let before = stream.output().len();
            stream.write(&vec![7; 30_000_000]).unwrap();
            for _ in 0..2000 {
                base.run_nonblocking().unwrap();
            }
            assert!(
                stream.output().len() > before + 10_000_000,
                "{below:?} {direction:?}: {} are left",
                stream.output().len()
            );
            other.enable(Direction::BOTH).unwrap();
            while !stream.output().is_empty() {
                base.run_once().unwrap();
            }
        }
    }
}

// --- certificates ------------------------------------------------------------------------------------

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

// --- other ends --------------------------------------------------------------------------------------

/// A peer that blocks, in a thread of its own: a server.
fn server_thread(
    socket: TcpStream,
    then: impl FnOnce(openssl::ssl::SslStream<TcpStream>) + Send + 'static,
) -> thread::JoinHandle<()> {
    let acceptor = server(&WORLD.right).build();
    thread::spawn(move || then(acceptor.accept(socket).unwrap()))
}

#[test]
fn a_connection_that_is_cut_off_is_an_error() {
    let _watchdog = bounded();
    for below in [Below::Socket, Below::BusySocket, Below::Filter] {
        for lax in [false, true] {
            let mut base = EventBase::new().unwrap();
            let (ours, theirs) = tcp_pair();
            let peer = server_thread(theirs, |mut stream| {
                stream.write_all(&bytes(100_000)).unwrap();
                // Dropped without a word.
            });
            let mut plain = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
            match below {
                Below::BusySocket => drop(plain.as_ptr()),
                Below::Filter => {
                    plain = BufferEvent::filter(plain, Nothing, Callbacks::new()).unwrap();
                }
                _ => {}
            }
            let log = Log::default();
            let seen = log.clone();
            let count = Rc::new(Cell::new(0));
            let received = count.clone();
            let handler = Callbacks::new()
                .on_read(move |stream| {
                    received.set(received.get() + stream.input().drain(usize::MAX))
                })
                .on_event(move |stream, event| {
                    seen.borrow_mut().push(said(&event));
                    if event.is_end() {
                        stream.close();
                    }
                });
            let stream = ends().0.wrap(plain, "localhost", handler).unwrap();
            stream.tls().unwrap().set_allow_dirty_shutdown(lax).unwrap();
            assert_eq!(stream.tls().unwrap().allows_dirty_shutdown(), lax);
            base.run().unwrap();
            peer.join().unwrap();
            let end = match lax {
                true => "Eof",
                false => {
                    "truncated=true the peer closed the connection without notice: the end may be \
                     missing"
                }
            };
            assert_eq!(*log.borrow(), ["Connected", end], "{below:?}");
            assert_eq!(count.get(), 100_000);
        }
    }
}

#[test]
fn everything_and_the_notice_arrive_before_the_end() {
    let _watchdog = bounded();
    for how in ["finish", "drop", "close"] {
        let mut base = EventBase::new().unwrap();
        let (ours, theirs) = tcp_pair();
        let length = if how == "finish" { 9_000_000 } else { 1000 };
        let peer = server_thread(theirs, move |mut stream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            assert!(all == bytes(length));
            assert!(stream.get_shutdown().contains(ShutdownState::RECEIVED));
        });
        let plain = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
        let log = Log::default();
        let seen = log.clone();
        let handler = Callbacks::new().on_event(move |stream, event| {
            seen.borrow_mut().push(said(&event));
            if how == "close" {
                stream.write(&bytes(1000)).unwrap();
                stream.close();
            }
        });
        let stream = ends().0.wrap(plain, "localhost", handler).unwrap();
        if how == "finish" {
            stream.write(&bytes(length)).unwrap();
            stream.finish();
            base.run().unwrap();
            assert_eq!(*log.borrow(), ["Connected", "Closed"]);
        } else {
            while log.borrow().is_empty() {
                base.run_once().unwrap();
            }
            if how == "drop" {
                stream.write(&bytes(1000)).unwrap();
            }
            drop(stream);
        }
        // The loop does not run any more.
        peer.join().unwrap();
    }
}

#[test]
fn what_could_not_be_sent_is_not_passed_off_as_all() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let (gone, wait) = std::sync::mpsc::channel();
    let peer = server_thread(theirs, move |mut stream| {
        wait.recv().unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        assert!(all.len() < 50_000_000);
        assert!(!stream.get_shutdown().contains(ShutdownState::RECEIVED));
    });
    let plain = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    let log = Log::default();
    let stream = ends().0.wrap(plain, "localhost", listening(&log)).unwrap();
    while log.borrow().is_empty() {
        base.run_once().unwrap();
    }
    stream.write(&vec![1; 50_000_000]).unwrap();
    base.run_once().unwrap();
    drop(stream);
    gone.send(()).unwrap();
    peer.join().unwrap();
}

#[test]
fn garbage_ends_its_own_connection_only() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (connector, acceptor) = ends();
    let log = Log::default();
    let (good, other) = Below::Socket.tls(&base, ends(), echo(), echo());
    let mut peers = Vec::new();
    let mut streams = Vec::new();
    for text in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"\x16\x03\x01\xff\xff\x01garbage",
        &[0; 4096],
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ] {
        let (ours, mut theirs) = tcp_pair();
        theirs.write_all(text).unwrap();
        streams.push(acceptor.accept(&base, ours, listening(&log)).unwrap());
        peers.push(theirs);
    }
    let (ours, mut theirs) = tcp_pair();
    theirs.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").unwrap();
    let plain = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    streams.push(connector.wrap(plain, "localhost", listening(&log)).unwrap());
    while log.borrow().len() < 5 {
        base.run_once().unwrap();
    }
    for line in &*log.borrow() {
        assert!(line.starts_with("truncated=false "), "{line}");
    }
    assert!(
        log.borrow()
            .iter()
            .any(|line| line.contains("http request"))
    );
    for _ in 0..10 {
        base.run_nonblocking().unwrap();
    }
    assert!(good.tls().unwrap().cipher().is_some());
    assert!(streams.iter().all(|stream| stream.is_closed()));
    drop((good, other));
}

#[test]
fn a_peer_that_leaves_during_the_handshake_is_an_error() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    for lax in [false, true] {
        let log = Log::default();
        let (ours, theirs) = tcp_pair();
        let stream = ends().1.accept(&base, ours, listening(&log)).unwrap();
        stream.tls().unwrap().set_allow_dirty_shutdown(lax).unwrap();
        drop(theirs);
        base.run().unwrap();
        assert_eq!(
            *log.borrow(),
            ["truncated=false the peer closed the connection during the handshake"]
        );
    }
}

#[test]
fn a_handshake_that_stalls_times_out() {
    let _watchdog = bounded();
    let (connector, acceptor) = ends();
    let mut base = EventBase::new().unwrap();
    for (is_server, busy) in [(true, false), (false, false), (true, true), (false, true)] {
        let log = Log::default();
        let (ours, theirs) = tcp_pair();
        let plain = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
        if busy {
            plain.as_ptr();
        }
        let stream = match is_server {
            true => acceptor.wrap(plain, listening(&log)).unwrap(),
            false => connector.wrap(plain, "localhost", listening(&log)).unwrap(),
        };
        let limit = Some(Duration::from_millis(30));
        stream.set_timeouts(limit, limit).unwrap();
        base.run().unwrap();
        assert_eq!(log.borrow().len(), 1);
        assert!(
            log.borrow()[0].contains("no connection in time"),
            "{log:?} {busy}"
        );
        drop(theirs);
    }
}

#[test]
fn silence_times_out_once() {
    let _watchdog = bounded();
    for below in ALL {
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let seen = log.clone();
        let handler = Callbacks::new().on_event(move |_, event| {
            seen.borrow_mut().push(said(&event));
        });
        let (stream, other) = below.tls(&base, ends(), Callbacks::new(), handler);
        other
            .set_timeouts(Some(Duration::from_millis(200)), None)
            .unwrap();
        let timer = libevent2::Timer::after(&base, Duration::from_millis(900), |timer| {
            timer.exit();
        })
        .unwrap();
        base.run().unwrap();
        assert_eq!(*log.borrow(), ["Connected", "TimedOut(Direction(READ))"]);
        assert_eq!(other.enabled(), Direction::WRITE);
        drop((stream, timer));
    }
}

// --- connecting ----------------------------------------------------------------------------------------

#[test]
fn a_client_connects_by_address_and_by_name() {
    let _watchdog = bounded();
    let (connector, acceptor) = ends();
    for by_name in [false, true] {
        let mut base = EventBase::new().unwrap();
        let handle = base.handle().clone();
        let acceptor = acceptor.clone();
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = libevent2::Listener::bind(&base, address, move |_, accepted| {
            acceptor.accept(&handle, accepted, echo()).unwrap().detach();
        })
        .unwrap();
        let address = std::net::SocketAddr::from((
            [127, 0, 0, 1],
            match listener.local_addr() {
                Ok(libevent2::listener::Address::Ip(address)) => address.port(),
                other => panic!("{other:?}"),
            },
        ));
        let log = Log::default();
        let (read, heard) = (log.clone(), log.clone());
        let handler = Callbacks::new()
            .on_read(move |stream| {
                read.borrow_mut()
                    .push(String::from_utf8(stream.input().take().to_vec()).unwrap());
                stream.close_when_flushed();
            })
            .on_event(move |_, event| heard.borrow_mut().push(said(&event)));
        let stream = match by_name {
            true => connector.connect_host(&base, "localhost", address.port(), handler),
            false => connector.connect(&base, address, "127.0.0.1", handler),
        };
        let stream = stream.unwrap();
        stream.write(b"before the connection").unwrap();
        while !stream.is_closed() {
            base.run_once().unwrap();
        }
        assert_eq!(
            *log.borrow(),
            ["Connected", "before the connection", "Closed"]
        );
        drop(listener);
    }
}

#[test]
fn a_connection_that_is_refused_never_begins_a_handshake() {
    let _watchdog = bounded();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let connector = ends().0;
    let stream = connector
        .connect(&base, address, "localhost", listening(&log))
        .unwrap();
    base.run().unwrap();
    assert_eq!(*log.borrow(), [format!("{address}: connection refused")]);
    assert!(stream.is_closed());
    // And one that is closed while it connects is gone.
    let stream = connector
        .connect(&base, address, "localhost", listening(&log))
        .unwrap();
    drop(stream);
    base.run().unwrap();
    assert_eq!(log.borrow().len(), 1);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn what_was_written_in_clear_goes_before_the_handshake() {
    let _watchdog = bounded();
    for connecting in [false, true] {
        let mut base = EventBase::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = server(&WORLD.right).build();
        let peer = thread::spawn(move || {
            let mut socket = listener.accept().unwrap().0;
            let mut header = [0; 8];
            socket.read_exact(&mut header).unwrap();
            assert_eq!(&header, b"PROXY!\r\n");
            // STARTTLS: go ahead.
            socket.write_all(b"go").unwrap();
            let mut stream = acceptor.accept(socket).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            assert_eq!(all, b"secret");
        });
        let plain = match connecting {
            true => BufferEvent::connect(&base, address, Callbacks::new()).unwrap(),
            false => {
                let socket = TcpStream::connect(address).unwrap();
                BufferEvent::from_socket(&base, socket, Callbacks::new()).unwrap()
            }
        };
        plain.write(b"PROXY!\r\n").unwrap();
        if connecting {
            // It is TLS's from the beginning: no answer in clear is expected.
            let mut all = [0; 2];
            let stream = connector_for(plain);
            stream.write(b"secret").unwrap();
            stream.finish();
            // "go" is no TLS.
            let _ = (base.run(), all.as_mut());
            assert!(peer.join().is_err());
            continue;
        }
        let secret: Rc<RefCell<Option<BufferEvent>>> = Rc::default();
        let slot = secret.clone();
        plain
            .set_handler(Callbacks::new().on_read(move |stream| {
                assert_eq!(stream.input().take().to_vec(), b"go");
                // From inside the plain stream's own handler.
                let plain = slot.borrow_mut().take().unwrap();
                let stream = connector_for(plain);
                stream.write(b"secret").unwrap();
                stream.finish();
            }))
            .unwrap();
        secret.replace(Some(plain));
        base.run().unwrap();
        peer.join().unwrap();
    }
}

fn connector_for(plain: BufferEvent) -> BufferEvent {
    let log = Log::default();
    ends().0.wrap(plain, "localhost", listening(&log)).unwrap()
}

#[test]
fn what_came_already_belongs_to_the_handshake() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let peer = thread::spawn(move || {
        let connector = client().build();
        let mut stream = connector.connect("localhost", theirs).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut all = [0; 5];
        stream.read_exact(&mut all).unwrap();
        stream.shutdown().unwrap();
        all
    });
    let plain = BufferEvent::from_socket(&base, ours, StayThere).unwrap();
    while plain.input().is_empty() {
        base.run_once().unwrap();
    }
    let stream = ends().1.wrap(plain, echo()).unwrap();
    stream.detach();
    base.run().unwrap();
    assert_eq!(&peer.join().unwrap(), b"hello");
}
#[test]
fn a_limited_stream_gets_all_of_a_record() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (stream, other) = Below::Socket.tls(&base, ends(), Callbacks::new(), StayThere);
    let limit = libevent2::stream::RateLimit::per_second(50_000);
    other.set_rate_limit(limit).unwrap();
    stream.write(&bytes(60_000)).unwrap();
    while other.input().len() < 60_000 {
        base.run_once().unwrap();
    }
    assert!(other.input().to_vec() == bytes(60_000));
}
