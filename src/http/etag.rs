use ::http::HeaderValue;
use std::fmt;
use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// The `ETag` of what is sent: a name for exactly these bytes (strong), or for what means the
/// same (weak).
///
/// ```
/// use libevent2::http::ETag;
///
/// let tag = ETag::strong("v17")?;
/// assert_eq!(tag.to_string(), "\"v17\"");
/// assert!(ETag::weak("v17")?.matches_weakly(&tag));
/// assert!(!ETag::weak("v17")?.matches_strongly(&tag));
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag {
    /// As it goes into the header, quotes and all.
    value: HeaderValue,
    weak: bool,
}

impl ETag {
    /// A tag that changes whenever a byte changes.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there is a quote, a blank or a control
    /// character in it.
    pub fn strong(opaque: impl AsRef<[u8]>) -> crate::Result<Self> {
        Self::new(opaque.as_ref(), false)
    }

    /// A tag that changes whenever the meaning changes. Ranges are never sent by it.
    ///
    /// # Errors
    /// As of [`strong`](Self::strong).
    pub fn weak(opaque: impl AsRef<[u8]>) -> crate::Result<Self> {
        Self::new(opaque.as_ref(), true)
    }

    fn new(opaque: &[u8], weak: bool) -> crate::Result<Self> {
        let refuse = || crate::Error::invalid("an entity tag", "it has a byte that a tag cannot");
        if !opaque.iter().all(is_tag_byte) {
            return Err(refuse());
        }
        let prefix: &[u8] = if weak { b"W/\"" } else { b"\"" };
        let value = [prefix, opaque, b"\""].concat();
        let value = HeaderValue::try_from(value).map_err(|_| refuse())?;
        Ok(ETag { value, weak })
    }

    /// The tag of a file, by its length and the time of its last change; `None` when the system
    /// does not know that time.
    ///
    /// It is the same on several machines with copies that keep the time. It is weak while the
    /// last change is less than two seconds ago: there could be another one in the same tick of
    /// the file system's clock.
    pub fn of_file(metadata: &Metadata) -> Option<Self> {
        let modified = metadata.modified().ok()?;
        Self::of(metadata.len(), modified, SystemTime::now())
    }

    fn of(len: u64, modified: SystemTime, now: SystemTime) -> Option<Self> {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let opaque = format!("{:x}-{len:x}", since.as_nanos());
        Self::new(opaque.as_bytes(), !is_settled(modified, now)).ok()
    }

    /// The tag of the same thing in another coding.
    pub(super) fn with_suffix(&self, suffix: &str) -> Self {
        let opaque = [self.opaque(), b"-", suffix.as_bytes()].concat();
        Self::new(&opaque, self.weak).unwrap_or_else(|_| self.clone())
    }

    /// Whether it is weak.
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// The same, and both strong: the bytes are the same.
    pub fn matches_strongly(&self, other: &ETag) -> bool {
        !self.weak && self.value == other.value
    }

    /// The same, strong or not.
    pub fn matches_weakly(&self, other: &ETag) -> bool {
        self.opaque() == other.opaque()
    }

    /// What goes into an `ETag` header.
    pub fn to_value(&self) -> HeaderValue {
        self.value.clone()
    }

    /// What is between the quotes.
    fn opaque(&self) -> &[u8] {
        let start = if self.weak { 3 } else { 1 };
        &self.value.as_bytes()[start..self.value.len() - 1]
    }

    /// The tag at the beginning, and what follows it.
    pub(super) fn parse(text: &[u8]) -> Option<(Self, &[u8])> {
        let (rest, weak) = match text.strip_prefix(b"W/") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let rest = rest.strip_prefix(b"\"")?;
        let end = rest.iter().position(|&byte| byte == b'"')?;
        let tag = Self::new(&rest[..end], weak).ok()?;
        Some((tag, &rest[end + 1..]))
    }
}

/// Whether a change at `modified` is long enough ago for there not to be another one that shows
/// the same time.
pub(super) fn is_settled(modified: SystemTime, now: SystemTime) -> bool {
    let age = now.duration_since(modified);
    age.is_ok_and(|age| age >= Duration::from_secs(2))
}

fn is_tag_byte(byte: &u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> ETag {
        ETag::parse(text.as_bytes()).expect("a tag").0
    }

    #[test]
    fn weak_tags_match_weakly_only() {
        // The table of RFC 9110, 8.8.3.2.
        for (one, two, strongly, weakly) in [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
        ] {
            let (one, two) = (tag(one), tag(two));
            assert_eq!(one.matches_strongly(&two), strongly, "{one} {two}");
            assert_eq!(two.matches_strongly(&one), strongly, "{one} {two}");
            assert_eq!(one.matches_weakly(&two), weakly, "{one} {two}");
        }
    }

    #[test]
    fn a_tag_cannot_end_the_header() {
        for bad in ["a\"b", "a b", "a\r\nb", "a\0", "a\x7f"] {
            assert!(ETag::strong(bad).is_err(), "{bad:?}");
        }
        assert_eq!(ETag::strong("").unwrap().to_string(), "\"\"");
        assert_eq!(tag(r#""a,b" , x"#).to_string(), r#""a,b""#);
        for bad in ["x", "\"x", "w/\"x\"", "W/x", ""] {
            assert!(ETag::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_file_changed_just_now_has_a_weak_tag() {
        let modified = SystemTime::UNIX_EPOCH + Duration::new(16, 5);
        let at = |secs| ETag::of(255, modified, modified + Duration::from_secs(secs)).unwrap();
        assert!(at(1).is_weak());
        assert!(!at(2).is_weak());
        assert_eq!(at(2).to_string(), "\"3b9aca005-ff\"");
        assert!(at(1).matches_weakly(&at(9)));
    }

    #[test]
    fn a_suffix_keeps_the_strength() {
        assert_eq!(
            tag(r#"W/"a""#).with_suffix("gzip").to_string(),
            r#"W/"a-gzip""#
        );
        assert_eq!(tag(r#""a""#).with_suffix("br").to_string(), r#""a-br""#);
    }
}
