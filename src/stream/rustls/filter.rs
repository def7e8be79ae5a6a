//! The filter: records on one side, what they say in clear on the other.

use super::super::{Direction, Filter, FilterIo, Peer, StreamError, StreamEvent};
use super::session::{Received, Session, Wrong, decrypt, encrypt, write_out};
use crate::buffer::Buffer;
use crate::callback::Outcome;
use std::rc::Rc;

pub(super) struct TlsFilter(pub(super) Rc<Session>);

impl TlsFilter {
    /// After an error rustls is not asked for anything more.
    fn failed(&self, io: &FilterIo<'_>, wrong: Wrong) -> Outcome {
        self.0.failed.set(true);
        Err(wrong.of(io.stream().peer()).into())
    }
}

impl Filter for TlsFilter {
    fn begin(&mut self, io: &mut FilterIo<'_>) -> Outcome {
        io.set_handshaking(true);
        let Ok(mut connection) = self.0.connection.try_borrow_mut() else {
            return Ok(());
        };
        match write_out(&mut connection, io.reply()) {
            Ok(()) => Ok(()),
            Err(wrong) => self.failed(io, wrong),
        }
    }

    fn input(&mut self, source: &mut Buffer, out: &mut Buffer, io: &mut FilterIo<'_>) -> Outcome {
        let session = &*self.0;
        if session.failed.get() || session.at_end.get() {
            return Ok(source.clear()?);
        }
        let Ok(mut connection) = session.connection.try_borrow_mut() else {
            return Ok(());
        };
        let connection = &mut *connection;
        let received = decrypt(&session.peer_ended, connection, source, out, io.limit());
        // What TLS itself has to say; of an error too.
        let told = match connection.wants_write() {
            true => write_out(connection, io.reply()),
            false => Ok(()),
        };
        if !session.connected.get() && !connection.is_handshaking() {
            session.connected.set(true);
            io.set_handshaking(false);
            io.emit(StreamEvent::Connected);
        }
        match received.and_then(|received| told.map(|()| received)) {
            Err(wrong) => return self.failed(io, wrong),
            Ok(Received::Held) => io.hold(),
            Ok(Received::All) if session.peer_ended.get() => {
                source.clear()?;
                if !session.connected.get() {
                    session.failed.set(true);
                    return Err(cut_off(io.stream().peer(), true).into());
                }
                session.at_end.set(true);
                io.stream().disable(Direction::READ)?;
                io.emit(StreamEvent::Eof);
            }
            Ok(Received::All) => {}
        }
        Ok(())
    }

    fn output(&mut self, source: &mut Buffer, out: &mut Buffer, io: &mut FilterIo<'_>) -> Outcome {
        let session = &*self.0;
        if session.failed.get() {
            return Ok(source.clear()?);
        }
        if !session.connected.get() || source.is_empty() {
            return Ok(());
        }
        if session.ended.get() {
            let wrong = Wrong::Tls(::rustls::Error::General(
                "the peer was told already that nothing follows".to_owned(),
            ));
            return self.failed(io, wrong);
        }
        let Ok(mut connection) = session.connection.try_borrow_mut() else {
            return Ok(());
        };
        match encrypt(&mut connection, source, out, io.limit()) {
            Ok(()) => Ok(()),
            Err(wrong) => self.failed(io, wrong),
        }
    }

    fn event(&mut self, event: StreamEvent, io: &mut FilterIo<'_>) -> Option<StreamEvent> {
        let session = &*self.0;
        let peer = || io.stream().peer();
        let event = match event {
            // Now the handshake begins.
            StreamEvent::Connected => return None,
            StreamEvent::Eof if session.at_end.get() || session.failed.get() => return None,
            StreamEvent::Eof if session.connected.get() && session.lax.get() => {
                session.at_end.set(true);
                return Some(StreamEvent::Eof);
            }
            StreamEvent::Eof => StreamEvent::Failed(cut_off(peer(), !session.connected.get())),
            StreamEvent::TimedOut(_) if !session.connected.get() => {
                StreamEvent::Failed(StreamError::ConnectTimedOut { peer: peer() })
            }
            // Sending may have failed, and there is still something to receive.
            event => return Some(event),
        };
        session.failed.set(true);
        Some(event)
    }

    fn finish(&mut self, out: &mut Buffer) -> Outcome {
        let session = &*self.0;
        if session.failed.get() || session.ended.replace(true) {
            return Ok(());
        }
        let Ok(mut connection) = session.connection.try_borrow_mut() else {
            return Ok(());
        };
        connection.send_close_notify();
        // What does not fit into memory is no worse than a peer that is gone.
        let _ = write_out(&mut connection, out);
        Ok(())
    }
}

/// The connection ended without notice.
fn cut_off(peer: Peer, handshaking: bool) -> StreamError {
    let reason = match handshaking {
        true => "the peer closed the connection during the handshake",
        false => "the peer closed the connection without notice: the end may be missing",
    };
    StreamError::Tls {
        peer,
        reason: reason.to_owned(),
        truncated: !handshaking,
    }
}
