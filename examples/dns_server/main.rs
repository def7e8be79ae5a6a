//! A small name server: answers from a file, and prints what it answers.
//!
//! `cargo run --example dns_server -- --zone zone.txt --port 5353`, then
//! `dig @127.0.0.1 -p 5353 www.example`. Ctrl-C ends it.

mod answer;
mod zone;

use lexopt::prelude::*;
use libevent2::dns::{Request, Server};
use libevent2::{EventBase, Signal, SignalRef};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use zone::Zone;

const HELP: &str = "\
Usage: dns_server --zone FILE [--port N] [--addr IP]

Answers questions over UDP from what is in a file, and prints what it answers.

  --zone FILE   what there is to tell
  --port N      answers at this port (default 5353); with 0 the system picks one
  --addr IP     and at this address (default 127.0.0.1)

Each line of the file is a record: a name, for how many seconds it may be
remembered (300 unless given), its type and what it says.

  example              NS     ns.example
  @                    MX     10 mail.example
  @                    TXT    \"any text; quotes keep its blanks and marks\"
  mail.example    60   A      192.0.2.1
  mail.example    60   AAAA   2001:db8::1
  www.example          CNAME  mail.example
  192.0.2.1            PTR    mail.example

A name is complete, with or without a dot at its end; @ stands for the one of
the line before. Before PTR there may be an address. What follows # or ; is a
comment. Upper and lower case make no difference. A name that is not there does
not exist, unless there is one that ends with it.

SIGINT and SIGTERM end it.
";

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dns_server: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    zone: PathBuf,
    port: u16,
    addr: IpAddr,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut zone = None;
        let (mut port, mut addr) = (5353, Ipv4Addr::LOCALHOST.into());
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("zone") => zone = Some(arguments.value()?.into()),
                Long("port") => port = arguments.value()?.parse()?,
                Long("addr") => addr = arguments.value()?.parse()?,
                _ => return Err(argument.unexpected()),
            }
        }
        let zone = zone.ok_or("--zone FILE is missing")?;
        Ok(Arguments { zone, port, addr })
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let zone = Zone::read(&arguments.zone)?;
    let mut base = EventBase::new()?;
    let stop = |signal: &SignalRef| signal.handle().exit();
    let _interrupt = Signal::new(&base, libc::SIGINT, stop)?;
    let _terminate = Signal::new(&base, libc::SIGTERM, stop)?;
    let addr = (arguments.addr, arguments.port).into();
    let server = Server::bind(&base, addr, move |request: Request| {
        let reply = answer::reply(&zone, &request);
        let (question, peer) = (request.question(), request.peer());
        let (kind, name) = (question.record_type(), question.name());
        println!("{peer} asks for {kind} {name}: {reply}");
        request.respond(reply)
    })?;
    println!("listening on {}", server.local_addr());
    base.run()?;
    Ok(())
}
