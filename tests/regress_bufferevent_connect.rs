//! libevent's own regress cases for streams (test/regress_bufferevent.c): connections that are made,
//! and that fail. The whole list is in docs/regress.md.
#![cfg(unix)]

mod common;
#[path = "common/streams.rs"]
mod streams;

use common::{Bump, bounded, count};
use libevent2::stream::{BufferEventRef, Callbacks, Direction, Handler, StreamError, StreamEvent};
use libevent2::{BoxError, Error, EventBase, LoopEnd, LoopHandle, Timer};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use streams::{Log, Over, name, take_text};

// --- connections that are made --------------------------------------------------------------------

/// Leaves what it gets in the input until the end, and ends the loop at the second end.
#[derive(Clone, Default)]
struct Reader {
    texts: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    /// In each callback another thread uses the base, and is waited for.
    shares: bool,
}

impl Reader {
    fn share(&self, handle: &LoopHandle) -> Result<(), Error> {
        if self.shares {
            let remote = handle.remote()?;
            let other = thread::spawn(move || remote.post(|handle| handle.update_time()));
            other.join().expect("it does not panic")?;
        }
        Ok(())
    }
}

impl Handler for Reader {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        self.reads.fetch_add(1, SeqCst);
        Ok(self.share(stream.handle())?)
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        match event {
            StreamEvent::Connected => stream.enable(Direction::READ)?,
            StreamEvent::Eof => {
                take_text(stream);
                if self.texts.fetch_add(1, SeqCst) + 1 == 2 {
                    stream.handle().exit();
                }
            }
            event => panic!("{event:?}"),
        }
        Ok(self.share(stream.handle())?)
    }
}

/// Two connections, made here or by jobs from another thread.
fn two_connections(over: Over, elsewhere: bool, shares: bool) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (listener, address) = over.sender(&base);
    listener.enable().unwrap();
    let reader = Reader {
        shares,
        ..Reader::default()
    };
    let handler = reader.clone();
    let connect = move |handle: &LoopHandle| {
        let stream = over.connect(handle, address, handler.clone());
        stream.enable(Direction::READ)?;
        stream.detach();
        Ok::<(), Error>(())
    };
    if elsewhere {
        let remote = base.remote().unwrap();
        let other = thread::spawn(move || {
            remote.post(connect.clone()).unwrap();
            remote.post(connect).unwrap();
        });
        other.join().unwrap();
    } else {
        connect(&base).unwrap();
        connect(&base).unwrap();
    }
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(reader.texts.load(SeqCst), 2);
    assert!(reader.reads.load(SeqCst) >= 2);
}

#[test]
fn bufferevent_connect() {
    two_connections(Over::Sockets, false, false);
}

/// C's callbacks are deferred for a stream over another one.
#[test]
fn bufferevent_connect_defer() {
    two_connections(Over::Filters, false, false);
}

/// A stream stays on its thread and has no lock of its own: another thread has the loop make it.
#[test]
fn bufferevent_connect_lock() {
    two_connections(Over::Sockets, true, false);
}

#[test]
fn bufferevent_connect_lock_defer() {
    two_connections(Over::Filters, true, false);
}

/// No lock of libevent's is held in a callback.
#[test]
fn bufferevent_connect_unlocked_cbs() {
    two_connections(Over::Filters, true, true);
}

// --- connections that fail ------------------------------------------------------------------------

/// A socket that has an address and does not listen.
fn not_listening() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let localhost = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&localhost.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Where the system refuses the connection only when the socket is closed.
fn close_later(handle: &LoopHandle, socket: Socket) -> Timer {
    Timer::after(handle, Duration::from_millis(300), move |_| drop(socket)).unwrap()
}

#[test]
fn bufferevent_connect_fail() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (socket, address) = not_listening();
    let failures = count();
    let seen = failures.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        let StreamEvent::Failed(StreamError::Refused { peer }) = event else {
            panic!("{event:?}");
        };
        assert_eq!(peer.to_string(), address.to_string());
        seen.bump();
        stream.handle().exit();
    });
    let _stream = Over::Sockets.connect(&base, address, handler);
    let _timer = close_later(&base, socket);
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(failures.get(), 1);
}

/// One event, and nothing else.
fn one_event(over: Over) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (socket, address) = not_listening();
    let log = Log::default();
    let (read, wrote, heard) = (log.clone(), log.clone(), log.clone());
    let handler = Callbacks::new()
        .on_read(move |_| read.add("read"))
        .on_write(move |_| wrote.add("wrote"))
        .on_event(move |_, event| heard.add(name(&event)));
    let stream = over.connect(&base, address, handler);
    stream.enable(Direction::BOTH).unwrap();
    log.assert(&[]);
    let _timer = close_later(&base, socket);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    log.assert(&[&format!("failed: {address}: connection refused")]);
}

#[test]
fn bufferevent_connect_fail_eventcb() {
    one_event(Over::Sockets);
}

#[test]
fn bufferevent_connect_fail_eventcb_defer() {
    one_event(Over::Filters);
}
