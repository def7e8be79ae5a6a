//! What a task and a switch between tasks take: the same work on each executor. A program prints one
//! number: nanoseconds of CPU time, or bytes of memory, for each.

use cpu_time::ProcessTime;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_lite::StreamExt;
use std::env;
use std::fs;
use std::future::{Future, pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

/// Tasks that are ready at the same time.
const TASKS: usize = 100;
/// Long enough that none wakes while its memory is looked at.
const LONG: Duration = Duration::from_secs(3600);

/// An executor for tasks of one thread.
pub trait Executor: Clone + 'static {
    /// What waits for a task; not dropped before the task is done.
    type Joined: Future + 'static;

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> Self::Joined;

    /// The executor's own way to let others go first.
    fn yield_now() -> impl Future<Output = ()> + 'static;

    fn sleep(&self, time: Duration) -> impl Future + 'static;
}

/// Does what the command line asks for: the name of a work, and how often.
pub async fn work(executor: impl Executor) {
    let args: Vec<String> = env::args().collect();
    let [_, name, count] = &args[..] else {
        panic!("WORK COUNT");
    };
    let count = count.parse().expect("a number");
    let before = ProcessTime::now();
    match name.as_str() {
        "yield" => yields(&executor, count).await,
        "wake" => wakes(&executor, count).await,
        "ping-pong" => ping_pong(&executor, count).await,
        "spawn" => spawns(&executor, count).await,
        "join" => all([executor.spawn(joins(executor.clone(), count))]).await,
        "main" => joins(executor, count).await,
        "idle" => return idle(&executor, count, |_| pending::<()>()).await,
        "asleep" => return idle(&executor, count, asleep).await,
        _ => panic!("no work {name}"),
    }
    println!("{:.2}", before.elapsed().as_nanos() as f64 / count as f64);
}

async fn asleep(executor: impl Executor) {
    executor.sleep(LONG).await;
}

async fn all<J: Future>(tasks: impl IntoIterator<Item = J>) {
    let tasks: Vec<J> = tasks.into_iter().collect();
    for task in tasks {
        task.await;
    }
}

/// A hundred tasks let each other go first, so often in sum.
async fn yields<E: Executor>(executor: &E, count: usize) {
    let task = || async move {
        for _ in 0..count / TASKS {
            E::yield_now().await;
        }
    };
    all((0..TASKS).map(|_| executor.spawn(task()))).await;
}

/// As above; what wakes a task is the task itself, in no other way than another would.
async fn wakes<E: Executor>(executor: &E, count: usize) {
    let task = || async move {
        for _ in 0..count / TASKS {
            let mut is_first = true;
            poll_fn(|cx| {
                if !std::mem::take(&mut is_first) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    };
    all((0..TASKS).map(|_| executor.spawn(task()))).await;
}

/// Two tasks send each other a message, so often in sum.
async fn ping_pong<E: Executor>(executor: &E, count: usize) {
    type Ends = (UnboundedSender<usize>, UnboundedReceiver<usize>);
    async fn player((sender, mut receiver): Ends) {
        while let Some(left) = receiver.next().await {
            if sender.unbounded_send(left.saturating_sub(1)).is_err() || left == 0 {
                break;
            }
        }
    }
    let (to_one, one) = unbounded();
    let (to_other, other) = unbounded();
    to_one.unbounded_send(count).expect("it is open");
    all([
        executor.spawn(player((to_other, one))),
        executor.spawn(player((to_one, other))),
    ])
    .await;
}

/// Empty tasks, a hundred at once.
async fn spawns<E: Executor>(executor: &E, count: usize) {
    for _ in 0..count / TASKS {
        all((0..TASKS).map(|_| executor.spawn(async {}))).await;
    }
}

/// Empty tasks, each of which is waited for before the next is made.
async fn joins(executor: impl Executor, count: usize) {
    for _ in 0..count {
        executor.spawn(async {}).await;
    }
}

/// Prints the bytes that a task takes while it waits for what does not come.
async fn idle<E: Executor, F: Future + 'static>(executor: &E, count: usize, wait: impl Fn(E) -> F) {
    let mut waiting = Vec::with_capacity(count + TASKS);
    let mut spawn = |count| {
        for _ in 0..count {
            let wait = wait(executor.clone());
            waiting.push(executor.spawn(async move {
                wait.await;
            }));
        }
    };
    // Some before, so that what is made once is there.
    spawn(TASKS);
    E::yield_now().await;
    let before = resident();
    spawn(count);
    for _ in 0..count {
        E::yield_now().await;
    }
    println!("{:.1}", (resident() - before) as f64 / count as f64);
    std::process::exit(0);
}

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    1024 * kib.and_then(|kib| kib.parse::<usize>().ok()).expect("KiB")
}
