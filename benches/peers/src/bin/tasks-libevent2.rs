//! Tasks on this crate's loop.

use bench_peers::tasks::{Executor, work};
use libevent2::task::{JoinHandle, yield_now};
use libevent2::{EventBase, LoopHandle, Result};
use std::time::Duration;

#[derive(Clone)]
struct Libevent(LoopHandle);

impl Executor for Libevent {
    type Joined = JoinHandle<()>;

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        self.0.spawn(task)
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        yield_now()
    }

    fn sleep(&self, time: Duration) -> impl Future + 'static {
        self.0.sleep(time)
    }
}

fn main() -> Result<()> {
    let mut base = EventBase::new()?;
    let executor = Libevent(base.handle().clone());
    base.block_on(work(executor))
}
