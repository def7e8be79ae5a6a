//! hyper's traits: its I/O, its executor and its timer.

use super::each::*;
use crate::{LoopHandle, time};
use hyper::rt::{Executor, Read, ReadBufCursor, Sleep, Timer, Write};
use std::future::Future;
use std::task::ready;
use std::time::{Duration, Instant};

impl_read!(Read, ReadBufCursor<'_>, (), fill);
impl_write!(Write, poll_shutdown, is_write_vectored);

#[inline]
fn fill(
    stream: &impl PollIo,
    cx: &mut Context<'_>,
    mut buf: ReadBufCursor<'_>,
) -> Poll<io::Result<()>> {
    // SAFETY: `PollIo::poll_read` promises to put no uninitialised byte there.
    let room = unsafe { buf.as_mut() };
    let len = ready!(stream.poll_read(cx, room))?;
    // SAFETY: it promises as well that the first `len` bytes of the room are initialised, and that
    // there is room for so many.
    unsafe { buf.advance(len) };
    Poll::Ready(Ok(()))
}

/// Runs hyper's futures as tasks of the loop. They may be `!Send`.
impl<F> Executor<F> for LoopHandle
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(self.spawn(future));
    }
}

/// For who asks for an executor that is `Send`, such as hyper-util's pool of connections.
///
/// # Panics
/// On another thread.
impl<F> Executor<F> for OnLoop<LoopHandle>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(self.spawn(future));
    }
}

/// The loop's timers, for the `timer` of hyper's builders, which ask for one that is `Send`.
///
/// ```
/// use hyper::rt::Timer;
/// use libevent2::EventBase;
/// use libevent2::task::OnLoop;
/// use std::time::Duration;
///
/// let mut base = EventBase::new()?;
/// let timer = OnLoop::new(&base, base.handle().clone());
/// let pause = Timer::sleep(&timer, Duration::from_millis(1));
/// base.block_on(pause)?;
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Panics
/// On another thread.
impl Timer for OnLoop<LoopHandle> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(OnLoop::new(self, LoopHandle::sleep(self, duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(OnLoop::new(self, LoopHandle::sleep_until(self, deadline)))
    }

    /// Keeps the event, and gives it another time.
    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<OnLoop<time::Sleep>>() {
            Some(mut ours) => ours.reset(new_deadline),
            None => *sleep = Timer::sleep_until(self, new_deadline),
        }
    }
}

impl Sleep for OnLoop<time::Sleep> {}
