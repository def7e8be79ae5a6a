//! Where a request goes: an absolute URL, and how a relative one is read against it.

use crate::http::wire::framing::is_host;
use ::http::{HeaderValue, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// Scheme, host and port: what connections, cookies and secrets belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) https: bool,
    /// In lower case; an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// As it stands in a URL and in `Host`; the port only where it is not the usual one, unless it
    /// is asked for.
    pub(super) fn authority(&self, with_port: bool) -> String {
        let usual = if self.https { 443 } else { 80 };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == usual && !with_port {
            return host;
        }
        format!("{host}:{}", self.port)
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

/// A URL without its fragment; user and password stand apart.
#[derive(Debug, Clone)]
pub(super) struct Url {
    pub(super) origin: Origin,
    /// Path and query, ASCII.
    pub(super) target: String,
    /// The `Authorization` that its user and password make.
    pub(super) credentials: Option<HeaderValue>,
}

impl Url {
    /// Reads an absolute URL. What a URL may not have but people write (blanks, letters beyond
    /// ASCII in path and query) is escaped; an error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.split('#').next().unwrap_or_default();
        let text = escape(text)?;
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        let https = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) => return Err(format!("{scheme} is neither http nor https")),
            None => return Err("it has to begin with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("it names no host")?;
        let (user, place) = match authority.as_str().rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority.as_str()),
        };
        let host = authority.host();
        let port = place.strip_prefix(host).ok_or("its host is none")?;
        let port = match port.strip_prefix(':').unwrap_or(port) {
            "" if https => 443,
            "" => 80,
            port => port.parse().unwrap_or(0),
        };
        if port == 0 {
            return Err("its port is none".to_owned());
        }
        let host = host.to_ascii_lowercase();
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or("its host is none")?,
            None => &host,
        };
        if bare.is_empty() || !is_host(host.as_bytes()) || bare.contains(['%', '\0']) {
            return Err("its host is none".to_owned());
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        // A URL such as `http://host?query` has no path.
        let target = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("/{target}")
        };
        Ok(Url {
            origin: Origin {
                https,
                host: bare.to_owned(),
                port,
            },
            target,
            credentials: user.map(basic_of_userinfo),
        })
    }

    /// The URL that `reference` means where this one is the base (RFC 3986 5.2.2).
    pub(super) fn join(&self, reference: &str) -> Result<Self, String> {
        let reference = reference.trim_matches([' ', '\t']);
        let reference = reference.split('#').next().unwrap_or_default();
        if has_scheme(reference) {
            return Url::parse(reference);
        }
        if reference.starts_with("//") {
            return Url::parse(&format!("{}:{reference}", self.origin.scheme()));
        }
        let (path, query) = split_query(&self.target);
        let (new_path, new_query) = split_query(reference);
        let (path, query) = if new_path.is_empty() {
            (path.to_owned(), new_query.or(query))
        } else if new_path.starts_with('/') {
            (remove_dots(new_path), new_query)
        } else {
            let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
            (remove_dots(&format!("{folder}{new_path}")), new_query)
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let origin = &self.origin;
        let (scheme, place) = (origin.scheme(), origin.authority(false));
        let mut url = Url::parse(&format!("{scheme}://{place}{path}{query}"))?;
        url.credentials = self.credentials.clone();
        Ok(url)
    }

    #[cfg(feature = "cookies")]
    pub(super) fn path(&self) -> &str {
        split_query(&self.target).0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, place) = (self.origin.scheme(), self.origin.authority(false));
        write!(f, "{scheme}://{place}{}", self.target)
    }
}

/// `Basic`, for a header.
pub(super) fn basic(user: &[u8], password: &[u8]) -> HeaderValue {
    let pair = [user, b":", password].concat();
    let value = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(value).expect("base64 is what a header may have");
    value.set_sensitive(true);
    value
}

fn basic_of_userinfo(info: &str) -> HeaderValue {
    let (user, password) = info.split_once(':').unwrap_or((info, ""));
    let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    basic(&decode(user), &decode(password))
}

fn escape(text: &str) -> Result<String, String> {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const NEVER: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'\\')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    if text.chars().any(char::is_control) {
        return Err("it has control characters".to_owned());
    }
    Ok(utf8_percent_encode(text, NEVER).to_string())
}

fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?']);
    end.is_some_and(|end| {
        text[end..].starts_with(':')
            && text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text[..end]
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

/// RFC 3986 5.2.4, for a path that begins with a slash.
fn remove_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let last = segments.len().saturating_sub(1);
    for (at, segment) in segments.into_iter().enumerate() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    out.pop();
                }
                // What they end in is a folder.
                if at == last {
                    out.push("");
                }
            }
            segment => out.push(segment),
        }
    }
    format!("/{}", out.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_the_rfc_says() {
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        // RFC 3986 5.4.1 and 5.4.2.
        for (reference, whole) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x", "http://a/b/c/g;x"),
            ("g;x?y#s", "http://a/b/c/g;x?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("../../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            (".g", "http://a/b/c/.g"),
            ("g..", "http://a/b/c/g.."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://b:8/x", "https://b:8/x"),
            ("HTTP://B", "http://b/"),
            ("ä b", "http://a/b/c/%C3%A4%20b"),
            ("a:b@c", "scheme"),
        ] {
            let joined = base.join(reference).map(|url| url.to_string());
            match whole {
                "scheme" => assert!(joined.is_err(), "{reference}"),
                whole => assert_eq!(joined.as_deref(), Ok(whole), "{reference}"),
            }
        }
    }

    #[test]
    fn a_url_says_where_to_go() {
        let url = Url::parse("HTTPS://Us%65r:p%40ss@[::1]:8443/a?b#c").unwrap();
        let origin = Origin {
            https: true,
            host: "::1".to_owned(),
            port: 8443,
        };
        assert_eq!(url.origin, origin);
        assert_eq!(url.target, "/a?b");
        assert_eq!(url.credentials, Some(basic(b"User", b"p@ss")));
        assert_eq!(url.to_string(), "https://[::1]:8443/a?b");
        let plain = Url::parse("http://example.org?x").unwrap();
        assert_eq!((plain.origin.port, plain.target.as_str()), (80, "/?x"));
        assert_eq!(plain.origin.authority(true), "example.org:80");
    }

    #[test]
    fn what_is_no_url_of_ours_is_refused() {
        for bad in [
            "",
            "/a",
            "a",
            "example.org/",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://:80/",
            "http://a:0/",
            "http://a:99999/",
            "http://a:x/",
            "http://a b/",
            "http://a\r\nX: y/",
            "http://a/\r\nX: y",
            "http://a/\0",
            "http://[::1/",
            "http://[zz]/",
            "http://a%00b/",
            "http://ä/",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad:?}");
        }
    }
}
