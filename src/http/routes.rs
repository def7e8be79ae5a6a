//! Which handler a request belongs to.

use super::target;
use super::wire::request::RequestHead;
use super::{Cors, Request, Response, StatusCode};
use crate::callback::Outcome;
use crate::error::{Error, Result};
use ::http::{HeaderValue, Method, header};
use std::cell::RefCell;
use std::rc::Rc;

/// A path and perhaps a method, with what is special about the requests for it.
///
/// In a pattern `{name}` stands for one segment of a path and `{*name}` for all that is left; see
/// [`Request::param`]. `{{` and `}}` stand for braces. Paths are compared decoded, except that an
/// escaped `/` does not end a segment; exact segments win over names.
///
/// With a method before the path, as in `"GET /items/{id}"`, the handler gets the requests of that
/// method only; one for GET gets those of HEAD too, whose answers go without their bodies. What
/// has no handler is then answered by the server: `OPTIONS` with the methods that there are,
/// others with 405.
///
/// ```
/// use libevent2::http::Route;
///
/// let upload = Route::new("PUT /files/{*path}").body_bytes(1 << 30).streamed();
/// ```
#[derive(Debug, Clone)]
pub struct Route {
    pub(super) pattern: String,
    body_bytes: Option<u64>,
    streamed: bool,
    cors: Option<Rc<Cors>>,
}

impl Route {
    /// The requests for a path, or for a method and a path.
    pub fn new(pattern: impl Into<String>) -> Self {
        Route {
            pattern: pattern.into(),
            body_bytes: None,
            streamed: false,
            cors: None,
        }
    }

    /// The most bytes that the body of such a request may have, in the place of
    /// [`Limits::body_bytes`](super::Limits::body_bytes).
    #[must_use]
    pub fn body_bytes(mut self, bytes: u64) -> Self {
        self.body_bytes = Some(bytes);
        self
    }

    /// Lets pages of other sites use it: the server answers what browsers ask before, and adds to
    /// all answers what lets the pages read them. A policy that names no methods allows those
    /// that the path has handlers for.
    #[must_use]
    pub fn cors(mut self, policy: Cors) -> Self {
        self.cors = Some(Rc::new(policy));
        self
    }

    /// Calls the handler before the body has come: it reads it piece by piece from
    /// [`Request::incoming`], and nothing of it is held in memory.
    #[must_use]
    pub fn streamed(mut self) -> Self {
        self.streamed = true;
        self
    }
}

impl From<&str> for Route {
    fn from(pattern: &str) -> Self {
        Route::new(pattern)
    }
}

impl From<String> for Route {
    fn from(pattern: String) -> Self {
        Route::new(pattern)
    }
}

/// Whom requests go to. It is counted, so that it may replace or remove itself.
pub(super) struct Endpoint {
    pub(super) handler: RefCell<Box<dyn FnMut(Request) -> Outcome>>,
    pub(super) body_bytes: Option<u64>,
    pub(super) streamed: bool,
    pub(super) cors: Option<Rc<Cors>>,
}

impl Endpoint {
    pub(super) fn new(route: Route, handler: Box<dyn FnMut(Request) -> Outcome>) -> Rc<Self> {
        Rc::new(Endpoint {
            handler: RefCell::new(handler),
            body_bytes: route.body_bytes,
            streamed: route.streamed,
            cors: route.cors,
        })
    }
}

/// What the parts of a pattern in braces stand for.
pub(super) type Params = Vec<(String, String)>;

/// The endpoints of one path.
type Methods = Vec<(Option<Method>, Rc<Endpoint>)>;

#[derive(Default)]
pub(super) struct Routes {
    paths: matchit::Router<Methods>,
    fallback: Option<Rc<Endpoint>>,
}

pub(super) enum Found {
    Endpoint(Rc<Endpoint>, Params),
    /// The server's own answer.
    Answer(Response),
}

impl Routes {
    /// Gives the old endpoint back, to be dropped when no borrow is held; the caller keeps a
    /// count on the new one for the same reason.
    pub(super) fn insert(
        &mut self,
        pattern: &str,
        endpoint: Rc<Endpoint>,
    ) -> Result<Option<Rc<Endpoint>>> {
        let (method, path) = split(pattern)?;
        let mut methods = self.paths.remove(path).unwrap_or_default();
        let same = methods.iter_mut().find(|(known, _)| *known == method);
        let old = match same {
            Some((_, place)) => Some(std::mem::replace(place, endpoint)),
            None => {
                methods.push((method, endpoint));
                None
            }
        };
        match self.paths.insert(path, methods) {
            Ok(()) => Ok(old),
            Err(error) => Err(Error::invalid("route", format!("{path}: {error}"))),
        }
    }

