//! What can be done with a stream.

use super::node::{Call, Form, State};
use super::{BufferEventRef, Direction, Input, Output, Peer, StreamEvent};
use crate::error::{Error, Result};
use crate::{ffi, time};
use std::os::raw::{c_int, c_short};
use std::time::Duration;

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
        if direction.contains(Direction::WRITE) {
            self.set(State::STUCK, false);
        }
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
            #[cfg(feature = "openssl")]
            if direction.contains(Direction::READ) {
                self.read_rest();
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
        let reads = direction & self.enabled.get() & Direction::READ;
        if self.form == Form::Pair && !reads.is_empty() {
            // C does not look whether the other one has something that there is room for now.
            self.enable(reads)?;
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
        // What is triggered meanwhile is for the next time.
        let count = self.extra(|extra| Some(extra.triggered.len()));
        for _ in 0..count.unwrap_or(0) {
            let event = self.extra(|extra| extra.triggered.pop_front());
            let Some(event) = event else { break };
            self.dispatch(Call::Event(event));
        }
    }
}
