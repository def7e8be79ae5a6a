//! Sends everybody what they have sent, with a task for each.
//!
//! `cargo run --example async_echo`, then `nc localhost 9007`. Ctrl-C stops accepting and lets the
//! clients finish, a second one ends at once. With callbacks this is `echo_server`.

use lexopt::prelude::*;
use libevent2::net::{TcpListener, TcpStream};
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::process::{ExitCode, exit};

const HELP: &str = "\
Usage: async_echo [PORT]

Sends everybody on this machine what they have sent.
PORT is 9007 unless given; with 0 the system picks one.

SIGINT and SIGTERM: accepts nobody any more and ends with the last client.
A second one ends at once.
";

fn main() -> ExitCode {
    match arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("async_echo: {error}");
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
    Ok(port.unwrap_or(9007))
}

fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, (Ipv4Addr::LOCALHOST, port).into())?;
    println!("listening on {}", listener.local_addr()?);

    let accepting = handle
        .spawn(accept(handle.clone(), listener))
        .cancel_on_drop();
    let mut signals = handle.signals(&[libc::SIGINT, libc::SIGTERM])?;
    base.block_on(signals.next())?;

    // Without them the next signal does what it does to any process, and the loop ends by itself
    // with the last task.
    drop((accepting, signals));
    base.run()?;
    Ok(())
}

async fn accept(handle: LoopHandle, listener: TcpListener) {
    loop {
        match listener.accept().await {
            // The task goes on without its handle.
            Ok((client, _)) => drop(handle.spawn(echo(client))),
            Err(error) => eprintln!("async_echo: {error}"),
        }
    }
}

/// A client that has gone is nobody else's trouble, nor is why.
async fn echo(client: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        match client.read(&mut bytes).await? {
            0 => return Ok(()),
            count => client.write_all(&bytes[..count]).await?,
        }
    }
}
