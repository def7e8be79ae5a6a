//! Whatever a client sends, nothing here panics, and what is read is in bounds.

use super::*;
use ::http::header;
use proptest::prelude::*;
use std::time::SystemTime;

/// Text of the characters that mean something in headers, more often than others.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        prop::sample::select(b"\",;=-*/ \t\\%[]:.bytes0129WfoqX".to_vec()),
        0x20u8..=0xff,
    ];
    prop::collection::vec(byte, 0..60)
}

fn one(name: header::HeaderName, value: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
    headers
}

proptest! {
    #[test]
    fn ranges_are_in_bounds_and_apart(value in value(), len in 0u64..5000) {
        let value = [b"bytes=", &value[..]].concat();
        if let ranges::Wanted::Parts(parts) = ranges::wanted(&one(header::RANGE, &value), len) {
            prop_assert!(!parts.is_empty());
            for (at, part) in parts.iter().enumerate() {
                prop_assert!(part.start < part.end && part.end <= len);
                for other in &parts[at + 1..] {
                    prop_assert!(part.end < other.start || other.end < part.start);
                }
            }
        }
    }

    #[test]
    fn ranges_cover_what_was_asked_for(list in prop::collection::vec((0u64..900, 0u64..200), 1..9)) {
        let specs: Vec<_> = list.iter().map(|(from, more)| format!("{from}-{}", from + more)).collect();
        let value = format!("bytes={}", specs.join(","));
        let ranges::Wanted::Parts(parts) = ranges::wanted(&one(header::RANGE, value.as_bytes()), 1000) else {
            return Err(TestCaseError::fail("no parts"));
        };
        for (from, more) in list {
            let last = (from + more).min(999);
            prop_assert!(parts.iter().any(|part| part.contains(&from) && part.contains(&last)));
        }
    }

    #[test]
    fn headers_are_read_without_a_panic(value in value()) {
        let conditions = Validators::new().etag(ETag::strong("a").unwrap()).modified(SystemTime::now());
        for name in [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_RANGE] {
            let headers = one(name, &value);
            conditions.verdict(&Method::GET, &headers);
            conditions.allows_range(&headers, SystemTime::now());
        }
        negotiation::accepted_codings(&one(header::ACCEPT_ENCODING, &value));
        negotiation::preferred_type(&one(header::ACCEPT, &value), &["a/b", "text/html"]);
        host::valid_host(&value);
        let proxies = TrustedProxies::new(["0.0.0.0/0", "::/0"]).unwrap();
        let peer = Some("127.0.0.1:1".parse().unwrap());
        proxies.clone().standard().origin(peer, &one(header::FORWARDED, &value));
        proxies.origin(peer, &one("x-forwarded-for".parse().unwrap(), &value));
        let _ = Form::parse(&value);
    }

    #[test]
    fn a_proxy_header_is_never_longer_than_what_came(bytes in prop::collection::vec(any::<u8>(), 0..80), v2: bool) {
        let start: &[u8] = if v2 { b"\r\n\r\n\0\r\nQUIT\n\x21" } else { b"PROXY TCP4 " };
        let bytes = [start, &bytes].concat();
        if let proxy_protocol::Preface::Done { len, .. } = proxy_protocol::parse(&bytes) {
            prop_assert!(len <= bytes.len());
            for short in 0..len {
                prop_assert_eq!(proxy_protocol::parse(&bytes[..short]), proxy_protocol::Preface::Partial);
            }
        }
    }
}

#[cfg(feature = "multipart")]
mod uploads {
    use super::multipart::{Event, Limits, Parser};
    use super::*;

    fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
        let mut parser = Parser::with_boundary("X", Limits::new()).unwrap();
        let mut seen: Vec<String> = Vec::new();
        let mut fine = true;
        for piece in pieces {
            let fed = parser.feed(piece, |event| {
                match event {
                    Event::Part(part) => seen.push(format!("{part:?}\n")),
                    Event::Data(bytes) => {
                        *seen.last_mut().unwrap() += &bytes.escape_ascii().to_string()
                    }
                    Event::End => *seen.last_mut().unwrap() += " end",
                }
                Ok(())
            });
            if fed.is_err() {
                fine = false;
                break;
            }
        }
        (seen, fine && parser.finish().is_ok())
    }

    proptest! {
        #[test]
        fn a_body_is_the_same_in_pieces(
            words in prop::collection::vec(prop::sample::select(vec![
                "--X", "--", "\r\n", "\r", "\n", "-", "X", " ", "a", "\r\n--X\r\n", "\r\n--X--",
                "Content-Disposition: form-data; name=a\r\n\r\n", "; filename=\"b",
            ]), 0..20),
            size in 1usize..20,
        ) {
            let body = format!("--X\r\nContent-Disposition: form-data; name=a\r\n\r\n{}", words.concat());
            let whole = read([body.as_bytes()].into_iter());
            prop_assert_eq!(read(body.as_bytes().chunks(size)), whole);
        }

        #[test]
        fn content_comes_out_as_it_went_in(
            files in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
            size in 1usize..50,
        ) {
            let mut body = Vec::new();
            for file in &files {
                body.extend(b"--X-long-enough\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n");
                body.extend(file);
                body.extend(b"\r\n");
            }
            body.extend(b"--X-long-enough--\r\n");
            let mut parser = Parser::with_boundary("X-long-enough", Limits::new()).unwrap();
            let mut seen: Vec<Vec<u8>> = Vec::new();
            for piece in body.chunks(size) {
                parser.feed(piece, |event| {
                    match event {
                        Event::Part(_) => seen.push(Vec::new()),
                        Event::Data(bytes) => seen.last_mut().unwrap().extend(bytes),
                        Event::End => {}
                    }
                    Ok(())
                }).unwrap();
            }
            prop_assert!(parser.finish().is_ok());
            prop_assert_eq!(seen, files);
        }
    }
}
