//! Tagged values: the same bytes as C's, read back whole or not at all, whatever the bytes are.

mod common;

use common::bounded;
use libevent2::buffer::{BufferRef, End};
use libevent2::tag::{self, Error};
use libevent2::{Buffer, ffi};
use std::ffi::CString;
use std::time::Duration;

/// Numbers of every size that there is, and their neighbours.
fn numbers() -> Vec<u64> {
    let mut numbers = vec![0];
    for shift in 0..64 {
        let power = 1_u64 << shift;
        numbers.extend([power - 1, power, power + 1, power | 0x5a5a >> (shift % 16)]);
    }
    numbers.push(u64::MAX);
    numbers
}

fn numbers32() -> impl Iterator<Item = u32> {
    numbers().into_iter().map(|number| number as u32)
}

fn bytes_of(fill: impl FnOnce(&mut Buffer)) -> Vec<u8> {
    let mut buffer = Buffer::new();
    fill(&mut buffer);
    buffer.to_vec()
}

fn incomplete<T: std::fmt::Debug>(result: tag::Result<T>) {
    assert!(matches!(result, Err(Error::Incomplete)), "{result:?}");
}

fn malformed<T: std::fmt::Debug>(result: tag::Result<T>) {
    assert!(matches!(result, Err(Error::Malformed(_))), "{result:?}");
}

// --- the same as C --------------------------------------------------------------------------------

#[test]
fn what_is_written_is_what_c_writes() {
    let _watchdog = bounded();
    for number in numbers() {
        // SAFETY: the evbuffers are alive.
        unsafe {
            assert_eq!(
                bytes_of(|buffer| tag::encode_int64(buffer, number).unwrap()),
                bytes_of(|buffer| ffi::evtag_encode_int64(buffer.as_ptr(), number)),
            );
            assert_eq!(
                bytes_of(|buffer| tag::encode_int(buffer, number as u32).unwrap()),
                bytes_of(|buffer| ffi::evtag_encode_int(buffer.as_ptr(), number as u32)),
            );
            assert_eq!(
                bytes_of(|buffer| tag::marshal_int64(buffer, number as u32, number).unwrap()),
                bytes_of(|buffer| {
                    ffi::evtag_marshal_int64(buffer.as_ptr(), number as u32, number)
                }),
            );
        }
    }
    for text in ["", "Hello", &"long ".repeat(5000)] {
        let string = CString::new(text).unwrap();
        // SAFETY: the evbuffer is alive; a C string.
        let c = bytes_of(|buffer| unsafe {
            ffi::evtag_marshal_string(buffer.as_ptr(), 300, string.as_ptr());
        });
        assert_eq!(
            bytes_of(|buffer| tag::marshal_string(buffer, 300, text).unwrap()),
            c
        );
        assert_eq!(
            bytes_of(|buffer| tag::marshal(buffer, 300, text.as_bytes()).unwrap()),
            c
        );
        assert_eq!(
            bytes_of(|buffer| {
                tag::marshal_buffer(buffer, 300, &mut Buffer::from(text)).unwrap();
            }),
            c
        );
    }
    let mut time = ffi::timeval {
        tv_sec: 8000,
        tv_usec: 200_000,
    };
    // SAFETY: the evbuffer and the timeval are alive.
    let c = bytes_of(|buffer| unsafe {
        ffi::evtag_marshal_timeval(buffer.as_ptr(), 7, &mut time);
    });
    let time = Duration::from_micros(8_000_200_000);
    assert_eq!(
        bytes_of(|buffer| tag::marshal_timeval(buffer, 7, time).unwrap()),
        c
    );
}

