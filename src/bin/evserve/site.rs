//! The answer to a request.

use crate::files::{Folder, Found, FoundFile, Refusal, names};
use crate::listing;
use libevent2::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

pub fn answer(folder: &Folder, request: &Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let allowed = HeaderValue::from_static("GET, HEAD");
        return page(StatusCode::METHOD_NOT_ALLOWED).header(header::ALLOW, allowed);
    }
    found(folder, request).unwrap_or_else(|refusal| match refusal {
        Refusal::NotFound => page(StatusCode::NOT_FOUND),
        Refusal::Forbidden => page(StatusCode::FORBIDDEN),
        Refusal::Busy => page(StatusCode::SERVICE_UNAVAILABLE)
            .header(header::RETRY_AFTER, HeaderValue::from_static("1")),
        Refusal::Failed(error) => {
            let _ = writeln!(io::stderr(), "evserve: {}: {error}", request.path());
            page(StatusCode::INTERNAL_SERVER_ERROR)
        }
    })
}

fn found(folder: &Folder, request: &Request) -> Result<Response, Refusal> {
    let names = || names(request.path()).unwrap_or_default();
    match folder.find(request.path())? {
        Found::File(file) => send(file, request),
        Found::Listing(entries) => Ok(Response::html(listing::page(&names(), &entries))),
        Found::NeedsSlash => {
            let query = request.query().map(|query| format!("?{query}"));
            let location = listing::folder_path(&names()) + &query.unwrap_or_default();
            let location = HeaderValue::try_from(location).map_err(|_| Refusal::NotFound)?;
            Ok(page(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, location))
        }
    }
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

fn page(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let text = format!("{} {reason}", status.as_u16());
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{text}</title>\
         </head>\n<body><h1>{text}</h1></body></html>\n"
    );
    Response::html(page).status(status)
}
