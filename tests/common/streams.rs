//! What the ported cases for streams share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::stream::{BufferEvent, Callbacks, Filter, Handler, Socket, StreamEvent};
use libevent2::{Error, Listener, LoopHandle};
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// What libevent's cases send over a connection, its NUL included.
pub const TEXT: &[u8] =
    b"Now is the time for all good events to signal for the good of their protocol\0";

/// What the streams of a case are made of. What C does for some of them with
/// `BEV_OPT_DEFER_CALLBACKS` is so for all that have no socket of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Sockets,
    /// A filter that changes nothing, over a socket.
    Filters,
    Pair,
    /// The same over one of a pair.
    PairFilters,
}

/// A filter that changes nothing.
pub struct Plain;

impl Filter for Plain {}

impl Over {
    /// Two streams, of which one reads what the other one writes.
    pub fn ends(
        self,
        base: &LoopHandle,
        first: impl Handler,
        second: impl Handler,
    ) -> (BufferEvent, BufferEvent) {
        match self {
            Over::Sockets | Over::Filters => {
                let (here, there) = UnixStream::pair().unwrap();
                (
                    self.accept(base, here, first),
                    self.accept(base, there, second),
                )
            }
            Over::Pair => BufferEvent::pair(base, first, second).unwrap(),
            Over::PairFilters => {
                let (here, there) =
                    BufferEvent::pair(base, Callbacks::new(), Callbacks::new()).unwrap();
                let first = BufferEvent::filter(here, Plain, first).unwrap();
                (first, BufferEvent::filter(there, Plain, second).unwrap())
            }
        }
    }

    /// A stream over a socket that is there.
    pub fn accept(
        self,
        base: &LoopHandle,
        socket: impl Into<Socket>,
        handler: impl Handler,
    ) -> BufferEvent {
        if self == Over::Sockets {
            return BufferEvent::from_socket(base, socket, handler).unwrap();
        }
        let below = BufferEvent::from_socket(base, socket, Callbacks::new()).unwrap();
        BufferEvent::filter(below, Plain, handler).unwrap()
    }

    /// A stream to an address.
    pub fn connect(
        self,
        base: &LoopHandle,
        address: SocketAddr,
        handler: impl Handler,
    ) -> BufferEvent {
        if self == Over::Sockets {
            return BufferEvent::connect(base, address, handler).unwrap();
        }
        let below = BufferEvent::connect(base, address, Callbacks::new()).unwrap();
        BufferEvent::filter(below, Plain, handler).unwrap()
    }

    /// A listener that sends [`TEXT`] to whoever comes, and closes the connection.
    pub fn sender(self, base: &LoopHandle) -> (Listener, SocketAddr) {
        let listener = Listener::bind(
            base,
            (Ipv4Addr::LOCALHOST, 0).into(),
            move |listener, accepted| {
                let handler = Callbacks::new()
                    .on_write(|stream| {
                        if stream.output().is_empty() {
                            stream.close();
                        }
                    })
                    .on_event(|_, event| -> () { panic!("the sender got {event:?}") });
                let stream = self.accept(listener.handle(), accepted, handler);
                stream.write(TEXT)?;
                stream.detach();
                Ok::<(), Error>(())
            },
        );
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap().ip().unwrap();
        (listener, address)
    }
}

/// At the end of the connection takes what was received, which has to be [`TEXT`].
pub fn take_text(stream: &libevent2::stream::BufferEventRef) {
    let mut text = [0; 512];
    let count = stream.input().read(&mut text);
    assert_eq!(&text[..count], TEXT);
}

/// `n` bytes that count.
pub fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| i as u8).collect()
}

/// What has happened, in order.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn add(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    #[track_caller]
    pub fn assert(&self, expected: &[&str]) {
        assert_eq!(*self.0.borrow(), expected);
    }
}

/// The name of an event, without its details.
pub fn name(event: &StreamEvent) -> String {
    match event {
        StreamEvent::TimedOut(direction) => format!("{direction:?} timed out"),
        StreamEvent::Failed(error) => format!("failed: {error}"),
        event => format!("{event:?}").to_lowercase(),
    }
}