    pub(super) fn remove(&mut self, pattern: &str) -> Option<Rc<Endpoint>> {
        let (method, path) = split(pattern).ok()?;
        let mut methods = self.paths.remove(path)?;
        let at = methods.iter().position(|(known, _)| *known == method);
        let old = at.map(|at| methods.remove(at).1);
        if !methods.is_empty() {
            // It was there before.
            let _ = self.paths.insert(path, methods);
        }
        old
    }

    pub(super) fn set_fallback(&mut self, endpoint: Rc<Endpoint>) -> Option<Rc<Endpoint>> {
        self.fallback.replace(endpoint)
    }

    pub(super) fn find(&self, head: &RequestHead) -> Found {
        let (method, target) = (&head.method, &head.target);
        let path = target.for_routing();
        let Ok(found) = self.paths.at(&path) else {
            let known = self.fallback.iter().map(|endpoint| (None, endpoint));
            if let Some(response) = preflight(head, known) {
                return Found::Answer(response);
            }
            return match &self.fallback {
                Some(fallback) => Found::Endpoint(Rc::clone(fallback), Params::new()),
                None if target.path == "*" && *method == Method::OPTIONS => {
                    Found::Answer(Response::new(StatusCode::NO_CONTENT))
                }
                None => Found::Answer(Response::page(StatusCode::NOT_FOUND)),
            };
        };
        let known = found.value.iter();
        let known = known.map(|(method, endpoint)| (method.as_ref(), endpoint));
        if let Some(response) = preflight(head, known) {
            return Found::Answer(response);
        }
        let of = |wanted: Option<&Method>| {
            let mut known = found.value.iter();
            known.find(|(method, _)| method.as_ref() == wanted)
        };
        let get = (*method == Method::HEAD).then_some(&Method::GET);
        let endpoint = of(Some(method)).or_else(|| get.and_then(|get| of(Some(get))));
        let Some((_, endpoint)) = endpoint.or_else(|| of(None)) else {
            return Found::Answer(without_handler(method, found.value));
        };
        let params = found.params.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(&target::decode(value)).into_owned();
            (name.to_owned(), value)
        });
        Found::Endpoint(Rc::clone(endpoint), params.collect())
    }
}

/// The answer to a browser that asks whether a page of another site may use the path, by the
/// policy of the method that it asks for.
fn preflight<'a>(
    head: &RequestHead,
    known: impl Iterator<Item = (Option<&'a Method>, &'a Rc<Endpoint>)> + Clone,
) -> Option<Response> {
    if head.method != Method::OPTIONS {
        return None;
    }
    let asked = head.headers();
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes();
    let is_wanted = |method: &Method| method.as_str().as_bytes() == wanted;
    let mut named = known
        .clone()
        .filter(|(method, _)| method.is_some_and(is_wanted));
    let mut any = known.clone().filter(|(method, _)| method.is_none());
    let policies = || {
        known
            .clone()
            .filter_map(|(_, endpoint)| endpoint.cors.as_ref())
    };
    let policy = match named.next().or_else(|| any.next()) {
        Some((_, endpoint)) => endpoint.cors.as_ref(),
        None => policies().next(),
    };
    let methods: Vec<_> = known
        .clone()
        .filter_map(|(method, _)| method.cloned())
        .collect();
    let methods = match any.next() {
        Some(_) => Method::from_bytes(wanted).into_iter().collect(),
        None => methods,
    };
    let headers = policy?.preflight_headers(&head.method, &asked, &methods)?;
    let mut response = Response::new(StatusCode::NO_CONTENT);
    *response.headers_mut() = headers;
    Some(response)
}

/// The answer to a method that a path has no handler for.
fn without_handler(method: &Method, known: &Methods) -> Response {
    let mut allowed: Vec<_> = known
        .iter()
        .flat_map(|(method, _)| method)
        .map(Method::as_str)
        .collect();
    if allowed.contains(&"GET") && !allowed.contains(&"HEAD") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let response = match *method {
        Method::OPTIONS => Response::new(StatusCode::NO_CONTENT),
        _ => Response::page(StatusCode::METHOD_NOT_ALLOWED),
    };
    match HeaderValue::try_from(allowed.join(", ")) {
        Ok(allowed) => response.header(header::ALLOW, allowed),
        Err(_) => response,
    }
}

/// The method and the path of a pattern.
fn split(pattern: &str) -> Result<(Option<Method>, &str)> {
    let Some((method, path)) = pattern
        .split_once(' ')
        .filter(|_| !pattern.starts_with('/'))
    else {
        return Ok((None, pattern));
    };
    let method = Method::from_bytes(method.as_bytes());
    let method = method.map_err(|_| Error::invalid("route", format!("{pattern}: no method")))?;
    Ok((Some(method), path.trim_start()))
}
