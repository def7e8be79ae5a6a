//! Looks up names, or is a small name server. This is `sample/dns-example.c` of libevent, with its
//! options and its output.
//!
//! `cargo run --example dns_example -- -g -s 192.0.2.53 www.example.com`.
//!
//! Two things differ: without `-c` and `-s` the original cannot set up its name servers, and this
//! one takes the system's; and a server that says that it failed is told apart from a silent one,
//! `No answer (2)` from `(67)`.

use lexopt::prelude::*;
use libevent2::dns::{
    Answer, Cause, Config, LookupError, Question, Record, RecordType, Reply, Request, Resolver,
    Server, set_logger,
};
use libevent2::log::Level;
use libevent2::util::{AddrHints, AddrInfo, parse_socket_addr};
use libevent2::{EventBase, LoopHandle, ffi};
use std::error::Error;
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

/// What the server says of every name: where it is, what it is called, and for how long.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 11, 11);
const NAME: &str = "foo.bar.example.com";
const TTL: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match Options::parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Options {
    reverse: bool,
    verbose: bool,
    getaddrinfo: bool,
    server_test: bool,
    resolv_conf: Option<String>,
    server: Option<String>,
    names: Vec<String>,
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut this = Options::default();
        let mut arguments = lexopt::Parser::from_env();
        let program = arguments.bin_name().unwrap_or("dns_example").to_owned();
        if env::args_os().len() < 2 {
            return Err(format!(
                "syntax: {program} [-x] [-v] [-c resolv.conf] [-s ns] hostname\n\
                 syntax: {program} [-T]"
            )
            .into());
        }
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('x') => this.reverse = true,
                Short('v') => this.verbose = true,
                Short('g') => this.getaddrinfo = true,
                Short('T') => this.server_test = true,
                Short('c') => this.resolv_conf = Some(arguments.value()?.string()?),
                Short('s') => this.server = Some(arguments.value()?.string()?),
                Short(option) => {
                    eprintln!("{program}: invalid option -- '{option}'");
                    eprintln!("Unknown option ?");
                }
                Value(name) => this.names.push(name.string()?),
                Long(_) => return Err(argument.unexpected().into()),
            }
        }
        Ok(this)
    }

    fn config(&self) -> libevent2::Result<Config> {
        let servers = match (&self.server, &self.resolv_conf) {
            (Some(server), _) => {
                let mut server = parse_socket_addr(server)?;
                if server.port() == 0 {
                    server.set_port(53);
                }
                vec![server]
            }
            (None, Some(file)) => Config::from_file(file)?.servers,
            (None, None) => Config::system()?.servers,
        };
        // Nothing else of the file is looked at.
        Ok(Config::with_servers(servers))
    }
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let verbose = options.verbose;
    let _log = set_logger(move |level, message| match level {
        Level::Warning => eprintln!("WARN: {message}"),
        _ if verbose => eprintln!("INFO: {message}"),
        _ => {}
    })?;
    if options.server_test {
        serve(&base)?.detach();
    }
    let config = match options.names.is_empty() {
        true => Config::default(),
        false => options
            .config()
            .map_err(|_| "Couldn't configure nameservers")?,
    };
    let resolver = Resolver::new(&base, config)?;
    println!(
        "EVUTIL_AI_CANONNAME in example = {}",
        ffi::EVUTIL_AI_CANONNAME
    );
    for name in &options.names {
        look_up(&resolver, name, &options)?;
    }
    base.run()?;
    Ok(())
}

fn look_up(resolver: &Resolver, name: &str, options: &Options) -> libevent2::Result<()> {
    let asked = name.to_owned();
    let lookup = if options.reverse {
        let Ok(address) = name.parse::<Ipv4Addr>() else {
            eprintln!("Skipping non-IP {name}");
            return Ok(());
        };
        eprintln!("resolving {name}...");
        resolver.lookup_addr(address.into(), move |found| print(&asked, found))?
    } else if options.getaddrinfo {
        eprintln!("resolving (fwd) {name}...");
        let hints = AddrHints::new().tcp().canonical_name();
        resolver.getaddrinfo(Some(name), None, hints, move |found| {
            print_addresses(&asked, found);
        })?
    } else {
        eprintln!("resolving (fwd) {name}...");
        resolver.lookup_ipv4(name, move |found| print(&asked, found))?
    };
    lookup.detach();
    Ok(())
}

