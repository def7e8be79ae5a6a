//! The target of a request: what stands between the method and the version.

use super::host::valid_host;
use std::borrow::Cow;

/// A target split at its `?` before anything is decoded, so that an escaped `?` stays part of
/// the path. ASCII throughout: bytes that the client did not escape are escaped here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The host and port of an absolute target.
    pub(super) authority: Option<String>,
    pub(super) path: String,
    pub(super) query: Option<String>,
}

impl Target {
    /// `None` for what is no path: control characters, blanks, fragments, `foo`, `ftp://…`.
    pub(super) fn parse(raw: &[u8]) -> Option<Self> {
        if raw
            .iter()
            .any(|&byte| byte <= b' ' || byte == 0x7f || byte == b'#')
        {
            return None;
        }
        let (authority, local) = if raw == b"*" || raw.starts_with(b"/") {
            (None, raw)
        } else {
            let (authority, local) = split_authority(raw)?;
            (Some(authority), local)
        };
        let (path, query) = match local.iter().position(|&byte| byte == b'?') {
            Some(at) => (&local[..at], Some(escape(&local[at + 1..]))),
            None => (local, None),
        };
        let path = if path.is_empty() { b"/" } else { path };
        Some(Target {
            authority,
            path: escape(path),
            query,
        })
    }

    /// The path with every escape decoded that does not change where its segments end: `%2F`
    /// stays, and so does `%25`, so that [`decode`] makes the rest of it once and for all.
    pub(super) fn for_routing(&self) -> Cow<'_, str> {
        match unescape(self.path.as_bytes(), |byte| byte != b'/' && byte != b'%') {
            Cow::Borrowed(_) => Cow::Borrowed(&self.path),
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Cow::Owned(text),
                Err(_) => Cow::Borrowed(&self.path),
            },
        }
    }
}

/// The `host:port` of `http://host:port/path`, and what follows it.
fn split_authority(raw: &[u8]) -> Option<(String, &[u8])> {
    let at = ["http://", "https://"].iter().find_map(|scheme| {
        let start = raw.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then_some(scheme.len())
    })?;
    let rest = &raw[at..];
    let end = rest.iter().position(|&byte| byte == b'/' || byte == b'?');
    let (authority, local) = rest.split_at(end.unwrap_or(rest.len()));
    let valid = !authority.is_empty() && valid_host(authority);
    valid.then(|| (String::from_utf8_lossy(authority).into_owned(), local))
}

fn escape(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for &byte in raw {
        if byte.is_ascii() {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Decodes every percent escape, once.
pub(super) fn decode(escaped: &str) -> Cow<'_, [u8]> {
    unescape(escaped.as_bytes(), |_| true)
}

/// Decodes the escapes whose byte is `wanted`; a `%` without two hex digits stays as it is.
fn unescape(escaped: &[u8], wanted: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    let mut plain = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < escaped.len() {
        let byte = (escaped[at] == b'%').then(|| hex(escaped.get(at + 1..at + 3)?));
        match byte.flatten().filter(|&byte| wanted(byte)) {
            Some(byte) => {
                plain.extend_from_slice(&escaped[from..at]);
                plain.push(byte);
                at += 3;
                from = at;
            }
            None => at += 1,
        }
    }
    if from == 0 {
        return Cow::Borrowed(escaped);
    }
    plain.extend_from_slice(&escaped[from..]);
    Cow::Owned(plain)
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(raw: &[u8]) -> (String, Option<String>) {
        let target = Target::parse(raw).expect("a target");
        (target.path, target.query)
    }

    #[test]
    fn the_query_begins_at_the_first_unescaped_question_mark() {
        assert_eq!(parts(b"/a?b?c"), ("/a".into(), Some("b?c".into())));
        assert_eq!(parts(b"/a%3Fb"), ("/a%3Fb".into(), None));
        assert_eq!(&*decode("/a%3Fb"), b"/a?b");
    }

    #[test]
    fn an_absolute_target_is_reduced_to_its_path() {
        assert_eq!(
            parts(b"HTTP://host:80/a?b"),
            ("/a".into(), Some("b".into()))
        );
        assert_eq!(parts(b"https://host"), ("/".into(), None));
        assert_eq!(parts(b"http://host?q"), ("/".into(), Some("q".into())));
        assert_eq!(Target::parse(b"http:///a"), None);
        assert_eq!(Target::parse(b"http://user@host/a"), None);
        assert_eq!(Target::parse(b"http://host:x/a"), None);
        assert_eq!(Target::parse(b"/a#b"), None);
        assert_eq!(Target::parse(b"ftp://host/a"), None);
        assert_eq!(Target::parse(b"a"), None);
        assert_eq!(Target::parse(b"/a b"), None);
        assert_eq!(Target::parse(b"/a\x01"), None);
    }

    #[test]
    fn bytes_that_were_sent_bare_are_escaped() {
        assert_eq!(parts("/ä".as_bytes()).0, "/%C3%A4");
    }

    #[test]
    fn routing_decodes_all_but_slashes_and_percent_signs() {
        let target = Target::parse(b"/%66oo/a%2Fb/100%25/%C3%A4").unwrap();
        assert_eq!(target.for_routing(), "/foo/a%2Fb/100%25/ä");
        let target = Target::parse(b"/%FF").unwrap();
        assert_eq!(target.for_routing(), "/%FF");
    }

    #[test]
    fn half_an_escape_stays() {
        assert_eq!(&*decode("%4"), b"%4");
        assert_eq!(&*decode("%zz%41%"), b"%zzA%");
        assert_eq!(&*decode("%2541"), b"%41");
    }
}
