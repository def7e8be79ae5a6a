//! Tasks on tokio's current-thread runtime, in a `LocalSet`, as tasks that are not `Send` have to be.

use bench_peers::tasks::{Executor, work};
use std::io;
use std::time::Duration;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

#[derive(Clone)]
struct Tokio;

impl Executor for Tokio {
    type Joined = JoinHandle<()>;

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        spawn_local(task)
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        tokio::task::yield_now()
    }

    fn sleep(&self, time: Duration) -> impl Future + 'static {
        tokio::time::sleep(time)
    }
}

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, work(Tokio));
    Ok(())
}
