//! Sends everybody what they have sent.
//!
//! `cargo run --example echo_server`, then `nc localhost 9003`. Ctrl-C stops accepting and lets
//! the clients finish, a second one ends at once.

use lexopt::prelude::*;
use libevent2::listener::{Accepted, ListenerRef};
use libevent2::stream::{BufferEvent, Callbacks, Direction, StreamEvent};
use libevent2::{EventBase, Kind, Listener, LoopHandle, Signal, SignalRef};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{ExitCode, exit};

const HELP: &str = "\
Usage: echo_server [PORT]

Listens on all addresses of this machine and sends everybody what they have sent.
PORT is 9003 unless given; with 0 the system picks one.

SIGINT and SIGTERM: accepts nobody any more and ends with the last client.
A second one ends at once.
";

/// How much may wait for a client that does not read; until then nothing more is read from it.
const HIGH: usize = 256 * 1024;

fn main() -> ExitCode {
    match arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: {error}");
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
    Ok(port.unwrap_or(9003))
}

fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    // What goes wrong with one client is no reason to leave the others.
    base.on_error(|_, error| eprintln!("echo_server: {error}"));

    let listener = listen(&base, port)?;
    let stop = |signal: &SignalRef| signal.handle().exit();
    let interrupt = Signal::new(&base, libc::SIGINT, stop)?;
    let terminate = Signal::new(&base, libc::SIGTERM, stop)?;
    println!("listening on {}", listener.local_addr()?);
    base.run()?;

    // Without our handlers, the next signal does what it does to any process. The loop ends by
    // itself when the last client has gone.
    drop((listener, interrupt, terminate));
    println!("{} clients left", base.stats().live(Kind::BufferEvent));
    base.run()?;
    Ok(())
}

/// IPv6 takes IPv4 too; some machines have no IPv6.
fn listen(base: &LoopHandle, port: u16) -> libevent2::Result<Listener> {
    let everywhere = |ip: IpAddr| {
        Listener::options()
            .ipv6_only(false)
            .on_error(|_, error| eprintln!("echo_server: accept: {error}"))
            .bind(base, (ip, port).into(), serve)
    };
    everywhere(Ipv6Addr::UNSPECIFIED.into()).or_else(|_| everywhere(Ipv4Addr::UNSPECIFIED.into()))
}

fn serve(listener: &ListenerRef, client: Accepted) -> libevent2::Result<()> {
    let echo = Callbacks::new()
        .on_read(|client| {
            client.output().append_from(&client.input())?;
            if client.output().len() > HIGH {
                client.disable(Direction::READ)?;
            }
            Ok::<(), libevent2::Error>(())
        })
        .on_write(|client| client.enable(Direction::READ))
        .on_event(|client, event| match event {
            StreamEvent::Eof => client.close_when_flushed(),
            _ => client.close(),
        });
    BufferEvent::from_socket(listener.handle(), client, echo)?.detach();
    Ok(())
}
