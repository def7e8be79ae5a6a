use super::conditional::Verdict;
use super::ranges::{self, Wanted};
use super::response::{Body, Piece};
use super::{Coding, ETag, Request, Response, Validators, byteranges};
use ::http::header::{self, IntoHeaderName};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

/// A file as the answer to a request: whole or in ranges, or the word that the client has it
/// already; plain or compressed before.
///
/// It has an `ETag` and a `Last-Modified` by the file's length and time. The file is read piece
/// by piece while the client takes it.
///
/// ```
/// use libevent2::http::{HeaderValue, Request, Response, SendFile, StatusCode, header};
/// use std::fs::File;
///
/// fn manual(request: Request) {
///     let answer = File::open("manual.pdf")
///         .and_then(SendFile::new)
///         .map(|file| {
///             file.content_type(HeaderValue::from_static("application/pdf"))
///                 .header(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"))
///                 .answer(&request)
///         })
///         .unwrap_or_else(|_| Response::new(StatusCode::NOT_FOUND));
///     request.respond(answer);
/// }
/// ```
#[derive(Debug)]
pub struct SendFile {
    plain: Variant,
    coded: Vec<(Coding, Variant)>,
    headers: HeaderMap,
    varies: bool,
}

#[derive(Debug)]
struct Variant {
    file: File,
    len: u64,
    etag: Option<ETag>,
    modified: Option<SystemTime>,
}

/// What to send of a variant.
struct Plan {
    status: StatusCode,
    headers: HeaderMap,
    content: Parts,
}

#[derive(Debug, PartialEq, Eq)]
enum Parts {
    None,
    /// This part of the file.
    One(Range<u64>),
    /// Each of the parts behind its head, and the end.
    Several(Vec<(Vec<u8>, Range<u64>)>, Vec<u8>),
}

impl SendFile {
    /// The contents of a regular file, from its beginning, of the length that it has now.
    ///
    /// # Errors
    /// Those of asking for length and time; [`io::ErrorKind::InvalidInput`] when it is no regular
    /// file.
    pub fn new(file: File) -> io::Result<Self> {
        Ok(SendFile {
            plain: Variant::new(file)?,
            coded: Vec::new(),
            headers: HeaderMap::new(),
            varies: false,
        })
    }

    /// Sets the type.
    #[must_use]
    pub fn content_type(self, mime: HeaderValue) -> Self {
        self.header(header::CONTENT_TYPE, mime)
    }

    /// Sets a header of the answers with the file, of 304 too, in the place of those of the same
    /// name.
    #[must_use]
    pub fn header(mut self, name: impl IntoHeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the tag, in the place of that by length and time.
    #[must_use]
    pub fn etag(mut self, etag: ETag) -> Self {
        self.plain.etag = Some(etag);
        self
    }

    /// Adds the same, compressed before: for a client that would rather have that. It has a tag
    /// of its own, of its own length and time. [`Request::accepted_codings`] says which need to
    /// be looked for; call [`varies`](Self::varies) when some were not.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn variant(mut self, coding: Coding, file: File) -> io::Result<Self> {
        let mut variant = Variant::new(file)?;
        variant.etag = variant.etag.map(|tag| tag.with_suffix(coding.token()));
        self.coded.push((coding, variant));
        Ok(self)
    }

    /// Says that another client may get the same compressed, so that a cache keeps them apart
    /// (`Vary`).
    #[must_use]
    pub fn varies(mut self) -> Self {
        self.varies = true;
        self
    }

    /// The answer: 200, 206 with the ranges that were asked for, 304, 405 for a method that does
    /// not read, 412 or 416.
    pub fn answer(self, request: &Request) -> Response {
        let (plan, file) = self.plan(request.method(), request.headers(), SystemTime::now());
        let mut response = match plan.status.is_client_error() {
            true => Response::page(plan.status),
            false => Response::new(plan.status).body(plan.content.of(file)),
        };
        response.headers_mut().extend(plan.headers);
        response
    }

