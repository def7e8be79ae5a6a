//! libevent's own regress cases (test/regress.c, group `main`): fork, and events that end while
//! another thread waits. The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, Count, bounded, count};
use libevent2::{
    Event, EventBase, EventBuilder, EventRef, Interest, LoopEnd, Remote, Signal, Timer,
};
use regress::{TEXT, alone, pair, raise, read, wait_for, write};
use std::cell::{Cell, RefCell};
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

// --- fork ---------------------------------------------------------------------------------------

/// What the child ends with when all went well.
const ALL_WELL: i32 = 76;

/// A signal event that ends itself when it comes.
fn one_signal(base: &EventBase, signum: i32) -> (Count, Signal) {
    let calls = count();
    let seen = Rc::clone(&calls);
    let signal = Signal::new(base, signum, move |signal| {
        assert_eq!(signal.signum(), signum);
        seen.bump();
        signal.close();
    });
    (calls, signal.unwrap())
}

#[test]
fn fork() {
    let _watchdog = bounded();
    alone("fork", fork_with_events);
}

fn fork_with_events() {
    let base = EventBase::new().unwrap();
    // The original makes the base notifiable here; a base with a Remote is.
    let remote = base.remote().unwrap();
    let (there, here) = pair();
    let (child_side, mut parent_side) = UnixStream::pair().unwrap();
    write(&there, TEXT);

    let (calls, ended) = (count(), Rc::new(Cell::new(false)));
    let (seen, seen_end) = (Rc::clone(&calls), Rc::clone(&ended));
    let reader = EventBuilder::new(Interest::READ).once();
    let reader = reader.build(&base, here, move |event: &EventRef<_>, _| {
        let length = read(event.source());
        write(&child_side, b"!");
        if length > 0 && seen.get() == 0 {
            event.add().unwrap();
        } else if length == 0 && seen.get() == 1 {
            seen_end.set(true);
        }
        seen.bump();
    });
    let reader = reader.unwrap();
    let (child_ends, child_signal) = one_signal(&base, libc::SIGCHLD);
    let (existing_calls, existing) = one_signal(&base, libc::SIGUSR2);

    let mut parents = Some(base);
    let pid = regress::fork(|| {
        let mut base = parents.take().expect("its copy");
        // SAFETY: the child of a fork, in a process with one thread, outside of the loop; nothing was
        // done with the base before.
        unsafe { base.reinit_after_fork() }.unwrap();
        child_signal.close();
        let (usr1_calls, usr1) = one_signal(&base, libc::SIGUSR1);
        raise(libc::SIGUSR1);
        raise(libc::SIGUSR2);
        // And a way in from elsewhere works on.
        let posted = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&posted);
        let job = move |_: &_| {
            seen.fetch_add(1, Ordering::Relaxed);
        };
        remote.post(job).unwrap();

        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        drop(base);
        // There was no end of the stream, but both messages.
        assert!(!ended.get());
        assert_eq!(calls.get(), 2);
        assert_eq!((usr1_calls.get(), existing_calls.get()), (1, 1));
        assert_eq!(posted.load(Ordering::Relaxed), 1);
        assert!(usr1.is_closed() && existing.is_closed() && reader.is_closed());
        ALL_WELL
    });

    let mut base = parents.expect("the child took its own");

    // When the child has read the first message it gets the second.
    parent_side.read_exact(&mut [0]).unwrap();
    write(&there, TEXT);
    assert_eq!(wait_for(pid), ALL_WELL);

    // The parent's loop works on.
    write(&there, TEXT);
    there.shutdown(Shutdown::Write).unwrap();
    let (usr1_calls, _usr1) = one_signal(&base, libc::SIGUSR1);
    raise(libc::SIGUSR1);
    raise(libc::SIGUSR2);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(ended.get());
    assert_eq!(calls.get(), 2);
    assert_eq!((usr1_calls.get(), existing_calls.get()), (1, 1));
    assert_eq!(child_ends.get(), 1);
    assert!(child_signal.is_closed() && existing.is_closed());
}

// --- threads ------------------------------------------------------------------------------------

thread_local! {
    /// The event of the loop that runs on this thread. It cannot go to another one; a job that
    /// another thread posts finds it here.
    static EVENT: RefCell<Option<Event<UnixStream>>> = const { RefCell::new(None) };
}

/// A thread that runs a loop with one event, and what it tells.
struct Loop {
    remote: Remote,
    said: Receiver<Instant>,
    thread: JoinHandle<LoopEnd>,
}

/// Starts a loop with a reader of `source`; `callback` may tell something.
fn start(source: UnixStream, callback: impl FnMut(&Sender<Instant>) + Send + 'static) -> Loop {
    let (tell, said) = channel();
    let (give_remote, remote) = channel();
    let thread = thread::spawn(move || {
        let mut base = EventBase::new().unwrap();
        let mut callback = callback;
        let tell_running = tell.clone();
        let event = Event::new(&base, source, Interest::READ, move |_, _| callback(&tell));
        EVENT.set(Some(event.unwrap()));
        // Told from inside the loop.
        let running = Timer::after(&base, Duration::ZERO, move |_| {
            tell_running.send(Instant::now()).unwrap();
        });
        running.unwrap().detach();
        give_remote.send(base.remote().unwrap()).unwrap();
        base.run().unwrap()
    });
    let remote = remote.recv().unwrap();
    said.recv().unwrap();
    Loop {
        remote,
        said,
        thread,
    }
}

#[test]
fn del_wait() {
    let _watchdog = bounded();
    let (here, mut there) = UnixStream::pair().unwrap();
    let finished = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&finished);
    let Loop {
        remote,
        said,
        thread,
    } = start(here, move |tell| {
        tell.send(Instant::now()).unwrap();
        thread::sleep(Duration::from_millis(300));
        seen.fetch_add(1, Ordering::SeqCst);
    });

    std::io::Write::write_all(&mut there, TEXT).unwrap();
    let began = said.recv().unwrap();
    // The callback runs, so that the end of its event has to wait for it.
    let (reply, closed) = channel();
    let job = move |_: &_| {
        drop(EVENT.take());
        reply.send((Instant::now(), finished.load(Ordering::SeqCst)))
    };
    remote.post(job).unwrap();
    let (ended, finished) = closed.recv().unwrap();
    assert_eq!(finished, 1, "once to its end, and not again");
    assert!(ended - began >= Duration::from_millis(300));
    assert_eq!(thread.join().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn del_notify() {
    let _watchdog = bounded();
    // A loop that waits, for ever if it has to, hears that its last event has gone.
    for _ in 0..50 {
        let (here, _there) = UnixStream::pair().unwrap();
        let Loop { remote, thread, .. } = start(here, |_| panic!("nothing to read"));
        remote.post(|_| drop(EVENT.take())).unwrap();
        assert_eq!(thread.join().unwrap(), LoopEnd::NoEvents);
    }
}
