//! Streams that share one limit.

use super::super::BufferEventRef;
use super::limit::bounded;
use super::{RateLimit, TokenBucket};
use crate::base::{Kind, Live};
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ptr;
use std::rc::{Rc, Weak};

/// One limit that several streams share (C: `struct bufferevent_rate_limit_group`): they take
/// turns, and what one does not use is there for the others. A member may have a limit of its own
/// besides.
///
/// Cloning gives another handle on the same group. It lives as long as a handle or a member does,
/// and no longer than its base.
///
/// ```
/// use libevent2::stream::{BufferEvent, Callbacks, RateLimit, RateLimitGroup};
/// # use libevent2::EventBase;
/// # use std::os::unix::net::UnixStream;
/// # let mut base = EventBase::new()?;
/// # let (ours, _theirs) = UnixStream::pair().unwrap();
///
/// // A megabyte a second for all clients together.
/// let clients = RateLimitGroup::new(&base, RateLimit::per_second(1_000_000))?;
/// let stream = BufferEvent::from_socket(&base, ours, Callbacks::new())?;
/// stream.set_rate_limit_group(&clients)?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias = "bufferevent_rate_limit_group")]
#[doc(alias = "bufferevent_rate_limit_group_free")]
pub struct RateLimitGroup(Rc<Group>);

/// What the members of a group have read and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimitTotals {
    /// Bytes read.
    pub read: u64,
    /// Bytes sent.
    pub written: u64,
}

struct Group {
    base: LoopHandle,
    /// Null when the base is gone.
    raw: Cell<*mut ffi::bufferevent_rate_limit_group>,
    key: Cell<usize>,
    bursts: Cell<(isize, isize)>,
    members: RefCell<HashMap<*const BufferEventRef, Weak<BufferEventRef>>>,
}

impl RateLimitGroup {
    /// A group without members.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a limit that cannot be kept, [`Error::Closed`] when the base is gone,
    /// [`Error::Libevent`] when there is no memory.
    #[doc(alias = "bufferevent_rate_limit_group_new")]
    pub fn new(base: &LoopHandle, limit: RateLimit) -> Result<Self> {
        let bucket = limit.to_c()?;
        let raw_base = base.inner().open()?;
        // SAFETY: the base is alive; the limit is copied.
        let raw = unsafe { ffi::bufferevent_rate_limit_group_new(raw_base, bucket.raw.as_ptr()) };
        if raw.is_null() {
            return Err(Error::Libevent {
                op: "bufferevent_rate_limit_group_new",
            });
        }
        let group = Rc::new(Group {
            base: base.clone(),
            raw: Cell::new(raw),
            key: Cell::new(usize::MAX),
            bursts: Cell::new(bucket.bursts()),
            members: RefCell::default(),
        });
        let object: Rc<dyn Live> = group.clone();
        let key = base.inner().add_object(Rc::downgrade(&object));
        group.key.set(key);
        Ok(RateLimitGroup(group))
    }

    fn open(&self) -> Result<*mut ffi::bufferevent_rate_limit_group> {
        match self.0.raw.get() {
            raw if raw.is_null() => Err(Error::Closed {
                what: "rate limit group",
            }),
            raw => Ok(raw),
        }
    }

    fn with<R>(&self, f: impl FnOnce(*mut ffi::bufferevent_rate_limit_group) -> R) -> Result<R> {
        let raw = self.open()?;
        let entered = self.0.base.inner().enter();
        let result = f(raw);
        drop(entered);
        crate::later::run();
        Ok(result)
    }

    /// Gives all of them another limit.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a limit that cannot be kept, [`Error::Closed`] when the base is gone.
    #[doc(alias = "bufferevent_rate_limit_group_set_cfg")]
    pub fn set_limit(&self, limit: RateLimit) -> Result<()> {
        let bucket = limit.to_c()?;
        // SAFETY: alive; the limit is copied.
        self.with(|raw| unsafe {
            ffi::bufferevent_rate_limit_group_set_cfg(raw, bucket.raw.as_ptr());
        })?;
        self.0.bursts.set(bucket.bursts());
        Ok(())
    }

    /// The least that one member may read or send at a time, in bytes; 64 unless it was set, and no
    /// more than what all may in a tick. With very many members it keeps each of them from going
    /// byte by byte.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "bufferevent_rate_limit_group_set_min_share")]
    pub fn set_min_share(&self, bytes: usize) -> Result<()> {
        let bytes = bytes.min(i32::MAX as usize);
        // SAFETY: alive.
        self.with(|raw| unsafe {
            ffi::bufferevent_rate_limit_group_set_min_share(raw, bytes);
        })
    }

