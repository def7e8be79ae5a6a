//! Bodies of JSON, both ways.

use super::form::expect_type;
use super::{ContentError, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Request {
    /// The body, read as JSON.
    ///
    /// ```
    /// use libevent2::http::{Request, Response};
    /// use std::collections::BTreeMap;
    ///
    /// fn total(request: Request) -> libevent2::Result<()> {
    ///     match request.json::<BTreeMap<String, f64>>() {
    ///         Ok(prices) => {
    ///             let total: f64 = prices.values().sum();
    ///             request.respond(Response::json_of(&total)?);
    ///         }
    ///         Err(error) => request.respond(error.response()),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ContentError::Type`] when it does not say `application/json`, or another type that ends in
    /// `+json`; [`ContentError::Malformed`], with line and column, when it is none, or has not the
    /// fields that `T` needs.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ContentError> {
        expect_type(self, "application/json", is_json)?;
        serde_json::from_slice(self.body())
            .map_err(|error| ContentError::malformed(error.to_string()))
    }
}

fn is_json(essence: &[u8]) -> bool {
    let essence = essence.to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

impl Response {
    /// 200 with a value as JSON.
    ///
    /// ```
    /// use libevent2::http::Response;
    ///
    /// let answer = Response::json_of(&vec![1, 2, 3])?;
    /// assert_eq!(answer.headers()["content-type"], "application/json");
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the value cannot be written as JSON, as a
    /// map whose keys are no strings.
    pub fn json_of<T: Serialize + ?Sized>(value: &T) -> crate::Result<Self> {
        let text = serde_json::to_string(value)
            .map_err(|error| crate::Error::invalid("a body of JSON", error.to_string()))?;
        Ok(Response::json(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn types_that_end_in_json_are_json() {
        assert!(is_json(b"application/json"));
        assert!(is_json(b"Application/Problem+JSON"));
        assert!(!is_json(b"text/json"));
        assert!(!is_json(b"application/jsonp"));
    }

    #[test]
    fn what_json_cannot_say_is_an_error() {
        let odd = BTreeMap::from([(vec![1], 2)]);
        assert!(Response::json_of(&odd).is_err());
    }
}
