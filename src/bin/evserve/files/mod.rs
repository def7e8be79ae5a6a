//! A folder as a site.

mod archive;
mod folder;
mod listing;
mod mime;
mod names;
mod upload;

pub use folder::{Folder, Policy};
pub use mime::mime_of;

use crate::page;
use crate::prototype::live;
use folder::{Found, FoundFile, Refusal};
use libevent2::http::{HeaderValue, Method, Request, Response, SendFile, StatusCode, header};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Of a page that is changed before it is sent, and held in memory for that.
const LONGEST_PAGE: u64 = 64 << 20;

/// What of a folder is served, and how.
pub struct Site {
    pub folder: Rc<Folder>,
    /// A page that is not there is the top one.
    pub spa: bool,
    /// Pages get a script with which they load themselves again.
    pub live: bool,
    /// How many bytes a client may bring at a time, if it may bring any.
    pub upload: Option<u64>,
}

/// What a site does with a request.
pub enum Answer {
    Response(Response),
    /// The folder at that place as an archive of that name.
    Archive(PathBuf, OsString),
    /// There is no such thing.
    Nothing,
}

impl Site {
    /// What is done with a GET or HEAD.
    pub fn answer(&self, request: &Request) -> Answer {
        let refusal = match self.found(request) {
            Ok(answer) => return answer,
            Err(refusal) => refusal,
        };
        Answer::Response(match refusal {
            Refusal::NotFound => return Answer::Nothing,
            Refusal::Forbidden => page::because(
                StatusCode::FORBIDDEN,
                "It may not be read, or a link leads out of the folder (--follow-symlinks).",
            ),
            Refusal::Busy => {
                let busy = page::of(StatusCode::SERVICE_UNAVAILABLE);
                busy.header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            Refusal::Failed(error) => {
                let _ = writeln!(io::stderr(), "evserve: {}: {error}", request.path());
                page::of(StatusCode::INTERNAL_SERVER_ERROR)
            }
        })
    }

    /// Sends what [`answer`](Self::answer) has found; `response` has the headers of all answers.
    pub fn archive(&self, place: &Path, name: &OsStr, request: Request, response: Response) {
        archive::send(&self.folder, place, name, request, response);
    }

    /// Whether the request brings a file that may come.
    pub fn takes(&self, request: &Request) -> Option<u64> {
        let brings = request.method() == Method::PUT || request.method() == Method::POST;
        self.upload.filter(|_| brings)
    }

    /// Takes what it brings; `answer` is called once, now or later.
    pub fn take(
        &self,
        limit: u64,
        request: Request,
        answer: impl FnOnce(Request, Response) + 'static,
    ) {
        upload::take(&self.folder, limit, request, answer);
    }

    fn found(&self, request: &Request) -> Result<Answer, Refusal> {
        let names = || self.folder.names(request.path()).unwrap_or_default();
        Ok(Answer::Response(match self.folder.find(request.path()) {
            Ok(Found::File(file)) => self.send(file, request)?,
            Ok(Found::Listing(_)) if wants_archive(request) => {
                let names = names();
                let name = names
                    .last()
                    .map_or(self.folder.name(), |name| name.as_os_str());
                return Ok(Answer::Archive(relative(&names), name.to_owned()));
            }
            Ok(Found::Listing(entries)) => {
                listing::answer(&names(), entries, self.upload.is_some(), request)
            }
            Ok(Found::NeedsSlash) => {
                let query = request.query().map(|query| format!("?{query}"));
                let location = listing::folder_path(&names()) + &query.unwrap_or_default();
                let location = HeaderValue::try_from(location).map_err(|_| Refusal::NotFound)?;
                page::of(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, location)
            }
            Err(Refusal::NotFound) if self.spa && is_page(request) => {
                self.send(self.folder.top_page()?, request)?
            }
            Err(refusal) => return Err(refusal),
        }))
    }

    /// The file, or the one beside it that is compressed as the client likes it (`a.js.br`).
    fn send(&self, found: FoundFile, request: &Request) -> Result<Response, Refusal> {
        let mime = mime_of(&found.place);
        if self.live && mime.starts_with("text/html") {
            return with_script(found.file);
        }
        let mime = HeaderValue::try_from(mime).map_err(io::Error::other)?;
        let mut file = SendFile::new(found.file)?.content_type(mime);
        for coding in request.accepted_codings() {
            let mut beside = found.place.clone().into_os_string();
            beside.push(coding.suffix());
            if let Ok(coded) = self.folder.open_file(beside.as_ref()) {
                file = file.variant(coding, coded)?;
            }
        }
        // Who works on it wants to see the change, and asks each time whether there is one.
        let fresh = HeaderValue::from_static("no-cache");
        Ok(file.header(header::CACHE_CONTROL, fresh).answer(request))
    }
}

/// The page with the script that loads it again.
fn with_script(file: File) -> Result<Response, Refusal> {
    let mut page = Vec::new();
    file.take(LONGEST_PAGE).read_to_end(&mut page)?;
    page.extend_from_slice(live::SCRIPT.as_bytes());
    let response = Response::html("").body(page);
    Ok(response.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

fn relative(names: &[OsString]) -> PathBuf {
    match names {
        [] => PathBuf::from("."),
        names => names.iter().collect(),
    }
}

fn wants_archive(request: &Request) -> bool {
    let mut query = request.query_pairs();
    query.any(|(name, value)| name == "archive" && value == "tar")
}

/// A script or a picture that is missing must not become a page: its name has an ending, and
/// nobody asks for HTML there.
fn is_page(request: &Request) -> bool {
    let last = request.path().rsplit('/').next().unwrap_or_default();
    !last.contains('.') || page::wants_html(request.headers())
}
