//! The ends of tasks: whatever becomes of a base, a handle or a future, what a task held is dropped
//! once, on its own thread, and a panic is told to somebody. Under LeakSanitizer this binary shows
//! that nothing is left.
#![cfg(feature = "async")]

mod common;
mod tasks;

use common::bounded;
use libevent2::task::{JoinError, JoinHandle, yield_now};
use libevent2::{Error, EventBase, LoopEnd, LoopHandle};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tasks::{Bomb, CBase, Drops, OnDrop, panic_of};

fn base() -> EventBase {
    EventBase::new().unwrap()
}

/// Never ends, and holds something.
fn holding(drops: &Drops) -> impl Future<Output = ()> + use<> {
    let held = drops.hold();
    async move {
        let _held = held;
        pending::<()>().await;
    }
}

// --- the base goes -------------------------------------------------------------------------------

#[test]
fn tasks_that_were_never_polled_go_with_the_base() {
    let _bounded = bounded();
    let drops = Drops::default();
    let base = base();
    for _ in 0..1_000 {
        drop(base.spawn(holding(&drops)));
    }
    let kept = base.spawn(holding(&drops));
    assert_eq!(drops.get(), 0);
    drop(base);
    assert_eq!(drops.get(), 1_001);
    assert!(kept.is_finished());
}

#[test]
fn tasks_that_wait_go_with_the_base_and_whoever_awaits_them_hears_of_it() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    let tasks: Vec<_> = (0..1_000).map(|_| base.spawn(holding(&drops))).collect();
    base.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    })
    .unwrap();
    drop(base);
    assert_eq!(drops.get(), 1_000);
    let mut other = self::base();
    for task in tasks {
        assert!(other.block_on(task).unwrap().unwrap_err().is_cancelled());
    }
}

#[test]
fn a_task_of_another_base_is_awaited_until_that_base_goes() {
    let _bounded = bounded();
    let gone = base();
    let task = gone.spawn(pending::<()>());
    let mut here = base();
    let handle = here.handle().clone();
    let end = here
        .block_on(async move {
            handle
                .spawn(async move {
                    yield_now().await;
                    drop(gone);
                })
                .detach();
            task.await
        })
        .unwrap();
    assert!(end.unwrap_err().is_cancelled());
}

