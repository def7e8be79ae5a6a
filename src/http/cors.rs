use super::{Request, Response, fields};
use ::http::header::{self, HeaderName};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::time::Duration;

/// Which pages of other sites may use an address: the policy of cross-origin requests, as the
/// Fetch standard has it. Nothing is allowed until it is said.
///
/// ```
/// use libevent2::http::{Cors, HeaderName, Method};
/// use std::time::Duration;
///
/// let cors = Cors::new()
///     .origin("https://app.example")?
///     .methods([Method::GET, Method::PUT])
///     .headers([HeaderName::from_static("x-token")])
///     .max_age(Duration::from_secs(600));
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cors {
    origins: Allowed<HeaderValue>,
    methods: Option<Vec<Method>>,
    headers: Allowed<HeaderName>,
    expose: Vec<HeaderName>,
    credentials: bool,
    max_age: Option<Duration>,
}

#[derive(Debug, Clone)]
enum Allowed<T> {
    Any,
    These(Vec<T>),
}

impl<T> Default for Allowed<T> {
    fn default() -> Self {
        Allowed::These(Vec::new())
    }
}

impl Cors {
    /// A policy that allows nothing.
    pub fn new() -> Self {
        Cors::default()
    }

    /// Everything but credentials, for every page: for prototypes and for what is public.
    pub fn open() -> Self {
        Cors::new().any_origin().any_header().methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
    }

    /// Allows the pages of one more site, `https://host` or `http://host:port` as the browser
    /// writes it: lower case, no path, no slash at the end.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when it is no origin.
    pub fn origin(mut self, origin: &str) -> crate::Result<Self> {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let valid = authority
            .is_some_and(|authority| super::host::valid_host(authority.as_bytes()))
            && !origin.bytes().any(|byte| byte.is_ascii_uppercase());
        let value = HeaderValue::from_str(origin).ok().filter(|_| valid);
        let value = value.ok_or_else(|| {
            let why = format!("{origin:?} is not like https://host or http://host:8080");
            crate::Error::invalid("an origin", why)
        })?;
        match &mut self.origins {
            Allowed::These(list) => list.push(value),
            any @ Allowed::Any => *any = Allowed::These(vec![value]),
        }
        Ok(self)
    }

