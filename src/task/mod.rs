//! Futures on the loop: straight-line code beside callbacks, on one event base.
//!
//! [`EventBase::block_on`](crate::EventBase::block_on) runs the loop until a future is done,
//! [`LoopHandle::spawn`](crate::LoopHandle::spawn) gives the loop a task of its own, which runs
//! whenever the loop does. A task is woken by an event of the loop, by another task or from any
//! thread; it stays on the loop's thread, so it may hold an `Rc`, a `LoopHandle` or a
//! [`BufferEvent`](crate::BufferEvent).
//!
//! ```
//! use libevent2::EventBase;
//! use std::time::Duration;
//!
//! let mut base = EventBase::new()?;
//! let handle = base.handle().clone();
//! let sum = base.block_on(async {
//!     let slow = handle.spawn({
//!         let handle = handle.clone();
//!         async move {
//!             handle.sleep(Duration::from_millis(1)).await;
//!             40
//!         }
//!     });
//!     let job = handle.spawn_blocking(|| 2);
//!     Ok::<_, libevent2::task::JoinError>(slow.await? + job.await?)
//! })?;
//! assert_eq!(sum?, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Cancelling
//!
//! A future that is dropped stops where it waits: what it waited for is taken out of the loop. A
//! task goes on when its [`JoinHandle`] is dropped; [`cancel`](JoinHandle::cancel) ends it. When
//! the base is dropped all tasks are.
//!
//! # Fairness
//!
//! The loop looks at its events after 64 polls of tasks at the latest, and a task whose sockets are
//! always ready is put behind the others after 128 operations.
//!
//! # Callbacks and futures
//!
//! A callback resolves a [`promise`], and the future of it is awaited. A callback starts
//! asynchronous work with [`spawn`](crate::LoopHandle::spawn) on its `handle()`.
//! [`AsyncStream`](crate::stream::AsyncStream) is a bufferevent to be awaited. Where a crate asks
//! for `Send`, [`OnLoop`] keeps a value on its thread.

mod block_on;
mod blocking;
mod executor;
mod join;
mod on_loop;
mod promise;
mod remote;
mod signals;
mod yielding;

pub(crate) use executor::Executor;
pub use join::{JoinError, JoinHandle};
pub use on_loop::OnLoop;
pub use promise::{Broken, Promise, Promised, promise};
pub use remote::RemoteTask;
pub use signals::Signals;
pub use yielding::yield_now;
