//! What other threads may do: nothing but through a `Remote`, and that at any time. This binary
//! must pass under ThreadSanitizer.

#[path = "common/mod.rs"]
mod common;

use common::{Bump, bounded, count};
use libevent2::{
    BoxError, CommonTimeout, Error, Event, EventBase, EventConfig, EventRef, Idle, IdleRef, Kind,
    LoopEnd, LoopHandle, Remote, Signal, SignalRef, Stats, Timeout, Timer, TimerRef, UserEvent,
    UserEventRef, log, supported_methods,
};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn what_may_cross_threads_is_send_and_sync() {
    fn send_and_sync<T: Send + Sync>() {}
    // `tests/soundness.rs` has what must not be.
    send_and_sync::<Remote>();
    send_and_sync::<Error>();
    send_and_sync::<BoxError>();
    send_and_sync::<EventConfig>();
    send_and_sync::<LoopEnd>();
    send_and_sync::<Stats>();
    send_and_sync::<log::HookGuard>();
}

/// T48, T54: nothing else may. The call is ambiguous, and so refused, for a type that is `Send` or
/// `Sync`.
#[test]
fn what_belongs_to_a_loop_is_neither_send_nor_sync() {
    trait Stays<Marker> {
        fn here() -> bool {
            true
        }
    }
    struct IsSend;
    struct IsSync;
    impl<T: ?Sized> Stays<()> for T {}
    impl<T: ?Sized + Send> Stays<IsSend> for T {}
    impl<T: ?Sized + Sync> Stays<IsSync> for T {}
    assert!(<EventBase as Stays<_>>::here());
    assert!(<LoopHandle as Stays<_>>::here());
    assert!(<Event<TcpStream> as Stays<_>>::here());
    assert!(<EventRef<TcpStream> as Stays<_>>::here());
    assert!(<Timer as Stays<_>>::here());
    assert!(<TimerRef as Stays<_>>::here());
    assert!(<Signal as Stays<_>>::here());
    assert!(<SignalRef as Stays<_>>::here());
    assert!(<UserEvent as Stays<_>>::here());
    assert!(<UserEventRef as Stays<_>>::here());
    assert!(<Idle as Stays<_>>::here());
    assert!(<IdleRef as Stays<_>>::here());
    assert!(<CommonTimeout as Stays<_>>::here());
    assert!(<Timeout as Stays<_>>::here());
    #[cfg(feature = "async")]
    {
        use libevent2::{task, time};
        assert!(<task::JoinHandle<()> as Stays<_>>::here());
        assert!(<task::Promise<()> as Stays<_>>::here());
        assert!(<task::Promised<()> as Stays<_>>::here());
        assert!(<task::Signals as Stays<_>>::here());
        assert!(<time::Sleep as Stays<_>>::here());
        assert!(<time::Interval as Stays<_>>::here());
        assert!(<time::Timed<()> as Stays<_>>::here());
    }
    #[cfg(all(feature = "async", unix))]
    {
        use libevent2::{net, stream};
        assert!(<net::AsyncFd<TcpStream> as Stays<_>>::here());
        assert!(<net::TcpStream as Stays<_>>::here());
        assert!(<net::TcpListener as Stays<_>>::here());
        assert!(<net::UnixStream as Stays<_>>::here());
        assert!(<net::UnixListener as Stays<_>>::here());
        assert!(<net::UdpSocket as Stays<_>>::here());
        assert!(<net::OwnedReadHalf<net::TcpStream> as Stays<_>>::here());
        assert!(<net::OwnedWriteHalf<net::TcpStream> as Stays<_>>::here());
        assert!(<stream::AsyncStream as Stays<_>>::here());
    }
}

/// For who asks for `Send`, and for who waits on another thread.
#[cfg(feature = "async")]
#[test]
fn what_keeps_a_value_on_its_loop_and_what_waits_for_one_may_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<libevent2::task::OnLoop<std::rc::Rc<()>>>();
    crosses::<libevent2::task::JoinError>();
    fn is_sent<T: Send>() {}
    is_sent::<libevent2::task::RemoteTask<Box<dyn Send>>>();
}

