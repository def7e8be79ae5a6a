//! One request and its answer.

mod stream;
mod upgrade;

use crate::buffer::Buffer;
use crate::callback::Outcome;
use crate::http::connection::{Connection, WORTH_SHARING};
use crate::http::incoming::{BodyError, Inlet};
use crate::http::outgoing::{DrainHook, Outgoing};
use crate::http::response::{Content, Framing, Piece, write_head};
use crate::http::server::ServerRef;
use crate::http::wire::request::RequestHead;
use crate::http::{Response, StatusCode, cors, responder};
use ::http::{HeaderMap, Method, Version};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::rc::{Rc, Weak};

/// How much of a file is read at once and waits to be sent.
const CHUNK: usize = 128 << 10;

/// What became of an answer; see [`Request::on_sent`](crate::http::Request::on_sent).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Its status; `None` when the client was gone before there was an answer.
    pub status: Option<StatusCode>,
    /// How many bytes of the body the system has taken.
    pub body_bytes: u64,
    /// Whether the answer was sent to its end.
    pub complete: bool,
}

pub(in crate::http) type SentHook = Box<dyn FnOnce(Sent) -> Outcome>;
pub(in crate::http) type GoneHook = Box<dyn FnOnce() -> Outcome>;

/// What runs from the loop when an exchange is over, or its client gone: who closes a connection
/// may be anywhere in the program.
pub(in crate::http) enum Finished {
    Sent(SentHook, Sent),
    Gone(GoneHook),
    Body(Rc<Inlet>, BodyError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    /// Not answered yet.
    Open,
    /// Some of the answer is still to be made or read.
    Answered,
    /// The answer is in the output.
    Given,
    /// Sent, or lost.
    Over,
}

pub(in crate::http) struct Exchange {
    me: Weak<Exchange>,
    connection: Rc<Connection>,
    is_head: bool,
    http_10: bool,
    last: Cell<bool>,
    stage: Cell<Stage>,
    status: Cell<Option<StatusCode>>,
    /// Where in the connection's output the body begins, and how many bytes of it were given.
    body_at: Cell<u64>,
    given: Cell<u64>,
    /// What few have.
    extra: RefCell<Option<Box<Extra>>>,
}

#[derive(Default)]
struct Extra {
    sent: Option<SentHook>,
    gone: Option<GoneHook>,
    inlet: Option<Rc<Inlet>>,
    expects_continue: bool,
    /// What the policy of the route adds to the answer.
    policy: Option<HeaderMap>,
    /// Its number among those that another thread answers.
    deferred: Option<u64>,
    pieces: VecDeque<Piece>,
    /// The answer is made piece by piece, with this framing.
    streamed: Option<Framing>,
    drain: Option<(DrainHook, Outgoing)>,
}

impl Exchange {
    pub(in crate::http) fn begin(
        connection: Rc<Connection>,
        head: &RequestHead,
        last: bool,
    ) -> Rc<Self> {
        connection.server.began();
        Rc::new_cyclic(|me| Exchange {
            me: me.clone(),
            connection,
            is_head: head.method == Method::HEAD,
            http_10: head.version == Version::HTTP_10,
            last: Cell::new(last),
            stage: Cell::new(Stage::Open),
            status: Cell::new(None),
            body_at: Cell::new(0),
            given: Cell::new(0),
            extra: RefCell::default(),
        })
    }

    pub(in crate::http) fn server(&self) -> &ServerRef {
        &self.connection.server
    }

    pub(in crate::http) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Whether it is answered, or nobody is left to be.
    pub(in crate::http) fn is_answered(&self) -> bool {
        self.stage.get() > Stage::Open
    }

    pub(in crate::http) fn is_given(&self) -> bool {
        self.stage.get() >= Stage::Given
    }

    /// Whether its connection ends with it.
    pub(in crate::http) fn is_last(&self) -> bool {
        self.last.get()
    }

    pub(in crate::http) fn set_last(&self) {
        self.last.set(true);
    }

    fn with_extra<R>(&self, f: impl FnOnce(&mut Extra) -> R) -> R {
        f(self.extra.borrow_mut().get_or_insert_default())
    }

