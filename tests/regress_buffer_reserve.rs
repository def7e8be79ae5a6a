//! libevent's own regress cases (test/regress_buffer.c): space at the end.
//! The whole list, and what is left out, is in docs/regress.md.

mod common;

use common::bounded;
use libevent2::{Buffer, ffi};
use std::ptr;

/// More than what is left of any chunk here.
const MUCH: usize = 5000;

/// The extents, as address and length, of `n` bytes of space; none of it is used.
fn space(buffer: &mut Buffer, n: usize) -> Vec<(*const u8, usize)> {
    let mut extents = Vec::new();
    let written = buffer.append_vectored_with(n, |space| {
        extents = space
            .iter()
            .map(|part| (part.as_ptr(), part.len()))
            .collect();
        0
    });
    assert_eq!(written.unwrap(), 0);
    assert_eq!(extents.iter().map(|extent| extent.1).sum::<usize>(), n);
    extents
}

/// Writes `byte` to the first `n` bytes of `wanted` bytes of space.
fn write(buffer: &mut Buffer, wanted: usize, byte: u8, n: usize) {
    let before = buffer.len();
    let written = buffer.append_vectored_with(wanted, |space| {
        let all = space.iter_mut().flat_map(|part| part.iter_mut());
        all.take(n).for_each(|target| *target = byte);
        n
    });
    assert_eq!(written.unwrap(), n);
    assert_eq!(buffer.len(), before + n);
}

#[test]
fn reserve2() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let extents = space(&mut buffer, 1024);
    let [(start, _)] = extents[..] else {
        panic!("{extents:?}")
    };
    write(&mut buffer, 1024, b'X', 512);

    // In what is left of the same chunk.
    assert_eq!(space(&mut buffer, 32), [(start.wrapping_add(512), 32)]);
    write(&mut buffer, 32, b'Y', 8);

    // More than is left of it: in two, of which one byte is used.
    let left = space(&mut buffer, MUCH)[0].1;
    let split = space(&mut buffer, left + 64);
    let second = split[1].0;
    assert_eq!(split, [(start.wrapping_add(520), left), (second, 64)]);
    write(&mut buffer, left + 64, b'Z', 1);

    // Again, and now a part of both is used.
    let split = space(&mut buffer, left - 1 + 64);
    assert_eq!(split, [(start.wrapping_add(521), left - 1), (second, 64)]);
    let written = buffer.append_vectored_with(left - 1 + 64, |space| {
        space[0].fill(b'W');
        space[1].fill(b'x');
        left - 1 + 60
    });
    assert_eq!(written.unwrap(), left - 1 + 60);

    let chunks: Vec<&[u8]> = buffer.chunks().collect();
    let mut first = [b'X'; 512].to_vec();
    first.extend([b'Y'; 8]);
    first.extend([b'Z'; 1]);
    first.resize(520 + left, b'W');
    assert_eq!(chunks, [&first[..], &[b'x'; 60]]);
    assert_eq!(chunks[0].as_ptr(), start);
    assert_eq!(chunks[1].as_ptr(), second);
}

enum First {
    Empty,
    OneByte,
    Full,
}

fn many(first: First) {
    let mut buffer = Buffer::new();
    let extents = space(&mut buffer, 128);
    assert_eq!(extents.len(), 1);
    let mut start = extents[0].0;
    match first {
        First::Empty => {}
        First::OneByte => {
            write(&mut buffer, 128, b'X', 1);
            start = start.wrapping_add(1);
        }
        First::Full => {
            // As long as that of a buffer that is made in the same way.
            let mut twin = Buffer::new();
            space(&mut twin, 128);
            let len = space(&mut twin, MUCH)[0].1;
            write(&mut buffer, len, b'X', len);
            assert_eq!(buffer.chunks().next().unwrap().as_ptr(), start);
            let extents = space(&mut buffer, 128);
            assert_eq!(extents.len(), 1);
            assert_ne!(extents[0].0, start);
            start = extents[0].0;
        }
    }

    // Another chunk is added.
    let extents = space(&mut buffer, MUCH);
    assert_eq!(extents.len(), 2);
    assert_eq!(extents[0].0, start);
    // The same ones again.
    assert_eq!(space(&mut buffer, MUCH), extents);

    // More than both have: what is empty is replaced by one chunk.
    let replaced = space(&mut buffer, 10 * MUCH);
    match first {
        First::OneByte => {
            assert_eq!(replaced.len(), 2);
            assert_eq!(replaced[0].0, start);
        }
        _ => assert_eq!(replaced.len(), 1),
    }
}

#[test]
fn reserve_many() {
    let _watchdog = bounded();
    many(First::Empty);
}

#[test]
fn reserve_many2() {
    let _watchdog = bounded();
    many(First::OneByte);
}

#[test]
fn reserve_many3() {
    let _watchdog = bounded();
    many(First::Full);
}

#[test]
fn reserve_with_empty() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("a");
    assert_eq!(space(&mut buffer, 1 << 12).len(), 2);
    write(&mut buffer, 1 << 12, b'b', 1);
    buffer.append(b"c").unwrap();
    assert_eq!(buffer.make_contiguous(usize::MAX).unwrap(), b"abc");
}

#[test]
fn reserve_invalid_last_with_datap() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let raw = buffer.as_ptr();
    // A chunk without a byte, as C makes it: the safe functions leave it out.
    // SAFETY: alive; there is nothing that could be referred to.
    let code = unsafe { ffi::evbuffer_add_reference(raw, ptr::null(), 0, None, ptr::null_mut()) };
    assert_eq!(code, 0);
    buffer.prepend(b"foo").unwrap();
    buffer.append(b"").unwrap();
    space(&mut buffer, 1 << 12);
    space(&mut buffer, 1 << 13);
    assert_eq!(buffer, b"foo");
}

#[test]
fn expand() {
    let _watchdog = bounded();
    // Of an empty buffer; what is there already is not allocated again.
    let mut buffer = Buffer::new();
    buffer.reserve(20_000).unwrap();
    let start = space(&mut buffer, 20_000)[0].0;
    buffer.append(&[b'X'; 1024]).unwrap();
    buffer.reserve(1024).unwrap();
    assert_eq!(space(&mut buffer, 1024), [(start.wrapping_add(1024), 1024)]);
    assert_eq!(buffer.chunks().next().unwrap().as_ptr(), start);

    // Bytes at the end of a chunk are moved to its beginning when that makes the space.
    let mut twin = Buffer::from(&[b'X'; 400]);
    let left = space(&mut twin, MUCH)[0].1;
    let mut buffer = Buffer::from(&[b'X'; 400]);
    buffer.append(&vec![b'Y'; left - 1]).unwrap();
    let start = buffer.chunks().next().unwrap().as_ptr();
    buffer.drain(400 + left - 2).unwrap();
    assert_ne!(buffer.chunks().next().unwrap().as_ptr(), start);
    buffer.reserve(40).unwrap();
    assert_eq!(buffer.chunks().next().unwrap().as_ptr(), start);
    assert_eq!(space(&mut buffer, 40), [(start.wrapping_add(1), 40)]);
    assert_eq!(buffer, b"Y");

    // It used to crash libevent.
    let mut buffer = Buffer::new();
    for _ in 0..3 {
        buffer.append(&[b'X'; 4096]).unwrap();
    }
    buffer.reserve(1024).unwrap();
    let all = buffer.make_contiguous(usize::MAX).unwrap();
    assert_eq!(all, [b'X'; 3 * 4096]);
}
