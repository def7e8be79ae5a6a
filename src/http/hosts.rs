//! Virtual hosts: one server, several names.

use super::routes::{Endpoint, Found, Route, Routes};
use super::server::ServerRef;
use super::wire::request::RequestHead;
use super::{Request, Response};
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// A virtual host: the routes of the requests for some names.
///
/// ```
/// # use libevent2::EventBase;
/// # use libevent2::http::{Request, Response, Server};
/// # let mut base = EventBase::new()?;
/// let server = Server::bind(&base, "127.0.0.1:0")?;
/// let shop = server.virtual_host("shop.example")?;
/// shop.alias("*.shop.example")?;
/// shop.route("GET /", |request: Request| request.respond(Response::text("welcome")))?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Host(pub(super) Rc<HostRoutes>);

#[derive(Default)]
pub(super) struct HostRoutes {
    /// In lower case; with `*.` in front for all names below.
    names: RefCell<Vec<String>>,
    routes: RefCell<Routes>,
}

/// The hosts of a server: the one for all names that no other has, and the others.
#[derive(Default)]
pub(super) struct Hosts {
    pub(super) default: Host,
    named: RefCell<Vec<Host>>,
}

impl Host {
    /// Gives it one more name, which may begin with `*.` for all names below.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no name.
    #[doc(alias = "evhttp_add_server_alias")]
    pub fn alias(&self, name: &str) -> Result<()> {
        let rest = name.strip_prefix("*.").unwrap_or(name);
        if rest.is_empty() || !super::wire::framing::is_host(rest.as_bytes()) || rest.contains(':')
        {
            return Err(Error::invalid(
                "virtual host",
                format!("{name}: no name of a host"),
            ));
        }
        self.0.names.borrow_mut().push(name.to_ascii_lowercase());
        Ok(())
    }

    /// Takes a name away; whether it had it.
    #[doc(alias = "evhttp_remove_server_alias")]
    pub fn remove_alias(&self, name: &str) -> bool {
        let mut names = self.0.names.borrow_mut();
        let before = names.len();
        names.retain(|known| !known.eq_ignore_ascii_case(name));
        names.len() < before
    }

    /// As [`ServerRef::route`], for the requests of this host.
    ///
    /// # Errors
    /// As there.
    pub fn route<O: CallbackResult + 'static>(
        &self,
        route: impl Into<Route>,
        handler: impl FnMut(Request) -> O + 'static,
    ) -> Result<()> {
        let route = route.into();
        let pattern = route.pattern.clone();
        let endpoint = Endpoint::new(route, boxed(handler));
        let mut routes = self.0.routes.borrow_mut();
        let old = routes.insert(&pattern, Rc::clone(&endpoint));
        drop(routes);
        old.map(drop)
    }

    /// As [`ServerRef::remove_route`].
    pub fn remove_route(&self, pattern: &str) -> bool {
        let old = self.0.routes.borrow_mut().remove(pattern);
        old.is_some()
    }

    /// As [`ServerRef::fallback`].
    pub fn fallback<O: CallbackResult + 'static>(
        &self,
        handler: impl FnMut(Request) -> O + 'static,
    ) {
        self.fallback_by(Route::new("/"), handler);
    }

    /// As [`ServerRef::fallback_by`].
    pub fn fallback_by<O: CallbackResult + 'static>(
        &self,
        route: Route,
        handler: impl FnMut(Request) -> O + 'static,
    ) {
        let old = self
            .0
            .routes
            .borrow_mut()
            .set_fallback(Endpoint::new(route, boxed(handler)));
        drop(old);
    }

    fn is_for(&self, host: &str) -> bool {
        self.0
            .names
            .borrow()
            .iter()
            .any(|name| match name.strip_prefix('*') {
                Some(end) => host.len() > end.len() && host.ends_with(end),
                None => host == name,
            })
    }
}

impl Hosts {
    pub(super) fn find(&self, head: &RequestHead) -> Found {
        let host = self.of(head);
        let routes = host.0.routes.try_borrow();
        match routes {
            Ok(routes) => routes.find(head),
            Err(_) => Found::Answer(Response::page(super::StatusCode::SERVICE_UNAVAILABLE)),
        }
    }

    fn of(&self, head: &RequestHead) -> Host {
        let named = self.named.borrow();
        if named.is_empty() {
            return self.default.clone();
        }
        let name = head.host();
        let found = named.iter().find(|host| host.is_for(&name));
        found.unwrap_or(&self.default).clone()
    }

    /// Everything of the user's, to be dropped when nothing is borrowed.
    pub(super) fn take(&self) -> Vec<Routes> {
        let mut hosts = self.named.take();
        hosts.push(self.default.clone());
        hosts.iter().map(|host| host.0.routes.take()).collect()
    }
}

impl ServerRef {
    /// A virtual host: requests for this name go to its routes, and not to the server's own. A
    /// name may begin with `*.` for all names below.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no name.
    #[doc(alias = "evhttp_add_virtual_host")]
    pub fn virtual_host(&self, name: &str) -> Result<Host> {
        let host = Host::default();
        host.alias(name)?;
        self.hosts().named.borrow_mut().push(host.clone());
        Ok(host)
    }

    /// Takes a virtual host away; whether it was one of this server's.
    #[doc(alias = "evhttp_remove_virtual_host")]
    pub fn remove_virtual_host(&self, host: &Host) -> bool {
        let mut named = self.hosts().named.borrow_mut();
        let at = named.iter().position(|known| Rc::ptr_eq(&known.0, &host.0));
        let old = at.map(|at| named.remove(at));
        drop(named);
        // A handler may have the host that has it.
        let routes = old.as_ref().map(|host| host.0.routes.take());
        drop(routes);
        old.is_some()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("names", &self.0.names.borrow())
            .finish_non_exhaustive()
    }
}

fn boxed<O: CallbackResult>(
    mut handler: impl FnMut(Request) -> O + 'static,
) -> Box<dyn FnMut(Request) -> Outcome> {
    Box::new(move |request| handler(request).outcome())
}