#[test]
fn a_task_of_an_attached_base_that_drops_the_base_goes_with_it() {
    let _bounded = bounded();
    let drops = Drops::default();
    let c = CBase::new();
    let base = c.attach();
    let handle = base.handle().clone();
    let held = drops.hold();
    drop(handle.spawn(async move {
        let _held = held;
        drop(base);
        pending::<()>().await;
    }));
    drop(handle);
    c.run();
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_task_that_drops_its_attached_base_takes_the_others_with_it_and_may_go_on_to_its_end() {
    let _bounded = bounded();
    let drops = Drops::default();
    let c = CBase::new();
    let base = c.attach();
    let handle = base.handle().clone();
    let before = handle.spawn(holding(&drops));
    let held = drops.hold();
    let killer = handle.spawn({
        let handle = handle.clone();
        async move {
            let _held = held;
            drop(base);
            assert!(handle.spawn(async {}).is_finished(), "the base is gone");
            42
        }
    });
    let after = handle.spawn(holding(&drops));
    c.run();
    assert_eq!(drops.get(), 3);
    assert!(before.is_finished() && after.is_finished());
    assert_eq!(self::base().block_on(killer).unwrap().unwrap(), 42);
}

#[test]
fn an_attached_base_may_go_with_what_a_task_returns() {
    let _bounded = bounded();
    let drops = Drops::default();
    let c = CBase::new();
    let base = c.attach();
    let handle = base.handle().clone();
    drop(handle.spawn(holding(&drops)));
    drop(handle.spawn(async move { base }));
    drop(handle);
    c.run();
    assert_eq!(drops.get(), 1);
}

#[test]
fn an_attached_base_may_go_with_what_a_task_held() {
    let _bounded = bounded();
    let drops = Drops::default();
    let c = CBase::new();
    let base = c.attach();
    let handle = base.handle().clone();
    drop(handle.spawn(holding(&drops)));
    drop(handle.spawn(async move {
        let _base = base;
        yield_now().await;
    }));
    drop(handle);
    c.run();
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_foreign_loop_runs_tasks() {
    let _bounded = bounded();
    let c = CBase::new();
    let base = c.attach();
    let done = Rc::new(Cell::new(0));
    for _ in 0..1_000 {
        let (handle, done) = (base.handle().clone(), done.clone());
        base.spawn(async move {
            yield_now().await;
            handle.sleep(Duration::from_millis(1)).await;
            done.set(done.get() + 1);
        })
        .detach();
    }
    c.run();
    assert_eq!(done.get(), 1_000);
    // A panic stops C's loop, and can be asked for.
    drop(base.spawn(async { panic!("in C's loop") }));
    c.run();
    let payload = base.take_panic().unwrap();
    assert_eq!(tasks::message(payload), "in C's loop");
}

// --- drops that do something ---------------------------------------------------------------------

#[test]
fn a_future_may_spawn_in_its_drop() {
    let _bounded = bounded();
    let mut base = base();
    let ran = Rc::new(Cell::new(0));
    let spawning = |handle: &LoopHandle| {
        let (handle, ran) = (handle.clone(), ran.clone());
        let guard = OnDrop(move || {
            let ran = ran.clone();
            drop(handle.spawn(async move { ran.set(ran.get() + 1) }));
        });
        async move {
            let _guard = guard;
            pending::<()>().await;
        }
    };
    let task = base.spawn(spawning(base.handle()));
    base.run_nonblocking().unwrap();
    task.cancel();
    base.run().unwrap();
    assert_eq!(ran.get(), 1, "cancelled, it has spawned another one");
    for _ in 0..10 {
        drop(base.spawn(spawning(base.handle())));
    }
    base.run_nonblocking().unwrap();
    drop(base);
    assert_eq!(ran.get(), 1, "there is nobody left to run them");
}

#[test]
fn a_panic_in_the_drop_of_a_task_that_is_done_reaches_run() {
    let _bounded = bounded();
    let mut base = base();
    let bomb = Bomb("done");
    let task = base.spawn(poll_fn(move |_| {
        let _bomb = &bomb;
        Poll::Ready(7)
    }));
    assert_eq!(panic_of(|| base.run()), "done");
    assert_eq!(base.block_on(task).unwrap().unwrap(), 7, "it was done");
}

#[test]
fn a_panic_in_the_drop_of_a_cancelled_task_reaches_run() {
    let _bounded = bounded();
    let mut base = base();
    let bomb = Bomb("cancelled");
    let task = base.spawn(async move {
        let _bomb = &bomb;
        pending::<()>().await;
    });
    base.run_nonblocking().unwrap();
    task.cancel();
    assert_eq!(panic_of(|| base.run()), "cancelled");
    assert!(base.block_on(task).unwrap().unwrap_err().is_cancelled());
}

#[test]
fn a_panic_in_the_drop_of_a_task_comes_out_of_the_drop_of_the_base() {
    let _bounded = bounded();
    let drops = Drops::default();
    let base = base();
    drop(base.spawn(holding(&drops)));
    let bomb = Bomb("with the base");
    drop(base.spawn(async move {
        let _bomb = &bomb;
        pending::<()>().await;
    }));
    drop(base.spawn(holding(&drops)));
    assert_eq!(panic_of(move || drop(base)), "with the base");
    assert_eq!(drops.get(), 2, "the others are dropped all the same");
}

#[test]
fn a_panic_in_the_drop_of_a_value_that_nobody_awaits_reaches_run() {
    let _bounded = bounded();
    let mut base = base();
    drop(base.spawn(async { Bomb("unheard") }));
    assert_eq!(panic_of(|| base.run()), "unheard");
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn two_panics_in_drops_of_one_turn_are_told_as_one() {
    let _bounded = bounded();
    let mut base = base();
    for text in ["first", "second"] {
        let bomb = Bomb(text);
        drop(base.spawn(async move {
            let _bomb = &bomb;
        }));
    }
    assert_eq!(panic_of(|| base.run()), "first");
    assert_eq!(panic_of(|| base.run()), "second", "in the next run");
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

// --- a task and its own handle ---------------------------------------------------------------------

/// A place for the handle of a task in the task.
type Own<T> = Rc<RefCell<Option<JoinHandle<T>>>>;

#[test]
fn a_task_may_cancel_itself() {
    let _bounded = bounded();
    let mut base = base();
    let drops = Drops::default();
    let own = Own::<()>::default();
    let (held, me) = (drops.hold(), own.clone());
    own.replace(Some(base.spawn(async move {
        let _held = held;
        me.borrow().as_ref().unwrap().cancel();
        yield_now().await;
        unreachable!("it was cancelled");
    })));
    base.run().unwrap();
    assert_eq!(drops.get(), 1);
    let task = own.take().unwrap();
    assert!(base.block_on(task).unwrap().unwrap_err().is_cancelled());
}

#[test]
fn a_task_that_cancels_itself_and_is_done_is_done() {
    let _bounded = bounded();
    let mut base = base();
    let own = Own::<i32>::default();
    let me = own.clone();
    own.replace(Some(base.spawn(async move {
        me.borrow().as_ref().unwrap().cancel();
        5
    })));
    base.run().unwrap();
    let task = own.take().unwrap();
    assert_eq!(base.block_on(task).unwrap().unwrap(), 5);
}

#[test]
fn a_task_may_drop_its_own_handle_and_go_on() {
    let _bounded = bounded();
    let mut base = base();
    let done = Rc::new(Cell::new(false));
    let own = Own::<()>::default();
    let (me, set) = (own.clone(), done.clone());
    own.replace(Some(base.spawn(async move {
        drop(me.take());
        yield_now().await;
        set.set(true);
    })));
    base.run().unwrap();
    assert!(done.get());
}

#[test]
fn a_task_that_holds_its_own_handle_goes_with_the_base() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    let own = Own::<()>::default();
    let (held, me) = (drops.hold(), own.clone());
    own.replace(Some(base.spawn(async move {
        let _held = held;
        let me = me.take().unwrap();
        let _ = me.await; // for ever
    })));
    base.run_nonblocking().unwrap();
    drop(base);
    assert_eq!(drops.get(), 1);
}

#[test]
fn tasks_that_await_each_other_go_with_the_base() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    let places: Vec<Own<()>> = (0..10).map(|_| Own::default()).collect();
    for i in 0..10 {
        let (held, next) = (drops.hold(), places[(i + 1) % 10].clone());
        let task = base.spawn(async move {
            let _held = held;
            yield_now().await; // until all have a handle
            let next = next.take().unwrap();
            let _ = next.await;
        });
        places[i].replace(Some(task));
    }
    for _ in 0..5 {
        base.run_nonblocking().unwrap();
    }
    assert_eq!(drops.get(), 0);
    drop(base);
    assert_eq!(drops.get(), 10);
}

// --- handles -----------------------------------------------------------------------------------------

/// What is done to a handle.
const ACTS: [fn(JoinHandle<()>); 4] = [
    |task| drop(task),
    |task| task.detach(),
    |task| task.cancel(),
    |task| drop(task.cancel_on_drop()),
];

#[test]
fn a_handle_may_be_let_go_in_any_way_at_any_time() {
    let _bounded = bounded();
    for (i, act) in ACTS.into_iter().enumerate() {
        // Before the first poll, while it waits, when it is done.
        for turns in 0..4 {
            let drops = Drops::default();
            let ran = Rc::new(Cell::new(false));
            let mut base = base();
            let (held, set) = (drops.hold(), ran.clone());
            let task = base.spawn(async move {
                let _held = held;
                yield_now().await;
                set.set(true);
            });
            for _ in 0..turns {
                base.run_nonblocking().unwrap();
            }
            let done = ran.get();
            act(task);
            assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
            assert_eq!(drops.get(), 1);
            assert_eq!(ran.get(), i < 2 || done, "act {i} after {turns} turns");
        }
    }
}

#[test]
fn a_handle_may_be_let_go_from_inside_the_task() {
    let _bounded = bounded();
    for (i, act) in ACTS.into_iter().enumerate() {
        let drops = Drops::default();
        let ran = Rc::new(Cell::new(false));
        let mut base = base();
        let own = Own::<()>::default();
        let (held, set, me) = (drops.hold(), ran.clone(), own.clone());
        own.replace(Some(base.spawn(async move {
            let _held = held;
            act(me.take().unwrap());
            yield_now().await;
            set.set(true);
        })));
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!((drops.get(), ran.get()), (1, i < 2), "act {i}");
    }
}

#[test]
fn a_cancelled_task_that_is_ready_is_not_polled_again() {
    let _bounded = bounded();
    let mut base = base();
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    let task = base.spawn(poll_fn(move |cx| {
        counted.set(counted.get() + 1);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    base.run_nonblocking().unwrap();
    let before = polls.get();
    assert!(before > 0);
    task.cancel();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(polls.get(), before);
}

#[test]
fn a_panic_is_for_whoever_awaits_the_task() {
    let _bounded = bounded();
    let mut base = base();
    let task = base.spawn(async { panic!("for you") });
    let end: Result<(), JoinError> = base.block_on(task).unwrap();
    let error = end.unwrap_err();
    assert_eq!(error.to_string(), "the task panicked: for you");
    assert_eq!(tasks::message(error.into_panic().unwrap()), "for you");
    // Nobody has asked yet: it waits with the handle, and comes out when that is dropped.
    let task = base.spawn(async { panic!("for nobody") });
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    drop::<JoinHandle<()>>(task);
    assert_eq!(panic_of(|| base.run()), "for nobody");
}

#[test]
fn a_job_on_a_thread_that_panics_is_a_task_that_panics() {
    let _bounded = bounded();
    let mut base = base();
    let job = base.spawn_blocking(|| -> i32 { panic!("on a thread") });
    let error = base.block_on(job).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the task panicked: on a thread");
}

#[test]
fn an_error_of_a_detached_task_stops_the_loop_or_goes_to_the_handler() {
    let _bounded = bounded();
    let mut base = base();
    base.spawn(async { Err::<(), _>("it failed") }).detach();
    let error = base.run().unwrap_err();
    assert!(matches!(error, Error::Callback(_)), "{error:?}");
    let heard = Rc::new(RefCell::new(Vec::new()));
    let hears = heard.clone();
    base.on_error(move |_, error| hears.borrow_mut().push(error.to_string()));
    // Also when it was done before it is detached.
    let late = base.spawn(async { Err::<(), _>("late") });
    base.run().unwrap();
    late.detach();
    base.spawn(async { Err::<(), _>("early") }).detach();
    base.run().unwrap();
    assert_eq!(*heard.borrow(), ["late", "early"]);
}

#[test]
fn a_large_future_is_a_task_as_any() {
    let _bounded = bounded();
    let drops = Drops::default();
    let mut base = base();
    let held = drops.hold();
    let task = base.spawn(async move {
        let _held = held;
        let large = [7u8; 10_000];
        yield_now().await;
        large.iter().map(|&byte| byte as usize).sum::<usize>()
    });
    assert_eq!(base.block_on(task).unwrap().unwrap(), 70_000);
    assert_eq!(drops.get(), 1);
}

#[test]
fn thousands_of_tasks_wait_for_each_other_in_a_row() {
    let _bounded = bounded();
    let mut base = base();
    let mut last: Pin<Box<dyn Future<Output = usize>>> = Box::pin(async { 0 });
    for _ in 0..10_000 {
        let task = base.spawn(last);
        last = Box::pin(async move { task.await.unwrap() + 1 });
    }
    assert_eq!(base.block_on(last).unwrap(), 10_000);
    assert_eq!(base.stats().tasks(), 0);
}
