//! Names to addresses by the system's resolver, which blocks: on threads of their own.
//!
//! A thread takes one lookup after the other and ends when there is none left. So there are none
//! in a program that looks up nothing, and never more than [`THREADS`]: a thousand names at once
//! are a thousand sockets that wait, not a thousand threads.

use crate::callback::retain;
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::util::{AddrHints, getaddrinfo};
use crate::{LoopHandle, ffi, sync};
use std::cell::Cell;
use std::collections::VecDeque;
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::raw::{c_short, c_void};
use std::os::unix::net::UnixStream;
use std::process;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;

/// How many lookups run at a time in a process. Few names keep a resolver busy, but each one whose
/// server is silent keeps a thread for half a minute.
pub(super) const THREADS: usize = 32;

type Answer = Result<Vec<SocketAddr>>;
type Done = Box<dyn FnOnce(Answer)>;

/// A lookup under way. Dropping it cancels it: nobody is called any more.
pub(crate) struct Lookup(Rc<Waiting>);

struct Waiting {
    event: InternalEvent,
    /// The worker's end is shut down when there is an answer. That needs no signal, reaches us
    /// whatever processes have a copy of it, and works on a base without locks.
    _signal: UnixStream,
    answer: Arc<Mutex<Option<Answer>>>,
    name: String,
    done: Cell<Option<Done>>,
}

impl Lookup {
    /// Looks up `host`. The loop, which runs on meanwhile, calls `done` with what there is for
    /// `port`, at least one address: not from here, and not after the lookup was dropped.
    pub(super) fn start(
        base: &LoopHandle,
        host: &str,
        port: u16,
        hints: AddrHints,
        done: impl FnOnce(Answer) + 'static,
    ) -> Result<Self> {
        let raw_base = base.inner().open()?;
        let (ours, theirs) = UnixStream::pair().map_err(|source| Error::Os {
            op: format!("a socket pair for the lookup of {host}"),
            source,
        })?;
        let fd = ours.as_raw_fd();
        let waiting = Rc::new(Waiting {
            event: InternalEvent::unset(),
            _signal: ours,
            answer: Arc::default(),
            name: host.to_owned(),
            done: Cell::new(Some(Box::new(done))),
        });
        let arg = Rc::as_ptr(&waiting).cast_mut().cast::<c_void>();
        let what = ffi::EV_READ as c_short;
        // SAFETY: the base is alive; whoever has the lookup drops it, and with it the event,
        // before `waiting` or the base goes. The descriptor is open as long.
        unsafe { waiting.event.set_fd(raw_base, fd, what, answered, arg)? };
        if !waiting.event.add(None) {
            return Err(Error::last_os(format!("event_add on descriptor {fd}")));
        }
        let job = Job {
            host: host.to_owned(),
            port,
            hints,
            answer: waiting.answer.clone(),
            signal: theirs,
        };
        hand_over(job)?;
        Ok(Lookup(waiting))
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.event.free();
        self.0.done.take();
    }
}

unsafe extern "C" fn answered(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is the `Waiting` of a lookup, alive while its event is.
    let waiting = unsafe { retain::<Waiting>(arg) };
    waiting.event.free();
    let answer = sync::lock(&waiting.answer).take();
    let answer = answer.unwrap_or_else(|| Err(no_answer(&waiting.name, "it was broken off")));
    if let Some(done) = waiting.done.take() {
        done(answer);
    }
}

fn no_answer(name: &str, why: &str) -> Error {
    Error::Lookup {
        name: name.to_owned(),
        code: libc::EAI_FAIL,
        why: why.to_owned(),
    }
}

// --- the threads ----------------------------------------------------------------------------------

pub(super) struct Job {
    host: String,
    port: u16,
    hints: AddrHints,
    answer: Arc<Mutex<Option<Answer>>>,
    signal: UnixStream,
}

impl Job {
    fn run(self) {
        // Nobody waits any more.
        if Arc::strong_count(&self.answer) == 1 {
            return;
        }
        let hints = self.hints.tcp().numeric_service();
        let found = getaddrinfo(Some(&self.host), Some(&self.port.to_string()), hints);
        let answer = found.and_then(|found| {
            let addresses: Vec<_> = found.iter().map(|info| info.address).collect();
            match addresses.is_empty() {
                true => Err(no_answer(&self.host, "it has no IP address")),
                false => Ok(addresses),
            }
        });
        *sync::lock(&self.answer) = Some(answer);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Fails when nobody waits any more.
        let _ = self.signal.shutdown(Shutdown::Both);
    }
}

pub(super) struct Workers {
    pub(super) running: usize,
    pub(super) waiting: VecDeque<Job>,
    /// A child of `fork` has none of the threads.
    pub(super) process: u32,
}

pub(super) static WORKERS: Mutex<Workers> = Mutex::new(Workers {
    running: 0,
    waiting: VecDeque::new(),
    process: 0,
});

/// Gives a lookup to a new thread, or to the next one that is free when there are enough.
fn hand_over(job: Job) -> Result<()> {
    let mut workers = sync::lock(&WORKERS);
    if workers.process != process::id() {
        workers.process = process::id();
        workers.running = 0;
        // Its sockets are the parent's, and so is to shut them down.
        mem::forget(mem::take(&mut workers.waiting));
    }
    if workers.running == THREADS {
        workers.waiting.push_back(job);
        return Ok(());
    }
    let op = format!("a thread to look up {}", job.host);
    let thread = thread::Builder::new().name("libevent2-lookup".to_owned());
    let spawned = thread.spawn(move || work(job));
    spawned.map_err(|source| Error::Os { op, source })?;
    workers.running += 1;
    Ok(())
}

fn work(first: Job) {
    let mut next = Some(first);
    while let Some(job) = next {
        job.run();
        let mut workers = sync::lock(&WORKERS);
        next = workers.waiting.pop_front();
        if next.is_none() {
            workers.running -= 1;
        }
    }
}
