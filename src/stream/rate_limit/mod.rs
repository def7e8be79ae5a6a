//! How fast a stream, or a group of them, may go.

mod group;
mod limit;

pub use group::{RateLimitGroup, RateLimitTotals};
pub use limit::RateLimit;
pub(super) use limit::TokenBucket;

use super::node::Form;
use super::{BufferEventRef, Direction};
use crate::error::{Error, Result};
use crate::ffi;
use limit::bounded;
use std::ptr;
use std::rc::Rc;

/// With a limit, libevent itself does all reading and writing of a stream. The limit of a filter is
/// that of the stream below. One of a pair has none.
impl BufferEventRef {
    /// Limits the stream, or with None lifts the limit. What it may still read or send of the old
    /// one counts for the new one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a limit that cannot be kept, [`Error::Closed`] when the stream is
    /// closed, [`Error::Unsupported`] for one of a pair, [`Error::Libevent`] when there is no
    /// memory.
    #[doc(alias = "bufferevent_set_rate_limit")]
    pub fn set_rate_limit(&self, limit: impl Into<Option<RateLimit>>) -> Result<()> {
        let stream = self.limited()?;
        let bucket = limit.into().map(RateLimit::to_c).transpose()?;
        stream.leave_to_c();
        let raw_bucket = bucket.as_ref().map_or(ptr::null_mut(), TokenBucket::as_ptr);
        // It is in its place before C has it, and the old one is there until C has the new one:
        // what has to wait for C may close the stream.
        let old = stream.with_extra(|extra| std::mem::replace(&mut extra.rate_limit, bucket));
        // SAFETY: alive; the limit stays until another one, or none, was set.
        let code =
            stream.with(|raw| unsafe { ffi::bufferevent_set_rate_limit(raw, raw_bucket) })?;
        if code != 0 {
            let new = stream.with_extra(|extra| std::mem::replace(&mut extra.rate_limit, old));
            drop(new);
            return Err(Error::Libevent {
                op: "bufferevent_set_rate_limit",
            });
        }
        drop(old);
        Ok(())
    }

