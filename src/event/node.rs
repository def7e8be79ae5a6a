//! The counted node behind every event: its C data pointer, its handler, and the trampoline.
//!
//! C's `void*` points at a [`Node`], which an `Rc` owns. The trampoline takes a count for the
//! length of the call, so whatever the handler does to its own object, the running closure stays
//! where it is. Rules that the unsafe code below rests on:
//!
//! - the handler is borrowed mutably only by [`Node::call`], and only while it set `RUNNING`;
//! - who finds `RUNNING` set leaves the handler alone and notes what it wanted in the state;
//! - `call` looks at the state when the handler has returned, and does what was noted.

use crate::base::{Inner, Kind, Live};
use crate::callback::{CallbackResult, Outcome, retain};
use crate::error::{Error, Result};
use crate::ffi;
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::hint::assert_unchecked;
use std::ops::Deref;
use std::os::raw::{c_short, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};

use super::core::{CLOSED, EventCore, IDLE, MISSED, REPLACED, RUNNING};

/// What an event of one kind shows to its handler.
pub(crate) trait EventRef: Deref<Target = EventCore> + Sized + 'static {
    /// What the handler is told besides.
    type What;
    fn what(bits: c_short) -> Self::What;
    fn replacement(&self) -> &Replacement<Self>;
    /// Called when the C event is gone, perhaps twice.
    fn closed(&self) {}
}

type Boxed<R> = Box<dyn FnMut(&R, <R as EventRef>::What) -> Outcome>;

/// A handler of another type that takes the place of the first one.
pub(crate) struct Replacement<R: EventRef>(Cell<Option<Boxed<R>>>);

impl<R: EventRef> Default for Replacement<R> {
    fn default() -> Self {
        Replacement(Cell::new(None))
    }
}

/// Replaces the handler of `this`, at once or, inside the handler, when it has returned.
pub(super) fn replace<R: EventRef, O: CallbackResult>(
    this: &R,
    mut handler: impl FnMut(&R, R::What) -> O + 'static,
) -> Result<()> {
    this.open()?;
    let new: Boxed<R> = Box::new(move |this, what| handler(this, what).outcome());
    let older = this.replacement().0.replace(Some(new));
    this.state.set(this.state.get() | REPLACED);
    let object = this.handle().inner().object(this.key.get());
    if let Some(object) = object {
        object.replaced();
    }
    drop(older);
    Ok(())
}

/// What C's data pointer points at. The handler lies before what a call needs of the rest, and
/// behind the counts: one or two cache lines.
#[repr(C)]
pub(super) struct Node<R, F> {
    handler: UnsafeCell<Option<F>>,
    this: R,
}

/// A node of any handler.
pub(crate) trait AnyNode<R>: Live {
    fn this(&self) -> &R;
}

impl<R: EventRef, F: 'static> AnyNode<R> for Node<R, F> {
    fn this(&self) -> &R {
        &self.this
    }
}

impl<R: EventRef, F: 'static> Live for Node<R, F> {
    fn kind(&self) -> Kind {
        self.this.kind
    }

    fn close(&self) {
        self.this.close();
        // One whose C event was given away has no entry to be cleared through.
        self.this.state.set(self.this.state.get() | CLOSED);
        self.clear();
    }

    fn clear(&self) {
        if self.this.state.get() & (RUNNING | CLOSED) == CLOSED {
            // SAFETY: not running, so nobody borrows the handler; `take` moves it out before
            // its Drop, which may do anything to this object, runs.
            let handler = unsafe { (*self.handler.get()).take() };
            let replacement = self.this.replacement().0.take();
            self.this.closed();
            drop((handler, replacement));
        }
    }

    fn replaced(&self) {
        if self.this.state.get() & RUNNING == 0 {
            // SAFETY: not running, so nobody borrows the handler; it is moved out before its
            // Drop runs.
            let old = unsafe { (*self.handler.get()).take() };
            drop(old);
        }
    }
}

impl<R, F, O> Node<R, F>
where
    R: EventRef,
    F: FnMut(&R, R::What) -> O + 'static,
    O: CallbackResult,
{
    /// Calls the handler; see the head of this file.
    #[inline(always)]
    fn call(&self, bits: c_short) {
        let core: &EventCore = &self.this;
        if core.state.get() != IDLE {
            return self.call_unusual(bits);
        }
        core.state.set(RUNNING);
        // SAFETY: RUNNING was not set, so this is the only borrow of the handler. It is there:
        // it is taken by `clear` and `call_unusual` only, after CLOSED or REPLACED was set for
        // good, and the state was IDLE.
        let handler = unsafe { (*self.handler.get()).as_mut().unwrap_unchecked() };
        let outcome = handler(&self.this, R::what(bits)).outcome();
        self.report(outcome);
        if core.state.get() != RUNNING {
            return self.settle();
        }
        core.state.set(IDLE);
    }

    /// A call while the state is not the usual one: running, closed, or with a new handler.
    #[cold]
    #[inline(never)]
    fn call_unusual(&self, bits: c_short) {
        let core: &EventCore = &self.this;
        let state = core.state.get();
        if state & CLOSED != 0 {
            return;
        }
        if state & RUNNING != 0 {
            core.missed.set(core.missed.get() | bits);
            core.state.set(state | MISSED);
            return;
        }
        // What is left: REPLACED. The new handler is moved out while it runs.
        let Some(mut handler) = self.this.replacement().0.take() else {
            return;
        };
        core.state.set(state | RUNNING);
        // Caught here so that a handler that panicked is there for the next call.
        let result = catch_unwind(AssertUnwindSafe(|| {
            let outcome = handler(&self.this, R::what(bits));
            self.report(outcome);
        }));
        let (next, old) = match self.this.replacement().0.take() {
            Some(newer) => (newer, Some(handler)),
            None => (handler, None),
        };
        self.this.replacement().0.set(Some(next));
        core.handle().inner().guard(|| drop(old));
        match result {
            Ok(()) => self.settle(),
            Err(payload) => resume_unwind(payload),
        }
    }

    #[inline(always)]
    fn report(&self, outcome: Outcome) {
        if let Err(error) = outcome {
            self.this.handle().inner().failed(error);
        }
    }

    /// Does what was asked for while the handler was running.
    #[cold]
    #[inline(never)]
    fn settle(&self) {
        let core: &EventCore = &self.this;
        let state = core.state.get() & !(RUNNING | MISSED);
        let missed = (core.state.get() & MISSED != 0).then(|| core.missed.take());
        core.state.set(state);
        if state & CLOSED == 0
            && let Some(bits) = missed
            && let Ok(()) = core.activate(bits)
        {
            // Queued, not entered: the loop calls again.
        }
        // Last, as they drop closures of the user's, which may do anything.
        if state & CLOSED != 0 {
            self.clear();
        } else if state & REPLACED != 0 {
            self.replaced();
        }
    }

    /// The handler panicked: the base hears of it.
    #[cold]
    #[inline(never)]
    fn panicked(&self, payload: Box<dyn Any + Send>) {
        let base = self.this.handle().inner();
        base.panicked(payload);
        base.guard(|| self.settle());
    }
}

