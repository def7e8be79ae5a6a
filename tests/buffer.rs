//! Buffers: adding, taking, moving, looking, and space at the end.

#[path = "common/mod.rs"]
mod common;

use common::bounded;
use libevent2::buffer::{End, SharedBuffer};
use libevent2::{Buffer, BufferRef, Error, ffi};
use std::io::{BufRead, IoSlice, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A buffer of one chunk per part.
fn chunked(parts: &[&'static [u8]]) -> Buffer {
    let mut buffer = Buffer::new();
    for part in parts {
        buffer.append_static(part).unwrap();
    }
    assert_eq!(buffer.chunks().count(), parts.len());
    buffer
}

fn is_frozen_error<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Frozen { .. }), "{error:?}");
}

#[test]
fn a_new_buffer_is_empty() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    assert_eq!(buffer.len(), 0);
    assert!(buffer.is_empty());
    assert_eq!(buffer.chunks().count(), 0);
    assert_eq!(buffer.contiguous_len(), 0);
    assert_eq!(buffer.to_vec(), b"");
    assert_eq!(buffer.make_contiguous(usize::MAX).unwrap(), b"");
    assert_eq!(buffer.copy_to(&mut [0; 4]), 0);
    assert_eq!(buffer.remove(&mut [0; 4]).unwrap(), 0);
    assert_eq!(buffer.drain(usize::MAX).unwrap(), 0);
    assert_eq!(buffer, b"");
    buffer.clear().unwrap();
}

#[test]
fn bytes_come_out_in_the_order_they_went_in() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    buffer.append(b"middle").unwrap();
    buffer.prepend(b"front ").unwrap();
    buffer
        .append_vectored(&[
            IoSlice::new(b" "),
            IoSlice::new(b""),
            IoSlice::new(b"and "),
            IoSlice::new(b"back"),
        ])
        .unwrap();
    assert_eq!(buffer, "front middle and back");
    assert_ne!(buffer, "front middle and bac");
    assert_ne!(buffer, "front middle and bacK");
}

#[test]
fn adding_nothing_changes_nothing() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("x");
    buffer.append(b"").unwrap();
    buffer.prepend(b"").unwrap();
    buffer.append_static(b"").unwrap();
    buffer.append_shared(Vec::new()).unwrap();
    buffer.append_vectored(&[]).unwrap();
    buffer.append_vectored(&[IoSlice::new(b"")]).unwrap();
    buffer.append_buffer(&mut Buffer::new()).unwrap();
    buffer.prepend_buffer(&mut Buffer::new()).unwrap();
    buffer.append_buffer_reference(&mut Buffer::new()).unwrap();
    buffer
        .append_shared_buffer(&SharedBuffer::from(Buffer::new()))
        .unwrap();
    assert_eq!(buffer, "x");
    assert_eq!(buffer.chunks().count(), 1);
}

#[test]
fn buffers_move_into_buffers_at_both_ends() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("b");
    let mut front = chunked(&[b"a", b"-"]);
    let mut back = chunked(&[b"-", b"c"]);
    buffer.prepend_buffer(&mut front).unwrap();
    buffer.append_buffer(&mut back).unwrap();
    assert_eq!(buffer, "a-b-c");
    assert!(front.is_empty());
    assert!(back.is_empty());
    // What was emptied is as good as new.
    back.append(b"again").unwrap();
    assert_eq!(back, "again");
}

#[test]
fn a_number_of_bytes_moves_across_chunks() {
    let _watchdog = bounded();
    for n in 0..=12 {
        let mut source = chunked(&[b"abc", b"de", b"fghi"]);
        let mut target = Buffer::from("<");
        assert_eq!(source.move_to(&mut target, n).unwrap(), n.min(9));
        let (moved, left) = b"abcdefghi".split_at(n.min(9));
        assert_eq!(target.to_vec(), [b"<", moved].concat());
        assert_eq!(source, left);
        target.append(b">").unwrap();
        assert_eq!(target.to_vec(), [b"<", moved, b">"].concat());
    }
}

