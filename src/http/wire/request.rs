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
    let method = request.method.unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let http_10 = request.version == Some(0);
    let fields = Fields::of(request.headers);

    let framing = fields.framing(http_10).map_err(|doubt| match doubt {
        Doubt::Ambiguous => StatusCode::BAD_REQUEST,
        Doubt::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
    })?;
    let hosts_needed = if http_10 { 0..=1 } else { 1..=1 };
    if !hosts_needed.contains(&fields.hosts) || !is_host(fields.host) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let target = request.path.unwrap_or_default().as_bytes();
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
        assert_eq!(refusal("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
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
