//! A loop on a thread of its own, beside tokio's threads.

mod support;

use libevent2::task::JoinError;
use libevent2::{EventBase, Remote};
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use support::{base, bounded, example};
use tokio::runtime::{Builder, Runtime};

fn start_loop() -> (Remote, JoinHandle<()>) {
    let (there, here) = channel();
    let thread = thread::spawn(move || {
        let mut base = EventBase::new().unwrap();
        there.send(base.remote().unwrap()).unwrap();
        base.run_until_exit().unwrap();
    });
    (here.recv().unwrap(), thread)
}

fn tokio_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(4).enable_all().build().unwrap()
}

#[test]
fn the_example_says_hello_and_finds_addresses() {
    let _bounded = bounded();
    let mut program = example("beside_tokio");
    let output = program.args(["localhost", "127.1.2.3"]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "hello from tokio", "{output:?}");
    assert!(
        lines[1].starts_with("localhost: [") && lines[1].contains("127.0.0.1"),
        "{shown}"
    );
    assert_eq!(lines[2], "127.1.2.3: [127.1.2.3]");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_thousand_tasks_of_tokios_have_work_done_on_the_loop() {
    let _bounded = bounded();
    let (remote, thread) = start_loop();
    let runtime = tokio_threads();
    let tasks: Vec<_> = (0..1000_u64)
        .map(|n| {
            let remote = remote.clone();
            runtime.spawn(async move {
                let there = remote.spawn(move |handle| async move {
                    // Stays there.
                    let n = Rc::new(n);
                    handle.sleep(Duration::from_micros(*n % 10)).await;
                    (*n, thread::current().id())
                });
                there.await.unwrap()
            })
        })
        .collect();
    for (n, task) in (0..).zip(tasks) {
        let result = runtime.block_on(task).unwrap();
        assert_eq!(result, (n, thread.thread().id()));
    }
    remote.stop().unwrap();
    thread.join().unwrap();
}

struct Tells(Sender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

#[test]
fn tokios_timeout_cancels_what_the_loop_does() {
    let _bounded = bounded();
    let (remote, thread) = start_loop();
    let (dropped, heard) = channel();
    let tells = Tells(dropped);
    let timed = tokio_threads().block_on(async {
        let there = remote.spawn(move |handle| async move {
            let _tells = tells;
            handle.sleep(Duration::from_secs(1000)).await;
        });
        tokio::time::timeout(Duration::from_millis(5), there.cancel_on_drop()).await
    });
    assert!(timed.is_err());
    heard.recv().unwrap();
    remote.stop().unwrap();
    thread.join().unwrap();
}

#[test]
fn a_loop_that_ends_ends_what_waits_for_it() {
    let _bounded = bounded();
    let (remote, thread) = start_loop();
    let there = remote.spawn(|_| std::future::pending::<()>());
    let waits = tokio_threads().block_on(async {
        let waits = tokio::spawn(there);
        remote.stop().unwrap();
        waits.await.unwrap()
    });
    assert!(matches!(waits, Err(JoinError::Cancelled)));
    thread.join().unwrap();
}

#[test]
fn the_loop_awaits_a_task_of_tokios() {
    let _bounded = bounded();
    let runtime = tokio_threads();
    let mut base = base();
    let there = runtime.spawn(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        thread::current().id()
    });
    let id = base.block_on(there).unwrap().unwrap();
    assert_ne!(id, thread::current().id());
}

#[test]
fn a_channel_of_tokios_joins_both() {
    let _bounded = bounded();
    let (remote, thread) = start_loop();
    let runtime = tokio_threads();
    // Bounded, so that either side has to wait for the other one.
    let (send, mut receive) = tokio::sync::mpsc::channel(4);
    let sum = remote.spawn(|_| async move {
        let mut sum = 0;
        while let Some(n) = receive.recv().await {
            sum += n;
        }
        sum
    });
    for thousand in 0..4_u64 {
        let send = send.clone();
        runtime.spawn(async move {
            for n in 0..1000 {
                send.send(thousand * 1000 + n).await.unwrap();
            }
        });
    }
    drop(send);
    assert_eq!(runtime.block_on(sum).unwrap(), (0..4000).sum());
    remote.stop().unwrap();
    thread.join().unwrap();
}
