//! One connection of a client: reads requests, hands them on, and sends what they are answered
//! with, in order.

mod ends;
mod read;
mod upgrade;
mod write;

use super::exchange::Exchange;
use super::server::ServerRef;
use crate::callback::Outcome;
use crate::listener::Address;
use crate::stream::{BufferEventRef, Handler, StreamEvent, StreamShare};
use read::Reading;
pub(super) use read::SCRATCH;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
pub(super) use write::WORTH_SHARING;

pub(super) struct Connection {
    me: Weak<Connection>,
    pub(super) server: Rc<ServerRef>,
    stream: OnceCell<StreamShare>,
    /// Its place in the server's list.
    key: Cell<usize>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) secure: bool,
    reading: RefCell<Reading>,
    /// Whether requests are being read right now, further down on the stack.
    advancing: Cell<bool>,
    /// The request that is being answered; the next one is read after that.
    current: RefCell<Option<Rc<Exchange>>>,
    /// Answers that are in the output to their end.
    unsent: RefCell<VecDeque<Rc<Exchange>>>,
    requests: Cell<u32>,
    /// Bytes received and thrown out of the input, and bytes put into the output.
    received: Cell<u64>,
    written: Cell<u64>,
    /// Bytes that were in the output when it was broken off.
    lost: Cell<u64>,
    pub(super) watch: super::watch::Mark,
    /// The client has sent all that it will send.
    eof: Cell<bool>,
    /// Nothing will come behind the bytes that are being looked at.
    over: Cell<bool>,
    /// Some of a body was left unread, and what comes is no request.
    unread: Cell<bool>,
    closed: Cell<bool>,
    /// The handshake of TLS is under way.
    opening: Cell<bool>,
}

/// The handler of the stream, with which the connection ends.
pub(super) struct Driver(Rc<Connection>);

impl Connection {
    pub(super) fn new(server: &Rc<ServerRef>, peer: &Address, secure: bool) -> Rc<Self> {
        Rc::new_cyclic(|me| Connection {
            me: me.clone(),
            server: Rc::clone(server),
            stream: OnceCell::new(),
            key: Cell::new(usize::MAX),
            peer: peer.ip(),
            secure,
            reading: RefCell::new(Reading::Head { seen: 0 }),
            advancing: Cell::new(false),
            current: RefCell::default(),
            unsent: RefCell::default(),
            requests: Cell::new(0),
            received: Cell::new(0),
            written: Cell::new(0),
            lost: Cell::new(0),
            watch: super::watch::Mark::at(server.tick()),
            eof: Cell::new(false),
            over: Cell::new(false),
            unread: Cell::new(false),
            closed: Cell::new(false),
            opening: Cell::new(secure),
        })
    }

    pub(super) fn driver(self: &Rc<Self>) -> Driver {
        Driver(Rc::clone(self))
    }

    /// Ties it to its stream, which lives until it is closed.
    pub(super) fn begin(&self, key: usize, stream: StreamShare) {
        self.key.set(key);
        let _ = self.stream.set(stream);
    }

    pub(super) fn key(&self) -> usize {
        self.key.get()
    }

    /// The stream, while it is open.
    pub(super) fn stream(&self) -> Option<&BufferEventRef> {
        let stream = self.stream.get().map(|share| &**share);
        stream.filter(|stream| !self.closed.get() && !stream.is_closed())
    }

    fn me(&self) -> Option<Rc<Self>> {
        self.me.upgrade()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether the client has closed at least its sending side.
    pub(super) fn is_half_gone(&self) -> bool {
        self.eof.get() || self.closed.get()
    }

    /// Bytes that came, and bytes that the system took.
    pub(super) fn traffic(&self) -> (u64, u64) {
        let input = self
            .stream()
            .map_or(0, |stream| stream.input().len() as u64);
        let (written, left) = self.output();
        (self.received.get() + input, written.saturating_sub(left))
    }
}

impl Handler for Driver {
    fn on_read(&mut self, stream: &BufferEventRef) -> Outcome {
        self.0.server.handle().inner().count_callback();
        if !self.0.unsent.borrow().is_empty() {
            self.0.all_sent(stream);
        }
        self.0.advance(stream);
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Outcome {
        self.0.flushed(stream);
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        match event {
            StreamEvent::Connected => self.0.opening.set(false),
            StreamEvent::Closed => self.0.all_sent(stream),
            StreamEvent::Eof => self.0.half_closed(stream),
            _ => self.0.abort(),
        }
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.0.is_upgraded() {
            return;
        }
        self.0.gone();
    }
}
