//! What can be done with a stream.

use super::node::{Call, Form, State};
use super::{BufferEventRef, Direction, Input, Output, Peer, StreamEvent};
use crate::error::{Error, Result};
use crate::{ffi, time};
use std::io;
use std::os::raw::{c_int, c_short};
use std::time::Duration;

#[cfg(unix)]
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// How much a filter or one of a pair is to let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushMode {
    /// What it would let go of anyway.
    #[doc(alias = "BEV_NORMAL")]
    Normal,
    /// All that it can without the end being reached.
    #[doc(alias = "BEV_FLUSH")]
    Flush,
    /// Everything: nothing follows. The other one of a pair hears
    /// [`Eof`](super::StreamEvent::Eof).
    #[doc(alias = "BEV_FINISHED")]
    Finished,
}

impl FlushMode {
    fn to_c(self) -> ffi::bufferevent_flush_mode {
        match self {
            FlushMode::Normal => ffi::BEV_NORMAL,
            FlushMode::Flush => ffi::BEV_FLUSH,
            FlushMode::Finished => ffi::BEV_FINISHED,
        }
    }
}

impl BufferEventRef {
    /// What the peer has sent.
    #[doc(alias = "bufferevent_get_input")]
    pub fn input(&self) -> Input<'_> {
        Input(self)
    }

    /// What is to be sent.
    #[doc(alias = "bufferevent_get_output")]
    pub fn output(&self) -> Output<'_> {
        Output(self)
    }

    /// Adds bytes to the output.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is closed.
    #[doc(alias = "bufferevent_write")]
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.output().append(bytes)
    }

    /// The other end, as far as it is known.
    pub fn peer(&self) -> Peer {
        self.peer.get()
    }

    /// The C bufferevent, for calls of `ffi`; NULL when it is closed. From now on libevent itself
    /// does all reading and writing, as C code expects.
    pub fn as_ptr(&self) -> *mut ffi::bufferevent {
        self.leave_to_c();
        self.raw.get()
    }

    // --- directions ---------------------------------------------------------------------------

    /// Which directions are enabled. An end or a timeout disables its direction.
    #[doc(alias = "bufferevent_get_enabled")]
    pub fn enabled(&self) -> Direction {
        self.enabled.get()
    }

    /// Reads or writes from now on.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Os`] when the descriptor cannot be watched.
    #[doc(alias = "bufferevent_enable")]
    pub fn enable(&self, direction: Direction) -> Result<()> {
        self.open()?;
        self.enabled.set(self.enabled.get() | direction);
        if self.is(State::CONNECTING) {
            // There is nowhere to read from yet; `connected` does it.
            return Ok(());
        }
        if self.is(State::DIRECT) {
            if direction.contains(Direction::READ) && self.fd.get() >= 0 {
                self.resume()?;
            }
        } else {
            if direction.contains(Direction::READ) {
                self.set(State::PAUSED, false);
            }
            // SAFETY: alive.
            let code = self
                .with(|raw| unsafe { ffi::bufferevent_enable(raw, direction.bits() as c_short) })?;
            if code != 0 {
                return Err(Error::last_os("bufferevent_enable"));
            }
        }
        if direction.contains(Direction::WRITE) && !self.output().is_empty() {
            self.written();
        }
        if self.form == Form::Filter {
            // An end or a timeout may have disabled what is below.
            self.below()
                .map_or(Ok(()), |below| below.enable(direction))?;
            self.look_again(direction, FlushMode::Normal);
        }
        self.time_pair(direction);
        Ok(())
    }

    /// Neither reads nor writes, until it is enabled again. What comes meanwhile stays with the
    /// system, and what is written in the output.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "bufferevent_disable")]
    pub fn disable(&self, direction: Direction) -> Result<()> {
        self.open()?;
        self.enabled.set(self.enabled.get() - direction);
        if direction.contains(Direction::WRITE) {
            self.set(State::C_WRITES, false);
        }
        if direction.contains(Direction::READ) {
            self.pause();
        }
        #[cfg(feature = "openssl")]
        if self.form == Form::Tls {
            return self.disable_tls();
        }
        let mut direction = direction;
        if self.is_handshaking() {
            direction -= Direction::READ;
        }
        // SAFETY: alive.
        self.with(|raw| unsafe { ffi::bufferevent_disable(raw, direction.bits() as c_short) })?;
        self.time_pair(direction);
        Ok(())
    }

    /// How long nothing may be read, and how long nothing of the output be sent, while that
    /// direction is enabled; None for no limit. Then the handler hears
    /// [`TimedOut`](StreamEvent::TimedOut), and the direction is disabled. The time to write is
    /// also that for connecting.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Invalid`] for zero.
    #[doc(alias = "bufferevent_set_timeouts")]
    pub fn set_timeouts(&self, read: Option<Duration>, write: Option<Duration>) -> Result<()> {
        if read == Some(Duration::ZERO) || write == Some(Duration::ZERO) {
            return Err(Error::invalid(
                "timeout",
                "zero is no time at all; None is no limit",
            ));
        }
        if self.form == Form::Filter
            && let Some(below) = self.below()
        {
            return below.set_timeouts(read, write);
        }
        if read.is_some() || self.read_timeout().is_some() {
            self.with_extra(|extra| extra.read_timeout = read);
        }
        let limit = write;
        let write = self.limit_pair(write)?;
        let (read, write) = (read.map(time::timeval), write.map(time::timeval));
        let ptr = |tv: &Option<ffi::timeval>| tv.as_ref().map_or(std::ptr::null(), |tv| tv);
        // SAFETY: alive; C copies both.
        let code = self
            .with(|raw| unsafe { ffi::bufferevent_set_timeouts(raw, ptr(&read), ptr(&write)) })?;
        if code != 0 {
            return Err(Error::Libevent {
                op: "bufferevent_set_timeouts",
            });
        }
        if self.is(State::DIRECT) && self.fd.get() >= 0 {
            // Pending or not, the time counts from now.
            self.pause();
            self.resume()?;
        }
        self.limit_attempt(limit)
    }

    // --- watermarks, sizes, priority --------------------------------------------------------------

    /// Sets the watermarks of one direction, or the same of both, in bytes.
    ///
    /// Reading: the handler is called when there are at least `low` bytes in the input, and no
    /// more than `high` are read into it, where 0 is no limit. Writing: the handler is called when
    /// the output has come down to `low`; a filter takes no more when `high` bytes wait below it.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed; [`Error::Invalid`] when `low` is above a `high` that
    /// is not 0, so that the handler would never be called.
    #[doc(alias = "bufferevent_setwatermark")]
    pub fn set_watermarks(&self, direction: Direction, low: usize, high: usize) -> Result<()> {
        if high != 0 && low > high {
            return Err(Error::invalid(
                "watermarks",
                format!("the low one, {low}, is above the high one, {high}"),
            ));
        }
        // SAFETY: alive.
        self.with(|raw| unsafe {
            ffi::bufferevent_setwatermark(raw, direction.bits() as c_short, low, high);
        })?;
        self.with_extra(|extra| {
            if direction.contains(Direction::READ) {
                (extra.read_low, extra.read_high) = (low, high);
            }
            if direction.contains(Direction::WRITE) {
                extra.write_low = low;
            }
        });
        if direction.contains(Direction::READ) && self.is(State::DIRECT) && self.fd.get() >= 0 {
            self.pause();
            self.resume()?;
        }
        if self.is(State::PAUSED) && !self.is(State::DIRECT) {
            self.resume_in_c();
        }
        self.look_again(direction, FlushMode::Normal);
        Ok(())
    }

    /// The low and the high watermark of one direction.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Invalid`] for not just one direction.
    #[doc(alias = "bufferevent_getwatermark")]
    pub fn watermarks(&self, direction: Direction) -> Result<(usize, usize)> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: alive; C writes to both or to none.
        let code = self.with(|raw| unsafe {
            ffi::bufferevent_getwatermark(raw, direction.bits() as c_short, &mut low, &mut high)
        })?;
        if code != 0 {
            return Err(Error::invalid("direction", "it has to be one of the two"));
        }
        Ok((low, high))
    }

    /// Its priority; 0 is the most urgent.
    #[doc(alias = "bufferevent_get_priority")]
    pub fn priority(&self) -> usize {
        // SAFETY: alive.
        let priority = self.with(|raw| unsafe { ffi::bufferevent_get_priority(raw) });
        usize::try_from(priority.unwrap_or(0)).unwrap_or(0)
    }

    /// Sets its priority: what is active and more urgent runs first.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed; [`Error::Invalid`] when the base has no such priority,
    /// while one of its events is active, and for a stream without a socket of its own.
    #[doc(alias = "bufferevent_priority_set")]
    pub fn set_priority(&self, priority: usize) -> Result<()> {
        let count = self.handle().priorities();
        if priority >= count {
            return Err(Error::invalid(
                "priority",
                format!("{priority} is not below the {count} of this base"),
            ));
        }
        // SAFETY: alive; the number was checked.
        let code =
            self.with(|raw| unsafe { ffi::bufferevent_priority_set(raw, priority as c_int) })?;
        match code {
            0 if self.reader.set_priority(priority as c_int) => Ok(()),
            _ => Err(Error::invalid(
                "priority",
                "it needs a socket, and cannot be changed while that is active",
            )),
        }
    }

    // --- flush and trigger ------------------------------------------------------------------------

    /// Lets go of what a filter or one of a pair holds back, in one direction or both. Returns
    /// whether there was something. A socket holds nothing back.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "bufferevent_flush")]
    pub fn flush(&self, direction: Direction, mode: FlushMode) -> Result<bool> {
        if self.form == Form::Filter {
            return self.flush_filter(direction, mode);
        }
        // SAFETY: alive.
        let code = self.with(|raw| unsafe {
            ffi::bufferevent_flush(raw, direction.bits() as c_short, mode.to_c())
        })?;
        Ok(code > 0)
    }

    /// Has the loop call the handler for a direction, as if something had been read or sent. The
    /// watermarks hold: nothing happens while the input is too short or the output too long.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "bufferevent_trigger")]
    pub fn trigger(&self, direction: Direction) -> Result<()> {
        self.trigger_with(direction, ffi::BEV_TRIG_DEFER_CALLBACKS as c_int)
    }

    /// As [`trigger`](Self::trigger), whatever the watermarks say.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "BEV_TRIG_IGNORE_WATERMARKS")]
    pub fn trigger_always(&self, direction: Direction) -> Result<()> {
        let options = ffi::BEV_TRIG_DEFER_CALLBACKS | ffi::BEV_TRIG_IGNORE_WATERMARKS;
        self.trigger_with(direction, options as c_int)
    }

    fn trigger_with(&self, direction: Direction, options: c_int) -> Result<()> {
        // SAFETY: alive; deferred, so C calls nobody from here.
        self.with(|raw| unsafe {
            ffi::bufferevent_trigger(raw, direction.bits() as c_short, options as _);
        })
    }

    /// Has the loop tell the handler of an event.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    #[doc(alias = "bufferevent_trigger_event")]
    pub fn trigger_event(&self, event: StreamEvent) -> Result<()> {
        self.open()?;
        self.with_extra(|extra| extra.triggered.push_back(event));
        self.queue_flush();
        Ok(())
    }

    pub(super) fn run_triggered(&self) {
        while let Some(event) = self.extra(|extra| extra.triggered.pop_front()) {
            self.dispatch(Call::Event(event));
        }
    }

    // --- the end ------------------------------------------------------------------------------

    /// Closes the stream when all of its output was sent; over TLS the peer is told that it was
    /// all. Nothing more is read. The handler hears [`Closed`](StreamEvent::Closed) last.
    ///
    /// A peer that does not read keeps the stream open: set a write timeout to bound that. One
    /// whose output cannot be sent hears so as any other.
    pub fn close_when_flushed(&self) {
        if self.is_closed() {
            return;
        }
        let _ = self.disable(Direction::READ);
        self.set(State::FINISHING, true);
        self.queue_flush();
    }

    /// Tells the peer that nothing follows when all of the output was sent, and goes on reading:
    /// the connection is half-closed.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    pub fn shutdown_write(&self) -> Result<()> {
        self.open()?;
        self.set(State::ENDING, true);
        self.queue_flush();
        Ok(())
    }

    /// Whether what was written has left for the system or for the other one of a pair.
    pub(super) fn is_flushed(&self) -> bool {
        self.is_abandoned()
            || self.output().is_empty()
                && self
                    .below()
                    .is_none_or(|below| !below.is(State::ENDING) && below.is_flushed())
    }

    /// What was to happen once the output is sent.
    pub(super) fn finish_if_flushed(&self) {
        let waits = self.is(State::CONNECTING) || self.is_handshaking() || self.has_late_events();
        if self.is_closed() || waits || !self.is_flushed() {
            return;
        }
        if self.is(State::ENDING) || self.is(State::FINISHING) {
            self.set(State::ENDING, false);
            self.end_writing();
        }
        // The notice of TLS over another stream has to be sent too.
        if self.is(State::FINISHING) && !self.is(State::ENDING) && self.is_flushed() {
            self.set(State::FINISHING, false);
            self.dispatch(Call::Event(StreamEvent::Closed));
            self.close();
        }
    }

    fn end_writing(&self) {
        if let Some(tls) = self.tls_session() {
            return self.set(State::ENDING, !tls.notify_end(self));
        }
        let Ok(raw) = self.open() else { return };
        match self.form {
            Form::Pair => self.end_pair(),
            Form::Filter => self.end_filter(),
            Form::Socket => {
                // A connection that has gone has nobody to tell.
                let fd = self.fd.get();
                #[cfg(unix)]
                // SAFETY: plain system call on our descriptor.
                unsafe {
                    libc::shutdown(fd as c_int, libc::SHUT_WR);
                }
                let _ = (fd, raw);
            }
            #[cfg(feature = "openssl")]
            Form::Tls => {}
            Form::Foreign => {
                // SAFETY: alive. Whatever it is, it knows what that means.
                unsafe {
                    let write = ffi::EV_WRITE as c_short;
                    ffi::bufferevent_flush(raw, write, ffi::BEV_FINISHED);
                    let fd = ffi::bufferevent_getfd(raw);
                    #[cfg(unix)]
                    if fd >= 0 {
                        libc::shutdown(fd as c_int, libc::SHUT_WR);
                    }
                }
            }
        }
    }

    // --- the descriptor ---------------------------------------------------------------------------

    /// Gives the stream another socket. What is in the buffers stays.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed; [`Error::Unsupported`] for a stream without a socket
    /// of its own; [`Error::Invalid`] while it connects, and while it has one already, which
    /// [`take_socket`](Self::take_socket) takes; [`Error::Os`] when the descriptor cannot be
    /// watched.
    #[doc(alias = "bufferevent_setfd")]
    pub fn set_socket(&self, socket: impl Into<super::Socket>) -> Result<()> {
        let raw = self.socket_only()?;
        // SAFETY: alive.
        if unsafe { ffi::bufferevent_getfd(raw) } >= 0 {
            return Err(Error::invalid("stream", "it has a socket already"));
        }
        let (fd, peer) = socket.into().into_parts();
        self.peer.replace(peer);
        self.take_over(fd)?;
        if !self.output().is_empty() {
            self.written();
        }
        Ok(())
    }

    /// Takes the socket out of the stream, which stays open without one. What was read but not
    /// taken is in [`input`](Self::input), what was not sent in the output.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed; [`Error::Unsupported`] for a stream without a socket
    /// of its own; [`Error::Invalid`] while it connects, and when it has none.
    #[doc(alias = "bufferevent_getfd")]
    #[cfg(unix)]
    pub fn take_socket(&self) -> Result<OwnedFd> {
        let raw = self.socket_only()?;
        self.send_last();
        // SAFETY: alive. C forgets the descriptor, and does not close it: it is ours alone.
        unsafe {
            let fd = ffi::bufferevent_getfd(raw);
            if fd < 0 {
                return Err(Error::invalid("stream", "it has no socket"));
            }
            self.reader.free();
            self.set_fd(raw, -1);
            self.set(State::C_WRITES, false);
            ffi::bufferevent_disable(raw, ffi::EV_WRITE as c_short);
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }

    fn socket_only(&self) -> Result<*mut ffi::bufferevent> {
        let raw = self.user_open()?;
        if self.form != Form::Socket {
            return Err(Error::Unsupported {
                what: "a socket for this stream",
                why: "it lives on top of another one, or is one of a pair",
            });
        }
        if self.is(State::CONNECTING) {
            return Err(Error::invalid("stream", "its connection is being made"));
        }
        Ok(raw)
    }
}

