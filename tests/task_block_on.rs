//! block_on: how it ends, and what it does on a loop that others use.
#![cfg(feature = "async")]

mod common;
mod tasks;

use common::bounded;
use libevent2::task::{promise, yield_now};
use libevent2::{Error, EventBase, LoopEnd, Timer};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tasks::{Bomb, CBase, Drops, message, panic_of};

const SHORT: Duration = Duration::from_millis(1);

fn base() -> EventBase {
    EventBase::new().unwrap()
}

/// Does something in a callback, a moment later.
fn soon(base: &EventBase, act: impl FnOnce(&libevent2::LoopHandle) + 'static) {
    Timer::after(base, SHORT, act).unwrap().detach();
}

#[test]
fn it_is_stopped_by_exit_and_by_exit_now_and_drops_its_future() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    for (i, stop) in [libevent2::LoopHandle::exit, libevent2::LoopHandle::exit_now]
        .into_iter()
        .enumerate()
    {
        soon(&base, stop);
        let held = drops.hold();
        let end = base.block_on(async move {
            let _held = held;
            pending::<()>().await;
        });
        assert!(matches!(end, Err(Error::Stopped)), "{end:?}");
        assert_eq!(drops.get(), i + 1);
    }
    // By a task, and by the future itself.
    let handle = base.handle().clone();
    drop(base.spawn(async move { handle.exit_now() }));
    let end = base.block_on(pending::<()>());
    assert!(matches!(end, Err(Error::Stopped)), "{end:?}");
    let handle = base.handle().clone();
    let end = base.block_on(async {
        handle.exit_now();
        pending::<()>().await;
    });
    assert!(matches!(end, Err(Error::Stopped)), "{end:?}");
    // The next one is not.
    assert_eq!(base.block_on(async { 1 }).unwrap(), 1);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn it_is_stopped_by_a_remote() {
    let _bounded = bounded();
    let mut base = base();
    let remote = base.remote().unwrap();
    let thread = thread::spawn(move || remote.stop().unwrap());
    let end = base.block_on(pending::<()>());
    assert!(matches!(end, Err(Error::Stopped)), "{end:?}");
    thread.join().unwrap();
}

#[test]
fn an_exit_asked_for_before_it_ends_it_at_once() {
    let _bounded = bounded();
    let mut base = base();
    base.exit_now();
    let end = base.block_on(pending::<()>());
    assert!(matches!(end, Err(Error::Stopped)), "{end:?}");
    base.exit();
    let end = base.block_on(pending::<()>());
    assert!(matches!(end, Err(Error::Stopped)), "{end:?}");
}

#[test]
fn a_callback_that_fails_ends_it_with_the_error() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    let held = drops.hold();
    let timer = Timer::after(&base, SHORT, |_| Err::<(), _>("a callback"));
    let end = base.block_on(async move {
        let _held = held;
        pending::<()>().await;
    });
    assert!(matches!(end, Err(Error::Callback(_))), "{end:?}");
    assert_eq!(drops.get(), 1);
    drop(timer);
}

#[test]
fn a_panic_of_a_callback_or_of_a_task_nobody_awaits_comes_out_of_it() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    soon(&base, |_| panic!("a callback"));
    let held = drops.hold();
    let text = panic_of(|| {
        base.block_on(async move {
            let _held = held;
            pending::<()>().await;
        })
    });
    assert_eq!((&*text, drops.get()), ("a callback", 1));
    drop(base.spawn(async { panic!("a task") }));
    assert_eq!(panic_of(|| base.block_on(pending::<()>())), "a task");
    assert_eq!(base.block_on(async { 1 }).unwrap(), 1);
}