#[test]
fn split_to_takes_the_front() {
    let _watchdog = bounded();
    let mut buffer = chunked(&[b"abc", b"def"]);
    assert_eq!(buffer.split_to(0).unwrap(), "");
    assert_eq!(buffer.split_to(4).unwrap(), "abcd");
    assert_eq!(buffer, "ef");
    assert_eq!(buffer.split_to(100).unwrap(), "ef");
    assert!(buffer.is_empty());
}

#[test]
fn drain_says_how_much_there_was() {
    let _watchdog = bounded();
    let mut buffer = chunked(&[b"abc", b"def"]);
    assert_eq!(buffer.drain(0).unwrap(), 0);
    assert_eq!(buffer.drain(4).unwrap(), 4);
    assert_eq!(buffer, "ef");
    assert_eq!(buffer.drain(4).unwrap(), 2);
    assert!(buffer.is_empty());
}

#[test]
fn copies_are_bounded_by_both_sides() {
    let _watchdog = bounded();
    let buffer = chunked(&[b"abc", b"de", b"f"]);
    for position in 0..8 {
        for size in 0..8 {
            let mut target = vec![b'.'; size];
            let expected: Vec<u8> = b"abcdef".iter().skip(position).copied().collect();
            let n = size.min(expected.len());
            assert_eq!(buffer.copy_from_offset(position, &mut target), n);
            assert_eq!(target[..n], expected[..n]);
            assert!(target[n..].iter().all(|&byte| byte == b'.'));
        }
    }
    assert_eq!(buffer.copy_from_offset(usize::MAX, &mut [0; 8]), 0);
    let mut three = [0; 3];
    assert_eq!(buffer.copy_to(&mut three), 3);
    assert_eq!(&three, b"abc");
    assert_eq!(buffer, "abcdef");
}

#[test]
fn chunks_start_anywhere() {
    let _watchdog = bounded();
    let buffer = chunked(&[b"abc", b"de", b"f"]);
    let chunks: Vec<&[u8]> = buffer.chunks().collect();
    assert_eq!(chunks, [&b"abc"[..], b"de", b"f"]);
    let from_inside: Vec<&[u8]> = buffer.chunks_from(4).collect();
    assert_eq!(from_inside, [&b"e"[..], b"f"]);
    let from_boundary: Vec<&[u8]> = buffer.chunks_from(3).collect();
    assert_eq!(from_boundary, [&b"de"[..], b"f"]);
    for behind in [6, 7, usize::MAX] {
        assert_eq!(buffer.chunks_from(behind).count(), 0);
    }
    assert_eq!(buffer.contiguous_len(), 3);
}

#[test]
fn space_that_was_only_reserved_is_no_chunk() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("abc");
    buffer.reserve(100_000).unwrap();
    assert_eq!(buffer.chunks().collect::<Vec<_>>(), [b"abc"]);
    assert_eq!(buffer.find(b"abc", ..), Some(0));
    assert_eq!(buffer.make_contiguous(10).unwrap(), b"abc");
}

#[test]
fn make_contiguous_joins_chunks_and_leaves_the_rest() {
    let _watchdog = bounded();
    let mut buffer = chunked(&[b"abc", b"de", b"f"]);
    assert_eq!(buffer.make_contiguous(0).unwrap(), b"");
    assert_eq!(buffer.make_contiguous(2).unwrap(), b"ab");
    assert_eq!(buffer.chunks().count(), 3);
    assert_eq!(buffer.make_contiguous(4).unwrap(), b"abcd");
    assert_eq!(buffer.contiguous_len(), 4);
    assert_eq!(buffer.make_contiguous(usize::MAX).unwrap(), b"abcdef");
    assert_eq!(buffer.chunks().count(), 1);
    buffer.append(b"g").unwrap();
    assert_eq!(buffer, "abcdefg");
}

#[test]
fn remove_takes_what_fits() {
    let _watchdog = bounded();
    let mut buffer = chunked(&[b"abc", b"def"]);
    let mut four = [0; 4];
    assert_eq!(buffer.remove(&mut four).unwrap(), 4);
    assert_eq!(&four, b"abcd");
    assert_eq!(buffer.remove(&mut four).unwrap(), 2);
    assert_eq!(&four, b"efcd");
    assert_eq!(buffer.remove(&mut []).unwrap(), 0);
}

