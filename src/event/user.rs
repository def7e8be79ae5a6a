use super::core::EventCore;
use super::node::{self, Replacement};
use super::{owner, view};
use crate::base::Kind;
use crate::callback::CallbackResult;
use crate::error::Result;
use crate::{LoopHandle, ffi};
use std::os::raw::c_short;

owner! {
    /// An event that the program activates itself.
    ///
    /// ```
    /// use libevent2::{EventBase, UserEvent};
    ///
    /// let mut base = EventBase::new()?;
    /// let event = UserEvent::new(&base, |_| println!("triggered"))?;
    /// event.trigger()?;
    /// base.run()?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    #[doc(alias = "evuser_new")]
    UserEvent => UserEventRef
}

/// What the callback of a user event sees of its event.
pub struct UserEventRef {
    core: EventCore,
    replacement: Replacement<UserEventRef>,
}

view!(UserEventRef, what: () = |_| ());

impl UserEvent {
    /// An event that runs `callback` after each [`trigger`](UserEventRef::trigger). It does not
    /// hold the loop.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone,
    /// [`Error::Libevent`](crate::Error::Libevent) when memory is short.
    pub fn new<O: CallbackResult + 'static>(
        base: &LoopHandle,
        mut callback: impl FnMut(&UserEventRef) -> O + 'static,
    ) -> Result<Self> {
        let view = UserEventRef {
            core: EventCore::new(base, Kind::UserEvent),
            replacement: Replacement::default(),
        };
        node::make(view, -1, 0, move |event: &UserEventRef, ()| callback(event)).map(UserEvent)
    }
}

impl UserEventRef {
    /// Activates the event: the loop calls it in this turn if it is in one, else in the next.
    /// Triggering it again before it ran changes nothing.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the event is closed.
    #[doc(alias = "evuser_trigger")]
    #[doc(alias = "event_active")]
    pub fn trigger(&self) -> Result<()> {
        self.core.activate(ffi::EV_READ as c_short)
    }

    /// Takes back a trigger that did not run yet.
    #[doc(alias = "evuser_del")]
    pub fn cancel(&self) {
        self.core.del();
    }

    /// Puts another closure in the place of the present one, also from inside it.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the event is closed.
    pub fn set_callback<O: CallbackResult + 'static>(
        &self,
        mut callback: impl FnMut(&UserEventRef) -> O + 'static,
    ) -> Result<()> {
        node::replace(self, move |event, ()| callback(event))
    }

    fn on_closed(&self) {}
}
