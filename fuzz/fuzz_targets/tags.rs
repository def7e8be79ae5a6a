//! Tagged values in any bytes: read whole or not at all, and the same after being written again.
//!
//! The first byte of an input says where the bytes are cut in two, the second which value is
//! written, by this crate and by C.

#![no_main]

use libevent2::tag::{self, Error};
use libevent2::{Buffer, BufferRef, ffi};
use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;
use std::time::Duration;

fn buffer_of(bytes: &[u8], cut: usize) -> Buffer {
    let (head, tail) = bytes.split_at(cut.min(bytes.len()));
    let mut buffer = Buffer::from(head);
    buffer
        .append_buffer(&mut Buffer::from(tail.to_vec()))
        .unwrap();
    buffer
}

/// Reads with `read` from a buffer of `bytes`. What fails leaves it as it was; what needs more
/// bytes than there are is not malformed with them.
fn reads<T: Debug>(
    bytes: &[u8],
    cut: usize,
    read: impl Fn(&mut Buffer) -> tag::Result<T>,
) -> Option<(T, usize)> {
    let mut buffer = buffer_of(bytes, cut);
    match read(&mut buffer) {
        Ok(value) => {
            let left = buffer.len();
            assert!(left <= bytes.len());
            assert_eq!(buffer, bytes[bytes.len() - left..]);
            // A shorter one is incomplete, and never something else.
            let taken = bytes.len() - left;
            if taken > 0 {
                let mut short = buffer_of(&bytes[..taken - 1], cut);
                let result = read(&mut short);
                assert!(matches!(result, Err(Error::Incomplete)), "{result:?}");
                assert_eq!(short, bytes[..taken - 1]);
            }
            Some((value, taken))
        }
        Err(error) => {
            assert!(
                !matches!(error, Error::Buffer(_) | Error::TooLarge { .. }),
                "{error:?}"
            );
            assert_eq!(buffer, bytes);
            None
        }
    }
}

fn written(write: impl FnOnce(&mut Buffer) -> tag::Result<()>) -> Vec<u8> {
    let mut buffer = Buffer::new();
    write(&mut buffer).unwrap();
    buffer.to_vec()
}

fn by_c(write: impl FnOnce(*mut ffi::evbuffer)) -> Vec<u8> {
    let buffer = Buffer::new();
    write(buffer.as_ptr());
    buffer.to_vec()
}

fn read_all(bytes: &[u8], cut: usize) {
    // What only looks.
    let buffer = buffer_of(bytes, cut);
    let peeked = tag::peek(&buffer).ok();
    let length = tag::payload_length(&buffer).ok();
    let all = tag::peek_length(&buffer).ok();
    assert_eq!(buffer, bytes);
    assert!(peeked.is_some() || length.is_none());
    assert_eq!(length.is_some(), all.is_some());

    let header = reads(bytes, cut, |buffer| tag::unmarshal_header(buffer));
    let consumed = reads_whole(bytes, cut);
    assert_eq!(header.is_some(), consumed.is_some());
    if let Some(((tag, len), size)) = header {
        assert_eq!((Some(tag), Some(len)), (peeked, length));
        let end = size + len as usize;
        assert_eq!(all, Some(end as u64));
        assert_eq!(consumed, Some(end));
        let payload = &bytes[size..end];

        let moved = reads(bytes, cut, |buffer| {
            let mut target = Buffer::from("in front ");
            let tag = tag::unmarshal(buffer, &mut target)?;
            Ok((tag, target.to_vec()))
        });
        let mut target = b"in front ".to_vec();
        target.extend_from_slice(payload);
        assert_eq!(moved, Some(((tag, target), end)));

        let fixed = reads(bytes, cut, |buffer| {
            let mut target = vec![0; payload.len()];
            tag::unmarshal_fixed(buffer, tag, &mut target)?;
            Ok(target)
        });
        assert_eq!(fixed, Some((payload.to_vec(), end)));
        let longer = reads(bytes, cut, |buffer| {
            tag::unmarshal_fixed(buffer, tag, &mut vec![0; payload.len() + 1])
        });
        assert_eq!(longer, None);

        let text = reads(bytes, cut, |buffer| tag::unmarshal_string(buffer, tag));
        let wanted = std::str::from_utf8(payload).ok();
        assert_eq!(text.as_ref().map(|(text, _)| &**text), wanted);

        // Written again it is the same to who reads it.
        let again = written(|buffer| tag::marshal(buffer, tag, payload));
        let reread = reads(&again, 3, |buffer| tag::unmarshal_header(buffer));
        assert_eq!(reread.map(|(header, _)| header), Some((tag, len)));

        if let Some((number, _)) = reads(bytes, cut, |buffer| tag::unmarshal_int(buffer, tag)) {
            let wide = reads(bytes, cut, |buffer| tag::unmarshal_int64(buffer, tag));
            assert_eq!(wide, Some((number.into(), end)));
        }
        if let Some((number, _)) = reads(bytes, cut, |buffer| tag::unmarshal_int64(buffer, tag)) {
            let again = written(|buffer| tag::marshal_int64(buffer, tag, number));
            let reread = reads(&again, 2, |buffer| tag::unmarshal_int64(buffer, tag));
            assert_eq!(reread, Some((number, again.len())));
        }
        if let Some((time, _)) = reads(bytes, cut, |buffer| tag::unmarshal_timeval(buffer, tag)) {
            // More than a second of microseconds is carried over, and may be too much to write.
            let mut buffer = Buffer::new();
            if tag::marshal_timeval(&mut buffer, tag, time).is_ok() {
                assert_eq!(tag::unmarshal_timeval(&mut buffer, tag).unwrap(), time);
            }
        }
        let wrong = reads(bytes, cut, |buffer| tag::unmarshal_int(buffer, tag ^ 1));
        assert_eq!(wrong, None);
    }

    // What has no tag or no length.
    let tag = reads(bytes, cut, |buffer| tag::decode_tag(buffer));
    assert_eq!(tag.map(|(tag, _)| tag), peeked);
    let narrow = reads(bytes, cut, |buffer| tag::decode_int(buffer));
    let wide = reads(bytes, cut, |buffer| tag::decode_int64(buffer));
    if let Some((number, size)) = narrow {
        assert_eq!(wide, Some((number.into(), size)));
    }
}

