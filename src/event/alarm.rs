//! A call from the loop to an object of the crate's own, for modules without `unsafe`.

use super::internal::InternalEvent;
use crate::LoopHandle;
use crate::callback::retain;
use crate::error::Result;
use crate::ffi;
use std::os::raw::{c_short, c_void};
use std::rc::Rc;
use std::time::Duration;

/// Not one of the objects of the base, which must be freed before it: whoever has it is one.
pub(crate) struct Alarm {
    event: InternalEvent,
    ring: Rc<Ring>,
}

struct Ring {
    handle: LoopHandle,
    call: Box<dyn Fn()>,
}

impl Alarm {
    /// `call` runs from the loop when it is asked for. It must not keep the alarm's owner alive.
    pub(crate) fn new(handle: &LoopHandle, call: impl Fn() + 'static) -> Result<Self> {
        let alarm = Alarm {
            event: InternalEvent::unset(),
            ring: Rc::new(Ring {
                handle: handle.clone(),
                call: Box::new(call),
            }),
        };
        let arg = Rc::as_ptr(&alarm.ring).cast_mut().cast();
        // SAFETY: the base is alive. The event is freed by `free` or with this value at the
        // latest, which has a count on the ring until then and is gone before its base.
        unsafe { alarm.event.set(handle.inner().open()?, on_ring, arg)? };
        Ok(alarm)
    }

    /// Calls as soon as the loop is back from what it runs; once, however often it is asked.
    pub(crate) fn now(&self) {
        self.event.trigger();
    }

    /// Calls when the time has passed.
    pub(crate) fn after(&self, delay: Duration) {
        self.event.trigger_after(delay);
    }

    /// Takes back [`after`](Self::after).
    #[cfg(all(feature = "async", unix))]
    pub(crate) fn stop(&self) {
        self.event.stop();
    }

    /// Never calls again.
    pub(crate) fn free(&self) {
        self.event.free();
    }
}

unsafe extern "C" fn on_ring(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: the event is freed before the alarm's count on its ring goes.
    let ring = unsafe { retain::<Ring>(arg) };
    ring.handle.inner().guard(|| (ring.call)());
}