#[test]
fn what_c_writes_is_read_and_what_is_written_c_reads() {
    let _watchdog = bounded();
    for number in numbers32() {
        let mut buffer = Buffer::new();
        // SAFETY: the evbuffer is alive.
        unsafe { ffi::evtag_marshal_int(buffer.as_ptr(), number, number) };
        assert_eq!(tag::peek(&buffer).unwrap(), number);
        assert_eq!(tag::unmarshal_int(&mut buffer, number).unwrap(), number);
        assert!(buffer.is_empty());

        tag::marshal_int(&mut buffer, number, number).unwrap();
        let mut read = 0;
        // SAFETY: the evbuffer is alive, `read` is ours.
        let code = unsafe { ffi::evtag_unmarshal_int(buffer.as_ptr(), number, &mut read) };
        assert!(code >= 0);
        assert_eq!(read, number);
        assert!(buffer.is_empty());
    }
    let mut buffer = Buffer::new();
    let mut time = ffi::timeval {
        tv_sec: 1,
        tv_usec: 999_999,
    };
    // SAFETY: the evbuffer and the timeval are alive.
    unsafe { ffi::evtag_marshal_timeval(buffer.as_ptr(), 1, &mut time) };
    let read = tag::unmarshal_timeval(&mut buffer, 1).unwrap();
    assert_eq!(read, Duration::from_micros(1_999_999));
    tag::marshal_timeval(&mut buffer, 1, Duration::from_secs(60)).unwrap();
    // SAFETY: as above.
    let code = unsafe { ffi::evtag_unmarshal_timeval(buffer.as_ptr(), 1, &mut time) };
    assert_eq!((code, time.tv_sec, time.tv_usec), (0, 60, 0));
}

// --- there and back ---------------------------------------------------------------------------------

#[test]
fn integers_of_every_size() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    for number in numbers() {
        tag::encode_int64(&mut buffer, number).unwrap();
        let nibbles = (64 - number.leading_zeros()).div_ceil(4).max(1);
        assert_eq!(buffer.len(), nibbles as usize / 2 + 1, "{number:#x}");
        assert_eq!(tag::decode_int64(&mut buffer).unwrap(), number);
        tag::marshal_int64(&mut buffer, 5, number).unwrap();
        assert_eq!(tag::unmarshal_int64(&mut buffer, 5).unwrap(), number);
        if number > u64::from(u32::MAX) {
            tag::encode_int64(&mut buffer, number).unwrap();
            malformed(tag::decode_int(&mut buffer));
            buffer.clear().unwrap();
            tag::marshal_int64(&mut buffer, 5, number).unwrap();
            malformed(tag::unmarshal_int(&mut buffer, 5));
            tag::consume(&mut buffer).unwrap();
        }
        assert!(buffer.is_empty());
    }
}

#[test]
fn values_of_every_kind_one_after_the_other() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let time = Duration::new(u32::MAX.into(), 999_999_999);
    tag::marshal(&mut buffer, 0, b"").unwrap();
    tag::marshal(&mut buffer, 1, &[0, 1, 2, 255]).unwrap();
    tag::marshal_string(&mut buffer, 2, "grüße").unwrap();
    tag::marshal_timeval(&mut buffer, u32::MAX, time).unwrap();
    tag::marshal_buffer(&mut buffer, 4, &mut Buffer::from("moved")).unwrap();
    tag::marshal_buffer(&mut buffer, 5, &mut Buffer::new()).unwrap();

    let mut target = Buffer::from("before ");
    assert_eq!(tag::unmarshal(&mut buffer, &mut target).unwrap(), 0);
    let mut four = [0; 4];
    tag::unmarshal_fixed(&mut buffer, 1, &mut four).unwrap();
    assert_eq!(four, [0, 1, 2, 255]);
    assert_eq!(tag::unmarshal_string(&mut buffer, 2).unwrap(), "grüße");
    // In whole microseconds.
    let read = tag::unmarshal_timeval(&mut buffer, u32::MAX).unwrap();
    assert_eq!(read, Duration::new(u32::MAX.into(), 999_999_000));
    assert_eq!(tag::unmarshal(&mut buffer, &mut target).unwrap(), 4);
    assert_eq!(target.to_vec(), b"before moved");
    assert_eq!(tag::unmarshal_header(&mut buffer).unwrap(), (5, 0));
    assert!(buffer.is_empty());
}

#[test]
fn the_chunks_of_a_buffer_do_not_matter() {
    let _watchdog = bounded();
    let whole = bytes_of(|buffer| tag::marshal_int64(buffer, u32::MAX, u64::MAX).unwrap());
    let mut buffer = Buffer::new();
    for byte in whole {
        // Each in a chunk of its own.
        buffer.append_shared(vec![byte]).unwrap();
    }
    assert!(buffer.chunks().count() > 1);
    assert_eq!(
        tag::unmarshal_int64(&mut buffer, u32::MAX).unwrap(),
        u64::MAX
    );
}

