//! Moving bytes through a filter. This runs from the base's flush queue, with no frame of C's below
//! it that is in the middle of anything, and hands the user buffers that are nobody else's.

use super::super::node::{Form, State};
use super::super::{BufferEventRef, Direction, FlushMode};
use super::shell::{Flags, Shell};
use super::{Filter, FilterIo};
use crate::buffer::Buffer;
use crate::callback::Outcome;
use crate::error::Result;
use crate::ffi;
use std::os::raw::c_short;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// How often a filter is called in a row before others have their turn.
const ROUNDS: usize = 64;

type Buf = *mut ffi::evbuffer;

/// # Safety
/// Both are alive.
unsafe fn move_all(from: Buf, to: Buf) {
    // SAFETY: the caller's promise. Neither end of these is ever frozen: a filter's are not, and of
    // a socket's C freezes the other ends.
    unsafe { ffi::evbuffer_add_buffer(to, from) };
}

/// # Safety
/// Both are alive.
unsafe fn put_back(from: Buf, to: Buf) {
    // SAFETY: as above.
    unsafe { ffi::evbuffer_prepend_buffer(to, from) };
}

/// What one call has come to.
struct Step {
    /// Something was taken or added.
    moved: bool,
    added: bool,
    failed: bool,
}

impl BufferEventRef {
    pub(super) fn shell(&self) -> Option<Rc<Shell>> {
        self.extra(|extra| extra.filter.as_ref().map(|filter| filter.0.clone()))
    }

    /// Has the loop look at a filter's directions, now that something has changed for them.
    pub(in super::super) fn look_again(&self, direction: Direction, mode: FlushMode) {
        if let Some(shell) = self.shell() {
            shell.want(direction, mode);
            self.queue_flush();
        }
    }

    /// Has the filter let go of what it holds back, in the loop. Returns whether there is
    /// something that has not gone through it yet.
    pub(in super::super) fn flush_filter(
        &self,
        direction: Direction,
        mode: FlushMode,
    ) -> Result<bool> {
        self.open()?;
        self.look_again(direction, mode);
        let reads = direction.contains(Direction::READ)
            && self.below().is_some_and(|below| !below.input().is_empty());
        let writes = direction.contains(Direction::WRITE) && !self.output().is_empty();
        Ok(reads || writes)
    }

    /// The C object of a filter goes.
    ///
    /// # Safety
    /// What is below is alive.
    pub(in super::super) unsafe fn leave_filter(&self) {
        if self.form == Form::Filter {
            self.extra(|extra| {
                // SAFETY: the caller's promise.
                extra
                    .filter
                    .as_ref()
                    .map(|filter| unsafe { filter.unwatch() })
            });
        }
    }

    /// What the flush queue does for a filter.
    pub(in super::super) fn pump(&self) {
        let Some(shell) = self.shell() else { return };
        if !shell.is(Flags::BEGUN) {
            shell.set(Flags::BEGUN, true);
            self.call(&shell, None, FlushMode::Normal, |filter, io| {
                filter.begin(io)
            });
        }
        if let Some(mode) = shell.read.take() {
            self.pump_input(&shell, mode);
            if mode != FlushMode::Normal
                && let Some(below) = self.below()
            {
                let _ = below.flush(Direction::READ, mode);
            }
            // A protocol may have waited for that.
            shell.want(Direction::WRITE, FlushMode::Normal);
        }
        if shell.is(Flags::AT_END) && !shell.is(Flags::END_TOLD) && !shell.is(Flags::STARVED) {
            self.end_input(&shell);
        }
        if let Some(mode) = shell.write.take() {
            self.pump_output(&shell, mode);
            if mode != FlushMode::Normal
                && let Some(below) = self.below()
            {
                let _ = below.flush(Direction::WRITE, mode);
            }
        }
        self.tell_sent(&shell);
    }

