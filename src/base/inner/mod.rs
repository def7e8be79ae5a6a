//! What all handles of one base share: the C base, the objects that live on it, and, in files of
//! their own, the first failure of a callback and what futures need.

mod failures;
mod tasks;

use super::remote;
use crate::callback::Failure;
#[cfg(unix)]
use crate::dns::ResolverRef;
use crate::error::{BoxError, Error, Result};
use crate::ffi;
#[cfg(all(feature = "async", unix))]
use crate::net::Doubts;
#[cfg(unix)]
use crate::stream::{FlushQueue, SharedResolver};
#[cfg(feature = "async")]
use crate::task::Executor;
use crate::{Kind, LoopHandle, later};
use slab::Slab;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// An object that lives on a base: it can be closed when the base goes.
pub(crate) trait Live {
    fn kind(&self) -> Kind;
    /// Frees the C object; what it held of the user's is dropped unless it is running.
    fn close(&self);
    /// Drops the handler of a closed object.
    fn clear(&self);
    /// Drops a handler that another one has replaced, unless it is running.
    fn replaced(&self) {}
}

/// Who keeps an object alive.
enum Entry {
    /// A handle of the user's does.
    Watched(Weak<dyn Live>),
    /// The base does: the object was detached.
    Owned(Rc<dyn Live>),
}

impl Entry {
    fn get(&self) -> Option<Rc<dyn Live>> {
        match self {
            Entry::Watched(weak) => weak.upgrade(),
            Entry::Owned(rc) => Some(rc.clone()),
        }
    }
}

type ErrorHandler = Box<dyn FnMut(&LoopHandle, BoxError)>;
type ExitHook = Box<dyn FnOnce(&LoopHandle)>;

pub(crate) struct Inner {
    me: Weak<Inner>,
    /// Null when the base is gone.
    raw: Cell<*mut ffi::event_base>,
    closing: Cell<bool>,
    locked: Cell<bool>,
    objects: RefCell<Slab<Entry>>,
    callbacks: Cell<u64>,
    failure: RefCell<Option<Failure>>,
    error_handler: RefCell<Option<ErrorHandler>>,
    exit_hooks: RefCell<Vec<ExitHook>>,
    break_wanted: Cell<bool>,
    remote: OnceCell<Arc<remote::Shared>>,
    fd_modes: RefCell<HashMap<ffi::evutil_socket_t, FdMode>>,
    /// How many calls of C that may call the user's code are on the stack.
    entered: Cell<usize>,
    /// A base to be freed when they are back.
    orphan: Cell<*mut ffi::event_base>,
    /// A run of the loop is to come back for a moment.
    interrupted: Cell<bool>,
    #[cfg(feature = "async")]
    executor: OnceCell<Executor>,
    #[cfg(unix)]
    flush_queue: OnceCell<FlushQueue>,
    #[cfg(unix)]
    resolver: RefCell<Option<Rc<SharedResolver>>>,
    #[cfg(all(feature = "async", unix))]
    doubts: RefCell<Option<Rc<Doubts>>>,
}

/// How many events of each mode watch one descriptor.
#[derive(Default)]
struct FdMode {
    edge: usize,
    level: usize,
}

impl Inner {
    pub(in crate::base) fn new(raw: *mut ffi::event_base, locked: bool) -> Rc<Self> {
        Rc::new_cyclic(|me| Inner {
            me: me.clone(),
            raw: Cell::new(raw),
            closing: Cell::new(false),
            locked: Cell::new(locked),
            objects: RefCell::default(),
            callbacks: Cell::new(0),
            failure: RefCell::default(),
            error_handler: RefCell::default(),
            exit_hooks: RefCell::default(),
            break_wanted: Cell::new(false),
            remote: OnceCell::new(),
            fd_modes: RefCell::default(),
            entered: Cell::new(0),
            orphan: Cell::new(ptr::null_mut()),
            interrupted: Cell::new(false),
            #[cfg(feature = "async")]
            executor: OnceCell::new(),
            #[cfg(unix)]
            flush_queue: OnceCell::new(),
            #[cfg(unix)]
            resolver: RefCell::default(),
            #[cfg(all(feature = "async", unix))]
            doubts: RefCell::default(),
        })
    }

    /// A handle on this base.
    pub(crate) fn handle(&self) -> LoopHandle {
        let inner = self.me.upgrade();
        LoopHandle::new(inner.expect("whoever holds a reference holds a count"))
    }

    pub(crate) fn raw(&self) -> *mut ffi::event_base {
        self.raw.get()
    }

    /// The C base, to make an object on it.
    pub(crate) fn open(&self) -> Result<*mut ffi::event_base> {
        if self.closing.get() || self.raw.get().is_null() {
            return Err(Error::Closed { what: "event base" });
        }
        Ok(self.raw.get())
    }