#[test]
fn more_space_than_there_is_memory_is_an_error() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("as it was");
    // What malloc is not even asked for, of which AddressSanitizer would make a fault.
    for n in [usize::MAX, isize::MAX as usize + 1] {
        let error = buffer.reserve(n).unwrap_err();
        assert!(matches!(error, Error::Libevent { .. }), "{error:?}");
        buffer.append_with(n, |_| unreachable!()).unwrap_err();
        buffer
            .append_vectored_with(n, |_| unreachable!())
            .unwrap_err();
    }
    assert_eq!(buffer, "as it was");
}

#[test]
fn space_is_zeroed_and_as_long_as_was_asked_for() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    for n in [0, 1, 100, 5000, 70_000] {
        let written = buffer.append_with(n, |space| {
            assert_eq!(space.len(), n);
            assert!(space.iter().all(|&byte| byte == 0));
            space.fill(7);
            n / 2
        });
        assert_eq!(written.unwrap(), n / 2);
        buffer.drain(n / 4).unwrap();
    }
    assert!(buffer.to_vec().iter().all(|&byte| byte == 7));
}

#[test]
fn space_in_two_slices_continues_from_one_to_the_other() {
    let _watchdog = bounded();
    let mut model = Vec::new();
    let mut buffer = Buffer::new();
    let mut slices_seen = [false; 3];
    for (turn, n) in [10, 3000, 9000, 1, 5000, 20_000].into_iter().enumerate() {
        for part in [1, 2, 3] {
            let byte = (turn * 3 + part) as u8;
            let written = n * part / 3;
            let result = buffer.append_vectored_with(n, |space| {
                slices_seen[space.len()] = true;
                assert_eq!(space.iter().map(|slice| slice.len()).sum::<usize>(), n);
                space.iter_mut().for_each(|slice| slice.fill(byte));
                written
            });
            assert_eq!(result.unwrap(), written);
            model.extend(std::iter::repeat_n(byte, written));
            assert_eq!(buffer, model);
        }
    }
    assert!(slices_seen[1] && slices_seen[2]);
}

#[test]
fn space_after_several_empty_chunks_is_committed() {
    let _watchdog = bounded();
    // C offers a single extent here that it then does not take back.
    let mut buffer = Buffer::from(vec![b'r'; 10]);
    buffer.append(&[b'a'; 900]).unwrap();
    let mut extents = [ffi::evbuffer_iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }; 4];
    for size in [9000, 40_000] {
        // SAFETY: the buffer is alive and the extents are four.
        let used =
            unsafe { ffi::evbuffer_reserve_space(buffer.as_ptr(), size, extents.as_mut_ptr(), 4) };
        assert!(used > 0);
    }
    let written = buffer.append_with(5000, |space| {
        space.fill(b'b');
        5000
    });
    assert_eq!(written.unwrap(), 5000);
    let expected = [vec![b'r'; 10], vec![b'a'; 900], vec![b'b'; 5000]].concat();
    assert_eq!(buffer, expected);
}

#[test]
fn a_writer_that_claims_too_much_adds_nothing() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("x");
    let error = buffer.append_with(4, |_| 5).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert!(error.to_string().contains('5'), "{error}");
    let error = buffer.append_vectored_with(4, |_| usize::MAX).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert_eq!(buffer, "x");
}

#[test]
fn a_writer_that_panics_adds_nothing() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("x");
    let result = catch_unwind(AssertUnwindSafe(|| {
        buffer.append_with(100, |space| {
            space.fill(1);
            panic!("on purpose")
        })
    }));
    assert!(result.is_err());
    assert_eq!(buffer, "x");
    buffer.append(b"y").unwrap();
    assert_eq!(buffer, "xy");
}

