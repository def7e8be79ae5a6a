//! One connection, and the request that it is busy with.

use super::call::Call;
use super::payload::Uploading;
use super::pool::Key;
use super::read::Reading;
use super::send::Sending;
use super::{ClientErrorKind, Phase, Shared};
use crate::callback::Outcome;
use crate::http::incoming::Source;
use crate::stream::{
    BufferEvent, BufferEventRef, Direction, Handler, StreamError, StreamEvent, StreamShare,
};
use crate::{Buffer, LoopHandle};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

pub(super) struct Conn {
    pub(super) shared: Weak<Shared>,
    pub(super) handle: LoopHandle,
    pub(super) key: Rc<Key>,
    /// None once it is closed.
    pub(super) stream: RefCell<Option<BufferEvent>>,
    pub(super) stage: Cell<Stage>,
    pub(super) call: RefCell<Option<Rc<Call>>>,
    pub(super) reading: RefCell<Reading>,
    pub(super) sending: RefCell<Sending>,
    /// Of the body: received, and not decoded yet. None while it is looked at.
    pub(super) received: Cell<Option<Buffer>>,
    ended: RefCell<Option<Ended>>,
    /// Whether something of the present answer has come.
    pub(super) heard: Cell<bool>,
    /// How many requests it has had.
    pub(super) uses: Cell<u32>,
    pub(super) send_limit: Cell<Option<Duration>>,
    pub(super) idle_since: Cell<Option<Instant>>,
}

/// How far it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    /// TLS with the proxy.
    ProxyTls,
    /// The proxy was asked for a tunnel.
    Tunnel,
    Tls,
    Ready,
}

/// Why nothing will be read any more.
enum Ended {
    Eof,
    Failed(StreamError),
}

impl Conn {
    pub(super) fn new(shared: &Rc<Shared>, key: Rc<Key>) -> Rc<Self> {
        Rc::new(Conn {
            shared: Rc::downgrade(shared),
            handle: shared.handle.clone(),
            key,
            stream: RefCell::default(),
            stage: Cell::new(Stage::Connecting),
            call: RefCell::default(),
            reading: RefCell::default(),
            sending: RefCell::default(),
            received: Cell::new(Some(Buffer::new())),
            ended: RefCell::default(),
            heard: Cell::default(),
            uses: Cell::default(),
            send_limit: Cell::default(),
            idle_since: Cell::default(),
        })
    }

    pub(super) fn stream(&self) -> Option<StreamShare> {
        self.stream.borrow().as_ref().map(|stream| stream.share())
    }

    pub(super) fn call(&self) -> Option<Rc<Call>> {
        self.call.borrow().clone()
    }

    pub(super) fn attach(self: &Rc<Self>, call: &Rc<Call>) {
        call.set_conn(self);
        self.call.replace(Some(call.clone()));
    }

