//! One connection, as the filter and whoever asks about it share it, and its end.

use super::super::node::Form;
use super::super::unread::discard;
use super::super::{BufferEventRef, Direction, Peer, StreamError};
use crate::buffer::{Buffer, BufferRef};
use crate::ffi;
use ::rustls::Connection;
use std::cell::{Cell, RefCell};
use std::io::{self, BufRead as _, IoSlice, Write as _};
use std::rc::Rc;

/// How much is encrypted in one go: a few records.
const AT_ONCE: usize = 64 * 1024;

/// How many pieces of the output one record or more is made of.
const PIECES: usize = 16;

/// How much a stream that is closed still encrypts: what the system takes without waiting is not
/// more, as a rule.
const AT_THE_END: usize = 256 * 1024;

/// A connection of rustls, and how far it has come.
pub(in super::super) struct Session {
    /// Borrowed while rustls runs, and with it the program's own verifier: whoever asks then gets
    /// no answer.
    pub(super) connection: RefCell<Connection>,
    /// The handshake is complete, and it was told.
    pub(super) connected: Cell<bool>,
    /// Nothing is read or written any more.
    pub(super) failed: Cell<bool>,
    /// The peer has said that nothing follows.
    pub(super) peer_ended: Cell<bool>,
    /// That was told.
    pub(super) at_end: Cell<bool>,
    /// The peer was told of our end.
    pub(super) ended: Cell<bool>,
    /// An end without notice is one like any other.
    pub(super) lax: Cell<bool>,
}

/// What has become of what was received.
pub(super) enum Received {
    /// All that there was, or all that there was room for, was taken.
    All,
    /// There is something in clear for which there was no room.
    Held,
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        Session {
            connection: RefCell::new(connection),
            connected: Cell::new(false),
            failed: Cell::new(false),
            peer_ended: Cell::new(false),
            at_end: Cell::new(false),
            ended: Cell::new(false),
            lax: Cell::new(false),
        }
    }

    /// The stream is about to be closed: what it had to send still goes to the one below, and the
    /// notice of the end if that is not much.
    fn last_words(&self, source: &mut Buffer) -> Option<Buffer> {
        if !self.connected.get() || self.failed.get() || self.ended.get() {
            return None;
        }
        // Not when it is closed from inside rustls.
        let mut connection = self.connection.try_borrow_mut().ok()?;
        let mut out = Buffer::new();
        encrypt(&mut connection, source, &mut out, Some(AT_THE_END)).ok()?;
        if source.is_empty() {
            connection.send_close_notify();
            write_out(&mut connection, &mut out).ok()?;
        }
        self.ended.set(true);
        Some(out)
    }
}

impl BufferEventRef {
    /// The C object of a stream over TLS goes.
    ///
    /// # Safety
    /// `raw` is the bufferevent of this node, alive as is what is below.
    pub(in super::super) unsafe fn end_rustls(&self, raw: *mut ffi::bufferevent) {
        let session = self.extra(|extra| extra.rustls.clone());
        let (Some(session), Some(below)) = (session, self.below()) else {
            return;
        };
        let raw_below = below.raw.get();
        if raw_below.is_null() {
            return;
        }
        if below.form == Form::Socket && session.connected.get() {
            // SAFETY: the caller's promise.
            discard(unsafe { ffi::bufferevent_getfd(raw_below) });
        }
        if !self.enabled.get().contains(Direction::WRITE) {
            return;
        }
        let mut source = Buffer::new();
        // SAFETY: the caller's promise. The front of a filter's output is not frozen.
        unsafe { ffi::evbuffer_add_buffer(source.as_ptr(), ffi::bufferevent_get_output(raw)) };
        if let Some(out) = session.last_words(&mut source) {
            // SAFETY: the caller's promise; its callbacks are ours, which only note things.
            unsafe {
                ffi::evbuffer_add_buffer(ffi::bufferevent_get_output(raw_below), out.as_ptr());
            }
        }
    }

