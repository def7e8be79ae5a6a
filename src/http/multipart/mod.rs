//! Forms with files: `multipart/form-data` (RFC 7578), piece by piece.
//!
//! A [`Parser`] is fed with the body as it comes and says what it finds: a part begins, bytes of
//! it, its end. Nothing but the head of a part is held in memory. [`SaveTo`] takes what is found
//! and writes the files to a folder.
//!
//! ```
//! use libevent2::http::multipart::{Event, Limits, Parser};
//!
//! let mut parser = Parser::with_boundary("X", Limits::new())?;
//! let mut seen = Vec::new();
//! for piece in [&b"--X\r\nContent-Disposition: form-data; na"[..], b"me=a\r\n\r\nhel", b"lo\r\n--X--"] {
//!     parser.feed(piece, |event| {
//!         match event {
//!             Event::Part(part) => seen.push(part.name().to_owned()),
//!             Event::Data(bytes) => seen.push(String::from_utf8_lossy(bytes).into_owned()),
//!             Event::End => seen.push("end".into()),
//!         }
//!         Ok(())
//!     })?;
//! }
//! parser.finish()?;
//! assert_eq!(seen, ["a", "hel", "lo", "end"]);
//! # Ok::<(), libevent2::http::multipart::Error>(())
//! ```

mod limits;
mod part;
mod save;
mod stream;

pub use limits::Limits;
pub use part::Part;
pub use save::{SaveTo, Saved, Uploaded};

use super::{ContentError, Request, Response, fields};
use crate::error::BoxError;
use ::http::{StatusCode, header};
use memchr::memmem::{self, Finder};
use std::{fmt, io, mem};

/// What a [`Parser`] finds, in this order for each part.
#[derive(Debug)]
pub enum Event<'a> {
    /// A part begins.
    Part(Part),
    /// Bytes of it; as often as it takes, never when it is empty.
    Data(&'a [u8]),
    /// It ends here.
    End,
}