    /// The limit that was set.
    #[doc(alias = "bufferevent_get_token_bucket_cfg")]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        let stream = self.limited().ok()?;
        stream.extra(|extra| Some(extra.rate_limit.as_ref()?.limit))
    }

    /// Makes the stream a member of a group, of one at a time, or with None of none.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream or the base is closed, [`Error::Invalid`] when the group
    /// is of another base, [`Error::Unsupported`] for one of a pair, [`Error::Libevent`] when there
    /// is no memory.
    #[doc(alias = "bufferevent_add_to_rate_limit_group")]
    #[doc(alias = "bufferevent_remove_from_rate_limit_group")]
    pub fn set_rate_limit_group<'a>(
        &self,
        group: impl Into<Option<&'a RateLimitGroup>>,
    ) -> Result<()> {
        let stream = self.limited()?;
        let group = group.into();
        stream.leave_to_c();
        if let (Some(group), Some(now)) = (group, stream.rate_limit_group())
            && group.same_group(&now)
        {
            return Ok(());
        }
        let old = stream.extra(|extra| extra.group.take());
        if let Some(old) = &old {
            // SAFETY: alive.
            stream.with(|raw| unsafe { old.remove(&stream, raw) })?;
        }
        if let Some(group) = group {
            group.add(&stream)?;
        }
        Ok(())
    }

    /// The group that the stream is a member of.
    pub fn rate_limit_group(&self) -> Option<RateLimitGroup> {
        self.limited().ok()?.extra(|extra| extra.group.clone())
    }

    /// How many bytes may still be read before the next tick, by the stream's own limit. Less than
    /// 0 when more was read than there was; None without a limit.
    #[doc(alias = "bufferevent_get_read_limit")]
    pub fn read_limit(&self) -> Option<isize> {
        self.left(ffi::bufferevent_get_read_limit)
    }

    /// How many bytes may still be sent before the next tick, by the stream's own limit.
    #[doc(alias = "bufferevent_get_write_limit")]
    pub fn write_limit(&self) -> Option<isize> {
        self.left(ffi::bufferevent_get_write_limit)
    }

    fn left(&self, get: unsafe extern "C" fn(*mut ffi::bufferevent) -> isize) -> Option<isize> {
        let stream = self.limited().ok()?;
        stream.extra(|extra| extra.rate_limit.as_ref().map(drop))?;
        // SAFETY: alive.
        stream.with(|raw| unsafe { get(raw) }).ok()
    }

    /// Counts `bytes` as read, which came some other way; less than 0 gives back, up to the burst.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a stream without a limit of its own, [`Error::Closed`] when it is
    /// closed, [`Error::Unsupported`] for one of a pair.
    #[doc(alias = "bufferevent_decrement_read_limit")]
    pub fn decrement_read_limit(&self, bytes: i64) -> Result<()> {
        self.decrement(bytes, Direction::READ)
    }

    /// Counts `bytes` as sent, which went some other way; less than 0 gives back, up to the burst.
    ///
    /// # Errors
    /// As for [`decrement_read_limit`](Self::decrement_read_limit).
    #[doc(alias = "bufferevent_decrement_write_limit")]
    pub fn decrement_write_limit(&self, bytes: i64) -> Result<()> {
        self.decrement(bytes, Direction::WRITE)
    }

    fn decrement(&self, bytes: i64, direction: Direction) -> Result<()> {
        let stream = self.limited()?;
        let bursts = stream.extra(|extra| extra.rate_limit.as_ref().map(TokenBucket::bursts));
        let Some((read, write)) = bursts else {
            return Err(Error::invalid("stream", "it has no rate limit"));
        };
        // SAFETY: alive, and with a limit; the sums are checked.
        stream.with(|raw| unsafe {
            if direction == Direction::READ {
                let bytes = bounded(ffi::bufferevent_get_read_limit(raw), bytes, read);
                ffi::bufferevent_decrement_read_limit(raw, bytes);
            } else {
                let bytes = bounded(ffi::bufferevent_get_write_limit(raw), bytes, write);
                ffi::bufferevent_decrement_write_limit(raw, bytes);
            }
        })
    }

    // --- sizes ------------------------------------------------------------------------------------

    /// The most that is read at once, in bytes; 0 stands for libevent's default of 16384, of which
    /// libevent 2.1 never uses more than 4096.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Unsupported`] for one of a pair.
    #[doc(alias = "bufferevent_set_max_single_read")]
    pub fn set_max_single_read(&self, bytes: usize) -> Result<()> {
        let stream = self.limited()?;
        stream.leave_to_c();
        let bytes = bytes.min(i32::MAX as usize);
        // SAFETY: alive.
        stream.with(|raw| unsafe { ffi::bufferevent_set_max_single_read(raw, bytes) })?;
        Ok(())
    }

    /// The most that is sent at once, in bytes; 0 stands for libevent's default of 16384.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Unsupported`] for one of a pair.
    #[doc(alias = "bufferevent_set_max_single_write")]
    pub fn set_max_single_write(&self, bytes: usize) -> Result<()> {
        let stream = self.limited()?;
        stream.leave_to_c();
        let bytes = bytes.min(i32::MAX as usize);
        // SAFETY: alive.
        stream.with(|raw| unsafe { ffi::bufferevent_set_max_single_write(raw, bytes) })?;
        Ok(())
    }

    /// The most that is read at once where libevent itself reads; 0 when it is closed.
    #[doc(alias = "bufferevent_get_max_single_read")]
    pub fn max_single_read(&self) -> usize {
        self.size(ffi::bufferevent_get_max_single_read)
    }

    /// The most that is sent at once; 0 when it is closed.
    #[doc(alias = "bufferevent_get_max_single_write")]
    pub fn max_single_write(&self) -> usize {
        self.size(ffi::bufferevent_get_max_single_write)
    }

    /// The most that would be read now, all limits considered; 0 when it is closed.
    #[doc(alias = "bufferevent_get_max_to_read")]
    pub fn max_to_read(&self) -> usize {
        self.size(ffi::bufferevent_get_max_to_read)
    }

    /// The most that would be sent now, all limits considered; 0 when it is closed.
    #[doc(alias = "bufferevent_get_max_to_write")]
    pub fn max_to_write(&self) -> usize {
        self.size(ffi::bufferevent_get_max_to_write)
    }

    fn size(&self, get: unsafe extern "C" fn(*mut ffi::bufferevent) -> isize) -> usize {
        let Ok(stream) = self.limited() else { return 0 };
        // SAFETY: alive.
        let size = stream.with(|raw| unsafe { get(raw) });
        usize::try_from(size.unwrap_or(0)).unwrap_or(0)
    }

    // --- which stream, and its end ----------------------------------------------------------------

    /// The stream that C limits: a filter only passes on what the one below reads and sends.
    fn limited(&self) -> Result<Rc<BufferEventRef>> {
        self.open()?;
        match (self.form, self.below()) {
            (Form::Filter, Some(below)) => below.limited(),
            (Form::Filter | Form::Pair, _) => Err(Error::Unsupported {
                what: "a rate limit for this stream",
                why: "what goes through a pair goes nowhere, at no cost",
            }),
            _ => Ok(self.me()),
        }
    }

    /// Ends what limits the stream, so that the limits can go.
    ///
    /// # Safety
    /// `raw` is the bufferevent of this node, alive, and about to be freed.
    pub(super) unsafe fn leave_limits(&self, raw: *mut ffi::bufferevent) {
        let limits = self.extra(|extra| Some((extra.rate_limit.take(), extra.group.take())));
        let Some((rate_limit, group)) = limits else {
            return;
        };
        if rate_limit.is_none() && group.is_none() {
            return;
        }
        // SAFETY: the caller's promise. A stream that is disabled does not begin to read or write
        // when nothing limits it any more.
        unsafe {
            ffi::bufferevent_disable(raw, Direction::BOTH.bits() as _);
            if let Some(group) = &group {
                group.remove(self, raw);
            }
            if rate_limit.is_some() {
                ffi::bufferevent_set_rate_limit(raw, ptr::null_mut());
            }
        }
        drop((rate_limit, group));
    }
}
