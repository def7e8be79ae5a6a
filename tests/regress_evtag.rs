//! libevent's own regress cases for tagged values (test/regress.c, `evtag_testcases`). The whole
//! list is in docs/regress.md.

mod common;

use common::bounded;
use libevent2::{Buffer, tag, util};
use std::time::Duration;

const INTEGERS: [u32; 6] = [0xaf0, 0x1000, 0x1, 0xdead_beef, 0x00, 0xbe_f000];
const BILLION: u64 = 1_000_000_000;

#[test]
fn int() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    for number in INTEGERS {
        tag::encode_int(&mut buffer, number).unwrap();
        tag::encode_int64(&mut buffer, u64::from(number) * BILLION).unwrap();
    }
    for number in INTEGERS {
        assert_eq!(tag::decode_int(&mut buffer).unwrap(), number);
        let big = tag::decode_int64(&mut buffer).unwrap();
        assert_eq!(big / BILLION, u64::from(number));
    }
    assert!(buffer.is_empty());
}

#[test]
fn fuzz() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let mut bytes = [0; 4096];
    let mut read = 0;
    for _ in 0..100 {
        util::fill_random(&mut bytes).unwrap();
        buffer.clear().unwrap();
        buffer.append(&bytes).unwrap();
        read += usize::from(tag::unmarshal_timeval(&mut buffer, 0).is_ok());
    }
    assert!(read < 10, "{read} of 100 were read");

    // A length that was changed on its way.
    let mut value = Buffer::new();
    tag::marshal_timeval(&mut value, 0, Duration::from_secs(1)).unwrap();
    let mut value = value.to_vec();
    value[1] = 0xff;
    buffer.clear().unwrap();
    buffer.append(&value).unwrap();
    buffer.append(&bytes).unwrap();
    tag::unmarshal_timeval(&mut buffer, 0).unwrap_err();
}

#[test]
fn encoding() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    for number in INTEGERS {
        tag::encode_tag(&mut buffer, number).unwrap();
    }
    for number in INTEGERS {
        assert_eq!(tag::decode_tag(&mut buffer).unwrap(), number);
    }
    assert!(buffer.is_empty());
}

#[test]
fn peek() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    tag::marshal_int(&mut buffer, 30, 0).unwrap();
    tag::marshal_string(&mut buffer, 40, "Hello world").unwrap();

    assert_eq!(tag::peek(&buffer).unwrap(), 30);
    assert_eq!(tag::peek_length(&buffer).unwrap(), 1 + 1 + 1);
    tag::consume(&mut buffer).unwrap();

    assert_eq!(tag::peek(&buffer).unwrap(), 40);
    assert_eq!(tag::peek_length(&buffer).unwrap(), 1 + 1 + 11);
    assert_eq!(tag::payload_length(&buffer).unwrap(), 11);
}
