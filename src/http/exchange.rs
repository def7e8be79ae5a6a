//! One request and its answer.

use super::connection::Connection;
use super::incoming::{BodyError, Inlet};
use super::outgoing::{DrainHook, Outgoing};
use super::response::{Content, Framing, Piece, write_head};
use super::server::ServerRef;
use super::wire::request::RequestHead;
use super::wire::write;
use super::{Response, StatusCode, cors, responder};
use crate::buffer::Buffer;
use crate::callback::Outcome;
use crate::error::{Error, Result};
use crate::stream::{Handler, StreamShare};
use ::http::{HeaderMap, HeaderValue, Method, Version, header};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::rc::{Rc, Weak};

/// How much of a file is read at once and waits to be sent.
const CHUNK: usize = 256 << 10;

/// What became of an answer; see [`Request::on_sent`](super::Request::on_sent).
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

pub(super) type SentHook = Box<dyn FnOnce(Sent) -> Outcome>;
pub(super) type GoneHook = Box<dyn FnOnce() -> Outcome>;

/// What runs from the loop when an exchange is over, or its client gone: who closes a connection
/// may be anywhere in the program.
pub(super) enum Finished {
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

pub(super) struct Exchange {
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
    pub(super) fn begin(connection: Rc<Connection>, head: &RequestHead, last: bool) -> Rc<Self> {
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

    pub(super) fn server(&self) -> &ServerRef {
        &self.connection.server
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Whether it is answered, or nobody is left to be.
    pub(super) fn is_answered(&self) -> bool {
        self.stage.get() > Stage::Open
    }

    pub(super) fn is_given(&self) -> bool {
        self.stage.get() >= Stage::Given
    }

    /// Whether its connection ends with it.
    pub(super) fn is_last(&self) -> bool {
        self.last.get()
    }

    pub(super) fn set_last(&self) {
        self.last.set(true);
    }

    fn with_extra<R>(&self, f: impl FnOnce(&mut Extra) -> R) -> R {
        f(self.extra.borrow_mut().get_or_insert_default())
    }

    fn extra<R>(&self, f: impl FnOnce(&mut Extra) -> Option<R>) -> Option<R> {
        self.extra.borrow_mut().as_deref_mut().and_then(f)
    }

    pub(super) fn set_inlet(&self, inlet: Option<Rc<Inlet>>, expects_continue: bool) {
        self.with_extra(|extra| {
            extra.inlet = inlet;
            extra.expects_continue = expects_continue;
        });
    }

    pub(super) fn inlet(&self) -> Option<Rc<Inlet>> {
        self.extra(|extra| extra.inlet.clone())
    }

    /// Whether the client has to be told to go on, which is done once.
    pub(super) fn take_expects_continue(&self) -> bool {
        self.stage.get() == Stage::Open
            && self.extra(|extra| Some(std::mem::take(&mut extra.expects_continue))) == Some(true)
    }

    /// What is added to the headers of the answer, whoever makes it.
    pub(super) fn set_policy(&self, headers: HeaderMap) {
        self.with_extra(|extra| extra.policy = Some(headers));
    }

    fn by_policy(&self, mut response: Response) -> Response {
        if let Some(headers) = self.extra(|extra| extra.policy.take()) {
            cors::merge(headers, response.headers_mut());
        }
        response
    }

    pub(super) fn set_deferred(&self, number: u64) {
        self.with_extra(|extra| extra.deferred = Some(number));
    }

    /// Whether another thread has the duty to answer.
    pub(super) fn is_deferred(&self) -> bool {
        self.extra(|extra| extra.deferred).is_some()
    }

    // --- hooks ------------------------------------------------------------------------------

    pub(super) fn on_sent(&self, hook: SentHook) {
        if self.stage.get() == Stage::Over {
            let finished = Finished::Sent(hook, self.sent(false));
            return self.server().finish(Some(finished));
        }
        let old = self.with_extra(|extra| extra.sent.replace(hook));
        drop(old);
    }

    pub(super) fn on_disconnect(&self, hook: GoneHook) {
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
    pub(super) fn client_left(&self) {
        let hook = self.extra(|extra| extra.gone.take());
        if let Some(hook) = hook {
            self.server().finish(Some(Finished::Gone(hook)));
        }
    }

    // --- the answer -------------------------------------------------------------------------

    /// Answers, once; later calls and calls without a client do nothing.
    pub(super) fn respond(&self, response: Response) {
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
        if bytes.len() < 16 << 10 {
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
    pub(super) fn send_more(&self) {
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

    // --- an answer that is made piece by piece ----------------------------------------------

    /// Sends the head of an answer whose body follows.
    pub(super) fn start(&self, response: Response) {
        if self.is_answered() {
            return;
        }
        self.stage.set(Stage::Answered);
        let server = self.server();
        let mut out = server.take_out();
        let response = self.by_policy(response);
        let close = response.says_close();
        let (response, framing) = response.framed_for_stream(self.http_10);
        let bodiless = self.is_head || response.status.is_bodiless();
        self.write_head(&mut out, &response, close, framing);
        self.connection.write(&out);
        server.give_out(out);
        self.body_at.set(self.connection.output().0);
        let framing = framing.unwrap_or(Framing::Length(0));
        let framing = if bodiless {
            Framing::Length(0)
        } else {
            framing
        };
        self.with_extra(|extra| extra.streamed = Some(framing));
    }

    /// Whether more of the body can be sent.
    pub(super) fn is_streaming(&self) -> bool {
        self.stage.get() == Stage::Answered && !self.connection.is_closed()
    }

    /// Whether its answer is made piece by piece, and not at its end.
    pub(super) fn is_made_in_pieces(&self) -> bool {
        self.is_streaming() && self.extra(|extra| extra.streamed).is_some()
    }

    /// Sends a piece of the body; false when it is more than there may be.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        let framing = self.extra(|extra| extra.streamed);
        let server = self.server();
        match framing {
            _ if bytes.is_empty() => return true,
            Some(Framing::Chunked) => {
                let mut out = server.take_out();
                write::chunk_size(&mut out, bytes.len());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
                self.connection.write(&out);
                server.give_out(out);
            }
            Some(Framing::UntilClose) => self.connection.write(bytes),
            Some(Framing::Length(left)) => {
                // The answer to HEAD has the length, and no body.
                if self.is_head {
                    return true;
                }
                let Some(left) = left.checked_sub(bytes.len() as u64) else {
                    return false;
                };
                self.with_extra(|extra| extra.streamed = Some(Framing::Length(left)));
                self.connection.write(bytes);
            }
            None => return false,
        }
        self.given.set(self.given.get() + bytes.len() as u64);
        true
    }

    pub(super) fn finish_stream(&self, trailers: Option<&HeaderMap>) {
        if !self.is_streaming() {
            return;
        }
        let extra = self.extra(|extra| Some((extra.streamed.take(), extra.drain.take())));
        let Some((framing, drain)) = extra else {
            return;
        };
        match framing {
            Some(Framing::Chunked) => {
                let mut out = Vec::new();
                write::last_chunk(&mut out, trailers);
                self.connection.write(&out);
            }
            Some(Framing::Length(1..)) => self.connection.abort(),
            _ => {}
        }
        self.give();
        self.server().handle().inner().guard(|| drop(drain));
    }

    /// Who makes the answer has gone without its end.
    pub(super) fn abandon_stream(&self) {
        if self.is_made_in_pieces() {
            self.connection.abort();
        }
    }

    pub(super) fn set_drain(&self, hook: DrainHook, outgoing: Outgoing) {
        let old = self.with_extra(|extra| extra.drain.replace((hook, outgoing)));
        drop(old);
    }

    fn drained(&self) {
        let Some((mut hook, outgoing)) = self.extra(|extra| extra.drain.take()) else {
            return;
        };
        let well = Cell::new(false);
        self.server().handle().inner().guard(|| {
            let result = hook(&outgoing);
            well.set(result.is_ok());
            result
        });
        if !well.get() {
            // Nobody goes on with it.
            self.abandon_stream();
        } else if self.is_streaming() {
            let place = self.with_extra(|extra| {
                let taken = extra.drain.is_some() || extra.streamed.is_none();
                if taken {
                    Some((hook, outgoing))
                } else {
                    extra.drain = Some((hook, outgoing));
                    None
                }
            });
            drop(place);
            return;
        }
        self.server()
            .handle()
            .inner()
            .guard(|| drop((hook, outgoing)));
    }

    // --- another protocol -------------------------------------------------------------------

    /// Answers 101 and gives the stream away.
    pub(super) fn upgrade(&self, response: Response, handler: impl Handler) -> Result<StreamShare> {
        if self.is_answered() {
            return Err(Error::Closed { what: "request" });
        }
        if self.http_10 || self.inlet().is_some() || !self.connection.can_upgrade() {
            self.respond(Response::page(StatusCode::BAD_REQUEST));
            return Err(Error::invalid("upgrade", "not on this connection"));
        }
        self.stage.set(Stage::Answered);
        self.status.set(Some(StatusCode::SWITCHING_PROTOCOLS));
        let server = self.server();
        server.answered(StatusCode::SWITCHING_PROTOCOLS);
        let mut headers = response.headers;
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        let response = Response {
            status: StatusCode::SWITCHING_PROTOCOLS,
            headers,
            body: response.body,
        };
        let mut out = server.take_out();
        write_head(&mut out, &response, None, server, None);
        self.connection.write(&out);
        server.give_out(out);
        self.body_at.set(self.connection.output().0);
        self.give();
        self.connection.upgrade(handler)
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
    pub(super) fn over(&self, complete: bool) {
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
pub(super) trait Bodiless {
    fn is_bodiless(&self) -> bool;
}

impl Bodiless for StatusCode {
    fn is_bodiless(&self) -> bool {
        self.is_informational() || matches!(self.as_u16(), 204 | 304)
    }
}
