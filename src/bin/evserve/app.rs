//! What becomes of a request: who of all that may answer it does.

use crate::args::{Args, Credentials, LogFormat};
use crate::body;
use crate::files::{Answer, Folder, Policy, Site};
use crate::mock::Mock;
use crate::ops::log::Entry;
use crate::ops::stats::Stats;
use crate::page;
use crate::prototype::auth;
use crate::prototype::canned::Cans;
use crate::prototype::dress::Dress;
use crate::prototype::echo;
use crate::prototype::live::{self, Live};
use crate::prototype::proxy::Proxies;
use libevent2::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use libevent2::{LoopHandle, Timer};
use std::rc::Rc;
use std::time::Duration;

/// All that may answer.
pub struct App {
    stats: Rc<Stats>,
    log: Option<LogFormat>,
    dress: Rc<Dress>,
    auth: Option<Credentials>,
    delay: Option<Duration>,
    proxies: Proxies,
    cans: Cans,
    mock: Option<Mock>,
    live: Option<Rc<Live>>,
    site: Option<Site>,
    echo: bool,
}

impl App {
    /// # Errors
    /// In words: what of the arguments cannot be served.
    pub fn new(args: Args, base: &LoopHandle) -> Result<Self, String> {
        let path = args.folder();
        let live = path.clone().filter(|_| args.prototype.live_reload);
        let site = path.map(|path| {
            let policy = Policy {
                hidden: args.folders.hidden,
                follow: args.folders.follow_symlinks,
            };
            let folder = Folder::open(&path, policy)
                .map_err(|error| format!("cannot serve {}: {error}", path.display()))?;
            Ok::<_, String>(Site {
                folder: Rc::new(folder),
                spa: args.folders.spa,
                live: args.prototype.live_reload,
                upload: args.folders.upload.then_some(args.folders.upload_limit.0),
            })
        });
        let prototype = args.prototype;
        let mock = prototype.mock.as_deref().map(Mock::open).transpose();
        let dress = Rc::new(Dress::new(prototype.header, prototype.cors));
        Ok(App {
            proxies: Proxies::new(
                base,
                prototype.proxy,
                Rc::clone(&dress),
                prototype.auth.is_some(),
            )?,
            stats: Rc::new(Stats::new()),
            log: (!args.operation.quiet).then_some(args.operation.log),
            dress,
            auth: prototype.auth,
            delay: prototype.delay,
            cans: Cans::new(prototype.respond)?,
            live: live.map(|path| Live::new(base, path)),
            mock: mock.map_err(|error| format!("--mock {error}"))?,
            site: site.transpose()?,
            echo: prototype.echo,
        })
    }

    /// Answers it, now or later.
    pub fn take(self: &Rc<Self>, request: Request) {
        self.watch(&request);
        if let Some(response) = self.at_once(&request) {
            return self.respond(request, response);
        }
        let Some(delay) = self.delay else {
            return self.go_on(request);
        };
        let app = Rc::clone(self);
        let handle = request.handle().clone();
        // Without memory for a timer the request is dropped, and answered 500 by that.
        if let Ok(timer) = Timer::after(&handle, delay, move |_| app.go_on(request)) {
            timer.detach();
        }
    }

    /// Counts it, and writes its line, when its answer is sent.
    fn watch(&self, request: &Request) {
        let entry = Entry::new(request);
        let stats = Rc::clone(&self.stats);
        let log = self.log;
        request.on_sent(move |sent| {
            stats.count(&sent, entry.took());
            if let Some(format) = log {
                entry.write(format, &sent);
            }
        });
    }

    fn respond(&self, request: Request, mut response: Response) {
        self.dress.put_on(response.headers_mut());
        request.respond(response);
    }

    /// An answer with nothing but the headers of all.
    fn dressed(&self) -> Response {
        let mut response = Response::new(StatusCode::OK);
        self.dress.put_on(response.headers_mut());
        response
    }

    /// Nothing is kept open that would never end by itself.
    pub fn end(&self) {
        if let Some(live) = &self.live {
            live.end();
        }
    }

    /// What needs no body and is never late: refusals, and what tells about the server itself.
    fn at_once(&self, request: &Request) -> Option<Response> {
        if request.path() == "/__health" {
            return Some(Response::text("ok\n"));
        }
        // A browser asks that without the password.
        if let Some(response) = self.dress.preflight(request) {
            return Some(response);
        }
        if let Some(credentials) = &self.auth
            && !auth::admits(credentials, request.headers())
        {
            return Some(auth::challenge());
        }
        if request.path() == "/__stats" {
            return Some(self.stats.answer(request));
        }
        let changes = !is_read(request) && (self.mock.is_some() || self.uploads(request).is_some());
        if changes && self.dress.is_from_elsewhere(request) {
            let why = "a page of another origin may change nothing here, unless with --cors\n";
            return Some(Response::text(why).status(StatusCode::FORBIDDEN));
        }
        None
    }

    /// The one who takes a file, and how long it may be.
    fn uploads(&self, request: &Request) -> Option<(&Site, u64)> {
        let path = request.path();
        let is_other =
            self.cans.owns(path) || self.mock.as_ref().is_some_and(|mock| mock.owns(path));
        let site = self.site.as_ref().filter(|_| !is_other)?;
        site.takes(request).map(|limit| (site, limit))
    }

    fn go_on(self: &Rc<Self>, request: Request) {
        if let Some(target) = self.proxies.target(&request) {
            return self.proxies.pass(request, &target);
        }
        if let Some(live) = self.live.as_ref().filter(|_| request.path() == live::PATH) {
            return live.listen(request, self.dressed());
        }
        let app = Rc::clone(self);
        match self.uploads(&request) {
            Some((site, limit)) => site.take(limit, request, move |request, response| {
                app.respond(request, response);
            }),
            None => body::whole(request, move |request, body| app.answer(request, &body)),
        }
    }

    fn answer(&self, request: Request, body: &[u8]) {
        let made = self.cans.answer(&request);
        let made = made.or_else(|| self.mock.as_ref()?.answer(&request, body));
        if let Some(response) = made {
            return self.respond(request, response);
        }
        if let Some(site) = self.site.as_ref().filter(|_| is_read(&request)) {
            match site.answer(&request) {
                Answer::Response(response) => return self.respond(request, response),
                Answer::Archive(place, name) => {
                    return site.archive(&place, &name, request, self.dressed());
                }
                Answer::Nothing => {}
            }
        }
        let response = match self.echo {
            true => echo::answer(&request, body),
            false => self.nothing(&request),
        };
        self.respond(request, response);
    }

    /// Nobody has an answer.
    fn nothing(&self, request: &Request) -> Response {
        match (&self.mock, &self.site) {
            (Some(mock), None) if request.path() == "/" && is_read(request) => mock.index(request),
            (_, Some(site)) if !is_read(request) => {
                let allowed = match site.upload {
                    Some(_) => "GET, HEAD, POST, PUT",
                    None => "GET, HEAD",
                };
                let allowed = HeaderValue::from_static(allowed);
                page::of(StatusCode::METHOD_NOT_ALLOWED).header(header::ALLOW, allowed)
            }
            _ => page::of(StatusCode::NOT_FOUND),
        }
    }
}

fn is_read(request: &Request) -> bool {
    request.method() == Method::GET || request.method() == Method::HEAD
}
