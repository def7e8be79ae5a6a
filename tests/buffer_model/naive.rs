//! Searching as it is described, byte by byte.

use libevent2::buffer::Eol;

pub const EOLS: [Eol; 5] = [Eol::Any, Eol::Crlf, Eol::CrlfStrict, Eol::Lf, Eol::Nul];

/// What `Buffer::find` has to return for the range `start..end`.
pub fn find(bytes: &[u8], pattern: &[u8], start: usize, end: usize) -> Option<usize> {
    let end = end.min(bytes.len());
    (start..=end).find(|&at| bytes[at..end].starts_with(pattern))
}

/// What `Buffer::find_eol` has to return.
pub fn find_eol(bytes: &[u8], from: usize, eol: Eol) -> Option<(usize, usize)> {
    let is_end = |byte: u8| byte == b'\r' || byte == b'\n';
    (from..bytes.len()).find_map(|at| {
        let rest = &bytes[at..];
        let len = match eol {
            Eol::Any => rest.iter().take_while(|&&byte| is_end(byte)).count(),
            Eol::Crlf if rest[0] == b'\n' => 1,
            Eol::Crlf | Eol::CrlfStrict => 2 * usize::from(rest.starts_with(b"\r\n")),
            Eol::Lf => usize::from(rest[0] == b'\n'),
            Eol::Nul => usize::from(rest[0] == 0),
        };
        (len > 0).then_some((at, len))
    })
}

/// Whether the first line is longer than `max` bytes; it may not be known yet.
pub fn too_long(bytes: &[u8], eol: Eol, max: usize) -> Option<bool> {
    if let Some((at, _)) = find_eol(bytes, 0, eol) {
        return Some(at > max);
    }
    // The last `\r` may be the first half of an end.
    let half = matches!(eol, Eol::Crlf | Eol::CrlfStrict) && bytes.last() == Some(&b'\r');
    match bytes.len() {
        len if len <= max => Some(false),
        len if len > max + 1 => Some(true),
        _ if half => Some(false),
        // One more byte is all that there is: it may say so now or with the next.
        _ => None,
    }
}
