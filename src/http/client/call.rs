//! A request under way: what is asked, who waits for the answer, and until when. It goes over one
//! connection after another, by redirects and repeats.

use super::conn::Conn;
use super::payload::Payload;
use super::url::Url;
use super::{Answer, ClientError, ClientErrorKind, Phase, Shared, Streaming, Timeouts, Upgraded};
use crate::callback::Outcome;
use crate::error::Result;
use crate::{LoopHandle, Timer};
use ::http::{HeaderMap, HeaderValue, Method};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// What is asked; a redirect changes it.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    /// Whether the body waits for `100 Continue`.
    pub(super) expect: bool,
}

/// How it is asked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) timeouts: Timeouts,
    pub(super) max_body: Option<u64>,
    pub(super) redirects: u32,
    pub(super) unix: Option<PathBuf>,
    /// The protocol to change to.
    pub(super) upgrade: Option<HeaderValue>,
}

/// Who waits for the answer.
pub(super) enum Then {
    Answer(Hook<Answer>),
    Open(Hook<Streaming>),
    Upgrade(Hook<Upgraded>),
}

type Hook<T> = Box<dyn FnOnce(Result<T, ClientError>) -> Outcome>;

/// What is waited for, and ends when its time has passed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    For(Phase),
    /// `100 Continue`: the body is sent then.
    Continue,
    /// The next attempt to connect.
    Retry,
}

pub(super) struct Call {
    pub(super) shared: Weak<Shared>,
    pub(super) handle: LoopHandle,
    pub(super) ask: RefCell<Ask>,
    pub(super) settings: Settings,
    then: Cell<Option<Then>>,
    slot: Cell<usize>,
    conn: RefCell<Weak<Conn>>,
    /// Its closure owns the call until that is over, or the base ends.
    timer: RefCell<Option<Timer>>,
    armed: Cell<Option<Instant>>,
    deadline: Option<Instant>,
    wait: Cell<Option<(Wait, Instant)>>,
    /// Why it cannot begin: told by the loop.
    doom: RefCell<Option<ClientErrorKind>>,
    over: Cell<bool>,
    pub(super) hops: Cell<u32>,
    attempts: Cell<u32>,
}

impl Call {
    /// Begins a request.
    pub(super) fn start(
        shared: &Rc<Shared>,
        ask: Ask,
        settings: Settings,
        then: Then,
        doom: Option<ClientErrorKind>,
    ) -> Result<Rc<Self>> {
        let total = settings.timeouts.total;
        let call = Rc::new(Call {
            shared: Rc::downgrade(shared),
            handle: shared.handle.clone(),
            ask: RefCell::new(ask),
            settings,
            then: Cell::new(Some(then)),
            slot: Cell::default(),
            conn: RefCell::default(),
            timer: RefCell::default(),
            armed: Cell::default(),
            deadline: total.and_then(|total| Instant::now().checked_add(total)),
            wait: Cell::default(),
            doom: RefCell::default(),
            over: Cell::new(false),
            hops: Cell::default(),
            attempts: Cell::default(),
        });
        let me = call.clone();
        let timer = Timer::new(&shared.handle, move |_| me.tick())?;
        call.timer.replace(Some(timer));
        call.slot.set(shared.enter(&call));
        if let Some(deadline) = call.deadline {
            call.arm(deadline);
        }
        match doom {
            Some(kind) => call.doom(kind),
            None => call.launch(),
        }
        Ok(call)
    }

