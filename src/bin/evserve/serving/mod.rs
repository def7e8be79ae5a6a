//! Listens, serves, and ends: one process, or a family of them.

mod family;
mod sockets;
mod tls;
mod workers;

use crate::app::App;
use crate::args::Args;
use libevent2::http::{Limits, Listen, Route, Server, TrustedProxies};
use libevent2::stream::RateLimit;
use libevent2::stream::rustls::Acceptor;
use libevent2::{Event, EventBase, Interest, LoopHandle, Signal};
use sockets::Sockets;
use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::rc::Rc;
use std::time::Duration;

/// Serves until it is told to end.
///
/// # Errors
/// In words: what cannot be served.
pub fn run(args: Args) -> Result<(), String> {
    let line = family::line();
    let scheme = args.network.scheme();
    if args.network.workers > 1 && !family::is_worker() {
        return workers::run(args, scheme, line);
    }
    let sockets = Sockets::open(&args.network, 1)?;
    let sockets = sockets.into_iter().next().unwrap_or_default();

    let mut base = EventBase::new().map_err(text)?;
    // What fails for one client is no reason to end for all.
    base.on_error(|_, error| complain(error));
    let manner = Manner {
        tls: tls::acceptor(&args.network)?,
        throttle: args.network.throttle.map(|bytes| bytes.0),
        proxied: args.network.proxy_protocol,
        trusted: trusted(&args.network.trusted_proxy)?,
    };
    let grace = args.operation.grace;
    let app = Rc::new(App::new(args, &base)?);
    let one = Rc::new(One {
        server: server(&base, &app, &manner, &sockets)?,
        app,
        grace,
        sockets: RefCell::new(sockets),
        heir: RefCell::default(),
    });
    let interrupt = one.end_on(&base, libc::SIGINT);
    let terminate = one.end_on(&base, libc::SIGTERM);
    let _signals = (interrupt.map_err(text)?, terminate.map_err(text)?);
    let _restart = one.restart_on_hangup(&base).map_err(text)?;
    one.server.on_closed(|handle| handle.exit());

    if !family::is_worker() {
        announce(&one.sockets.borrow().names(scheme));
    }
    if let Some(line) = line {
        family::ready(&line);
        if family::is_worker() {
            one.end_with(&base, line).map_err(text)?;
        }
    }
    base.run().map_err(text)?;
    Ok(())
}

/// How it speaks with its clients.
struct Manner {
    tls: Option<Acceptor>,
    /// Bytes a second for each connection.
    throttle: Option<u64>,
    /// By a proxy that says who they are.
    proxied: bool,
    /// Who is believed when it says for whom it asks.
    trusted: TrustedProxies,
}

impl Manner {
    fn apply(&self, socket: OwnedFd) -> Listen {
        let mut listen = Listen::socket(socket);
        if let Some(tls) = &self.tls {
            listen = listen.tls(tls.clone());
        }
        if let Some(bytes) = self.throttle {
            // In small steps, so that it is as a slow line is, and not stop and go.
            let limit = RateLimit::per_second(bytes).tick(Duration::from_millis(50));
            listen = listen.rate_limit(limit);
        }
        match self.proxied {
            true => listen.proxy_protocol(),
            false => listen,
        }
    }
}

fn trusted(networks: &[String]) -> Result<TrustedProxies, String> {
    if networks.is_empty() {
        return Ok(TrustedProxies::default());
    }
    let trusted = TrustedProxies::new(networks);
    // Whoever may open the socket's file is on this machine.
    trusted
        .map(TrustedProxies::unix)
        .map_err(|error| format!("--trusted-proxy: {error}"))
}

