//! From bytes to requests.

use super::Connection;
use crate::http::exchange::Exchange;
use crate::http::incoming::{BodyError, Inlet, Source};
use crate::http::request::{Received, Request};
use crate::http::response::Response;
use crate::http::routes::{Endpoint, Found, Params};
use crate::http::wire::body::{Decoder, Malformed, Step};
use crate::http::wire::framing::Framing;
use crate::http::wire::request::{self, RequestHead};
use crate::stream::{BufferEventRef, Direction};
use ::http::{HeaderMap, StatusCode};
use std::rc::{Rc, Weak};

/// How much of the input is looked at in one piece, unless a head may be longer.
pub(in crate::http) const SCRATCH: usize = 64 << 10;

/// So much may wait in the output before the next request of a client is read.
const BACKLOG: usize = 256 << 10;

/// So much of a body that nobody wants is read, for the connection to be of use afterwards.
const UNWANTED: u64 = 256 << 10;

/// What the bytes that come next are.
pub(super) enum Reading {
    /// A head, of which so many bytes were looked at already.
    Head { seen: usize },
    /// The body of the current request.
    Body(Box<Intake>),
    /// Something that waits for the current request to be answered.
    Held,
    /// Nothing of use: thrown away until the client closes.
    Lingering,
    /// Somebody else's.
    Upgraded,
}

/// A body on its way.
pub(super) struct Intake {
    decoder: Decoder,
    sink: Sink,
    received: u64,
    limit: u64,
}

enum Sink {
    /// Into memory, for a handler that gets the whole.
    Collect(Box<Pending>),
    Stream(Rc<Inlet>),
    Discard,
}

/// A request that waits for its body.
struct Pending {
    exchange: Rc<Exchange>,
    received: Received,
    target: Destination,
}

/// What becomes of a request when it is whole.
enum Destination {
    Handler(Rc<Endpoint>, Params),
    Answer(Response),
}

impl Connection {
    /// Reads what there is.
    pub(super) fn advance(&self, stream: &BufferEventRef) {
        if self.advancing.replace(true) {
            return;
        }
        let mut scratch = self.server.take_scratch();
        loop {
            let input = stream.input();
            if self.is_hopeless(&input) {
                break;
            }
            // A handler may have changed the limits.
            let room = SCRATCH.max(self.server.limits().header_bytes);
            if scratch.len() < room {
                scratch.resize(room, 0);
            }
            let available = input.copy_to(&mut scratch);
            self.over.set(self.eof.get() && available == input.len());
            let used = self.consume(&scratch[..available]);
            self.received.set(self.received.get() + used as u64);
            if used == 0 || self.closed.get() {
                break;
            }
            stream.input().drain(used);
            if stream.input().is_empty() && used < SCRATCH {
                break;
            }
        }
        self.server.give_scratch(scratch);
        self.advancing.set(false);
        self.bound_input(stream);
    }

    /// Whether the head that is being waited for cannot be whole yet: each byte of it is looked at
    /// a few times at most, however it is cut.
    fn is_hopeless(&self, input: &crate::stream::Input<'_>) -> bool {
        let Reading::Head { seen } = *self.reading.borrow() else {
            return false;
        };
        let len = input.len();
        if seen == 0
            || self.eof.get()
            || len >= 2 * seen
            || len >= self.server.limits().header_bytes
        {
            return false;
        }
        let from = seen.saturating_sub(3);
        input.find(b"\n\r\n", from..).is_none() && input.find(b"\n\n", from..).is_none()
    }

    /// Reads on while the client may go on sending.
    fn bound_input(&self, stream: &BufferEventRef) {
        let waits = match &*self.reading.borrow() {
            Reading::Held | Reading::Body(_) => true,
            Reading::Head { .. } => self.is_backed_up(stream),
            Reading::Lingering | Reading::Upgraded => return,
        };
        let full = waits && stream.input().len() >= SCRATCH;
        let reads = stream.enabled().contains(Direction::READ);
        // It fails for a stream that is closed or at its end.
        if full && reads {
            let _ = stream.disable(Direction::READ);
        } else if !full && !reads && !self.eof.get() {
            let _ = stream.enable(Direction::READ);
        }
    }

    fn is_backed_up(&self, stream: &BufferEventRef) -> bool {
        stream.output().len() >= BACKLOG
    }

    /// Takes from the front of `bytes` as many requests as can be; returns their length.
    fn consume(&self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while !self.closed.get() {
            match self.step(&bytes[at..]) {
                Some(used) => at += used,
                None => break,
            }
        }
        at
    }

    /// One step; `None` when more has to come or happen first.
    fn step(&self, bytes: &[u8]) -> Option<usize> {
        let reading = self.reading.replace(Reading::Held);
        let (next, used) = match reading {
            Reading::Head { seen } => self.read_head(bytes, seen),
            Reading::Body(intake) => self.read_body(bytes, intake),
            Reading::Held => self.next_request(bytes),
            Reading::Lingering => (
                Reading::Lingering,
                (!bytes.is_empty()).then_some(bytes.len()),
            ),
            Reading::Upgraded => (Reading::Upgraded, None),
        };
        // A handler may have ended or taken over the connection meanwhile.
        let mut reading = self.reading.borrow_mut();
        if matches!(*reading, Reading::Held) {
            *reading = next;
        }
        used
    }