#[test]
fn a_frozen_front_keeps_its_bytes() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("abc\n");
    let mut other = Buffer::from("other");
    assert!(!buffer.is_frozen(End::Front));
    buffer.freeze(End::Front);
    assert!(buffer.is_frozen(End::Front));
    assert!(!buffer.is_frozen(End::Back));

    is_frozen_error(buffer.prepend(b"x"));
    is_frozen_error(buffer.prepend_buffer(&mut other));
    is_frozen_error(buffer.drain(1));
    is_frozen_error(buffer.clear());
    is_frozen_error(buffer.remove(&mut [0; 2]));
    is_frozen_error(buffer.move_to(&mut other, 1));
    is_frozen_error(buffer.move_to(&mut other, 100));
    is_frozen_error(buffer.split_to(1));
    is_frozen_error(buffer.read_line(libevent2::buffer::Eol::Lf));
    is_frozen_error(buffer.share());
    is_frozen_error(other.append_buffer(&mut buffer));
    is_frozen_error(other.append_buffer_reference(&mut buffer));
    let error = buffer.read(&mut [0; 2]).unwrap_err();
    assert!(error.to_string().contains("frozen"), "{error}");
    buffer.consume(2);
    assert_eq!(buffer, "abc\n");
    assert_eq!(other, "other");

    // Looking and adding still work.
    assert_eq!(buffer.copy_to(&mut [0; 2]), 2);
    assert_eq!(buffer.make_contiguous(2).unwrap(), b"ab");
    buffer.append(b"d").unwrap();
    buffer.unfreeze(End::Front);
    assert_eq!(buffer.drain(4).unwrap(), 4);
    assert_eq!(buffer, "d");
}

#[test]
fn a_frozen_back_takes_no_bytes() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("abc");
    let mut other = Buffer::from("other");
    let shared = SharedBuffer::from(Buffer::from("shared"));
    buffer.freeze(End::Back);
    assert!(buffer.is_frozen(End::Back));
    assert!(!buffer.is_frozen(End::Front));

    is_frozen_error(buffer.append(b"x"));
    is_frozen_error(buffer.append_static(b"x"));
    is_frozen_error(buffer.append_shared(vec![1]));
    is_frozen_error(buffer.append_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"y")]));
    is_frozen_error(buffer.append_buffer(&mut other));
    is_frozen_error(buffer.append_shared_buffer(&shared));
    is_frozen_error(buffer.append_buffer_reference(&mut other));
    is_frozen_error(buffer.append_with(1, |_| unreachable!()));
    is_frozen_error(other.move_to(&mut buffer, 1));
    is_frozen_error(other.move_to(&mut buffer, 100));
    assert!(write!(buffer, "x").is_err());
    assert!(std::fmt::Write::write_str(&mut buffer, "x").is_err());
    assert_eq!(buffer, "abc");
    assert_eq!(other, "other");

    // Taking, and sharing what is there, still work.
    assert_eq!(buffer.share().unwrap(), "abc");
    assert_eq!(buffer.drain(1).unwrap(), 1);
    buffer.unfreeze(End::Back);
    buffer.append(b"d").unwrap();
    assert_eq!(buffer, "bcd");
}

#[test]
fn an_empty_buffer_is_frozen_as_well() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    for end in [End::Front, End::Back] {
        assert!(!buffer.is_frozen(end));
        buffer.freeze(end);
        assert!(buffer.is_frozen(end));
    }
    is_frozen_error(buffer.prepend(b"x"));
    is_frozen_error(buffer.append(b"x"));
    // There is nothing to be refused.
    assert_eq!(buffer.drain(1).unwrap(), 0);
    assert!(buffer.is_empty());
}

#[test]
fn it_reads_and_writes_as_std_does() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    write!(buffer, "{}-{}", 1, 2).unwrap();
    std::fmt::Write::write_str(&mut buffer, "\nsecond\n").unwrap();
    let n = buffer
        .write_vectored(&[IoSlice::new(b"th"), IoSlice::new(b"ird")])
        .unwrap();
    assert_eq!(n, 5);
    buffer.flush().unwrap();

    let mut lines = Vec::new();
    let mut line = String::new();
    while BufRead::read_line(&mut buffer, &mut line).unwrap() > 0 {
        lines.push(std::mem::take(&mut line));
    }
    assert_eq!(lines, ["1-2\n", "second\n", "third"]);

    let mut source = chunked(&[b"abc", b"def"]);
    let mut copy = Buffer::new();
    assert_eq!(std::io::copy(&mut source, &mut copy).unwrap(), 6);
    assert_eq!(copy, "abcdef");
    let mut all = String::new();
    copy.read_to_string(&mut all).unwrap();
    assert_eq!(all, "abcdef");
    assert!(copy.is_empty());
}