    /// Whether the base has locks, so that other threads may wake it.
    pub(in crate::base) fn is_locked(&self) -> bool {
        self.locked.get()
    }

    pub(in crate::base) fn assume_locks(&self) {
        self.locked.set(true);
        #[cfg(feature = "async")]
        if let Some(executor) = self.executor.get() {
            executor.heed_threads(&self.handle());
        }
    }

    // --- objects ---------------------------------------------------------------------------

    pub(crate) fn add_object(&self, object: Weak<dyn Live>) -> usize {
        self.objects.borrow_mut().insert(Entry::Watched(object))
    }

    /// Makes the base the owner of an object.
    pub(crate) fn adopt(&self, key: usize, object: Rc<dyn Live>) {
        if let Some(entry) = self.objects.borrow_mut().get_mut(key) {
            *entry = Entry::Owned(object);
        }
    }

    /// The object with this key.
    pub(crate) fn object(&self, key: usize) -> Option<Rc<dyn Live>> {
        self.objects.borrow().get(key).and_then(Entry::get)
    }

    /// Forgets an object; what it was is given back so that the caller can drop it when no
    /// borrow is held.
    pub(crate) fn remove_object(&self, key: usize) -> Option<Rc<dyn Live>> {
        let entry = self.objects.borrow_mut().try_remove(key)?;
        entry.get()
    }

    pub(in crate::base) fn count_objects(&self) -> [usize; Kind::COUNT] {
        let mut counts = [0; Kind::COUNT];
        for (_, entry) in self.objects.borrow().iter() {
            if let Some(object) = entry.get() {
                counts[object.kind() as usize] += 1;
            }
        }
        counts
    }

    // --- edge-triggered and level-triggered events on one descriptor ---------------------------

    /// Notes a watcher of `fd`; libevent itself checks for a mix of modes in debug mode only.
    pub(crate) fn watch_fd(&self, fd: ffi::evutil_socket_t, edge: bool) -> Result<()> {
        let mut modes = self.fd_modes.borrow_mut();
        let mode = modes.entry(fd).or_default();
        if (edge && mode.level > 0) || (!edge && mode.edge > 0) {
            return Err(Error::invalid(
                "interest",
                format!(
                    "descriptor {fd} is watched in the other mode already; all events on one \
                     descriptor must be edge-triggered or none"
                ),
            ));
        }
        *(if edge {
            &mut mode.edge
        } else {
            &mut mode.level
        }) += 1;
        Ok(())
    }

    /// Whether an event watches `fd`: a further one makes the back end tell nothing again.
    #[cfg(all(feature = "async", unix))]
    pub(crate) fn is_watched(&self, fd: ffi::evutil_socket_t) -> bool {
        self.fd_modes.borrow().contains_key(&fd)
    }

    pub(crate) fn unwatch_fd(&self, fd: ffi::evutil_socket_t, edge: bool) {
        let mut modes = self.fd_modes.borrow_mut();
        if let Some(mode) = modes.get_mut(&fd) {
            *(if edge {
                &mut mode.edge
            } else {
                &mut mode.level
            }) -= 1;
            if mode.edge == 0 && mode.level == 0 {
                modes.remove(&fd);
            }
        }
    }

    // --- stopping ---------------------------------------------------------------------------

    /// Stops the loop after the running callback, also a loop that has not begun yet.
    pub(crate) fn break_now(&self) {
        self.break_wanted.set(true);
        let raw = self.raw.get();
        if !raw.is_null() {
            // SAFETY: the base is alive while `raw` is not null.
            unsafe { ffi::event_base_loopbreak(raw) };
        }
    }

    /// Whether the present run of the loop, whoever runs it, ends with this callback.
    pub(in crate::base) fn is_stopping(&self) -> bool {
        let raw = self.raw.get();
        // SAFETY: the base is alive while `raw` is not null; C clears the flag when a run begins.
        raw.is_null() || unsafe { ffi::event_base_got_break(raw) != 0 }
    }

    /// Whether we have stopped it: C, which takes a lock, is asked only then.
    pub(crate) fn is_stopped_by_us(&self) -> bool {
        self.break_wanted.get() && self.is_stopping()
    }

    pub(in crate::base) fn take_break(&self) -> bool {
        self.break_wanted.take()
    }

    pub(in crate::base) fn add_exit_hook(&self, hook: ExitHook) {
        if self.closing.get() {
            return drop(hook);
        }
        self.exit_hooks.borrow_mut().push(hook);
    }

    /// Runs the exit hooks, the newest first; one that panics does not keep back the others. A
    /// hook that one of them adds waits for the next end.
    pub(in crate::base) fn run_exit_hooks(&self, handle: &LoopHandle) {
        for hook in self.exit_hooks.take().into_iter().rev() {
            self.guard(|| hook(handle));
        }
    }

