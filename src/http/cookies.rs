//! Cookies of requests and answers.

use super::{Request, Response};
use ::http::{HeaderValue, header};
use cookie::Cookie;

/// More cookies than a browser sends are not read.
const MOST: usize = 200;

impl Request {
    /// The cookies that the client sent, in its order; what is none is left out.
    ///
    /// Names and values are as they were sent: nothing is decoded.
    pub fn cookies(&self) -> impl Iterator<Item = Cookie<'_>> {
        parse(self.headers().get_all(header::COOKIE).iter())
    }

    /// The value of the first cookie of the name.
    ///
    /// ```
    /// use libevent2::http::{Request, Response, StatusCode, cookie::Cookie};
    ///
    /// fn count(request: Request) -> libevent2::Result<()> {
    ///     let seen: u32 = request.cookie("seen").and_then(|n| n.parse().ok()).unwrap_or(0);
    ///     let cookie = Cookie::build(("seen", (seen + 1).to_string()))
    ///         .http_only(true)
    ///         .path("/");
    ///     let answer = Response::text(format!("You were here {seen} times before.\n"));
    ///     request.respond(answer.cookie(cookie)?);
    ///     Ok(())
    /// }
    /// ```
    pub fn cookie(&self, name: &str) -> Option<String> {
        let mut cookies = self.cookies();
        cookies
            .find(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value().to_owned())
    }
}

fn parse<'a>(headers: impl Iterator<Item = &'a HeaderValue>) -> impl Iterator<Item = Cookie<'a>> {
    headers
        .filter_map(|value| str::from_utf8(value.as_bytes()).ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| Cookie::parse(pair.trim()).ok())
        .take(MOST)
}

impl Response {
    /// Gives the client a cookie. To take it back, give one with
    /// [`max_age`](cookie::CookieBuilder::max_age) zero and the same path and domain.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when a name, value, path or domain has a byte
    /// that would end it, such as `;`, or a line end: encode such values.
    pub fn cookie<'c>(mut self, cookie: impl Into<Cookie<'c>>) -> crate::Result<Self> {
        let cookie = cookie.into();
        let refuse = |why: &str| crate::Error::invalid("a cookie", why);
        if !super::fields::is_token(cookie.name().as_bytes()) {
            return Err(refuse("its name is no token"));
        }
        if !unquoted(cookie.value()).bytes().all(is_value_byte) {
            return Err(refuse(
                "its value has a byte that ends it, or that is not ASCII",
            ));
        }
        let plain = |text: &str| text.bytes().all(|byte| is_plain(byte) && byte != b';');
        if !cookie.path().is_none_or(plain) || !cookie.domain().is_none_or(plain) {
            return Err(refuse("its path or domain has a byte that ends it"));
        }
        let value =
            HeaderValue::try_from(cookie.to_string()).map_err(|_| refuse("it is no header"))?;
        self.headers_mut().append(header::SET_COOKIE, value);
        Ok(self)
    }
}

fn unquoted(value: &str) -> &str {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// ASCII that is to be seen, or a blank.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// RFC 6265, 4.1.1.
fn is_value_byte(byte: u8) -> bool {
    is_plain(byte) && !b" \",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderMap;

    #[test]
    fn cookies_come_in_one_header_or_in_several() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; b=\"x y\";; bad; c=="),
        );
        headers.append(header::COOKIE, HeaderValue::from_static("a=2"));
        let cookies: Vec<_> = parse(headers.get_all(header::COOKIE).iter())
            .map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned()))
            .collect();
        let expected = [("a", "1"), ("b", "\"x y\""), ("c", "="), ("a", "2")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(cookies, expected);
        let many = HeaderValue::try_from("a=1;".repeat(5000)).unwrap();
        assert_eq!(parse([&many].into_iter()).count(), MOST);
    }

    #[test]
    fn several_cookies_are_several_headers() {
        let answer = Response::text("x")
            .cookie(Cookie::build(("a", "1")).http_only(true).path("/"))
            .and_then(|answer| answer.cookie(("b", "2")))
            .unwrap();
        let set: Vec<_> = answer
            .headers()
            .get_all(header::SET_COOKIE)
            .iter()
            .collect();
        assert_eq!(set, ["a=1; HttpOnly; Path=/", "b=2"]);
    }

    #[test]
    fn a_cookie_cannot_become_another_or_end_the_headers() {
        for (name, value) in [
            ("a", "1; Domain=evil.example"),
            ("a", "1\r\nX: y"),
            ("a", "x\0"),
            ("a", "ä"),
            ("a", "a\"b"),
            ("a b", "1"),
            ("", "1"),
            ("a=b", "1"),
            ("a\r\n", "1"),
        ] {
            let made = Response::text("x").cookie(Cookie::new(name, value));
            assert!(made.is_err(), "{name:?} {value:?}");
        }
        let path = Cookie::build(("a", "1")).path("/; Secure");
        assert!(Response::text("x").cookie(path).is_err());
        assert!(Response::text("x").cookie(("a", "\"quoted\"")).is_ok());
    }
}
