//! A body as it comes in, piece by piece.

use super::framing::Framing;
use super::request::header_map;
use super::{MAX_HEADERS, TRAILER_BYTES};
use ::http::HeaderMap;

/// The longest line that says the size of a chunk, with its extensions.
const SIZE_LINE: usize = 512;

/// Follows a body from its first byte to its last.
#[derive(Debug)]
pub(crate) struct Decoder(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes to go.
    Length(u64),
    UntilClose,
    ChunkSize,
    Chunk(u64),
    /// The end of the line behind a chunk.
    ChunkEnd,
    Trailers,
    Done,
}

/// What is at the front of the input.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Nothing whole: more has to come first.
    Wait,
    Data(&'a [u8]),
    /// The body is over; what came behind it, if anything.
    End(Option<Box<HeaderMap>>),
}

/// Chunks or trailers that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        Decoder(match framing {
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Whether the end of the connection is the end of this body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.0 == State::UntilClose
    }

    /// Takes a step, and says how much of the input that was. After
    /// [`End`](Step::End) nothing of the input is the body's.
    pub(crate) fn step<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Step<'a>), Malformed> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.0 {
                State::Done | State::Length(0) => {
                    self.0 = State::Done;
                    return Ok((used, Step::End(None)));
                }
                _ if rest.is_empty() => return Ok((used, Step::Wait)),
                State::Length(left) => {
                    let data = front(rest, left);
                    self.0 = State::Length(left - data.len() as u64);
                    return Ok((used + data.len(), Step::Data(data)));
                }
                State::UntilClose => return Ok((input.len(), Step::Data(rest))),
                State::Chunk(left) => {
                    let data = front(rest, left);
                    let left = left - data.len() as u64;
                    self.0 = if left > 0 {
                        State::Chunk(left)
                    } else {
                        State::ChunkEnd
                    };
                    return Ok((used + data.len(), Step::Data(data)));
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.0 = State::ChunkSize;
                    }
                    b"\r" => return Ok((used, Step::Wait)),
                    _ => return Err(Malformed("a chunk is longer than it says")),
                },
                State::ChunkSize => {
                    let Some((size, length)) = chunk_size(rest)? else {
                        return Ok((used, Step::Wait));
                    };
                    used += length;
                    self.0 = if size > 0 {
                        State::Chunk(size)
                    } else {
                        State::Trailers
                    };
                }
                State::Trailers => {
                    let Some((trailers, length)) = trailers(rest)? else {
                        return Ok((used, Step::Wait));
                    };
                    self.0 = State::Done;
                    return Ok((used + length, Step::End(trailers)));
                }
            }
        }
    }
}

fn front(input: &[u8], most: u64) -> &[u8] {
    &input[..usize::try_from(most).unwrap_or(usize::MAX).min(input.len())]
}

/// The line before a chunk: hexadecimal digits and perhaps extensions, which mean nothing here.
fn chunk_size(input: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    const BAD: Malformed = Malformed("the size of a chunk is none");
    let window = &input[..input.len().min(SIZE_LINE)];
    let end = memchr::memchr(b'\n', window);
    let line = match end {
        Some(end) => window[..end].strip_suffix(b"\r").ok_or(BAD)?,
        None if input.len() >= SIZE_LINE => return Err(BAD),
        // What cannot become right is refused before it is whole.
        None => window.strip_suffix(b"\r").unwrap_or(window),
    };
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let (size, extensions) = line.split_at(digits);
    let nothing_yet = end.is_none() && line.is_empty();
    if (digits == 0 && !nothing_yet) || digits > 16 || !are_extensions(extensions, end.is_some()) {
        return Err(BAD);
    }
    let Some(end) = end else { return Ok(None) };
    let size = str::from_utf8(size)
        .ok()
        .and_then(|size| u64::from_str_radix(size, 16).ok());
    Ok(Some((size.ok_or(BAD)?, end + 1)))
}

/// `;name=value` or `;name="value"`, with blanks around; nothing that a line may not have.
fn are_extensions(text: &[u8], whole: bool) -> bool {
    let mut printable = text
        .iter()
        .all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7f);
    let start = text.trim_ascii_start();
    // Blanks alone behind the digits are read differently by different programs.
    printable &= start.is_empty() && text.is_empty()
        || start.first() == Some(&b';')
        || (!whole && start.is_empty());
    let mut quoted = false;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            _ => {}
        }
    }
    printable && (!quoted || !whole)
}

