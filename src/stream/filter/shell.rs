//! The C filter of a stream: a shell whose callbacks only note that there is something to do.
//!
//! C calls its filter functions from inside whatever touches a buffer. Code of the user's that ran
//! there could reach the same buffer again, so here they take nothing and ask for more. The flush
//! queue of the base then calls the filter, with no frame of C's below it; see `pump.rs`.

use super::super::{BufferEventRef, Direction, FlushMode, StreamEvent};
use super::Filter;
use crate::error::{Error, Result};
use crate::ffi;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::raw::{c_int, c_void};
use std::ptr;
use std::rc::{Rc, Weak};

bitflags::bitflags! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) struct Flags: u16 {
        /// `Filter::begin` was called.
        const BEGUN = 1;
        /// There is input that there was no room for.
        const STARVED = 2;
        /// There is output that there was no room for.
        const BLOCKED = 4;
        /// The handler has not heard yet that its output was sent.
        const UNSENT = 8;
        /// What is added to the output now was there before.
        const PUTTING_BACK = 16;
        /// It has failed, and is not called again.
        const FAILED = 32;
        /// There is nothing more to come from below.
        const AT_END = 64;
        /// The filter has heard so.
        const END_TOLD = 128;
        /// `Filter::finish` was called.
        const FINISHED = 256;
        /// The filter keeps input back.
        const HOLDS = 512;
        /// A handshake is under way.
        const HANDSHAKING = 1024;
    }
}

/// What the user has written for a stream, and what is to be done with it. C has one count on it,
/// until the C object goes.
pub(super) struct Shell {
    node: RefCell<Weak<BufferEventRef>>,
    /// None while it runs, and when the stream is closed.
    pub(super) filter: Cell<Option<Box<dyn Filter>>>,
    pub(super) flags: Cell<Flags>,
    /// What to do for each direction at the next turn.
    pub(super) read: Cell<Option<FlushMode>>,
    pub(super) write: Cell<Option<FlushMode>>,
    /// What the handler is to hear after what was received.
    pub(super) late: RefCell<VecDeque<StreamEvent>>,
    /// Whose output is watched, and by what.
    watched: Cell<(*mut ffi::evbuffer, *mut ffi::evbuffer_cb_entry)>,
}

impl Shell {
    pub(super) fn is(&self, flag: Flags) -> bool {
        self.flags.get().contains(flag)
    }

    pub(super) fn set(&self, flag: Flags, on: bool) {
        let mut flags = self.flags.get();
        flags.set(flag, on);
        self.flags.set(flags);
    }

    /// Notes that a direction is to be looked at; the stronger mode wins.
    pub(super) fn want(&self, direction: Direction, mode: FlushMode) {
        for (way, slot) in [
            (Direction::READ, &self.read),
            (Direction::WRITE, &self.write),
        ] {
            if direction.contains(way) {
                let stronger = match (slot.get(), mode) {
                    (Some(FlushMode::Finished), _) => FlushMode::Finished,
                    (Some(FlushMode::Flush), FlushMode::Normal) => FlushMode::Flush,
                    (_, mode) => mode,
                };
                slot.set(Some(stronger));
            }
        }
    }

    fn queue(&self, direction: Direction, mode: FlushMode) {
        self.want(direction, mode);
        if let Some(node) = self.node.borrow().upgrade() {
            node.queue_flush();
        }
    }
}

/// The stream's part of the filter. Dropping it drops what the user has written, unless that runs.
pub(in super::super) struct Filtering(pub(super) Rc<Shell>);

impl Filtering {
    /// Makes the C object over `below`.
    pub(super) fn new(
        below: *mut ffi::bufferevent,
        filter: Box<dyn Filter>,
    ) -> Result<(*mut ffi::bufferevent, Self)> {
        let shell = Rc::new(Shell {
            node: RefCell::default(),
            filter: Cell::new(Some(filter)),
            flags: Cell::new(Flags::empty()),
            read: Cell::default(),
            write: Cell::default(),
            late: RefCell::default(),
            watched: Cell::new((ptr::null_mut(), ptr::null_mut())),
        });
        let options = ffi::BEV_OPT_CLOSE_ON_FREE | ffi::BEV_OPT_DEFER_CALLBACKS;
        let counted = Rc::into_raw(shell.clone());
        // SAFETY: `below` is alive and its callbacks are nobody's any more. The count goes with the
        // C object. `drained` is called before that only: it is freed with the input.
        let raw = unsafe {
            let arg = counted.cast_mut().cast::<c_void>();
            let raw = ffi::bufferevent_filter_new(
                below,
                Some(input),
                Some(output),
                options as c_int,
                Some(free),
                arg,
            );
            if raw.is_null() {
                free(arg);
                return Err(Error::Libevent {
                    op: "bufferevent_filter_new",
                });
            }
            ffi::evbuffer_add_cb(ffi::bufferevent_get_input(raw), Some(drained), arg);
            raw
        };
        Ok((raw, Filtering(shell)))
    }

