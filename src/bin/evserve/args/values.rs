//! What may follow a flag.

use libevent2::http::{HeaderName, HeaderValue, Method, StatusCode};
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `1500`, `64K`, `10M`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            unit => return Err(format!("'{unit}' is no unit: K, M and G are")),
        };
        let number: u64 = digits
            .parse()
            .map_err(|_| "a whole number, and K, M or G if you like".to_owned())?;
        number
            .checked_mul(1 << shift)
            .map(Bytes)
            .ok_or_else(|| "too many".to_owned())
    }
}

/// Bytes a second: with none nothing would ever be sent.
pub fn rate(text: &str) -> Result<Bytes, String> {
    match text.parse()? {
        Bytes(0) => Err("one byte at least; without the flag there is no limit".to_owned()),
        bytes => Ok(bytes),
    }
}

/// A time: a number of milliseconds, or with its unit (`250ms`, `1.5s` is `1s 500ms`).
pub fn time(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(millis) => Ok(Duration::from_millis(millis)),
        Err(_) => humantime::parse_duration(text)
            .map_err(|error| format!("{error}; a number of milliseconds, or 250ms, 2s")),
    }
}

/// A number of processes.
pub fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("a number from 1 to 1024".to_owned()),
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

/// `/path=http://host:port`: what another server answers. With a path behind the port, that one
/// takes the place of ours, as nginx has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    pub path: String,
    url: String,
    replaces: bool,
}

impl FromStr for Proxied {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "'/path=http://host:port' is wanted";
        let (path, url) = text.split_once('=').ok_or(wanted)?;
        let host = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        let host = host.filter(|host| !host.is_empty() && !host.contains(['?', '#', ' ']));
        let host = host.ok_or(wanted)?;
        if !path.starts_with('/') {
            return Err(wanted.to_owned());
        }
        Ok(Proxied {
            path: path.trim_end_matches('/').to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            replaces: host.contains('/'),
        })
    }
}

impl Proxied {
    /// The URL that stands for a path, if it is under this one.
    pub fn target(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.path.as_str())?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let kept = if self.replaces { rest } else { path };
        let slash = if kept.is_empty() { "/" } else { "" };
        Some(format!("{}{slash}{kept}", self.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("64K", 64 << 10),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "K", "-1", "1.5M", "10X", "99999999999G"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

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

    #[test]
    fn a_path_of_another_server_is_kept_or_replaced() {
        let target = |proxied: &str, path: &str| Proxied::from_str(proxied).unwrap().target(path);
        for (proxied, path, expected) in [
            ("/api=http://h:1", "/api/a?b", Some("http://h:1/api/a?b")),
            ("/api=http://h:1", "/api", Some("http://h:1/api")),
            ("/api=http://h:1/", "/api/a", Some("http://h:1/a")),
            ("/api=http://h:1/", "/api", Some("http://h:1/")),
            ("/api/=http://h:1/v2", "/api/a", Some("http://h:1/v2/a")),
            ("/=https://h", "/a", Some("https://h/a")),
            ("/api=http://h:1", "/apis", None),
            ("/api=http://h:1", "/", None),
        ] {
            assert_eq!(
                target(proxied, path).as_deref(),
                expected,
                "{proxied} {path}"
            );
        }
        for text in [
            "/api",
            "api=http://h",
            "/api=h:1",
            "/api=ftp://h",
            "/api=http://",
        ] {
            assert!(text.parse::<Proxied>().is_err(), "{text}");
        }
    }
}