/// A server on these sockets.
fn server(
    base: &LoopHandle,
    app: &Rc<App>,
    manner: &Manner,
    sockets: &Sockets,
) -> Result<Server, String> {
    let server = Server::new(base).map_err(text)?;
    // Who sends a file of some gigabytes may take its time, as long as it goes on.
    server.set_limits(Limits::new().request_time(Duration::from_secs(24 * 60 * 60)));
    server.trust_proxies(manner.trusted.clone());
    // Each one who takes a body has a limit of its own.
    let route = Route::new("/").streamed().body_bytes(u64::MAX);
    let app = Rc::clone(app);
    server.fallback_by(route, move |request| app.take(request));
    for socket in sockets.again().map_err(text)? {
        server.listen_by(manner.apply(socket)).map_err(text)?;
    }
    Ok(server)
}

/// Says where, on standard output: a script reads it from there.
fn announce(names: &[String]) {
    let mut out = io::stdout().lock();
    for name in names {
        let _ = writeln!(out, "listening on {name}");
    }
    let _ = out.flush();
}

/// The only process, or one of several.
struct One {
    server: Server,
    app: Rc<App>,
    grace: Option<Duration>,
    sockets: RefCell<Sockets>,
    heir: RefCell<Heir>,
}

/// The process that is to take over.
#[derive(Default)]
enum Heir {
    #[default]
    None,
    Starting,
    /// Another hangup came meanwhile: the file may have changed after this one has read it.
    Outdated,
    /// It gets the hangups that still come here.
    Serving(family::Relative),
}

impl One {
    /// Finishes what is in flight.
    fn end(&self, others_go_on: bool) {
        self.sockets.borrow_mut().close(others_go_on);
        self.app.end();
        match self.grace {
            Some(grace) => self.server.close_within(grace),
            None => self.server.close(),
        }
    }

    /// The first signal lets the server finish, the second ends the process.
    fn end_on(self: &Rc<Self>, base: &LoopHandle, signum: i32) -> libevent2::Result<Signal> {
        let one = Rc::clone(self);
        Signal::new(base, signum, move |_| {
            if one.server.is_closing() {
                process::exit(128 + signum);
            }
            one.end(family::is_worker());
        })
    }

    /// A worker ends with its parent, or when that one wants another in its place.
    fn end_with(self: &Rc<Self>, base: &LoopHandle, line: UnixStream) -> libevent2::Result<()> {
        let one = Rc::clone(self);
        let event = Event::new(base, line, Interest::READ, move |event, _| {
            let mut line = event.source();
            if !matches!(line.read(&mut [0]), Ok(1..)) {
                event.close();
                one.end(true);
            }
        })?;
        event.detach();
        Ok(())
    }

    /// At a hangup another process takes over.
    fn restart_on_hangup(self: &Rc<Self>, base: &LoopHandle) -> libevent2::Result<Signal> {
        let one = Rc::clone(self);
        let base_of_it = base.clone();
        Signal::new(base, libc::SIGHUP, move |_| {
            if family::is_worker() {
                return;
            }
            let mut heir = one.heir.borrow_mut();
            match &*heir {
                Heir::Serving(new) => new.hang_up(),
                Heir::Starting | Heir::Outdated => *heir = Heir::Outdated,
                Heir::None if one.server.is_closing() => {}
                Heir::None => {
                    drop(heir);
                    one.start_heir(&base_of_it);
                }
            }
        })
    }

    /// Starts another process on the same sockets, and ends when that one serves.
    fn start_heir(self: &Rc<Self>, base: &LoopHandle) {
        let one = Rc::clone(self);
        let base_of_it = base.clone();
        let told = move |new: Option<family::Relative>| {
            let outdated = matches!(one.heir.take(), Heir::Outdated);
            let Some(new) = new else {
                complain("the new process has ended: this one goes on");
                if outdated {
                    one.start_heir(&base_of_it);
                }
                return;
            };
            if outdated {
                new.hang_up();
            }
            one.heir.replace(Heir::Serving(new));
            one.end(true);
        };
        self.heir.replace(Heir::Starting);
        if let Err(error) = family::start(base, &self.sockets.borrow(), false, told) {
            self.heir.take();
            complain(error);
        }
    }
}

/// Says what has failed, while the rest goes on.
fn complain(error: impl Display) {
    let _ = writeln!(io::stderr(), "evserve: {error}");
}

fn text(error: impl Display) -> String {
    error.to_string()
}
