//! What may follow a flag.

use libevent2::http::{HeaderName, HeaderValue, Method, StatusCode};
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A time: a number of milliseconds, or with its unit (`250ms`, `1.5s` is `1s 500ms`).
pub fn time(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(millis) => Ok(Duration::from_millis(millis)),
        Err(_) => humantime::parse_duration(text)
            .map_err(|error| format!("{error}; a number of milliseconds, or 250ms, 2s")),
    }
}

/// `Name: value`, for every answer.
pub fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("'Name: value' is wanted")?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| "that is no name of a header")?;
    let value = HeaderValue::try_from(value.trim()).map_err(|_| "that cannot be sent")?;
    Ok((name, value))
}

/// `user:password`, or the file that has it.
#[derive(Debug, Clone)]
pub struct Credentials(pub String);

impl FromStr for Credentials {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = match text.strip_prefix('@') {
            Some(file) => fs::read_to_string(file)
                .map_err(|error| format!("{file}: {error}"))?
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
            None => text.to_owned(),
        };
        match pair.split_once(':') {
            Some((user, _)) if !user.is_empty() => Ok(Credentials(pair)),
            _ => Err("'user:password' is wanted, or '@FILE' with that in it".to_owned()),
        }
    }
}

/// `[METHOD] /path=STATUS:BODY`: what is always answered there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canned {
    pub method: Option<Method>,
    /// As for a route: `/x/{id}`, `/x/{*rest}`.
    pub path: String,
    pub status: StatusCode,
    pub body: CannedBody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannedBody {
    Text(String),
    /// Read for each answer, so that it can be changed meanwhile.
    File(PathBuf),
}

impl FromStr for Canned {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "'/path=STATUS:BODY' is wanted, with a method before the path if you like";
        let (place, answer) = text.split_once('=').ok_or(wanted)?;
        let (method, path) = match place.trim().split_once(' ') {
            Some((method, path)) => {
                let method = Method::from_str(method).map_err(|_| "that is no method")?;
                (Some(method), path.trim())
            }
            None => (None, place.trim()),
        };
        if !path.starts_with('/') {
            return Err(wanted.to_owned());
        }
        let (status, body) = answer.split_once(':').unwrap_or((answer, ""));
        let status = status.trim().parse().ok();
        let status = status.filter(|status: &StatusCode| status.as_u16() >= 200);
        Ok(Canned {
            method,
            path: path.to_owned(),
            status: status.ok_or("the status is a number from 200 to 999")?,
            body: match body.strip_prefix('@') {
                Some(file) => CannedBody::File(file.into()),
                None => CannedBody::Text(body.to_owned()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_unit_is_in_milliseconds() {
        assert_eq!(time("250"), Ok(Duration::from_millis(250)));
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert!(time("soon").is_err());
    }

    #[test]
    fn a_header_cannot_be_two() {
        assert_eq!(header("x-a:  b c ").unwrap().1, "b c");
        for text in ["nothing", ": b", "a b: c", "a: b\r\nc: d"] {
            assert!(header(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_have_both_parts() {
        assert_eq!(Credentials::from_str("a:b:c").unwrap().0, "a:b:c");
        for text in ["", "a", ":b", "@/no/such/file"] {
            assert!(text.parse::<Credentials>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_always_answered() {
        let canned: Canned = "/a=200:x=y:z".parse().unwrap();
        assert_eq!((canned.path.as_str(), canned.method), ("/a", None));
        assert_eq!(canned.body, CannedBody::Text("x=y:z".to_owned()));
        let canned: Canned = "DELETE /a/{id}=204".parse().unwrap();
        assert_eq!(canned.method, Some(Method::DELETE));
        assert_eq!(canned.status, StatusCode::NO_CONTENT);
        let canned: Canned = "/a=503:@down.html".parse().unwrap();
        assert_eq!(canned.body, CannedBody::File("down.html".into()));
        for text in ["", "/a", "a=200:x", "/a=abc:x", "/a=100:x", "G(T /a=200"] {
            assert!(text.parse::<Canned>().is_err(), "{text}");
        }
    }
}
