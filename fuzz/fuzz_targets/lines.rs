//! Ends of lines in any bytes, which lie in any chunks.
//!
//! The first byte of an input says which end, the second where to begin, the third what the chunks
//! are made of; then come their number and their lengths, and the text.

#![no_main]

#[allow(dead_code, reason = "it searches for patterns too")]
#[path = "../../tests/buffer_model/naive.rs"]
mod naive;

use libevent2::buffer::SharedBuffer;
use libevent2::{Buffer, Error};
use libfuzzer_sys::fuzz_target;
use naive::EOLS;

/// A new chunk of some kind at the end.
fn append(buffer: &mut Buffer, bytes: &[u8], kind: u8) {
    match kind % 5 {
        0 => buffer.append(bytes),
        1 => buffer.append_shared(bytes.to_vec()),
        2 => buffer.append_buffer(&mut Buffer::from(bytes)),
        3 => buffer.append_shared_buffer(&SharedBuffer::from(Buffer::from(bytes))),
        // Space that stays empty between the chunks.
        _ => buffer.reserve(bytes.len() + 1500).and_then(|()| {
            let mut other = Buffer::from(bytes.to_vec());
            buffer.append_buffer(&mut other)
        }),
    }
    .unwrap();
}

fuzz_target!(|data: &[u8]| {
    let [eol, from, kinds, count, rest @ ..] = data else {
        return;
    };
    let eol = EOLS[usize::from(*eol) % EOLS.len()];
    let Some((lengths, text)) = rest.split_at_checked(usize::from(*count)) else {
        return;
    };
    if text.len() > 4096 {
        return;
    }

    // As it comes: the lines that are there after each chunk.
    let mut buffer = Buffer::new();
    let mut model = Vec::new();
    let mut left = text;
    let mut lengths = lengths.iter();
    let mut kind = *kinds;
    let mut lines = 0;
    while !left.is_empty() {
        let length = lengths.next().map_or(left.len(), |&length| length.into());
        let (now, later) = left.split_at(length.min(left.len()));
        left = later;
        append(&mut buffer, now, kind);
        model.extend_from_slice(now);
        kind = kind.wrapping_mul(3).wrapping_add(1);

        let from = usize::from(*from).min(model.len() + 1);
        assert_eq!(
            buffer.find_eol(from, eol),
            naive::find_eol(&model, from, eol)
        );
        assert_eq!(buffer.find_eol(0, eol), naive::find_eol(&model, 0, eol));

        // Half of the inputs leave the lines where they are until the end.
        while from % 2 == 0 || left.is_empty() {
            let max = from;
            let too_long = naive::too_long(&model, eol, max);
            let line = match buffer.read_line_limited(eol, max) {
                Err(Error::Invalid { .. }) => {
                    assert_ne!(too_long, Some(false));
                    buffer.read_line(eol).unwrap()
                }
                line => {
                    assert_ne!(too_long, Some(true));
                    line.unwrap()
                }
            };
            let wanted = naive::find_eol(&model, 0, eol);
            let Some((at, len)) = wanted else {
                assert_eq!(line, None);
                break;
            };
            assert_eq!(line.as_deref(), Some(&model[..at]));
            model.drain(..at + len);
            lines += 1;
        }
        assert_eq!(buffer, model);
    }
    assert!(lines <= text.len());
});
