//! Answers that are always the same.

use crate::args::{Canned, CannedBody};
use crate::files::mime_of;
use crate::page;
use libevent2::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use matchit::Router;
use std::fs;
use std::io::{self, Write};

/// All of them, by path.
#[derive(Default)]
pub struct Cans(Router<Vec<Canned>>);

impl Cans {
    /// # Errors
    /// In words, for a path that is no pattern, or that another one hides.
    pub fn new(all: Vec<Canned>) -> Result<Self, String> {
        let mut by_path: Vec<(String, Vec<Canned>)> = Vec::new();
        for canned in all {
            match by_path.iter_mut().find(|(path, _)| *path == canned.path) {
                Some((_, cans)) => cans.push(canned),
                None => by_path.push((canned.path.clone(), vec![canned])),
            }
        }
        let mut router = Router::new();
        for (path, cans) in by_path {
            let told = router.insert(&path, cans);
            told.map_err(|error| format!("--respond '{path}': {error}"))?;
        }
        Ok(Cans(router))
    }

    /// Whether there is one for the path.
    pub fn owns(&self, path: &str) -> bool {
        self.0.at(path).is_ok()
    }

    pub fn answer(&self, request: &Request) -> Option<Response> {
        let cans = self.0.at(request.path()).ok()?.value;
        Some(match choose(cans, request.method()) {
            Some(canned) => answer(canned),
            None => {
                let methods = cans.iter().filter_map(|canned| canned.method.as_ref());
                let methods: Vec<&str> = methods.map(Method::as_str).collect();
                let allow = HeaderValue::try_from(methods.join(", "));
                let response = page::of(StatusCode::METHOD_NOT_ALLOWED);
                match allow {
                    Ok(allow) => response.header(header::ALLOW, allow),
                    Err(_) => response,
                }
            }
        })
    }
}

/// One for the method beats one for all of them, in whichever order; one for GET is for HEAD too.
fn choose<'a>(cans: &'a [Canned], method: &Method) -> Option<&'a Canned> {
    let asked = match *method {
        Method::HEAD => &Method::GET,
        ref method => method,
    };
    let named = cans.iter().find(|can| can.method.as_ref() == Some(asked));
    named.or_else(|| cans.iter().find(|can| can.method.is_none()))
}

fn answer(canned: &Canned) -> Response {
    let response = Response::new(canned.status);
    let (body, mime) = match &canned.body {
        CannedBody::Text(text) if text.is_empty() => return response,
        CannedBody::Text(text) => (text.clone().into_bytes(), kind_of(text).to_owned()),
        CannedBody::File(path) => match fs::read(path) {
            Ok(bytes) => (bytes, mime_of(path)),
            Err(error) => {
                let _ = writeln!(io::stderr(), "evserve: {}: {error}", path.display());
                return page::of(StatusCode::INTERNAL_SERVER_ERROR);
            }
        },
    };
    let response = response.body(body);
    match HeaderValue::try_from(mime) {
        Ok(mime) => response.header(header::CONTENT_TYPE, mime),
        Err(_) => response,
    }
}

/// As it looks.
fn kind_of(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') if serde_json::from_str::<serde_json::Value>(text).is_ok() => {
            "application/json"
        }
        Some(b'<') => "text/html; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cans(all: &[&str]) -> Result<Cans, String> {
        Cans::new(all.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn one_path_may_have_several_and_two_may_not_hide_each_other() {
        let cans = cans(&[
            "GET /a=200:x",
            "POST /a=201",
            "/b/{id}=200",
            "/c/{*rest}=404",
        ]);
        let router = cans.unwrap().0;
        assert_eq!(router.at("/a").unwrap().value.len(), 2);
        assert!(router.at("/b/17").is_ok() && router.at("/c/x/y").is_ok());
        assert!(router.at("/b").is_err());
    }

    #[test]
    fn one_for_a_method_beats_one_for_all() {
        let cans = cans(&["/a=503", "POST /a=201", "GET /b=200"]).unwrap().0;
        let status = |path: &str, method: Method| {
            choose(cans.at(path).unwrap().value, &method).map(|can| can.status.as_u16())
        };
        assert_eq!(status("/a", Method::POST), Some(201));
        assert_eq!(status("/a", Method::GET), Some(503));
        assert_eq!(status("/b", Method::HEAD), Some(200));
        assert_eq!(status("/b", Method::PUT), None);
    }

    #[test]
    fn a_pattern_that_is_none_is_told() {
        for all in [&["/a/{=200"][..], &["/a/{b}=200", "/a/{c}=200"]] {
            assert!(
                cans(all).err().unwrap().contains("--respond '/a/{"),
                "{all:?}"
            );
        }
    }

    #[test]
    fn a_body_has_the_type_that_it_looks_like() {
        assert_eq!(kind_of(" {\"a\": 1}"), "application/json");
        assert_eq!(kind_of("{not json"), "text/plain; charset=utf-8");
        assert_eq!(kind_of("<p>"), "text/html; charset=utf-8");
    }
}