    /// What follows an answer, once it is given.
    fn next_request(&self, bytes: &[u8]) -> (Reading, Option<usize>) {
        let exchange = self.current.borrow().clone();
        let Some(exchange) = exchange else {
            return (Reading::Held, None);
        };
        if !exchange.is_given() {
            return (Reading::Held, None);
        }
        drop(self.current.take());
        if exchange.is_last() {
            // A client that has sent more may send even more.
            match self.unread.get() || !bytes.is_empty() {
                true => self.linger(),
                false => self.finish(),
            }
            return (Reading::Lingering, Some(0));
        }
        (Reading::Head { seen: 0 }, Some(0))
    }

    // --- heads ------------------------------------------------------------------------------

    fn read_head(&self, bytes: &[u8], seen: usize) -> (Reading, Option<usize>) {
        let Some(stream) = self.stream() else {
            return (Reading::Lingering, None);
        };
        if bytes.is_empty() || self.is_backed_up(stream) {
            if self.eof.get() && stream.input().is_empty() {
                self.finish();
                return (Reading::Lingering, None);
            }
            return (Reading::Head { seen }, None);
        }
        if seen == 0 {
            self.watch.restart(self.server.tick(), self.progress());
        }
        let limit = self.server.limits().header_bytes;
        match request::parse(&bytes[..bytes.len().min(limit)]) {
            Ok(Some((head, length))) => (self.start(head), Some(length)),
            Ok(None) if bytes.len() >= limit => {
                let line = memchr::memchr(b'\n', &bytes[..limit]).is_some();
                self.refuse(match line {
                    true => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    false => StatusCode::URI_TOO_LONG,
                });
                (Reading::Lingering, Some(0))
            }
            Ok(None) if self.over.get() => {
                self.finish();
                (Reading::Lingering, None)
            }
            Ok(None) => (Reading::Head { seen: bytes.len() }, None),
            Err(status) => {
                self.refuse(status);
                (Reading::Lingering, Some(0))
            }
        }
    }

    /// A request has begun.
    fn start(&self, head: RequestHead) -> Reading {
        let Some(me) = self.me() else {
            return Reading::Lingering;
        };
        self.requests.set(self.requests.get().saturating_add(1));
        let limits = self.server.limits();
        let last = !head.persistent || self.requests.get() >= limits.requests_per_connection;
        let framing = head.framing;
        let expects = head.expects_continue && framing != Framing::Length(0);
        let found = self.server.find(&head);
        let exchange = Exchange::begin(me, &head, last);
        if let Found::Endpoint(endpoint, _) = &found
            && let Some(cors) = &endpoint.cors
        {
            exchange.set_policy(cors.answer_headers(&head.headers()));
        }
        self.current.replace(Some(Rc::clone(&exchange)));

        let (target, limit, streamed) = match found {
            Found::Endpoint(endpoint, params) => {
                let limit = endpoint.body_bytes.unwrap_or(limits.body_bytes);
                let streamed = endpoint.streamed;
                (Destination::Handler(endpoint, params), limit, streamed)
            }
            Found::Answer(response) => (Destination::Answer(response), limits.body_bytes, false),
        };
        let too_long = matches!(framing, Framing::Length(length) if length > limit);
        if too_long {
            self.unread.set(true);
            exchange.set_last();
            exchange.respond(Response::page(StatusCode::PAYLOAD_TOO_LARGE));
            return Reading::Held;
        }
        let received = Received::new(head, self);
        if framing == Framing::Length(0) {
            self.dispatch(exchange, received, target);
            return Reading::Held;
        }
        let mut intake = Box::new(Intake {
            decoder: Decoder::new(framing),
            sink: Sink::Discard,
            received: 0,
            limit,
        });
        match target {
            Destination::Handler(endpoint, params) if streamed => {
                let source: Weak<dyn Source> = self.me.clone();
                let inlet = Inlet::new(self.server.handle(), source);
                intake.sink = Sink::Stream(Rc::clone(&inlet));
                exchange.set_inlet(Some(inlet), expects);
                self.dispatch(exchange, received, Destination::Handler(endpoint, params));
            }
            // Nothing can come of it: the body need not be sent.
            Destination::Answer(response) => {
                if expects {
                    self.unread.set(true);
                    exchange.set_last();
                }
                exchange.respond(response);
                if expects {
                    return Reading::Held;
                }
                intake.limit = UNWANTED;
            }
            target => {
                if expects {
                    self.send_continue();
                }
                intake.sink = Sink::Collect(Box::new(Pending {
                    exchange,
                    received,
                    target,
                }));
            }
        }
        Reading::Body(intake)
    }