    pub(super) fn rustls_session(&self) -> Option<Rc<Session>> {
        self.extra(|extra| extra.rustls.clone())
    }
}

/// Takes what can be decrypted from `source`, as far as there is room for it in `out`.
pub(super) fn decrypt(
    peer_ended: &Cell<bool>,
    connection: &mut Connection,
    source: &mut BufferRef,
    out: &mut BufferRef,
    limit: Option<usize>,
) -> Result<Received, Wrong> {
    loop {
        if !take_plain(connection, out, limit)? {
            return Ok(Received::Held);
        }
        if limit.is_some_and(|limit| out.len() >= limit) {
            return Ok(Received::All);
        }
        let Some(mut chunk) = source.chunks().next() else {
            return Ok(Received::All);
        };
        match connection.read_tls(&mut chunk)? {
            // The peer has said that nothing follows.
            0 => source.clear()?,
            count => drop(source.drain(count)?),
        }
        match connection.process_new_packets() {
            Ok(state) if state.peer_has_closed() => peer_ended.set(true),
            Ok(_) => {}
            Err(error) => {
                // What came before is fine.
                take_plain(connection, out, None)?;
                return Err(Wrong::Tls(error));
            }
        }
    }
}

/// Moves what is there in clear. False when there is something left.
fn take_plain(
    connection: &mut Connection,
    out: &mut BufferRef,
    limit: Option<usize>,
) -> Result<bool, Wrong> {
    let mut reader = connection.reader();
    // Nothing there is an error to rustls, of one kind or another.
    while let Ok(chunk) = reader.fill_buf()
        && !chunk.is_empty()
    {
        let room = limit.map_or(usize::MAX, |limit| limit.saturating_sub(out.len()));
        if room == 0 {
            return Ok(false);
        }
        let count = chunk.len().min(room);
        out.append(&chunk[..count])?;
        reader.consume(count);
    }
    Ok(true)
}

/// Encrypts what is in `source`, as far as there is room for it in `out`.
pub(super) fn encrypt(
    connection: &mut Connection,
    source: &mut BufferRef,
    out: &mut BufferRef,
    limit: Option<usize>,
) -> Result<(), Wrong> {
    loop {
        let room = limit.map_or(AT_ONCE, |limit| limit.saturating_sub(out.len()));
        let mut room = room.min(AT_ONCE);
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let mut used = 0;
        for (piece, chunk) in pieces.iter_mut().zip(source.chunks()) {
            let count = chunk.len().min(room);
            *piece = IoSlice::new(&chunk[..count]);
            room -= count;
            used += usize::from(count > 0);
        }
        if used == 0 {
            return Ok(());
        }
        let count = connection.writer().write_vectored(&pieces[..used])?;
        source.drain(count)?;
        write_out(connection, out)?;
        if count == 0 {
            return Ok(());
        }
    }
}

/// Moves what rustls has for the peer.
pub(super) fn write_out(connection: &mut Connection, out: &mut BufferRef) -> Result<(), Wrong> {
    while connection.wants_write() {
        connection.write_tls(out)?;
    }
    Ok(())
}

/// What can go wrong with the records.
pub(super) enum Wrong {
    Tls(::rustls::Error),
    Io(io::Error),
    Buffer(crate::Error),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Wrong::Io(error)
    }
}

impl From<crate::Error> for Wrong {
    fn from(error: crate::Error) -> Self {
        Wrong::Buffer(error)
    }
}

impl Wrong {
    pub(super) fn of(self, peer: Peer) -> StreamError {
        let reason = match self {
            Wrong::Tls(error) => error.to_string(),
            Wrong::Io(error) => error.to_string(),
            Wrong::Buffer(error) => error.to_string(),
        };
        StreamError::Tls {
            peer,
            reason,
            truncated: false,
        }
    }
}
