//! Which bytes a `Range` header asks for: RFC 9110, 14.

use super::fields;
use ::http::{HeaderMap, header};
use std::ops::Range;

/// More ranges than this are no honest wish: everything is sent.
const MOST: usize = 32;

/// A part costs about as many bytes of headers: it is cheaper to send what lies between two that
/// are closer.
const CLOSE: u64 = 80;

/// What to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it, as if nothing had been asked for.
    Whole,
    /// These, at least one, none of them empty, none touching another, in the client's order.
    Parts(Vec<Range<u64>>),
    /// Nothing of what was asked for exists.
    Unsatisfiable,
}

/// What the headers ask for of `len` bytes. What is no range of bytes is as good as none.
pub(super) fn wanted(headers: &HeaderMap, len: u64) -> Wanted {
    let specs = fields::only(headers, &header::RANGE).and_then(|value| {
        let equals = value.iter().position(|&byte| byte == b'=')?;
        let unit = value[..equals].trim_ascii();
        unit.eq_ignore_ascii_case(b"bytes")
            .then_some(&value[equals + 1..])
    });
    match specs {
        // Nothing of nothing is all of it.
        Some(specs) if len > 0 => parse(specs, len).unwrap_or(Wanted::Whole),
        _ => Wanted::Whole,
    }
}

/// `None` when it is malformed, or too much.
fn parse(specs: &[u8], len: u64) -> Option<Wanted> {
    let mut parts = Vec::new();
    let mut count = 0;
    for spec in fields::split(specs, b',') {
        count += 1;
        if count > MOST {
            return None;
        }
        let range = range(spec, len)?;
        if !range.is_empty() {
            merge(&mut parts, range);
        }
    }
    match (count, parts.is_empty()) {
        (0, _) => None,
        (_, true) => Some(Wanted::Unsatisfiable),
        _ => Some(Wanted::Parts(parts)),
    }
}

/// `first-last`, `first-` or `-suffix`; empty when there are no such bytes.
fn range(spec: &[u8], len: u64) -> Option<Range<u64>> {
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(len - suffix.min(len)..len);
    }
    let first = number(first)?;
    let end = match last {
        b"" => len,
        last => {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(len)
        }
    };
    Some(first.min(end)..end)
}

/// Digits; a number beyond all files stays there.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    };
    Some(digits.iter().fold(0, add))
}

/// Adds a range, in one with those that it touches, in the place of the first of them.
fn merge(parts: &mut Vec<Range<u64>>, mut new: Range<u64>) {
    let touches = |part: &Range<u64>, new: &Range<u64>| {
        part.start <= new.end.saturating_add(CLOSE) && new.start <= part.end.saturating_add(CLOSE)
    };
    let mut place = parts.len();
    // One that grew may reach another.
    while let Some(at) = parts.iter().position(|part| touches(part, &new)) {
        let part = parts.remove(at);
        new = part.start.min(new.start)..part.end.max(new.end);
        place = place.min(at);
    }
    parts.insert(place.min(parts.len()), new);
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "one part is one range")]
mod tests {
    use super::*;
    use Wanted::{Parts, Unsatisfiable, Whole};

    fn of(value: &str, len: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, value.parse().unwrap());
        wanted(&headers, len)
    }

    #[test]
    fn a_range_is_cut_to_what_there_is() {
        assert_eq!(of("bytes=0-99", 1000), Parts(vec![0..100]));
        assert_eq!(of("bytes=999-", 1000), Parts(vec![999..1000]));
        assert_eq!(of("bytes=-5", 1000), Parts(vec![995..1000]));
        assert_eq!(of("bytes=-5000", 1000), Parts(vec![0..1000]));
        assert_eq!(
            of("bytes=900-99999999999999999999999", 1000),
            Parts(vec![900..1000])
        );
        assert_eq!(of("Bytes = 0-0 , ", 1000), Parts(vec![0..1]));
        assert_eq!(of("bytes=5-18446744073709551615", 10), Parts(vec![5..10]));
    }

    #[test]
    fn what_does_not_exist_cannot_be_sent() {
        assert_eq!(of("bytes=1000-", 1000), Unsatisfiable);
        assert_eq!(of("bytes=-0", 1000), Unsatisfiable);
        assert_eq!(of("bytes=1000-1001,-0", 1000), Unsatisfiable);
        assert_eq!(of("bytes=99999999999999999999999-", 1000), Unsatisfiable);
        assert_eq!(of("bytes=0-", 0), Whole);
    }

    #[test]
    fn what_is_no_range_is_not_there() {
        for value in [
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=0-1-2",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=0 -1",
            "lines=0-1",
            "0-1",
            "bytes=0-1,x",
        ] {
            assert_eq!(of(value, 1000), Whole, "{value}");
        }
        let mut headers = HeaderMap::new();
        headers.append(header::RANGE, "bytes=0-1".parse().unwrap());
        headers.append(header::RANGE, "bytes=2-3".parse().unwrap());
        assert_eq!(wanted(&headers, 1000), Whole);
    }

    #[test]
    fn several_ranges_keep_their_order_and_overlapping_ones_become_one() {
        assert_eq!(
            of("bytes=500-599,0-99,-1", 1000),
            Parts(vec![500..600, 0..100, 999..1000])
        );
        assert_eq!(
            of("bytes=0-0,1-1,2-2,90-91", 1000),
            Parts(vec![0..3, 90..92])
        );
        assert_eq!(of("bytes=0-9,500-509,9-500", 1000), Parts(vec![0..510]));
        assert_eq!(
            of("bytes=700-,0-9,2000-", 1000),
            Parts(vec![700..1000, 0..10])
        );
    }

    #[test]
    fn many_ranges_are_not_a_way_to_get_more_than_all() {
        let all = vec!["0-"; 33].join(",");
        assert_eq!(of(&format!("bytes={all}"), 1000), Whole);
        let many: Vec<String> = (0..32).map(|n| format!("{n}-")).collect();
        let all = of(&format!("bytes={}", many.join(",")), 1000);
        assert!(matches!(all, Parts(parts) if parts == [0..1000]));
    }
}
