//! What a client would rather have: `Accept` and `Accept-Encoding` (RFC 9110, 12.5).

use super::{Request, fields};
use ::http::HeaderMap;
use ::http::header::{self, HeaderName};

/// A way to compress, in which a file may lie ready beside the plain one.
///
/// ```
/// use libevent2::http::Coding;
///
/// assert_eq!(Coding::Brotli.token(), "br");
/// assert_eq!(Coding::Gzip.suffix(), ".gz");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// `br`, in files `.br`.
    Brotli,
    /// `zstd`, in files `.zst`.
    Zstd,
    /// `gzip`, in files `.gz`.
    Gzip,
}

impl Coding {
    /// All of them, the smallest first as a rule.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// Its name in headers.
    pub fn token(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What is added to the name of a file.
    pub fn suffix(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }
}

impl Request {
    /// The codings that the client would rather have than the plain bytes, the best first.
    ///
    /// ```
    /// use libevent2::http::{Coding, Request, Response, header};
    ///
    /// fn compressed(request: &Request) -> bool {
    ///     request.accepted_codings().contains(&Coding::Gzip)
    /// }
    /// ```
    pub fn accepted_codings(&self) -> Vec<Coding> {
        accepted_codings(self.headers())
    }

    /// Which of these media types the client would rather have: the first of the best. `None`
    /// when it takes none of them. A client that does not say takes the first.
    ///
    /// ```
    /// use libevent2::http::{Request, Response};
    ///
    /// fn report(request: Request) {
    ///     let answer = match request.preferred_type(&["text/html", "application/json"]) {
    ///         Some("application/json") => Response::json("{}"),
    ///         _ => Response::html("<p>Nothing to report"),
    ///     };
    ///     request.respond(answer);
    /// }
    /// ```
    pub fn preferred_type<'a>(&self, offers: &[&'a str]) -> Option<&'a str> {
        preferred_type(self.headers(), offers)
    }
}

/// See [`Request::accepted_codings`].
pub(super) fn accepted_codings(headers: &HeaderMap) -> Vec<Coding> {
    let list = weighted(headers, &header::ACCEPT_ENCODING);
    let weight = |names: &[&str]| {
        let named = list.iter().find(|(name, _)| {
            names
                .iter()
                .any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
        });
        let any = || list.iter().find(|(name, _)| *name == b"*");
        named.or_else(any).map(|&(_, weight)| weight)
    };
    // Plain bytes are welcome in any case, but that says nothing about how much.
    let plain = list
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"identity"));
    let plain = plain.map_or(0, |&(_, weight)| weight);
    let mut accepted: Vec<_> = Coding::ALL
        .into_iter()
        .filter_map(|coding| {
            let weight = match coding {
                Coding::Gzip => weight(&["gzip", "x-gzip"]),
                other => weight(&[other.token()]),
            }?;
            (weight > 0 && weight >= plain).then_some((coding, weight))
        })
        .collect();
    accepted.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
    accepted.into_iter().map(|(coding, _)| coding).collect()
}

/// See [`Request::preferred_type`].
pub(super) fn preferred_type<'a>(headers: &HeaderMap, offers: &[&'a str]) -> Option<&'a str> {
    let list = weighted(headers, &header::ACCEPT);
    if list.is_empty() {
        return offers.first().copied();
    }
    let mut best = None;
    for &offer in offers {
        let essence = offer.split(';').next().unwrap_or(offer).trim();
        // The most exact of what matches says how much.
        let matching = list.iter().filter_map(|&(range, weight)| {
            exactness(range, essence.as_bytes()).map(|exact| (exact, weight))
        });
        let weight = matching.max().map_or(0, |(_, weight)| weight);
        if weight > best.map_or(0, |(_, most)| most) {
            best = Some((offer, weight));
        }
    }
    best.map(|(offer, _)| offer)
}

/// How well `text/html`, `text/*` or `*/*` says `essence`.
fn exactness(range: &[u8], essence: &[u8]) -> Option<u8> {
    if range.eq_ignore_ascii_case(essence) {
        return Some(2);
    }
    let slash = range.iter().position(|&byte| byte == b'/')?;
    let (kind, any) = (&range[..slash], &range[slash + 1..] == b"*");
    let same_kind =
        || essence.len() > slash && essence[..=slash].eq_ignore_ascii_case(&range[..=slash]);
    match kind {
        b"*" if any => Some(0),
        _ if any && same_kind() => Some(1),
        _ => None,
    }
}

/// What is listed, with its weight from 0 to 1000.
fn weighted<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<(&'a [u8], u16)> {
    let weigh = |element: &'a [u8]| {
        let weight = match fields::param(element, "q") {
            Some(q) => weight(&q)?,
            None => 1000,
        };
        Some((fields::essence(element), weight))
    };
    fields::elements(headers, name).filter_map(weigh).collect()
}

/// `0`, `0.75`, `1.000`: at most three digits behind the point.
fn weight(q: &[u8]) -> Option<u16> {
    let (whole, digits) = match q {
        [whole @ (b'0' | b'1')] => (whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return None,
    };
    let mut weight = u16::from(whole - b'0') * 1000;
    for (digit, unit) in digits.iter().zip([100, 10, 1]) {
        weight += u16::from(digit.is_ascii_digit().then(|| digit - b'0')?) * unit;
    }
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Zstd};

    fn one(name: HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    fn codings(value: &str) -> Vec<Coding> {
        accepted_codings(&one(header::ACCEPT_ENCODING, value))
    }

    #[test]
    fn codings_are_in_the_order_of_their_weights() {
        assert_eq!(accepted_codings(&HeaderMap::new()), []);
        assert_eq!(codings("gzip, deflate, br"), [Brotli, Gzip]);
        assert_eq!(codings("br;q=0.5, X-GZIP;Q=0.8"), [Gzip, Brotli]);
        assert_eq!(codings("*"), [Brotli, Zstd, Gzip]);
        assert_eq!(codings("*;q=0.1, br;q=0, gzip"), [Gzip, Zstd]);
        assert_eq!(codings("gzip;q=0"), []);
        assert_eq!(codings("gzip;q=0.000, identity"), []);
        assert_eq!(codings("identity, gzip;q=0.5"), []);
        assert_eq!(codings("identity;q=0.5, gzip;q=0.9"), [Gzip]);
        assert_eq!(codings("gzip;q=2, br;q=0.1234, zstd;q=x"), []);
    }

    #[test]
    fn the_type_that_is_named_best_is_sent() {
        let offers = ["text/html; charset=utf-8", "application/json"];
        let prefers = |value| preferred_type(&one(header::ACCEPT, value), &offers);
        assert_eq!(preferred_type(&HeaderMap::new(), &offers), Some(offers[0]));
        assert_eq!(prefers("*/*"), Some(offers[0]));
        assert_eq!(prefers("application/json"), Some(offers[1]));
        assert_eq!(prefers("application/*, text/html;q=0.9"), Some(offers[1]));
        // As a browser asks.
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(prefers(browser), Some(offers[0]));
        assert_eq!(prefers("text/html;q=0, */*"), Some(offers[1]));
        assert_eq!(prefers("image/png"), None);
        assert_eq!(prefers("te/*, text"), None);
    }

    #[test]
    fn a_weight_has_three_digits() {
        assert_eq!(weight(b"1"), Some(1000));
        assert_eq!(weight(b"0.75"), Some(750));
        assert_eq!(weight(b"0."), Some(0));
        for bad in ["", "2", "1.001", "0.1234", "-1", ".5", "0.x", "01"] {
            assert_eq!(weight(bad.as_bytes()), None, "{bad}");
        }
    }
}
