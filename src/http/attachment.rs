//! Answers that a browser saves instead of showing them (RFC 6266).

use super::Response;
use ::http::{HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 8187 lets stand as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

impl Response {
    /// Lets a browser save the answer under this name instead of showing it.
    ///
    /// ```
    /// use libevent2::http::Response;
    ///
    /// let answer = Response::text("a,b\n1,2\n").attachment("Müller.csv");
    /// assert_eq!(
    ///     answer.headers()["content-disposition"],
    ///     "attachment; filename=\"M_ller.csv\"; filename*=UTF-8''M%C3%BCller.csv",
    /// );
    /// ```
    pub fn attachment(self, name: &str) -> Self {
        self.header(header::CONTENT_DISPOSITION, attachment(name))
    }
}

/// The value of the header.
fn attachment(name: &str) -> HeaderValue {
    // Old clients read escapes in quotes in different ways, so there are none.
    let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%');
    let ascii: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let mut value = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        value += &format!("; filename*=UTF-8''{}", utf8_percent_encode(name, ESCAPED));
    }
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_another_parameter() {
        assert_eq!(
            attachment("a b;c.txt"),
            "attachment; filename=\"a b;c.txt\""
        );
        assert_eq!(
            attachment("a\"; x=\r\n\\%41"),
            "attachment; filename=\"a_; x=____41\"; filename*=UTF-8''a%22%3B%20x%3D%0D%0A%5C%2541"
        );
    }
}
