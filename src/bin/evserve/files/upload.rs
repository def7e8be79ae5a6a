//! Files that clients bring: each is there whole or not at all, and none takes the place of
//! another.

use super::folder::Folder;
use super::listing;
use crate::body::status_of;
use crate::page;
use libevent2::http::multipart::{self, Limits, Parser, SaveTo};
use libevent2::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;
use std::cell::RefCell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tempfile::NamedTempFile;

/// A form is somewhat longer than the files in it.
const FORM: u64 = 1 << 20;

/// Takes the body of a PUT for a file, or that of a POST for a form with files. `answer` is called
/// once.
pub fn take(
    folder: &Folder,
    limit: u64,
    request: Request,
    answer: impl FnOnce(Request, Response) + 'static,
) {
    let is_put = request.method() == Method::PUT;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit.saturating_add(if is_put { 0 } else { FORM })) {
        return answer(request, too_long(limit).into());
    }
    if is_put {
        match PutFile::new(folder, limit, &request) {
            Ok(sink) => feed(request, sink, answer),
            Err(refusal) => answer(request, refusal.into()),
        }
    } else {
        match Form::new(folder, limit, &request) {
            Ok(sink) => feed(request, sink, answer),
            Err(refusal) => answer(request, refusal.into()),
        }
    }
}

/// Why nothing is kept of it.
struct Refusal {
    status: StatusCode,
    why: String,
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        say(refusal.status, &refusal.why)
    }
}

/// Where the body goes to. What has not come to its end leaves nothing behind.
trait Sink: 'static {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Refusal>;
    fn end(self) -> Result<Response, Refusal>;
}

fn feed<S: Sink>(request: Request, mut sink: S, answer: impl FnOnce(Request, Response) + 'static) {
    let Some(incoming) = request.incoming() else {
        let response = sink.take(b"").and_then(|()| sink.end());
        return answer(request, response.unwrap_or_else(Response::from));
    };
    let all = Rc::new(RefCell::new(Some((request, sink, answer))));
    let state = Rc::clone(&all);
    incoming.on_end(move |end| {
        let Some((request, sink, answer)) = state.take() else {
            return;
        };
        let response = match end {
            Ok(_) => sink.end().unwrap_or_else(Response::from),
            Err(error) => page::of(status_of(&error)),
        };
        answer(request, response);
    });
    incoming.on_data(move |bytes| {
        let taken = match all.borrow_mut().as_mut() {
            Some((_, sink, _)) => sink.take(bytes),
            None => return,
        };
        // It is answered at once: the rest is not worth waiting for.
        if let Err(refusal) = taken
            && let Some((request, _, answer)) = all.take()
        {
            answer(request, refusal.into());
        }
    });
}

/// A file as it is, under the name of the path.
struct PutFile {
    file: NamedTempFile,
    target: PathBuf,
    location: String,
    left: u64,
    limit: u64,
}

impl PutFile {
    fn new(folder: &Folder, limit: u64, request: &Request) -> Result<Self, Refusal> {
        let path = request.path();
        let mut names = folder.names(path).unwrap_or_default();
        let location = listing::folder_path(&names);
        let name = names.pop().filter(|_| !path.ends_with('/'));
        let name =
            name.ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "that is no name for a file"))?;
        let parent: PathBuf = names.iter().collect();
        let real = folder.real(&parent).map_err(|error| failed(&error))?;
        let target = real.join(name);
        if target.symlink_metadata().is_ok() {
            return Err(taken());
        }
        Ok(PutFile {
            file: new_file(&real).map_err(|error| failed(&error))?,
            target,
            location: location.trim_end_matches('/').to_owned(),
            left: limit,
            limit,
        })
    }
}

impl Sink for PutFile {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| too_long(self.limit))?;
        self.file.write_all(bytes).map_err(|error| failed(&error))
    }

    fn end(self) -> Result<Response, Refusal> {
        let kept = self.file.persist_noclobber(self.target);
        kept.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => taken(),
            _ => failed(&error.error),
        })?;
        let created = say(StatusCode::CREATED, "it is here now");
        Ok(match HeaderValue::try_from(self.location) {
            Ok(location) => created.header(header::LOCATION, location),
            Err(_) => created,
        })
    }
}

/// As any other file, but hidden until it is whole.
fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".upload-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Files in a form, under their own names; one whose name is taken gets a number.
struct Form {
    parser: Parser,
    save: SaveTo,
    /// Where a browser goes then.
    back: Option<String>,
}

impl Form {
    fn new(folder: &Folder, limit: u64, request: &Request) -> Result<Self, Refusal> {
        let names = folder.names(request.path()).unwrap_or_default();
        let relative: PathBuf = names.iter().collect();
        let real = folder.real(&relative).map_err(|error| failed(&error))?;
        if !real.is_dir() {
            return Err(refuse(StatusCode::NOT_FOUND, "there is no such folder"));
        }
        let parser = Parser::new(request, Limits::new().total_bytes(limit));
        let parser = parser.map_err(|error| refuse(error.status(), error.to_string()))?;
        Ok(Form {
            parser,
            save: SaveTo::new(real),
            back: page::wants_html(request.headers()).then(|| listing::folder_path(&names)),
        })
    }
}

impl Sink for Form {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let (parser, save) = (&mut self.parser, &mut self.save);
        let fed = parser.feed(bytes, |event| save.take(event));
        fed.map_err(|error| refused(&error))
    }

    fn end(self) -> Result<Response, Refusal> {
        self.parser
            .finish()
            .map_err(|error| refused(&error.into()))?;
        let files = self.save.finish().files;
        if let Some(back) = self.back.and_then(|back| HeaderValue::try_from(back).ok()) {
            let response = Response::new(StatusCode::SEE_OTHER);
            return Ok(response.header(header::LOCATION, back));
        }
        let files = files.iter().map(|saved| {
            let name = saved.path.file_name().unwrap_or_default();
            json!({ "name": name.to_string_lossy(), "size": saved.bytes })
        });
        let files = json!(files.collect::<Vec<_>>());
        Ok(Response::json(format!("{files:#}\n")).status(StatusCode::CREATED))
    }
}

fn refused(error: &multipart::Error) -> Refusal {
    match error {
        multipart::Error::Io(error) => failed(error),
        _ => refuse(error.status(), error.to_string()),
    }
}

fn failed(error: &io::Error) -> Refusal {
    use io::ErrorKind as Kind;
    let (status, why) = match error.kind() {
        Kind::NotFound | Kind::NotADirectory => (StatusCode::NOT_FOUND, "there is no such folder"),
        Kind::PermissionDenied => (StatusCode::FORBIDDEN, "nothing can be put there"),
        Kind::StorageFull | Kind::QuotaExceeded => {
            (StatusCode::INSUFFICIENT_STORAGE, "there is no room left")
        }
        _ => {
            let _ = writeln!(io::stderr(), "evserve: upload: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written")
        }
    };
    refuse(status, why)
}

fn taken() -> Refusal {
    let why = "there is one of that name already, and it stays";
    refuse(StatusCode::CONFLICT, why)
}

fn too_long(limit: u64) -> Refusal {
    let why = format!("no more than {limit} bytes");
    refuse(StatusCode::PAYLOAD_TOO_LARGE, why)
}

fn refuse(status: StatusCode, why: impl Into<String>) -> Refusal {
    let why = why.into();
    Refusal { status, why }
}

fn say(status: StatusCode, text: &str) -> Response {
    Response::text(format!("{text}\n")).status(status)
}