/// What `main_callback` does.
fn print<T: Display>(name: &str, found: Result<Answer<T>, LookupError>) {
    match found {
        Ok(answer) => {
            for record in answer.records {
                println!("{name}: {record}");
            }
        }
        Err(error) => println!("{name}: No answer ({})", code(error.cause())),
    }
}

/// What `gai_callback` does.
fn print_addresses(name: &str, found: Result<Answer<AddrInfo>, LookupError>) {
    let answer = match found {
        Ok(answer) => answer,
        Err(error) => return println!("{name}: {}", message(error.cause())),
    };
    if let Some(canonical) = answer.canonical_name {
        println!("    {name} ==> {canonical}");
    }
    let mut addresses: Vec<_> = answer.records.iter().map(|info| info.address).collect();
    // C has those of IPv4 first.
    addresses.sort_by_key(|address| address.is_ipv6());
    for (index, address) in addresses.iter().enumerate() {
        println!("[{index}] {name}: {}", address.ip());
    }
}

/// C's number for it.
fn code(cause: Cause) -> i32 {
    match cause {
        Cause::FormatError => ffi::DNS_ERR_FORMAT,
        Cause::ServerFailed => ffi::DNS_ERR_SERVERFAILED,
        Cause::NoSuchName => ffi::DNS_ERR_NOTEXIST,
        Cause::NotImplemented => ffi::DNS_ERR_NOTIMPL,
        Cause::Refused => ffi::DNS_ERR_REFUSED,
        Cause::Truncated => ffi::DNS_ERR_TRUNCATED,
        Cause::TimedOut => ffi::DNS_ERR_TIMEOUT,
        Cause::Closed => ffi::DNS_ERR_SHUTDOWN,
        Cause::Cancelled => ffi::DNS_ERR_CANCEL,
        Cause::NoData => ffi::DNS_ERR_NODATA,
        _ => ffi::DNS_ERR_UNKNOWN,
    }
}

/// C's words for it, which has no more than these for what a name server may say.
fn message(cause: Cause) -> &'static str {
    match cause {
        Cause::NoSuchName => "nodename nor servname provided, or not known",
        _ => "non-recoverable failure in name resolution",
    }
}

fn serve(base: &LoopHandle) -> Result<Server, String> {
    // The original has no other port; tests need one that is free.
    let port = env::var("DNS_EXAMPLE_PORT").ok();
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(10053);
    let address = (Ipv4Addr::UNSPECIFIED, port).into();
    Server::bind(base, address, answer).map_err(|error| {
        let cause = error.io().map(io::Error::to_string);
        format!("bind: {}", cause.unwrap_or_else(|| error.to_string()))
    })
}

/// What `evdns_server_callback` does.
fn answer(request: Request) -> libevent2::Result<()> {
    let mut reply = Reply::new();
    for question in request.questions() {
        if let Some(record) = record(question)? {
            reply = reply.answer(record);
        }
    }
    request.respond(reply)
}

fn record(question: &Question) -> libevent2::Result<Option<Record>> {
    let (name, kind, class) = (question.name(), question.record_type(), question.class());
    let is_internet = i32::from(class) == ffi::EVDNS_CLASS_INET;
    let record = match kind {
        RecordType::A if is_internet => Record::a(name, ADDRESS, TTL)?,
        RecordType::PTR if is_internet => Record::pointing(name, kind, NAME, TTL)?,
        _ => {
            println!(" -- skipping {name} [{} {class}]", kind.0);
            return Ok(None);
        }
    };
    println!(" -- replying for {name} ({kind})");
    Ok(Some(record))
}
