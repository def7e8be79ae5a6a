//! Streams over TLS, over whatever there is below.

#![allow(dead_code, reason = "each test binary uses its own part")]

use crate::certificates::ends;
use libevent2::LoopHandle;
use libevent2::stream::tls::{Acceptor, Connector};
use libevent2::stream::{
    BufferEvent, BufferEventRef, Callbacks, Filter, Handler, StreamError, StreamEvent,
};
use std::cell::RefCell;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

pub type Log = Rc<RefCell<Vec<String>>>;

pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// A filter that changes nothing.
pub struct Nothing;
impl Filter for Nothing {}

/// What is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    Socket,
    /// A socket that stays in its bufferevent, since C code could have that.
    BusySocket,
    Pair,
    Filter,
    Tls,
}

pub const ALL: [Below; 5] = [
    Below::Socket,
    Below::BusySocket,
    Below::Pair,
    Below::Filter,
    Below::Tls,
];

impl Below {
    pub fn ends(self, base: &LoopHandle) -> (BufferEvent, BufferEvent) {
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
    pub fn tls(
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
pub fn echo() -> impl Handler {
    Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, event| {
            if event.is_end() {
                stream.close_when_flushed();
            }
        })
}

/// Notes the events.
pub fn listening(log: &Log) -> impl Handler {
    let log = log.clone();
    Callbacks::new().on_event(move |stream, event| {
        log.borrow_mut().push(said(&event));
        if event.is_end() {
            stream.close();
        }
    })
}

pub fn said(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Failed(StreamError::Tls {
            reason, truncated, ..
        }) => format!("truncated={truncated} {reason}"),
        StreamEvent::Failed(error) => format!("{error}"),
        event => format!("{event:?}"),
    }
}

pub fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 7 + n / 65_521) as u8).collect()
}

/// Leaves the input where it is.
pub struct StayThere;

impl Handler for StayThere {
    fn on_read(&mut self, _: &BufferEventRef) -> Result<(), libevent2::BoxError> {
        Ok(())
    }
}
