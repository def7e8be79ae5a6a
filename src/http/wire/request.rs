//! The head of a request.

use super::MAX_HEADERS;
use super::framing::{Doubt, Fields, Framing, is_host};
use crate::http::target::Target;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use std::mem::MaybeUninit;

/// A request without its body.
#[derive(Debug)]
pub(crate) struct RequestHead {
    /// What was received, to find the headers in when somebody asks for them.
    bytes: Box<[u8]>,
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) version: Version,
    pub(crate) framing: Framing,
    /// Whether another request may follow on the connection.
    pub(crate) persistent: bool,
    /// Whether the client waits for `100 Continue`.
    pub(crate) expects_continue: bool,
}

/// Reads the head at the front of `input`: with its length, or `None` while it is not whole. An
/// error is the status to refuse it with.
pub(crate) fn parse(input: &[u8]) -> Result<Option<(RequestHead, usize)>, StatusCode> {
    match read(input) {
        Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED) => other_version(input),
        read => read,
    }
}

/// What becomes of a version that the parser does not know.
fn other_version(input: &[u8]) -> Result<Option<(RequestHead, usize)>, StatusCode> {
    let start = input
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .unwrap_or(0);
    let blanks = memchr::memchr_iter(b' ', &input[start..]);
    let version = blanks.skip(1).map(|at| start + at + 1).next();
    let version = version.ok_or(StatusCode::BAD_REQUEST)?;
    match &input[version..] {
        // Minor versions add nothing that must be understood: RFC 9110 2.5.
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9', ..] => {
            let mut input = input.to_vec();
            input[version + 7] = b'1';
            read(&input)
        }
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'0'..=b'9',
            b'.',
            b'0'..=b'9',
            ..,
        ] => Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
        b"HTTP/" => Ok(None),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9'] => Ok(None),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.'] => Ok(None),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

fn read(input: &[u8]) -> Result<Option<(RequestHead, usize)>, StatusCode> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(input, &mut space) {
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(length)) => length,
        Err(httparse::Error::TooManyHeaders) => {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        Err(httparse::Error::Version) => return Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
        Err(_) => return Err(StatusCode::BAD_REQUEST),
    };
    if has_bare_lf(&input[..length]) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let method = request.method.unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let http_10 = request.version == Some(0);
    let fields = Fields::of(request.headers);

    let framing = fields.framing(http_10).map_err(|doubt| match doubt {
        Doubt::Ambiguous => StatusCode::BAD_REQUEST,
        Doubt::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
        Doubt::Huge => StatusCode::PAYLOAD_TOO_LARGE,
    })?;
    if method == Method::TRACE && framing.is_some_and(|framing| framing != Framing::Length(0)) {
        // No client may send it one: RFC 9110 9.3.8.
        return Err(StatusCode::BAD_REQUEST);
    }
    let hosts_needed = if http_10 { 0..=1 } else { 1..=1 };
    if !hosts_needed.contains(&fields.hosts) || !is_host(fields.host) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let target = request.path.unwrap_or_default().as_bytes();
    if target == b"*" && method != Method::OPTIONS {
        return Err(StatusCode::BAD_REQUEST);
    }
    let target = Target::parse(target).ok_or(StatusCode::BAD_REQUEST)?;
    let expects_continue = match fields.expect {
        Some(value) if !value.eq_ignore_ascii_case(b"100-continue") => {
            return Err(StatusCode::EXPECTATION_FAILED);
        }
        Some(_) => !http_10,
        None => false,
    };
    let head = RequestHead {
        bytes: input[..length].into(),
        method,
        target,
        version: if http_10 {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        },
        framing: framing.unwrap_or(Framing::Length(0)),
        persistent: !fields.close && (!http_10 || fields.keep_alive),
        expects_continue,
    };
    Ok(Some((head, length)))
}