    fn dispatch(&self, exchange: Rc<Exchange>, received: Received, target: Destination) {
        match target {
            Destination::Handler(endpoint, params) => {
                let request = Request::new(exchange, received, params);
                self.server.call(endpoint, request);
            }
            Destination::Answer(response) => exchange.respond(response),
        }
    }

    // --- bodies -----------------------------------------------------------------------------

    fn read_body(&self, bytes: &[u8], mut intake: Box<Intake>) -> (Reading, Option<usize>) {
        let current = self.current.borrow().clone();
        if let Some(exchange) = &current
            && exchange.is_given()
            && exchange.is_last()
        {
            // Nothing comes of the rest, and the client may wait for the end of the connection.
            self.unread.set(true);
            intake.give_up(BodyError::Cancelled);
            return (Reading::Held, Some(0));
        }
        if current.is_none_or(|exchange| !intake.is_wanted(&exchange)) {
            intake.give_up(BodyError::Cancelled);
        }
        if let Sink::Stream(inlet) = &intake.sink
            && !inlet.wants_more()
        {
            return (Reading::Body(intake), None);
        }
        let (used, step) = match intake.decoder.step(bytes) {
            Ok(step) => step,
            Err(Malformed(why)) => {
                return (self.bad_body(*intake, BodyError::Malformed(why)), Some(0));
            }
        };
        let so_far = intake.received.saturating_add(intake.decoder.announced());
        if so_far > intake.limit {
            let limit = intake.limit;
            return (
                self.bad_body(*intake, BodyError::TooLong { limit }),
                Some(0),
            );
        }
        match step {
            Step::Wait if self.over.get() => {
                intake.give_up(BodyError::Closed);
                self.abort();
                (Reading::Lingering, None)
            }
            Step::Wait if used == 0 => (Reading::Body(intake), None),
            Step::Wait => (Reading::Body(intake), Some(used)),
            Step::Data(data) => {
                intake.received += data.len() as u64;
                if intake.received > intake.limit {
                    let limit = intake.limit;
                    return (
                        self.bad_body(*intake, BodyError::TooLong { limit }),
                        Some(0),
                    );
                }
                intake.data(data);
                (Reading::Body(intake), Some(used))
            }
            Step::End(trailers) => {
                self.body_is_whole(intake.sink, trailers);
                (Reading::Held, Some(used))
            }
        }
    }

    fn body_is_whole(&self, sink: Sink, trailers: Option<Box<HeaderMap>>) {
        match sink {
            Sink::Collect(pending) => {
                let Pending {
                    exchange,
                    mut received,
                    target,
                } = *pending;
                received.trailers = trailers;
                self.dispatch(exchange, received, target);
            }
            Sink::Stream(inlet) => inlet.end(Ok(trailers.map(|map| *map))),
            Sink::Discard => {}
        }
    }

    /// The body cannot be read to its end, so the connection is of no use after the answer.
    fn bad_body(&self, mut intake: Intake, error: BodyError) -> Reading {
        let status = match error {
            BodyError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        self.unread.set(true);
        let current = self.current.borrow().clone();
        if let Some(exchange) = &current {
            exchange.set_last();
        }
        // A handler that hears of it may give its own answer.
        intake.give_up(error);
        if let Some(exchange) = current {
            exchange.respond(Response::page(status));
        }
        Reading::Held
    }
}

impl Intake {
    fn data(&mut self, data: &[u8]) {
        match &mut self.sink {
            Sink::Collect(pending) => pending.received.body.extend_from_slice(data),
            Sink::Stream(inlet) => inlet.data(data),
            Sink::Discard => {}
        }
    }

    /// Whether anything can come of the rest. An answer that is made piece by piece may follow
    /// the body.
    fn is_wanted(&self, exchange: &Exchange) -> bool {
        match &self.sink {
            Sink::Stream(inlet) if exchange.is_made_in_pieces() => !inlet.is_abandoned(),
            _ => !exchange.is_answered(),
        }
    }

    /// Nobody wants the rest.
    fn give_up(&mut self, error: BodyError) {
        if matches!(self.sink, Sink::Discard) {
            return;
        }
        self.limit = self.limit.min(self.received + UNWANTED);
        if let Sink::Stream(inlet) = std::mem::replace(&mut self.sink, Sink::Discard) {
            inlet.end(Err(error));
        }
    }

    pub(super) fn is_awaited(&self) -> bool {
        !matches!(&self.sink, Sink::Stream(inlet) if !inlet.wants_more())
    }

    pub(super) fn end(mut self, error: BodyError) {
        self.give_up(error);
    }

    /// Who reads it, if somebody does.
    pub(super) fn into_inlet(self) -> Option<Rc<Inlet>> {
        match self.sink {
            Sink::Stream(inlet) => Some(inlet),
            Sink::Collect(_) | Sink::Discard => None,
        }
    }
}

impl Source for Connection {
    fn resume(&self) {
        if let Some(exchange) = self.current.borrow().clone()
            && exchange.take_expects_continue()
        {
            self.send_continue();
        }
        self.wake();
    }
}