    /// What the members have read and sent since the beginning, or since
    /// [`reset_totals`](Self::reset_totals).
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "bufferevent_rate_limit_group_get_totals")]
    pub fn totals(&self) -> Result<RateLimitTotals> {
        let mut totals = RateLimitTotals::default();
        // SAFETY: alive; C writes to both.
        self.with(|raw| unsafe {
            ffi::bufferevent_rate_limit_group_get_totals(
                raw,
                &mut totals.read,
                &mut totals.written,
            );
        })?;
        Ok(totals)
    }

    /// Counts from 0 again.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "bufferevent_rate_limit_group_reset_totals")]
    pub fn reset_totals(&self) -> Result<()> {
        // SAFETY: alive.
        self.with(|raw| unsafe { ffi::bufferevent_rate_limit_group_reset_totals(raw) })
    }

    /// How many bytes may still be read before the next tick. Less than 0 when more was read than
    /// there was.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "bufferevent_rate_limit_group_get_read_limit")]
    pub fn read_limit(&self) -> Result<isize> {
        // SAFETY: alive.
        self.with(|raw| unsafe { ffi::bufferevent_rate_limit_group_get_read_limit(raw) })
    }

    /// How many bytes may still be sent before the next tick.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "bufferevent_rate_limit_group_get_write_limit")]
    pub fn write_limit(&self) -> Result<isize> {
        // SAFETY: alive.
        self.with(|raw| unsafe { ffi::bufferevent_rate_limit_group_get_write_limit(raw) })
    }

    /// Counts `bytes` as read, which came some other way; less than 0 gives back, up to the burst.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "bufferevent_rate_limit_group_decrement_read")]
    pub fn decrement_read(&self, bytes: i64) -> Result<()> {
        let bytes = bounded(self.read_limit()?, bytes, self.0.bursts.get().0);
        // SAFETY: alive; the sum was checked.
        self.with(|raw| unsafe {
            ffi::bufferevent_rate_limit_group_decrement_read(raw, bytes);
        })
    }

    /// Counts `bytes` as sent, which went some other way; less than 0 gives back, up to the burst.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "bufferevent_rate_limit_group_decrement_write")]
    pub fn decrement_write(&self, bytes: i64) -> Result<()> {
        let bytes = bounded(self.write_limit()?, bytes, self.0.bursts.get().1);
        // SAFETY: alive; the sum was checked.
        self.with(|raw| unsafe {
            ffi::bufferevent_rate_limit_group_decrement_write(raw, bytes);
        })
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.members.borrow().len()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both handles are of the same group.
    pub fn same_group(&self, other: &RateLimitGroup) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Makes a stream a member.
    pub(super) fn add(&self, stream: &Rc<BufferEventRef>) -> Result<()> {
        if !self.0.base.same_base(stream.handle()) {
            return Err(Error::invalid(
                "rate limit group",
                "the stream lives on another base",
            ));
        }
        let (raw, group) = (stream.open()?, self.open()?);
        // SAFETY: both are alive, on the same base; at most the stream is disabled.
        let code = unsafe { ffi::bufferevent_add_to_rate_limit_group(raw, group) };
        if code != 0 {
            return Err(Error::Libevent {
                op: "bufferevent_add_to_rate_limit_group",
            });
        }
        let member = (Rc::as_ptr(stream), Rc::downgrade(stream));
        self.0.members.borrow_mut().insert(member.0, member.1);
        stream.with_extra(|extra| extra.group = Some(self.clone()));
        Ok(())
    }

    /// A stream is no longer a member.
    ///
    /// # Safety
    /// `raw` is the bufferevent of the stream, and alive.
    pub(super) unsafe fn remove(&self, stream: &BufferEventRef, raw: *mut ffi::bufferevent) {
        if self
            .0
            .members
            .borrow_mut()
            .remove(&ptr::from_ref(stream))
            .is_some()
        {
            // SAFETY: the caller's promise; a member's group is alive.
            unsafe { ffi::bufferevent_remove_from_rate_limit_group(raw) };
        }
    }
}

impl Live for Group {
    fn kind(&self) -> Kind {
        Kind::RateLimitGroup
    }

    /// The base goes: C allows that to no group with members.
    fn close(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return;
        }
        for (_, member) in self.members.take() {
            let Some(member) = member.upgrade() else {
                continue;
            };
            if let Ok(member) = member.open() {
                // SAFETY: alive, and so is the group.
                unsafe { ffi::bufferevent_remove_from_rate_limit_group(member) };
            }
        }
        // SAFETY: ours, alive, and without members.
        unsafe { ffi::bufferevent_rate_limit_group_free(raw) };
        let object = self
            .base
            .inner()
            .remove_object(self.key.replace(usize::MAX));
        drop(object);
    }

    fn clear(&self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        // Each member has a handle.
        self.close();
    }
}

impl fmt::Debug for RateLimitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitGroup")
            .field("ptr", &self.0.raw.get())
            .field("members", &self.len())
            .finish_non_exhaustive()
    }
}

impl TokenBucket {
    /// The limits that C keeps for a stream.
    pub(super) fn as_ptr(&self) -> *mut ffi::ev_token_bucket_cfg {
        self.raw.as_ptr()
    }
}