fn reads_whole(bytes: &[u8], cut: usize) -> Option<usize> {
    reads(bytes, cut, |buffer| tag::consume(buffer)).map(|((), size)| size)
}

/// What is written is what C writes, and is read back.
fn write_all(bytes: &[u8], kind: u8) {
    let Some((number, payload)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let number = u64::from_le_bytes(*number);
    let tag = (number >> 32) as u32;
    let small = number as u32;
    // SAFETY: the evbuffers and what is pointed to are alive.
    let pair = match kind % 6 {
        0 => (
            written(|buffer| tag::encode_int64(buffer, number)),
            by_c(|raw| unsafe { ffi::evtag_encode_int64(raw, number) }),
        ),
        1 => (
            written(|buffer| tag::encode_int(buffer, small)),
            by_c(|raw| unsafe { ffi::evtag_encode_int(raw, small) }),
        ),
        2 => (
            written(|buffer| tag::marshal_int64(buffer, tag, number)),
            by_c(|raw| unsafe { ffi::evtag_marshal_int64(raw, tag, number) }),
        ),
        3 => (
            written(|buffer| tag::marshal_int(buffer, tag, small)),
            by_c(|raw| unsafe { ffi::evtag_marshal_int(raw, tag, small) }),
        ),
        4 => (
            written(|buffer| tag::marshal(buffer, tag, payload)),
            by_c(|raw| unsafe {
                ffi::evtag_marshal(raw, tag, payload.as_ptr().cast(), payload.len() as u32);
            }),
        ),
        _ => {
            let time = Duration::new(small.into(), tag % 1_000_000 * 1000);
            // SAFETY: all zeros are a time.
            let mut c: ffi::timeval = unsafe { std::mem::zeroed() };
            c.tv_sec = i64::from(small);
            c.tv_usec = i64::from(tag % 1_000_000);
            (
                written(|buffer| tag::marshal_timeval(buffer, tag, time)),
                by_c(|raw| unsafe { ffi::evtag_marshal_timeval(raw, tag, &mut c) }),
            )
        }
    };
    assert_eq!(pair.0, pair.1, "kind {}", kind % 6);
    match kind % 6 {
        0 => assert_eq!(decoded(&pair.1, tag::decode_int64), number),
        1 => assert_eq!(decoded(&pair.1, tag::decode_int), small),
        2 => assert_eq!(decoded(&pair.1, |b| tag::unmarshal_int64(b, tag)), number),
        3 => assert_eq!(decoded(&pair.1, |b| tag::unmarshal_int(b, tag)), small),
        _ => {}
    }
    read_all(&pair.1, kind.into());
}

fn decoded<T>(bytes: &[u8], read: impl FnOnce(&mut BufferRef) -> tag::Result<T>) -> T {
    let mut buffer = Buffer::from(bytes);
    let value = read(&mut buffer).unwrap();
    assert!(buffer.is_empty());
    value
}

fuzz_target!(|data: &[u8]| {
    let [cut, kind, bytes @ ..] = data else {
        return;
    };
    if bytes.len() > 4096 {
        return;
    }
    read_all(bytes, (*cut).into());
    write_all(bytes, *kind);
});
