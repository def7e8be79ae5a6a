//! A server in straight lines: no callbacks, and a loop per client that reads, shows and answers.
//!
//! `cargo run --example straight_server`, then `cargo run --example straight_client`.

#[path = "straight/message.rs"]
mod message;

use lexopt::prelude::*;
use libevent2::net::{TcpListener, TcpStream};
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::process::{ExitCode, exit};

const HELP: &str = "\
Usage: straight_server [PORT]

Shows the messages of straight_client, and answers each with a number.
PORT is 9006 unless given; with 0 the system picks one.

SIGINT and SIGTERM end it.
";

fn main() -> ExitCode {
    match arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("straight_server: {error}");
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
    Ok(port.unwrap_or(9006))
}

fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, (Ipv4Addr::LOCALHOST, port).into())?;
    println!("listening on {}", listener.local_addr()?);
    let mut signals = handle.signals(&[libc::SIGINT, libc::SIGTERM])?;
    let _server = handle
        .spawn(serve(handle.clone(), listener))
        .cancel_on_drop();
    base.block_on(signals.next())?;
    Ok(())
}

async fn serve(handle: LoopHandle, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => drop(handle.spawn(async move {
                if let Err(error) = talk(&socket).await {
                    eprintln!("straight_server: {peer}: {error}");
                }
            })),
            Err(error) => eprintln!("straight_server: {error}"),
        }
    }
}

/// Everything that is said with one client.
async fn talk(socket: &TcpStream) -> io::Result<()> {
    while let Some(said) = message::read(socket).await? {
        println!("{} {:?}", said.number, said.text);
        message::write(socket, said.number.wrapping_add(42), "thanks").await?;
    }
    Ok(())
}
