//! REST over a JSON file: arrays are collections of things with an `id`, objects single things.

mod change;
mod list;
mod store;

use crate::page;
use libevent2::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use list::{Found, Query};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use store::{Store, Things};

/// What the file has, as a server.
pub struct Mock(RefCell<Store>);

/// Why there is no such thing, or none is made.
#[derive(Debug, PartialEq)]
enum Refusal {
    NotFound,
    /// These are the methods that there are.
    Method(&'static str),
    Bad(String),
    Conflict(String),
    Failed(String),
}

/// What a path names.
enum Place<'a> {
    Collection(&'a str),
    Thing(&'a str, &'a str),
    /// `posts/1/comments`: those of the comments whose `postId` is 1.
    Children(&'a str, &'a str, &'a str),
    Single(&'a str),
    All,
}

impl Mock {
    /// # Errors
    /// In words: what is wrong with the file.
    pub fn open(path: &Path) -> Result<Self, String> {
        let store = Store::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Mock(RefCell::new(store)))
    }

    /// The answer, if the file has anything under that path.
    pub fn answer(&self, request: &Request, body: &[u8]) -> Option<Response> {
        let mut store = self.0.borrow_mut();
        let (things, complaint) = store.things();
        if let Some(complaint) = complaint {
            let _ = writeln!(io::stderr(), "evserve: {complaint}");
        }
        let names = names(request.path());
        let place = Place::of(&names, things)?;
        let answer = match *request.method() {
            Method::GET | Method::HEAD => read(things, &place, request),
            Method::OPTIONS => Ok(allowing(StatusCode::NO_CONTENT, place.methods())),
            _ => change(&mut store, &place, request.method(), body),
        };
        Some(answer.unwrap_or_else(refused))
    }

    /// Whether the path is one of its own.
    pub fn owns(&self, path: &str) -> bool {
        Place::of(&names(path), self.0.borrow_mut().things().0).is_some()
    }

    /// What there is, for who asks for nothing in particular.
    pub fn index(&self, request: &Request) -> Response {
        let mut store = self.0.borrow_mut();
        let things = store.things().0;
        let count = |value: &Value| {
            value
                .as_array()
                .map_or(Value::Null, |items| json!(items.len()))
        };
        if page::wants_json(request.headers()) {
            let index = things
                .iter()
                .map(|(name, value)| (name.clone(), count(value)));
            return pretty(&Value::Object(index.collect()));
        }
        let links = things.iter().map(|(name, value)| {
            let name = page::escape(name);
            let count = value.as_array().map(|items| format!(" ({})", items.len()));
            format!(
                "<li><a href=\"/{name}\">/{name}</a>{}</li>",
                count.unwrap_or_default()
            )
        });
        page::html("Mock", &format!("<ul>{}</ul>", links.collect::<String>()))
    }
}

impl<'a> Place<'a> {
    fn of(names: &'a [String], things: &Things) -> Option<Self> {
        let is_collection = |name: &str| things.get(name).map(Value::is_array);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Some(match names[..] {
            [name] if is_collection(name) == Some(true) => Place::Collection(name),
            [name] if is_collection(name) == Some(false) => Place::Single(name),
            ["db"] => Place::All,
            [name, id] if is_collection(name) == Some(true) => Place::Thing(name, id),
            [name, id, child]
                if is_collection(name) == Some(true) && is_collection(child) == Some(true) =>
            {
                Place::Children(name, id, child)
            }
            _ => return None,
        })
    }

    fn methods(&self) -> &'static str {
        match self {
            Place::Collection(_) | Place::Children(..) => "GET, HEAD, OPTIONS, POST",
            Place::Thing(..) => "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
            Place::Single(_) => "GET, HEAD, OPTIONS, PATCH, PUT",
            Place::All => "GET, HEAD, OPTIONS",
        }
    }
}

fn read(things: &Things, place: &Place<'_>, request: &Request) -> Result<Response, Refusal> {
    let items = |name: &str| things[name].as_array().map_or(&[][..], Vec::as_slice);
    match *place {
        Place::All => Ok(pretty(&Value::Object(things.clone()))),
        Place::Single(name) => Ok(pretty(&things[name])),
        Place::Thing(name, id) => {
            let at = change::find(items(name), id).ok_or(Refusal::NotFound)?;
            Ok(pretty(&items(name)[at]))
        }
        Place::Collection(name) => listing(items(name), request, None),
        Place::Children(name, id, child) => {
            let parent = Some((change::reference(name), id.to_owned()));
            listing(items(child), request, parent)
        }
    }
}

fn listing(
    items: &[Value],
    request: &Request,
    of: Option<(String, String)>,
) -> Result<Response, Refusal> {
    let query = Query::new(request.query_pairs().chain(of)).map_err(Refusal::Bad)?;
    let Found { items, total, page } = query.run(items);
    let total = HeaderValue::from(total);
    let mut response = pretty(&json!(items));
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-total-count"), total);
    // A script of another origin sees those only that are named.
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Link, Location, X-Total-Count"),
    );
    let links = page.map(|(page, last)| links(request, page, last));
    if let Some(links) = links.and_then(|links| HeaderValue::try_from(links).ok()) {
        headers.insert(header::LINK, links);
    }
    Ok(response)
}

