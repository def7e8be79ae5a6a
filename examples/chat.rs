//! A room to talk in: each line goes to everybody else.
//!
//! `cargo run --example chat`, then `nc localhost 9004` from several terminals. Ctrl-C ends it.

use lexopt::prelude::*;
use libevent2::buffer::Eol;
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Direction, Handler, StreamEvent};
use libevent2::{BoxError, EventBase, Listener, Signal, SignalRef};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::Duration;

const HELP: &str = "\
Usage: chat [PORT]

Sends each line to everybody else who is connected.
PORT is 9004 unless given; with 0 the system picks one.

  /nick NAME  changes your name
  /who        tells who is here
  /quit       leaves

SIGINT and SIGTERM: says goodbye and ends.
";

/// The longest line, in bytes.
const MAX_LINE: usize = 1024;
/// The longest name, in characters.
const MAX_NAME: usize = 16;
/// Who has not read that many bytes has to leave, so that they do not pile up here.
const HIGH: usize = 256 * 1024;
/// How long everybody has to read the last words.
const GOODBYE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
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
    Ok(port.unwrap_or(9004))
}

fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    base.on_error(|_, error| eprintln!("chat: {error}"));

    let room = Rc::new(Room::default());
    let entrance = room.clone();
    let address = (Ipv4Addr::UNSPECIFIED, port).into();
    let listener = Listener::bind(&base, address, move |listener, client| {
        // The handler is set when the guest is in the room.
        let stream = BufferEvent::from_socket(listener.handle(), client, Callbacks::new())?;
        entrance.enter(stream)
    })?;
    let stop = |signal: &SignalRef| signal.handle().exit();
    let interrupt = Signal::new(&base, libc::SIGINT, stop)?;
    let terminate = Signal::new(&base, libc::SIGTERM, stop)?;
    println!("listening on {}", listener.local_addr()?);
    base.run()?;

    drop((listener, interrupt, terminate));
    room.close()?;
    base.run()?;
    Ok(())
}

/// Somebody in the room.
struct Guest {
    name: String,
    stream: BufferEvent,
}

#[derive(Default)]
struct Room {
    /// By the number that each has got at the entrance.
    guests: RefCell<BTreeMap<usize, Guest>>,
    entered: Cell<usize>,
}

impl Room {
    fn enter(self: &Rc<Self>, stream: BufferEvent) -> libevent2::Result<()> {
        let id = self.entered.get() + 1;
        self.entered.set(id);
        let name = format!("guest{id}");
        // No more of a line is read than it may have; the two bytes are for its end.
        stream.set_watermarks(Direction::READ, 0, MAX_LINE + 2)?;
        stream.set_handler(Talk {
            id,
            room: self.clone(),
        })?;
        stream.write(format!("* you are {name}; /nick NAME changes that\n").as_bytes())?;
        let newcomer = Guest { name, stream };
        let text = format!("* {} joins", newcomer.name);
        self.guests.borrow_mut().insert(id, newcomer);
        self.tell_others(id, &text);
        Ok(())
    }

    /// Tells everybody but `id`. Who does not read what the others say has to go, which those
    /// who are left hear in turn.
    fn tell_others(&self, id: usize, text: &str) {
        let line = format!("{text}\n");
        let mut slow = Vec::new();
        for (&other, guest) in self
            .guests
            .borrow()
            .iter()
            .filter(|&(&other, _)| other != id)
        {
            // One that has closed meanwhile leaves by its own handler.
            let _ = guest.stream.write(line.as_bytes());
            if guest.stream.output().len() > HIGH {
                slow.push(other);
            }
        }
        for other in slow {
            self.leave(other, "reads too slowly");
        }
    }

    /// Says something to one.
    fn tell(&self, id: usize, text: &str) -> libevent2::Result<()> {
        match self.guests.borrow().get(&id) {
            Some(guest) => guest.stream.write(format!("{text}\n").as_bytes()),
            None => Ok(()),
        }
    }

    /// Closes the connection at once. Of whom is not here any more, nothing is said.
    fn leave(&self, id: usize, why: &str) {
        let gone = self.guests.borrow_mut().remove(&id);
        if let Some(guest) = gone {
            self.tell_others(id, &format!("* {} {why}", guest.name));
        }
    }

    fn rename(&self, id: usize, name: &str) -> libevent2::Result<()> {
        let is_name = (1..=MAX_NAME).contains(&name.chars().count())
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || "-_".contains(c));
        if !is_name {
            let why = format!("* a name is 1 to {MAX_NAME} letters, digits, - or _");
            return self.tell(id, &why);
        }
        let taken = self
            .guests
            .borrow()
            .values()
            .any(|guest| guest.name == name);
        if taken {
            return self.tell(id, &format!("* {name} is here already"));
        }
        let old = match self.guests.borrow_mut().get_mut(&id) {
            Some(guest) => std::mem::replace(&mut guest.name, name.to_owned()),
            None => return Ok(()),
        };
        self.tell_others(id, &format!("* {old} is {name} now"));
        self.tell(id, &format!("* you are {name} now"))
    }

    fn hear(&self, id: usize, line: &[u8]) -> libevent2::Result<()> {
        // Nobody is to do things to somebody else's terminal.
        let line = String::from_utf8_lossy(line).replace(char::is_control, " ");
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("/nick", name) => self.rename(id, name.trim()),
            ("/who", _) => {
                let guests = self.guests.borrow();
                let names: Vec<_> = guests.values().map(|guest| &*guest.name).collect();
                let names = names.join(", ");
                drop(guests);
                self.tell(id, &format!("* here: {names}"))
            }
            ("/quit", _) => {
                self.leave(id, "leaves");
                Ok(())
            }
            (command, _) if command.starts_with('/') => self.tell(
                id,
                &format!("* there is /nick, /who and /quit, no {command}"),
            ),
            ("", "") => Ok(()),
            _ => {
                let guests = self.guests.borrow();
                let text = guests
                    .get(&id)
                    .map(|guest| format!("{}: {line}", guest.name));
                drop(guests);
                if let Some(text) = text {
                    self.tell_others(id, &text);
                }
                Ok(())
            }
        }
    }

    fn close(&self) -> libevent2::Result<()> {
        for guest in self.guests.take().into_values() {
            guest.stream.write(b"* the room closes\n")?;
            guest.stream.set_timeouts(None, Some(GOODBYE))?;
            guest.stream.finish();
        }
        Ok(())
    }
}

/// One guest's way into the room.
struct Talk {
    id: usize,
    room: Rc<Room>,
}

impl Talk {
    fn too_long(&self) -> Result<(), BoxError> {
        let limit = format!("* a line has at most {MAX_LINE} bytes");
        self.room.tell(self.id, &limit)?;
        self.room.leave(self.id, "says too much at once");
        Ok(())
    }
}

impl Handler for Talk {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        while let Some(line) = stream.input().read_line(Eol::Crlf) {
            if line.len() > MAX_LINE {
                return self.too_long();
            }
            self.room.hear(self.id, &line)?;
        }
        if stream.input().len() > MAX_LINE {
            return self.too_long();
        }
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        let why = match event {
            StreamEvent::Failed(_) => "loses the connection",
            _ => "leaves",
        };
        self.room.leave(self.id, why);
        stream.close();
        Ok(())
    }
}
