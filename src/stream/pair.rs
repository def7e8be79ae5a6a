//! Two streams that are each other's peer.

use super::node::{Form, State};
use super::{BufferEvent, BufferEventRef, Direction, Handler};
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi};
use std::os::raw::{c_int, c_short};
use std::ptr;
use std::rc::Rc;

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
            unsafe { self.leave_partner(raw) };
        }
    }

    /// As [`end_pair`](Self::end_pair).
    ///
    /// # Safety
    /// `raw` is the bufferevent of this node, one of a pair, and alive.
    pub(super) unsafe fn leave_partner(&self, raw: *mut ffi::bufferevent) {
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
}
