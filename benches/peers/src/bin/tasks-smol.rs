//! Tasks on smol's parts: async-executor's `LocalExecutor` and async-io.

use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use bench_peers::tasks::{Executor, work};
use std::rc::Rc;
use std::time::Duration;

#[derive(Clone)]
struct Smol(Rc<LocalExecutor<'static>>);

impl Executor for Smol {
    type Joined = Task<()>;

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> Task<()> {
        self.0.spawn(task)
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        futures_lite::future::yield_now()
    }

    fn sleep(&self, time: Duration) -> impl Future + 'static {
        Timer::after(time)
    }
}

fn main() {
    let executor = Rc::new(LocalExecutor::new());
    async_io::block_on(executor.run(work(Smol(Rc::clone(&executor)))));
}
