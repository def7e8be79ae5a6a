//! TLS between streams: what is sent and how it ends, over whatever there is below.
#![cfg(feature = "openssl")]

#[path = "common/tls.rs"]
mod certificates;
mod common;
#[path = "common/tls_streams.rs"]
mod streams;

use certificates::{WORLD, client, ends, only, server};
use common::bounded;
use libevent2::EventBase;
use libevent2::stream::{Callbacks, Direction, StreamEvent};
use openssl::ssl::SslVersion;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use streams::{ALL, Below, Log, StayThere, bytes, echo, said};

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
