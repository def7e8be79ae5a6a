use super::core::{EventCore, Timeout};
use super::node::{self, Replacement};
use super::{owner, view};
use crate::LoopHandle;
use crate::base::Kind;
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use std::time::Duration;

owner! {
    /// Work for when there is nothing else to do: its closure runs once in each turn of the loop
    /// in which no other event is ready. While there is one the loop does not wait; close or
    /// pause it when the work is done.
    ///
    /// ```
    /// use libevent2::{EventBase, Idle};
    ///
    /// let mut base = EventBase::new()?;
    /// let mut pages = 3;
    /// let _index = Idle::new(&base, move |idle| {
    ///     pages -= 1; // … index one page …
    ///     if pages == 0 {
    ///         idle.close();
    ///     }
    /// })?;
    /// base.run()?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    Idle => IdleRef
}

/// What the callback of idle work sees of it.
pub struct IdleRef {
    core: EventCore,
    replacement: Replacement<IdleRef>,
}

view!(IdleRef, what: () = |_| ());

impl Idle {
    /// Runs `callback` whenever nothing else is ready. It has the base's last priority.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on a base with one priority (a base that C made, or
    /// [`EventConfig::priorities(1)`](crate::EventConfig::priorities)), [`Error::Closed`] when
    /// the base is gone.
    pub fn new<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnMut(&IdleRef) -> O + 'static,
    ) -> Result<Self> {
        base.inner().open()?;
        let priorities = base.priorities();
        if priorities < 2 {
            return Err(Error::Unsupported {
                what: "idle work",
                why: "it has one priority only, so nothing can come after the rest",
            });
        }
        let view = IdleRef {
            core: EventCore::new(base, Kind::Idle),
            replacement: Replacement::default(),
        };
        let idle = Idle(node::make(view, -1, 0, again_and_again(callback))?);
        idle.set_priority(priorities - 1)?;
        idle.resume()?;
        Ok(idle)
    }

    /// Runs `callback` once, as soon as nothing else is ready.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn once<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnOnce(&LoopHandle) -> O + 'static,
    ) -> Result<Self> {
        let mut callback = Some(callback);
        Self::new(base, move |idle| {
            let callback = callback.take();
            idle.close();
            callback.map_or(Ok(()), |callback| callback(idle.handle()).outcome())
        })
    }
}

/// What C calls for `callback`: it is armed again before the call, so that the callback's own
/// pause or close holds. A timeout of zero waits for the next look at I/O; activating would not.
fn again_and_again<O: CallbackResult>(
    mut callback: impl FnMut(&IdleRef) -> O + 'static,
) -> impl FnMut(&IdleRef, ()) -> Outcome + 'static {
    move |idle, ()| {
        // One that was given to C is C's to arm.
        if !idle.is_closed() {
            idle.resume()?;
        }
        callback(idle).outcome()
    }
}

impl IdleRef {
    /// Stops the work until [`resume`](Self::resume); meanwhile it does not hold the loop.
    pub fn pause(&self) {
        self.core.del();
    }

    /// Takes up the work again.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    pub fn resume(&self) -> Result<()> {
        self.core.add(Some(&Timeout::After(Duration::ZERO)))
    }

    /// Puts another closure in the place of the present one, also from inside it.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed.
    pub fn set_callback<O: CallbackResult + 'static>(
        &self,
        callback: impl FnMut(&IdleRef) -> O + 'static,
    ) -> Result<()> {
        node::replace(self, again_and_again(callback))
    }

    fn on_closed(&self) {}
}
