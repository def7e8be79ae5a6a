//! Several processes that serve at the same place, and the one that looks after them.

use super::family::{self, Relative};
use super::sockets::Sockets;
use super::{announce, complain, text};
use crate::app::App;
use crate::args::Args;
use libevent2::{EventBase, LoopHandle, Signal, Timer};
use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::process::{self, Child};
use std::rc::Rc;
use std::time::Duration;

/// How long to wait before another takes the place of one that has ended.
const PAUSE: Duration = Duration::from_secs(1);

/// The workers and their places.
struct Workers {
    base: LoopHandle,
    places: Vec<Place>,
    /// Those that finish what they have.
    leaving: RefCell<Vec<Child>>,
    ending: Cell<bool>,
    /// How many have to be ready before the first word; none after that.
    awaited: Cell<Option<usize>>,
    names: Vec<String>,
    /// To tell who has started this process.
    line: Option<UnixStream>,
    failed: Cell<bool>,
}

/// One place to listen, which stays when its worker goes: clients wait for the next one.
struct Place {
    sockets: RefCell<Sockets>,
    worker: RefCell<Option<Relative>>,
}

/// Starts them, and others when they end, until it is told to end.
///
/// # Errors
/// In words.
pub fn run(args: Args, scheme: &str, line: Option<UnixStream>) -> Result<(), String> {
    let count = args.network.workers;
    let sets = Sockets::open(&args.network, count)?;
    let mut base = EventBase::new().map_err(text)?;
    // What cannot be served is told once, and before anything is started.
    drop(App::new(args, &base)?);
    let workers = Rc::new(Workers {
        base: base.clone(),
        names: sets
            .first()
            .map(|set| set.names(scheme))
            .unwrap_or_default(),
        places: sets
            .into_iter()
            .map(|sockets| Place {
                sockets: RefCell::new(sockets),
                worker: RefCell::default(),
            })
            .collect(),
        leaving: RefCell::default(),
        ending: Cell::new(false),
        awaited: Cell::new(Some(count)),
        line,
        failed: Cell::new(false),
    });
    let on = |signum, act: fn(&Rc<Workers>)| {
        let workers = Rc::clone(&workers);
        Signal::new(&base, signum, move |_| act(&workers)).map_err(text)
    };
    let _signals = [
        on(libc::SIGCHLD, |workers| workers.reap())?,
        on(libc::SIGHUP, |workers| workers.renew())?,
        on(libc::SIGINT, |workers| workers.end(libc::SIGINT))?,
        on(libc::SIGTERM, |workers| workers.end(libc::SIGTERM))?,
    ];
    workers.renew();
    base.run().map_err(text)?;
    match workers.failed.get() {
        true => Err("a worker did not start".to_owned()),
        false => Ok(()),
    }
}

impl Workers {
    /// A new worker for each place; the old one finishes what it has when the new one serves.
    fn renew(self: &Rc<Self>) {
        for at in 0..self.places.len() {
            self.start(at);
        }
    }

    fn start(self: &Rc<Self>, at: usize) {
        if self.ending.get() {
            return;
        }
        let all = Rc::clone(self);
        let sockets = self.places[at].sockets.borrow();
        let told = move |worker| all.started(at, worker);
        if let Err(error) = family::start(&self.base, &sockets, true, told) {
            complain(error);
            self.started(at, None);
        }
    }

    fn started(self: &Rc<Self>, at: usize, worker: Option<Relative>) {
        let Some(worker) = worker else {
            return self.not_started(at);
        };
        if self.ending.get() {
            // Its line is closed by that.
            return self.leaving.borrow_mut().push(worker.process);
        }
        let old = self.places[at].worker.replace(Some(worker));
        self.leaving.borrow_mut().extend(old.map(|old| old.process));
        if let Some(left) = self.awaited.get() {
            self.awaited.set((left > 1).then(|| left - 1));
            if left == 1 {
                self.serving();
            }
        }
        // One that has ended at once was no child that anybody knew of.
        self.reap();
    }

    fn serving(&self) {
        announce(&self.names);
        if let Some(line) = &self.line {
            family::ready(line);
        }
    }

    /// At the beginning that is the end; later the place is tried again, if it has no other.
    fn not_started(self: &Rc<Self>, at: usize) {
        if self.awaited.get().is_some() {
            self.failed.set(true);
            self.end(0);
        } else if self.places[at].worker.borrow().is_none() {
            self.start_later(at);
        }
    }

    fn start_later(self: &Rc<Self>, at: usize) {
        let all = Rc::clone(self);
        match Timer::after(&self.base, PAUSE, move |_| all.start(at)) {
            Ok(timer) => timer.detach(),
            Err(error) => complain(error),
        }
    }

    /// Some process has ended.
    fn reap(self: &Rc<Self>) {
        let ended = |process: &mut Child| !matches!(process.try_wait(), Ok(None));
        self.leaving
            .borrow_mut()
            .retain_mut(|process| !ended(process));
        for (at, place) in self.places.iter().enumerate() {
            let mut worker = place.worker.borrow_mut();
            if worker
                .as_mut()
                .is_some_and(|worker| ended(&mut worker.process))
            {
                *worker = None;
                if !self.ending.get() {
                    complain("a worker has ended: another one takes its place");
                    self.start_later(at);
                }
            }
        }
        let none = self
            .places
            .iter()
            .all(|place| place.worker.borrow().is_none());
        if self.ending.get() && none && self.leaving.borrow().is_empty() {
            self.base.exit();
        }
    }

    /// They finish what is in flight; the second time they end at once.
    fn end(self: &Rc<Self>, signum: i32) {
        if self.ending.replace(true) {
            for process in self.leaving.borrow_mut().iter_mut() {
                let _ = process.kill();
            }
            process::exit(128 + signum);
        }
        for place in &self.places {
            place.sockets.borrow_mut().close(false);
            let worker = place.worker.take();
            // Its line is closed by that.
            self.leaving
                .borrow_mut()
                .extend(worker.map(|worker| worker.process));
        }
        self.reap();
    }
}
