//! Nobody keeps the loop to himself: not tasks, not the main future, not threads that wake. And who
//! waits costs nothing.
#![cfg(all(feature = "async", unix))]

mod common;
mod tasks;

use common::bounded;
use libevent2::task::{JoinHandle, Promise, promise, yield_now};
use libevent2::{Event, EventBase, Idle, Interest, LoopEnd, LoopHandle, Timer};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tasks::{Wakes, give_waker};

const TICK: Duration = Duration::from_millis(1);

/// How many tasks are polled in one turn, as the documentation says.
const POLLS: usize = 64;

fn base() -> EventBase {
    EventBase::new().unwrap()
}

type Counter = Rc<Cell<usize>>;

fn add(counter: &Counter) {
    counter.set(counter.get() + 1);
}

/// A task that is always ready.
fn busy(base: &LoopHandle, polls: &Counter) -> JoinHandle<()> {
    let polls = polls.clone();
    base.spawn(async move {
        loop {
            add(&polls);
            yield_now().await;
        }
    })
}

/// Calls on each turn of the loop: there is always something to read.
fn each_turn(
    base: &LoopHandle,
    mut call: impl FnMut(&LoopHandle) + 'static,
) -> (Event<UnixStream>, UnixStream) {
    let (here, mut there) = UnixStream::pair().unwrap();
    there.write_all(b"unread").unwrap();
    let event = Event::new(base, here, Interest::READ, move |event, _| {
        call(event.handle());
    });
    (event.unwrap(), there)
}

/// A timer that stops the loop when it has ticked so often.
fn ticks(base: &LoopHandle, count: usize) -> Timer {
    let mut left = count;
    Timer::every(base, TICK, move |timer| {
        left -= 1;
        if left == 0 {
            timer.handle().exit_now();
        }
    })
    .unwrap()
}

#[test]
fn the_loop_looks_at_its_events_after_64_polls_beside_ten_thousand_ready_tasks() {
    let _bounded = bounded();
    let mut base = base();
    let polls = Counter::default();
    for _ in 0..10_000 {
        busy(&base, &polls).detach();
    }
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (looks, counted, mut before) = (seen.clone(), polls.clone(), 0);
    let _reads = each_turn(&base, move |handle| {
        looks.borrow_mut().push(counted.get() - before);
        before = counted.get();
        if looks.borrow().len() == 2_000 {
            handle.exit_now();
        }
    });
    let _ticks = Timer::every(&base, TICK, |_| ()).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    let seen = seen.borrow();
    assert!(seen.iter().all(|&polls| polls <= POLLS), "{seen:?}");
    // And the tasks have theirs: each of 10,000 was polled twelve times or more.
    let polls: usize = seen.iter().sum();
    assert!(polls > 120_000, "{polls}");
}

#[test]
fn ready_tasks_take_turns() {
    let _bounded = bounded();
    let mut base = base();
    let polls: Vec<Counter> = (0..1_000).map(|_| Counter::default()).collect();
    for polls in &polls {
        busy(&base, polls).detach();
    }
    let _ticks = ticks(&base, 50);
    base.run().unwrap();
    let (least, most) = polls.iter().fold((usize::MAX, 0), |(least, most), polls| {
        (least.min(polls.get()), most.max(polls.get()))
    });
    assert!(most > 1 && most - least <= 1, "{least} to {most}");
}

#[test]
fn timers_run_beside_a_task_that_always_spawns_another() {
    fn spawn(base: &LoopHandle) {
        let handle = base.clone();
        drop(base.spawn(async move { spawn(&handle) }));
    }

    let _bounded = bounded();
    let mut base = base();
    spawn(&base);
    let _ticks = ticks(&base, 20);
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
}

#[test]
fn timers_run_beside_threads_that_always_wake() {
    let _bounded = bounded();
    let mut base = base();
    let (to, wakers) = channel::<Waker>();
    for _ in 0..100 {
        drop(base.spawn(give_waker(to.clone())));
    }
    for _ in 0..3 {
        base.run_nonblocking().unwrap();
    }
    let wakers: Vec<_> = wakers.try_iter().collect();
    assert_eq!(wakers.len(), 100);
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (stop, wakers) = (stop.clone(), wakers.clone());
            thread::spawn(move || {
                while !stop.load(SeqCst) {
                    wakers.iter().for_each(Waker::wake_by_ref);
                }
            })
        })
        .collect();
    let _ticks = ticks(&base, 50);
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    stop.store(true, SeqCst);
    threads.into_iter().for_each(|t| t.join().unwrap());
}

#[test]
fn timers_run_beside_tasks_that_wake_each_other() {
    let _bounded = bounded();
    let mut base = base();
    let next = Rc::new(Cell::new(None));
    for _ in 0..2 {
        let next = next.clone();
        drop(base.spawn(async move {
            loop {
                let (promise, promised) = promise();
                if let Some(other) = next.replace(Some(promise)) {
                    Promise::<()>::resolve(other, ());
                }
                let _ = promised.await;
            }
        }));
    }
    let _ticks = ticks(&base, 20);
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
}

// --- the main future -------------------------------------------------------------------------------

#[test]
fn a_main_future_that_lets_others_run_has_its_turn_beside_those_that_are_always_ready() {
    let _bounded = bounded();
    let mut base = base();
    let (polls, reads, idles) = (Counter::default(), Counter::default(), Counter::default());
    busy(&base, &polls).detach();
    let (counted, idled) = (reads.clone(), idles.clone());
    let _reads = each_turn(&base, move |_| add(&counted));
    let _idle = Idle::new(&base, move |_| add(&idled)).unwrap();
    base.block_on(async {
        for _ in 0..1_000 {
            yield_now().await;
        }
    })
    .unwrap();
    // Each time that it yields the others have a turn, and no more than a few.
    assert!((900..5_000).contains(&reads.get()), "{}", reads.get());
    assert!(polls.get() >= 1_000, "{}", polls.get());
}