/// T45: libevent's own switch for threads must not be used by two at a time.
#[test]
fn many_threads_can_make_their_first_base_at_once() {
    let _bound = bounded();
    let start = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let start = start.clone();
            thread::spawn(move || {
                start.wait();
                let mut base = EventBase::new().unwrap();
                let ran = count();
                let counted = ran.clone();
                let _ticker = Timer::every(&base, Duration::from_micros(200), move |timer| {
                    if counted.bump() == 20 + n {
                        timer.close();
                    }
                })
                .unwrap();
                assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
                assert_eq!(ran.get(), 20 + n);
                assert!(!supported_methods().is_empty());
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// T45, T54: a base without locks runs while others get theirs.
#[test]
fn a_base_without_locks_can_run_beside_others() {
    let _bound = bounded();
    let unlocked = thread::spawn(|| {
        let mut base = EventConfig::new().no_lock().build().unwrap();
        let mut left = 50;
        let _ticker = Timer::every(&base, Duration::from_micros(100), move |timer| {
            left -= 1;
            if left == 0 {
                timer.close();
            }
        })
        .unwrap();
        base.run().unwrap()
    });
    for _ in 0..20 {
        let mut base = EventBase::new().unwrap();
        base.remote().unwrap().stop().unwrap();
        assert_eq!(base.run().unwrap(), LoopEnd::Break);
    }
    assert_eq!(unlocked.join().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn all_jobs_of_eight_threads_run_in_the_order_of_each_thread() {
    const THREADS: usize = 8;
    const JOBS: usize = 10_000;
    let _bound = bounded();
    let mut base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    let seen: Arc<[AtomicUsize; THREADS]> = Arc::default();
    let total = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|id| {
            let (remote, seen, total) = (remote.clone(), seen.clone(), total.clone());
            thread::spawn(move || {
                for n in 0..JOBS {
                    let (seen, total) = (seen.clone(), total.clone());
                    let job = move |handle: &LoopHandle| {
                        assert_eq!(seen[id].swap(n + 1, SeqCst), n, "out of order");
                        if total.fetch_add(1, SeqCst) + 1 == THREADS * JOBS {
                            handle.exit();
                        }
                    };
                    remote.post(job).unwrap();
                }
            })
        })
        .collect();
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Exit);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(total.load(SeqCst), THREADS * JOBS);
    assert!(seen.iter().all(|seen| seen.load(SeqCst) == JOBS));
    assert_eq!(base.stats().callbacks(), (THREADS * JOBS) as u64);
}

#[test]
fn jobs_run_on_the_loops_thread() {
    let _bound = bounded();
    let mut base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    let home = thread::current().id();
    thread::spawn(move || {
        let job = move |handle: &LoopHandle| {
            assert_eq!(thread::current().id(), home);
            handle.exit();
        };
        remote.post(job).unwrap();
    })
    .join()
    .unwrap();
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Exit);
}

#[test]
fn two_loops_can_play_ping_pong() {
    let _bound = bounded();
    fn hit(here: Remote, there: Remote, left: usize) {
        let (back, target) = (here.clone(), there.clone());
        let job = move |handle: &LoopHandle| {
            if left == 0 {
                back.stop().unwrap();
                handle.exit_now();
            } else {
                hit(target, back, left - 1);
            }
        };
        there.post(job).unwrap();
    }
    let mut here = EventBase::new().unwrap();
    let (sender, receiver) = channel();
    let other = thread::spawn(move || {
        let mut there = EventBase::new().unwrap();
        sender.send(there.remote().unwrap()).unwrap();
        there.run_until_exit().unwrap()
    });
    let there = receiver.recv().unwrap();
    hit(here.remote().unwrap(), there, 1_000);
    assert_eq!(here.run_until_exit().unwrap(), LoopEnd::Break);
    assert_eq!(other.join().unwrap(), LoopEnd::Break);
}

#[test]
fn a_post_after_the_end_of_the_base_fails_and_drops_the_job() {
    let base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    drop(base);
    let token = Arc::new(());
    let kept = token.clone();
    thread::spawn(move || {
        let error = remote.post(move |_| drop(kept)).unwrap_err();
        assert!(matches!(error, Error::Closed { what: "event base" }));
        assert!(matches!(remote.wake(), Err(Error::Closed { .. })));
        assert!(matches!(remote.stop(), Err(Error::Closed { .. })));
        assert!(format!("{remote:?}").contains("open: false"));
    })
    .join()
    .unwrap();
    assert_eq!(Arc::strong_count(&token), 1);
}

/// T2: C forgets a break from before the loop.
#[test]
fn a_stop_before_the_loop_runs_is_not_lost() {
    let _bound = bounded();
    let mut base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    thread::spawn(move || remote.stop().unwrap())
        .join()
        .unwrap();
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Break);
    base.exit_now();
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Break);
    base.exit();
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Exit);
}

