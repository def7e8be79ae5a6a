//! Events: the loop calls a closure when a descriptor is ready ([`Event`]), when time has passed
//! ([`Timer`]), when a signal arrives ([`Signal`]), when it is told to ([`UserEvent`]) or when
//! there is nothing else to do ([`Idle`]).
//!
//! Each has an owner (`Timer`), whose drop ends it, and a shared view (`&TimerRef`), which its
//! callback gets and to which the owner dereferences. What all have in common is in
//! [`EventCore`]. No callback ever runs inside the call that registered it.

#[cfg(any(feature = "async", feature = "http"))]
mod alarm;
mod common;
mod core;
mod fd;
mod idle;
pub(crate) mod internal;
mod node;
mod signal;
mod timer;
mod user;

pub use self::core::{EventCore, Timeout};
#[cfg(any(feature = "async", feature = "http"))]
pub(crate) use alarm::Alarm;
pub use common::CommonTimeout;
pub use fd::{Event, EventBuilder, EventRef, Interest, RawSocket, Ready, Source};
pub use idle::{Idle, IdleRef};
pub(crate) use internal::InternalEvent;
pub use signal::{Signal, SignalRef};
pub use timer::{Timer, TimerRef};
pub use user::{UserEvent, UserEventRef};

/// The methods that every owner of an event has.
macro_rules! owner {
    ($(#[$doc:meta])* $name:ident $(<$s:ident>)? => $view:ty) => {
        $(#[$doc])*
        #[must_use = "dropping it closes the event; `detach` gives it to the base"]
        #[derive(Debug)]
        pub struct $name $(<$s: 'static>)? (crate::event::node::Owned<$view>);

        impl $(<$s: 'static>)? $name $(<$s>)? {
            /// Gives it to the base: it lives until it is closed in its callback, or by the end
            /// of the base.
            pub fn detach(self) {
                self.0.detach();
            }

            /// Gives the C event to C, which has to free it with `event_free`, and before the
            /// base goes. The closure lives as long as the base.
            pub fn into_ptr(self) -> *mut crate::ffi::event {
                self.0.into_ptr()
            }
        }

        impl $(<$s: 'static>)? std::ops::Deref for $name $(<$s>)? {
            type Target = $view;

            fn deref(&self) -> &$view {
                self.0.this()
            }
        }
    };
}

/// A view that a callback gets: dereferences to [`EventCore`] and prints like it.
macro_rules! view {
    ($name:ident $(<$s:ident>)?, what: $what:ty = $convert:expr) => {
        impl $(<$s: 'static>)? std::ops::Deref for $name $(<$s>)? {
            type Target = crate::event::EventCore;

            #[inline]
            fn deref(&self) -> &crate::event::EventCore {
                &self.core
            }
        }

        impl $(<$s: 'static>)? std::fmt::Debug for $name $(<$s>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("ptr", &self.as_ptr())
                    .field("pending", &self.is_pending())
                    .finish_non_exhaustive()
            }
        }

        impl $(<$s: 'static>)? crate::event::node::EventRef for $name $(<$s>)? {
            type What = $what;

            #[inline(always)]
            fn what(bits: std::os::raw::c_short) -> $what {
                ($convert)(bits)
            }

            fn replacement(&self) -> &crate::event::node::Replacement<Self> {
                &self.replacement
            }

            fn closed(&self) {
                self.on_closed();
            }
        }
    };
}

use {owner, view};
