//! A value that stays on the loop's thread, in a place that asks for `Send`.

use crate::{LoopHandle, Remote};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// A value of the loop's thread that may be kept, moved and dropped anywhere, and used on its own
/// thread only: for crates that ask for `Send` although nothing leaves the thread.
///
/// Dropped on another thread, the value is sent back to the loop and dropped there, with the base
/// at the latest. When the base is gone already, or has
/// [no locks](crate::EventConfig::no_lock), it is leaked.
///
/// ```
/// use libevent2::EventBase;
/// use libevent2::task::OnLoop;
/// use std::rc::Rc;
///
/// fn asks_for_send<T: Send + Sync>(value: T) -> T {
///     value
/// }
///
/// let base = EventBase::new()?;
/// let value = asks_for_send(OnLoop::new(&base, Rc::new(42)));
/// assert_eq!(**value, 42);
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Panics
/// When it is used (dereferenced, polled, read from …) on another thread. [`get`](Self::get) asks.
pub struct OnLoop<T: 'static> {
    value: ManuallyDrop<T>,
    thread: u64,
    remote: Option<Remote>,
}

// SAFETY: the value is reached and dropped on its own thread only: every access checks, and `Drop`
// takes it back there or leaks it. The rest is Send and Sync by itself.
unsafe impl<T> Send for OnLoop<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for OnLoop<T> {}

impl<T> OnLoop<T> {
    /// Ties `value` to this thread, which is the one of the loop.
    pub fn new(base: &LoopHandle, value: T) -> Self {
        OnLoop {
            value: ManuallyDrop::new(value),
            thread: this_thread(),
            remote: base.remote().ok(),
        }
    }

    /// The value, on its own thread.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.is_here().then(|| &*self.value)
    }

    /// The value itself.
    ///
    /// # Panics
    /// On another thread.
    pub fn into_inner(mut self) -> T {
        self.check();
        self.remote = None;
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, as `this` is not dropped; its remote, the only other part with a
        // destructor, is None.
        unsafe { ManuallyDrop::take(&mut this.value) }
    }

    #[inline]
    fn is_here(&self) -> bool {
        this_thread() == self.thread
    }

    #[inline]
    fn check(&self) {
        assert!(
            self.is_here(),
            "used on another thread than the loop's it was made for"
        );
    }
}

impl<T> Deref for OnLoop<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.check();
        &self.value
    }
}

impl<T> DerefMut for OnLoop<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.check();
        &mut self.value
    }
}

impl OnLoop<LoopHandle> {
    /// A future of the loop's thread, as one that is `Send`: what `make` returns, polled on the
    /// loop's thread only.
    ///
    /// ```
    /// use libevent2::EventBase;
    /// use libevent2::task::OnLoop;
    /// use std::time::Duration;
    ///
    /// let mut base = EventBase::new()?;
    /// let on_loop = OnLoop::new(&base, base.handle().clone());
    /// let pause = on_loop.future(|handle| async move {
    ///     handle.sleep(Duration::from_millis(1)).await;
    /// });
    /// let _: &dyn Send = &pause;
    /// base.block_on(pause)?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Panics
    /// On another thread.
    pub fn future<F: Future>(&self, make: impl FnOnce(LoopHandle) -> F) -> OnLoop<Pin<Box<F>>> {
        let handle: &LoopHandle = self;
        OnLoop::new(handle, Box::pin(make(handle.clone())))
    }
}

impl<F: Future + Unpin> Future for OnLoop<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future: &mut F = &mut self;
        Pin::new(future).poll(cx)
    }
}

impl<T: Clone> Clone for OnLoop<T> {
    /// # Panics
    /// On another thread.
    fn clone(&self) -> Self {
        self.check();
        OnLoop {
            value: self.value.clone(),
            thread: self.thread,
            remote: self.remote.clone(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnLoop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => f.debug_tuple("OnLoop").field(value).finish(),
            None => f.debug_tuple("OnLoop").finish_non_exhaustive(),
        }
    }
}

impl<T> Drop for OnLoop<T> {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: once, here; it is not used any more.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        } else if let Some(remote) = &self.remote {
            // SAFETY: once, here; it is only moved.
            let value = unsafe { ManuallyDrop::take(&mut self.value) };
            let way_home = WayHome {
                value: ManuallyDrop::new(value),
                thread: self.thread,
            };
            let _ = remote.post(move |_| drop(way_home));
        }
    }
}

/// A value on its way to its own thread: leaked unless it arrives.
struct WayHome<T> {
    value: ManuallyDrop<T>,
    thread: u64,
}

// SAFETY: the value is touched on its own thread only, by `Drop`, which checks.
unsafe impl<T> Send for WayHome<T> {}

impl<T> Drop for WayHome<T> {
    fn drop(&mut self) {
        if this_thread() == self.thread {
            // SAFETY: once, on its own thread.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// A number for this thread that no other one has, or will have.
#[inline]
pub(super) fn this_thread() -> u64 {
    thread_local! {
        static THIS: Cell<u64> = const { Cell::new(0) };
    }
    static LAST: AtomicU64 = AtomicU64::new(0);

    THIS.with(|this| match this.get() {
        0 => {
            let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            this.set(number);
            number
        }
        number => number,
    })
}
