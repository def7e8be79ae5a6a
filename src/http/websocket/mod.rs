//! WebSockets (RFC 6455), on both sides.
//!
//! A server accepts one in a handler, by [`Request::websocket`](super::Request::websocket); a client
//! asks for one by [`Client::websocket`](super::Client::websocket). Both have a [`WebSocket`] then:
//!
//! ```
//! use libevent2::EventBase;
//! use libevent2::http::websocket::WebSocketOptions;
//! use libevent2::http::{Client, Server};
//!
//! let mut base = EventBase::new()?;
//! let server = Server::bind(&base, "127.0.0.1:0")?;
//! server.route("/echo", |request| {
//!     let Some(socket) = request.websocket(&WebSocketOptions::new()) else {
//!         // It asked for something else, and was told so.
//!         return;
//!     };
//!     socket.on_message(|socket, message| socket.send(message));
//! })?;
//!
//! let url = format!("ws://{}/echo", server.local_addrs()[0]);
//! let client = Client::new(&base)?;
//! client
//!     .websocket(&url)?
//!     .connect(move |result| {
//!         let socket = result?;
//!         socket.send_text("hello")?;
//!         socket.on_message(|socket, message| {
//!             assert_eq!(message.as_text(), Some("hello"));
//!             socket.close(1000, "that was all")
//!         });
//!         socket.on_close(move |end| {
//!             assert!(end.was_clean);
//!             server.close();
//!         });
//!         Ok::<_, libevent2::BoxError>(())
//!     })
//!     .detach();
//! base.run()?;
//! # Ok::<(), libevent2::Error>(())
//! ```
//!
//! What the other end must not send is refused with the close code that the RFC has for it: 1002 for
//! frames that are none, 1007 for text that is not UTF-8, 1009 for messages that are too long.
//! Compression is not offered.

mod client;
mod codec;
mod handle;
mod handshake;
mod options;
mod screen;
mod socket;

pub use client::{ConnectError, WebSocketRequest};
pub use handle::WebSocket;
pub use options::WebSocketOptions;

pub use super::SendError;

/// A whole message, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The text, if that is what it is.
    pub fn as_text(&self) -> Option<&'a str> {
        match *self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// Its bytes, whichever it is.
    pub fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Message::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Message::Binary(bytes)
    }
}

/// How a [`WebSocket`] ended, as the `CloseEvent` of browsers has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseEvent {
    /// The code that the other end said, or that we said when it broke the protocol. 1005 when it
    /// said none, 1006 when the connection ended without a word.
    pub code: u16,
    /// The reason that was said, or what happened. Of the other end's making: anything may be in it.
    pub reason: String,
    /// Whether both ends have said that it is the end.
    pub was_clean: bool,
}

impl CloseEvent {
    fn abnormal(reason: &str) -> Self {
        CloseEvent {
            code: code::ABNORMAL,
            reason: reason.to_owned(),
            was_clean: false,
        }
    }
}

/// The codes of closing that the RFC names. Programs have 4000 to 4999 for their own use.
pub mod code {
    /// All was said.
    pub const NORMAL: u16 = 1000;
    /// A server is closed, or a page was left.
    pub const GOING_AWAY: u16 = 1001;
    /// Frames that are none.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A kind of message that is of no use here.
    pub const UNSUPPORTED: u16 = 1003;
    /// No code was said; never sent.
    pub const NO_STATUS: u16 = 1005;
    /// The connection ended without a word; never sent.
    pub const ABNORMAL: u16 = 1006;
    /// Text that is not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// A message that is not welcome for some other reason.
    pub const POLICY: u16 = 1008;
    /// A message that is too long.
    pub const TOO_BIG: u16 = 1009;
    /// Something went wrong in the program.
    pub const INTERNAL_ERROR: u16 = 1011;

    /// Whether a code may be said.
    pub(super) fn may_be_sent(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}