// --- what is refused --------------------------------------------------------------------------------

type Read = fn(&mut BufferRef) -> tag::Result<()>;

/// Everything that takes a value with tag 300.
const READS: [Read; 8] = [
    |buffer| tag::unmarshal_header(buffer).map(drop),
    tag::consume,
    |buffer| tag::unmarshal(buffer, &mut Buffer::new()).map(drop),
    |buffer| tag::unmarshal_int(buffer, 300).map(drop),
    |buffer| tag::unmarshal_int64(buffer, 300).map(drop),
    |buffer| tag::unmarshal_fixed(buffer, 300, &mut [0; 10]),
    |buffer| tag::unmarshal_string(buffer, 300).map(drop),
    |buffer| tag::unmarshal_timeval(buffer, 300).map(drop),
];

#[test]
fn a_value_that_is_cut_off_is_incomplete_and_stays() {
    let _watchdog = bounded();
    let whole = bytes_of(|buffer| {
        let time = Duration::new(u32::MAX.into(), 999_999_999);
        tag::marshal_timeval(buffer, 300, time).unwrap();
    });
    assert_eq!(
        tag::peek_length(&Buffer::from(&*whole)).unwrap(),
        whole.len() as u64
    );
    for length in 0..whole.len() {
        let part = &whole[..length];
        let mut buffer = Buffer::from(part);
        for read in READS {
            incomplete(read(&mut buffer));
            assert_eq!(buffer.to_vec(), part);
        }
        match tag::peek(&buffer) {
            Ok(tag) => assert!(tag == 300 && length >= 2),
            other => incomplete(other),
        }
        match tag::payload_length(&buffer) {
            Ok(payload) => assert_eq!(payload as usize, whole.len() - 3),
            other => incomplete(other),
        }
    }
    for number in [u64::MAX, 0x1234] {
        let whole = bytes_of(|buffer| tag::encode_int64(buffer, number).unwrap());
        for length in 0..whole.len() {
            let mut buffer = Buffer::from(&whole[..length]);
            incomplete(tag::decode_int64(&mut buffer));
            assert_eq!(buffer.len(), length);
        }
    }
}

#[test]
fn a_length_beyond_the_buffer_is_incomplete() {
    let _watchdog = bounded();
    for claimed in [12, 1000, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX] {
        let mut buffer = Buffer::new();
        tag::encode_tag(&mut buffer, 300).unwrap();
        tag::encode_int(&mut buffer, claimed).unwrap();
        buffer.append(&[0x11; 11]).unwrap();
        let before = buffer.to_vec();
        let header = before.len() as u64 - 11;
        for read in READS {
            incomplete(read(&mut buffer));
        }
        assert_eq!(buffer.to_vec(), before);
        assert_eq!(tag::payload_length(&buffer).unwrap(), claimed);
        assert_eq!(
            tag::peek_length(&buffer).unwrap(),
            header + u64::from(claimed)
        );
    }
}

#[test]
fn a_tag_of_more_than_32_bits_is_malformed() {
    let _watchdog = bounded();
    let most = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(tag::peek(&Buffer::from(&most)).unwrap(), u32::MAX);
    for bytes in [
        [0xff, 0xff, 0xff, 0xff, 0x1f],
        [0x80, 0x80, 0x80, 0x80, 0x10],
        [0x80, 0x80, 0x80, 0x80, 0x80],
        [0xff; 5],
    ] {
        let mut buffer = Buffer::from(&bytes);
        malformed(tag::peek(&buffer));
        malformed(tag::decode_tag(&mut buffer));
        for read in READS {
            malformed(read(&mut buffer));
        }
        assert_eq!(buffer.len(), 5);
    }
}

#[test]
fn an_integer_that_goes_beyond_its_value_is_malformed() {
    let _watchdog = bounded();
    for number in [0x1234_u64, 0x1234_5678] {
        let whole = bytes_of(|buffer| tag::encode_int64(buffer, number).unwrap());
        for length in 0..whole.len() {
            let mut buffer = Buffer::new();
            tag::marshal(&mut buffer, 300, &whole[..length]).unwrap();
            // It would be complete with these, which are of the next value.
            buffer.append(&whole[length..]).unwrap();
            let before = buffer.to_vec();
            malformed(tag::unmarshal_int(&mut buffer, 300));
            malformed(tag::unmarshal_int64(&mut buffer, 300));
            malformed(tag::unmarshal_timeval(&mut buffer, 300));
            assert_eq!(buffer.to_vec(), before);
        }
        // A time has two of them.
        let mut buffer = Buffer::new();
        tag::marshal(&mut buffer, 300, &whole).unwrap();
        malformed(tag::unmarshal_timeval(&mut buffer, 300));
    }
}

