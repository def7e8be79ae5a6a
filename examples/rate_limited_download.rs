//! Gets a file over HTTP, no faster than it may be.
//!
//! `cargo run --example rate_limited_download http://example.com/ --rate 10000`.

use lexopt::prelude::*;
use libevent2::buffer::Eol;
use libevent2::stream::{BufferEvent, BufferEventRef, Handler, RateLimit, StreamEvent};
use libevent2::{BoxError, Buffer, EventBase, Timer};
use std::cell::Cell;
use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::{Duration, Instant};

const HELP: &str = "\
Usage: rate_limited_download [--rate BYTES] [-o FILE] URL

Gets a file by plain HTTP and says on standard error how far it is. URL is
http://HOST[:PORT]/PATH or HOST[:PORT]/PATH.

  --rate BYTES       at most that many bytes per second (default 65536)
  -o, --output FILE  writes to a file (default: standard output)
";

const DEFAULT_RATE: NonZeroU64 = NonZeroU64::new(64 * 1024).unwrap();
/// No answer for that long is none.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that the head of an answer may have.
const MAX_HEAD: usize = 64 * 1024;

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rate_limited_download: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    url: Url,
    rate: NonZeroU64,
    output: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let (mut url, mut rate, mut output) = (None, DEFAULT_RATE, None);
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("rate") => rate = arguments.value()?.parse()?,
                Short('o') | Long("output") => output = Some(arguments.value()?.into()),
                Value(value) if url.is_none() => url = Some(value.parse_with(Url::parse)?),
                _ => return Err(argument.unexpected()),
            }
        }
        let url = url.ok_or("URL is missing; see --help")?;
        Ok(Arguments { url, rate, output })
    }
}

struct Url {
    host: String,
    port: u16,
    path: String,
}

impl Url {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err("only http can be had"),
            None => text,
        };
        if rest.contains(|c: char| c.is_control() || c == ' ') {
            return Err("there is a space in it");
        }
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        // The colons of an IPv6 address are within brackets.
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| "that is no port")?)
            }
            _ => (host, 80),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        match host.is_empty() {
            true => Err("there is no host in it"),
            false => Ok(Url {
                host,
                port,
                path: path.to_owned(),
            }),
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { url, rate, output } = arguments;
    let mut base = EventBase::new()?;
    let progress = Rc::new(Progress::default());
    let download = Download {
        output: Output::To(output),
        progress: progress.clone(),
        head: 0,
    };
    let stream = BufferEvent::connect_host(&base, &url.host, url.port, download)?;
    stream.set_rate_limit(RateLimit::new().read(rate.into()))?;
    stream.set_timeouts(Some(PATIENCE), Some(PATIENCE))?;
    stream.write(format!("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", url.path, url.host).as_bytes())?;

    let shown = progress.clone();
    let _every_second = Timer::every(&base, Duration::from_secs(1), move |_| shown.show())?;
    match base.run() {
        // The cause is enough.
        Err(libevent2::Error::Callback(cause)) => return Err(cause),
        result => result?,
    };
    progress.show();
    Ok(())
}

struct Progress {
    begun: Instant,
    bytes: Cell<u64>,
    length: Cell<Option<u64>>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress {
            begun: Instant::now(),
            bytes: Cell::new(0),
            length: Cell::new(None),
        }
    }
}

impl Progress {
    fn show(&self) {
        let bytes = self.bytes.get();
        let rate = bytes as f64 / self.begun.elapsed().as_secs_f64();
        match self.length.get() {
            Some(length) => eprintln!("{bytes} of {length} bytes, {rate:.0}/s"),
            None => eprintln!("{bytes} bytes, {rate:.0}/s"),
        }
    }

    /// How much is to come, if the server said so.
    fn left(&self) -> Option<u64> {
        let length = self.length.get();
        length.map(|length| length.saturating_sub(self.bytes.get()))
    }
}

/// Where the body goes.
enum Output {
    /// The file is made when there is something to write to it.
    To(Option<PathBuf>),
    Open(Box<dyn Write>),
}

struct Download {
    output: Output,
    progress: Rc<Progress>,
    /// How long the head is, up to now.
    head: usize,
}

impl Download {
    /// Takes the head line by line, up to the empty one. Returns whether it is complete.
    fn read_head(&mut self, stream: &BufferEventRef) -> Result<bool, BoxError> {
        let Output::To(path) = &self.output else {
            return Ok(true);
        };
        while let Some(line) = stream.input().read_line(Eol::Crlf) {
            let line = String::from_utf8_lossy(&line);
            let is_first = self.head == 0;
            self.head += line.len() + 1;
            if line.is_empty() {
                self.output = Output::Open(match path {
                    Some(path) => Box::new(File::create(path)?),
                    None => Box::new(io::stdout()),
                });
                return Ok(true);
            }
            if is_first {
                check_status(&line)?;
            }
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    self.progress.length.set(Some(value.trim().parse()?));
                }
                Some((name, _)) if name.eq_ignore_ascii_case("transfer-encoding") => {
                    return Err("the server has encoded it, though nobody asked for that".into());
                }
                _ => {}
            }
        }
        match self.head + stream.input().len() > MAX_HEAD {
            true => Err("the head of the answer does not end".into()),
            false => Ok(false),
        }
    }
}

/// Whether this first line says that the file comes.
fn check_status(line: &str) -> Result<(), String> {
    match line.split_once(' ') {
        Some((version, status)) if version.starts_with("HTTP/1.") => {
            match status.starts_with("200") {
                true => Ok(()),
                false => Err(format!("the server says {status}")),
            }
        }
        _ => Err(format!("that is not HTTP: {line}")),
    }
}

impl Handler for Download {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        if !self.read_head(stream)? {
            return Ok(());
        }
        let left = self.progress.left().unwrap_or(u64::MAX);
        let mut body = Buffer::new();
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        stream.input().move_to(&mut body, left);
        if let Output::Open(output) = &mut self.output {
            let bytes = io::copy(&mut body, output)?;
            output.flush()?;
            self.progress.bytes.set(self.progress.bytes.get() + bytes);
        }
        if self.progress.left() == Some(0) {
            stream.handle().exit();
        }
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        match event {
            StreamEvent::Connected => return Ok(()),
            StreamEvent::Eof if matches!(self.output, Output::To(_)) => {
                return Err("the server has closed before it answered".into());
            }
            StreamEvent::Eof if self.progress.left().is_some_and(|left| left > 0) => {
                return Err("the server has closed before the end".into());
            }
            StreamEvent::Failed(error) => return Err(error.into()),
            StreamEvent::TimedOut(_) => return Err("the server says nothing any more".into()),
            _ => {}
        }
        stream.handle().exit();
        Ok(())
    }
}
