//! A name and a password for everything.

use crate::args::Credentials;
use crate::page;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libevent2::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use std::hint;

/// Whether the request brings the name and the password.
pub fn admits(credentials: &Credentials, headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION);
    let given = value.and_then(|value| {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        let encoded = scheme.eq_ignore_ascii_case("basic").then_some(encoded)?;
        BASE64_STANDARD.decode(encoded.trim()).ok()
    });
    given.is_some_and(|given| is_same(&given, credentials.0.as_bytes()))
}

/// In a time that says nothing of where they differ, only how long they are.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |all, (a, b)| hint::black_box(all | (a ^ b)));
    a.len() == b.len() && hint::black_box(difference) == 0
}

/// 401, which makes a browser ask.
pub fn challenge() -> Response {
    let challenge = HeaderValue::from_static("Basic realm=\"evserve\", charset=\"UTF-8\"");
    page::of(StatusCode::UNAUTHORIZED).header(header::WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_pair_is_admitted() {
        let credentials = Credentials("me:a:b".to_owned());
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::try_from(value).unwrap());
            admits(&credentials, &headers)
        };
        let right = BASE64_STANDARD.encode("me:a:b");
        assert!(with(&format!("Basic {right}")) && with(&format!("basic  {right}")));
        for wrong in ["me:a:c", "me:a:", "me:a:bb", "", "me"] {
            assert!(
                !with(&format!("Basic {}", BASE64_STANDARD.encode(wrong))),
                "{wrong}"
            );
        }
        assert!(!with(&format!("Bearer {right}")) && !with("Basic ???") && !with(&right));
        assert!(!admits(&credentials, &HeaderMap::new()));
    }
}
