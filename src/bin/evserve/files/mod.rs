//! A folder as a site.

mod folder;
mod listing;
mod mime;
mod names;

pub use folder::{Folder, Policy};
pub use mime::mime_of;

use crate::page;
use folder::{Found, FoundFile, Refusal};
use libevent2::http::{HeaderValue, Request, Response, StatusCode, header};
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// What of a folder is served, and how.
pub struct Site {
    pub folder: Folder,
    /// A page that is not there is the top one.
    pub spa: bool,
}

impl Site {
    /// The answer to GET and HEAD, if there is such a thing.
    pub fn answer(&self, request: &Request) -> Option<Response> {
        let refusal = match self.found(request) {
            Ok(response) => return Some(response),
            Err(refusal) => refusal,
        };
        match refusal {
            Refusal::NotFound => None,
            Refusal::Forbidden => Some(page::of(StatusCode::FORBIDDEN)),
            Refusal::Busy => {
                let busy = page::of(StatusCode::SERVICE_UNAVAILABLE);
                Some(busy.header(header::RETRY_AFTER, HeaderValue::from_static("1")))
            }
            Refusal::Failed(error) => {
                let _ = writeln!(io::stderr(), "evserve: {}: {error}", request.path());
                Some(page::of(StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }

    fn found(&self, request: &Request) -> Result<Response, Refusal> {
        let names = || self.folder.names(request.path()).unwrap_or_default();
        match self.folder.find(request.path()) {
            Ok(Found::File(file)) => send(file, request),
            Ok(Found::Listing(entries)) => Ok(listing::answer(&names(), entries, request)),
            Ok(Found::NeedsSlash) => {
                let query = request.query().map(|query| format!("?{query}"));
                let location = listing::folder_path(&names()) + &query.unwrap_or_default();
                let location = HeaderValue::try_from(location).map_err(|_| Refusal::NotFound)?;
                Ok(page::of(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, location))
            }
            Err(Refusal::NotFound) if self.spa && is_page(request) => {
                send(self.folder.top_page()?, request)
            }
            Err(refusal) => Err(refusal),
        }
    }
}

/// A script or a picture that is missing must not become a page: its name has an ending, and
/// nobody asks for HTML there.
fn is_page(request: &Request) -> bool {
    let last = request.path().rsplit('/').next().unwrap_or_default();
    let accept = request.headers().get(header::ACCEPT);
    let wants_html = accept.is_some_and(|accept| {
        accept
            .to_str()
            .is_ok_and(|accept| accept.contains("text/html"))
    });
    !last.contains('.') || wants_html
}

fn send(found: FoundFile, request: &Request) -> Result<Response, Refusal> {
    let mut response = if is_unchanged(request, found.modified) {
        Response::new(StatusCode::NOT_MODIFIED)
    } else {
        let mime = HeaderValue::try_from(found.mime).map_err(io::Error::other)?;
        Response::file(found.file)?.header(header::CONTENT_TYPE, mime)
    };
    let date = found.modified.and_then(http_date);
    if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
        response = response.header(header::LAST_MODIFIED, date);
    }
    Ok(response)
}

/// Whether the client has it already; headers tell time in whole seconds.
fn is_unchanged(request: &Request, modified: Option<SystemTime>) -> bool {
    let since = request.headers().get(header::IF_MODIFIED_SINCE);
    let since = since.and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
    match (modified, since) {
        (Some(modified), Some(since)) => modified < since + Duration::from_secs(1),
        _ => false,
    }
}

/// `None` for times that the format cannot tell.
fn http_date(time: SystemTime) -> Option<String> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let year_10_000 = Duration::from_secs(253_402_300_800);
    (since_epoch < year_10_000).then(|| httpdate::fmt_http_date(time))
}
