//! The head of an answer.

use super::MAX_HEADERS;
use super::framing::{Fields, Framing};
use super::request::header_map;
use ::http::{HeaderMap, Method, StatusCode, Version};
use std::mem::MaybeUninit;

/// An answer without its body.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether another request may be sent on the connection.
    pub(crate) persistent: bool,
}

/// Reads the head at the front of `input`, the answer to a request of `method`: with its length,
/// or `None` while it is not whole. An error says what is wrong with it.
pub(crate) fn parse(
    input: &[u8],
    method: &Method,
) -> Result<Option<(ResponseHead, usize)>, &'static str> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut response, input, &mut space);
    let length = match parsed {
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(length)) => length,
        Err(httparse::Error::Version) => return Err("the version is not HTTP/1.0 or 1.1"),
        Err(httparse::Error::Status) => return Err("the status is not one"),
        Err(httparse::Error::TooManyHeaders) => return Err("there are too many headers"),
        Err(_) => return Err("the head is malformed"),
    };
    let status = response
        .code
        .and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.filter(|status| status.as_u16() < 600);
    let status = status.ok_or("the status is not one")?;
    let http_10 = response.version == Some(0);
    let fields = Fields::of(response.headers);
    let bodiless = *method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || (*method == Method::CONNECT && status.is_success());
    let framing = match fields.framing(http_10) {
        _ if bodiless => Framing::Length(0),
        Ok(framing) => framing.unwrap_or(Framing::UntilClose),
        Err(_) => return Err("where the body ends is not clear"),
    };
    let close = fields.close || (http_10 && !fields.keep_alive);
    let headers = header_map(response.headers).ok_or("there are too many headers")?;
    let head = ResponseHead {
        status,
        version: if http_10 {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        },
        headers,
        framing,
        persistent: !close && framing != Framing::UntilClose,
    };
    Ok(Some((head, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, method: Method) -> Result<ResponseHead, &'static str> {
        parse(text.as_bytes(), &method).map(|whole| whole.expect("a whole head").0)
    }

    #[test]
    fn the_end_of_a_body_follows_from_head_and_method() {
        let framing = |text, method| read(text, method).unwrap().framing;
        let ten = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
        assert_eq!(framing(ten, Method::GET), Framing::Length(10));
        assert_eq!(framing(ten, Method::HEAD), Framing::Length(0));
        assert_eq!(
            framing("HTTP/1.1 200 OK\r\n\r\n", Method::GET),
            Framing::UntilClose
        );
        assert_eq!(
            framing("HTTP/1.1 304 x\r\n\r\n", Method::GET),
            Framing::Length(0)
        );
        assert_eq!(
            framing("HTTP/1.1 100 Continue\r\n\r\n", Method::GET),
            Framing::Length(0)
        );
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bad in [
            "HTTP/1.1 -20 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 600 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        ] {
            assert!(read(bad, Method::GET).is_err(), "{bad}");
        }
    }
}
