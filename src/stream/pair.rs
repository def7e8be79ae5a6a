//! Two streams that are each other's peer.

use super::node::{Form, State};
use super::{BufferEvent, BufferEventRef, Direction, Handler};
use crate::callback::retain;
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::{LoopHandle, ffi};
use std::os::raw::{c_int, c_short, c_void};
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

impl BufferEvent {
    /// Two streams without a socket: what one writes, the other reads. Both are enabled in both
    /// directions.
    ///
    /// What is written moves to the input of the other one while that reads and is below its high
    /// watermark. Closing or dropping one moves all that it has written, whatever the watermark
    /// and even while the other one does not read; then the other one hears
    /// [`Eof`](super::StreamEvent::Eof). So does
    /// [`shutdown_write`](BufferEventRef::shutdown_write), which waits until the other one has
    /// taken all. What is written when the other one is gone goes nowhere.
    ///
    /// ```
    /// use libevent2::stream::{BufferEvent, Callbacks};
    /// # use libevent2::EventBase;
    /// # let mut base = EventBase::new()?;
    ///
    /// let echo = Callbacks::new().on_read(|stream| stream.output().append_from(&stream.input()));
    /// let print = Callbacks::new().on_read(|stream| println!("{:?}", stream.input().to_vec()));
    /// let (near, far) = BufferEvent::pair(&base, print, echo)?;
    /// near.write(b"hello")?;
    /// # base.run_nonblocking()?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone, [`Error::Libevent`] when there is no memory.
    #[doc(alias = "bufferevent_pair_new")]
    pub fn pair(
        base: &LoopHandle,
        first: impl Handler,
        second: impl Handler,
    ) -> Result<(BufferEvent, BufferEvent)> {
        let raw_base = base.inner().open()?;
        let options = ffi::BEV_OPT_CLOSE_ON_FREE | ffi::BEV_OPT_DEFER_CALLBACKS;
        let mut ends = [ptr::null_mut(); 2];
        // SAFETY: the base is alive.
        let code =
            unsafe { ffi::bufferevent_pair_new(raw_base, options as c_int, ends.as_mut_ptr()) };
        if code != 0 {
            return Err(Error::Libevent {
                op: "bufferevent_pair_new",
            });
        }
        // SAFETY: just made, on this base, and nobody else's. The second one is freed by hand when
        // the first has nobody to own it.
        let (first, second) = unsafe {
            let form = (Form::Pair, State::empty());
            let first = BufferEventRef::adopt(base, ends[0], form.0, form.1, Box::new(first))
                .inspect_err(|_| ffi::bufferevent_free(ends[1]))?;
            let first = BufferEvent::new(first);
            let second = BufferEventRef::adopt(base, ends[1], form.0, form.1, Box::new(second))?;
            (first, BufferEvent::new(second))
        };
        for (one, other) in [(&first, &second), (&second, &first)] {
            one.with_extra(|extra| extra.partner = Rc::downgrade(other.node()));
            one.enable(Direction::READ)?;
        }
        Ok((first, second))
    }
}

impl BufferEventRef {
    /// Calls `f` with the other one of a pair. None when this one is no longer open, is not one of
    /// a pair, or when the other one is closed or has another stream over it.
    #[doc(alias = "bufferevent_pair_get_partner")]
    pub fn with_partner<R>(&self, f: impl FnOnce(&BufferEventRef) -> R) -> Option<R> {
        self.open().ok()?;
        let partner = self.extra(|extra| extra.partner.upgrade())?;
        partner.user_open().ok()?;
        Some(f(&partner))
    }

    /// Whether there is nobody left whom what is written could reach.
    pub(super) fn is_abandoned(&self) -> bool {
        self.form == Form::Pair
            && self
                .extra(|extra| extra.partner.upgrade())
                .is_none_or(|partner| partner.is_closed())
    }

    /// The other one hears that nothing follows, once, after all that was written.
    pub(super) fn end_pair(&self) {
        if let Ok(raw) = self.open() {
            // SAFETY: alive.
            unsafe { self.tell_partner(raw) };
        }
    }

    /// As [`end_pair`](Self::end_pair), when the C object goes.
    ///
    /// # Safety
    /// `raw` is the bufferevent of this node, one of a pair, and alive.
    pub(super) unsafe fn leave_partner(&self, raw: *mut ffi::bufferevent) {
        let arg = ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: the caller's promise. It does no harm if it was not added.
        unsafe {
            ffi::evbuffer_remove_cb(ffi::bufferevent_get_output(raw), Some(output_changed), arg);
            self.tell_partner(raw);
        }
    }

