//! How tags and integers look on the wire, over plain bytes.
//!
//! A tag has 7 bits a byte, the lowest first, and the high bit is set in all bytes but the last.
//! An integer is the number of its nibbles, less one, in a nibble, and then the nibbles, the lowest
//! first; of a byte the upper half comes first.

use super::Error;

/// The longest tag and integers of 32 and 64 bits.
pub(super) const TAG: usize = 5;
pub(super) const INT: usize = 5;
pub(super) const INT64: usize = 9;

pub(super) fn put_tag(out: &mut Vec<u8>, mut tag: u32) {
    while tag > 0x7f {
        out.push(tag as u8 | 0x80);
        tag >>= 7;
    }
    out.push(tag as u8);
}

pub(super) fn put_int(out: &mut Vec<u8>, number: u64) {
    let nibbles = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    out.push(((nibbles - 1) << 4) as u8 | (number & 0x0f) as u8);
    let mut rest = number >> 4;
    for _ in 0..nibbles / 2 {
        out.push(((rest & 0x0f) << 4 | (rest >> 4) & 0x0f) as u8);
        rest >>= 8;
    }
}

/// The tag at the beginning, and how many bytes it has.
pub(super) fn tag(bytes: &[u8]) -> Result<(u32, usize), Error> {
    let mut tag = 0;
    for (i, byte) in bytes.iter().enumerate().take(TAG) {
        // Four bits are left for the last byte, and no mark that there is another.
        if i == TAG - 1 && *byte > 0x0f {
            return Err(Error::Malformed("a tag of more than 32 bits"));
        }
        tag |= u32::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok((tag, i + 1));
        }
    }
    Err(Error::Incomplete)
}

/// The integer of at most `bits` bits at the beginning, and how many bytes it has.
fn int(bytes: &[u8], bits: usize) -> Result<(u64, usize), Error> {
    let first = *bytes.first().ok_or(Error::Incomplete)?;
    let nibbles = usize::from(first >> 4) + 1;
    if nibbles > bits / 4 {
        return Err(Error::Malformed("an integer of more than 32 bits"));
    }
    let length = nibbles / 2 + 1;
    let bytes = bytes.get(..length).ok_or(Error::Incomplete)?;
    let nibble = |i: usize| match i % 2 {
        1 => bytes[i / 2] & 0x0f,
        _ => bytes[i / 2] >> 4,
    };
    let number = (1..=nibbles)
        .rev()
        .fold(0, |number, i| number << 4 | u64::from(nibble(i)));
    Ok((number, length))
}

pub(super) fn int32(bytes: &[u8]) -> Result<(u32, usize), Error> {
    int(bytes, 32).map(|(number, length)| (number as u32, length))
}

/// 16 nibbles are the most that there can be.
pub(super) fn int64(bytes: &[u8]) -> Result<(u64, usize), Error> {
    int(bytes, 64)
}
