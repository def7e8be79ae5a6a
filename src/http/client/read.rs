//! The answer as it comes in.

use super::answer::{Answer, Streaming, Upgraded};
use super::call::{Call, Wait};
use super::conn::{Conn, Stage};
use super::redirect::Hop;
use super::{ClientErrorKind, Phase};
use crate::http::incoming::{Incoming, Inlet, Source};
use crate::http::wire::body::{Decoder, Step};
use crate::http::wire::framing::Framing;
use crate::http::wire::response::{self, ResponseHead};
use crate::stream::Direction;
use ::http::{HeaderMap, Method, StatusCode, Version};
use std::mem;
use std::rc::{Rc, Weak};

/// How many answers that are not final may come before the final one.
const INTERIMS: u32 = 32;

/// The most bytes of the body of an answer that nobody wants, such as a redirect's.
const DISCARDED: u64 = 64 << 10;

/// The most bytes that are laid together to find the end of a line in them.
const IN_ONE_PIECE: usize = 16 << 10;

/// What is expected next.
#[derive(Default)]
pub(super) enum Reading {
    /// Nothing.
    #[default]
    Idle,
    Head(Head),
    Body(Box<BodyState>),
    /// It is being looked at.
    Busy,
}

/// A head that is not whole.
#[derive(Default)]
pub(super) struct Head {
    /// Looked at when so much is there, to refuse what cannot become right.
    next: usize,
    /// How far its end was looked for.
    seen: usize,
    interims: u32,
}

pub(super) struct BodyState {
    pub(super) decoder: Decoder,
    pub(super) sink: Sink,
    /// Bytes of it that may still come.
    room: Option<(u64, u64)>,
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    persistent: bool,
}

/// Where a body goes.
pub(super) enum Sink {
    Collect(Vec<u8>),
    Inlet(ToInlet),
    Discard(Hop),
}

impl Sink {
    pub(super) fn inlet(&self) -> Option<&Inlet> {
        match self {
            Sink::Inlet(inlet) => Some(&inlet.0),
            _ => None,
        }
    }
}

/// Drops the callbacks that are left when nobody has told them of an end.
pub(super) struct ToInlet(Rc<Inlet>);

impl Drop for ToInlet {
    fn drop(&mut self) {
        self.0.forget();
    }
}

impl Head {
    /// Takes a head off the input when it is whole.
    fn take(
        &mut self,
        conn: &Conn,
        method: &Method,
        limit: usize,
    ) -> Result<Option<ResponseHead>, ClientErrorKind> {
        let Some(stream) = conn.stream() else {
            return Ok(None);
        };
        let input = stream.input();
        let length = input.len();
        if length <= self.seen {
            return Ok(None);
        }
        conn.heard.set(true);
        let range = self.seen.saturating_sub(3)..length.min(limit.saturating_add(1));
        let ends =
            [&b"\n\r\n"[..], b"\n\n"].map(|end| Some(input.find(end, range.clone())? + end.len()));
        let end = ends.into_iter().flatten().min();
        self.seen = length;
        if end.is_none() && length < self.next {
            return Ok(None);
        }
        self.next = length.saturating_mul(2);
        let mut bytes = vec![0; end.unwrap_or(range.end)];
        input.copy_to(&mut bytes);
        match response::parse(&bytes, method) {
            Err(why) => Err(ClientErrorKind::Malformed(why)),
            Ok(Some((head, length))) if length <= limit => {
                input.drain(length);
                (self.next, self.seen) = (0, 0);
                Ok(Some(head))
            }
            Ok(None) if bytes.len() <= limit => Ok(None),
            Ok(_) => Err(ClientErrorKind::TooLong {
                what: "head",
                limit: limit as u64,
            }),
        }
    }
}

impl Conn {
    /// Whether whoever takes the body wants nothing now.
    pub(super) fn is_paused(&self) -> bool {
        match &*self.reading.borrow() {
            Reading::Body(state) => state.sink.inlet().is_some_and(|inlet| !inlet.wants_more()),
            _ => false,
        }
    }

    /// Does one thing with the input; false when there is nothing to do.
    pub(super) fn step(self: &Rc<Self>) -> bool {
        match self.reading.replace(Reading::Busy) {
            Reading::Head(head) => self.read_head(head),
            Reading::Body(state) => self.read_body(state),
            reading => {
                let idle = matches!(reading, Reading::Idle);
                self.reading.replace(reading);
                let ready = self.stage.get() == Stage::Ready;
                // A server that speaks without being asked is not one to ask again.
                if idle
                    && ready
                    && self
                        .stream()
                        .is_some_and(|stream| !stream.input().is_empty())
                {
                    self.broken(ClientErrorKind::Closed);
                }
                false
            }
        }
    }

