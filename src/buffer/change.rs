//! Being told what changes in a buffer.

use super::Buffer;
use crate::error::{Error, Result};
use crate::sync::lock;
use crate::{ffi, later};
use std::collections::VecDeque;
use std::os::raw::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What one call did to a buffer.
#[doc(alias = "evbuffer_cb_info")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change {
    /// The number of bytes before.
    pub before: usize,
    /// The number of bytes that were added.
    pub added: usize,
    /// The number of bytes that were taken or dropped.
    pub deleted: usize,
}

/// One callback of one buffer, which [`Buffer::on_change`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangeId(u64);

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

type Handler = Box<dyn FnMut(Change) + Send>;

/// What C's data pointer points at.
#[derive(Default)]
struct Node(Mutex<State>);

#[derive(Default)]
struct State {
    /// Not there while it runs, or once it was removed.
    handler: Option<Handler>,
    removed: bool,
    waiting: VecDeque<Change>,
}

/// A callback as its buffer lists it.
pub(super) struct Entry {
    id: ChangeId,
    raw: *mut ffi::evbuffer_cb_entry,
    node: Arc<Node>,
}

/// Called by C in the middle of what it does to the buffer.
unsafe extern "C" fn changed(
    _buffer: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    data: *mut c_void,
) {
    unsafe fn run(data: *mut c_void) {
        // SAFETY: the count that was taken below, given back once.
        let node = unsafe { Arc::from_raw(data.cast_const().cast::<Node>()) };
        node.deliver();
    }
    let node = data.cast_const().cast::<Node>();
    // SAFETY: `info` is C's for the call. The buffer has a count on the node as long as it lists
    // the callback, and C calls no longer.
    unsafe {
        let info = &*info;
        lock(&(*node).0).waiting.push_back(Change {
            before: info.orig_size,
            added: info.n_added,
            deleted: info.n_deleted,
        });
        Arc::increment_strong_count(node);
        later::push(data, run);
    }
}

impl Node {
    /// Hands the waiting changes to the handler. While it runs, here or on another thread, they
    /// are left to who runs it.
    fn deliver(&self) {
        loop {
            let mut state = lock(&self.0);
            let Some(change) = state.waiting.pop_front() else {
                return;
            };
            let Some(handler) = state.handler.take() else {
                state.waiting.push_front(change);
                return;
            };
            drop(state);
            let mut running = Running {
                node: self,
                handler: Some(handler),
            };
            if let Some(handler) = &mut running.handler {
                handler(change);
            }
        }
    }

    fn remove(&self) {
        let mut state = lock(&self.0);
        state.removed = true;
        state.waiting.clear();
        let handler = state.handler.take();
        // Its captures may do anything when they are dropped.
        drop(state);
        drop(handler);
    }
}

/// Puts the handler back, also when it panicked.
struct Running<'a> {
    node: &'a Node,
    handler: Option<Handler>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.node.0);
        if !state.removed {
            state.handler = self.handler.take();
        }
    }
}

impl Buffer {
    /// Calls `handler` after each call that changed the buffer, through whichever type it was
    /// made. A buffer may have several; the latest is called first.
    ///
    /// It runs when the buffer is in order again and before the call returns, not inside it. When
    /// it panics, the panic comes out of the call, whose work is done.
    ///
    /// ```
    /// use libevent2::Buffer;
    /// use std::sync::{Arc, Mutex};
    ///
    /// let seen = Arc::new(Mutex::new(0));
    /// let mut buffer = Buffer::new();
    /// let total = seen.clone();
    /// let id = buffer.on_change(move |change| *total.lock().unwrap() += change.added);
    /// buffer.append(b"12345")?;
    /// assert_eq!(*seen.lock().unwrap(), 5);
    /// buffer.remove_change(id)?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    #[doc(alias = "evbuffer_add_cb")]
    #[doc(alias = "evbuffer_defer_callbacks")]
    pub fn on_change(&mut self, handler: impl FnMut(Change) + Send + 'static) -> ChangeId {
        let id = ChangeId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
        let node = Arc::new(Node::default());
        lock(&node.0).handler = Some(Box::new(handler));
        let data = Arc::as_ptr(&node).cast_mut().cast();
        // SAFETY: alive; the node is listed as long as C has the entry.
        let raw = unsafe { ffi::evbuffer_add_cb(self.as_ptr(), Some(changed), data) };
        if raw.is_null() {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<[usize; 5]>());
        }
        self.changes.push(Entry { id, raw, node });
        id
    }

    /// Takes a callback away, and drops it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it was removed before, or is another buffer's.
    #[doc(alias = "evbuffer_remove_cb_entry")]
    #[doc(alias = "evbuffer_remove_cb")]
    pub fn remove_change(&mut self, id: ChangeId) -> Result<()> {
        let index = self.index_of(id)?;
        let entry = self.changes.remove(index);
        // SAFETY: the entry is this buffer's, and C forgets it here.
        unsafe { ffi::evbuffer_remove_cb_entry(self.as_ptr(), entry.raw) };
        entry.node.remove();
        Ok(())
    }

    /// Switches a callback off, or on again. It is not told later what it missed.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it was removed before, or is another buffer's.
    #[doc(alias = "evbuffer_cb_set_flags")]
    #[doc(alias = "evbuffer_cb_clear_flags")]
    pub fn enable_change(&mut self, id: ChangeId, enabled: bool) -> Result<()> {
        let entry = self.changes[self.index_of(id)?].raw;
        let flag = ffi::EVBUFFER_CB_ENABLED;
        // SAFETY: the entry is this buffer's.
        unsafe {
            match enabled {
                true => ffi::evbuffer_cb_set_flags(self.as_ptr(), entry, flag),
                false => ffi::evbuffer_cb_clear_flags(self.as_ptr(), entry, flag),
            }
        };
        Ok(())
    }

    fn index_of(&self, id: ChangeId) -> Result<usize> {
        self.changes
            .iter()
            .position(|entry| entry.id == id)
            .ok_or_else(|| Error::invalid("change callback", "this buffer does not have it"))
    }

    /// Makes C forget all callbacks, before the evbuffer goes where `self` does not.
    pub(super) fn forget_changes(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        for entry in &changes {
            // SAFETY: the entry is this buffer's, and C forgets it here.
            unsafe { ffi::evbuffer_remove_cb_entry(self.as_ptr(), entry.raw) };
        }
        changes.iter().for_each(|entry| entry.node.remove());
    }
}
