//! The body of an answer with several ranges: `multipart/byteranges` (RFC 9110, 14.6).

use ::http::HeaderValue;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// A line that is in no file, as far as chance goes: nobody can know it before.
pub(super) fn boundary() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", random(), random())
}

/// `bytes 0-99/1000`; `range` is not empty.
pub(super) fn content_range(range: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", range.start, range.end - 1)
}

/// What stands before each part.
pub(super) fn heads(
    boundary: &str,
    mime: Option<&HeaderValue>,
    parts: &[Range<u64>],
    len: u64,
) -> Vec<Vec<u8>> {
    let mut line_end: &[u8] = b"";
    let heads = parts.iter().map(|range| {
        let mut head = [line_end, b"--", boundary.as_bytes(), b"\r\n"].concat();
        line_end = b"\r\n";
        if let Some(mime) = mime {
            head.extend([b"Content-Type: ", mime.as_bytes(), b"\r\n"].concat());
        }
        let range = content_range(range, len);
        head.extend(format!("Content-Range: {range}\r\n\r\n").bytes());
        head
    });
    heads.collect()
}

/// What stands behind the last part.
pub(super) fn end(boundary: &str) -> Vec<u8> {
    format!("\r\n--{boundary}--\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_between_boundaries() {
        let mime = HeaderValue::from_static("text/plain");
        let heads = heads("B", Some(&mime), &[0..1, 5..10], 10);
        let expected: [&[u8]; 2] = [
            b"--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/10\r\n\r\n",
            b"\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-9/10\r\n\r\n",
        ];
        assert_eq!(heads, expected);
        assert_eq!(end("B"), b"\r\n--B--\r\n");
    }

    #[test]
    fn boundaries_are_all_different() {
        assert_ne!(boundary(), boundary());
        assert_eq!(boundary().len(), 32);
    }
}
