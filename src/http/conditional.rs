//! Conditional requests: RFC 9110, 13.

use super::etag::is_settled;
use super::{ETag, Request, Response, fields};
use ::http::header::{self, HeaderName};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::time::{Duration, SystemTime};

/// What a thing is known by, so that it is not sent to a client that has it, and not changed by
/// one that has not seen the last change.
///
/// ```
/// use libevent2::http::{ETag, Request, Response, Validators};
///
/// fn report(request: Request) -> libevent2::Result<()> {
///     let validators = Validators::new().etag(ETag::strong("v17")?);
///     let answer = match validators.check(&request) {
///         Some(refusal) => refusal, // 304 or 412
///         None => Response::text("the report, version 17"),
///     };
///     request.respond(validators.mark(answer));
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Validators {
    etag: Option<ETag>,
    modified: Option<SystemTime>,
    missing: bool,
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    NotModified,
    Failed,
}

impl Validators {
    /// Of a thing that is there, without a tag and a time.
    pub fn new() -> Self {
        Validators::default()
    }

    /// Of a thing that is not there: `If-None-Match: *` holds, which is how a client makes a new
    /// one and never replaces another's.
    pub fn missing() -> Self {
        Validators {
            missing: true,
            ..Validators::default()
        }
    }

    /// Sets its tag.
    #[must_use]
    pub fn etag(mut self, etag: ETag) -> Self {
        self.etag = Some(etag);
        self
    }

    /// Sets the time of its last change.
    #[must_use]
    pub fn modified(mut self, modified: SystemTime) -> Self {
        self.modified = Some(modified);
        self
    }

    /// The answer to a request whose conditions do not hold: 304 for one that reads, 412 for
    /// others. `None`: go on.
    pub fn check(&self, request: &Request) -> Option<Response> {
        let status = match self.verdict(request.method(), request.headers()) {
            Verdict::Proceed => return None,
            Verdict::NotModified => StatusCode::NOT_MODIFIED,
            Verdict::Failed => StatusCode::PRECONDITION_FAILED,
        };
        Some(self.mark(Response::new(status)))
    }

    /// Adds `ETag` and `Last-Modified` to an answer.
    pub fn mark(&self, mut response: Response) -> Response {
        self.write(response.headers_mut(), SystemTime::now());
        response
    }

    pub(super) fn write(&self, headers: &mut HeaderMap, now: SystemTime) {
        if let Some(etag) = &self.etag {
            headers.insert(header::ETAG, etag.to_value());
        }
        if let Some(modified) = self.modified.filter(|&at| at >= SystemTime::UNIX_EPOCH) {
            // A time that is still to come would be none.
            let date = httpdate::fmt_http_date(modified.min(now));
            if let Ok(date) = HeaderValue::try_from(date) {
                headers.insert(header::LAST_MODIFIED, date);
            }
        }
    }

    /// In the order of RFC 9110, 13.2.2.
    pub(super) fn verdict(&self, method: &Method, headers: &HeaderMap) -> Verdict {
        if matches!(*method, Method::CONNECT | Method::OPTIONS | Method::TRACE) {
            return Verdict::Proceed;
        }
        let reads = method == Method::GET || method == Method::HEAD;
        if headers.contains_key(header::IF_MATCH) {
            if !self.any(headers, &header::IF_MATCH, ETag::matches_strongly) {
                return Verdict::Failed;
            }
        } else if let Some(date) = date(headers, &header::IF_UNMODIFIED_SINCE)
            && self.seconds().is_some_and(|modified| modified > date)
        {
            return Verdict::Failed;
        }
        if headers.contains_key(header::IF_NONE_MATCH) {
            return match self.any(headers, &header::IF_NONE_MATCH, ETag::matches_weakly) {
                false => Verdict::Proceed,
                true if reads => Verdict::NotModified,
                true => Verdict::Failed,
            };
        }
        match date(headers, &header::IF_MODIFIED_SINCE) {
            Some(date) if reads && self.seconds().is_some_and(|modified| modified <= date) => {
                Verdict::NotModified
            }
            _ => Verdict::Proceed,
        }
    }

    /// Whether a range is to be sent: there is no `If-Range`, or it names exactly these bytes.
    pub(super) fn allows_range(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        if !headers.contains_key(header::IF_RANGE) {
            return true;
        }
        let Some(value) = fields::only(headers, &header::IF_RANGE) else {
            return false;
        };
        if let Some((wanted, rest)) = ETag::parse(value) {
            let ours = self.etag.as_ref();
            return rest.is_empty() && ours.is_some_and(|tag| tag.matches_strongly(&wanted));
        }
        let settled = self.modified.is_some_and(|at| is_settled(at, now));
        settled && self.seconds().is_some() && self.seconds() == parse_date(value)
    }

    /// Whether the list names this thing.
    fn any(&self, headers: &HeaderMap, name: &HeaderName, same: fn(&ETag, &ETag) -> bool) -> bool {
        headers.get_all(name).iter().any(|value| {
            let mut rest = value.as_bytes().trim_ascii();
            if rest == b"*" {
                return !self.missing;
            }
            // What is no tag ends the list: there is no telling where the next one begins.
            while let Some((wanted, after)) = ETag::parse(rest) {
                if self.etag.as_ref().is_some_and(|tag| same(tag, &wanted)) {
                    return true;
                }
                let more = |byte: &u8| !matches!(byte, b',' | b' ' | b'\t');
                rest = &after[after.iter().position(more).unwrap_or(after.len())..];
            }
            false
        })
    }

