use super::socket::Socket;
use super::{CloseEvent, Message, SendError};
use crate::LoopHandle;
use crate::callback::CallbackResult;
use std::fmt;
use std::rc::Rc;

/// A WebSocket, of a server or of a client. All clones are the same one; it lives until it is
/// closed, by either end or with its base, whoever keeps it.
///
/// Its callbacks run from the loop, never inside a call of these methods, and may call all of
/// them. When it has ended they are dropped.
#[derive(Clone)]
pub struct WebSocket(Rc<Socket>);

impl WebSocket {
    pub(super) fn new(socket: Rc<Socket>) -> Self {
        WebSocket(socket)
    }

    // --- sending --------------------------------------------------------------------------------

    /// Sends a message, behind the others.
    ///
    /// # Errors
    /// [`SendError::Closed`] when it has ended, or its end was begun; [`SendError::Full`] when the
    /// other end reads too slowly (see
    /// [`WebSocketOptions::pending_bytes`](super::WebSocketOptions::pending_bytes)).
    pub fn send<'a>(&self, message: impl Into<Message<'a>>) -> Result<(), SendError> {
        self.0.send(message.into())
    }

    /// Sends a text.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_text(&self, text: &str) -> Result<(), SendError> {
        self.0.send(Message::Text(text))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_binary(&self, bytes: &[u8]) -> Result<(), SendError> {
        self.0.send(Message::Binary(bytes))
    }

    /// Sends a ping, which the other end answers with a pong that has the same payload. Whether it
    /// is still there is looked at without this (see
    /// [`WebSocketOptions::ping`](super::WebSocketOptions::ping)), and its pings are answered.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`SendError::Invalid`] for more than 125 bytes.
    pub fn ping(&self, payload: &[u8]) -> Result<(), SendError> {
        self.0.ping(payload)
    }

    /// How many bytes wait to be taken by the other end.
    pub fn pending(&self) -> usize {
        self.0.pending()
    }

    // --- callbacks ------------------------------------------------------------------------------

    /// Gives each message to `callback`. Messages that come before this is called are lost: call it
    /// where the WebSocket is made. What comes after [`close`](Self::close) is not given to it.
    pub fn on_message<O: CallbackResult>(
        &self,
        mut callback: impl FnMut(&WebSocket, Message<'_>) -> O + 'static,
    ) {
        let hook =
            move |socket: &WebSocket, message: Message<'_>| callback(socket, message).outcome();
        self.0.set(&self.0.hooks.message, Box::new(hook));
    }

    /// Runs `callback` each time when all was sent, and soon after this call.
    pub fn on_drain<O: CallbackResult>(&self, mut callback: impl FnMut(&WebSocket) -> O + 'static) {
        let hook = move |socket: &WebSocket| callback(socket).outcome();
        self.0.set(&self.0.hooks.drain, Box::new(hook));
        self.0.drain_later();
    }

    /// Gives the payload of each pong to `callback`.
    pub fn on_pong<O: CallbackResult>(
        &self,
        mut callback: impl FnMut(&WebSocket, &[u8]) -> O + 'static,
    ) {
        let hook = move |socket: &WebSocket, payload: &[u8]| callback(socket, payload).outcome();
        self.0.set(&self.0.hooks.pong, Box::new(hook));
    }

    /// Runs `callback` once, at the end, whatever that is. It does not run when the base goes
    /// first, nor when all was over before this call.
    pub fn on_close<O: CallbackResult>(&self, callback: impl FnOnce(CloseEvent) -> O + 'static) {
        let hook = move |event: CloseEvent| callback(event).outcome();
        self.0.set(&self.0.hooks.close, Box::new(hook));
    }

    /// Reads no more: the other end has to wait when the buffers between are full.
    pub fn pause(&self) {
        self.0.set_paused(true);
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.0.set_paused(false);
    }

    // --- the end --------------------------------------------------------------------------------

    /// Says that it is the end, behind what was sent, with a code (see [`code`](super::code)) and a
    /// reason for the other end, and waits for it to say so too. Closing twice is fine.
    ///
    /// # Errors
    /// [`SendError::Invalid`] for a code that must not be sent, and a reason of more than 123 bytes.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), SendError> {
        self.0.close(code, reason)
    }

    /// Cuts the connection, soon, without a word.
    pub fn terminate(&self) {
        self.0.terminate();
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    // --- what it is -----------------------------------------------------------------------------

    /// The subprotocol that both ends speak, if they have agreed on one.
    pub fn protocol(&self) -> Option<&str> {
        self.0.protocol.as_deref()
    }

    /// The loop, to make timers and other objects on.
    pub fn handle(&self) -> &LoopHandle {
        self.0.handle()
    }
}

impl PartialEq for WebSocket {
    /// Whether they are clones of each other.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for WebSocket {}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("is_open", &self.is_open())
            .field("pending", &self.pending())
            .field("protocol", &self.protocol())
            .finish_non_exhaustive()
    }
}