    fn read_head(self: &Rc<Self>, mut state: Head) -> bool {
        let (Some(call), Some(shared)) = (self.call(), self.shared.upgrade()) else {
            return false;
        };
        let tunnel = self.stage.get() == Stage::Tunnel;
        let method = match tunnel {
            true => Method::CONNECT,
            false => call.ask.borrow().method.clone(),
        };
        let head = match state.take(self, &method, shared.options.header_bytes) {
            Ok(Some(head)) => head,
            Ok(None) => {
                self.reading.replace(Reading::Head(state));
                return false;
            }
            Err(kind) => {
                self.broken(kind);
                return false;
            }
        };
        if head.status == StatusCode::SWITCHING_PROTOCOLS && !tunnel {
            self.switched(&call, head);
            return false;
        }
        if head.status.is_informational() {
            state.interims += 1;
            if state.interims > INTERIMS {
                let why = "it is not final, time and again";
                self.broken(ClientErrorKind::Malformed(why));
                return false;
            }
            self.reading.replace(Reading::Head(state));
            if head.status == StatusCode::CONTINUE && !tunnel {
                self.proceed();
            }
            return true;
        }
        self.reading.replace(Reading::Idle);
        if tunnel {
            self.tunnel(&head);
            return false;
        }
        self.answer(&call, head)
    }

    /// The final head.
    fn answer(self: &Rc<Self>, call: &Rc<Call>, head: ResponseHead) -> bool {
        self.give_up_waiting();
        #[cfg(feature = "cookies")]
        if let Some(shared) = self.shared.upgrade() {
            shared.take_cookies(&call.ask.borrow().url, &head.headers);
        }
        let hop = match call.hop(&head) {
            Ok(hop) => hop,
            Err(kind) => {
                self.broken(kind);
                return false;
            }
        };
        if hop.is_none() && call.settings.upgrade.is_some() {
            self.broken(ClientErrorKind::NotUpgraded(head.status));
            return false;
        }
        let limit = match (&hop, call.wants_stream()) {
            (Some(_), _) => Some(DISCARDED),
            (None, _) => call.settings.max_body,
        };
        let length = match head.framing {
            Framing::Length(length) => Some(length),
            _ => None,
        };
        if let (Some(limit), Some(length), None) = (limit, length, &hop)
            && length > limit
        {
            let what = "body";
            self.broken(ClientErrorKind::TooLong { what, limit });
            return false;
        }
        let mut state = BodyState {
            decoder: Decoder::new(head.framing),
            sink: Sink::Collect(Vec::new()),
            room: limit.map(|limit| (limit, limit)),
            status: head.status,
            version: head.version,
            headers: head.headers,
            persistent: head.persistent,
        };
        call.wait_for(Wait::For(Phase::Body), call.settings.timeouts.body);
        if let Some(hop) = hop {
            state.sink = Sink::Discard(hop);
        } else if call.wants_stream() {
            let source: Rc<dyn Source> = self.clone();
            let source: Weak<dyn Source> = Rc::downgrade(&source);
            let inlet = Inlet::new(&self.handle, source);
            let streaming = Streaming {
                status: state.status,
                version: state.version,
                headers: mem::take(&mut state.headers),
                url: call.ask.borrow().url.to_string(),
                incoming: Incoming::new(inlet.clone()),
            };
            state.sink = Sink::Inlet(ToInlet(inlet));
            self.reading.replace(Reading::Body(Box::new(state)));
            call.opened(streaming);
            return true;
        } else if let Some(length) = length {
            let most = 1 << 20;
            state.sink = Sink::Collect(Vec::with_capacity(length.min(most) as usize));
        }
        self.reading.replace(Reading::Body(Box::new(state)));
        true
    }