#[test]
fn it_is_made_of_bytes_and_text() {
    let _watchdog = bounded();
    assert_eq!(Buffer::from("text"), b"text");
    assert_eq!(Buffer::from(b"bytes"), "bytes");
    assert_eq!(Buffer::from(&b"slice"[..]), "slice");
    assert_eq!(Buffer::from(vec![1, 2]), [1, 2]);
    assert_eq!(Buffer::from(String::from("owned")), "owned");
    assert_eq!(Buffer::from(Vec::new()), "");
    assert_eq!(Buffer::default(), "");
}

#[test]
fn debug_shows_the_length_and_not_the_bytes() {
    let _watchdog = bounded();
    let shown = format!("{:?}", Buffer::from("secret"));
    assert!(shown.contains('6') && !shown.contains("secret"), "{shown}");
}

#[test]
fn views_swapped_leave_the_buffers_as_they_are() {
    let _watchdog = bounded();
    let mut one = Buffer::from("one");
    let mut two = Buffer::from("two");
    let (a, b): (&mut BufferRef, &mut BufferRef) = (&mut one, &mut two);
    std::mem::swap(a, b);
    assert_eq!(one, "one");
    assert_eq!(two, "two");
    std::mem::swap(&mut one, &mut two);
    assert_eq!(one, "two");
}

#[test]
fn a_buffer_goes_to_c_and_comes_back() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("from Rust");
    buffer.on_change(|_| panic!("it was removed"));
    let raw = buffer.into_ptr();
    // SAFETY: the evbuffer is ours; the bytes are copied.
    unsafe { ffi::evbuffer_add(raw, b", to C".as_ptr().cast(), 6) };
    // SAFETY: nobody else uses it meanwhile.
    assert_eq!(*unsafe { BufferRef::from_ptr(raw) }, "from Rust, to C");
    // SAFETY: nobody else uses it meanwhile.
    let view = unsafe { BufferRef::from_ptr_mut(raw) };
    view.drain(5).unwrap();
    assert_eq!(view.as_ptr(), raw);
    // SAFETY: C does not use it any more.
    let mut buffer = unsafe { Buffer::from_ptr(raw) };
    buffer.append(b" and back").unwrap();
    assert_eq!(buffer, "Rust, to C and back");
}

#[test]
fn a_buffer_goes_to_another_thread() {
    let _watchdog = bounded();
    let buffer = chunked(&[b"abc", b"def"]);
    let buffer = std::thread::spawn(move || {
        let mut buffer = buffer;
        buffer.append(b"g").unwrap();
        buffer
    });
    assert_eq!(buffer.join().unwrap(), "abcdefg");
}

mod threads {
    use super::{Buffer, BufferRef, SharedBuffer};
    use libevent2::buffer::{Chunks, FileSegment};

    macro_rules! is_not {
        ($type:ty: $trait:ident) => {
            const _: () = {
                // Two candidates if the type has the trait: then this does not compile.
                trait Ambiguous<A> {
                    fn check() {}
                }
                impl<T: ?Sized> Ambiguous<()> for T {}
                struct Has;
                impl<T: ?Sized + $trait> Ambiguous<Has> for T {}
                let _ = <$type as Ambiguous<_>>::check;
            };
        };
    }

    const fn is_send<T: Send>() {}
    const fn is_sync<T: Sync>() {}

    const _: () = is_send::<Buffer>();
    const _: () = is_send::<SharedBuffer>();
    const _: () = is_sync::<SharedBuffer>();
    is_not!(Buffer: Sync);
    is_not!(BufferRef: Send);
    is_not!(BufferRef: Sync);
    is_not!(&mut BufferRef: Send);
    is_not!(&BufferRef: Send);
    is_not!(Chunks<'static>: Send);
    is_not!(FileSegment: Send);
    is_not!(FileSegment: Sync);
}
