//! Names as text: as C has them, with dots between labels and nothing escaped, and as users do.

use crate::dns::name;
use crate::error::{Error, Result};
use std::ffi::{CStr, CString};
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

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

/// A name, which DNS can carry.
///
/// It is text, as [`as_str`](Self::as_str) tells, and cheap to clone: what answers a question with
/// records of the name that was asked for does not take it apart again. Names are equal without
/// regard to upper and lower case, also to text.
#[derive(Clone)]
pub struct Name {
    /// As C has it.
    raw: Arc<CStr>,
    /// As it is shown, where that is not the same.
    shown: Option<Arc<str>>,
}

impl Name {
    /// A name that C has.
    pub(super) fn from_c(raw: &CStr) -> Self {
        let bytes = raw.to_bytes();
        let shown = match bytes {
            b"" => Some(".".into()),
            _ if is_plain(bytes) => None,
            _ => Some(name::escape(bytes).into()),
        };
        let raw = raw.into();
        Name { raw, shown }
    }

    /// For C: labels with dots between them, nothing escaped, and empty for the root.
    pub(super) fn raw(&self) -> &CStr {
        &self.raw
    }

    /// The name without a dot at its end; `.` for the root. Bytes that are no printable ASCII are
    /// written as `\` and three digits.
    pub fn as_str(&self) -> &str {
        match &self.shown {
            Some(shown) => shown,
            // It is: the same means that all of it is printable ASCII.
            None => str::from_utf8(self.raw.to_bytes()).unwrap_or_default(),
        }
    }
}

impl FromStr for Name {
    type Err = Error;

    /// Reads a name as [`as_str`](Self::as_str) writes it, with or without a dot at its end.
    fn from_str(text: &str) -> Result<Self> {
        let raw = parse(text)?;
        Ok(Self::from_c(&raw))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(other)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        *self == *other.as_str()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.bytes() {
            byte.to_ascii_lowercase().hash(state);
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// What a [`Record`](super::Record) takes for a name: a [`Name`], or text for one.
pub trait IntoName {
    /// The name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for text that is no name.
    fn into_name(self) -> Result<Name>;
}

impl IntoName for Name {
    fn into_name(self) -> Result<Name> {
        Ok(self)
    }
}

impl IntoName for &Name {
    fn into_name(self) -> Result<Name> {
        Ok(self.clone())
    }
}

impl IntoName for &str {
    fn into_name(self) -> Result<Name> {
        self.parse()
    }
}

impl IntoName for &String {
    fn into_name(self) -> Result<Name> {
        self.parse()
    }
}

fn parse(text: &str) -> Result<CString> {
    if text == "." {
        return Ok(CString::default());
    }
    let invalid = |why: String| Error::invalid("name", format!("{text:?}: {why}"));
    let labels = text.strip_suffix('.').unwrap_or(text);
    let bytes = if !labels.is_empty() && is_name(labels.as_bytes()) && is_plain(labels.as_bytes()) {
        // With room for the NUL, so that it is not moved.
        let mut bytes = Vec::with_capacity(labels.len() + 1);
        bytes.extend(labels.as_bytes());
        bytes
    } else {
        checked(text, labels).map_err(invalid)?
    };
    CString::new(bytes).map_err(|_| invalid("there is a NUL in it".to_owned()))
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
pub(super) fn append(data: &mut Vec<u8>, name: impl IntoName) -> Result<()> {
    let name = name.into_name()?;
    let labels = name.raw.to_bytes().split(|&byte| byte == b'.');
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
    use std::hash::DefaultHasher;

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

    fn show(raw: &[u8]) -> String {
        let raw = CString::new(raw).unwrap();
        Name::from_c(&raw).to_string()
    }

    #[test]
    fn what_was_escaped_is_the_same_name_again() {
        let odd: Vec<u8> = (1..=255).filter(|&byte| byte != b'.').collect();
        for label in odd.chunks(63) {
            assert_eq!(parsed(&show(label)), label);
            let name: Name = show(label).parse().unwrap();
            assert_eq!(name.raw().to_bytes(), label);
        }
        assert_eq!(show(b""), ".");
        assert_eq!(show(b"host.example"), "host.example");
        assert_eq!(show(b"a b\xff"), r"a\032b\255");
    }

    #[test]
    fn names_are_equal_without_regard_to_case() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let hash = |name: &Name| {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            hasher.finish()
        };
        let (a, b) = (name("Host.Example."), name("hOST.example"));
        assert_eq!((&a, hash(&a)), (&b, hash(&b)));
        assert!(a == *"host.EXAMPLE" && a != name("host.example.org"));
        assert_eq!(
            (a.to_string(), format!("{a:?}")),
            ("Host.Example".to_owned(), "\"Host.Example\"".to_owned())
        );
        assert_ne!(name("a.b"), *"a");
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