    /// Reads on in the body.
    fn read_body(self: &Rc<Self>, mut state: Box<BodyState>) -> bool {
        let (Some(call), Some(stream), Some(mut buffer)) =
            (self.call(), self.stream(), self.received.take())
        else {
            return false;
        };
        let mut fresh = false;
        loop {
            if state.sink.inlet().is_some_and(|inlet| !inlet.wants_more()) {
                call.wait_for_ever();
                break;
            }
            if buffer.is_empty() {
                fresh |= stream.input().move_to(&mut buffer, usize::MAX) > 0;
            }
            let piece = buffer.chunks().next().unwrap_or_default();
            let (used, step) = match state.decoder.step(piece) {
                Ok(step) => step,
                Err(error) => {
                    self.reading.replace(Reading::Body(state));
                    self.broken(ClientErrorKind::Malformed(error.0));
                    return false;
                }
            };
            match step {
                Step::Data(data) => {
                    let over = state.take(data);
                    let _ = buffer.drain(used);
                    // The callback may have ended the request.
                    if !matches!(*self.reading.borrow(), Reading::Busy) {
                        return false;
                    }
                    if let Some(limit) = over {
                        self.reading.replace(Reading::Body(state));
                        self.over_long(limit);
                        return false;
                    }
                }
                Step::End(trailers) => {
                    let _ = buffer.drain(used);
                    self.received.set(Some(buffer));
                    return self.complete(*state, trailers);
                }
                Step::Wait => {
                    let _ = buffer.drain(used);
                    let scattered = buffer.contiguous_len() < buffer.len();
                    if scattered && buffer.contiguous_len() < IN_ONE_PIECE {
                        let _ = buffer.make_contiguous(IN_ONE_PIECE);
                    } else if stream.input().move_to(&mut buffer, usize::MAX) == 0 {
                        // Time counts from the last piece.
                        if fresh || call.is_timeless() {
                            call.wait_for(Wait::For(Phase::Body), call.settings.timeouts.body);
                        }
                        break;
                    } else {
                        fresh = true;
                    }
                }
            }
        }
        self.received.set(Some(buffer));
        self.reading.replace(Reading::Body(state));
        false
    }

    /// There is more of it than may be.
    fn over_long(self: &Rc<Self>, limit: u64) {
        let reading = self.reading.take();
        match reading {
            // The redirect counts, and not what it says.
            Reading::Body(state) if matches!(state.sink, Sink::Discard(_)) => {
                let call = self.detach();
                self.close();
                if let (Sink::Discard(hop), Some(call)) = (state.sink, call) {
                    call.follow(hop);
                }
            }
            reading => {
                self.reading.replace(reading);
                let what = "body";
                self.broken(ClientErrorKind::TooLong { what, limit });
            }
        }
    }

    /// The answer is there to its end. Returns whether the connection goes on.
    pub(super) fn complete(
        self: &Rc<Self>,
        state: BodyState,
        trailers: Option<Box<HeaderMap>>,
    ) -> bool {
        let mut received = self.received.take().unwrap_or_default();
        let rest = received.len() + self.stream().map_or(0, |stream| stream.input().len());
        let _ = received.clear();
        self.received.set(Some(received));
        let keep = state.persistent && rest == 0 && !self.has_ended() && self.is_sent();
        self.reading.replace(Reading::Idle);
        let call = self.detach();
        match self.shared.upgrade() {
            Some(shared) if keep && call.as_ref().is_some_and(|call| !call.closes()) => {
                self.rest_sending();
                shared.release(self);
            }
            _ => self.close(),
        }
        let Some(call) = call else { return false };
        match state.sink {
            Sink::Discard(hop) => call.follow(hop),
            Sink::Inlet(inlet) => {
                call.leave();
                inlet.0.end(Ok(trailers.map(|trailers| *trailers)));
                call.settle();
            }
            Sink::Collect(body) => {
                let url = call.ask.borrow().url.to_string();
                call.answered(Answer {
                    status: state.status,
                    version: state.version,
                    headers: state.headers,
                    body,
                    trailers: trailers.map(|trailers| *trailers).unwrap_or_default(),
                    url,
                });
            }
        }
        keep
    }

    /// The server speaks another protocol from here on.
    fn switched(self: &Rc<Self>, call: &Rc<Call>, head: ResponseHead) {
        let wanted = call.settings.upgrade.as_ref();
        let given = head.headers.get(::http::header::UPGRADE);
        let agreed = wanted.is_some_and(|wanted| {
            given.is_some_and(|given| given.as_bytes().eq_ignore_ascii_case(wanted.as_bytes()))
        });
        if !agreed {
            let why = "it changes to a protocol that was not asked for";
            return self.broken(ClientErrorKind::Malformed(why));
        }
        drop(self.detach());
        self.reading.replace(Reading::Idle);
        self.rest_sending();
        let Some(stream) = self.stream.take() else {
            return;
        };
        if let Some(shared) = self.shared.upgrade() {
            shared.closed(self);
        }
        let _ = stream.set_timeouts(None, None);
        let _ = stream.set_watermarks(Direction::READ, 0, 0);
        let url = call.ask.borrow().url.to_string();
        call.upgraded(Upgraded {
            headers: head.headers,
            url,
            stream,
        });
    }
}

impl BodyState {
    /// Passes a piece on. Some, the limit, when there is more than may be.
    fn take(&mut self, data: &[u8]) -> Option<u64> {
        if let Some((room, limit)) = &mut self.room {
            match room.checked_sub(data.len() as u64) {
                Some(left) => *room = left,
                None => return Some(*limit),
            }
        }
        match &mut self.sink {
            Sink::Collect(body) => body.extend_from_slice(data),
            Sink::Inlet(inlet) => inlet.0.data(data),
            Sink::Discard(_) => {}
        }
        None
    }
}
