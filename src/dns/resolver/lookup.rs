//! The course of one lookup: the names to try, the questions for each, and one callback.

use super::ResolverRef;
use super::found::Found;
use super::plan::Plan;
use super::question::{Kind, Question, Records, Reply};
use crate::base::{self, Live};
use crate::callback::{Outcome, retain};
use crate::dns::{Cause, LookupError};
use crate::error::Result;
use crate::event::InternalEvent;
use crate::ffi;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::os::raw::{c_short, c_void};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

pub(super) type Done = Box<dyn FnOnce(Result<Found, LookupError>) -> Outcome>;
type Early = Box<dyn FnOnce(Vec<IpAddr>)>;

/// How much an error says: of several the one that says most is told.
fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::NoSuchName => 0,
        Cause::NoData => 1,
        Cause::FormatError | Cause::NotImplemented => 2,
        Cause::Refused => 3,
        Cause::ServerFailed => 4,
        Cause::BadAnswer => 5,
        Cause::TimedOut => 6,
        Cause::Truncated => 7,
        _ => 8,
    }
}

pub(super) struct Job {
    resolver: Rc<ResolverRef>,
    /// Its entries among the base's objects, and the resolver's lookups.
    keys: Cell<(usize, usize)>,
    /// Ends it: when its time is over, or with what is `ready`.
    event: InternalEvent,
    deadline: Instant,
    /// As it was asked for.
    asked: String,
    names: RefCell<VecDeque<String>>,
    kinds: Vec<Kind>,
    questions: RefCell<Vec<Rc<Question>>>,
    found: RefCell<Found>,
    /// Whether there is no such name, says the answer for one family.
    missing: Cell<bool>,
    /// What has gone wrong, the worst of it.
    trouble: RefCell<Option<LookupError>>,
    ready: Cell<Option<Result<Found, LookupError>>>,
    /// Who wants to hear of one family's addresses while the other one's are awaited.
    early: Cell<Option<Early>>,
    done: Cell<Option<Done>>,
}

impl Job {
    pub(super) fn start(
        resolver: Rc<ResolverRef>,
        asked: &str,
        plan: Plan,
        done: Done,
    ) -> Result<Lookup> {
        let base = resolver.base.clone();
        let raw_base = base.inner().open()?;
        let patience = resolver.settings().deadline;
        let (names, kinds, ready) = match plan {
            Plan::Known(result) => (VecDeque::new(), Vec::new(), Some(result)),
            Plan::Ask { names, kinds } => (names, kinds, None),
        };
        let now = Instant::now();
        let job = Rc::new(Job {
            resolver,
            keys: Cell::new((usize::MAX, usize::MAX)),
            event: InternalEvent::unset(),
            deadline: now
                .checked_add(patience)
                .unwrap_or(now + Duration::from_secs(1 << 30)),
            asked: asked.to_owned(),
            names: RefCell::new(names),
            kinds,
            questions: RefCell::default(),
            found: RefCell::default(),
            missing: Cell::new(false),
            trouble: RefCell::default(),
            ready: Cell::default(),
            early: Cell::default(),
            done: Cell::new(Some(done)),
        });
        let arg = Rc::as_ptr(&job).cast_mut().cast::<c_void>();
        // SAFETY: the base is alive. The event goes when the job ends, at the latest with the base;
        // until then the resolver has a count on it.
        unsafe { job.event.set(raw_base, on_event, arg)? };
        let weak: Weak<dyn Live> = Rc::downgrade(&(job.clone() as Rc<dyn Live>));
        let key = base.inner().add_object(weak);
        let job_key = job.resolver.jobs.borrow_mut().insert(job.clone());
        job.keys.set((key, job_key));
        match ready {
            Some(result) => job.conclude(result, false),
            None => job.next(false),
        }
        Ok(Lookup { job: Some(job) })
    }