    /// The time of the last change, as exact as a header can tell it.
    fn seconds(&self) -> Option<SystemTime> {
        let since = self.modified?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()))
    }
}

/// The date in a header; one that is none does not count.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    parse_date(fields::only(headers, name)?)
}

fn parse_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Failed, NotModified, Proceed};

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn thing() -> Validators {
        let modified = httpdate::parse_http_date(DATE).unwrap() + Duration::from_millis(300);
        Validators::new()
            .etag(ETag::strong("a").unwrap())
            .modified(modified)
    }

    fn get(list: &[(HeaderName, &str)]) -> Verdict {
        thing().verdict(&Method::GET, &headers(list))
    }

    fn put(list: &[(HeaderName, &str)]) -> Verdict {
        thing().verdict(&Method::PUT, &headers(list))
    }

    #[test]
    fn a_client_that_has_it_is_told_so() {
        use header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
        assert_eq!(get(&[]), Proceed);
        assert_eq!(get(&[(IF_NONE_MATCH, r#""x", W/"a""#)]), NotModified);
        assert_eq!(get(&[(IF_NONE_MATCH, r#""x,", "y"#)]), Proceed);
        assert_eq!(
            get(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"a\"")]),
            NotModified
        );
        assert_eq!(get(&[(IF_NONE_MATCH, "*")]), NotModified);
        assert_eq!(get(&[(IF_NONE_MATCH, "a")]), Proceed);
        assert_eq!(get(&[(IF_MODIFIED_SINCE, DATE)]), NotModified);
        assert_eq!(get(&[(IF_MODIFIED_SINCE, BEFORE)]), Proceed);
        assert_eq!(get(&[(IF_MODIFIED_SINCE, "yesterday")]), Proceed);
        assert_eq!(
            get(&[(IF_MODIFIED_SINCE, "Sunday, 06-Nov-94 08:49:37 GMT")]),
            NotModified
        );
        assert_eq!(
            get(&[(IF_MODIFIED_SINCE, "Sun Nov  6 08:49:37 1994")]),
            NotModified
        );
    }

    #[test]
    fn tags_come_before_dates() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        assert_eq!(
            get(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)]),
            Proceed
        );
        assert_eq!(
            put(&[(IF_MATCH, "\"a\""), (IF_UNMODIFIED_SINCE, BEFORE)]),
            Proceed
        );
        assert_eq!(
            get(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"a\"")]),
            Failed
        );
        assert_eq!(
            get(&[(IF_MATCH, "\"a\""), (IF_NONE_MATCH, "\"a\"")]),
            NotModified
        );
    }

    #[test]
    fn a_change_of_what_was_not_seen_is_refused() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        assert_eq!(put(&[(IF_MATCH, "\"a\"")]), Proceed);
        assert_eq!(put(&[(IF_MATCH, "W/\"a\"")]), Failed);
        assert_eq!(put(&[(IF_MATCH, "*")]), Proceed);
        assert_eq!(put(&[(IF_UNMODIFIED_SINCE, BEFORE)]), Failed);
        assert_eq!(put(&[(IF_UNMODIFIED_SINCE, DATE)]), Proceed);
        assert_eq!(put(&[(IF_NONE_MATCH, "*")]), Failed);
        // Only for reading.
        assert_eq!(put(&[(IF_MODIFIED_SINCE, DATE)]), Proceed);
        let nothing = Validators::missing();
        let check = |name| nothing.verdict(&Method::PUT, &headers(&[(name, "*")]));
        assert_eq!(check(IF_NONE_MATCH), Proceed);
        assert_eq!(check(IF_MATCH), Failed);
        let conditions = headers(&[(IF_MATCH, "\"x\"")]);
        assert_eq!(thing().verdict(&Method::OPTIONS, &conditions), Proceed);
    }

    #[test]
    fn a_range_is_of_the_bytes_that_the_client_knows() {
        let now = SystemTime::now();
        let allows = |value| thing().allows_range(&headers(&[(header::IF_RANGE, value)]), now);
        assert!(thing().allows_range(&HeaderMap::new(), now));
        assert!(allows("\"a\""));
        assert!(!allows("W/\"a\""));
        assert!(!allows("\"b\""));
        assert!(!allows("\"a\", \"b\""));
        assert!(allows(DATE));
        assert!(!allows(AFTER));
        assert!(!allows("nonsense"));
        let fresh = Validators::new().modified(now);
        let date = httpdate::fmt_http_date(now);
        assert!(!fresh.allows_range(&headers(&[(header::IF_RANGE, &date)]), now));
    }

    #[test]
    fn a_change_in_the_future_is_said_to_be_now() {
        let now = httpdate::parse_http_date(DATE).unwrap();
        let mut written = HeaderMap::new();
        let later = Validators::new().modified(now + Duration::from_secs(9));
        later.write(&mut written, now);
        assert_eq!(written[header::LAST_MODIFIED], DATE);
    }
}
