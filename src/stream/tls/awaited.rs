//! TLS over whatever stream there is: a socket is taken out of it where that can be, as soon as it
//! is connected.

use super::super::node::{Call, State};
use super::super::{BufferEvent, BufferEventRef, Direction, Handler, StreamEvent};
use super::open::{Role, over_socket, over_stream};
use crate::callback::Outcome;
use crate::error::Result;
use openssl::ssl::Ssl;
use std::rc::{Rc, Weak};

pub(super) fn over(
    stream: BufferEvent,
    ssl: Ssl,
    role: Role,
    handler: impl Handler,
) -> Result<BufferEvent> {
    stream.open()?;
    let handler = Box::new(handler);
    if !is_bare_socket(&stream) {
        return over_stream(stream, ssl, role, handler);
    }
    let tls = over_socket(stream.handle(), ssl, role, handler)?;
    tls.peer.replace(stream.peer());
    if stream.is(State::CONNECTING) {
        stream.disable(Direction::READ)?;
        stream.set_handler(Awaited(Rc::downgrade(tls.node())))?;
        tls.with_extra(|extra| extra.awaited = Some(stream));
    } else {
        let fd = stream.take_socket()?;
        tls.begin_tls(fd, stream.peer())?;
    }
    Ok(tls)
}

/// Whether nothing but the socket matters: no rate limit, and no C code that has the bufferevent.
fn is_bare_socket(stream: &BufferEventRef) -> bool {
    stream.is(State::DIRECT)
        && stream.input().is_empty()
        && !stream
            .state
            .get()
            .intersects(State::FINISHING | State::ENDING)
        && (stream.is(State::CONNECTING) || stream.output().is_empty() && stream.fd.get() >= 0)
}

/// The handler of a connection that is being made for TLS.
struct Awaited(Weak<BufferEventRef>);

impl Handler for Awaited {
    fn on_read(&mut self, _: &BufferEventRef) -> Outcome {
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Outcome {
        self.hand_over(stream)
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Outcome {
        match (event, self.0.upgrade()) {
            (StreamEvent::Connected, _) => self.hand_over(stream)?,
            (event, Some(tls)) => lost(&tls, event),
            (_, None) => {}
        }
        Ok(())
    }
}

impl Awaited {
    /// Gives the socket to TLS, when what was to go out in clear has gone.
    fn hand_over(&self, stream: &BufferEventRef) -> Outcome {
        let Some(tls) = self.0.upgrade() else {
            return Ok(());
        };
        if !stream.output().is_empty() || stream.fd.get() < 0 {
            return Ok(());
        }
        let begun = stream
            .take_socket()
            .and_then(|fd| tls.begin_tls(fd, stream.peer()));
        if let Err(error) = begun {
            let (peer, source) = (stream.peer(), error.into());
            let failure = super::super::StreamError::Io { peer, source };
            lost(&tls, StreamEvent::Failed(failure));
        } else {
            forget(&tls);
        }
        Ok(())
    }
}

/// There will be no connection.
fn lost(tls: &BufferEventRef, event: StreamEvent) {
    forget(tls);
    tls.set(State::CONNECTING, false);
    tls.enabled.set(Direction::empty());
    tls.note_stuck(&event);
    tls.dispatch(Call::Event(event));
    tls.settle();
}

fn forget(tls: &BufferEventRef) {
    let awaited = tls.extra(|extra| extra.awaited.take());
    drop(awaited);
}