    /// Asks for the next name.
    fn next(self: &Rc<Self>, in_loop: bool) {
        loop {
            let Some(name) = self.names.borrow_mut().pop_front() else {
                let trouble = self.trouble.take();
                let none = || LookupError::new(&*self.asked, Cause::NoSuchName);
                return self.conclude(Err(trouble.unwrap_or_else(none)), in_loop);
            };
            if let Err(why) = self.resolver.begin_servers() {
                let error = LookupError::new(&*self.asked, Cause::NoServer).because(why);
                return self.conclude(Err(error), in_loop);
            }
            // The servers stay, also when C knows the first answer at once.
            self.resolver.asked();
            for &kind in &self.kinds {
                self.ask(kind, &name);
            }
            self.resolver.answered();
            self.found.borrow_mut().name = name;
            self.missing.set(false);
            if !self.questions.borrow().is_empty() {
                return self.event.trigger_after(self.time_left());
            }
            if self.is_settled() {
                return self.settle(in_loop);
            }
        }
    }

    fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn ask(self: &Rc<Self>, kind: Kind, name: &str) {
        match Question::ask(&self.resolver, self, kind, name) {
            Ok(question) => self.questions.borrow_mut().push(question),
            Err(reply) => match kind.instead(&reply) {
                Some(kind) => self.ask(kind, name),
                None => self.take(reply),
            },
        }
    }

    /// One of its questions has an answer.
    pub(super) fn answered(self: &Rc<Self>, question: &Rc<Question>, reply: Reply) {
        self.questions
            .borrow_mut()
            .retain(|other| !Rc::ptr_eq(other, question));
        let missing = matches!(reply.records, Err(Cause::NoSuchName));
        let name = || self.found.borrow().name.clone();
        if let Some(kind) = question.kind.instead(&reply) {
            self.ask(kind, &name());
        } else if let Err(cause) = reply.records
            && self.resolver.others_may_know(cause, question.begun)
        {
            self.ask(question.kind, &name());
        } else {
            self.take(reply);
        }
        if !self.questions.borrow().is_empty() {
            let found = !self.found.borrow().is_empty();
            if found && let Some(early) = self.early.take() {
                let addresses = self.found.borrow().addresses();
                return early(addresses);
            }
            self.missing.set(self.missing.get() || missing);
            if found || missing {
                // The rest has a while yet.
                let delay = self.resolver.settings().family_delay;
                self.event.trigger_after(delay.min(self.time_left()));
            }
        } else if self.is_settled() {
            self.settle(true);
        } else {
            self.next(true);
        }
    }

    /// Notes an answer.
    fn take(&self, reply: Reply) {
        let mut found = self.found.borrow_mut();
        match reply.records {
            Ok(records) => {
                match records {
                    Records::Ipv4(list) => found.ipv4 = list,
                    Records::Ipv6(list) => found.ipv6 = list,
                    Records::Names(list) => found.names = list,
                }
                found.ttl = match (found.ttl, reply.ttl) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
                found.canonical = found.canonical.take().or(reply.canonical);
            }
            Err(cause) => {
                let mut trouble = self.trouble.borrow_mut();
                let old = trouble.as_ref();
                let shortest = match old.filter(|old| old.cause() == cause) {
                    Some(old) => [old.ttl(), reply.ttl].into_iter().flatten().min(),
                    None => reply.ttl,
                };
                if old.is_none_or(|old| rank(cause) >= rank(old.cause())) {
                    *trouble = Some(LookupError::new(&*self.asked, cause).with_ttl(shortest));
                }
            }
        }
    }

    /// Whether no other name is to be tried.
    fn is_settled(&self) -> bool {
        let trouble = self.trouble.borrow();
        let cause = trouble.as_ref().map(LookupError::cause);
        !self.found.borrow().is_empty()
            || matches!(
                cause,
                Some(
                    Cause::TimedOut
                        | Cause::Truncated
                        | Cause::OutOfMemory
                        | Cause::Cancelled
                        | Cause::Closed
                )
            )
    }

    fn settle(self: &Rc<Self>, in_loop: bool) {
        let found = self.found.take();
        let result = match found.is_empty() {
            false => Ok(found),
            true => {
                let trouble = self.trouble.take();
                Err(trouble.unwrap_or_else(|| LookupError::new(&*self.asked, Cause::TimedOut)))
            }
        };
        self.conclude(result, in_loop);
    }