    // --- calls of C outside the loop that call the user's code ------------------------------

    /// To be held while C may call the user's code from outside the loop: the C base stays.
    #[inline]
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.entered.set(self.entered.get() + 1);
        Entered(self)
    }

    /// Frees the C base, as soon as no call of C is on the stack that it may be in use by.
    ///
    /// # Safety
    /// It is nobody else's, and no object lives on it any more.
    pub(in crate::base) unsafe fn free_raw(&self, raw: *mut ffi::event_base) {
        if self.entered.get() > 0 {
            self.orphan.set(raw);
        } else if !raw.is_null() {
            // SAFETY: the caller's promise.
            unsafe { free_base(raw) };
        }
    }

    /// The streams that were written to outside their callbacks.
    #[cfg(unix)]
    pub(crate) fn flush_queue(&self) -> Result<&FlushQueue> {
        if let Some(queue) = self.flush_queue.get() {
            return Ok(queue);
        }
        let queue = FlushQueue::new(self)?;
        Ok(self.flush_queue.get_or_init(|| queue))
    }

    /// The resolver for connections by name.
    #[cfg(unix)]
    pub(crate) fn resolver(&self) -> Result<Rc<ResolverRef>> {
        let shared = self.resolver.borrow().clone();
        let shared = match shared {
            Some(shared) => shared,
            None => {
                let shared = Rc::new(SharedResolver::system(&self.handle())?);
                self.resolver.replace(Some(shared.clone()));
                shared
            }
        };
        Ok(shared.resolver())
    }

    // --- other threads ----------------------------------------------------------------------

    pub(in crate::base) fn remote(&self) -> &OnceCell<Arc<remote::Shared>> {
        &self.remote
    }

    // --- the end ------------------------------------------------------------------------------

    /// Closes every object, so that no C object outlives the base and no closure leaks.
    pub(in crate::base) fn close_objects(&self) {
        self.closing.set(true);
        #[cfg(feature = "async")]
        if let Some(executor) = self.executor.get() {
            executor.close(self);
        }
        if let Some(remote) = self.remote.get() {
            self.guard(|| remote.close());
        }
        loop {
            let keys: Vec<usize> = self.objects.borrow().iter().map(|(key, _)| key).collect();
            if keys.is_empty() {
                break;
            }
            for key in keys {
                // None: the end of another object has closed it.
                let object = self.remove_object(key);
                self.guard(|| {
                    if let Some(object) = object {
                        object.close();
                    }
                });
            }
        }
        #[cfg(unix)]
        if let Some(queue) = self.flush_queue.get() {
            self.guard(|| queue.close());
        }
        #[cfg(unix)]
        {
            let resolver = self.resolver.take();
            self.guard(|| drop(resolver));
        }
        #[cfg(all(feature = "async", unix))]
        self.doubts.take();
        self.guard(later::run);
        let left = (self.error_handler.take(), self.exit_hooks.take());
        self.guard(|| drop(left));
    }

    /// Marks the C base as gone.
    pub(in crate::base) fn forget_raw(&self) -> *mut ffi::event_base {
        self.raw.replace(std::ptr::null_mut())
    }
}

/// Frees a C base. Deferred callbacks of streams that were closed have their turn before: each has a
/// count on its stream, which C would forget with the base.
///
/// # Safety
/// It is nobody else's and does not run, and no object of ours lives on it any more.
unsafe fn free_base(raw: *mut ffi::event_base) {
    let count = |which| {
        // SAFETY: alive, by the caller's promise.
        unsafe { ffi::event_base_get_num_events(raw, which as _) }
    };
    // One may defer another one, over several streams that lie on each other.
    for _ in 0..16 {
        // What is active counts among what is added.
        let active = count(ffi::EVENT_BASE_COUNT_ACTIVE);
        // Where C code has left events of its own, none is to run from here.
        if active == 0 || active != count(ffi::EVENT_BASE_COUNT_ADDED) {
            break;
        }
        // SAFETY: as above. No callback of ours is left.
        unsafe { ffi::event_base_loop(raw, ffi::EVLOOP_NONBLOCK as _) };
    }
    // SAFETY: as above.
    unsafe { ffi::event_base_free(raw) };
}

/// See [`Inner::enter`].
pub(crate) struct Entered<'a>(&'a Inner);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let left = self.0.entered.get() - 1;
        self.0.entered.set(left);
        if left == 0 {
            let raw = self.0.orphan.replace(ptr::null_mut());
            if !raw.is_null() {
                // SAFETY: `free_raw` was promised that it is nobody else's; C is back.
                unsafe { free_base(raw) };
            }
        }
    }
}