impl RequestHead {
    /// The headers, read anew: most handlers ask for none.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(&self.bytes, &mut space);
        debug_assert!(parsed.is_ok(), "it was parsed before");
        header_map(request.headers).unwrap_or_default()
    }

    /// The name of the host that is asked for, in lower case and without its port; empty when
    /// nothing says it.
    pub(crate) fn host(&self) -> String {
        let named = match &self.target.authority {
            Some(authority) => authority.as_bytes(),
            None => self.header("host").unwrap_or_default(),
        };
        let name = String::from_utf8_lossy(named).to_ascii_lowercase();
        let end = match name.rfind(']') {
            Some(end) => end + 1,
            None => name.find(':').unwrap_or(name.len()),
        };
        name[..end].to_owned()
    }

    /// The value of a header that is there once or several times: the first.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        request
            .parse_with_uninit_headers(&self.bytes, &mut space)
            .ok()?;
        let mut headers = request.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(found.value)
    }
}

/// Whether a line ends without a CR. RFC 9112 2.2 would let us take it; who stands before us may
/// not take it for an end.
pub(super) fn has_bare_lf(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

/// `None` for more headers than the map can hold.
pub(super) fn header_map(headers: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(header.value).ok()?;
        map.try_append(name, value).ok()?;
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(head: &str) -> u16 {
        parse(head.as_bytes()).map(|_| ()).unwrap_err().as_u16()
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = "GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: 2\r\n\r\nrest";
        for end in 0..text.len() - 4 {
            assert!(parse(&text.as_bytes()[..end]).unwrap().is_none(), "{end}");
        }
        let (head, length) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(&text[length..], "rest");
        assert_eq!(
            (head.target.path.as_str(), head.method.as_str()),
            ("/a", "GET")
        );
        assert_eq!(head.headers().get_all("x").iter().count(), 2);
        assert_eq!(head.header("X"), Some(&b"1"[..]));
        assert!(head.persistent);
    }

    #[test]
    fn a_refusal_says_why() {
        assert_eq!(refusal("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(refusal("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
        assert_eq!(refusal("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"), 400);
        assert_eq!(refusal("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
        assert_eq!(refusal("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(refusal("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(refusal("GET / FTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(
            refusal("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"),
            417
        );
        assert_eq!(refusal("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
        let te = "Transfer-Encoding: gzip, chunked\r\n";
        assert_eq!(
            refusal(&format!("GET / HTTP/1.1\r\nHost: a\r\n{te}\r\n")),
            501
        );
        let many = "A: b\r\n".repeat(MAX_HEADERS);
        assert_eq!(
            refusal(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")),
            431
        );
    }

    #[test]
    fn a_later_minor_version_is_read_as_the_last_that_is_known() {
        let text = b"GET / HTTP/1.7\r\nHost: h\r\n\r\n";
        for end in 0..text.len() {
            assert!(parse(&text[..end]).unwrap().is_none(), "{end}");
        }
        let (head, length) = parse(text).unwrap().unwrap();
        assert_eq!((head.version, length), (Version::HTTP_11, text.len()));
        assert!(head.headers().contains_key("host"));
        let other = b"GET / HTTP/2.0";
        for end in 0..other.len() {
            assert!(parse(&other[..end]).unwrap().is_none(), "{end}");
        }
    }

    #[test]
    fn the_host_is_that_of_the_target_before_that_of_the_header() {
        let host = |text: &str| parse(text.as_bytes()).unwrap().unwrap().0.host();
        assert_eq!(host("GET / HTTP/1.1\r\nHost: A.b:80\r\n\r\n"), "a.b");
        assert_eq!(host("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), "[::1]");
        assert_eq!(host("GET http://C/ HTTP/1.1\r\nHost: a\r\n\r\n"), "c");
        assert_eq!(host("GET / HTTP/1.0\r\n\r\n"), "");
    }

    #[test]
    fn a_connection_stays_as_its_version_has_it() {
        let stays = |text: &str| parse(text.as_bytes()).unwrap().unwrap().0.persistent;
        assert!(stays("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert!(!stays(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n"
        ));
        assert!(!stays("GET / HTTP/1.0\r\n\r\n"));
        assert!(stays("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    }
}