#[test]
fn another_tag_or_length_or_no_text_is_an_error_that_says_so() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    tag::marshal(&mut buffer, 3, b"\xff\xfe").unwrap();
    let error = tag::unmarshal_int(&mut buffer, 4).unwrap_err();
    assert!(matches!(
        error,
        Error::WrongTag {
            wanted: 4,
            found: 3
        }
    ));
    assert_eq!(error.to_string(), "the next value has tag 3, not 4");
    // Known before the value is complete.
    let early = tag::unmarshal_int(&mut Buffer::from(&[3]), 4).unwrap_err();
    assert!(matches!(early, Error::WrongTag { .. }));
    let error = tag::unmarshal_fixed(&mut buffer, 3, &mut [0; 3]).unwrap_err();
    assert!(matches!(
        error,
        Error::WrongLength {
            wanted: 3,
            found: 2
        }
    ));
    malformed(tag::unmarshal_string(&mut buffer, 3));
    assert_eq!(buffer.len(), 4);
}

#[test]
fn a_time_too_long_for_the_format_is_not_cut() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let time = Duration::from_secs(1 << 32);
    let error = tag::marshal_timeval(&mut buffer, 1, time).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                size: 0x1_0000_0000,
                ..
            }
        ),
        "{error}"
    );
    assert!(buffer.is_empty());
}

#[test]
fn a_frozen_buffer_is_left_alone() {
    let _watchdog = bounded();
    let frozen = |result: tag::Result<()>| {
        let is_frozen = matches!(result, Err(Error::Buffer(libevent2::Error::Frozen { .. })));
        assert!(is_frozen, "{result:?}");
    };
    let mut buffer = Buffer::new();
    tag::marshal(&mut buffer, 300, &[0x11; 10]).unwrap();
    let before = buffer.to_vec();

    buffer.freeze(End::Back);
    let mut source = Buffer::from("payload");
    frozen(tag::marshal(&mut buffer, 1, b"x"));
    frozen(tag::encode_tag(&mut buffer, 1));
    frozen(tag::encode_int(&mut buffer, 1));
    frozen(tag::marshal_buffer(&mut buffer, 1, &mut source));
    assert_eq!(source, "payload");
    buffer.unfreeze(End::Back);

    source.freeze(End::Front);
    frozen(tag::marshal_buffer(&mut buffer, 1, &mut source));
    assert_eq!(buffer.to_vec(), before);

    buffer.freeze(End::Front);
    for read in READS {
        frozen(read(&mut buffer));
    }
    buffer.unfreeze(End::Front);
    let mut target = Buffer::from("target");
    target.freeze(End::Back);
    frozen(tag::unmarshal(&mut buffer, &mut target).map(drop));
    assert_eq!((buffer.to_vec(), target.len()), (before, 6));
}

#[test]
fn any_bytes_are_read_or_refused() {
    let _watchdog = bounded();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut read_whole = 0;
    for _ in 0..20_000 {
        let length = random() as usize % 40;
        // Small numbers now and then, so that something is right.
        let mut bytes: Vec<u8> = (0..length)
            .map(|_| (random() as u8) & [0xff, 0x0f, 0x11][random() as usize % 3])
            .collect();
        if length > 2 {
            bytes[..2].copy_from_slice(&[0xac, 0x02]);
        }
        for read in READS {
            let mut buffer = Buffer::from(&*bytes);
            match read(&mut buffer) {
                Ok(()) => read_whole += 1,
                Err(_) => assert_eq!(buffer.to_vec(), bytes),
            }
        }
        let buffer = Buffer::from(&*bytes);
        let _ = (tag::peek(&buffer), tag::peek_length(&buffer));
    }
    assert!(read_whole > 1000, "{read_whole}");
}
