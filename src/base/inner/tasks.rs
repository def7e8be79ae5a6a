//! What a base has for futures.

use super::Inner;
#[cfg(feature = "async")]
use crate::error::Result;
#[cfg(feature = "async")]
use crate::ffi;
#[cfg(all(feature = "async", unix))]
use crate::net::Doubts;
#[cfg(feature = "async")]
use crate::task::Executor;
#[cfg(all(feature = "async", unix))]
use std::rc::Rc;

impl Inner {
    #[cfg(feature = "async")]
    pub(crate) fn executor(&self) -> Result<&Executor> {
        if let Some(executor) = self.executor.get() {
            return Ok(executor);
        }
        self.open()?;
        let executor = Executor::new(&self.handle())?;
        Ok(self.executor.get_or_init(|| executor))
    }

    #[cfg(feature = "async")]
    #[inline]
    pub(crate) fn executor_if_any(&self) -> Option<&Executor> {
        self.executor.get()
    }

    /// The number of unfinished tasks.
    pub(in crate::base) fn tasks(&self) -> usize {
        #[cfg(feature = "async")]
        let tasks = self.executor.get().map_or(0, Executor::len);
        #[cfg(not(feature = "async"))]
        let tasks = 0;
        tasks
    }

    /// See `Executor::hold`.
    pub(in crate::base) fn hold_for_tasks(&self, holding: bool) {
        #[cfg(feature = "async")]
        if let Some(executor) = self.executor.get() {
            executor.hold(holding);
        }
        #[cfg(not(feature = "async"))]
        let _ = holding;
    }

    /// Has the loop come back to whoever runs it, who will go on.
    #[cfg(feature = "async")]
    pub(crate) fn interrupt(&self) {
        self.interrupted.set(true);
        let raw = self.raw.get();
        if !raw.is_null() {
            // SAFETY: the base is alive while `raw` is not null.
            unsafe { ffi::event_base_loopbreak(raw) };
        }
    }

    pub(in crate::base) fn take_interrupt(&self) -> bool {
        self.interrupted.take()
    }

    /// The sockets of futures that may have to be looked at again.
    #[cfg(all(feature = "async", unix))]
    pub(crate) fn doubts(&self) -> Result<Rc<Doubts>> {
        let doubts = self.doubts.borrow().clone();
        if let Some(doubts) = doubts {
            return Ok(doubts);
        }
        let doubts = Rc::new(Doubts::new(&self.handle())?);
        self.doubts.replace(Some(Rc::clone(&doubts)));
        Ok(doubts)
    }
}