    /// Allows the pages of all sites, without their credentials.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.origins = Allowed::Any;
        self
    }

    /// Sets the methods that need to be allowed: all but GET, HEAD and POST, which are always.
    /// Without it, a route allows the methods that its path has handlers for.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = Some(methods.into_iter().collect());
        self
    }

    /// Sets the headers that a page may add to its requests.
    #[must_use]
    pub fn headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = Allowed::These(headers.into_iter().collect());
        self
    }

    /// Lets a page add any header to its requests.
    #[must_use]
    pub fn any_header(mut self) -> Self {
        self.headers = Allowed::Any;
        self
    }

    /// Sets the headers of answers that a page may read, besides the harmless ones.
    #[must_use]
    pub fn expose(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.expose = headers.into_iter().collect();
        self
    }

    /// Lets the named sites use the cookies and logins of the browser's user. Never for
    /// [`any_origin`](Self::any_origin): every page that the user looks at could act as the user.
    #[must_use]
    pub fn credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// How long a browser need not ask again.
    #[must_use]
    pub fn max_age(mut self, time: Duration) -> Self {
        self.max_age = Some(time);
        self
    }

    /// The answer to the question that a browser asks before a request; `None` when this request
    /// is none.
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        let mut response = Response::new(StatusCode::NO_CONTENT);
        let headers = self.preflight_headers(request.method(), request.headers(), &[])?;
        *response.headers_mut() = headers;
        Some(response)
    }

    /// Adds to an answer what lets the page that asked read it.
    pub fn mark(&self, request: &Request, mut response: Response) -> Response {
        self.write(request.headers(), response.headers_mut());
        response
    }

    /// See [`preflight`](Self::preflight). `served` are the methods that there are.
    pub(super) fn preflight_headers(
        &self,
        method: &Method,
        asked: &HeaderMap,
        served: &[Method],
    ) -> Option<HeaderMap> {
        let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if method != Method::OPTIONS || !asked.contains_key(header::ORIGIN) {
            return None;
        }
        let mut answer = HeaderMap::new();
        answer.append(
            header::VARY,
            HeaderValue::from_static(
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
        );
        let Some(origin) = self.allowed_origin(asked) else {
            return Some(answer);
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        self.write_credentials(&mut answer);
        let methods = self.methods.as_deref().unwrap_or(served);
        let is_wanted = |known: &Method| known.as_str().as_bytes() == wanted.as_bytes();
        if methods.iter().any(is_wanted) {
            let names = methods.iter().map(Method::as_str);
            insert_list(&mut answer, header::ACCESS_CONTROL_ALLOW_METHODS, names);
        }
        match &self.headers {
            Allowed::These(names) => {
                let names = names.iter().map(HeaderName::as_str);
                insert_list(&mut answer, header::ACCESS_CONTROL_ALLOW_HEADERS, names);
            }
            // `*` would not stand for Authorization: the names are given back.
            Allowed::Any => {
                let names = fields::elements(asked, &header::ACCESS_CONTROL_REQUEST_HEADERS)
                    .filter(|name| fields::is_token(name))
                    .filter_map(|name| str::from_utf8(name).ok());
                insert_list(&mut answer, header::ACCESS_CONTROL_ALLOW_HEADERS, names);
            }
        }
        if let Some(time) = self.max_age {
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, time.as_secs().into());
        }
        Some(answer)
    }

    /// What is added to the answer to these headers.
    pub(super) fn answer_headers(&self, asked: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.write(asked, &mut headers);
        headers
    }

    pub(super) fn write(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        // The answer is another for each site, also for the one that did not say its name.
        if matches!(self.origins, Allowed::These(_)) {
            answer.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.allowed_origin(asked) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            self.write_credentials(answer);
            let names = self.expose.iter().map(HeaderName::as_str);
            insert_list(answer, header::ACCESS_CONTROL_EXPOSE_HEADERS, names);
        }
    }

    fn write_credentials(&self, answer: &mut HeaderMap) {
        if self.credentials && matches!(self.origins, Allowed::These(_)) {
            let yes = HeaderValue::from_static("true");
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }

    fn allowed_origin(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        let origin = fields::only(asked, &header::ORIGIN)?;
        match &self.origins {
            Allowed::Any => Some(HeaderValue::from_static("*")),
            Allowed::These(list) => list.iter().find(|o| o.as_bytes() == origin).cloned(),
        }
    }
}

/// Adds `more` to the headers of an answer; of what a handler set itself, only `Vary` gets more.
pub(super) fn merge(more: HeaderMap, headers: &mut HeaderMap) {
    for (name, value) in more {
        match name {
            Some(name) if name == header::VARY => drop(headers.append(name, value)),
            Some(name) => drop(headers.entry(name).or_insert(value)),
            None => {}
        }
    }
}

fn insert_list<'a>(
    headers: &mut HeaderMap,
    name: HeaderName,
    names: impl Iterator<Item = &'a str>,
) {
    let list: Vec<_> = names.collect();
    if let Some(value) = HeaderValue::from_str(&list.join(", "))
        .ok()
        .filter(|v| !v.is_empty())
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "https://app.example";

    fn policy() -> Cors {
        Cors::new()
            .origin(SITE)
            .unwrap()
            .methods([Method::PUT, Method::DELETE])
            .headers([HeaderName::from_static("x-token")])
            .expose([header::ETAG])
            .credentials()
            .max_age(Duration::from_secs(60))
    }

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(HeaderName, &str)| (name.clone(), value.parse().unwrap());
        list.iter().map(pair).collect()
    }

    fn ask(cors: &Cors, origin: &str, method: &str, more: &str) -> HeaderMap {
        let asked = headers(&[
            (header::ORIGIN, origin),
            (header::ACCESS_CONTROL_REQUEST_METHOD, method),
            (header::ACCESS_CONTROL_REQUEST_HEADERS, more),
        ]);
        cors.preflight_headers(&Method::OPTIONS, &asked, &[])
            .expect("a preflight")
    }

    #[test]
    fn a_browser_is_told_what_its_page_may_do() {
        let answer = ask(&policy(), SITE, "PUT", "x-token");
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_ORIGIN], SITE);
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_METHODS], "PUT, DELETE");
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_HEADERS], "x-token");
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(answer[header::ACCESS_CONTROL_MAX_AGE], "60");
        assert!(answer.contains_key(header::VARY));
    }

    #[test]
    fn other_sites_and_methods_are_not_allowed() {
        let answer = ask(&policy(), "https://evil.example", "PUT", "x-token");
        assert_eq!(answer.keys().collect::<Vec<_>>(), [header::VARY]);
        let answer = ask(&policy(), SITE, "PATCH", "");
        assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS));
        for origin in [
            "null",
            "https://app.example.evil.example",
            "https://app.example/",
        ] {
            let answer = ask(&policy(), origin, "PUT", "");
            assert!(
                !answer.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN),
                "{origin}"
            );
        }
    }

    #[test]
    fn an_ordinary_options_request_is_no_preflight() {
        let origin = headers(&[(header::ORIGIN, SITE)]);
        assert!(
            policy()
                .preflight_headers(&Method::OPTIONS, &origin, &[])
                .is_none()
        );
        let asked = headers(&[
            (header::ORIGIN, SITE),
            (header::ACCESS_CONTROL_REQUEST_METHOD, "PUT"),
        ]);
        assert!(
            policy()
                .preflight_headers(&Method::GET, &asked, &[])
                .is_none()
        );
    }

    #[test]
    fn every_site_never_has_credentials() {
        let open = Cors::open().credentials();
        let answer = ask(
            &open,
            "https://any.example",
            "DELETE",
            "authorization, x-a, b\"d",
        );
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(
            answer[header::ACCESS_CONTROL_ALLOW_HEADERS],
            "authorization, x-a"
        );
        assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }

    #[test]
    fn an_answer_depends_on_the_site_even_when_it_has_no_name() {
        let mut answer = headers(&[(header::VARY, "Accept")]);
        policy().write(&HeaderMap::new(), &mut answer);
        let vary: Vec<_> = answer.get_all(header::VARY).iter().collect();
        assert_eq!(vary, ["Accept", "Origin"]);
        assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        policy().write(&headers(&[(header::ORIGIN, SITE)]), &mut answer);
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_ORIGIN], SITE);
        assert_eq!(answer[header::ACCESS_CONTROL_EXPOSE_HEADERS], "etag");
    }

    #[test]
    fn an_origin_has_no_path() {
        for bad in [
            "https://a/",
            "a.example",
            "https://A.example",
            "https://a\r\nb",
            "",
        ] {
            assert!(Cors::new().origin(bad).is_err(), "{bad:?}");
        }
    }
}
