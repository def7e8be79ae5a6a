//! A room to talk in, for browsers: a page and a WebSocket.
//!
//! `cargo run --example websocket_chat --features websocket`, then http://localhost:9005 in several
//! windows. Ctrl-C ends it: everybody is told that the server goes away.

use lexopt::prelude::*;
use libevent2::http::websocket::{WebSocket, WebSocketOptions};
use libevent2::http::{Response, Server};
use libevent2::{EventBase, Signal, SignalRef};
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::Duration;

const HELP: &str = "\
Usage: websocket_chat [PORT]

Serves a page to talk in, and sends what each says to everybody.
PORT is 9005 unless given; with 0 the system picks one.

SIGINT and SIGTERM: says goodbye and ends.
";

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<style>body { font: 1rem sans-serif; max-width: 40rem; margin: 2rem auto } input { width: 100% }</style>
<div id="said"></div>
<form><input autofocus placeholder="Say something"></form>
<script>
const socket = new WebSocket(location.href.replace(/^http/, "ws") + "chat");
const said = document.getElementById("said"), input = document.querySelector("input");
const show = text => said.append(Object.assign(document.createElement("p"), { textContent: text }));
socket.onmessage = event => show(event.data);
socket.onclose = event => show(`— the end: ${event.reason || event.code}`);
document.querySelector("form").onsubmit = event => {
    event.preventDefault();
    socket.send(input.value);
    input.value = "";
};
</script>
"#;

/// The longest message, in bytes.
const LONGEST: usize = 4096;
/// Who has so many bytes still to read has to leave, so that they do not pile up here.
const PENDING: usize = 256 << 10;
/// How long everybody has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket_chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<u16, lexopt::Error> {
    let mut port = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => {
                print!("{HELP}");
                exit(0);
            }
            Value(value) if port.is_none() => port = Some(value.parse()?),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(port.unwrap_or(9005))
}

fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    base.on_error(|_, error| eprintln!("websocket_chat: {error}"));

    let server = Server::bind(&base, (Ipv4Addr::LOCALHOST, port))?;
    server.route("GET /", |request| request.respond(Response::html(PAGE)))?;
    let room = Rc::new(Room::default());
    let options = WebSocketOptions::new()
        .message_bytes(LONGEST)
        .pending_bytes(PENDING);
    server.route("/chat", move |request| {
        if let Some(socket) = request.websocket(&options) {
            room.enter(&socket);
        }
    })?;
    let stop = |signal: &SignalRef| signal.handle().exit();
    let interrupt = Signal::new(&base, libc::SIGINT, stop)?;
    let terminate = Signal::new(&base, libc::SIGTERM, stop)?;
    println!("listening on {}", server.local_addrs()[0]);
    base.run()?;

    drop((interrupt, terminate));
    server.close_within(GOODBYE);
    base.run()?;
    Ok(())
}

#[derive(Default)]
struct Room {
    /// With the numbers that they have got at the entrance.
    guests: RefCell<Vec<(usize, WebSocket)>>,
    entered: Cell<usize>,
}

impl Room {
    fn enter(self: &Rc<Self>, socket: &WebSocket) {
        let guest = self.entered.get() + 1;
        self.entered.set(guest);
        self.guests.borrow_mut().push((guest, socket.clone()));
        self.tell(&format!("* guest{guest} joins"));

        let room = Rc::clone(self);
        socket.on_message(move |socket, message| match message.as_text() {
            Some(text) => {
                room.tell(&format!("guest{guest}: {text}"));
                Ok(())
            }
            None => socket.close(1003, "texts only"),
        });
        let room = Rc::clone(self);
        socket.on_close(move |_| {
            room.guests
                .borrow_mut()
                .retain(|(other, _)| *other != guest);
            room.tell(&format!("* guest{guest} leaves"));
        });
    }

    /// Tells everybody. Who cannot be told reads too slowly, or is about to leave anyway.
    fn tell(&self, text: &str) {
        for (_, socket) in self.guests.borrow().iter() {
            if socket.is_open() && socket.send_text(text).is_err() {
                // Its callback runs later, from the loop.
                socket.terminate();
            }
        }
    }
}
