//! Gets many things over HTTP at the same time, and says how much came.
//!
//! `cargo run --example reactor_download http://example.com/ http://example.org/`. The client calls
//! back; each download is a task that awaits a promise.

mod progress;

use lexopt::prelude::*;
use libevent2::http::{Client, ClientOptions, Streaming};
use libevent2::task::promise;
use libevent2::{BoxError, EventBase, LoopHandle};
use progress::Progress;
use std::error::Error;
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::{Duration, Instant};

const HELP: &str = "\
Usage: reactor_download [--at-once N] URL...

Gets every URL, all at the same time, and prints how many bytes each one had. On a terminal a bar
shows how far each is. One that fails does not stop the others; the exit status is 1 then.

  --at-once N  at most so many connections at a time (default 128)
";

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("reactor_download: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    at_once: usize,
    urls: Vec<String>,
}

impl Arguments {
    fn parse() -> Result<Self, lexopt::Error> {
        let (mut at_once, mut urls) = (128, Vec::new());
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    exit(0);
                }
                Long("at-once") => at_once = arguments.value()?.parse()?,
                Value(url) => urls.push(url.string()?),
                _ => return Err(argument.unexpected()),
            }
        }
        match (at_once, urls.is_empty()) {
            (0, _) => Err("--at-once is zero".into()),
            (_, true) => Err("URL is missing; see --help".into()),
            _ => Ok(Arguments { at_once, urls }),
        }
    }
}

/// Returns whether everything came.
fn run(arguments: Arguments) -> Result<bool, Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let mut options = ClientOptions::default();
    options.pool.per_host = arguments.at_once;
    options.pool.total = arguments.at_once;
    let client = Client::with(&handle, options)?;
    let progress = Rc::new(Progress::new(arguments.urls.len()));
    base.block_on(download_all(&handle, &client, arguments.urls, &progress))?;
    Ok(progress.end())
}

async fn download_all(
    handle: &LoopHandle,
    client: &Client,
    urls: Vec<String>,
    progress: &Rc<Progress>,
) {
    let begin = |url: String| {
        let (client, progress) = (client.clone(), progress.clone());
        handle.spawn(async move {
            match download(&client, &url, &progress).await {
                Ok(bytes) => progress.received(&url, bytes),
                Err(error) => progress.failed(&*error),
            }
        })
    };
    let downloads: Vec<_> = urls.into_iter().map(begin).collect();
    let drawing = handle.spawn(draw(handle.clone(), progress.clone()));
    for download in downloads {
        // It has told of its own failure.
        let _ = download.await;
    }
    drawing.cancel();
}

async fn draw(handle: LoopHandle, progress: Rc<Progress>) {
    let mut frames = handle.interval(Duration::from_millis(100));
    loop {
        frames.tick().await;
        progress.draw();
    }
}

/// How many bytes there were. Dropped, it ends the request.
async fn download(client: &Client, url: &str, progress: &Rc<Progress>) -> Result<u64, BoxError> {
    let begun = Instant::now();
    let (answered, head) = promise();
    let _pending = client.get(url)?.open(move |head| answered.resolve(head));
    let head: Streaming = head.await??;
    if !head.status.is_success() {
        return Err(format!("{url}: the server says {}", head.status).into());
    }
    let length = head.headers.get("content-length");
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let bar = progress.begin(url, length, begun);
    let body = head.incoming();
    let (ended, end) = promise();
    let counting = bar.clone();
    body.on_data(move |bytes| counting.add(bytes.len()));
    body.on_end(move |end| ended.resolve(end));
    let end = end.await?;
    end.map_err(|error| format!("{url}: {error}"))?;
    Ok(bar.bytes())
}