    /// # Safety
    /// As for [`leave_partner`](Self::leave_partner).
    unsafe fn tell_partner(&self, raw: *mut ffi::bufferevent) {
        let told = self.with_extra(|extra| std::mem::replace(&mut extra.partner_told, true));
        let last = match told {
            true => ffi::BEV_FLUSH,
            false => ffi::BEV_FINISHED,
        };
        // SAFETY: the caller's promise. The other one's callbacks are deferred. The first call fills
        // its input up to the high watermark only, and stops there; the second puts the rest on top.
        unsafe {
            let way = ffi::EV_WRITE as c_short;
            ffi::bufferevent_flush(raw, way, ffi::BEV_FLUSH);
            ffi::bufferevent_flush(raw, way, last);
        }
    }

    // --- the write timeout ------------------------------------------------------------------------

    /// Sets the write timeout of one of a pair. Returns the one that C is to have, which for others
    /// is the same.
    pub(super) fn limit_pair(&self, time: Option<Duration>) -> Result<Option<Duration>> {
        if self.form != Form::Pair {
            return Ok(time);
        }
        let known = self.extra(|extra| {
            extra.write_limit.as_mut()?.time = time;
            Some(())
        });
        if known.is_none() && time.is_some() {
            let (raw, base) = (self.open()?, self.handle().inner().open()?);
            let arg = ptr::from_ref(self).cast_mut().cast::<c_void>();
            let overdue = InternalEvent::unset();
            // SAFETY: the base is alive, and the event goes with the extras, in `close` at the
            // latest. The buffer is alive; `leave_partner` takes the callback out of it before the
            // node goes.
            let entry = unsafe {
                overdue.set(base, on_overdue, arg)?;
                ffi::evbuffer_add_cb(ffi::bufferevent_get_output(raw), Some(output_changed), arg)
            };
            if entry.is_null() {
                return Err(Error::Libevent {
                    op: "evbuffer_add_cb",
                });
            }
            self.with_extra(|extra| extra.write_limit = Some(WriteLimit { time, overdue }));
        }
        self.time_pair(Direction::WRITE);
        Ok(None)
    }

    /// The write timeout counts from now, if there is something that it is for.
    pub(super) fn time_pair(&self, direction: Direction) {
        if self.form != Form::Pair || !direction.contains(Direction::WRITE) {
            return;
        }
        let waits = self.enabled.get().contains(Direction::WRITE) && !self.output().is_empty();
        self.extra(|extra| {
            let limit = extra.write_limit.as_ref()?;
            match limit.time.filter(|_| waits) {
                Some(time) => limit.overdue.trigger_after(time),
                None => limit.overdue.stop(),
            }
            Some(())
        });
    }
}

/// The write timeout of one of a pair. C's own begins only when it is set or writing is enabled,
/// not when something is written, and does not end when that was taken.
pub(super) struct WriteLimit {
    time: Option<Duration>,
    overdue: InternalEvent,
}

/// Something was added to the output of one of a pair, or taken from it.
unsafe extern "C" fn output_changed(
    _: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: `arg` is the stream, which somebody has a count on until `leave_partner`; C's `info`
    // is alive.
    let (stream, info) = unsafe { (retain::<BufferEventRef>(arg), &*info) };
    if info.n_deleted > 0 || info.orig_size == 0 {
        stream.time_pair(Direction::WRITE);
    }
}

unsafe extern "C" fn on_overdue(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is the stream, alive while the event is.
    let stream = unsafe { retain::<BufferEventRef>(arg) };
    let Ok(raw) = stream.open() else { return };
    stream.enabled.set(stream.enabled.get() - Direction::WRITE);
    let what = ffi::BEV_EVENT_TIMEOUT as c_short | ffi::BEV_EVENT_WRITING as c_short;
    // SAFETY: alive; deferred, so C calls nobody from here.
    unsafe {
        ffi::bufferevent_disable(raw, ffi::EV_WRITE as c_short);
        ffi::bufferevent_trigger_event(raw, what, ffi::BEV_TRIG_DEFER_CALLBACKS as _);
    }
}
