//! What every answer wears: the headers that were asked for.

use libevent2::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
};

/// The headers of every answer.
pub struct Dress {
    headers: Vec<(HeaderName, HeaderValue)>,
    cors: bool,
}

impl Dress {
    pub fn new(headers: Vec<(HeaderName, HeaderValue)>, cors: bool) -> Self {
        Dress { headers, cors }
    }

    /// The answer to a browser that asks whether a script of another origin may ask.
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        let asked = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && asked.contains_key(header::ORIGIN)
            && asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !self.cors || !is_preflight {
            return None;
        }
        let mut response = Response::new(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        let same = |name| asked.get(name).cloned();
        if let Some(method) = same(header::ACCESS_CONTROL_REQUEST_METHOD) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
        }
        if let Some(names) = same(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("600"),
        );
        Some(response)
    }

    /// Whether a page of another origin has sent it, which may not, unless all may.
    pub fn is_from_elsewhere(&self, request: &Request) -> bool {
        let origin = request.headers().get(header::ORIGIN);
        let Some(origin) = origin.filter(|_| !self.cors) else {
            return false;
        };
        let from = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        let here = request.host();
        !from
            .zip(here)
            .is_some_and(|((_, from), here)| from.eq_ignore_ascii_case(&here))
    }

    /// Puts them on; one that was asked for takes the place of the server's own.
    pub fn put_on(&self, headers: &mut HeaderMap) {
        if self.cors {
            let anybody = HeaderValue::from_static("*");
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
        }
        for (name, _) in &self.headers {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_was_asked_for_wins_and_may_come_twice() {
        let header = |name: &'static str, value: &'static str| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let all = vec![
            header("x-a", "1"),
            header("x-a", "2"),
            header("content-type", "a/b"),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        Dress::new(all, true).put_on(&mut headers);
        assert_eq!(
            headers.get_all("x-a").iter().collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert_eq!(headers[header::CONTENT_TYPE], "a/b");
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }
}
