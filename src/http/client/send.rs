//! The request as it goes out.

use super::call::{Call, Wait};
use super::conn::Conn;
use super::payload::{Payload, Uploading};
use super::pool::Via;
use super::read::{Head, Reading};
use super::{ClientErrorKind, Phase};
use crate::buffer::FileSegment;
use crate::http::wire::framing::Framing;
use crate::http::wire::write;
use crate::stream::StreamShare;
use ::http::{Method, Version, header};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A body up to this length goes out with the head, in one write.
const WITH_HEAD: usize = 16 << 10;

/// How much of a file is in the output at a time.
const FILE_PIECE: u64 = 256 << 10;

/// How long to wait for `100 Continue`: a server may not know it.
const CONTINUE: Duration = Duration::from_secs(1);

/// What is still to be sent.
#[derive(Default)]
pub(super) enum Sending {
    /// Nothing: the server has it, or the system.
    #[default]
    Done,
    /// All of it is in the output.
    Flushing,
    /// The body waits for `100 Continue`.
    Waiting,
    File(Rc<FileSegment>, u64),
    Upload(Rc<Uploading>),
    /// The rest cannot or need not be sent.
    GivenUp,
}

impl Conn {
    /// Sends a request over a connection that is ready and free.
    pub(super) fn begin(self: &Rc<Self>, call: &Rc<Call>) {
        let Some(stream) = self.stream() else { return };
        self.uses.set(self.uses.get() + 1);
        self.heard.set(false);
        self.reading.replace(Reading::Head(Head::default()));
        let limit = call.settings.timeouts.send;
        if self.send_limit.replace(limit) != limit {
            let _ = stream.set_timeouts(None, limit);
        }
        call.wait_for_ever();
        let mut out = Vec::with_capacity(512);
        self.head(call, &mut out);
        let (expect, small) = {
            let ask = call.ask.borrow();
            let small = match &ask.payload {
                Payload::Bytes(bytes) if bytes.len() <= WITH_HEAD && !ask.expect => {
                    out.extend_from_slice(bytes);
                    true
                }
                Payload::None => true,
                _ => false,
            };
            (ask.expect, small)
        };
        let _ = stream.output().append(&out);
        if small {
            self.all_sent(call);
        } else if expect {
            self.sending.replace(Sending::Waiting);
            call.wait_for(Wait::Continue, Some(CONTINUE));
        } else {
            self.send_body(call, &stream);
        }
    }

