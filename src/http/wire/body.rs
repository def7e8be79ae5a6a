//! A body as it comes in, piece by piece.

use super::framing::Framing;
use super::request::{has_bare_lf, header_map};
use super::{MAX_HEADERS, TRAILER_BYTES};
use ::http::HeaderMap;

/// The longest line that says the size of a chunk, with its extensions.
const SIZE_LINE: usize = 512;

/// The most bytes of extensions in a whole body: a byte of data could else cost a line of them.
const EXTENSIONS: usize = 16 << 10;

/// Follows a body from its first byte to its last.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// How many bytes of extensions have come.
    extensions: usize,
}

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
        let state = match framing {
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Decoder {
            state,
            extensions: 0,
        }
    }

    /// Whether the end of the connection is the end of this body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.state == State::UntilClose
    }

    /// How many more bytes of data are known to come.
    pub(crate) fn announced(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Chunk(left) => left,
            _ => 0,
        }
    }

    /// Takes a step, and says how much of the input that was. After
    /// [`End`](Step::End) nothing of the input is the body's.
    pub(crate) fn step<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Step<'a>), Malformed> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.state {
                State::Done | State::Length(0) => {
                    self.state = State::Done;
                    return Ok((used, Step::End(None)));
                }
                _ if rest.is_empty() => return Ok((used, Step::Wait)),
                State::Length(left) => {
                    let data = front(rest, left);
                    self.state = State::Length(left - data.len() as u64);
                    return Ok((used + data.len(), Step::Data(data)));
                }
                State::UntilClose => return Ok((input.len(), Step::Data(rest))),
                State::Chunk(left) => {
                    let data = front(rest, left);
                    let left = left - data.len() as u64;
                    self.state = if left > 0 {
                        State::Chunk(left)
                    } else {
                        State::ChunkEnd
                    };
                    return Ok((used + data.len(), Step::Data(data)));
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = State::ChunkSize;
                    }
                    b"\r" => return Ok((used, Step::Wait)),
                    _ => return Err(Malformed("a chunk is longer than it says")),
                },
                State::ChunkSize => {
                    let Some(line) = SizeLine::read(rest)? else {
                        return Ok((used, Step::Wait));
                    };
                    used += line.length;
                    self.extensions += line.extensions;
                    if self.extensions > EXTENSIONS {
                        return Err(Malformed("there are too many chunk extensions"));
                    }
                    self.state = if line.size > 0 {
                        State::Chunk(line.size)
                    } else {
                        State::Trailers
                    };
                }
                State::Trailers => {
                    let Some((trailers, length)) = trailers(rest)? else {
                        return Ok((used, Step::Wait));
                    };
                    self.state = State::Done;
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
struct SizeLine {
    size: u64,
    /// All of it, with its end.
    length: usize,
    extensions: usize,
}

impl SizeLine {
    fn read(input: &[u8]) -> Result<Option<Self>, Malformed> {
        const BAD: Malformed = Malformed("the size of a chunk is none");
        let window = &input[..input.len().min(SIZE_LINE)];
        let end = memchr::memchr(b'\n', window);
        let line = match end {
            Some(end) => window[..end].strip_suffix(b"\r").ok_or(BAD)?,
            None if input.len() >= SIZE_LINE => return Err(BAD),
            None => window.strip_suffix(b"\r").unwrap_or(window),
        };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (digits, extensions) = line.split_at(digits.count());
        if digits.len() > 16 || extensions.iter().any(|&byte| is_control(byte)) {
            return Err(BAD);
        }
        let Some(end) = end else {
            // What cannot become right is refused before it is whole.
            let possible = match extensions.trim_ascii_start().first() {
                Some(byte) => *byte == b';' && !digits.is_empty(),
                None => !digits.is_empty() || line.is_empty(),
            };
            return if possible { Ok(None) } else { Err(BAD) };
        };
        if !are_extensions(extensions) {
            return Err(BAD);
        }
        let size = str::from_utf8(digits).ok();
        let size = size.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Ok(Some(SizeLine {
            size: size.ok_or(BAD)?,
            length: end + 1,
            extensions: extensions.len(),
        }))
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// Any number of `;name`, `;name=value` or `;name="value"`, with blanks around the signs. Blanks
/// alone behind the digits are read differently by different programs.
fn are_extensions(mut text: &[u8]) -> bool {
    while !text.is_empty() {
        let Some(rest) = text.trim_ascii_start().strip_prefix(b";") else {
            return false;
        };
        let Some(rest) = after_token(rest.trim_ascii_start()) else {
            return false;
        };
        text = match rest.trim_ascii_start().strip_prefix(b"=") {
            None => rest,
            Some(value) => {
                let value = value.trim_ascii_start();
                let end = match value.strip_prefix(b"\"") {
                    Some(quoted) => after_quoted(quoted),
                    None => after_token(value),
                };
                let Some(rest) = end else { return false };
                rest
            }
        };
    }
    true
}

fn after_token(text: &[u8]) -> Option<&[u8]> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = text.iter().take_while(|byte| is_part(byte)).count();
    (length > 0).then_some(&text[length..])
}

/// What is behind the second quotation mark.
fn after_quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', _, rest @ ..] => rest,
            [_, rest @ ..] => rest,
            [] => return None,
        };
    }
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
        Ok(httparse::Status::Complete((length, headers)))
            if length <= TRAILER_BYTES && !has_bare_lf(&input[..length]) =>
        {
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
    fn what_is_to_come_is_known_before_it_comes() {
        let mut decoder = Decoder::new(Framing::Chunked);
        assert_eq!(decoder.announced(), 0);
        decoder.step(b"ffffffffffffffff\r\n").unwrap();
        assert_eq!(decoder.announced(), u64::MAX);
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
            "0\r\nX: 5\nY: 6\r\n\r\n",
            "0\r\n\n",
            "5;\r\nhello\r\n0\r\n\r\n",
            "5;a=\r\nhello\r\n0\r\n\r\n",
            "5,a\r\nhello\r\n0\r\n\r\n",
            "5;a\nhello\r\n0\r\n\r\n",
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
        // A byte of data behind each line.
        let line = format!("1;{}\r\nx\r\n", "x".repeat(500));
        assert!(decode(Framing::Chunked, line.repeat(30).as_bytes(), 1000).is_ok());
        assert!(decode(Framing::Chunked, line.repeat(40).as_bytes(), 1000).is_err());
        let long = format!("0\r\nX: {}\r\n\r\n", "x".repeat(TRAILER_BYTES));
        assert!(decode(Framing::Chunked, long.as_bytes(), 100).is_err());
    }
}