#[test]
fn a_panic_of_the_future_comes_out_of_it_and_the_exit_hooks_run() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    let ended = Rc::new(Cell::new(0));
    let ends = ended.clone();
    base.on_exit(move |_| ends.set(ends.get() + 1));
    let held = drops.hold();
    let text = panic_of(|| {
        base.block_on(async move {
            let _held = held;
            yield_now().await;
            panic!("the future");
        })
    });
    assert_eq!((&*text, drops.get(), ended.get()), ("the future", 1, 1));
    let text = panic_of(|| {
        let bomb = Bomb("its drop");
        base.block_on(poll_fn(move |_| {
            let _bomb = &bomb;
            Poll::Ready(())
        }))
    });
    assert_eq!(text, "its drop");
    assert_eq!(base.block_on(async { 1 }).unwrap(), 1);
}

#[test]
fn tasks_go_on_in_the_next_run() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let (promise, promised) = promise();
    let task = base.spawn(async move {
        let given: i32 = promised.await.unwrap();
        handle.sleep(SHORT).await;
        given + 1
    });
    base.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    })
    .unwrap();
    assert!(!task.is_finished());
    promise.resolve(41);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(task.is_finished());
    assert_eq!(base.block_on(task).unwrap().unwrap(), 42);
}

#[test]
fn it_runs_inside_a_task_of_another_base() {
    let _bounded = bounded();
    let mut outer = base();
    let text = outer.block_on(async {
        yield_now().await;
        let mut inner = base();
        let handle = inner.handle().clone();
        let drops = Drops::default();
        let held = drops.hold();
        drop(inner.spawn(async move {
            let _held = held;
            pending::<()>().await;
        }));
        let text = inner
            .block_on(async {
                let task = handle.spawn(async { "inner" });
                handle.sleep(SHORT).await;
                task.await.unwrap()
            })
            .unwrap();
        drop(inner);
        assert_eq!(drops.get(), 1);
        text
    });
    assert_eq!(text.unwrap(), "inner");
}

#[test]
fn a_panic_inside_another_base_is_the_task_of_the_outer_ones() {
    let _bounded = bounded();
    let mut outer = base();
    let task = outer.spawn(async {
        let mut inner = base();
        drop(inner.spawn(async { panic!("deep") }));
        inner.block_on(pending::<()>()).unwrap();
    });
    let error = outer.block_on(task).unwrap().unwrap_err();
    assert_eq!(message(error.into_panic().unwrap()), "deep");
}

#[test]
fn two_bases_await_each_others_tasks_on_one_thread() {
    let _bounded = bounded();
    let (mut one, mut two) = (base(), base());
    let first = one.spawn(async { 1 });
    let second = two.spawn(async move { first.await.unwrap() + 1 });
    let third = one.spawn(async move { second.await.unwrap() + 1 });
    two.run_nonblocking().unwrap();
    while !third.is_finished() {
        one.run_once().unwrap();
        two.run_nonblocking().unwrap();
    }
    assert_eq!(one.block_on(third).unwrap().unwrap(), 3);
}

#[test]
fn on_an_attached_base_it_runs_cs_loop_and_leaves_it_as_it_was() {
    let _bounded = bounded();
    let c = CBase::new();
    let mut base = c.attach();
    let handle = base.handle().clone();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sees = seen.clone();
    let task = base.spawn(async move {
        for i in 0..3 {
            sees.borrow_mut().push(i);
            handle.sleep(SHORT).await;
        }
    });
    base.block_on(async { yield_now().await }).unwrap();
    // C goes on with it, and returns when there is nothing left.
    assert_eq!(c.run(), 1);
    assert!(task.is_finished());
    assert_eq!(*seen.borrow(), [0, 1, 2]);
}

#[test]
fn a_task_cannot_be_lost_to_a_panic_of_another_one() {
    let _bounded = bounded();
    let mut base = base();
    let done = Rc::new(Cell::new(0));
    for i in 0..300 {
        let done = done.clone();
        drop(base.spawn(async move {
            yield_now().await;
            if i % 3 == 0 {
                panic!("one of many");
            }
            done.set(done.get() + 1);
        }));
    }
    let mut panics = 0;
    while let Err(payload) = catch_unwind(AssertUnwindSafe(|| base.run())) {
        assert_eq!(message(payload), "one of many");
        panics += 1;
    }
    assert_eq!((panics, done.get()), (100, 200));
}