    /// Looks for a connection, and goes on there.
    pub(super) fn launch(self: &Rc<Self>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.acquire(self);
        }
    }

    // --- where it is ----------------------------------------------------------------------------

    pub(super) fn set_conn(&self, conn: &Rc<Conn>) {
        self.conn.replace(Rc::downgrade(conn));
    }

    pub(super) fn leave_conn(&self) {
        self.conn.replace(Weak::new());
        self.wait.set(None);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    // --- time -----------------------------------------------------------------------------------

    /// What is waited for from now on, and how long; the timer is set anew only where it would be
    /// too late.
    pub(super) fn wait_for(&self, wait: Wait, limit: Option<Duration>) {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.wait.set(deadline.map(|deadline| (wait, deadline)));
        if let Some(deadline) = deadline {
            self.arm(deadline);
        }
    }

    pub(super) fn wait_for_ever(&self) {
        self.wait.set(None);
    }

    /// Whether nothing is waited for.
    pub(super) fn is_timeless(&self) -> bool {
        self.wait.get().is_none()
    }

    fn arm(&self, deadline: Instant) {
        if self.armed.get().is_some_and(|armed| armed <= deadline) {
            return;
        }
        if let Some(timer) = &*self.timer.borrow()
            && timer.set_at(deadline).is_ok()
        {
            self.armed.set(Some(deadline));
        }
    }

    /// Has the loop end it.
    pub(super) fn doom(&self, kind: ClientErrorKind) {
        self.doom.borrow_mut().get_or_insert(kind);
        self.arm(Instant::now());
    }

    fn tick(self: &Rc<Self>) {
        self.armed.set(None);
        let doom = self.doom.take();
        if let Some(kind) = doom {
            return self.end(kind);
        }
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return self.end(ClientErrorKind::TimedOut(Phase::Total));
        }
        match self.wait.get() {
            Some((wait, deadline)) if deadline <= now => {
                self.wait.set(None);
                if let Some(deadline) = self.deadline {
                    self.arm(deadline);
                }
                match wait {
                    Wait::For(phase) => self.end(ClientErrorKind::TimedOut(phase)),
                    Wait::Retry => self.launch(),
                    Wait::Continue => {
                        if let Some(conn) = self.conn() {
                            conn.proceed();
                        }
                    }
                }
            }
            Some((_, deadline)) => {
                self.arm(self.deadline.map_or(deadline, |total| total.min(deadline)));
            }
            None => {
                if let Some(deadline) = self.deadline {
                    self.arm(deadline);
                }
            }
        }
    }

    fn conn(&self) -> Option<Rc<Conn>> {
        self.conn.borrow().upgrade()
    }

    /// Ends it, wherever it is.
    fn end(self: &Rc<Self>, kind: ClientErrorKind) {
        match self.conn() {
            Some(conn) => conn.broken(kind),
            None => self.fail(kind),
        }
    }

    // --- repeats --------------------------------------------------------------------------------

    /// Whether asking twice is the same as asking once.
    pub(super) fn is_idempotent(&self) -> bool {
        self.ask.borrow().method.is_idempotent()
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.ask.borrow().payload.is_repeatable()
    }

    /// There was no connection: tries again a little later, if that is wanted.
    pub(super) fn retry_connect(self: &Rc<Self>, kind: ClientErrorKind) {
        let retries = self.shared.upgrade().map(|shared| {
            let options = &shared.options;
            (options.connect_retries, options.retry_delay)
        });
        let tried = self.attempts.get();
        match retries {
            Some((limit, delay)) if tried < limit => {
                self.attempts.set(tried + 1);
                let delay = delay.saturating_mul(1 << tried.min(16));
                self.wait_for(Wait::Retry, Some(delay));
            }
            _ => self.fail(kind),
        }
    }

    // --- the end --------------------------------------------------------------------------------

    pub(super) fn answered(self: &Rc<Self>, answer: Answer) {
        self.finish(|then| match then {
            Then::Answer(hook) => hook(Ok(answer)),
            _ => Ok(()),
        });
    }

    pub(super) fn upgraded(self: &Rc<Self>, upgraded: Upgraded) {
        self.finish(|then| match then {
            Then::Upgrade(hook) => hook(Ok(upgraded)),
            _ => Ok(()),
        });
    }

    /// The head is there; the call goes on until the end of the body.
    pub(super) fn opened(self: &Rc<Self>, streaming: Streaming) {
        if let Some(Then::Open(hook)) = self.then.take() {
            self.handle.inner().guard(|| hook(Ok(streaming)));
        }
    }

    pub(super) fn wants_stream(&self) -> bool {
        let then = self.then.take();
        let wants = matches!(then, Some(Then::Open(_)));
        self.then.set(then);
        wants
    }

    pub(super) fn fail(self: &Rc<Self>, kind: ClientErrorKind) {
        let error = {
            let ask = self.ask.borrow();
            ClientError::new(ask.method.clone(), ask.url.to_string(), kind)
        };
        self.finish(|then| match then {
            Then::Answer(hook) => hook(Err(error)),
            Then::Open(hook) => hook(Err(error)),
            Then::Upgrade(hook) => hook(Err(error)),
        });
    }

    fn finish(self: &Rc<Self>, tell: impl FnOnce(Then) -> Outcome) {
        if !self.leave() {
            return;
        }
        if let Some(then) = self.then.take() {
            self.handle.inner().guard(|| tell(then));
        }
        self.settle();
    }

    /// Ends its part of the work; false when that was done before.
    pub(super) fn leave(&self) -> bool {
        if self.over.replace(true) {
            return false;
        }
        let timer = self.timer.take();
        let payload = std::mem::take(&mut self.ask.borrow_mut().payload);
        if let Some(shared) = self.shared.upgrade() {
            shared.exit(self.slot.get());
        }
        self.handle.inner().guard(|| drop((timer, payload)));
        true
    }

    /// After the last callback.
    pub(super) fn settle(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.settle();
        }
    }

    /// Ends it without a word: its callbacks are dropped.
    pub(super) fn cancel(&self) {
        if !self.leave() {
            return;
        }
        let then = self.then.take();
        if let Some(conn) = self.conn() {
            conn.abandon();
        }
        self.handle.inner().guard(|| drop(then));
        self.settle();
    }
}

/// A request under way. Dropping it ends the request: its callbacks are dropped unheard, and its
/// connection is closed.
#[must_use = "dropping it cancels the request; `detach` lets it be"]
pub struct Pending(Weak<Call>);

impl Pending {
    pub(super) fn new(call: Weak<Call>) -> Self {
        Pending(call)
    }

    /// Lets the request go on by itself, until it is answered or its client or base goes.
    pub fn detach(mut self) {
        self.0 = Weak::new();
    }

    /// Whether the request is still under way.
    pub fn is_pending(&self) -> bool {
        self.0.upgrade().is_some_and(|call| !call.is_over())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(call) = self.0.upgrade() {
            call.cancel();
        }
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("pending", &self.is_pending())
            .finish()
    }
}