    fn head(&self, call: &Call, out: &mut Vec<u8>) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let ask = call.ask.borrow();
        let (url, headers) = (&ask.url, &ask.headers);
        let whole;
        let target = match self.key.via {
            Via::Forward => {
                whole = url.to_string();
                &whole
            }
            _ => &url.target,
        };
        write::request_line(out, &ask.method, target, Version::HTTP_11);
        if !headers.contains_key(header::HOST) {
            write::header_line(out, "Host", url.origin.authority(false).as_bytes());
        }
        for (name, value) in &shared.options.headers {
            if !headers.contains_key(name) {
                write::header(out, name, value);
            }
        }
        if let Some(credentials) = &url.credentials
            && !headers.contains_key(header::AUTHORIZATION)
        {
            write::header_line(out, "Authorization", credentials.as_bytes());
        }
        if self.key.via == Via::Forward {
            shared.proxy_credentials(out);
        }
        #[cfg(feature = "cookies")]
        if !headers.contains_key(header::COOKIE)
            && let Some(cookies) = shared.cookies_for(url)
        {
            write::header_line(out, "Cookie", cookies.as_bytes());
        }
        write::headers(out, headers);
        if let Some(protocol) = &call.settings.upgrade {
            write::header_line(out, "Connection", b"Upgrade");
            write::header_line(out, "Upgrade", protocol.as_bytes());
        }
        match ask.payload.framing() {
            Some(framing) => write::framing(out, framing),
            // Servers wait for a body after these, or refuse them.
            None if [Method::POST, Method::PUT, Method::PATCH].contains(&ask.method) => {
                write::framing(out, Framing::Length(0));
            }
            None => {}
        }
        if ask.expect {
            write::header_line(out, "Expect", b"100-continue");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The body may go out, if it waits.
    pub(super) fn proceed(self: &Rc<Self>) {
        if matches!(*self.sending.borrow(), Sending::Waiting)
            && let (Some(call), Some(stream)) = (self.call(), self.stream())
        {
            call.wait_for_ever();
            self.send_body(&call, &stream);
        }
    }

    fn send_body(self: &Rc<Self>, call: &Rc<Call>, stream: &StreamShare) {
        let next = match &mut call.ask.borrow_mut().payload {
            Payload::None => Sending::Done,
            Payload::File(segment) if segment.is_empty() => Sending::Done,
            Payload::Bytes(bytes) => {
                let bytes: Arc<[u8]> = bytes.clone();
                let _ = stream.output().append_shared(bytes);
                Sending::Flushing
            }
            Payload::File(segment) => Sending::File(segment.clone(), 0),
            Payload::Upload { length, begin } => match begin.take() {
                Some(begin) => Sending::Upload(Uploading::new(self, *length, begin)),
                None => return call.doom(ClientErrorKind::Unrepeatable),
            },
        };
        if matches!(next, Sending::Done) {
            return self.all_sent(call);
        }
        let file = matches!(next, Sending::File(..));
        let upload = matches!(next, Sending::Upload(_));
        self.sending.replace(next);
        if file {
            self.send_file(call, stream);
        } else if upload {
            // The callback is for the loop to call.
            self.look_at_sending();
        }
    }

    fn send_file(&self, call: &Call, stream: &StreamShare) {
        let (segment, at) = match &*self.sending.borrow() {
            Sending::File(segment, at) => (segment.clone(), *at),
            _ => return,
        };
        let end = segment.len().min(at + FILE_PIECE);
        if let Err(error) = stream.output().append_segment(&segment, at..end) {
            return call.doom(ClientErrorKind::Body(error.to_string()));
        }
        self.sending.replace(if end == segment.len() {
            Sending::Flushing
        } else {
            Sending::File(segment, end)
        });
    }

    /// The output is empty.
    pub(super) fn sent(self: &Rc<Self>) {
        let (Some(call), Some(stream)) = (self.call(), self.stream()) else {
            return;
        };
        let (file, upload) = match &*self.sending.borrow() {
            Sending::File(..) => (true, None),
            Sending::Upload(upload) => (false, Some(upload.clone())),
            Sending::Flushing if stream.output().is_empty() => (false, None),
            _ => return,
        };
        match upload {
            None if file => self.send_file(&call, &stream),
            None => self.all_sent(&call),
            Some(upload) => self.upload(&call, &stream, &upload),
        }
    }

    /// Has the next piece of an upload sent.
    fn upload(self: &Rc<Self>, call: &Call, stream: &StreamShare, upload: &Rc<Uploading>) {
        if !upload.is_finished() {
            upload.drained(self);
        }
        if upload.is_finished() && self.uploads(upload) {
            upload.forget(self);
            self.sending.replace(Sending::Flushing);
            if stream.output().is_empty() {
                self.all_sent(call);
            }
        }
    }

    /// The answer is awaited now.
    fn all_sent(&self, call: &Call) {
        self.sending.replace(Sending::Done);
        if matches!(*self.reading.borrow(), Reading::Head(_) | Reading::Busy) {
            call.wait_for(Wait::For(Phase::Answer), call.settings.timeouts.answer);
        }
    }

    pub(super) fn is_sent(&self) -> bool {
        match &*self.sending.borrow() {
            Sending::Done => true,
            Sending::Flushing => self
                .stream()
                .is_some_and(|stream| stream.output().is_empty()),
            _ => false,
        }
    }

    /// The final answer has come: a body that still waits is not wanted.
    pub(super) fn give_up_waiting(&self) {
        if matches!(*self.sending.borrow(), Sending::Waiting) {
            self.sending.replace(Sending::GivenUp);
        }
    }

    /// The server takes no more; it may have answered.
    pub(super) fn cannot_send(&self) {
        let sending = self.sending.replace(Sending::GivenUp);
        if let Sending::Upload(upload) = &sending {
            upload.forget(self);
        }
        if let Some(call) = self.call()
            && matches!(*self.reading.borrow(), Reading::Head(_))
        {
            call.wait_for(Wait::For(Phase::Answer), call.settings.timeouts.answer);
        }
    }

    /// The request is over.
    pub(super) fn rest_sending(&self) {
        drop(self.sending.take());
    }
}
