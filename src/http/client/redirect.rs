//! Requests that are sent again, elsewhere or otherwise, because of the answer.

use super::ClientErrorKind;
use super::call::Call;
use super::url::Url;
use crate::http::wire::response::ResponseHead;
use ::http::{Method, StatusCode, header};
use std::rc::Rc;

/// What is asked next.
pub(super) enum Hop {
    To {
        url: Url,
        method: Method,
        with_body: bool,
    },
    /// The same without `Expect: 100-continue`, which the server does not know.
    WithoutExpect,
}

impl Call {
    /// What an answer asks for, if it is not one to give to the caller.
    pub(super) fn hop(&self, head: &ResponseHead) -> Result<Option<Hop>, ClientErrorKind> {
        let ask = self.ask.borrow();
        let status = head.status;
        if status == StatusCode::EXPECTATION_FAILED && ask.expect && ask.payload.is_repeatable() {
            return Ok(Some(Hop::WithoutExpect));
        }
        let limit = self.settings.redirects;
        let Some(location) = head.headers.get(header::LOCATION) else {
            return Ok(None);
        };
        let with_body = match status.as_u16() {
            _ if limit == 0 => return Ok(None),
            // Who posts is sent on with GET, as everybody does it (RFC 9110 15.4).
            301 | 302 => ask.method != Method::POST,
            303 => false,
            307 | 308 => true,
            _ => return Ok(None),
        };
        if self.hops.get() >= limit {
            return Err(ClientErrorKind::TooManyRedirects { limit });
        }
        let text = String::from_utf8_lossy(location.as_bytes()).into_owned();
        let refused = |why: String| ClientErrorKind::Redirect {
            location: text.clone(),
            why,
        };
        let url = ask.url.join(&text).map_err(refused)?;
        let allowed = self
            .shared
            .upgrade()
            .is_some_and(|shared| shared.options.allow_downgrade);
        if ask.url.origin.https && !url.origin.https && !allowed {
            return Err(refused("from https to http".to_owned()));
        }
        if with_body && !ask.payload.is_repeatable() {
            return Err(ClientErrorKind::Unrepeatable);
        }
        let method = match with_body || ask.method == Method::HEAD {
            true => ask.method.clone(),
            false => Method::GET,
        };
        Ok(Some(Hop::To {
            url,
            method,
            with_body,
        }))
    }

    /// Asks what is to be asked next.
    pub(super) fn follow(self: &Rc<Self>, hop: Hop) {
        let old = {
            let mut ask = self.ask.borrow_mut();
            match hop {
                Hop::WithoutExpect => {
                    ask.expect = false;
                    None
                }
                Hop::To {
                    url,
                    method,
                    with_body,
                } => {
                    self.hops.set(self.hops.get() + 1);
                    let elsewhere = url.origin != ask.url.origin;
                    let before = std::mem::replace(&mut ask.url, url);
                    if elsewhere && before.credentials == ask.url.credentials {
                        ask.url.credentials = None;
                    }
                    ask.method = method;
                    ask.headers.remove(header::HOST);
                    if elsewhere {
                        ask.headers.remove(header::AUTHORIZATION);
                        ask.headers.remove(header::COOKIE);
                        ask.headers.remove(header::PROXY_AUTHORIZATION);
                    }
                    if with_body {
                        None
                    } else {
                        for name in [
                            header::CONTENT_TYPE,
                            header::CONTENT_ENCODING,
                            header::CONTENT_LANGUAGE,
                            header::CONTENT_LOCATION,
                        ] {
                            ask.headers.remove(name);
                        }
                        ask.expect = false;
                        Some(std::mem::take(&mut ask.payload))
                    }
                }
            }
        };
        // What it held is the user's.
        self.handle.inner().guard(|| drop(old));
        if !self.is_over() {
            self.launch();
        }
    }

    /// Whether the request says that its connection is not for another one.
    pub(super) fn closes(&self) -> bool {
        let ask = self.ask.borrow();
        let values = ask.headers.get_all(header::CONNECTION);
        values.iter().any(|value| {
            let mut options = value.as_bytes().split(|&byte| byte == b',');
            options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
        })
    }
}
