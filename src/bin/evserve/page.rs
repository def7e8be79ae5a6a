//! Small pages, and what goes into them.

use libevent2::http::{HeaderMap, Response, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What stays as it is in one name of a path.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .6rem;text-align:left}\
td:first-child{width:100%}td+td,th+th{text-align:right;white-space:nowrap}form{margin:1rem .6rem}tr:hover td{background:#8881}a{text-decoration:none}\
:root{color-scheme:light dark}";

/// A page of that title; `body` is HTML.
pub fn html(title: &str, body: &str) -> Response {
    let title = escape(title);
    Response::html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    ))
}

/// A page that says what the status means.
pub fn of(status: StatusCode) -> Response {
    page(status, "")
}

/// The same, with a sentence that says why.
pub fn because(status: StatusCode, why: &str) -> Response {
    page(status, &format!("<p>{}</p>", escape(why)))
}

fn page(status: StatusCode, body: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    html(&format!("{} {reason}", status.as_u16()), body).status(status)
}

/// For a page or the value of an attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// One name of a path, as it goes into a link.
pub fn encode(name: impl AsRef<[u8]>) -> String {
    percent_encode(name.as_ref(), NAME).to_string()
}

/// Whether the client would rather have JSON than a page.
pub fn wants_json(headers: &HeaderMap) -> bool {
    prefers(headers, &["text/html", "application/json"]) == 1
}

/// Whether the client names HTML: it is a browser that shows a page.
pub fn wants_html(headers: &HeaderMap) -> bool {
    let mut accept = headers.get_all(header::ACCEPT).iter();
    accept.any(|accept| {
        accept
            .to_str()
            .is_ok_and(|accept| accept.contains("text/html"))
    })
}

/// Which of these types the client likes best; the first, if it does not care.
pub fn prefers(headers: &HeaderMap, offers: &[&str]) -> usize {
    let accept: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let likings = offers.iter().map(|offer| liking(&accept, offer));
    let best = likings
        .enumerate()
        .rev()
        .max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    best.map_or(0, |(at, _)| at)
}

/// The weight of the range that fits the type most closely, and how closely that is.
fn liking(accept: &[&str], offer: &str) -> (f32, u8) {
    let group = offer.split('/').next().unwrap_or_default();
    let ranges = accept.iter().filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?;
        let closeness = match name.split_once('/')? {
            _ if name.eq_ignore_ascii_case(offer) => 2,
            (kind, "*") if kind.eq_ignore_ascii_case(group) => 1,
            ("*", "*") => 0,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        Some((weight.unwrap_or(1.0), closeness))
    });
    match ranges.max_by_key(|range| range.1) {
        Some((weight, closeness)) if weight > 0.0 => (weight, closeness),
        _ => (0.0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libevent2::http::HeaderValue;

    #[test]
    fn the_client_says_what_it_likes() {
        let offers = ["text/html", "application/json"];
        for (accept, liked) in [
            ("", 0),
            ("*/*", 0),
            ("application/json", 1),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                0,
            ),
            ("application/json, text/plain, */*", 1),
            ("text/html;q=0.5, application/json;q=0.9", 1),
            ("application/*, text/html;q=0.1", 1),
            ("application/json;q=0", 0),
            ("application/json;q=0, */*;q=0", 0),
            ("image/png", 0),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(prefers(&headers, &offers), liked, "{accept}");
        }
        assert_eq!(prefers(&HeaderMap::new(), &offers), 0);
    }

    #[test]
    fn what_is_put_into_a_page_stays_text() {
        assert_eq!(escape("<a b='c'>&\""), "&lt;a b=&#39;c&#39;&gt;&amp;&quot;");
        assert_eq!(encode("a b/é"), "a%20b%2F%C3%A9");
    }
}
