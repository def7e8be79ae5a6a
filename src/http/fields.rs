//! Lists and parameters in the values of headers: `a, b;c="d, e"`.

use ::http::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// The elements of a list, from all headers of the name; blanks around them and empty ones are
/// left out.
pub(super) fn elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| split(value.as_bytes(), b','))
}

/// The one header of the name; `None` when there are several, which nobody can choose from.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

/// What stands between separators that are outside of quotes; blanks around it and empty parts
/// are left out.
pub(super) fn split(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let all = rest?;
        let end = end_of_element(all, separator);
        rest = all.get(end + 1..);
        Some(all[..end].trim_ascii())
    })
    .filter(|element| !element.is_empty())
}

fn end_of_element(value: &[u8], separator: u8) -> usize {
    let mut quoted = false;
    let mut at = 0;
    while at < value.len() {
        match value[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted && is_escape(&value[at..]) => at += 1,
            byte if byte == separator && !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    value.len()
}

/// Only `\"` and `\\` are escapes: browsers send other backslashes, in the names of files, bare.
fn is_escape(value: &[u8]) -> bool {
    matches!(value, [b'\\', b'"' | b'\\', ..])
}

/// What stands before the parameters: before the first `;`.
pub(super) fn essence(value: &[u8]) -> &[u8] {
    value[..end_of_element(value, b';')].trim_ascii()
}

/// `a=1; b="2"` as pairs; what has no `=` is left out.
pub(super) fn params(value: &[u8]) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
    split(value, b';').filter_map(|param| {
        let equals = param.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&param[..equals], &param[equals + 1..]);
        Some((name.trim_ascii_end(), unquote(value.trim_ascii_start())))
    })
}

/// The first parameter of the name, in any case of letters.
pub(super) fn param<'a>(value: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    let rest = value.get(end_of_element(value, b';') + 1..)?;
    params(rest)
        .find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}

/// A quoted string without its quotes; anything else as it is.
pub(super) fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return Cow::Borrowed(value);
    };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        at += usize::from(is_escape(&inner[at..]));
        plain.push(inner[at]);
        at += 1;
    }
    Cow::Owned(plain)
}

/// Whether it is a token: the form of methods, header names and codings.
pub(super) fn is_token(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: &str) -> Vec<&str> {
        let parts = split(value.as_bytes(), b',');
        parts.map(|part| str::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn separators_in_quotes_separate_nothing() {
        assert_eq!(
            parts(r#" a ,, b;c="d, \"e", f"#),
            ["a", r#"b;c="d, \"e""#, "f"]
        );
        assert_eq!(parts(""), [""; 0]);
        assert_eq!(parts(r#"a, "open, b"#), ["a", r#""open, b"#]);
    }

    #[test]
    fn parameters_are_found_in_any_case() {
        let value = br#"form-data; NAME="a;b"; filename = "C:\x\"y\".txt"; z"#;
        assert_eq!(param(value, "name").unwrap(), &b"a;b"[..]);
        assert_eq!(param(value, "filename").unwrap(), &br#"C:\x"y".txt"#[..]);
        assert_eq!(param(value, "z"), None);
        assert_eq!(essence(value), b"form-data");
        assert_eq!(essence(b"plain"), b"plain");
    }

    #[test]
    fn of_several_headers_none_is_the_only_one() {
        let mut headers = HeaderMap::new();
        let name = ::http::header::RANGE;
        assert_eq!(only(&headers, &name), None);
        headers.append(&name, "a".parse().unwrap());
        assert_eq!(only(&headers, &name), Some(&b"a"[..]));
        headers.append(&name, "b, c".parse().unwrap());
        assert_eq!(only(&headers, &name), None);
        assert_eq!(elements(&headers, &name).count(), 3);
    }
}