    fn plan(mut self, method: &Method, asked: &HeaderMap, now: SystemTime) -> (Plan, File) {
        let mut headers = std::mem::take(&mut self.headers);
        if self.varies || !self.coded.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        let (coding, chosen) = self.choose(asked);
        if let Some(coding) = coding {
            let token = HeaderValue::from_static(coding.token());
            headers.insert(header::CONTENT_ENCODING, token);
        }
        let bytes = HeaderValue::from_static("bytes");
        headers.insert(header::ACCEPT_RANGES, bytes);
        let Variant {
            file,
            len,
            etag,
            modified,
        } = chosen;
        let mut validators = Validators::new();
        if let Some(etag) = etag {
            validators = validators.etag(etag);
        }
        if let Some(modified) = modified {
            validators = validators.modified(modified);
        }
        validators.write(&mut headers, now);
        (plan(&validators, len, headers, method, asked, now), file)
    }

    fn choose(self, asked: &HeaderMap) -> (Option<Coding>, Variant) {
        let accepted = match self.coded.is_empty() {
            true => Vec::new(),
            false => super::negotiation::accepted_codings(asked),
        };
        let mut coded = self.coded;
        for wanted in accepted {
            if let Some(at) = coded.iter().position(|(coding, _)| *coding == wanted) {
                return (Some(wanted), coded.swap_remove(at).1);
            }
        }
        (None, self.plain)
    }
}

impl Parts {
    fn of(self, file: File) -> Body {
        let file = Arc::new(file);
        let part = |range: Range<u64>| Piece::File {
            file: Arc::clone(&file),
            at: range.start,
            left: range.end - range.start,
        };
        match self {
            Parts::None => Body::from(Vec::new()),
            Parts::One(range) => Body::pieces((!range.is_empty()).then(|| part(range))),
            Parts::Several(parts, end) => {
                let parts = parts.into_iter();
                let pieces =
                    parts.flat_map(|(head, range)| [Piece::Bytes(head.into()), part(range)]);
                Body::pieces(pieces.chain([Piece::Bytes(end.into())]))
            }
        }
    }
}

impl Variant {
    fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only a regular file can be sent",
            ));
        }
        Ok(Variant {
            file,
            len: metadata.len(),
            etag: ETag::of_file(&metadata),
            modified: metadata.modified().ok(),
        })
    }
}

/// `headers` are those of the whole.
fn plan(
    validators: &Validators,
    len: u64,
    mut headers: HeaderMap,
    method: &Method,
    asked: &HeaderMap,
    now: SystemTime,
) -> Plan {
    let nothing = |status, headers| Plan {
        status,
        headers,
        content: Parts::None,
    };
    if method != Method::GET && method != Method::HEAD {
        let mut headers = HeaderMap::new();
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return nothing(StatusCode::METHOD_NOT_ALLOWED, headers);
    }
    match validators.verdict(method, asked) {
        Verdict::Proceed => {}
        Verdict::NotModified => {
            // What says something of bytes that are not sent is left out.
            headers.remove(header::CONTENT_TYPE);
            headers.remove(header::CONTENT_ENCODING);
            return nothing(StatusCode::NOT_MODIFIED, headers);
        }
        Verdict::Failed => return nothing(StatusCode::PRECONDITION_FAILED, HeaderMap::new()),
    }
    // A range of a HEAD request has no meaning.
    let wanted = match method == Method::GET && validators.allows_range(asked, now) {
        true => ranges::wanted(asked, len),
        false => Wanted::Whole,
    };
    let (status, content) = match wanted {
        Wanted::Whole => (StatusCode::OK, Parts::One(0..len)),
        Wanted::Unsatisfiable => {
            let mut headers = HeaderMap::new();
            insert(
                &mut headers,
                header::CONTENT_RANGE,
                format!("bytes */{len}"),
            );
            return nothing(StatusCode::RANGE_NOT_SATISFIABLE, headers);
        }
        Wanted::Parts(parts) => {
            let content = match &parts[..] {
                [one] => {
                    let range = byteranges::content_range(one, len);
                    insert(&mut headers, header::CONTENT_RANGE, range);
                    Parts::One(one.clone())
                }
                _ => {
                    let boundary = byteranges::boundary();
                    let mime = headers.remove(header::CONTENT_TYPE);
                    let multipart = format!("multipart/byteranges; boundary={boundary}");
                    insert(&mut headers, header::CONTENT_TYPE, multipart);
                    let heads = byteranges::heads(&boundary, mime.as_ref(), &parts, len);
                    let parts = heads.into_iter().zip(parts).collect();
                    Parts::Several(parts, byteranges::end(&boundary))
                }
            };
            (StatusCode::PARTIAL_CONTENT, content)
        }
    };
    Plan {
        status,
        headers,
        content,
    }
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
