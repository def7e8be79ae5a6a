//! What happens to a filter: what is told from below, what the filter itself has to say, and the end.

use super::super::node::{Call, Form, State};
use super::super::{BufferEventRef, Direction, FlushMode, StreamError, StreamEvent};
use super::shell::{Flags, Shell};
use crate::buffer::Buffer;
use crate::error::BoxError;
use crate::ffi;
use std::os::raw::c_short;
use std::rc::Rc;

/// The bit of an event that stands for what a filter has to say.
const LATE: c_short = 0x4000;

impl BufferEventRef {
    /// What has happened below, or to a stream with nothing below.
    pub(in super::super) fn event_from_below(&self, event: StreamEvent) {
        let Some(shell) = self.shell() else {
            return self.dispatch(Call::Event(event));
        };
        match event {
            StreamEvent::Eof if shell.is(Flags::END_TOLD) => return,
            StreamEvent::Eof => {
                // After all that was received.
                self.set(State::AT_EOF, false);
                if self.reads_in_c() {
                    self.enabled.set(self.enabled.get() | Direction::READ);
                }
                shell.set(Flags::AT_END, true);
                return self.look_again(Direction::READ, FlushMode::Normal);
            }
            StreamEvent::Connected => {
                if let Some(below) = self.below() {
                    below.set(State::CONNECTING, false);
                    self.peer.replace(below.peer());
                }
                self.connected();
            }
            StreamEvent::TimedOut(direction) => {
                self.set(State::CONNECTING, false);
                self.enabled.set(self.enabled.get() - direction);
            }
            _ => self.set(State::CONNECTING, false),
        }
        let broken = matches!(event, StreamEvent::Failed(_));
        let mut heard = None;
        self.call(&shell, None, FlushMode::Normal, |filter, io| {
            heard = filter.event(event, io);
            Ok(())
        });
        match heard {
            Some(StreamEvent::Failed(error)) if !broken => {
                self.filter_failed(&shell, error.into());
            }
            Some(event) => {
                if let StreamEvent::Failed(_) = event {
                    shell.set(Flags::HANDSHAKING, false);
                }
                self.note_stuck(&event);
                self.dispatch(Call::Event(event));
            }
            None => {}
        }
    }

    /// What is below does not send any more: who waits for that alone can close.
    pub(in super::super) fn note_stuck(&self, event: &StreamEvent) {
        match event {
            StreamEvent::Failed(_) => self.set(State::STUCK, true),
            StreamEvent::TimedOut(direction) if direction.contains(Direction::WRITE) => {
                self.set(State::STUCK, true);
            }
            _ => {}
        }
    }

    /// The stream that C's event is about: filters pass on what is not their own. From there it
    /// goes up, filter by filter.
    pub(in super::super) fn origin(&self) -> Rc<BufferEventRef> {
        match self.below() {
            Some(below) if self.form == Form::Filter && below.has_events() => below.origin(),
            _ => self.me(),
        }
    }

    /// Whether what happens to it is more than what C tells.
    fn has_events(&self) -> bool {
        self.form == Form::Filter || self.tls_session().is_some()
    }

    /// Whether the filter has a handshake under way, which goes on whatever the handler does.
    pub(in super::super) fn is_handshaking(&self) -> bool {
        self.shell()
            .is_some_and(|shell| shell.is(Flags::HANDSHAKING))
    }

    /// Whether the handler has not heard yet of something that came before the end.
    pub(in super::super) fn has_late_events(&self) -> bool {
        self.shell()
            .is_some_and(|shell| !shell.late.borrow().is_empty())
    }

    pub(super) fn set_handshaking(&self, shell: &Shell, handshaking: bool) {
        shell.set(Flags::HANDSHAKING, handshaking);
        if self.is(State::CONNECTING) || shell.is(Flags::FAILED) {
            return;
        }
        let reads = handshaking || self.enabled.get().contains(Direction::READ);
        if reads != self.reads_in_c()
            && let Ok(raw) = self.open()
        {
            let read = ffi::EV_READ as c_short;
            // SAFETY: alive; a filter's callbacks are deferred, so nobody is called from here.
            unsafe {
                match reads {
                    true => ffi::bufferevent_enable(raw, read),
                    false => ffi::bufferevent_disable(raw, read),
                }
            };
        }
        // What waited for the end of it.
        self.look_again(Direction::BOTH, FlushMode::Normal);
    }