/// What C calls.
unsafe extern "C" fn trampoline<R, F, O>(_: ffi::evutil_socket_t, bits: c_short, arg: *mut c_void)
where
    R: EventRef,
    F: FnMut(&R, R::What) -> O + 'static,
    O: CallbackResult,
{
    // SAFETY: `arg` is `Rc::as_ptr` of the node (see `make`). C calls only between event_new and
    // event_free; until event_free, which is on this thread, the owner holds a count.
    let node = unsafe { retain::<Node<R, F>>(arg) };
    node.this.handle().inner().count_callback();
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| node.call(bits))) {
        node.panicked(payload);
    }
    if Rc::strong_count(&node) == 1 {
        return release(node);
    }
    // SAFETY: the count is not 0, as `node` is one, and not 1. It spares a second look at it.
    unsafe { assert_unchecked(Rc::strong_count(&node) > 1) };
}

/// Drops the last count of a node, and with it the user's closure.
#[cold]
#[inline(never)]
fn release<R: EventRef, F: 'static>(node: Rc<Node<R, F>>) {
    let base: Rc<Inner> = Rc::clone(node.this.handle().inner());
    base.guard(|| drop(node));
}

/// Makes the C event and ties it to its node. It is not pending yet.
pub(super) fn make<R, F, O>(
    this: R,
    fd: ffi::evutil_socket_t,
    flags: c_short,
    handler: F,
) -> Result<Owned<R>>
where
    R: EventRef,
    F: FnMut(&R, R::What) -> O + 'static,
    O: CallbackResult,
{
    let base = this.handle().inner().open()?;
    let node = Rc::new(Node {
        handler: UnsafeCell::new(Some(handler)),
        this,
    });
    let arg = Rc::as_ptr(&node).cast_mut().cast::<c_void>();
    // SAFETY: the base is alive. The node outlives the event: `Owned` or the base holds a count
    // until event_free.
    let raw = unsafe { ffi::event_new(base, fd, flags, Some(trampoline::<R, F, O>), arg) };
    if raw.is_null() {
        return Err(Error::Libevent { op: "event_new" });
    }
    node.this.raw.set(raw);
    Ok(Owned::new(node))
}

/// The one owner of an event. Dropping it closes the event.
pub(crate) struct Owned<R: EventRef> {
    /// Empty only while it is given to the base.
    node: Option<Rc<dyn AnyNode<R>>>,
}

impl<R: EventRef> Owned<R> {
    fn new(node: Rc<dyn AnyNode<R>>) -> Self {
        let this = node.this();
        let object: Rc<dyn Live> = Rc::clone(&node) as Rc<dyn Live>;
        let weak: Weak<dyn Live> = Rc::downgrade(&object);
        this.key.set(this.handle().inner().add_object(weak));
        Owned { node: Some(node) }
    }

    /// Wraps an event that C made, with C's own callback.
    pub(super) fn adopt(this: R, raw: *mut ffi::event) -> Self {
        this.raw.set(raw);
        Owned::new(Rc::new(Node {
            handler: UnsafeCell::new(Some(())),
            this,
        }))
    }

    pub(super) fn this(&self) -> &R {
        let node = self.node.as_ref();
        node.expect("taken only by detach, which consumes").this()
    }

    /// Makes the base the owner.
    pub(super) fn detach(mut self) {
        if let Some(node) = self.node.take() {
            let (base, key) = (node.this().handle().clone(), node.this().key.get());
            base.inner().adopt(key, node);
        }
    }

    /// Gives the C event away; the base keeps its closure.
    pub(super) fn into_ptr(self) -> *mut ffi::event {
        let raw = self.this().give_away();
        self.detach();
        raw
    }
}

impl<R: EventRef> Drop for Owned<R> {
    fn drop(&mut self) {
        if let Some(node) = &self.node {
            node.this().close();
        }
    }
}

impl<R: EventRef> fmt::Debug for Owned<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.this().fmt_as(std::any::type_name::<R>(), f)
    }
}
