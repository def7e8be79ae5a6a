//! TLS with ends that are cut off, stall, speak something else, or are still to be connected to.
#![cfg(feature = "openssl")]

#[path = "common/tls.rs"]
mod certificates;
mod common;
#[path = "common/tls_streams.rs"]
mod streams;

use certificates::{WORLD, client, ends, server};
use common::bounded;
use libevent2::EventBase;
use libevent2::stream::{BufferEvent, Callbacks, Direction};
use openssl::ssl::ShutdownState;
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;
use streams::{ALL, Below, Log, Nothing, StayThere, bytes, echo, listening, said, tcp_pair};

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