#[test]
fn a_main_future_that_is_always_ready_leaves_the_others_their_turns() {
    let _bounded = bounded();
    let mut base = base();
    let (polls, done) = (Counter::default(), Rc::new(Cell::new(false)));
    let (handle, set) = (base.handle().clone(), done.clone());
    base.spawn(async move {
        for _ in 0..10 {
            handle.sleep(TICK).await;
        }
        set.set(true);
    })
    .detach();
    base.block_on(async {
        while !done.get() {
            add(&polls);
            yield_now().await;
        }
    })
    .unwrap();
    assert!(polls.get() > 10);
}

#[test]
fn a_main_future_may_wake_itself_a_million_times() {
    let _bounded = bounded();
    let mut base = base();
    let begin = Instant::now();
    let (mut left, ticked) = (1_000_000u32, Counter::default());
    let counted = ticked.clone();
    let _ticker = Timer::every(&base, TICK, move |_| add(&counted)).unwrap();
    base.block_on(std::future::poll_fn(|cx| {
        left -= 1;
        cx.waker().wake_by_ref();
        match left {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }))
    .unwrap();
    eprintln!(
        "a million turns: {:?}, {} ticks",
        begin.elapsed(),
        ticked.get()
    );
    assert!(ticked.get() > 10);
}

#[test]
fn pauses_of_nothing_let_others_run() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let paused = Counter::default();
    let counted = paused.clone();
    drop(base.spawn(async move {
        loop {
            handle.sleep(Duration::ZERO).await;
            add(&counted);
        }
    }));
    let end = ticks(&base, 5);
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    drop(end);
    assert!(paused.get() > 5);
    let handle = base.handle().clone();
    let _end = Timer::after(&base, TICK * 5, |handle| handle.exit_now()).unwrap();
    let end = base.block_on(async {
        loop {
            handle.sleep(Duration::ZERO).await;
        }
    });
    let end: Result<(), _> = end;
    assert!(end.is_err());
}

// --- one turn ----------------------------------------------------------------------------------------

#[test]
fn one_turn_polls_64_tasks_and_returns() {
    let _bounded = bounded();
    let mut base = base();
    let polls = Counter::default();
    for _ in 0..200 {
        busy(&base, &polls).detach();
    }
    for turn in 1..=20 {
        match turn % 2 {
            0 => base.run_once().unwrap(),
            _ => base.run_nonblocking().unwrap(),
        };
        assert_eq!(polls.get(), turn * POLLS);
    }
}

#[test]
fn run_once_waits_for_a_task_that_a_thread_wakes() {
    let _bounded = bounded();
    let mut base = base();
    let task = base.spawn_blocking(|| thread::sleep(TICK * 20));
    let begin = Instant::now();
    let mut turns = 0;
    while !task.is_finished() {
        base.run_once().unwrap();
        turns += 1;
        assert!(turns < 10, "it waits, it does not ask again and again");
    }
    assert!(begin.elapsed() >= TICK * 20);
}

#[test]
fn run_once_without_tasks_or_events_returns() {
    let _bounded = bounded();
    let mut base = base();
    base.block_on(async { yield_now().await }).unwrap();
    assert_eq!(base.run_once().unwrap(), LoopEnd::NoEvents);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

// --- who waits costs nothing -----------------------------------------------------------------------

/// The time that this thread has had of the processor.
fn used() -> Duration {
    // SAFETY: all zeroes is a value of this plain C struct, and `getrusage` fills it.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
        usage
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

#[test]
fn a_program_that_only_sleeps_uses_no_processor() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    // Tasks that wait beside it do not change that.
    for _ in 0..1_000 {
        let handle = handle.clone();
        drop(base.spawn(async move { handle.sleep(Duration::from_secs(3600)).await }));
        drop(base.spawn(pending::<()>()));
    }
    base.block_on(handle.sleep(TICK * 100)).unwrap(); // until all of them wait
    let (callbacks, time) = (base.stats().callbacks(), used());
    base.block_on(handle.sleep(Duration::from_secs(1))).unwrap();
    let (callbacks, time) = (base.stats().callbacks() - callbacks, used() - time);
    eprintln!("one second: {time:?} of the processor, {callbacks} callbacks");
    assert!(time < Duration::from_millis(10), "{time:?}");
    assert!(callbacks <= 2, "{callbacks}");
}

#[test]
fn a_task_that_waits_for_long_is_not_polled_meanwhile() {
    let _bounded = bounded();
    let mut base = base();
    let handle = base.handle().clone();
    let polls = Counter::default();
    let counted = polls.clone();
    let mut sleep = Box::pin(handle.timeout(TICK * 300, handle.sleep(TICK * 100)));
    let task = base.spawn(std::future::poll_fn(move |cx| {
        add(&counted);
        sleep.as_mut().poll(cx)
    }));
    assert_eq!(base.block_on(task).unwrap().unwrap(), Ok(()));
    assert!(polls.get() <= 3, "{}", polls.get());
}

#[test]
fn a_future_that_is_polled_by_another_executor_counts_its_operations_too() {
    let _bounded = bounded();
    let base = base();
    drop(base.spawn(pending::<()>())); // so that there is an executor
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let handle = base.handle().clone();
    let mut endless = pin!(async {
        loop {
            handle.sleep(Duration::ZERO).await;
        }
    });
    for polls in 1..=10 {
        assert!(endless.as_mut().poll(&mut cx).is_pending());
        assert_eq!(wakes.get(), polls);
    }
}
