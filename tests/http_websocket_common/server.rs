//! Servers of WebSockets for tests.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::http::Server;
use libevent2::http::websocket::{CloseEvent, WebSocket, WebSocketOptions};
use std::cell::RefCell;
use std::rc::Rc;

pub fn options() -> WebSocketOptions {
    WebSocketOptions::new()
}

/// Gives each WebSocket to `begin`.
pub fn accept(server: &Server, options: WebSocketOptions, begin: impl Fn(WebSocket) + 'static) {
    server.fallback(move |request| {
        if let Some(socket) = request.websocket(&options) {
            begin(socket);
        }
    });
}

pub fn echo(socket: &WebSocket) {
    socket.on_message(|socket, message| socket.send(message));
}

/// Where a test finds how a WebSocket ended.
pub type Ends = Rc<RefCell<Vec<CloseEvent>>>;

pub fn note(socket: &WebSocket, ends: &Ends) {
    let ends = Rc::clone(ends);
    socket.on_close(move |end| ends.borrow_mut().push(end));
}

pub fn code_of(ends: &Ends) -> Vec<(u16, bool)> {
    let ends = ends.borrow();
    ends.iter().map(|end| (end.code, end.was_clean)).collect()
}