/// T2: without a wake the loop would sleep on.
#[test]
fn a_stop_from_another_thread_ends_a_loop_that_waits() {
    let _bound = bounded();
    for _ in 0..50 {
        let mut base = EventBase::new().unwrap();
        let remote = base.remote().unwrap();
        let _far = Timer::after(&base, Duration::from_secs(3600), |_| ()).unwrap();
        let other = thread::spawn(move || remote.stop().unwrap());
        assert_eq!(base.run().unwrap(), LoopEnd::Break);
        other.join().unwrap();
    }
}

#[test]
fn a_wake_ends_the_wait_of_run_once() {
    let _bound = bounded();
    let mut base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    let _far = Timer::after(&base, Duration::from_secs(3600), |_| ()).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let seen = done.clone();
    let other = thread::spawn(move || {
        seen.store(true, SeqCst);
        remote.wake().unwrap();
    });
    // Returns once for each wake, so never without one.
    assert_eq!(base.run_once().unwrap(), LoopEnd::Turn);
    assert!(done.load(SeqCst));
    other.join().unwrap();
}

/// T48: what one thread ends never waits for another one's callback.
#[test]
fn a_base_can_be_dropped_while_threads_post() {
    let _bound = bounded();
    for _ in 0..20 {
        let mut base = EventBase::new().unwrap();
        let remote = base.remote().unwrap();
        let token = Arc::new(());
        let ready = Arc::new(Barrier::new(5));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (remote, token, ready) = (remote.clone(), token.clone(), ready.clone());
                thread::spawn(move || {
                    ready.wait();
                    loop {
                        let token = token.clone();
                        if remote.post(move |_| drop(token)).is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        ready.wait();
        base.exit_after(Duration::from_millis(2)).unwrap();
        assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Exit);
        drop(base);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(Arc::strong_count(&token), 1, "each job ran or was dropped");
    }
}

#[test]
fn a_remote_may_be_the_last_thing_left_of_a_base() {
    let _bound = bounded();
    let base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    let clones: Vec<Remote> = (0..4).map(|_| remote.clone()).collect();
    drop(base);
    for clone in clones {
        thread::spawn(move || drop(clone)).join().unwrap();
    }
    remote.post(|_| ()).unwrap_err();
}

#[test]
fn threads_that_post_do_not_keep_timers_from_running() {
    let _bound = bounded();
    let mut base = EventBase::new().unwrap();
    let remote = base.remote().unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let stop = end.clone();
    let other = thread::spawn(move || {
        while !stop.load(SeqCst) {
            remote.post(|_| ()).unwrap();
        }
    });
    let mut left = 5;
    let _ticker = Timer::every(&base, Duration::from_millis(1), move |timer| {
        left -= 1;
        if left == 0 {
            timer.handle().exit();
        }
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    end.store(true, SeqCst);
    other.join().unwrap();
}

#[test]
fn a_signal_to_the_process_reaches_the_loops_thread() {
    let _bound = bounded();
    let mut base = EventBase::new().unwrap();
    let home = thread::current().id();
    let _signal = Signal::new(&base, libc::SIGUSR1, move |signal| {
        assert_eq!(thread::current().id(), home);
        signal.handle().exit();
    })
    .unwrap();
    let sender = thread::spawn(|| {
        // SAFETY: the signal has a handler, which libevent put there.
        assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) }, 0);
    });
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    sender.join().unwrap();
}

#[test]
fn one_thread_can_end_while_its_objects_live() {
    let _bound = bounded();
    let remote = thread::spawn(|| {
        let base = EventBase::new().unwrap();
        let timer = Timer::after(&base, Duration::ZERO, |_| ()).unwrap();
        assert_eq!(base.stats().live(Kind::Timer), 1);
        let remote = base.remote().unwrap();
        drop(base);
        drop(timer);
        remote
    })
    .join()
    .unwrap();
    remote.wake().unwrap_err();
}

/// The processor time that this thread has used.
#[cfg(target_os = "linux")]
fn cpu_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` has room for what is written, and all zeroes is a value of it.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|tv| Duration::new(tv.tv_sec as u64, tv.tv_usec as u32 * 1_000))
        .sum()
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_loop_uses_less_than_one_percent_of_a_processor() {
    let _bound = bounded();
    let mut base = EventBase::new().unwrap();
    let _remote = base.remote().unwrap();
    let _far = Timer::after(&base, Duration::from_secs(3600), |_| ()).unwrap();
    base.exit_after(Duration::from_secs(1)).unwrap();
    let (start, before) = (Instant::now(), cpu_time());
    assert_eq!(base.run_until_exit().unwrap(), LoopEnd::Exit);
    let (passed, used) = (start.elapsed(), cpu_time() - before);
    assert!(used * 100 < passed, "{used:?} of {passed:?}");
}
