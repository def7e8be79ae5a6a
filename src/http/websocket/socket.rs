//! A connection that speaks WebSocket, from its handshake to its end.

use super::codec::Codec;
use super::screen::Flaw;
use super::{CloseEvent, Message, SendError, WebSocket, WebSocketOptions, code};
use crate::LoopHandle;
use crate::callback::Outcome;
use crate::error::Result;
use crate::event::Alarm;
use crate::http::guests::Guest;
use crate::stream::{BufferEventRef, Direction, Handler, StreamEvent, StreamShare};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};
use tungstenite::protocol::Role;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// We have said that it is the end, and wait for the other one to say so.
    Closing,
    /// It is the end. What we sent has to arrive: closing with something unread would cost that.
    Draining,
    Gone,
}

pub(super) type MessageHook = dyn FnMut(&WebSocket, Message<'_>) -> Outcome;
pub(super) type DrainHook = dyn FnMut(&WebSocket) -> Outcome;
pub(super) type PongHook = dyn FnMut(&WebSocket, &[u8]) -> Outcome;
pub(super) type CloseHook = dyn FnOnce(CloseEvent) -> Outcome;

/// The place of a callback. It is empty while the callback runs, which may put another there.
pub(super) struct Slot<F: ?Sized>(RefCell<Option<Box<F>>>);

impl<F: ?Sized> Default for Slot<F> {
    fn default() -> Self {
        Slot(RefCell::new(None))
    }
}

#[derive(Default)]
pub(super) struct Hooks {
    pub(super) message: Slot<MessageHook>,
    pub(super) drain: Slot<DrainHook>,
    pub(super) pong: Slot<PongHook>,
    pub(super) close: Slot<CloseHook>,
}

pub(super) struct Socket {
    me: Weak<Socket>,
    handle: LoopHandle,
    stream: OnceCell<StreamShare>,
    /// Never borrowed while somebody else's code runs.
    codec: RefCell<Codec>,
    alarm: OnceCell<Alarm>,
    phase: Cell<Phase>,
    pub(super) hooks: Hooks,
    /// What is still to be told of the end, and whether it has come, and was told.
    end: RefCell<Option<CloseEvent>>,
    ended: Cell<bool>,
    told: Cell<bool>,
    deadline: Cell<Option<Instant>>,
    /// By the program; and whether reading is disabled, for whatever reason.
    paused: Cell<bool>,
    held: Cell<bool>,
    life: Life,
    limit: usize,
    ping: Option<(Duration, Duration)>,
    close_timeout: Duration,
    is_server: bool,
    pub(super) protocol: Option<String>,
}

/// Whether the other end is there.
#[derive(Default)]
struct Life {
    heard: Cell<bool>,
    /// It was asked, and has not answered.
    asked: Cell<bool>,
    /// Bytes that were given to the output; at the last look: those that it had taken, and whether
    /// there were more.
    given: Cell<u64>,
    taken: Cell<u64>,
    backlog: Cell<bool>,
}

/// The handler of the stream.
pub(super) struct Driver(Rc<Socket>);

impl Socket {
    pub(super) fn new(
        handle: &LoopHandle,
        role: Role,
        options: &WebSocketOptions,
        protocol: Option<String>,
    ) -> Result<Rc<Self>> {
        let socket = Rc::new_cyclic(|me: &Weak<Socket>| Socket {
            me: me.clone(),
            handle: handle.clone(),
            stream: OnceCell::new(),
            codec: RefCell::new(Codec::new(role, options)),
            alarm: OnceCell::new(),
            phase: Cell::new(Phase::Open),
            hooks: Hooks::default(),
            end: RefCell::default(),
            ended: Cell::new(false),
            told: Cell::new(false),
            deadline: Cell::new(None),
            paused: Cell::new(false),
            held: Cell::new(false),
            life: Life::default(),
            limit: options.pending_bytes,
            ping: options
                .ping_interval
                .map(|interval| (interval, options.ping_timeout)),
            close_timeout: options.close_timeout,
            is_server: role == Role::Server,
            protocol,
        });
        let me = socket.me.clone();
        let ring = move || {
            if let Some(socket) = me.upgrade() {
                socket.ring();
            }
        };
        let _ = socket.alarm.set(Alarm::new(handle, ring)?);
        Ok(socket)
    }

    pub(super) fn driver(self: &Rc<Self>) -> Driver {
        Driver(Rc::clone(self))
    }

    pub(super) fn begin(&self, stream: StreamShare) {
        let _ = self.stream.set(stream);
        self.deadline_in(self.ping.map(|(interval, _)| interval));
    }

    pub(super) fn handle(&self) -> &LoopHandle {
        &self.handle
    }

    fn stream(&self) -> Option<&BufferEventRef> {
        let stream = self.stream.get().map(|share| &**share);
        stream.filter(|stream| !stream.is_closed())
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open && self.stream().is_some()
    }

    pub(super) fn pending(&self) -> usize {
        self.stream().map_or(0, |stream| stream.output().len())
    }

    fn alarm(&self, set: impl FnOnce(&Alarm)) {
        self.alarm.get().map(set);
    }

    // --- sending --------------------------------------------------------------------------------

    fn room(&self, bytes: usize) -> Result<&BufferEventRef, SendError> {
        let stream = self.stream().filter(|_| self.is_open());
        let stream = stream.ok_or(SendError::Closed)?;
        let (pending, limit) = (stream.output().len(), self.limit);
        match pending.saturating_add(bytes) > limit {
            true => Err(SendError::Full { pending, limit }),
            false => Ok(stream),
        }
    }

    fn sent(&self, bytes: usize, done: bool) -> Result<(), SendError> {
        let life = &self.life;
        life.given.set(life.given.get() + bytes as u64);
        done.then_some(()).ok_or(SendError::Closed)
    }

    pub(super) fn send(&self, message: Message<'_>) -> Result<(), SendError> {
        let length = message.as_bytes().len();
        let stream = self.room(length)?;
        let done = self.codec.borrow_mut().send(stream, message);
        self.sent(length, done)
    }

    pub(super) fn ping(&self, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > 125 {
            return Err(SendError::Invalid("a ping has at most 125 bytes"));
        }
        let stream = self.room(payload.len())?;
        let done = self.codec.borrow_mut().ping(stream, payload);
        self.sent(payload.len(), done)
    }

    pub(super) fn close(&self, code: u16, reason: &str) -> Result<(), SendError> {
        if !code::may_be_sent(code) {
            return Err(SendError::Invalid("no code of closing that may be sent"));
        }
        if reason.len() > 123 {
            return Err(SendError::Invalid("a reason has at most 123 bytes"));
        }
        let Some(stream) = self.stream().filter(|_| self.is_open()) else {
            return Ok(());
        };
        self.phase.set(Phase::Closing);
        self.codec.borrow_mut().close(stream, code, reason);
        self.read_on(stream);
        self.deadline_in(Some(self.close_timeout));
        Ok(())
    }

    pub(super) fn terminate(&self) {
        if matches!(self.phase.get(), Phase::Open | Phase::Closing) {
            self.end(CloseEvent::abnormal("it was cut off"), Duration::ZERO);
        }
    }

    // --- reading --------------------------------------------------------------------------------

    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.set(paused);
        match self.stream() {
            Some(stream) if !paused && !self.is_backed_up(stream) => self.read_on(stream),
            _ => {}
        }
    }

    fn is_backed_up(&self, stream: &BufferEventRef) -> bool {
        stream.output().len() > self.limit / 2
    }

    /// Reads again, if it was held. All of this fails when the stream has ended, which is told.
    fn read_on(&self, stream: &BufferEventRef) {
        if self.held.replace(false) {
            let _ = stream.enable(Direction::READ);
            if !stream.input().is_empty() {
                let _ = stream.trigger_always(Direction::READ);
            }
        }
    }

    fn pump(&self, stream: &BufferEventRef) {
        loop {
            match self.phase.get() {
                Phase::Open if self.paused.get() || self.is_backed_up(stream) => {
                    self.held.set(true);
                    let _ = stream.disable(Direction::READ);
                    return;
                }
                Phase::Open | Phase::Closing => {}
                Phase::Draining | Phase::Gone => return stream.input().clear(),
            }
            let next = self.codec.borrow_mut().next(stream);
            match next {
                Ok(None) => return,
                Ok(Some(message)) => self.received(message),
                Err(flaw) => self.fail(stream, flaw),
            }
            if self.handle.inner().is_stopped_by_us() && !stream.input().is_empty() {
                // The rest is for the next run of the loop.
                let _ = stream.trigger_always(Direction::READ);
                return;
            }
        }
    }

    fn received(&self, message: tungstenite::Message) {
        use tungstenite::Message as Raw;
        match message {
            Raw::Text(text) => self.deliver(Message::Text(&text)),
            Raw::Binary(bytes) => self.deliver(Message::Binary(&bytes)),
            Raw::Pong(payload) => self.run(&self.hooks.pong, |hook, socket| hook(socket, &payload)),
            Raw::Close(frame) => {
                let event = match frame {
                    Some(frame) => CloseEvent {
                        code: frame.code.into(),
                        reason: frame.reason.to_string(),
                        was_clean: true,
                    },
                    None => CloseEvent {
                        code: code::NO_STATUS,
                        reason: String::new(),
                        was_clean: true,
                    },
                };
                self.end(event, self.close_timeout);
            }
            Raw::Ping(_) | Raw::Frame(_) => {}
        }
    }

    /// What comes after we have said that it is the end is not for the program.
    fn deliver(&self, message: Message<'_>) {
        if self.phase.get() == Phase::Open {
            self.run(&self.hooks.message, |hook, socket| hook(socket, message));
        }
    }

    // --- callbacks ------------------------------------------------------------------------------

    fn run<F: ?Sized>(&self, slot: &Slot<F>, call: impl FnOnce(&mut F, &WebSocket) -> Outcome) {
        let (hook, socket) = (slot.0.take(), self.me.upgrade());
        let (Some(mut hook), Some(socket)) = (hook, socket) else {
            return;
        };
        let socket = WebSocket::new(socket);
        let inner = self.handle.inner();
        inner.guard(|| call(&mut hook, &socket));
        let mut place = slot.0.borrow_mut();
        if place.is_none() && !self.told.get() {
            *place = Some(hook);
        } else {
            drop(place);
            inner.guard(|| drop(hook));
        }
    }

    /// Sets a callback, unless all was told already.
    pub(super) fn set<F: ?Sized>(&self, slot: &Slot<F>, hook: Box<F>) {
        if !self.told.get() {
            let old = slot.0.borrow_mut().replace(hook);
            drop(old);
        }
    }

    pub(super) fn drain_later(&self) {
        if let Some(stream) = self.stream() {
            // It fails when the stream is closed.
            let _ = stream.trigger_always(Direction::WRITE);
        }
    }

    // --- time -----------------------------------------------------------------------------------

    fn deadline_in(&self, time: Option<Duration>) {
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        self.deadline.set(deadline);
        if let (Some(_), Some(time)) = (deadline, time) {
            self.alarm(|alarm| alarm.after(time));
        }
    }

    fn ring(&self) {
        self.tell();
        let Some(deadline) = self.deadline.get() else {
            return;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return self.alarm(|alarm| alarm.after(left));
        }
        self.deadline.set(None);
        match (self.phase.get(), self.stream()) {
            (Phase::Open, Some(stream)) => self.look_after(stream),
            (Phase::Closing, _) => self.cut("the end was not answered in time"),
            (Phase::Draining, Some(stream)) => stream.close(),
            _ => {}
        }
    }

    /// Asks whether somebody is there, or gives up.
    fn look_after(&self, stream: &BufferEventRef) {
        let Some((interval, timeout)) = self.ping else {
            return;
        };
        let life = &self.life;
        let waits = stream.output().len() as u64;
        let taken = life.given.get().saturating_sub(waits);
        // What leaves at once may be with the system only; what had to wait was taken by somebody.
        let takes = taken > life.taken.replace(taken) && life.backlog.get();
        let there = life.heard.take() || takes || self.paused.get();
        life.backlog.set(waits > 0);
        if there {
            life.asked.set(false);
            return self.deadline_in(Some(interval));
        }
        if life.asked.replace(true) {
            return self.cut("a ping was not answered in time");
        }
        self.codec.borrow_mut().ping(stream, b"");
        self.deadline_in(Some(timeout));
    }

    // --- the end --------------------------------------------------------------------------------

    /// The other end has broken the protocol: it is told so.
    fn fail(&self, stream: &BufferEventRef, flaw: Flaw) {
        self.codec.borrow_mut().close(stream, flaw.code, &flaw.why);
        // It fails when the stream has ended.
        let _ = stream.shutdown_write();
        let event = CloseEvent {
            code: flaw.code,
            reason: flaw.why,
            was_clean: false,
        };
        self.end(event, self.close_timeout);
    }

    /// There is nothing more to be said. The connection has some time to end.
    fn end(&self, event: CloseEvent, time: Duration) {
        self.phase.set(Phase::Draining);
        self.note(event);
        if let Some(stream) = self.stream() {
            if self.is_server {
                // The server is the one to close (RFC 6455 7.1.1).
                let _ = stream.shutdown_write();
            }
            self.read_on(stream);
        }
        self.deadline_in(Some(time));
        self.alarm(Alarm::now);
    }

    /// The connection ends at once; called from the loop.
    fn cut(&self, why: &str) {
        self.note(CloseEvent::abnormal(why));
        self.phase.set(Phase::Gone);
        self.tell();
        if let Some(stream) = self.stream() {
            stream.close();
        }
    }

    fn note(&self, event: CloseEvent) {
        if !self.ended.replace(true) {
            self.end.replace(Some(event));
        }
    }

    /// Tells the program of the end, once.
    fn tell(&self) {
        let Some(event) = self.end.take() else { return };
        self.told.set(true);
        let hooks = &self.hooks;
        let close = hooks.close.0.take();
        let rest = (
            hooks.message.0.take(),
            hooks.drain.0.take(),
            hooks.pong.0.take(),
        );
        let inner = self.handle.inner();
        // A base that goes calls nobody.
        match close {
            Some(close) if inner.open().is_ok() => inner.guard(|| close(event)),
            close => inner.guard(|| drop(close)),
        }
        inner.guard(|| drop(rest));
    }

    /// The stream is closed, by whomever.
    fn gone(&self) {
        self.alarm(Alarm::free);
        self.note(CloseEvent::abnormal("the connection was closed"));
        self.phase.set(Phase::Gone);
        self.tell();
    }
}

impl Guest for Socket {
    fn leave(&self) {
        // It cannot be wrong.
        let _ = self.close(code::GOING_AWAY, "the server is closing");
    }
}

impl Handler for Driver {
    fn on_read(&mut self, stream: &BufferEventRef) -> Outcome {
        self.0.life.heard.set(true);
        self.0.pump(stream);
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Outcome {
        let socket = &self.0;
        if !socket.paused.get() && !socket.is_backed_up(stream) {
            socket.read_on(stream);
        }
        if socket.is_open() && stream.output().is_empty() {
            socket.run(&socket.hooks.drain, |hook, socket| hook(socket));
        }
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        match event {
            StreamEvent::Connected => {}
            StreamEvent::Eof => match self.0.phase.get() {
                Phase::Draining | Phase::Gone => stream.close(),
                _ => self.0.cut("the connection ended"),
            },
            StreamEvent::Failed(error) => match self.0.phase.get() {
                Phase::Draining | Phase::Gone => stream.close(),
                _ => self.0.cut(&error.to_string()),
            },
            _ => self.0.cut("the connection was closed"),
        }
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.gone();
    }
}
