use super::{ContentError, Request, fields};
use ::http::header;

/// The pairs of a form or a query, in their order.
///
/// ```
/// use libevent2::http::Form;
///
/// let form = Form::parse(b"name=Ada+L.&tag=a&tag=b%26c")?;
/// assert_eq!(form.get("name"), Some("Ada L."));
/// assert_eq!(form.get_all("tag").collect::<Vec<_>>(), ["a", "b&c"]);
/// # Ok::<(), libevent2::http::ContentError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// The most pairs that a form may have.
    pub const MOST: usize = 1000;

    /// Reads `application/x-www-form-urlencoded`. What is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// [`ContentError::TooMany`] for more than [`MOST`](Self::MOST) pairs.
    pub fn parse(text: &[u8]) -> Result<Self, ContentError> {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            if pairs.len() == Self::MOST {
                return Err(ContentError::TooMany { what: "pairs" });
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Form { pairs })
    }

    /// The first value of the name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        Some(value)
    }

    /// All values of the name.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.pairs.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// All pairs.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl Request {
    /// The body as a form without files sends it.
    ///
    /// ```
    /// use libevent2::http::{Request, StatusCode};
    ///
    /// fn sign_up(request: Request) {
    ///     match request.form() {
    ///         Ok(form) => {
    ///             let name = form.get("name").unwrap_or("nobody");
    ///             let text = format!("Welcome, {name}!\n");
    ///             request.reply(StatusCode::OK, text);
    ///         }
    ///         Err(error) => request.respond(error.response()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ContentError::Type`] when the body says that it is something else,
    /// [`ContentError::TooMany`] for more than [`Form::MOST`] pairs.
    pub fn form(&self) -> Result<Form, ContentError> {
        const EXPECTED: &str = "application/x-www-form-urlencoded";
        expect_type(self, EXPECTED, |essence| {
            essence.eq_ignore_ascii_case(EXPECTED.as_bytes())
        })?;
        Form::parse(self.body())
    }

    /// The query as a form sends it; empty without one.
    ///
    /// # Errors
    /// [`ContentError::TooMany`] for more than [`Form::MOST`] pairs.
    pub fn query_form(&self) -> Result<Form, ContentError> {
        Form::parse(self.query().unwrap_or("").as_bytes())
    }
}

/// Checks the `Content-Type` without its parameters.
pub(super) fn expect_type(
    request: &Request,
    expected: &'static str,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<(), ContentError> {
    let value = fields::only(request.headers(), &header::CONTENT_TYPE);
    match value.is_some_and(|value| fits(fields::essence(value))) {
        true => Ok(()),
        false => Err(ContentError::Type { expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_order() {
        let form = Form::parse(b"a=1&&b&=x&a=%C3%A4%FF").unwrap();
        let pairs: Vec<_> = form.iter().collect();
        assert_eq!(
            pairs,
            [("a", "1"), ("b", ""), ("", "x"), ("a", "ä\u{fffd}")]
        );
        assert!(Form::parse(b"").unwrap().is_empty());
        let form = Form::parse(b"a+b%2Bc=%4").unwrap();
        assert_eq!(form.iter().next(), Some(("a b+c", "%4")));
    }

    #[test]
    fn a_form_has_a_bounded_number_of_pairs() {
        assert_eq!(Form::parse(&b"a&".repeat(Form::MOST)).unwrap().len(), 1000);
        let more = Form::parse(&b"a&".repeat(Form::MOST + 1));
        assert!(matches!(more, Err(ContentError::TooMany { what: "pairs" })));
    }
}
