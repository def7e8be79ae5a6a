//! What becomes of a request: who of all that may answer it does.

use crate::args::{Args, Credentials, LogFormat};
use crate::files::{Folder, Policy, Site};
use crate::mock::Mock;
use crate::ops::log::Entry;
use crate::ops::stats::Stats;
use crate::page;
use crate::prototype::auth;
use crate::prototype::canned::Cans;
use crate::prototype::dress::Dress;
use crate::prototype::echo;
use libevent2::Timer;
use libevent2::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use std::rc::Rc;
use std::time::Duration;

/// All that may answer.
pub struct App {
    stats: Rc<Stats>,
    log: Option<LogFormat>,
    dress: Dress,
    auth: Option<Credentials>,
    delay: Option<Duration>,
    cans: Cans,
    mock: Option<Mock>,
    site: Option<Site>,
    echo: bool,
}

impl App {
    /// # Errors
    /// In words: what of the arguments cannot be served.
    pub fn new(args: Args) -> Result<Self, String> {
        let site = args.folder().map(|path| {
            let policy = Policy {
                hidden: args.folders.hidden,
                follow: args.folders.follow_symlinks,
            };
            let folder = Folder::open(&path, policy)
                .map_err(|error| format!("cannot serve {}: {error}", path.display()))?;
            let spa = args.folders.spa;
            Ok::<_, String>(Site { folder, spa })
        });
        let prototype = args.prototype;
        let mock = prototype.mock.as_deref().map(Mock::open).transpose();
        Ok(App {
            stats: Rc::new(Stats::new()),
            log: (!args.operation.quiet).then_some(args.operation.log),
            dress: Dress::new(prototype.header, prototype.cors),
            auth: prototype.auth,
            delay: prototype.delay,
            cans: Cans::new(prototype.respond)?,
            mock: mock.map_err(|error| format!("--mock {error}"))?,
            site: site.transpose()?,
            echo: prototype.echo,
        })
    }

    /// Answers it, now or later.
    pub fn take(self: &Rc<Self>, request: Request) {
        self.watch(&request);
        let Some(delay) = self.delay.filter(|_| !is_ours(request.path())) else {
            return self.answer(request);
        };
        let app = Rc::clone(self);
        let handle = request.handle().clone();
        // Without memory for a timer the request is dropped, and answered 500 by that.
        if let Ok(timer) = Timer::after(&handle, delay, move |_| app.answer(request)) {
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

    fn answer(&self, request: Request) {
        let mut response = self.response(&request);
        self.dress.put_on(response.headers_mut());
        request.respond(response);
    }

    fn response(&self, request: &Request) -> Response {
        if request.path() == HEALTH {
            return Response::text("ok\n");
        }
        // A browser asks that without the password.
        if let Some(response) = self.dress.preflight(request) {
            return response;
        }
        if let Some(credentials) = &self.auth
            && !auth::admits(credentials, request.headers())
        {
            return auth::challenge();
        }
        if request.path() == STATS {
            return self.stats.answer(request);
        }
        self.cans
            .answer(request)
            .or_else(|| self.mock.as_ref()?.answer(request))
            .or_else(|| {
                self.site
                    .as_ref()
                    .filter(|_| is_read(request))?
                    .answer(request)
            })
            .or_else(|| self.echo.then(|| echo::answer(request)))
            .unwrap_or_else(|| self.nothing(request))
    }

    /// Nobody has an answer.
    fn nothing(&self, request: &Request) -> Response {
        match (&self.mock, &self.site) {
            (Some(mock), None) if request.path() == "/" && is_read(request) => mock.index(request),
            (_, Some(_)) if !is_read(request) => {
                let allowed = HeaderValue::from_static("GET, HEAD");
                page::of(StatusCode::METHOD_NOT_ALLOWED).header(header::ALLOW, allowed)
            }
            _ => page::of(StatusCode::NOT_FOUND),
        }
    }
}

const HEALTH: &str = "/__health";
const STATS: &str = "/__stats";

/// What tells about the server itself is neither late nor anybody else's.
fn is_ours(path: &str) -> bool {
    path == HEALTH || path == STATS
}

fn is_read(request: &Request) -> bool {
    request.method() == Method::GET || request.method() == Method::HEAD
}