    fn extra<R>(&self, f: impl FnOnce(&mut Extra) -> Option<R>) -> Option<R> {
        self.extra.borrow_mut().as_deref_mut().and_then(f)
    }

    pub(in crate::http) fn set_inlet(&self, inlet: Option<Rc<Inlet>>, expects_continue: bool) {
        self.with_extra(|extra| {
            extra.inlet = inlet;
            extra.expects_continue = expects_continue;
        });
    }

    pub(in crate::http) fn inlet(&self) -> Option<Rc<Inlet>> {
        self.extra(|extra| extra.inlet.clone())
    }

    /// Whether the client has to be told to go on, which is done once.
    pub(in crate::http) fn take_expects_continue(&self) -> bool {
        self.stage.get() == Stage::Open
            && self.extra(|extra| Some(std::mem::take(&mut extra.expects_continue))) == Some(true)
    }

    /// What is added to the headers of the answer, whoever makes it.
    pub(in crate::http) fn set_policy(&self, headers: HeaderMap) {
        self.with_extra(|extra| extra.policy = Some(headers));
    }

    fn by_policy(&self, mut response: Response) -> Response {
        if let Some(headers) = self.extra(|extra| extra.policy.take()) {
            cors::merge(headers, response.headers_mut());
        }
        response
    }

    pub(in crate::http) fn set_deferred(&self, number: u64) {
        self.with_extra(|extra| extra.deferred = Some(number));
    }

    /// Whether another thread has the duty to answer.
    pub(in crate::http) fn is_deferred(&self) -> bool {
        self.extra(|extra| extra.deferred).is_some()
    }

    // --- hooks ------------------------------------------------------------------------------

    pub(in crate::http) fn on_sent(&self, hook: SentHook) {
        if self.stage.get() == Stage::Over {
            let finished = Finished::Sent(hook, self.sent(false));
            return self.server().finish(Some(finished));
        }
        let old = self.with_extra(|extra| extra.sent.replace(hook));
        drop(old);
    }

    pub(in crate::http) fn on_disconnect(&self, hook: GoneHook) {
        if self.connection.is_half_gone() {
            return self.server().finish(Some(Finished::Gone(hook)));
        }
        if self.stage.get() == Stage::Over {
            return;
        }
        let old = self.with_extra(|extra| extra.gone.replace(hook));
        drop(old);
    }

    /// The client has closed its sending side at least.
    pub(in crate::http) fn client_left(&self) {
        let hook = self.extra(|extra| extra.gone.take());
        if let Some(hook) = hook {
            self.server().finish(Some(Finished::Gone(hook)));
        }
    }

    // --- the answer -------------------------------------------------------------------------

    /// Answers, once; later calls and calls without a client do nothing.
    pub(in crate::http) fn respond(&self, response: Response) {
        if self.is_answered() {
            return;
        }
        self.stage.set(Stage::Answered);
        let server = self.server();
        let mut out = server.take_out();
        let response = self.by_policy(response);
        let close = response.says_close();
        let (response, framing) = response.framed(self.is_head);
        self.write_head(&mut out, &response, close, framing);
        let body = response.body.0;
        if self.is_head || response.status.is_bodiless() {
            self.connection.write(&out);
            server.give_out(out);
            self.body_at.set(self.connection.output().0);
            return self.give();
        }
        self.body_at
            .set(self.connection.output().0 + out.len() as u64);
        match body {
            Content::Bytes(bytes) => self.give_bytes(out, bytes),
            Content::Pieces(pieces) => {
                self.connection.write(&out);
                server.give_out(out);
                self.with_extra(|extra| extra.pieces = pieces);
                self.send_more();
            }
        }
    }

    /// Head and body in one piece, when that is no more than a copy of a few bytes.
    fn give_bytes(&self, mut out: Vec<u8>, bytes: std::borrow::Cow<'static, [u8]>) {
        self.given.set(bytes.len() as u64);
        if bytes.len() < WORTH_SHARING {
            out.extend_from_slice(&bytes);
            self.connection.write(&out);
        } else {
            self.connection.write(&out);
            self.connection.write_shared(bytes);
        }
        self.server().give_out(out);
        self.give();
    }

