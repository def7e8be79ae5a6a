//! Greets everybody who connects, and hangs up. This is `sample/hello-world.c` of libevent.
//!
//! `cargo run --example hello_world`, then `nc localhost 9995`. Ctrl-C ends it after two seconds.

use lexopt::prelude::*;
use libevent2::listener::{Accepted, ListenerRef};
use libevent2::stream::{BufferEvent, Callbacks, StreamEvent};
use libevent2::{EventBase, Listener, Signal};
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::{ExitCode, exit};
use std::time::Duration;

const HELP: &str = "\
Usage: hello_world [PORT]

Writes \"Hello, World!\" to everybody who connects, and hangs up.
PORT is 9995 unless given; with 0 the system picks one.

SIGINT ends it after two seconds.
";

const MESSAGE: &[u8] = b"Hello, World!\n";

fn main() -> ExitCode {
    match arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello_world: {error}");
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
    Ok(port.unwrap_or(9995))
}

fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let listener = Listener::bind(&base, (Ipv4Addr::UNSPECIFIED, port).into(), greet)?;
    let _interrupt = Signal::new(&base, libc::SIGINT, |signal| {
        println!("Caught an interrupt signal; exiting cleanly in two seconds.");
        signal.handle().exit_after(Duration::from_secs(2))
    })?;
    println!("listening on {}", listener.local_addr()?);
    base.run()?;
    println!("done");
    Ok(())
}

fn greet(listener: &ListenerRef, client: Accepted) -> libevent2::Result<()> {
    let report = Callbacks::new().on_event(|client, event| match event {
        StreamEvent::Closed => println!("flushed answer"),
        StreamEvent::Failed(error) => {
            println!("Got an error on the connection: {error}");
            client.close();
        }
        _ => client.close(),
    });
    let client = BufferEvent::from_socket(listener.handle(), client, report)?;
    client.write(MESSAGE)?;
    client.finish();
    Ok(())
}