/// Why an upload has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// By the client's fault.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The body did not come to its end.
    #[error(transparent)]
    Body(#[from] super::BodyError),
    /// A file could not be written.
    #[error("saving an upload: {0}")]
    Io(#[from] io::Error),
    /// What took the parts had another reason.
    #[error("{0}")]
    Callback(#[source] BoxError),
}

impl Error {
    /// The status that says so: 400, 413 or 415 by the client's fault, 507 for a full disk, 500.
    pub fn status(&self) -> StatusCode {
        match self {
            Error::Content(error) => error.status(),
            Error::Body(super::BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Body(super::BodyError::TimedOut) => StatusCode::REQUEST_TIMEOUT,
            Error::Body(_) => StatusCode::BAD_REQUEST,
            Error::Io(error) if is_full(error) => StatusCode::INSUFFICIENT_STORAGE,
            Error::Io(_) | Error::Callback(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// An answer that says so in a line of text; of a fault of ours, only that there is one.
    pub fn response(&self) -> Response {
        match self {
            Error::Content(_) | Error::Body(_) => {
                Response::text(format!("{self}\n")).status(self.status())
            }
            Error::Io(_) | Error::Callback(_) => Response::page(self.status()),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// Finds the parts of a body that is fed to it piece by piece.
pub struct Parser {
    /// Line end, two dashes, boundary.
    delimiter: Finder<'static>,
    limits: Limits,
    state: State,
    /// What cannot be told yet.
    held: Vec<u8>,
    parts: usize,
    /// Of the part, or before the first one.
    part_bytes: u64,
    total_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// At the beginning, where a delimiter may come without its line end.
    Start,
    /// Before the first delimiter.
    Preamble,
    /// Behind a delimiter.
    Delimiter,
    Head,
    /// Behind a head, whose line end is that of the delimiter if there is no data.
    FirstData,
    Data,
    /// Behind the last delimiter.
    Done,
    Failed(ContentError),
}

impl Parser {
    /// For the body of a request.
    ///
    /// # Errors
    /// [`ContentError::Type`] when it does not say `multipart/form-data`,
    /// [`ContentError::Malformed`] when the boundary is missing or none.
    pub fn new(request: &Request, limits: Limits) -> Result<Self, ContentError> {
        const EXPECTED: &str = "multipart/form-data";
        let wrong = ContentError::Type { expected: EXPECTED };
        let value = fields::only(request.headers(), &header::CONTENT_TYPE).ok_or(wrong.clone())?;
        let essence = fields::essence(value);
        if !essence.eq_ignore_ascii_case(EXPECTED.as_bytes()) {
            return Err(wrong);
        }
        let boundary = fields::param(value, "boundary").unwrap_or_default();
        let boundary = str::from_utf8(&boundary).unwrap_or_default();
        Parser::with_boundary(boundary, limits)
    }

    /// For a body with this boundary.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] when it is empty, has more than 70 characters or other than
    /// visible ASCII.
    pub fn with_boundary(boundary: &str, limits: Limits) -> Result<Self, ContentError> {
        let visible = boundary.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !visible || boundary.ends_with(' ') || !(1..=70).contains(&boundary.len()) {
            return Err(ContentError::malformed("its boundary is missing or odd"));
        }
        let delimiter = format!("\r\n--{boundary}");
        Ok(Parser {
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
            limits,
            state: State::Start,
            held: Vec::new(),
            parts: 0,
            part_bytes: 0,
            total_bytes: 0,
        })
    }

    /// Takes the next piece of the body and gives what is in it to `on`, whose error ends it.
    ///
    /// # Errors
    /// [`Error::Content`] when the body is malformed or beyond a limit, and then every time;
    /// what `on` returned.
    pub fn feed(
        &mut self,
        piece: &[u8],
        mut on: impl FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut joined = mem::take(&mut self.held);
        let input = match joined.is_empty() {
            true => piece,
            false => {
                joined.extend_from_slice(piece);
                &joined
            }
        };
        let mut rest = input;
        loop {
            match self.step(rest, &mut on) {
                Ok(Some(taken)) => rest = &rest[taken..],
                Ok(None) => break,
                Err(error) => {
                    if let Error::Content(error) = &error {
                        self.state = State::Failed(error.clone());
                    }
                    return Err(error);
                }
            }
        }
        self.held = rest.to_vec();
        Ok(())
    }

    /// Whether the last delimiter has come. What follows it does not count.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The end of the body.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] when the last delimiter is missing.
    pub fn finish(&self) -> Result<(), ContentError> {
        match &self.state {
            State::Done => Ok(()),
            State::Failed(error) => Err(error.clone()),
            _ => Err(ContentError::malformed("it ends before its last boundary")),
        }
    }

    /// How many bytes were taken; `None` when more are needed.
    fn step(
        &mut self,
        rest: &[u8],
        on: &mut impl FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<Option<usize>, Error> {
        match &self.state {
            State::Start => Ok(self.bare_delimiter(rest, State::Preamble).0),
            State::Preamble => self.preamble(rest).map_err(Error::from),
            State::Delimiter => self.delimiter(rest).map_err(Error::from),
            State::Head => match self.head(rest)? {
                Some((taken, part)) => {
                    on(Event::Part(part))?;
                    Ok(Some(taken))
                }
                None => Ok(None),
            },
            State::FirstData => {
                let (taken, empty) = self.bare_delimiter(rest, State::Data);
                if empty {
                    on(Event::End)?;
                }
                Ok(taken)
            }
            State::Data => self.data(rest, on),
            State::Done => Ok((!rest.is_empty()).then_some(rest.len())),
            State::Failed(error) => Err(error.clone().into()),
        }
    }

    /// Looks for a delimiter without its line end; if there is none, `otherwise` is what begins.
    fn bare_delimiter(&mut self, rest: &[u8], otherwise: State) -> (Option<usize>, bool) {
        let bare = &self.delimiter.needle()[2..];
        if rest.starts_with(bare) {
            let taken = bare.len();
            self.state = State::Delimiter;
            return (Some(taken), true);
        }
        if bare.starts_with(rest) {
            return (None, false);
        }
        self.state = otherwise;
        (Some(0), false)
    }

    /// What comes before the first part is for no one.
    fn preamble(&mut self, rest: &[u8]) -> Result<Option<usize>, ContentError> {
        let (text, found) = self.until_delimiter(rest);
        self.part_bytes += text as u64;
        if self.part_bytes > self.limits.header_bytes as u64 {
            return Err(ContentError::malformed(
                "there is too much before its first boundary",
            ));
        }
        Ok(self.advance(text, found))
    }

    /// How many bytes are none of the delimiter, and whether all of it follows them.
    fn until_delimiter(&self, rest: &[u8]) -> (usize, bool) {
        if let Some(at) = self.delimiter.find(rest) {
            return (at, true);
        }
        // A beginning of it at the end has to wait. There is one CR in it, the first byte.
        let delimiter = self.delimiter.needle();
        let window = rest.len().saturating_sub(delimiter.len() - 1);
        let cut = memchr::memrchr(b'\r', &rest[window..]).map(|at| window + at);
        let cut = cut.filter(|&at| delimiter.starts_with(&rest[at..]));
        (cut.unwrap_or(rest.len()), false)
    }

    fn advance(&mut self, text: usize, found: bool) -> Option<usize> {
        if found {
            self.state = State::Delimiter;
            return Some(text + self.delimiter.needle().len());
        }
        (text > 0).then_some(text)
    }

    fn delimiter(&mut self, rest: &[u8]) -> Result<Option<usize>, ContentError> {
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
        let blanks = blanks.count();
        match &rest[blanks..] {
            [b'-', b'-', ..] if blanks == 0 => {
                self.state = State::Done;
                Ok(Some(2))
            }
            [b'-'] if blanks == 0 => Ok(None),
            [] | [b'\r'] if blanks <= 70 => Ok(None),
            [b'\r', b'\n', ..] => {
                self.parts += 1;
                self.part_bytes = 0;
                if self.parts > self.limits.parts {
                    return Err(ContentError::TooMany { what: "parts" });
                }
                self.state = State::Head;
                Ok(Some(blanks + 2))
            }
            _ => Err(ContentError::malformed(
                "a boundary is not alone in its line",
            )),
        }
    }

    fn head(&mut self, rest: &[u8]) -> Result<Option<(usize, Part)>, ContentError> {
        let end = match rest {
            [b'\r', b'\n', ..] => Some(2),
            _ => memmem::find(rest, b"\r\n\r\n").map(|at| at + 4),
        };
        if end.unwrap_or(rest.len()) > self.limits.header_bytes {
            return Err(ContentError::TooLong {
                what: "a part with a head",
            });
        }
        let Some(end) = end else { return Ok(None) };
        let part = Part::parse(&rest[..end])?;
        self.state = State::FirstData;
        Ok(Some((end, part)))
    }

    fn data(
        &mut self,
        rest: &[u8],
        on: &mut impl FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<Option<usize>, Error> {
        let (text, found) = self.until_delimiter(rest);
        self.part_bytes += text as u64;
        self.total_bytes += text as u64;
        if self.part_bytes > self.limits.part_bytes {
            return Err(ContentError::TooLong { what: "a part" }.into());
        }
        if self.total_bytes > self.limits.total_bytes {
            return Err(ContentError::TooLong { what: "content" }.into());
        }
        if text > 0 {
            on(Event::Data(&rest[..text]))?;
        }
        if found {
            on(Event::End)?;
        }
        Ok(self.advance(text, found))
    }
}

impl Request {
    /// Gives the parts of the whole body, as a form with files sends it, to `on`. On a route that
    /// is streamed there is no whole body: [`Incoming::multipart`](super::Incoming::multipart).
    ///
    /// ```
    /// use libevent2::http::multipart::{Event, Limits};
    /// use libevent2::http::{Request, StatusCode};
    ///
    /// fn names(request: Request) {
    ///     let mut names = String::new();
    ///     let read = request.multipart(Limits::new(), |event| {
    ///         if let Event::Part(part) = event {
    ///             names += &format!("{}\n", part.name());
    ///         }
    ///         Ok(())
    ///     });
    ///     match read {
    ///         Ok(()) => request.reply(StatusCode::OK, names),
    ///         Err(error) => request.respond(error.response()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// As of [`Parser::new`], [`Parser::feed`] and [`Parser::finish`].
    pub fn multipart(
        &self,
        limits: Limits,
        on: impl FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut parser = Parser::new(self, limits)?;
        parser.feed(self.body(), on)?;
        Ok(parser.finish()?)
    }
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser")
            .field("state", &self.state)
            .field("held", &self.held.len())
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
