//! Where a message ends and whether another may follow, by its headers.

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
    /// A transfer coding other than `chunked`.
    UnknownCoding,
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
            if self.coding.eq_ignore_ascii_case(b"chunked") {
                return Ok(Some(Framing::Chunked));
            }
            let mut codings = self.coding.split(|&byte| byte == b',');
            let last = codings.next_back().unwrap_or_default().trim_ascii();
            let chunked_before =
                codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"));
            let readable = !chunked_before
                && !last.is_empty()
                && last.iter().all(|byte| byte.is_ascii_graphic());
            return Err(if readable {
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
        let length = str::from_utf8(length)
            .ok()
            .and_then(|digits| digits.parse().ok());
        length
            .map(|length| Some(Framing::Length(length)))
            .ok_or(Doubt::Ambiguous)
    }
}

fn is(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

/// Whether it can be the value of `Host`: a name or an address, and perhaps a port (RFC 9110 7.2).
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else {
                return false;
            };
            let inside = &rest[..end];
            let address = inside
                .iter()
                .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
            if !address || inside.is_empty() {
                return false;
            }
            (&rest[..0], &rest[end + 1..])
        }
        _ => {
            let end = value
                .iter()
                .position(|&byte| byte == b':')
                .unwrap_or(value.len());
            (&value[..end], &value[end..])
        }
    };
    // reg-name of RFC 3986.
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(byte);
    let port = port.strip_prefix(b":").unwrap_or(port);
    name.iter().all(in_name)
        && port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
        && (port.is_empty() || value.contains(&b':'))
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
            &[("content-length", "18446744073709551616")],
        ] {
            assert_eq!(framing(bad), Err(Doubt::Ambiguous), "{bad:?}");
        }
        for unknown in ["xchunked", "gzip, chunked", "identity"] {
            let header = [("transfer-encoding", unknown)];
            assert_eq!(framing(&header), Err(Doubt::UnknownCoding), "{unknown}");
        }
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
            "a b", "u@h", "a,b", "a/b", "[::1", "[]", "[::1]x", "a:x", "a:1:2", "a:123456", "ä",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