    fn write_head(
        &self,
        out: &mut Vec<u8>,
        response: &Response,
        asked: bool,
        framing: Option<Framing>,
    ) {
        let server = self.server();
        let unframed = framing == Some(Framing::UntilClose);
        // A client that was not told to send the body may do so or not: what comes next on the
        // connection cannot be known.
        let unasked = self
            .extra(|extra| extra.expects_continue.then_some(()))
            .is_some();
        if asked || unframed || unasked || server.is_closing() {
            self.set_last();
        }
        self.status.set(Some(response.status));
        server.answered(response.status);
        let connection = match self.last.get() {
            true => Some("close"),
            false => self.http_10.then_some("keep-alive"),
        };
        write_head(out, response, framing, server, connection);
    }

    /// All of the answer is in the output.
    fn give(&self) {
        if self.stage.get() != Stage::Answered {
            return;
        }
        self.stage.set(Stage::Given);
        if let Some(me) = self.me.upgrade() {
            self.connection.given(&me);
        }
    }

    /// Puts more of the answer behind what is being sent, when that was sent.
    pub(in crate::http) fn send_more(&self) {
        if self.stage.get() != Stage::Answered {
            return;
        }
        if self.extra(|extra| extra.streamed).is_some() {
            return self.drained();
        }
        loop {
            let piece = self.extra(|extra| extra.pieces.pop_front());
            match piece {
                None => return self.give(),
                Some(Piece::Bytes(bytes)) => {
                    self.given.set(self.given.get() + bytes.len() as u64);
                    self.connection.write_shared(bytes);
                }
                Some(Piece::File { file, at, left }) => {
                    let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                    let mut buffer = Buffer::new();
                    let read =
                        buffer.append_with(want, |space| read_at(&file, space, at).unwrap_or(0));
                    let Ok(read @ 1..) = read else {
                        // No byte before the end: the promised length cannot be kept.
                        return self.connection.abort();
                    };
                    self.given.set(self.given.get() + read as u64);
                    self.connection.write_buffer(&mut buffer);
                    let left = left - read as u64;
                    if left > 0 {
                        let at = at + read as u64;
                        let rest = Piece::File { file, at, left };
                        self.with_extra(|extra| extra.pieces.push_front(rest));
                    }
                }
            }
            let more = self.extra(|extra| extra.pieces.front().map(|_| ()));
            let full = self.connection.output().1 >= CHUNK as u64;
            if self.connection.is_closed() || (full && more.is_some()) {
                return;
            }
        }
    }

    // --- the end ----------------------------------------------------------------------------

    fn sent(&self, complete: bool) -> Sent {
        let (written, left) = self.connection.output();
        // Who has upgraded writes what is not counted.
        let taken = written
            .saturating_sub(left)
            .saturating_sub(self.body_at.get());
        let given = self.given.get();
        Sent {
            status: self.status.get(),
            body_bytes: if complete { given } else { taken.min(given) },
            complete,
        }
    }

    /// It was sent, or cannot be any more.
    pub(in crate::http) fn over(&self, complete: bool) {
        if self.stage.replace(Stage::Over) == Stage::Over {
            return;
        }
        let extra = self.extra.take();
        let sent = self.sent(complete);
        let finished = extra.map(|extra| {
            let Extra {
                sent: hook,
                gone,
                inlet,
                deferred,
                pieces,
                drain,
                ..
            } = *extra;
            drop(deferred.and_then(responder::forget));
            let inner = self.server().handle().inner();
            inner.guard(|| drop((gone, inlet, pieces, drain)));
            hook.map(|hook| Finished::Sent(hook, sent))
        });
        self.server().ended();
        self.server().finish(finished.flatten());
    }
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

/// Whether an answer of this status has no body.
pub(in crate::http) trait Bodiless {
    fn is_bodiless(&self) -> bool;
}

impl Bodiless for StatusCode {
    fn is_bodiless(&self) -> bool {
        self.is_informational() || matches!(self.as_u16(), 204 | 304)
    }
}