#[cfg(unix)]
impl BufferEventRef {
    /// The number of the descriptor that the bytes go through, if there is one. It is closed with
    /// the stream.
    #[doc(alias = "bufferevent_getfd")]
    pub fn raw_fd(&self) -> Option<RawFd> {
        let raw = self.raw.get();
        // SAFETY: alive.
        let fd = (!raw.is_null()).then(|| unsafe { ffi::bufferevent_getfd(raw) })?;
        (fd >= 0).then_some(fd)
    }

    /// A second descriptor of the same socket, to look at it or to set its options.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Invalid`] when it has no socket, and
    /// [`Error::Os`] when there is no descriptor left.
    pub fn try_clone_socket(&self) -> Result<OwnedFd> {
        self.open()?;
        let fd = self
            .raw_fd()
            .ok_or_else(|| Error::invalid("stream", "it has no socket"))?;
        // SAFETY: open, as the stream is.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        fd.try_clone_to_owned().map_err(|source| Error::Os {
            op: format!("a second descriptor for the connection to {}", self.peer()),
            source,
        })
    }
}

/// Reads from the input: `WouldBlock` while it is empty, and 0 at the end of the stream.
impl io::Read for &BufferEventRef {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.input().read(bytes);
        if count > 0 || bytes.is_empty() || self.is(State::AT_EOF) {
            return Ok(count);
        }
        self.open()?;
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Adds to the output, which takes everything at once: a program that writes without end looks at
/// the length of [`output`](BufferEventRef::output), or writes in its `on_write`.
impl io::Write for &BufferEventRef {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BufferEventRef::write(self, bytes)?;
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.output().append_vectored(slices)?;
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
