//! Heads and chunks, written.

use super::framing::Framing;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use std::io::Write as _;

/// Writes the first line of an answer and its headers, without the empty line.
pub(crate) fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("Unknown").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the first line of a request.
pub(crate) fn request_line(out: &mut Vec<u8>, method: &Method, target: &str, version: Version) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    let version: &[u8] = match version {
        Version::HTTP_10 => b" HTTP/1.0\r\n",
        _ => b" HTTP/1.1\r\n",
    };
    out.extend_from_slice(version);
}

/// Writes the headers; their names as most programs write them. Names and values are what their
/// types allow: there is no line end in them.
pub(crate) fn headers(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        header(out, name, value);
    }
}

/// Writes one header.
pub(crate) fn header(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    title_case(out, name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes one header whose name and value are known to be right.
pub(crate) fn header_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes the header that says how a body ends.
pub(crate) fn framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => header_line(out, "Transfer-Encoding", b"chunked"),
        Framing::UntilClose => {}
    }
}

/// Writes what stands before a chunk.
pub(crate) fn chunk_size(out: &mut Vec<u8>, size: usize) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{size:x}\r\n");
}

/// Writes the end of a chunked body.
pub(crate) fn last_chunk(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        headers(out, trailers);
    }
    out.extend_from_slice(b"\r\n");
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn title_case(out: &mut Vec<u8>, name: &HeaderName) {
    // The usual ones are there already.
    if name == header::CONTENT_TYPE {
        return out.extend_from_slice(b"Content-Type");
    }
    let mut start = true;
    out.extend(name.as_str().bytes().map(|byte| {
        let upper = std::mem::replace(&mut start, byte == b'-');
        if upper {
            byte.to_ascii_uppercase()
        } else {
            byte
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_written_as_it_is_read() {
        let mut out = Vec::new();
        status_line(&mut out, StatusCode::NOT_FOUND);
        let mut map = HeaderMap::new();
        map.append("x-one", HeaderValue::from_static("1"));
        map.append("x-one", HeaderValue::from_static("2"));
        headers(&mut out, &map);
        framing(&mut out, Framing::Length(u64::MAX));
        framing(&mut out, Framing::Length(0));
        let text = "HTTP/1.1 404 Not Found\r\nX-One: 1\r\nX-One: 2\r\n\
                    Content-Length: 18446744073709551615\r\nContent-Length: 0\r\n";
        assert_eq!(str::from_utf8(&out), Ok(text));
    }
}
