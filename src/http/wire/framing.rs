//! Where a message ends and whether another may follow, by its headers.

use crate::http::host::valid_host;
use httparse::Header;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes follow, perhaps none.
    Length(u64),
    Chunked,
    /// All until the connection ends: answers only.
    UntilClose,
}

/// The headers that say how a message is to be read.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    lengths: usize,
    length: Option<&'a [u8]>,
    codings: usize,
    coding: &'a [u8],
    pub(crate) hosts: usize,
    pub(crate) host: &'a [u8],
    pub(crate) expect: Option<&'a [u8]>,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

/// Why the framing cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It can be read in more than one way, or in none.
    Ambiguous,
    /// A transfer coding other than `chunked`, before `chunked`.
    UnknownCoding,
    /// A length that no integer here holds.
    Huge,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(headers: &[Header<'a>]) -> Self {
        let mut fields = Fields::default();
        for header in headers {
            let value = header.value;
            // The length of the name tells most headers apart.
            match header.name.len() {
                4 if is(header, "host") => {
                    fields.hosts += 1;
                    fields.host = value;
                }
                6 if is(header, "expect") => fields.expect = Some(value),
                10 if is(header, "connection") => fields.connection(value),
                14 if is(header, "content-length") => {
                    fields.lengths += 1;
                    fields.length = Some(value);
                }
                17 if is(header, "transfer-encoding") => {
                    fields.codings += 1;
                    fields.coding = value;
                }
                _ => {}
            }
        }
        fields
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    /// What the two headers say; `None` when neither is there.
    pub(crate) fn framing(&self, http_10: bool) -> Result<Option<Framing>, Doubt> {
        if self.codings > 0 {
            if self.codings > 1 || self.lengths > 0 || http_10 {
                return Err(Doubt::Ambiguous);
            }
            if is_chunked(self.coding) {
                return Ok(Some(Framing::Chunked));
            }
            // Where the body ends is known by the last coding alone: RFC 9112 6.3.
            let mut codings = self
                .coding
                .split(|&byte| byte == b',')
                .map(<[u8]>::trim_ascii);
            let ends = codings.next_back().is_some_and(is_chunked);
            let known_before = codings.any(|coding| coding.is_empty() || is_chunked(coding));
            return Err(if ends && !known_before {
                Doubt::UnknownCoding
            } else {
                Doubt::Ambiguous
            });
        }
        let Some(length) = self.length else {
            return Ok(None);
        };
        if self.lengths > 1 || length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
            return Err(Doubt::Ambiguous);
        }
        let digits = str::from_utf8(length).map_err(|_| Doubt::Ambiguous)?;
        // Nothing but its size can be wrong with it.
        let length = digits.parse().map_err(|_| Doubt::Huge)?;
        Ok(Some(Framing::Length(length)))
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

fn is(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

/// Whether it can be the value of `Host`. Nothing is there for a target without a host: RFC 9112 3.2.
pub(crate) fn is_host(value: &[u8]) -> bool {
    value.is_empty() || valid_host(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(list: &[(&'static str, &'static str)]) -> Result<Option<Framing>, Doubt> {
        let headers: Vec<_> = list
            .iter()
            .map(|&(name, value)| Header {
                name,
                value: value.as_bytes(),
            })
            .collect();
        Fields::of(&headers).framing(false)
    }

    #[test]
    fn only_what_reads_in_one_way_passes() {
        assert_eq!(framing(&[]), Ok(None));
        assert_eq!(
            framing(&[("Content-Length", "12")]),
            Ok(Some(Framing::Length(12)))
        );
        assert_eq!(
            framing(&[("transfer-encoding", "Chunked")]),
            Ok(Some(Framing::Chunked))
        );
        for bad in [
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ][..],
            &[("transfer-encoding", "chunked"), ("content-length", "1")],
            &[("transfer-encoding", "chunked, identity, chunked")],
            &[("transfer-encoding", "chunked,")],
            &[("transfer-encoding", "")],
            &[("content-length", "1"), ("content-length", "1")],
            &[("content-length", "+1")],
            &[("content-length", "0x1")],
            &[("content-length", "1, 1")],
            &[("content-length", "")],
            &[("transfer-encoding", "xchunked")],
            &[("transfer-encoding", "identity")],
            &[("transfer-encoding", "gzip, , chunked")],
        ] {
            assert_eq!(framing(bad), Err(Doubt::Ambiguous), "{bad:?}");
        }
        let unknown = [("transfer-encoding", "gzip, chunked")];
        assert_eq!(framing(&unknown), Err(Doubt::UnknownCoding));
        let huge = [("content-length", "18446744073709551616")];
        assert_eq!(framing(&huge), Err(Doubt::Huge));
    }

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        for good in [
            "",
            "a",
            "a.b:80",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "a:",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b", "u@h", "a,b", "a/b", "[::1", "[]", "[::1]x", "a:x", "a:1:2", "a:123456", ":80",
            "ä",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