    pub(super) fn detach(&self) -> Option<Rc<Call>> {
        let call = self.call.take();
        if let Some(call) = &call {
            call.leave_conn();
        }
        call
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Does what can be done with what has come.
    pub(super) fn pump(self: &Rc<Self>) {
        while self.step() {}
        if self.has_ended() && !self.is_paused() {
            self.ended();
        }
    }

    /// The connection has ended, and all that came was read.
    fn ended(self: &Rc<Self>) {
        let clean = matches!(*self.ended.borrow(), Some(Ended::Eof));
        let reading = self.reading.take();
        match reading {
            Reading::Idle if self.call.borrow().is_none() => self.close(),
            Reading::Body(state) if clean && state.decoder.ends_with_connection() => {
                self.complete(*state, None);
            }
            reading => {
                let begun = matches!(reading, Reading::Body(_)) || self.heard.get();
                self.reading.replace(reading);
                let kind = match self.ended.take() {
                    Some(Ended::Failed(error)) => failure(error, begun),
                    _ if begun => ClientErrorKind::Incomplete,
                    _ => ClientErrorKind::Closed,
                };
                self.broken(kind);
            }
        }
    }

    /// It cannot go on: whoever waits hears why, or tries again.
    pub(super) fn broken(self: &Rc<Self>, kind: ClientErrorKind) {
        let reading = self.reading.take();
        let call = self.detach();
        let stage = self.stage.get();
        let stale = self.uses.get() > 1
            && !self.heard.get()
            && matches!(kind, ClientErrorKind::Closed | ClientErrorKind::Stream(_));
        self.close();
        let Some(call) = call else { return };
        if let Reading::Body(state) = reading {
            if let Some(inlet) = state.sink.inlet() {
                call.leave();
                inlet.end(Err(kind.of_body()));
                return call.settle();
            }
            return call.fail(kind);
        }
        let temporary = matches!(
            kind,
            ClientErrorKind::Connect(_)
                | ClientErrorKind::Lookup(_)
                | ClientErrorKind::TimedOut(Phase::Connect)
        );
        match stage {
            Stage::Ready if stale && call.is_idempotent() && call.is_repeatable() => call.launch(),
            Stage::Ready => call.fail(kind),
            _ if temporary => call.retry_connect(kind),
            _ => call.fail(kind),
        }
    }

    /// Its call was cancelled: nobody waits.
    pub(super) fn abandon(&self) {
        drop(self.detach());
        self.close();
    }

    /// Closes it. No callback is called: what was waiting has been taken out before, or is dropped.
    pub(super) fn close(&self) {
        let stream = self.stream.take();
        let reading = self.reading.take();
        let sending = self.sending.take();
        if let Sending::Upload(upload) = &sending {
            upload.forget(self);
        }
        if let Some(stream) = stream {
            drop(stream);
            if let Some(shared) = self.shared.upgrade() {
                shared.closed(self);
            }
        }
        self.handle.inner().guard(|| drop((reading, sending)));
    }

    fn event(self: &Rc<Self>, stream: &BufferEventRef, event: StreamEvent) {
        match event {
            StreamEvent::Connected => self.connected(),
            StreamEvent::Eof => {
                self.ended.replace(Some(Ended::Eof));
                self.pump();
            }
            StreamEvent::TimedOut(_) => self.broken(ClientErrorKind::TimedOut(Phase::Request)),
            StreamEvent::Failed(error) => {
                if self.stage.get() != Stage::Ready {
                    return self.not_made(error);
                }
                // A server that has answered and closes does not take the rest of the request: its
                // answer may still be there to be read.
                let readable = stream.enabled().contains(Direction::READ);
                if readable && !self.is_sent() && matches!(error, StreamError::Reset { .. }) {
                    return self.cannot_send();
                }
                self.ended.replace(Some(Ended::Failed(error)));
                self.pump();
            }
            StreamEvent::Closed => {}
        }
    }

    /// Whether this is what it sends.
    pub(super) fn uploads(&self, upload: &Uploading) -> bool {
        match &*self.sending.borrow() {
            Sending::Upload(present) => std::ptr::eq(&**present, upload),
            _ => false,
        }
    }

    pub(super) fn upload_dropped(&self) {
        if let Some(call) = self.call() {
            let why = "it was dropped before its end".to_owned();
            call.doom(ClientErrorKind::Body(why));
        }
    }

    /// Has the loop look at what is to be sent.
    pub(super) fn look_at_sending(&self) {
        if let Some(stream) = self.stream() {
            let _ = stream.trigger_always(Direction::WRITE);
        }
    }
}

impl Source for Conn {
    fn resume(&self) {
        if let Some(stream) = self.stream() {
            let _ = stream.trigger_always(Direction::READ);
        }
    }

    fn abandoned(&self) {
        if let Some(call) = self.call() {
            call.cancel();
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        // The base has gone, and with it the stream.
        self.close();
    }
}

/// What a broken connection means for a request.
fn failure(error: StreamError, begun: bool) -> ClientErrorKind {
    match error {
        StreamError::Reset { .. }
        | StreamError::Tls {
            truncated: true, ..
        } => match begun {
            true => ClientErrorKind::Incomplete,
            false => ClientErrorKind::Closed,
        },
        StreamError::Tls { .. } => ClientErrorKind::Tls(error),
        error => ClientErrorKind::Stream(error),
    }
}

/// The handler of its stream, which owns it.
pub(super) struct Driver(pub(super) Rc<Conn>);

impl Handler for Driver {
    fn on_read(&mut self, _: &BufferEventRef) -> Outcome {
        self.0.pump();
        Ok(())
    }

    fn on_write(&mut self, _: &BufferEventRef) -> Outcome {
        self.0.sent();
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        self.0.event(stream, event);
        Ok(())
    }
}
