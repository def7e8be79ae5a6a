//! Looks up names, all at once.
//!
//! `cargo run --example dns_lookup www.example.com example.org`.

mod json;
mod report;

use lexopt::prelude::*;
use libevent2::dns::{Config, LookupError, Resolver, set_logger};
use libevent2::util::{AddrHints, AddrInfo, parse_socket_addr};
use libevent2::{CallbackResult, EventBase};
use report::{Found, Report};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::Duration;

const HELP: &str = "\
Usage: dns_lookup [OPTION]... NAME...

Looks up all names at once, and prints what is found for each, in the order in
which they are given.

  --server IP[:PORT]  asks this name server; may be given several times
                      (default: the system's)
  --config FILE       is configured by this file, and not by /etc/resolv.conf
                      and /etc/hosts
  --timeout SECS      how long a name may take (default 30)
  --reverse           looks up the name of each NAME that is an IP address
  --ipv4, --ipv6      addresses of this family only
  --canonical         also what a NAME is an alias of, but not for how long
  --json              prints a JSON object for each name

Exit status: 0 when all were found, else 1.
";

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dns_lookup: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Arguments {
    names: Vec<String>,
    servers: Vec<SocketAddr>,
    file: Option<PathBuf>,
    timeout: Option<Duration>,
    family: Family,
    reverse: bool,
    canonical: bool,
    json: bool,
}

#[derive(Default, Clone, Copy)]
enum Family {
    #[default]
    Any,
    Ipv4,
    Ipv6,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut this = Arguments::default();
        let seconds = |text: &str| {
            let number = text.parse().map_err(|_| "not a number")?;
            Duration::try_from_secs_f64(number).map_err(|_| "not a time to wait for")
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("server") => this.servers.push(arguments.value()?.parse_with(server)?),
                Long("config") => this.file = Some(arguments.value()?.into()),
                Long("timeout") => this.timeout = Some(arguments.value()?.parse_with(seconds)?),
                Long("reverse") => this.reverse = true,
                Long("ipv4") => this.family = Family::Ipv4,
                Long("ipv6") => this.family = Family::Ipv6,
                Long("canonical") => this.canonical = true,
                Long("json") => this.json = true,
                Value(name) => this.names.push(name.string()?),
                _ => return Err(argument.unexpected()),
            }
        }
        match this.names.is_empty() {
            true => Err("NAME is missing; see --help".into()),
            false => Ok(this),
        }
    }

    fn config(&self) -> libevent2::Result<Config> {
        let mut config = match &self.file {
            Some(file) => Config::from_file(file)?,
            None => Config::system()?,
        };
        if !self.servers.is_empty() {
            config.servers.clone_from(&self.servers);
        }
        if let Some(timeout) = self.timeout {
            config.deadline = timeout;
            // Each server gets its turn before the time is over.
            let turn = timeout / u32::from(config.attempts.max(1));
            config.timeout = config.timeout.min(turn.max(Duration::from_millis(1)));
        }
        // Half of the addresses are no answer.
        config.family_delay = config.deadline.min(Duration::from_secs(3600));
        Ok(config)
    }
}

fn server(text: &str) -> libevent2::Result<SocketAddr> {
    let mut address = parse_socket_addr(text)?;
    if address.port() == 0 {
        address.set_port(53);
    }
    Ok(address)
}

/// Whether all were found.
fn run(arguments: Arguments) -> Result<bool, Box<dyn Error>> {
    let mut base = EventBase::new()?;
    // What libevent has to say about name servers: the errors are enough.
    let _log = set_logger(|_, _| {})?;
    let resolver = Resolver::new(&base, arguments.config()?)?;
    let report = Rc::new(Report::new(arguments.json, arguments.names.len()));
    for (index, name) in arguments.names.iter().enumerate() {
        let report = report.clone();
        look_up(&resolver, name, &arguments, {
            let name = name.clone();
            move |found| report.tell(index, &name, found)
        })?;
    }
    match base.run() {
        // The cause is enough.
        Err(libevent2::Error::Callback(cause)) => return Err(cause),
        result => result?,
    };
    Ok(report.is_all_found())
}

/// Looks up one name, or the name of an address. The loop calls `done`.
fn look_up<O: CallbackResult>(
    resolver: &Resolver,
    name: &str,
    arguments: &Arguments,
    done: impl FnOnce(Result<Found, LookupError>) -> O + 'static,
) -> libevent2::Result<()> {
    let lookup = match (name.parse::<IpAddr>(), arguments.family) {
        (Ok(address), _) if arguments.reverse => {
            resolver.lookup_addr(address, |found| done(found.map(Found::names)))
        }
        (_, family) if arguments.canonical => {
            let hints = AddrHints::new().tcp().canonical_name();
            let hints = match family {
                Family::Any => hints,
                Family::Ipv4 => hints.ipv4(),
                Family::Ipv6 => hints.ipv6(),
            };
            let ip = |info: &AddrInfo| info.address.ip();
            resolver.getaddrinfo(Some(name), None, hints, move |found| {
                done(found.map(|answer| Found::addresses(answer, ip)))
            })
        }
        (_, Family::Any) => resolver.lookup_host(name, |found| {
            done(found.map(|answer| Found::addresses(answer, |ip| *ip)))
        }),
        (_, Family::Ipv4) => resolver.lookup_ipv4(name, |found| {
            done(found.map(|answer| Found::addresses(answer, |ip| (*ip).into())))
        }),
        (_, Family::Ipv6) => resolver.lookup_ipv6(name, |found| {
            done(found.map(|answer| Found::addresses(answer, |ip| (*ip).into())))
        }),
    };
    lookup?.detach();
    Ok(())
}
