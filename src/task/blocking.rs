//! Work on other threads, awaited on the loop.

use super::JoinHandle;
use crate::LoopHandle;

impl LoopHandle {
    /// Runs `job` on a thread of its own kind, for what would block the loop: files, a long
    /// calculation, a library that waits. It begins at once, as soon as one of the process's threads
    /// for such jobs is free (500 at most; `BLOCKING_MAX_THREADS` in the environment).
    ///
    /// A job that has begun runs to its end, also when it is cancelled or the base is dropped: then
    /// nobody hears what it returns.
    ///
    /// ```
    /// # let mut base = libevent2::EventBase::new()?;
    /// let handle = base.handle().clone();
    /// let text = base.block_on(async {
    ///     handle.spawn_blocking(|| std::fs::read_to_string("Cargo.toml")).await
    /// })?;
    /// assert!(text??.contains("libevent2"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.spawn(blocking::unblock(job))
    }
}
