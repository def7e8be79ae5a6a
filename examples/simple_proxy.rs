//! Passes every connection on to another server, like `sample/le-proxy.c` of libevent.
//!
//! `cargo run --example simple_proxy 127.0.0.1:8888 example.com:80`. Ctrl-C stops accepting and
//! lets the connections finish, a second one ends at once.

use lexopt::prelude::*;
use libevent2::listener::Accepted;
#[cfg(feature = "openssl")]
use libevent2::stream::tls::Connector;
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Direction, Handler, StreamEvent};
use libevent2::{BoxError, EventBase, Kind, Listener, LoopHandle, Signal, SignalRef};
use std::cell::Cell;
use std::error::Error;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::Duration;

const HELP: &str = "\
Usage: simple_proxy [--tls] LISTEN UPSTREAM

Accepts connections at LISTEN and passes each on to UPSTREAM, both of the form
HOST:PORT. With port 0 at LISTEN the system picks one.

  --tls  speaks TLS with UPSTREAM, whose certificate has to be for HOST (when
         built with the feature openssl)

SIGINT and SIGTERM: accepts nobody any more and ends with the last connection.
A second one ends at once.
";

/// How much may wait for the slower end; until it is down to half, nothing more is read from the
/// other one.
const HIGH: usize = 512 * 1024;
/// How long one end may leave what the other, which is gone, has sent.
const LAST_WORDS: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simple_proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    listen: SocketAddr,
    upstream: Upstream,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let (mut listen, mut upstream, mut tls) = (None, None, false);
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("tls") => tls = true,
                Value(value) if listen.is_none() => listen = Some(value.parse_with(resolve)?),
                Value(value) if upstream.is_none() => {
                    upstream = Some(value.parse_with(Upstream::parse)?);
                }
                _ => return Err(argument.unexpected()),
            }
        }
        let listen = listen.ok_or("LISTEN is missing; see --help")?;
        let mut upstream = upstream.ok_or("UPSTREAM is missing; see --help")?;
        if tls {
            upstream.use_tls()?;
        }
        Ok(Arguments { listen, upstream })
    }
}

fn resolve(name: &str) -> Result<SocketAddr, String> {
    let addresses = name.to_socket_addrs().map_err(|error| error.to_string());
    addresses?.next().ok_or("it has no address".to_owned())
}

/// The server that every connection is passed on to. Its name is looked up each time.
struct Upstream {
    host: String,
    port: u16,
    #[cfg(feature = "openssl")]
    tls: Option<Connector>,
}

impl Upstream {
    fn parse(name: &str) -> Result<Self, &'static str> {
        let (host, port) = name.rsplit_once(':').ok_or("it has no port")?;
        Ok(Upstream {
            // An IPv6 address stands in brackets.
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().map_err(|_| "that is no port")?,
            #[cfg(feature = "openssl")]
            tls: None,
        })
    }

    #[cfg(feature = "openssl")]
    fn use_tls(&mut self) -> Result<(), String> {
        let connector = Connector::new().map_err(|error| error.to_string())?;
        self.tls = Some(connector);
        Ok(())
    }

    #[cfg(not(feature = "openssl"))]
    fn use_tls(&mut self) -> Result<(), String> {
        Err("--tls: built without the feature openssl".to_owned())
    }

    /// The handler is set when both ends are there.
    fn connect(&self, base: &LoopHandle) -> libevent2::Result<BufferEvent> {
        #[cfg(feature = "openssl")]
        if let Some(tls) = &self.tls {
            return tls.connect_host(base, &self.host, self.port, Callbacks::new());
        }
        BufferEvent::connect_host(base, &self.host, self.port, Callbacks::new())
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    base.on_error(|_, error| eprintln!("simple_proxy: {error}"));

    let Arguments { listen, upstream } = arguments;
    let listener = Listener::options()
        .on_error(|_, error| eprintln!("simple_proxy: accept: {error}"))
        .bind(&base, listen, move |listener, client| {
            tie(listener.handle(), client, &upstream)
        })?;
    let stop = |signal: &SignalRef| signal.handle().exit();
    let interrupt = Signal::new(&base, libc::SIGINT, stop)?;
    let terminate = Signal::new(&base, libc::SIGTERM, stop)?;
    println!("listening on {}", listener.local_addr()?);
    base.run()?;

    // Without our handlers, the next signal does what it does to any process. The loop ends by
    // itself when the last connection has.
    drop((listener, interrupt, terminate));
    println!(
        "{} connections left",
        base.stats().live(Kind::BufferEvent) / 2
    );
    base.run()?;
    Ok(())
}

/// Ties a client to the server. What it sends before there is a connection waits for that.
fn tie(base: &LoopHandle, client: Accepted, upstream: &Upstream) -> libevent2::Result<()> {
    let client = BufferEvent::from_socket(base, client, Callbacks::new())?;
    let server = upstream.connect(base)?;
    let ends = Rc::new([End::new(client), End::new(server)]);
    for (side, end) in ends.iter().enumerate() {
        end.stream.set_watermarks(Direction::WRITE, HIGH / 2, 0)?;
        end.stream.set_handler(Half {
            ends: ends.clone(),
            side,
        })?;
    }
    Ok(())
}

/// One end of the pair.
struct End {
    stream: BufferEvent,
    /// It has sent all that it will send.
    ended: Cell<bool>,
}

impl End {
    fn new(stream: BufferEvent) -> Self {
        let ended = Cell::new(false);
        End { stream, ended }
    }
}

/// What happens at one end. Both ends live as long as one of the two handlers, and so until both
/// are closed.
struct Half {
    ends: Rc<[End; 2]>,
    side: usize,
}

impl Half {
    fn this(&self) -> &End {
        &self.ends[self.side]
    }

    fn other(&self) -> &End {
        &self.ends[1 - self.side]
    }
}

impl Handler for Half {
    fn on_read(&mut self, this: &BufferEventRef) -> Result<(), BoxError> {
        let other = self.other().stream.output();
        other.append_from(&this.input())?;
        if other.len() >= HIGH {
            this.disable(Direction::READ)?;
        }
        Ok(())
    }

    /// There is room again for what the other end sends.
    fn on_write(&mut self, _: &BufferEventRef) -> Result<(), BoxError> {
        let other = self.other();
        if !other.ended.get() && !other.stream.is_closed() {
            other.stream.enable(Direction::READ)?;
        }
        Ok(())
    }

    fn on_event(&mut self, this: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        let other = &self.other().stream;
        match event {
            // Half of the connection is over; the other half may go on.
            StreamEvent::Eof => {
                self.this().ended.set(true);
                if self.other().ended.get() {
                    this.close_when_flushed();
                    other.close_when_flushed();
                } else if !other.is_closed() {
                    other.shutdown_write()?;
                }
            }
            StreamEvent::Failed(_) | StreamEvent::TimedOut(_) => {
                if let StreamEvent::Failed(error) = event {
                    eprintln!("simple_proxy: {error}");
                }
                self.this().ended.set(true);
                this.close();
                if !other.is_closed() {
                    other.set_timeouts(None, Some(LAST_WORDS))?;
                    other.close_when_flushed();
                }
            }
            _ => {}
        }
        Ok(())
    }
}