/// Where the other pages are, from here: right behind any proxy.
fn links(request: &Request, page: usize, last: usize) -> String {
    let query = request.query().unwrap_or_default();
    let others = query.split('&').filter(|pair| !pair.starts_with("_page="));
    let others: Vec<&str> = others.filter(|pair| !pair.is_empty()).collect();
    let link = |page: usize, rel: &str| {
        let page = format!("_page={page}");
        let query: Vec<&str> = others.iter().copied().chain([page.as_str()]).collect();
        format!("<{}?{}>; rel=\"{rel}\"", request.path(), query.join("&"))
    };
    let mut links = vec![link(1, "first")];
    if page > 1 {
        links.push(link((page - 1).min(last), "prev"));
    }
    if page < last {
        links.push(link(page + 1, "next"));
    }
    links.push(link(last, "last"));
    links.join(", ")
}

/// Changes a copy, and puts it in the place of the original when it is saved.
fn change(
    store: &mut Store,
    place: &Place<'_>,
    method: &Method,
    body: &[u8],
) -> Result<Response, Refusal> {
    let mut things = store.things().0.clone();
    let body = || -> Result<Things, Refusal> {
        serde_json::from_slice(body)
            .map_err(|error| Refusal::Bad(format!("the body is no JSON object: {error}")))
    };
    let mut created = None;
    let changed = match *place {
        Place::Collection(name) if *method == Method::POST => {
            let (thing, id) = change::create(&mut things, name, body()?)?;
            created = Some(format!("/{}/{}", page::encode(name), page::encode(&id)));
            thing
        }
        Place::Children(name, id, child) if *method == Method::POST => {
            let mut body = body()?;
            body.insert(change::reference(name), change::id_of(id));
            let (thing, id) = change::create(&mut things, child, body)?;
            created = Some(format!("/{}/{}", page::encode(child), page::encode(&id)));
            thing
        }
        Place::Thing(name, id) => match *method {
            Method::PUT => change::put(&mut things, name, id, body()?)?,
            Method::PATCH => change::patch(&mut things, name, id, body()?)?,
            Method::DELETE => change::delete(&mut things, name, id)?,
            _ => return Err(Refusal::Method(place.methods())),
        },
        Place::Single(name) => {
            let body = body()?;
            let thing = things.get_mut(name).ok_or(Refusal::NotFound)?;
            match (method, thing.as_object_mut()) {
                (&Method::PUT, _) => *thing = Value::Object(body),
                (&Method::PATCH, Some(thing)) => thing.extend(body),
                _ => return Err(Refusal::Method(place.methods())),
            }
            thing.clone()
        }
        _ => return Err(Refusal::Method(place.methods())),
    };
    store
        .replace(things)
        .map_err(|error| Refusal::Failed(format!("it cannot be saved: {error}")))?;
    let response = pretty(&changed);
    Ok(
        match created.and_then(|at| HeaderValue::try_from(at).ok()) {
            Some(at) => response
                .status(StatusCode::CREATED)
                .header(header::LOCATION, at),
            None => response,
        },
    )
}

fn refused(refusal: Refusal) -> Response {
    let (status, why) = match refusal {
        Refusal::NotFound => (StatusCode::NOT_FOUND, "there is no such thing".to_owned()),
        Refusal::Method(methods) => return allowing(StatusCode::METHOD_NOT_ALLOWED, methods),
        Refusal::Bad(why) => (StatusCode::BAD_REQUEST, why),
        Refusal::Conflict(why) => (StatusCode::CONFLICT, why),
        Refusal::Failed(why) => {
            let _ = writeln!(io::stderr(), "evserve: {why}");
            (StatusCode::INTERNAL_SERVER_ERROR, why)
        }
    };
    pretty(&json!({ "error": why })).status(status)
}

fn allowing(status: StatusCode, methods: &'static str) -> Response {
    Response::new(status).header(header::ALLOW, HeaderValue::from_static(methods))
}

fn pretty(value: &Value) -> Response {
    Response::json(format!("{value:#}\n"))
}

fn names(path: &str) -> Vec<String> {
    let names = path.split('/').filter(|name| !name.is_empty());
    names
        .map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned())
        .collect()
}