/// The headers behind the last chunk, up to the empty line.
#[allow(clippy::type_complexity, reason = "headers and a length, perhaps")]
fn trailers(input: &[u8]) -> Result<Option<(Option<Box<HeaderMap>>, usize)>, Malformed> {
    const BAD: Malformed = Malformed("the trailers are malformed or too long");
    match input {
        [b'\r', b'\n', ..] => return Ok(Some((None, 2))),
        b"\r" => return Ok(None),
        [b'\r' | b'\n', ..] => return Err(BAD),
        _ => {}
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(input, &mut headers) {
        Ok(httparse::Status::Partial) if input.len() < TRAILER_BYTES => Ok(None),
        Ok(httparse::Status::Complete((length, headers))) if length <= TRAILER_BYTES => {
            if headers.iter().any(|header| is_forbidden(header.name)) {
                return Err(Malformed("a trailer that cannot be one"));
            }
            let map = header_map(headers).ok_or(BAD)?;
            Ok(Some((Some(Box::new(map)), length)))
        }
        _ => Err(BAD),
    }
}

/// Fields that would change how the message before them is read (RFC 9110 6.5.1).
fn is_forbidden(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "content-length",
        "transfer-encoding",
        "host",
        "trailer",
        "authorization",
        "connection",
        "content-encoding",
        "content-type",
    ];
    NAMES.iter().any(|other| name.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All data, whether it ended, and what was left, with the input cut at every `piece` bytes.
    fn decode(
        framing: Framing,
        input: &[u8],
        piece: usize,
    ) -> Result<(Vec<u8>, bool, usize), Malformed> {
        let (mut decoder, mut data) = (Decoder::new(framing), Vec::new());
        let (mut at, mut seen) = (0, 0);
        loop {
            let (used, step) = decoder.step(&input[at..seen])?;
            at += used;
            match step {
                Step::Data(bytes) => data.extend_from_slice(bytes),
                Step::End(_) => return Ok((data, true, input.len() - at)),
                Step::Wait if seen == input.len() => return Ok((data, false, input.len() - at)),
                Step::Wait => seen = (seen + piece).min(input.len()),
            }
        }
    }

    #[test]
    fn chunks_are_read_however_they_are_cut() {
        let input = b"5\r\nhello\r\nA;x=\"a;b\" ; y\r\n0123456789\r\n000\r\nX: y\r\n\r\nrest";
        for piece in 1..input.len() {
            let (data, over, left) = decode(Framing::Chunked, input, piece).unwrap();
            assert_eq!(
                (data.as_slice(), over, left),
                (&b"hello0123456789"[..], true, 4),
                "{piece}"
            );
        }
    }

    #[test]
    fn a_length_is_kept_to_the_byte() {
        assert_eq!(
            decode(Framing::Length(3), b"abcd", 1).unwrap(),
            (b"abc".to_vec(), true, 1)
        );
        assert_eq!(
            decode(Framing::Length(3), b"ab", 1).unwrap(),
            (b"ab".to_vec(), false, 0)
        );
        assert_eq!(
            decode(Framing::UntilClose, b"abcd", 1).unwrap(),
            (b"abcd".to_vec(), false, 0)
        );
    }

    #[test]
    fn chunks_that_are_none_are_refused() {
        for bad in [
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhelloX0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n\r\n0\r\n\r\n",
            "10000000000000000\r\nhello",
            "5;a=\"b\r\nhello\r\n0\r\n\r\n",
            "5;\x00\r\nhello\r\n0\r\n\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
            "0\r\nX : 5\r\n\r\n",
            "0\r\n\n",
            "g",
        ] {
            for piece in [1, 4, bad.len()] {
                assert!(
                    decode(Framing::Chunked, bad.as_bytes(), piece).is_err(),
                    "{bad:?} by {piece}"
                );
            }
        }
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(SIZE_LINE));
        assert!(decode(Framing::Chunked, long.as_bytes(), 100).is_err());
        let long = format!("0\r\nX: {}\r\n\r\n", "x".repeat(TRAILER_BYTES));
        assert!(decode(Framing::Chunked, long.as_bytes(), 100).is_err());
    }
}
