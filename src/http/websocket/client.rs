//! The client's side of the handshake (RFC 6455 4.1).

use super::handshake::{has_token, only, tokens};
use super::socket::Socket;
use super::{WebSocket, WebSocketOptions};
use crate::LoopHandle;
use crate::callback::CallbackResult;
use crate::error::{Error, Result};
use crate::http::{Client, ClientError, ClientRequest, HeaderMap, Pending, Upgraded, header};
use ::http::{HeaderName, HeaderValue};
use std::fmt;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server was not reached, or did not accept: its status is in
    /// [`ClientErrorKind::NotUpgraded`](crate::http::ClientErrorKind::NotUpgraded).
    #[error(transparent)]
    Request(#[from] ClientError),
    /// The server has accepted something else.
    #[error("handshake: {0}")]
    Handshake(&'static str),
    /// The loop could not be used.
    #[error(transparent)]
    Loop(#[from] Error),
}

/// A WebSocket that is to be asked for; see [`Client::websocket`].
#[must_use = "nothing is sent before `connect`"]
#[derive(Debug)]
pub struct WebSocketRequest {
    request: ClientRequest,
    options: WebSocketOptions,
    handle: LoopHandle,
}

impl Client {
    /// A WebSocket of a server, by its URL: `ws://…` or `wss://…`. See
    /// [`websocket`](crate::http::websocket) for an example.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no such URL.
    pub fn websocket(&self, url: &str) -> Result<WebSocketRequest> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => "http",
            "wss" | "https" => "https",
            _ => {
                return Err(Error::invalid(
                    "url",
                    format!("{url:?}: neither ws nor wss"),
                ));
            }
        };
        Ok(WebSocketRequest {
            request: self.get(&format!("{scheme}://{rest}"))?,
            options: WebSocketOptions::new(),
            handle: self.handle().clone(),
        })
    }
}

impl WebSocketRequest {
    /// Adds a header to the handshake, such as `Origin` or `Authorization`.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: fmt::Display>,
        V: TryInto<HeaderValue, Error: fmt::Display>,
    {
        self.request = self.request.header(name, value);
        self
    }

    /// What the WebSocket may take, and the subprotocols to offer. Origins are not for clients.
    pub fn options(mut self, options: WebSocketOptions) -> Self {
        self.options = options;
        self
    }

    /// Changes the request of the handshake: its time limit, its Unix socket.
    pub fn request(mut self, change: impl FnOnce(ClientRequest) -> ClientRequest) -> Self {
        self.request = change(self.request);
        self
    }

    /// Asks for it, and gives it to `callback`, or why there is none: once, from the loop. It is
    /// dropped unheard when the [`Pending`], the client or the base is dropped before.
    pub fn connect<O: CallbackResult>(
        self,
        callback: impl FnOnce(Result<WebSocket, ConnectError>) -> O + 'static,
    ) -> Pending {
        let WebSocketRequest {
            mut request,
            options,
            handle,
        } = self;
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        request = request
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, key);
        if !options.protocols.is_empty() {
            let offer = options.protocols.join(", ");
            request = request.header(header::SEC_WEBSOCKET_PROTOCOL, offer);
        }
        request.upgrade("websocket", move |result| {
            callback(match result {
                Ok(upgraded) => begin(&handle, upgraded, &options, &accept),
                Err(error) => Err(error.into()),
            })
        })
    }
}

fn begin(
    handle: &LoopHandle,
    upgraded: Upgraded,
    options: &WebSocketOptions,
    accept: &str,
) -> Result<WebSocket, ConnectError> {
    let protocol = check(&upgraded.headers, options, accept).map_err(ConnectError::Handshake)?;
    let socket = Socket::new(handle, Role::Client, options, protocol)?;
    let stream = upgraded.into_stream(socket.driver())?;
    socket.begin(stream.share());
    stream.detach();
    Ok(WebSocket::new(socket))
}

/// The subprotocol, if all is as it has to be.
fn check(
    headers: &HeaderMap,
    options: &WebSocketOptions,
    accept: &str,
) -> Result<Option<String>, &'static str> {
    if !has_token(headers, &header::UPGRADE, "websocket") {
        return Err("it is no WebSocket that the server changes to");
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err("the server does not say Connection: upgrade");
    }
    if only(headers, &header::SEC_WEBSOCKET_ACCEPT) != Some(accept.as_bytes()) {
        return Err("the server does not know the key");
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err("the server uses an extension that was not offered");
    }
    match tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)[..] {
        [] => Ok(None),
        [name] if options.protocols.iter().any(|known| known == name) => Ok(Some(name.to_owned())),
        _ => Err("the server speaks a subprotocol that was not offered"),
    }
}