    /// Calls the filter, and does what it has asked for. Returns whether it could be called and has
    /// not failed.
    pub(super) fn call(
        &self,
        shell: &Shell,
        limit: Option<usize>,
        mode: FlushMode,
        f: impl FnOnce(&mut dyn Filter, &mut FilterIo<'_>) -> Outcome,
    ) -> bool {
        if shell.is(Flags::FAILED) || self.is_closed() {
            return false;
        }
        let Some(mut filter) = shell.filter.take() else {
            return false;
        };
        let mut io = FilterIo::new(self, limit, mode);
        let result = catch_unwind(AssertUnwindSafe(|| f(&mut *filter, &mut io)));
        let FilterIo {
            reply,
            events,
            handshaking,
            ..
        } = io;
        let inner = self.handle().inner();
        if self.is_closed() {
            inner.guard(|| drop((filter, reply, events)));
            if let Err(payload) = result {
                inner.panicked(payload);
            }
            return false;
        }
        shell.filter.set(Some(filter));
        if let Some(reply) = reply {
            self.send_below(&reply);
        }
        for event in events {
            self.tell(shell, event);
        }
        if let Some(handshaking) = handshaking {
            self.set_handshaking(shell, handshaking);
        }
        match result {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => self.filter_failed(shell, error),
            Err(payload) => {
                inner.panicked(payload);
                self.filter_failed(shell, "it panicked".into());
            }
        }
        false
    }

    pub(super) fn send_below(&self, bytes: &Buffer) {
        if let Some(below) = self.below()
            && let Ok(raw) = below.open()
        {
            // SAFETY: alive; its callbacks are the filter's.
            unsafe { move_all(bytes.as_ptr(), ffi::bufferevent_get_output(raw)) };
        }
    }

    /// One call with what is in `from`, whose results go to `to`.
    ///
    /// # Safety
    /// Both are buffers of this stream or the one below, which are alive until the loop goes on.
    unsafe fn filter_step(
        &self,
        shell: &Shell,
        (from, to): (Buf, Buf),
        limit: Option<usize>,
        mode: FlushMode,
        f: impl FnOnce(&mut dyn Filter, &mut Buffer, &mut Buffer, &mut FilterIo<'_>) -> Outcome,
    ) -> Step {
        let (mut source, mut out) = (Buffer::new(), Buffer::new());
        // SAFETY: the caller's promise.
        unsafe { move_all(from, source.as_ptr()) };
        let before = source.len();
        let fine = self.call(shell, limit, mode, |filter, io| {
            f(filter, &mut source, &mut out, io)
        });
        let step = Step {
            moved: source.len() < before || !out.is_empty(),
            added: !out.is_empty(),
            failed: !fine,
        };
        if !self.is_closed() {
            shell.set(Flags::PUTTING_BACK, true);
            // SAFETY: as above; a stream that is not closed was not freed.
            unsafe {
                put_back(source.as_ptr(), from);
                move_all(out.as_ptr(), to);
            }
            shell.set(Flags::PUTTING_BACK, false);
        }
        step
    }

    pub(super) fn pump_input(&self, shell: &Shell, mode: FlushMode) {
        let Some(below) = self.below() else { return };
        let mut added = false;
        for round in 0.. {
            let (Ok(raw), Ok(raw_below)) = (self.open(), below.open()) else {
                return;
            };
            // SAFETY: both are alive.
            let (from, to, source) = unsafe {
                let from = ffi::bufferevent_get_input(raw_below);
                let to = ffi::bufferevent_get_input(raw);
                (from, to, ffi::evbuffer_get_length(from))
            };
            let source = source > 0 || shell.is(Flags::HOLDS);
            let reads = self.reads_in_c();
            let normal = mode == FlushMode::Normal;
            let (high, length) = (self.read_high(), self.input().len());
            let room = reads && (high == 0 || length < high);
            shell.set(Flags::STARVED, source && !room);
            if (normal && !room) || (!source && (normal || round > 0)) {
                break;
            }
            if round >= ROUNDS {
                self.look_again(Direction::READ, mode);
                break;
            }
            let limit = (normal && high > 0).then(|| high - length);
            // SAFETY: as above; who closes one of them leaves the memory to the loop.
            let step = unsafe {
                self.filter_step(shell, (from, to), limit, mode, |filter, source, out, io| {
                    let result = filter.input(source, out, io);
                    shell.set(Flags::HOLDS, io.holds);
                    result
                })
            };
            added |= step.added;
            if !step.moved || step.failed {
                break;
            }
        }
        if added {
            self.trigger_in_c(ffi::EV_READ as c_short, 0);
        }
    }

    fn pump_output(&self, shell: &Shell, mode: FlushMode) {
        let Some(below) = self.below() else { return };
        let told = match self.is_ending() {
            true => FlushMode::Finished,
            false => mode,
        };
        for round in 0.. {
            let (Ok(raw), Ok(raw_below)) = (self.open(), below.open()) else {
                return;
            };
            let (mut low, mut high) = (0, 0);
            let write = ffi::EV_WRITE as c_short;
            // SAFETY: both are alive.
            let (from, to, writes) = unsafe {
                ffi::bufferevent_getwatermark(raw, write, &mut low, &mut high);
                let writes = ffi::bufferevent_get_enabled(raw) & write != 0;
                let from = ffi::bufferevent_get_output(raw);
                (from, ffi::bufferevent_get_output(raw_below), writes)
            };
            if shell.is(Flags::FAILED) {
                // It goes nowhere any more.
                // SAFETY: alive.
                unsafe { ffi::evbuffer_drain(from, usize::MAX) };
                return;
            }
            let normal = mode == FlushMode::Normal;
            let (source, waiting) = (self.output().len(), below.output().len());
            let full = high > 0 && waiting >= high;
            shell.set(Flags::BLOCKED, source > 0 && full);
            if (normal && (full || !writes)) || (source == 0 && (normal || round > 0)) {
                break;
            }
            if round >= ROUNDS {
                self.look_again(Direction::WRITE, mode);
                break;
            }
            let limit = (normal && high > 0).then(|| high - waiting);
            // SAFETY: as in `pump_input`.
            let step = unsafe {
                self.filter_step(shell, (from, to), limit, told, |filter, source, out, io| {
                    filter.output(source, out, io)
                })
            };
            if step.moved {
                shell.set(Flags::UNSENT, true);
            }
            if !step.moved || step.failed {
                break;
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.state
            .get()
            .intersects(State::FINISHING | State::ENDING)
    }

    /// The handler hears that its output was sent when it has left what is below as well.
    fn tell_sent(&self, shell: &Shell) {
        if shell.is(Flags::UNSENT) && self.unsent() <= self.write_low() {
            shell.set(Flags::UNSENT, false);
            self.trigger_in_c(
                ffi::EV_WRITE as c_short,
                ffi::BEV_TRIG_IGNORE_WATERMARKS as _,
            );
        }
    }

    /// What is still to be sent, here and below.
    fn unsent(&self) -> usize {
        let below = self.below().map_or(0, |below| below.unsent());
        self.output().len().saturating_add(below)
    }

    fn trigger_in_c(&self, what: c_short, options: u32) {
        let options = options | ffi::BEV_TRIG_DEFER_CALLBACKS as u32;
        if let Ok(raw) = self.open() {
            // SAFETY: alive; deferred, so nothing is called from here.
            unsafe { ffi::bufferevent_trigger(raw, what, options as _) };
        }
    }

    /// Something of what is below was sent.
    pub(in super::super) fn sent_below(&self) {
        if let Some(below) = self.below()
            && below.is(State::ENDING)
        {
            below.queue_flush();
        }
        self.after_below();
    }

    /// What is below has done what it could: whoever waits for that goes on.
    pub(in super::super) fn after_below(&self) {
        let waits = match self.shell() {
            Some(shell) if shell.is(Flags::BLOCKED) => {
                shell.want(Direction::WRITE, FlushMode::Normal);
                true
            }
            Some(shell) => shell.is(Flags::UNSENT),
            None => false,
        };
        if waits || self.is_ending() {
            self.queue_flush();
        } else if let Some(above) = self.above() {
            // Those were its last bytes, perhaps, for which the one above waits.
            above.after_below();
        }
    }
}