    /// The result: for the closure now, or when the loop is back.
    fn conclude(self: &Rc<Self>, result: Result<Found, LookupError>, in_loop: bool) {
        if in_loop {
            return self.deliver(result);
        }
        self.cancel_questions();
        self.ready.set(Some(result));
        self.event.trigger();
    }

    /// Ends it with an error, from wherever.
    pub(super) fn fail(self: &Rc<Self>, cause: Cause) {
        let error = LookupError::new(&*self.asked, cause);
        self.conclude(Err(error), false);
    }

    fn deliver(&self, result: Result<Found, LookupError>) {
        let Some(done) = self.end() else { return };
        let base = self.resolver.base.inner();
        base.count_callback();
        base.guard(|| done(result));
    }

    /// The event has fired.
    fn on_event(self: &Rc<Self>) {
        match self.ready.take() {
            Some(result) => self.deliver(result),
            // Such a name has no records of any family, though nobody said so for this one.
            None if self.missing.get() && !self.time_left().is_zero() => {
                self.cancel_questions();
                self.next(true);
            }
            // What there is, if there is any.
            None => {
                self.trouble.take();
                self.settle(true);
            }
        }
    }

    fn cancel_questions(&self) {
        let questions = self.questions.take();
        for question in questions {
            question.cancel();
        }
    }

    /// Nothing of it is left but the closure, which is given back.
    fn end(&self) -> Option<Done> {
        let done = self.done.take();
        drop(self.early.take());
        self.event.free();
        self.cancel_questions();
        let (key, job_key) = self.keys.replace((usize::MAX, usize::MAX));
        let job = self.resolver.jobs.borrow_mut().try_remove(job_key);
        let object = self.resolver.base.inner().remove_object(key);
        drop((job, object));
        done
    }
}

impl Live for Job {
    fn kind(&self) -> base::Kind {
        base::Kind::Lookup
    }

    fn close(&self) {
        drop(self.end());
    }

    fn clear(&self) {}
}

unsafe extern "C" fn on_event(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is the job, on which the resolver has a count while the event is there.
    let job = unsafe { retain::<Job>(arg) };
    let base = job.resolver.base.inner().clone();
    base.guard(|| {
        job.on_event();
        drop(job);
    });
}

/// A lookup under way. Dropping it cancels it: its closure is dropped and not called.
#[doc(alias = "evdns_request")]
#[doc(alias = "evdns_getaddrinfo_request")]
#[must_use = "dropping it cancels the lookup; `detach` lets it go on"]
pub struct Lookup {
    /// Empty only while it is detached or cancelled.
    job: Option<Rc<Job>>,
}

impl Lookup {
    /// Lets it go on by itself, until it has an answer or the resolver is closed.
    pub fn detach(mut self) {
        self.job.take();
    }

    /// Cancels it with [`Cause::Cancelled`], which the loop tells its closure; dropping it tells
    /// nobody. Too late, it does nothing.
    #[doc(alias = "evdns_cancel_request")]
    #[doc(alias = "evdns_getaddrinfo_cancel")]
    pub fn cancel(mut self) {
        if let Some(job) = self.job.take() {
            job.fail(Cause::Cancelled);
        }
    }

    /// Lets `early` hear of one family's addresses when the other one's are not there yet. They
    /// are then waited for until the deadline.
    pub(super) fn tell_early(&self, early: impl FnOnce(Vec<IpAddr>) + 'static) {
        if let Some(job) = &self.job {
            job.early.set(Some(Box::new(early)));
        }
    }

    /// Whether its closure was called, or will not be any more.
    pub fn is_done(&self) -> bool {
        self.job.as_ref().is_none_or(|job| job.is_done())
    }
}

impl Job {
    fn is_done(&self) -> bool {
        self.keys.get().0 == usize::MAX
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(job) = &self.job {
            drop(job.end());
        }
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.job.as_ref().map(|job| &job.asked);
        f.debug_struct("Lookup")
            .field("name", &name)
            .field("done", &self.is_done())
            .finish()
    }
}
