//! Opens many connections, sends a request on each, and counts the answers: the other side of
//! `delay_server`.
//!
//! `cargo run --release --example delay_load 127.0.0.1:9009 --connections 10000`; it ends when
//! all were answered, and fails if one was not.

use lexopt::prelude::*;
use libevent2::stream::{
    BufferEvent, BufferEventRef, Handler, Peer, Socket as Connecting, StreamEvent,
};
use libevent2::{BoxError, EventBase, LoopHandle, Timer};
use socket2::{Domain, Socket, Type};
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::{Duration, Instant};

const HELP: &str = "\
Usage: delay_load ADDRESS:PORT [--connections N] [--rate N] [--from ADDRESS]

Opens connections, sends one HTTP request on each, waits for all the answers, and
says what came of it.

  --connections N  how many (default 1000)
  --rate N         how many are opened per second (default 2000)
  --from ADDRESS   of this machine, to connect from; between two addresses and one
                   port there are no more than some 28,000 connections at once
";

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: delay\r\n\r\n";
/// New connections are opened that often.
const TICK: Duration = Duration::from_millis(10);
/// An answer that takes that long does not come.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("delay_load: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    server: SocketAddr,
    connections: usize,
    rate: usize,
    from: Option<IpAddr>,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let (mut server, mut connections, mut rate, mut from) = (None, 1000, 2000, None);
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("connections") => connections = arguments.value()?.parse()?,
                Long("rate") => rate = arguments.value()?.parse()?,
                Long("from") => from = Some(arguments.value()?.parse()?),
                Value(value) if server.is_none() => server = Some(value.parse()?),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Arguments {
            server: server.ok_or("ADDRESS:PORT is missing; see --help")?,
            connections,
            rate,
            from,
        })
    }
}

fn run(arguments: Arguments) -> Result<bool, Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let Arguments {
        server,
        connections,
        rate,
        from,
    } = arguments;
    let load = Rc::new(Load::default());
    let begun = Instant::now();
    let opener = load.clone();
    // It closes when the last one is open; the loop ends with the last answer.
    let _opener = Timer::every(&base, TICK, move |timer| {
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as usize;
        while opener.begun.get() < due.min(connections) {
            opener.begun.set(opener.begun.get() + 1);
            if let Err(error) = open(timer.handle(), server, from, &opener) {
                opener.failed(&error);
            }
        }
        if opener.begun.get() == connections {
            timer.close();
        }
    })?;
    base.run()?;

    let times = load.times.borrow();
    let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
    println!(
        "{connections} connections, {} at once; {} answered after {:.3} to {:.3} s; {} failed",
        load.most.get(),
        times.len(),
        seconds(times.iter().min()),
        seconds(times.iter().max()),
        load.failed.get(),
    );
    Ok(times.len() == connections)
}

/// What all requests have in common.
#[derive(Default)]
struct Load {
    begun: Cell<usize>,
    open: Cell<usize>,
    most: Cell<usize>,
    failed: Cell<usize>,
    times: RefCell<Vec<Duration>>,
}

impl Load {
    fn failed(&self, why: &dyn std::fmt::Display) {
        self.failed.set(self.failed.get() + 1);
        if self.failed.get() <= 5 {
            eprintln!("delay_load: {why}");
        }
    }
}

/// Connects from an address of our choice, which is the system's business and not libevent's. A
/// stream takes a socket that is still connecting: it is writable when it is connected.
fn open(
    base: &LoopHandle,
    server: SocketAddr,
    from: Option<IpAddr>,
    load: &Rc<Load>,
) -> Result<(), BoxError> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error.into()),
        _ => {}
    }
    load.open.set(load.open.get() + 1);
    let request = Request {
        load: load.clone(),
        begun: Instant::now(),
    };
    let socket = Connecting::with_peer(socket, Peer::from(server));
    let stream = BufferEvent::from_socket(base, socket, request)?;
    stream.set_timeouts(Some(PATIENCE), Some(PATIENCE))?;
    stream.write(REQUEST)?;
    stream.detach();
    Ok(())
}

struct Request {
    load: Rc<Load>,
    begun: Instant,
}

impl Handler for Request {
    /// It is all there when the server closes.
    fn on_read(&mut self, _: &BufferEventRef) -> Result<(), BoxError> {
        Ok(())
    }

    /// The request was sent.
    fn on_write(&mut self, _: &BufferEventRef) -> Result<(), BoxError> {
        let load = &self.load;
        load.most.set(load.most.get().max(load.open.get()));
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        match event {
            StreamEvent::Eof => {
                let answer = stream.input().to_vec();
                match answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\nanswered\n") {
                    true => self.load.times.borrow_mut().push(self.begun.elapsed()),
                    false => self.load.failed(&"that was no answer"),
                }
            }
            StreamEvent::Failed(error) => self.load.failed(&error),
            event => self.load.failed(&io::Error::other(format!("{event:?}"))),
        }
        stream.close();
        Ok(())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.load.open.set(self.load.open.get() - 1);
    }
}
