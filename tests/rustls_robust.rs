//! TLS by rustls with bad peers, and with handlers that do anything to their streams.
#![cfg(feature = "rustls")]

#[path = "common/rustls.rs"]
mod certificates;
mod common;

use certificates::{Below, EACH, Log, acceptor, connector, run_until, tls};
use common::{Bump, DropCount, bounded, count};
use libevent2::stream::{BufferEventRef, Callbacks, Handler, StreamEvent};
use libevent2::{BoxError, EventBase};

#[test]
fn garbage_ends_only_its_own_connection() {
    for garbage in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        &[0; 100],
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
        &[0x17, 3, 3, 0xff, 0xff],
        &[0x15, 3, 3, 0, 2, 2, 40],
    ] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let (bad, good, told) = (Log::default(), Log::default(), Log::default());
        let (client, other) = tls(&base, Below::Sockets, good.handler(), Callbacks::new());
        let (here, there) = Below::Sockets.ends(&base);
        let victim = acceptor().wrap(here, bad.handler()).unwrap();
        there.set_handler(told.handler()).unwrap();
        there.write(garbage).unwrap();
        run_until(&mut base, || bad.has("failed"));
        assert_eq!(bad.lines().len(), 1, "{:?}", bad.lines());
        assert!(bad.has("TLS: "), "{:?}", bad.lines());
        drop(victim);
        run_until(&mut base, || told.has("Eof") || told.has("failed"));
        other.write(b"goes on").unwrap();
        run_until(&mut base, || good.has("goes on"));
        drop((client, other, there));
        assert_eq!(base.stats().live_total(), 0);
    }
}

/// Does one thing to its stream at one call.
struct Does {
    what: &'static str,
    at: &'static str,
    log: Log,
    _dropped: DropCount,
}

impl Does {
    fn act(&self, stream: &BufferEventRef, at: &str) {
        self.log.add(at);
        if at != self.at {
            return;
        }
        match self.what {
            "close" => stream.close(),
            "finish" => stream.close_when_flushed(),
            "write" => {
                stream.write(b"from inside").unwrap();
            }
            "end" => stream.shutdown_write().unwrap(),
            "replace" => stream.set_handler(Callbacks::new()).unwrap(),
            _ => {
                let seen = stream.rustls().unwrap();
                assert!(seen.version().is_some());
            }
        }
    }
}

impl Handler for Does {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        stream.input().clear();
        self.act(stream, "read");
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        self.act(stream, "write");
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        let at = match event {
            StreamEvent::Connected => "connected",
            StreamEvent::Eof => "eof",
            _ => return Ok(()),
        };
        self.act(stream, at);
        Ok(())
    }
}

#[test]
fn a_handler_may_do_anything_to_its_stream() {
    for below in EACH {
        for what in ["close", "finish", "write", "end", "replace", "look"] {
            for at in ["connected", "read", "write", "eof"] {
                let _watchdog = bounded();
                let mut base = EventBase::new().unwrap();
                let (log, dropped) = (Log::default(), count());
                let does = Does {
                    what,
                    at,
                    log: log.clone(),
                    _dropped: DropCount(dropped.clone()),
                };
                let (here, there) = below.ends(&base);
                let client = connector().wrap(here, "localhost", does).unwrap();
                let server = acceptor().wrap(there, Callbacks::new()).unwrap();
                client.write(b"question").unwrap();
                server.write(b"answer").unwrap();
                server.finish();
                run_until(&mut base, || log.has(at));
                for _ in 0..10 {
                    base.run_nonblocking().unwrap();
                }
                drop(client);
                assert_eq!(dropped.get(), 1, "{below:?} {what} {at}");
                drop(base);
            }
        }
    }
}

#[test]
fn nothing_is_left_whenever_it_ends() {
    for below in EACH {
        for turns in 0..12 {
            let _watchdog = bounded();
            let mut base = EventBase::new().unwrap();
            let (dropped, calls) = (count(), count());
            let handler = || {
                let (held, calls) = (DropCount(dropped.clone()), calls.clone());
                Callbacks::new().on_event(move |_, _| {
                    let _held = &held;
                    calls.bump();
                })
            };
            let (client, server) = tls(&base, below, handler(), handler());
            client.write(&[1; 100_000]).unwrap();
            for _ in 0..turns {
                base.run_nonblocking().unwrap();
            }
            match turns % 3 {
                0 => drop((client, server)),
                1 => {
                    server.detach();
                    client.finish();
                }
                _ => {
                    client.close();
                    server.detach();
                }
            }
            drop(base);
            assert_eq!(dropped.get(), 2, "{below:?} {turns}");
        }
    }
}