    /// Lets it begin, with its node.
    pub(super) fn begin(&self, node: &Rc<BufferEventRef>, below: *mut ffi::bufferevent) {
        self.0.node.replace(Rc::downgrade(node));
        self.0.want(Direction::BOTH, FlushMode::Normal);
        // SAFETY: alive. `unwatch` removes it before either object goes.
        unsafe {
            let arg = Rc::as_ptr(&self.0).cast_mut().cast::<c_void>();
            let output = ffi::bufferevent_get_output(below);
            let entry = ffi::evbuffer_add_cb(output, Some(sent), arg);
            self.0.watched.set((output, entry));
        }
    }

    /// The C object goes.
    ///
    /// # Safety
    /// What is below is alive.
    pub(super) unsafe fn unwatch(&self) {
        let (output, entry) = self.0.watched.replace((ptr::null_mut(), ptr::null_mut()));
        if !entry.is_null() {
            // SAFETY: the caller's promise; it was added there.
            unsafe { ffi::evbuffer_remove_cb_entry(output, entry) };
        }
    }
}

impl Drop for Filtering {
    fn drop(&mut self) {
        let filter = self.0.filter.take();
        drop(filter);
    }
}

/// # Safety
/// `arg` is that of a filter whose C object is alive.
unsafe fn shell(arg: *mut c_void) -> Rc<Shell> {
    // SAFETY: C has a count on it.
    unsafe { crate::callback::retain::<Shell>(arg) }
}

fn mode(state: ffi::bufferevent_flush_mode) -> FlushMode {
    match state {
        ffi::BEV_FLUSH => FlushMode::Flush,
        ffi::BEV_FINISHED => FlushMode::Finished,
        _ => FlushMode::Normal,
    }
}

/// There is something to read.
unsafe extern "C" fn input(
    _: *mut ffi::evbuffer,
    _: *mut ffi::evbuffer,
    _: isize,
    state: ffi::bufferevent_flush_mode,
    arg: *mut c_void,
) -> ffi::bufferevent_filter_result {
    // SAFETY: C passes what it was given.
    unsafe { shell(arg) }.queue(Direction::READ, mode(state));
    ffi::BEV_NEED_MORE
}

/// There is something to write, or more room for it.
unsafe extern "C" fn output(
    _: *mut ffi::evbuffer,
    _: *mut ffi::evbuffer,
    _: isize,
    state: ffi::bufferevent_flush_mode,
    arg: *mut c_void,
) -> ffi::bufferevent_filter_result {
    // SAFETY: as above.
    let shell = unsafe { shell(arg) };
    if !shell.is(Flags::PUTTING_BACK) {
        shell.queue(Direction::WRITE, mode(state));
    }
    ffi::BEV_NEED_MORE
}

/// The C object is freed.
unsafe extern "C" fn free(arg: *mut c_void) {
    // SAFETY: the count that was given to C, taken back once. What the user has written was dropped
    // with the stream.
    drop(unsafe { Rc::from_raw(arg.cast_const().cast::<Shell>()) });
}

/// The input has changed.
unsafe extern "C" fn drained(
    _: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: as above; C's `info` is alive.
    let (shell, count) = unsafe { (shell(arg), (*info).n_deleted) };
    if count > 0 && shell.is(Flags::STARVED) {
        shell.queue(Direction::READ, FlushMode::Normal);
    }
}

/// The output below has changed.
unsafe extern "C" fn sent(
    _: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: as above.
    let (shell, count) = unsafe { (shell(arg), (*info).n_deleted) };
    if count > 0
        && let Some(node) = shell.node.borrow().upgrade()
    {
        node.sent_below();
    }
}
