//! The cookies that servers have set (RFC 6265).

use super::url::{Origin, Url};
use cookie::Cookie;
use cookie::time::{Duration, OffsetDateTime};
use std::net::IpAddr;

/// The most cookies of one host, and in all: the oldest go.
const PER_HOST: usize = 50;
const ALL: usize = 3000;

/// The longest cookie that is taken, in bytes.
const LONGEST: usize = 4096;

/// Cookies of all hosts, each given back to those only that it is for.
#[derive(Debug, Default)]
pub(super) struct Jar(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    name: String,
    value: String,
    domain: String,
    /// Whether it is for no host but the one that has set it.
    host_only: bool,
    path: String,
    secure: bool,
    expires: Option<OffsetDateTime>,
}

impl Jar {
    /// Takes a `Set-Cookie` from an answer of `url`, unless it is for somebody else.
    pub(super) fn set(&mut self, url: &Url, text: &str) {
        if text.len() > LONGEST {
            return;
        }
        let Ok(cookie) = Cookie::parse(text) else {
            return;
        };
        let host = &url.origin.host;
        let domain = cookie.domain().map(|domain| domain.trim_start_matches('.'));
        let (domain, host_only) = match domain {
            Some(domain) if !domain.is_empty() => (domain.to_ascii_lowercase(), false),
            _ => (host.clone(), true),
        };
        if !host_only {
            // Without a list of public suffixes at least those of one label are known.
            let own = domain == *host;
            if !own && (!is_within(host, &domain) || !domain.contains('.')) {
                return;
            }
        }
        let secure = cookie.secure().unwrap_or(false);
        if secure && !is_safe(&url.origin) {
            return;
        }
        let whole_site = cookie.path() == Some("/");
        let name = cookie.name();
        if name.starts_with("__Secure-") && !secure
            || name.starts_with("__Host-") && !(secure && host_only && whole_site)
        {
            return;
        }
        let path = match cookie.path() {
            Some(path) if path.starts_with('/') => path.to_owned(),
            _ => folder(url.path()).to_owned(),
        };
        let now = OffsetDateTime::now_utc();
        let expires = match cookie.max_age() {
            Some(age) if age <= Duration::ZERO => Some(now),
            Some(age) => now.checked_add(age),
            None => cookie.expires_datetime(),
        };
        self.0.retain(|kept| {
            !(kept.name == name && kept.domain == domain && kept.path == path)
                && kept.expires.is_none_or(|expires| expires > now)
        });
        if expires.is_some_and(|expires| expires <= now) {
            return;
        }
        if self.0.iter().filter(|kept| kept.domain == domain).count() >= PER_HOST {
            let oldest = self.0.iter().position(|kept| kept.domain == domain);
            oldest.map(|at| self.0.remove(at));
        }
        if self.0.len() >= ALL {
            self.0.remove(0);
        }
        self.0.push(Kept {
            name: name.to_owned(),
            value: cookie.value().to_owned(),
            domain,
            host_only,
            path,
            secure,
            expires,
        });
    }

    /// The value of `Cookie` for a request.
    pub(super) fn get(&self, url: &Url) -> Option<String> {
        let now = OffsetDateTime::now_utc();
        let host = &url.origin.host;
        let mut fit: Vec<&Kept> = self
            .0
            .iter()
            .filter(|kept| {
                (kept.domain == *host || !kept.host_only && is_within(host, &kept.domain))
                    && path_fits(url.path(), &kept.path)
                    && (!kept.secure || is_safe(&url.origin))
                    && kept.expires.is_none_or(|expires| expires > now)
            })
            .collect();
        // The more exact come first; among them the older.
        fit.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs: Vec<_> = fit
            .iter()
            .map(|kept| format!("{}={}", kept.name, kept.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

fn is_safe(origin: &Origin) -> bool {
    origin.https
}

/// Whether a host is in a domain, but not the domain itself.
fn is_within(host: &str, domain: &str) -> bool {
    host.parse::<IpAddr>().is_err()
        && host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}

fn folder(path: &str) -> &str {
    match path.rfind('/') {
        Some(end) if end > 0 => &path[..end],
        _ => "/",
    }
}

fn path_fits(path: &str, of_cookie: &str) -> bool {
    path.strip_prefix(of_cookie)
        .is_some_and(|rest| rest.is_empty() || of_cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(set: &[(&str, &str)], url: &str) -> Option<String> {
        let mut jar = Jar::default();
        for (from, text) in set {
            jar.set(&Url::parse(from).unwrap(), text);
        }
        jar.get(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_cookie_goes_back_to_whom_it_is_for() {
        let one = |text| move |url| after(&[("https://a.example.org/x/y", text)], url).is_some();
        let plain = one("k=v");
        assert!(plain("https://a.example.org/x/y"));
        assert!(plain("http://a.example.org:81/x/z"));
        assert!(!plain("https://a.example.org/"));
        assert!(!plain("https://a.example.org/xy"));
        assert!(!plain("https://b.a.example.org/x/"));
        let domain = one("k=v; Domain=.example.org; Path=/");
        assert!(domain("https://example.org/"));
        assert!(domain("https://b.example.org/"));
        assert!(!domain("https://badexample.org/"));
        assert!(!one("k=v; Domain=other.org; Path=/")("https://other.org/"));
        assert!(!one("k=v; Domain=org; Path=/")("https://b.org/"));
        let secure = one("k=v; Secure; Path=/");
        assert!(secure("https://a.example.org/"));
        assert!(!secure("http://a.example.org/"));
        assert!(!one("k=v; Max-Age=0")("https://a.example.org/x/y"));
        assert!(!one("k=v; Expires=Thu, 01 Jan 1970 00:00:01 GMT")(
            "https://a.example.org/x/y"
        ));
        assert!(!one("__Host-k=v; Secure; Domain=a.example.org; Path=/")(
            "https://a.example.org/"
        ));
    }

    #[test]
    fn a_cookie_takes_the_place_of_its_like() {
        let url = "http://h/";
        let set = [
            (url, "a=1"),
            (url, "b=2"),
            (url, "a=3"),
            (url, "c=4; Path=/p"),
        ];
        assert_eq!(after(&set, url).unwrap(), "b=2; a=3");
        assert_eq!(after(&set, "http://h/p/q").unwrap(), "c=4; b=2; a=3");
        let gone = [(url, "a=1"), (url, "a=; Max-Age=0")];
        assert_eq!(after(&gone, url), None);
    }
}
