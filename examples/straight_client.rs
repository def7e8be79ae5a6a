//! A client in straight lines: each step waits for the one before, and the loop runs meanwhile.
//!
//! `cargo run --example straight_client`, with `straight_server` running.

#[path = "straight/message.rs"]
mod message;

use lexopt::prelude::*;
use libevent2::net::TcpStream;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, exit};
use std::time::Duration;

const HELP: &str = "\
Usage: straight_client [ADDRESS:PORT]

Says two things to straight_server, the second when the first was answered.
The server is at 127.0.0.1:9006 unless given.
";

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("straight_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<SocketAddr, lexopt::Error> {
    let mut server = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => {
                print!("{HELP}");
                exit(0);
            }
            Value(value) if server.is_none() => server = Some(value.parse()?),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(server.unwrap_or((Ipv4Addr::LOCALHOST, 9006).into()))
}

fn run(server: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(handle.timeout(PATIENCE, talk(&handle, server)))???;
    Ok(())
}

async fn talk(handle: &LoopHandle, server: SocketAddr) -> io::Result<()> {
    let socket = TcpStream::connect(handle, server).await?;
    let mut number = 0;
    for text in ["héllo", "world"] {
        message::write(&socket, number, text).await?;
        let answer = message::read(&socket).await?;
        let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
        println!("{} {:?}", answer.number, answer.text);
        number = answer.number;
    }
    Ok(())
}
