//! Buffers: patterns and lines.

#[path = "common/mod.rs"]
mod common;

use common::bounded;
use libevent2::buffer::Eol;
use libevent2::{Buffer, Error};
use std::ops::Bound;

const STYLES: [Eol; 5] = [Eol::Any, Eol::Crlf, Eol::CrlfStrict, Eol::Lf, Eol::Nul];

/// `bytes` in chunks of `size`.
fn cut(bytes: &'static [u8], size: usize) -> Buffer {
    let mut buffer = Buffer::new();
    for chunk in bytes.chunks(size) {
        buffer.append_static(chunk).unwrap();
    }
    buffer
}

#[test]
fn a_pattern_is_found_wherever_the_chunks_end() {
    let _watchdog = bounded();
    const TEXT: &[u8] = b"aaabaaabaab";
    for size in 1..=TEXT.len() {
        let buffer = cut(TEXT, size);
        for len in 1..=4 {
            for pattern in TEXT.windows(len).chain([&b"bb"[..], b"c", b"aaaa"]) {
                for start in 0..=TEXT.len() + 1 {
                    for end in 0..=TEXT.len() + 1 {
                        let expected = (start..=end.min(TEXT.len()))
                            .find(|&at| TEXT[at..end.min(TEXT.len())].starts_with(pattern));
                        assert_eq!(
                            buffer.find(pattern, start..end),
                            expected,
                            "{pattern:?} in {start}..{end}, chunks of {size}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn every_kind_of_range_is_one() {
    let _watchdog = bounded();
    let buffer = cut(b"abcabc", 4);
    assert_eq!(buffer.find(b"abc", ..), Some(0));
    assert_eq!(buffer.find(b"abc", 1..), Some(3));
    assert_eq!(buffer.find(b"abc", ..3), Some(0));
    assert_eq!(buffer.find(b"abc", ..=2), Some(0));
    assert_eq!(buffer.find(b"abc", ..2), None);
    assert_eq!(buffer.find(b"abc", 1..=5), Some(3));
    assert_eq!(buffer.find(b"abc", 0..=usize::MAX), Some(0));
    assert_eq!(buffer.find(b"abc", usize::MAX..), None);
    let behind = (Bound::Excluded(0), Bound::Unbounded);
    assert_eq!(buffer.find(b"abc", behind), Some(3));
    let behind_all = (Bound::Excluded(usize::MAX), Bound::Unbounded);
    assert_eq!(buffer.find(b"abc", behind_all), None);
    #[allow(clippy::reversed_empty_ranges, reason = "what is tested")]
    let reversed = 4..1;
    assert_eq!(buffer.find(b"a", reversed), None);
}

#[test]
fn nothing_is_found_where_the_range_begins() {
    let _watchdog = bounded();
    let buffer = Buffer::from("abc");
    assert_eq!(buffer.find(b"", ..), Some(0));
    assert_eq!(buffer.find(b"", 3..), Some(3));
    assert_eq!(buffer.find(b"", 4..), None);
    assert_eq!(Buffer::new().find(b"", ..), Some(0));
    assert_eq!(Buffer::new().find(b"a", ..), None);
}

#[test]
fn a_pattern_longer_than_the_buffer_is_not_found() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("abc");
    buffer.reserve(1000).unwrap();
    assert_eq!(buffer.find(b"abcd", ..), None);
    assert_eq!(buffer.find(&[b'a'; 5000], ..), None);
}

#[test]
fn each_style_has_its_own_ends() {
    let _watchdog = bounded();
    for size in 1..12 {
        let at = |text, eol| cut(text, size).find_eol(0, eol);
        assert_eq!(at(b"ab\r\n\r\ncd", Eol::Any), Some((2, 4)));
        assert_eq!(at(b"ab\r\n\r\ncd", Eol::Crlf), Some((2, 2)));
        assert_eq!(at(b"ab\r\n\r\ncd", Eol::CrlfStrict), Some((2, 2)));
        assert_eq!(at(b"ab\r\n\r\ncd", Eol::Lf), Some((3, 1)));
        assert_eq!(at(b"ab\r\n\r\ncd", Eol::Nul), None);
        assert_eq!(at(b"a\nb\r\n", Eol::Crlf), Some((1, 1)));
        assert_eq!(at(b"a\nb\r\n", Eol::CrlfStrict), Some((3, 2)));
        assert_eq!(at(b"a\rb\0", Eol::Any), Some((1, 1)));
        assert_eq!(at(b"a\rb\0", Eol::Crlf), None);
        assert_eq!(at(b"a\rb\0", Eol::Nul), Some((3, 1)));
        assert_eq!(at(b"\n", Eol::Crlf), Some((0, 1)));
        assert_eq!(at(b"", Eol::Any), None);
    }
}

#[test]
fn a_search_for_an_end_starts_anywhere() {
    let _watchdog = bounded();
    let buffer = cut(b"a\nbc\n", 2);
    assert_eq!(buffer.find_eol(1, Eol::Lf), Some((1, 1)));
    assert_eq!(buffer.find_eol(2, Eol::Lf), Some((4, 1)));
    for behind in [5, 6, usize::MAX] {
        for eol in STYLES {
            assert_eq!(buffer.find_eol(behind, eol), None);
        }
    }
}

#[test]
fn lines_are_read_until_there_is_no_whole_one() {
    let _watchdog = bounded();
    for size in 1..20 {
        let mut buffer = cut(b"one\r\n\ntwo\nrest", size);
        let mut lines = Vec::new();
        while let Some(line) = buffer.read_line(Eol::Crlf).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, [&b"one"[..], b"", b"two"]);
        assert_eq!(buffer, "rest");
        buffer.append(b"\n").unwrap();
        let line = buffer.read_line(Eol::Crlf).unwrap();
        assert_eq!(line.as_deref(), Some(&b"rest"[..]));
        assert!(buffer.is_empty());
    }
}

#[test]
fn a_line_may_have_any_bytes() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from(b"\xff\0\r\n");
    let line = buffer.read_line(Eol::CrlfStrict).unwrap();
    assert_eq!(line.as_deref(), Some(&b"\xff\0"[..]));
}

#[test]
fn a_line_of_the_limit_is_read_and_one_byte_more_is_an_error() {
    let _watchdog = bounded();
    for (eol, end) in [
        (Eol::Any, "\n"),
        (Eol::Crlf, "\r\n"),
        (Eol::CrlfStrict, "\r\n"),
        (Eol::Lf, "\n"),
        (Eol::Nul, "\0"),
    ] {
        let mut buffer = Buffer::from("1234");
        assert_eq!(buffer.read_line_limited(eol, 4).unwrap(), None);
        // Byte by byte: never an error before the end has come.
        for byte in end.bytes() {
            assert_eq!(buffer.read_line_limited(eol, 4).unwrap(), None);
            buffer.append(&[byte]).unwrap();
        }
        let line = buffer.read_line_limited(eol, 4).unwrap();
        assert_eq!(line.as_deref(), Some(&b"1234"[..]));

        let long = format!("12345{end}");
        let mut buffer = Buffer::from(long.as_str());
        let error = buffer.read_line_limited(eol, 4).unwrap_err();
        assert!(matches!(error, Error::Invalid { what: "line", .. }));
        assert!(error.to_string().contains("4 bytes"), "{error}");
        assert_eq!(buffer, long);
    }
}

#[test]
fn a_line_without_an_end_is_an_error_when_it_is_too_long() {
    let _watchdog = bounded();
    for eol in STYLES {
        let mut buffer = Buffer::from("123456");
        buffer.read_line_limited(eol, 4).unwrap_err();
        assert_eq!(buffer, "123456");
        assert_eq!(buffer.read_line_limited(eol, 6).unwrap(), None);
        buffer.read_line_limited(eol, 0).unwrap_err();
    }
}
