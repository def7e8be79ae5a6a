//! An answer that is made piece by piece.

use super::{Bodiless as _, DrainHook, Exchange, Framing, Outgoing, Response, Stage};
use crate::http::wire::write;
use ::http::HeaderMap;
use std::cell::Cell;

impl Exchange {
    /// Sends the head of an answer whose body follows.
    pub(in crate::http) fn start(&self, response: Response) {
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
    pub(in crate::http) fn is_streaming(&self) -> bool {
        self.stage.get() == Stage::Answered && !self.connection.is_closed()
    }

    /// Whether its answer is made piece by piece, and not at its end.
    pub(in crate::http) fn is_made_in_pieces(&self) -> bool {
        self.is_streaming() && self.extra(|extra| extra.streamed).is_some()
    }

    /// Sends a piece of the body; false when it is more than there may be.
    pub(in crate::http) fn send(&self, bytes: &[u8]) -> bool {
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

    pub(in crate::http) fn finish_stream(&self, trailers: Option<&HeaderMap>) {
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
    pub(in crate::http) fn abandon_stream(&self) {
        if self.is_made_in_pieces() {
            self.connection.abort();
        }
    }

    pub(in crate::http) fn set_drain(&self, hook: DrainHook, outgoing: Outgoing) {
        let old = self.with_extra(|extra| extra.drain.replace((hook, outgoing)));
        drop(old);
    }

    pub(super) fn drained(&self) {
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
}
