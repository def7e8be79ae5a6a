//! A driver for a line protocol, to begin another one with: it asks MPD, the Music Player Daemon.
//! docs/drivers.md explains it. MPD's pictures, which are bytes between the lines, are left out.
//!
//! `cargo run --example line_driver 127.0.0.1:6600 status currentsong`

mod callbacks;
mod client;
mod protocol;

use lexopt::prelude::*;
use libevent2::stream::{AsyncStream, BufferEvent, Callbacks};
use libevent2::task::promise;
use libevent2::{EventBase, LoopHandle};
use protocol::Fields;
use std::error::Error;
use std::net::SocketAddr;
use std::process::{ExitCode, exit};
use std::time::Duration;

const HELP: &str = "\
Usage: line_driver [--callbacks] ADDRESS:PORT COMMAND...

Gives the commands to the MPD at this address, one after the other, and prints what it answers.

  --callbacks  by the driver that calls back, all at once
";

/// How long the connection and each answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("line_driver: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    server: SocketAddr,
    commands: Vec<String>,
    by_callbacks: bool,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let (mut server, mut commands, mut by_callbacks) = (None, Vec::new(), false);
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("callbacks") => by_callbacks = true,
                Value(value) if server.is_none() => server = Some(value.parse()?),
                Value(value) => commands.push(value.string()?),
                _ => return Err(argument.unexpected()),
            }
        }
        let server = server.ok_or("ADDRESS:PORT is missing; see --help")?;
        match commands.is_empty() {
            true => Err("COMMAND is missing; see --help".into()),
            false => Ok(Arguments {
                server,
                commands,
                by_callbacks,
            }),
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    match arguments.by_callbacks {
        true => base.block_on(by_callbacks(&handle, &arguments))?,
        false => base.block_on(one_by_one(&handle, &arguments))?,
    }
}

async fn one_by_one(handle: &LoopHandle, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let stream = AsyncStream::connect(handle, arguments.server);
    let stream = handle.timeout(PATIENCE, stream).await??;
    let mut client = handle
        .timeout(PATIENCE, client::Client::new(stream))
        .await??;
    handle.timeout(PATIENCE, client.ping()).await??;
    for command in &arguments.commands {
        show(&handle.timeout(PATIENCE, client.ask(command)).await??);
    }
    Ok(())
}

/// What calls back is awaited as well, by a promise for each.
async fn by_callbacks(handle: &LoopHandle, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let stream = BufferEvent::connect(handle, arguments.server, Callbacks::new())?;
    let client = callbacks::Client::new(stream)?;
    let mut answers = Vec::new();
    for command in &arguments.commands {
        let (promise, answer) = promise();
        client.ask(command, move |result| promise.resolve(result))?;
        answers.push(answer);
    }
    for answer in answers {
        show(&handle.timeout(PATIENCE, answer).await???);
    }
    Ok(())
}

fn show(fields: &Fields) {
    for (name, value) in fields {
        println!("{name}: {value}");
    }
    println!("OK");
}
