//! Names as text: as C has them, with dots between labels and nothing escaped, and as users do.

use crate::dns::name;
use crate::error::{Error, Result};
use std::ffi::CString;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Whether it has labels of 1 to 63 bytes, and 253 in all; or none, as the root.
pub(super) fn is_name(name: &[u8]) -> bool {
    let (Some(first), Some(last)) = (name.first(), name.last()) else {
        return true;
    };
    // All pairs, without a way out: that takes many bytes at once.
    let pairs = name.iter().zip(&name[1..]);
    let has_gap = pairs.fold(false, |gap, (&a, &b)| gap | ((a == b'.') & (b == b'.')));
    let has_long_label = || {
        name.len() > 63
            && name
                .split(|&byte| byte == b'.')
                .any(|label| label.len() > 63)
    };
    !has_gap && *first != b'.' && *last != b'.' && name.len() <= 253 && !has_long_label()
}

/// Whether there is nothing to escape in it.
fn is_plain(name: &[u8]) -> bool {
    // As above.
    name.iter().fold(true, |plain, &byte| {
        plain & byte.is_ascii_graphic() & (byte != b'\\')
    })
}

/// A name of C's for users.
pub(super) fn show(name: &[u8]) -> String {
    match str::from_utf8(name) {
        Ok("") => ".".to_owned(),
        Ok(text) if is_plain(name) => text.to_owned(),
        _ => name::escape(name),
    }
}

/// A name of a user's for C.
pub(super) fn parse(text: &str) -> Result<CString> {
    if text == "." {
        return Ok(CString::default());
    }
    let labels = text.strip_suffix('.').unwrap_or(text);
    let is_simple = !labels.is_empty() && is_name(labels.as_bytes()) && is_plain(labels.as_bytes());
    let bytes = match is_simple {
        true => {
            // With room for the NUL, so that it is not moved.
            let mut bytes = Vec::with_capacity(labels.len() + 1);
            bytes.extend(labels.as_bytes());
            bytes
        }
        false => checked(text, labels)
            .map_err(|why| Error::invalid("name", format!("{text:?}: {why}")))?,
    };
    CString::new(bytes).map_err(|_| Error::invalid("name", format!("{text:?}: there is a NUL")))
}

/// What is not plain, or says why it is no name.
fn checked(text: &str, labels: &str) -> Result<Vec<u8>, String> {
    if !text.contains('\\') {
        name::check(text)?;
        return Ok(labels.into());
    }
    let bytes = unescape(labels).ok_or("it has a bad escape")?;
    // What was escaped may be anything; only its length matters.
    let shape = bytes
        .iter()
        .map(|&byte| if byte == b'.' { '.' } else { 'x' });
    name::check(&shape.collect::<String>())?;
    Ok(bytes)
}

/// Undoes [`name::escape`]. None for what it would not write: an escape that is none, and one for a
/// dot, which C would take for the end of a label.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escaped = match rest.next()? {
            high @ b'0'..=b'9' => {
                let digits = [high, rest.next()?, rest.next()?];
                str::from_utf8(&digits).ok()?.parse().ok()?
            }
            itself => itself,
        };
        if escaped == b'.' {
            return None;
        }
        bytes.push(escaped);
    }
    Some(bytes)
}

/// Writes a name as it is sent, without compression.
pub(super) fn append(data: &mut Vec<u8>, text: &str) -> Result<()> {
    let name = parse(text)?;
    let labels = name.as_bytes().split(|&byte| byte == b'.');
    for label in labels.filter(|label| !label.is_empty()) {
        data.push(label.len() as u8);
        data.extend(label);
    }
    data.push(0);
    Ok(())
}

/// The name under which DNS has an address.
pub(super) fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let mut name = String::with_capacity(72);
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            name + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<u8> {
        parse(text).unwrap().into_bytes()
    }

    #[test]
    fn a_name_goes_to_c_without_escapes_and_dots_at_its_end() {
        assert_eq!(parsed("a.b"), b"a.b");
        assert_eq!(parsed("a.b."), b"a.b");
        assert_eq!(parsed("a b"), b"a b");
        assert_eq!(parsed("."), b"");
        assert_eq!(parsed(r"a\032b\\\255."), b"a b\\\xff");
        for bad in [
            "", "..", "a..b", r"a\.b", r"a\.", r"a\046b", r"a\000", r"\", r"\25", r"\999", "ä",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_escaped_is_the_same_name_again() {
        let odd: Vec<u8> = (1..=255).filter(|&byte| byte != b'.').collect();
        for label in odd.chunks(63) {
            assert_eq!(parsed(&show(label)), label);
        }
        assert_eq!(show(b""), ".");
        assert_eq!(show(b"host.example"), "host.example");
        assert_eq!(show(b"a b\xff"), r"a\032b\255");
    }

    #[test]
    fn a_name_has_labels() {
        let is_name = |name: &str| is_name(name.as_bytes());
        let long = "x".repeat(63);
        assert!(is_name("a.b") && is_name("") && is_name(&long));
        assert!(is_name(&("x.".repeat(126) + "x")));
        for bad in [
            "a..b",
            ".a",
            "a.",
            ".",
            &(long + "x"),
            &("x.".repeat(127) + "x"),
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_name_of_its_own() {
        let v4 = "192.0.2.17".parse().unwrap();
        assert_eq!(reverse(v4), "17.2.0.192.in-addr.arpa");
        let v6 = reverse("2001:db8::567:89ab".parse().unwrap());
        let written = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(v6, written);
    }
}
