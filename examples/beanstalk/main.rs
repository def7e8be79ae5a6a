//! Jobs for others, and the jobs of others: a client of beanstalkd.
//!
//! `cargo run --example beanstalk put one two`, then `cargo run --example beanstalk work`.

#[allow(dead_code, reason = "it can do more than this program needs")]
mod client;

use client::{Client, Error, Reply};
use lexopt::prelude::*;
use libevent2::stream::AsyncStream;
use libevent2::{EventBase, LoopHandle};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, exit};
use std::time::Duration;

const HELP: &str = "\
Usage: beanstalk [OPTION]... put TEXT...
       beanstalk [OPTION]... work

put puts a job into a tube for each TEXT, and prints its number. work prints the jobs of a tube as
they come, and deletes them, until none has come for some time; SIGINT and SIGTERM end it before. A
connection that is lost is made again.

  --server ADDRESS:PORT  where beanstalkd is (default 127.0.0.1:11300)
  --tube NAME            the tube (default \"default\")
  --wait SECONDS         how long work waits for a job (default 60)
";

/// How long a connection may take, and how long to wait before the next: twice as long each time.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];
/// How long, in seconds, a job may be held.
const TO_RUN: u32 = 60;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("beanstalk: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    server: SocketAddr,
    tube: String,
    wait: u32,
    /// None to work.
    put: Option<Vec<String>>,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut this = Arguments {
            server: (Ipv4Addr::LOCALHOST, 11300).into(),
            tube: "default".to_owned(),
            wait: 60,
            put: None,
        };
        let mut words: Vec<String> = Vec::new();
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("server") => this.server = arguments.value()?.parse()?,
                Long("tube") => this.tube = arguments.value()?.string()?,
                Long("wait") => this.wait = arguments.value()?.parse()?,
                Value(value) => words.push(value.string()?),
                _ => return Err(argument.unexpected()),
            }
        }
        let texts = words.split_off(words.len().min(1));
        match (words.pop().as_deref(), texts.is_empty()) {
            (Some("put"), false) => this.put = Some(texts),
            (Some("put"), true) => return Err("TEXT is missing; see --help".into()),
            (Some("work"), true) => {}
            (Some("work"), false) => return Err("work takes no TEXT; see --help".into()),
            (Some(word), _) => return Err(format!("unexpected argument {word:?}").into()),
            (None, _) => return Err("put or work is missing; see --help".into()),
        }
        Ok(this)
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let mut signals = handle.signals(&[libc::SIGINT, libc::SIGTERM])?;
    let work = handle.spawn({
        let handle = handle.clone();
        async move {
            let result = match &arguments.put {
                Some(texts) => put(&handle, &arguments, texts).await,
                None => work(&handle, &arguments).await,
            };
            handle.exit();
            result
        }
    });
    // Ended by a signal, or by the work's end.
    match base.block_on(signals.next()) {
        Err(libevent2::Error::Stopped) => {}
        result => return result.map(drop).map_err(Into::into),
    }
    base.block_on(work)??
}

async fn connect(handle: &LoopHandle, arguments: &Arguments) -> Result<Client, Failure> {
    let connecting = AsyncStream::connect(handle, arguments.server);
    let stream = handle.timeout(PATIENCE, connecting).await??;
    let client = Client::new(handle, stream);
    client.use_tube(&arguments.tube).await?;
    client.watch(&arguments.tube).await?;
    Ok(client)
}

/// All at once: the commands go out before the first answer has come.
async fn put(handle: &LoopHandle, arguments: &Arguments, texts: &[String]) -> Result<(), Failure> {
    let client = connect(handle, arguments).await?;
    let begin = |text: &String| {
        let (client, text) = (client.clone(), text.clone());
        handle.spawn(async move { client.put(text.as_bytes(), 1024, 0, TO_RUN).await })
    };
    let jobs: Vec<_> = texts.iter().map(begin).collect();
    for job in jobs {
        println!("{}", job.await??.number);
    }
    Ok(())
}

async fn work(handle: &LoopHandle, arguments: &Arguments) -> Result<(), Failure> {
    let [mut pause, longest] = PAUSES;
    loop {
        let lost = match connect(handle, arguments).await {
            Ok(client) => {
                pause = PAUSES[0];
                match jobs(&client, arguments.wait).await {
                    Err(Error::TimedOut) => return Ok(()),
                    Err(error @ Error::Lost(_)) => error.into(),
                    Err(error) => return Err(error.into()),
                    Ok(never) => match never {},
                }
            }
            Err(error) => error,
        };
        eprintln!("beanstalk: {lost}; trying again");
        handle.sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

async fn jobs(client: &Client, wait: u32) -> Result<std::convert::Infallible, Error> {
    loop {
        let job = client.reserve(wait).await?;
        show(&job);
        job.delete().await?;
    }
}

fn show(job: &Reply) {
    println!("{}: {}", job.number, String::from_utf8_lossy(&job.body));
}
