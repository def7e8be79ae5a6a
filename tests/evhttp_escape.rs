//! Escapes and URIs of evhttp: the same as C's, and what C cannot do.
#![cfg(feature = "http")]

use libevent2::evhttp::{
    Uri, UriFlags, decode_uri, encode_uri, htmlescape, parse_query_str, uridecode, uriencode,
};
use libevent2::ffi;
use std::ffi::{CStr, CString, c_char};

/// What C gives, which is freed. These tests leave C's allocator as it is.
unsafe fn take(text: *mut c_char) -> Vec<u8> {
    // SAFETY: a string from malloc, says the caller.
    unsafe {
        let bytes = CStr::from_ptr(text).to_bytes().to_vec();
        libc::free(text.cast());
        bytes
    }
}

/// Texts of all bytes but NUL, and of what escapes are made of.
fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = (1..=255).map(|byte| vec![b'a', byte, b'b']).collect();
    for odd in [
        "", "%", "%4", "%41", "%4g", "%%41", "%41%", "+", "a?b+c%2B", "?+?", "<&'\">",
    ] {
        texts.push(odd.into());
    }
    let letters = b"%+?4aG/ ";
    for first in letters {
        for second in letters {
            for third in letters {
                texts.push(vec![*first, *second, *third, b'1']);
            }
        }
    }
    texts
}

#[test]
fn escapes_are_those_of_c() {
    for text in texts() {
        let c = CString::new(text.clone()).unwrap();
        // SAFETY: strings in, strings from malloc out.
        unsafe {
            let raw = c.as_ptr();
            for plus in [false, true] {
                let theirs = take(ffi::evhttp_uriencode(raw, -1, plus.into()));
                assert_eq!(uriencode(&text, plus).as_bytes(), theirs, "{c:?}");
                let mut size = 0;
                let theirs = take(ffi::evhttp_uridecode(raw, plus.into(), &mut size));
                let ours = uridecode(&text, plus);
                assert_eq!((&ours[..], ours.len()), (&theirs[..], size), "{c:?}");
            }
            let theirs = take(ffi::evhttp_encode_uri(raw));
            assert_eq!(encode_uri(&text).as_bytes(), theirs, "{c:?}");
            assert_eq!(
                decode_uri(&text),
                take(ffi::evhttp_decode_uri(raw)),
                "{c:?}"
            );
            if let Ok(text) = str::from_utf8(&text) {
                assert_eq!(
                    htmlescape(text).as_bytes(),
                    take(ffi::evhttp_htmlescape(raw))
                );
            }
        }
    }
}

#[test]
fn a_nul_is_a_byte_like_any_other() {
    assert_eq!(uriencode("a\0b", false), "a%00b");
    assert_eq!(uridecode("a%00b\0c", false), b"a\0b\0c");
    assert_eq!(htmlescape("a\0<"), "a\0&lt;");
    assert!(Uri::parse("/a\0b").is_err());
    assert!(parse_query_str("a=b\0c").is_err());
}

#[test]
fn a_long_query_is_taken_apart() {
    let text: Vec<String> = (0..10_000).map(|n| format!("n{n}=%4{}", n % 10)).collect();
    let query = parse_query_str(&text.join("&")).unwrap();
    assert_eq!((query.len(), query.is_empty()), (10_000, false));
    assert_eq!(query.get("N9999"), Some(&b"I"[..]));
    assert_eq!(query.get("n10000"), None);
    assert!(format!("{query:?}").starts_with("{\"n0\": \"@\""));
    // Nothing of the list is left when it cannot be taken apart to its end.
    assert!(parse_query_str(&(text.join("&") + "&x")).is_err());
}

#[test]
fn a_part_that_is_set_may_come_from_the_uri_itself() {
    let mut uri = Uri::parse("http://host/path?query#fragment").unwrap();
    let query = uri.query().unwrap().to_owned();
    uri.set_fragment(&*query).unwrap().set_query(None).unwrap();
    assert_eq!(uri.join().unwrap(), "http://host/path#query");
    let copy = uri.clone();
    uri.set_host("[::1]").unwrap().set_port(1);
    assert_eq!(uri.clone().join().unwrap(), "http://[::1]:1/path#query");
    assert_eq!(copy.join().unwrap(), "http://host/path#query");
    assert_eq!(format!("{copy:?}"), "Uri(\"http://host/path#query\")");
    uri.set_path("x").unwrap();
    assert_eq!(format!("{uri:?}"), "Uri(in parts)");
}

#[test]
fn flags_say_what_a_part_may_have() {
    let mut uri = Uri::new();
    assert!(uri.set_path("/a b").is_err());
    uri.set_flags(UriFlags::NONCONFORMANT);
    assert_eq!(uri.set_path("/a b").unwrap().path(), Some("/a b"));
    assert_eq!(uri.clone().path(), Some("/a b"));
    let uri = Uri::parse_with("/ä?ö", UriFlags::NONCONFORMANT).unwrap();
    assert_eq!((uri.path(), uri.query()), (Some("/ä"), Some("ö")));
}
