//! Streams that were written to outside their own callbacks: one event of the base sends for all
//! of them, in the same turn of the loop, what they have then.

use super::BufferEventRef;
use super::direct::SCRATCH;
use crate::base::Inner;
use crate::callback::retain;
use crate::error::Result;
use crate::event::InternalEvent;
use crate::ffi;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::mem::MaybeUninit;
use std::os::raw::{c_short, c_void};
use std::rc::Rc;
use std::time::Duration;

/// How often in a row the queue may fill itself before the rest of the loop has its turn.
const ROUNDS: u32 = 16;

/// One per base, made with its first stream.
pub(crate) struct FlushQueue {
    event: InternalEvent,
    waiting: RefCell<Vec<Rc<BufferEventRef>>>,
    /// Whether streams are being flushed, and how often in a row that has made others wait.
    flushing: Cell<bool>,
    rounds: Cell<u32>,
    /// Room to read to, for the length of one call of C.
    scratch: UnsafeCell<Box<[MaybeUninit<u8>]>>,
}

impl FlushQueue {
    pub(crate) fn new(base: &Inner) -> Result<Self> {
        let queue = FlushQueue {
            event: InternalEvent::unset(),
            waiting: RefCell::default(),
            flushing: Cell::new(false),
            rounds: Cell::new(0),
            scratch: UnsafeCell::new(Box::new_uninit_slice(SCRATCH)),
        };
        let arg = std::ptr::from_ref(base).cast_mut().cast::<c_void>();
        // SAFETY: the base is open. `Inner` lives in an `Rc`, and `close` frees the event before
        // the C base or the `Inner` goes.
        unsafe { queue.event.set(base.open()?, run, arg)? };
        Ok(queue)
    }

    pub(super) fn push(&self, stream: Rc<BufferEventRef>) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            let round = match self.flushing.get() {
                true => self.rounds.get() + 1,
                false => 0,
            };
            self.rounds.set(round % ROUNDS);
            if round < ROUNDS {
                self.event.trigger();
            } else {
                // C calls what is triggered before it looks at timers and descriptors again: two
                // streams that write to each other would be all that happens.
                self.event.trigger_after(Duration::ZERO);
            }
        }
        waiting.push(stream);
    }

    /// [`SCRATCH`] bytes that nobody else uses until the caller calls something else than C.
    pub(super) fn scratch(&self) -> *mut u8 {
        // SAFETY: the box itself is never changed; nobody holds a reference to what is in it.
        unsafe { (*self.scratch.get()).as_mut_ptr().cast() }
    }

    /// The base goes.
    pub(crate) fn close(&self) {
        self.event.free();
        let waiting = self.waiting.take();
        drop(waiting);
    }
}

unsafe extern "C" fn run(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is the `Inner` of the base, always in an `Rc`, alive while the event is.
    let base = unsafe { retain::<Inner>(arg) };
    let Ok(queue) = base.flush_queue() else {
        return;
    };
    queue.flushing.set(true);
    for stream in queue.waiting.take() {
        base.guard(|| stream.flush_queued());
    }
    queue.flushing.set(false);
}
