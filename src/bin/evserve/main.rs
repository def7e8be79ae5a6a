//! `evserve`: serves a folder over HTTP, and what a prototype needs.
//!
//! Exit codes: 0 after SIGINT or SIGTERM, when what was in flight is sent; 128 + the signal's
//! number (130, 143) when a second one ends it at once; 2 for what it cannot serve.

mod app;
mod args;
mod files;
mod mock;
mod ops;
mod page;
mod prototype;

use app::App;
use args::Args;
use libevent2::http::Server;
use libevent2::{EventBase, Signal};
use ops::port;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::rc::Rc;

fn main() -> ExitCode {
    match Args::parse().and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody may be there to read it; the code says it too.
            let _ = writeln!(io::stderr(), "evserve: {message}");
            ExitCode::from(2)
        }
    }
}

fn serve(args: Args) -> Result<(), String> {
    let (bind, port) = (args.network.bind().to_owned(), args.network.port);
    let app = Rc::new(App::new(args)?);

    let mut base = EventBase::new().map_err(text)?;
    let server = Rc::new(Server::new(&base).map_err(text)?);
    server.listen((bind.as_str(), port)).map_err(|error| {
        let advice = error.io().map(|error| port::advice(&bind, port, error));
        let (cause, advice) = (cause(&error), advice.unwrap_or_default());
        format!("cannot listen on {bind} port {port}: {cause}{advice}")
    })?;
    server.fallback(move |request| app.take(request));

    let interrupt = end_on(&base, &server, libc::SIGINT);
    let terminate = end_on(&base, &server, libc::SIGTERM);
    let _signals = (interrupt.map_err(text)?, terminate.map_err(text)?);
    server.on_closed(|handle| handle.exit());

    for addr in server.local_addrs() {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "listening on http://{addr}/").and_then(|()| out.flush());
    }
    base.run().map_err(text)?;
    Ok(())
}

/// The first signal lets the server finish, the second ends the process.
fn end_on(base: &EventBase, server: &Rc<Server>, signum: i32) -> libevent2::Result<Signal> {
    let server = Rc::clone(server);
    Signal::new(base, signum, move |_| {
        if server.is_closing() {
            process::exit(128 + signum);
        }
        server.close();
    })
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// The system's part of an error: what was tried is said already.
fn cause(error: &libevent2::Error) -> String {
    error.io().map_or_else(|| text(error), text)
}
