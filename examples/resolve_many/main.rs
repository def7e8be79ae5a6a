//! Looks up the names in a file, many at a time.
//!
//! `cargo run --release --example resolve_many names.txt > addresses.txt`. Ctrl-C ends it.

mod progress;

use lexopt::prelude::*;
use libevent2::dns::{Answer, Cause, Config, LookupError, Resolver, set_logger};
use libevent2::util::parse_socket_addr;
use libevent2::{EventBase, Signal, Timer};
use progress::Progress;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::Duration;
use std::{fs, vec};

const HELP: &str = "\
Usage: resolve_many [OPTION]... FILE

Looks up the names in FILE, one on a line, or in standard input when FILE is -.
Empty lines, and what follows a #, are passed over; no name is looked for in the
domains of the search list. Results are printed as they come: \"NAME ADDRESS...\",
or \"NAME ! CAUSE\". On standard error there is a bar, if that is a terminal, and
a summary at the end.

  --server IP[:PORT]  asks this name server; may be given several times
                      (default: the system's)
  --concurrency N     how many names are looked up at a time (default 200); when
                      a server gets more at once than it can hold, some are
                      asked for again after a while
  --timeout SECS      how long a name may take (default 10)
  --ipv4, --ipv6      addresses of this family only
  -q, --quiet         no bar and no summary

SIGINT ends it, with the summary.

Exit status: 0 when each name was found or does not exist, else 1.
";

/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(100);
/// The longest time before a question is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("resolve_many: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    file: OsString,
    servers: Vec<SocketAddr>,
    concurrency: NonZeroU16,
    timeout: Duration,
    family: Family,
    quiet: bool,
}

#[derive(Clone, Copy)]
enum Family {
    Any,
    Ipv4,
    Ipv6,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut file = None;
        let mut this = Arguments {
            file: OsString::new(),
            servers: Vec::new(),
            concurrency: NonZeroU16::new(200).unwrap(),
            timeout: Duration::from_secs(10),
            family: Family::Any,
            quiet: false,
        };
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
                Long("concurrency") => this.concurrency = arguments.value()?.parse()?,
                Long("timeout") => this.timeout = arguments.value()?.parse_with(seconds)?,
                Long("ipv4") => this.family = Family::Ipv4,
                Long("ipv6") => this.family = Family::Ipv6,
                Short('q') | Long("quiet") => this.quiet = true,
                Value(value) if file.is_none() => file = Some(value),
                _ => return Err(argument.unexpected()),
            }
        }
        this.file = file.ok_or("FILE is missing; see --help")?;
        Ok(this)
    }

    fn config(&self) -> libevent2::Result<Config> {
        let mut config = Config::system()?;
        if !self.servers.is_empty() {
            config.servers.clone_from(&self.servers);
        }
        config.search.clear();
        // No name's question is to wait for those of other names, or to be given up because its other
        // one was answered.
        let questions = match self.family {
            Family::Any => 2,
            Family::Ipv4 | Family::Ipv6 => 1,
        };
        config.max_in_flight = self.concurrency.get().saturating_mul(questions).min(65_000);
        config.family_delay = self.timeout.min(Duration::from_secs(3600));
        config.deadline = self.timeout;
        // With so many, some datagrams get lost.
        config.attempts = 5;
        config.timeout = (self.timeout / 5).clamp(Duration::from_millis(1), PATIENCE);
        Ok(config)
    }

    fn names(&self) -> Result<Vec<String>, String> {
        let mut text = Vec::new();
        let read = match self.file == "-" {
            true => io::stdin().read_to_end(&mut text).map(|_| text),
            false => fs::read(&self.file),
        };
        let text = read.map_err(|error| format!("{}: {error}", self.file.display()))?;
        let text = String::from_utf8_lossy(&text);
        let names = text.lines().filter_map(|line| {
            let name = line.split('#').next().unwrap_or_default().trim();
            (!name.is_empty()).then(|| name.to_owned())
        });
        Ok(names.collect())
    }
}

fn server(text: &str) -> libevent2::Result<SocketAddr> {
    let mut address = parse_socket_addr(text)?;
    if address.port() == 0 {
        address.set_port(53);
    }
    Ok(address)
}

/// Whether there is a result for each name.
fn run(arguments: Arguments) -> Result<bool, Box<dyn Error>> {
    let names = arguments.names()?;
    let mut base = EventBase::new()?;
    // What libevent has to say about name servers: the results are enough.
    let _log = set_logger(|_, _| {})?;
    let progress = Rc::new(Progress::new(names.len(), arguments.quiet));
    let work = Rc::new(Work {
        resolver: Resolver::new(&base, arguments.config()?)?,
        names: RefCell::new(names.into_iter()),
        under_way: Cell::new(0),
        concurrency: arguments.concurrency.get().into(),
        family: arguments.family,
        progress: progress.clone(),
    });
    let _interrupt = Signal::new(&base, libc::SIGINT, |signal| signal.handle().exit())?;
    let shown = progress.clone();
    let _tick = Timer::every(&base, TICK, move |_| shown.show())?;
    if !work.start_more()? {
        match base.run() {
            // The cause is enough.
            Err(libevent2::Error::Callback(cause)) => return Err(cause),
            result => result?,
        };
    }
    progress.end();
    Ok(progress.is_complete())
}

struct Work {
    resolver: Resolver,
    names: RefCell<vec::IntoIter<String>>,
    under_way: Cell<usize>,
    concurrency: usize,
    family: Family,
    progress: Rc<Progress>,
}

impl Work {
    /// Looks up as many names as may be. Returns whether all is done.
    fn start_more(self: &Rc<Self>) -> libevent2::Result<bool> {
        while self.under_way.get() < self.concurrency {
            let Some(name) = self.names.borrow_mut().next() else {
                break;
            };
            self.start(name)?;
            self.under_way.set(self.under_way.get() + 1);
        }
        Ok(self.under_way.get() == 0)
    }

    fn start(self: &Rc<Self>, name: String) -> libevent2::Result<()> {
        let (work, resolver) = (self.clone(), &self.resolver);
        let asked = name.clone();
        let lookup = match self.family {
            Family::Any => resolver.lookup_host(&asked, move |found| work.done(&name, found)),
            Family::Ipv4 => resolver.lookup_ipv4(&asked, move |found| work.done(&name, found)),
            Family::Ipv6 => resolver.lookup_ipv6(&asked, move |found| work.done(&name, found)),
        };
        lookup?.detach();
        Ok(())
    }

    /// There is a result.
    fn done<T: Display>(
        self: Rc<Self>,
        name: &str,
        found: Result<Answer<T>, LookupError>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.under_way.set(self.under_way.get() - 1);
        self.progress.make_room();
        let mut output = io::stdout().lock();
        match found {
            Ok(answer) => {
                write!(output, "{name}")?;
                for address in &answer.records {
                    write!(output, " {address}")?;
                }
                writeln!(output)?;
                self.progress.found.bump();
            }
            Err(error) => {
                let cause = error.cause();
                writeln!(output, "{name} ! {}", cause.as_str())?;
                match cause {
                    Cause::NoSuchName | Cause::NoData => self.progress.not_found.bump(),
                    _ => self.progress.failed.bump(),
                }
            }
        }
        if self.start_more()? {
            self.resolver.handle().exit();
        }
        Ok(())
    }
}