    pub(super) fn reads_in_c(&self) -> bool {
        let Ok(raw) = self.open() else { return false };
        // SAFETY: alive.
        unsafe { ffi::bufferevent_get_enabled(raw) & ffi::EV_READ as c_short != 0 }
    }

    /// Nothing more comes from below, and there was room for what has come.
    pub(super) fn end_input(&self, shell: &Shell) {
        shell.set(Flags::END_TOLD, true);
        self.pump_input(shell, FlushMode::Finished);
        let mut heard = None;
        self.call(shell, None, FlushMode::Finished, |filter, io| {
            heard = filter.event(StreamEvent::Eof, io);
            Ok(())
        });
        match heard {
            Some(StreamEvent::Failed(error)) => self.filter_failed(shell, error.into()),
            Some(event) => self.tell(shell, event),
            None => {}
        }
    }

    pub(super) fn filter_failed(&self, shell: &Shell, source: BoxError) {
        shell.set(Flags::FAILED, true);
        shell.set(Flags::HANDSHAKING, false);
        self.enabled.set(Direction::empty());
        if let Ok(raw) = self.open() {
            // SAFETY: alive; disabling a filter calls nobody.
            unsafe { ffi::bufferevent_disable(raw, Direction::BOTH.bits() as c_short) };
        }
        let error = match source.downcast::<StreamError>() {
            Ok(error) => *error,
            Err(source) => {
                let peer = self.peer();
                StreamError::Filter { peer, source }
            }
        };
        self.tell(shell, StreamEvent::Failed(error));
        // What was to be sent goes nowhere any more, and a stream that waits for it can close.
        self.look_again(Direction::WRITE, FlushMode::Normal);
    }

    pub(super) fn tell(&self, shell: &Shell, event: StreamEvent) {
        match event {
            StreamEvent::Connected => {
                self.with_extra(|extra| extra.triggered.push_back(event));
                self.queue_flush();
            }
            // For whoever is above, what was received is what is in the input.
            event if self.is(State::BELOW) => {
                self.with_extra(|extra| extra.triggered.push_back(event));
                self.queue_flush();
            }
            event => self.tell_late(shell, event),
        }
    }

    /// The handler hears of it after what came before it: C calls for reading first.
    fn tell_late(&self, shell: &Shell, event: StreamEvent) {
        shell.late.borrow_mut().push_back(event);
        if let Ok(raw) = self.open() {
            let options = ffi::BEV_TRIG_DEFER_CALLBACKS as _;
            // SAFETY: alive; deferred, so nothing is called from here.
            unsafe { ffi::bufferevent_trigger_event(raw, LATE, options) };
        }
    }

    /// Tells what waits for C's event callback, and returns what C has to say besides.
    pub(in super::super) fn late_events(&self, what: c_short) -> c_short {
        if self.form != Form::Filter || what & LATE == 0 {
            return what;
        }
        let Some(shell) = self.shell() else { return 0 };
        loop {
            let event = shell.late.borrow_mut().pop_front();
            let Some(event) = event else { break };
            if let StreamEvent::Eof = event {
                self.set(State::AT_EOF, true);
                self.enabled.set(self.enabled.get() - Direction::READ);
            }
            self.dispatch(Call::Event(event));
        }
        what & !LATE
    }

    /// The last bytes, and the end of what is below. Once.
    pub(in super::super) fn end_filter(&self) {
        let (Some(shell), Some(below)) = (self.shell(), self.below()) else {
            return;
        };
        if shell.is(Flags::FINISHED) {
            return;
        }
        shell.set(Flags::FINISHED, true);
        let mut last = Buffer::new();
        let fine = self.call(&shell, None, FlushMode::Finished, |filter, _| {
            filter.finish(&mut last)
        });
        if !self.is_closed() {
            if fine {
                self.send_below(&last);
            }
            let _ = below.shutdown_write();
            if self.is(State::TELLS_END) {
                shell.set(Flags::UNSENT, true);
            }
            // After that, in the same queue.
            self.queue_flush();
        }
    }
}
