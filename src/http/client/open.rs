//! How a connection is made: to the host, a proxy or a Unix socket, through a tunnel, with TLS.

use super::call::{Call, Wait};
use super::conn::{Conn, Driver, Stage};
use super::pool::{Key, Via};
use super::read::{Head, Reading};
use super::{ClientErrorKind, Phase, Shared};
use crate::error::Error;
use crate::http::wire::response::ResponseHead;
use crate::stream::{BufferEvent, Direction, Peer, StreamError};
use std::rc::Rc;

/// How much is read ahead of whoever takes the body.
const READ_AHEAD: usize = 256 << 10;

impl Conn {
    /// Begins a connection for a call.
    pub(super) fn open(shared: &Rc<Shared>, key: Rc<Key>, call: &Rc<Call>) {
        let options = &shared.options;
        let conn = Conn::new(shared, key.clone());
        let driver = Driver(conn.clone());
        let place = match &options.proxy {
            Some(proxy) if key.via != Via::Direct => &proxy.url.origin,
            _ => &key.origin,
        };
        let stream = match &key.via {
            Via::Unix(path) => BufferEvent::connect_unix(&shared.handle, path, driver),
            _ => BufferEvent::connect_host_by(
                &shared.handle,
                &options.resolve,
                &place.host,
                place.port,
                driver,
            ),
        };
        match stream {
            Ok(stream) => {
                conn.stream.replace(Some(stream));
                conn.attach(call);
                let limit = call.settings.timeouts.connect;
                call.wait_for(Wait::For(Phase::Connect), limit);
            }
            Err(error) => {
                shared.not_opened(&key);
                call.doom(match error {
                    Error::Os { op, source } => ClientErrorKind::Connect(StreamError::Io {
                        peer: Peer::Host(op),
                        source,
                    }),
                    error => ClientErrorKind::Invalid(error.to_string()),
                });
            }
        }
    }

    /// One part of the way is there.
    pub(super) fn connected(self: &Rc<Self>) {
        let Some(shared) = self.shared.upgrade() else {
            return self.close();
        };
        let through = match &shared.options.proxy {
            Some(proxy) if matches!(self.key.via, Via::Tunnel | Via::Forward) => Some(proxy),
            _ => None,
        };
        match (self.stage.get(), through) {
            (Stage::Connecting, Some(proxy)) if proxy.url.origin.https => {
                self.wrap(&shared, Stage::ProxyTls, &proxy.url.origin.host);
            }
            (Stage::Connecting | Stage::ProxyTls, Some(_)) if self.key.via == Via::Tunnel => {
                self.ask_for_tunnel(&shared);
            }
            (Stage::Connecting, _) if self.key.origin.https && self.key.via != Via::Forward => {
                self.wrap(&shared, Stage::Tls, &self.key.origin.host);
            }
            (Stage::Ready, _) => {}
            _ => self.ready(),
        }
    }

    fn wrap(self: &Rc<Self>, shared: &Rc<Shared>, stage: Stage, host: &str) {
        let stream = self.stream.take();
        let (Some(stream), Some(call)) = (stream, self.call()) else {
            return;
        };
        self.stage.set(stage);
        let wrapped = shared
            .tls()
            .and_then(|tls| tls.wrap(stream, host, Driver(self.clone())));
        match wrapped {
            Ok(stream) => {
                self.stream.replace(Some(stream));
                call.wait_for(Wait::For(Phase::Tls), call.settings.timeouts.tls);
            }
            Err(error) => {
                drop(self.detach());
                shared.closed(self);
                call.fail(ClientErrorKind::Invalid(error.to_string()));
            }
        }
    }

    fn ask_for_tunnel(self: &Rc<Self>, shared: &Shared) {
        let place = self.key.origin.authority(true);
        let mut head = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n").into_bytes();
        shared.proxy_credentials(&mut head);
        head.extend_from_slice(b"\r\n");
        self.stage.set(Stage::Tunnel);
        self.reading.replace(Reading::Head(Head::default()));
        if let Some(stream) = self.stream() {
            let _ = stream.output().append(&head);
        }
    }

    /// The proxy has answered.
    pub(super) fn tunnel(self: &Rc<Self>, head: &ResponseHead) {
        let Some(shared) = self.shared.upgrade() else {
            return self.close();
        };
        if !head.status.is_success() {
            return self.broken(ClientErrorKind::Proxy(head.status));
        }
        // Who speaks first in the tunnel is the client.
        if self
            .stream()
            .is_none_or(|stream| !stream.input().is_empty())
        {
            let why = "there is something behind the proxy's answer";
            return self.broken(ClientErrorKind::Malformed(why));
        }
        self.wrap(&shared, Stage::Tls, &self.key.origin.host);
    }

    /// It is made: the request can go out.
    fn ready(self: &Rc<Self>) {
        self.stage.set(Stage::Ready);
        if let Some(stream) = self.stream() {
            let _ = stream.set_watermarks(Direction::READ, 0, READ_AHEAD);
        }
        match self.call() {
            Some(call) => self.begin(&call),
            None => self.close(),
        }
    }

    /// There will be no connection.
    pub(super) fn not_made(self: &Rc<Self>, error: StreamError) {
        self.broken(match (error, self.stage.get()) {
            (error @ StreamError::Lookup { .. }, _) => ClientErrorKind::Lookup(error),
            (error @ StreamError::Tls { .. }, _) | (error, Stage::Tls | Stage::ProxyTls) => {
                ClientErrorKind::Tls(error)
            }
            (error, _) => ClientErrorKind::Connect(error),
        });
    }
}
