//! libevent's own regress cases (test/regress_buffer.c): adding, taking and moving bytes.
//! The whole list, and what is left out, is in docs/regress.md.

mod common;

use common::bounded;
use libevent2::{Buffer, ffi};
use std::fmt::Write;
use std::ptr;
use std::sync::{Arc, Mutex};

/// Adds a chunk without a byte, as C's cases do. The safe functions leave such chunks out; a
/// buffer that comes from C may have them.
fn append_empty(buffer: &mut Buffer) {
    buffer.append_static(b"").unwrap();
    let raw = buffer.as_ptr();
    // SAFETY: alive; there is nothing that could be referred to.
    let code = unsafe { ffi::evbuffer_add_reference(raw, ptr::null(), 0, None, ptr::null_mut()) };
    assert_eq!(code, 0);
}

#[track_caller]
fn all(buffer: &mut Buffer, expected: &[u8]) {
    assert_eq!(buffer.len(), expected.len());
    assert_eq!(buffer.make_contiguous(usize::MAX).unwrap(), expected);
}

#[test]
fn evbuffer() {
    let _watchdog = bounded();
    let zeros = [0; 512];
    let mut buffer = Buffer::new();
    let mut other = Buffer::new();

    write!(buffer, "hello/{}", 1).unwrap();
    all(&mut buffer, b"hello/1");
    buffer.append_buffer(&mut other).unwrap();
    buffer.drain("hello/".len()).unwrap();
    all(&mut buffer, b"1");

    write!(other, "/hello").unwrap();
    buffer.append_buffer(&mut other).unwrap();
    assert_eq!(other.len(), 0);
    all(&mut buffer, b"1/hello");

    buffer.append(&zeros).unwrap();
    assert_eq!(buffer.len(), 7 + 512);
    let bytes = buffer.make_contiguous(7 + 512).unwrap();
    assert_eq!(&bytes[..7], b"1/hello");
    assert_eq!(bytes[7..], zeros);

    buffer.prepend(b"something").unwrap();
    buffer.prepend(b"else").unwrap();
    let front = buffer.make_contiguous(4 + 9 + 7).unwrap();
    assert_eq!(front, b"elsesomething1/hello");

    buffer.drain(usize::MAX).unwrap();
    other.drain(usize::MAX).unwrap();
    for _ in 0..3 {
        other.append(&zeros).unwrap();
        buffer.append_buffer(&mut other).unwrap();
    }
    assert_eq!(other.len(), 0);
    assert_eq!(buffer.len(), 3 * 512);

    let n = 512 * 5 / 2;
    assert_eq!(buffer.move_to(&mut other, n).unwrap(), n);
    assert_eq!(other.len(), n);
    assert_eq!(buffer.len(), 512 / 2);
    all(&mut buffer, &zeros[..256]);
    all(&mut other, &[0; 1280]);

    let numbers: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    for _ in 0..3 {
        let before = buffer.len();
        let written = buffer.append_with(10_000, |space| {
            space.copy_from_slice(&numbers);
            10_000
        });
        assert_eq!(written.unwrap(), 10_000);
        assert_eq!(buffer.len(), before + 10_000);
        assert_eq!(buffer.to_vec()[before..], numbers);
        buffer.drain(10_000 * 5000).unwrap();
    }
    assert!(buffer.is_empty());
}

#[test]
fn remove_buffer_with_empty() {
    let _watchdog = bounded();
    let mut source = Buffer::new();
    let mut target = Buffer::new();
    source.append_static(b"AA").unwrap();
    source.append_static(b"AA").unwrap();
    target.append(b"AA").unwrap();
    append_empty(&mut target);
    all(&mut source, b"AAAA");
    all(&mut target, b"AA");

    assert_eq!(source.move_to(&mut target, 3).unwrap(), 3);
    all(&mut source, b"A");
    all(&mut target, b"AAAAA");
}

#[test]
fn remove_buffer_with_empty2() {
    let _watchdog = bounded();
    let made = || {
        let mut other = Buffer::from("foo");
        other.append_static(b"foo").unwrap();
        let mut buffer = Buffer::new();
        buffer.append_static(b"foo").unwrap();
        append_empty(&mut buffer);
        buffer.append_buffer(&mut other).unwrap();
        all(&mut buffer, b"foofoofoo");
        buffer
    };
    let (mut source, mut target) = (made(), made());
    assert_eq!(source.move_to(&mut target, 8).unwrap(), 8);
    all(&mut source, b"o");
    all(&mut target, b"foofoofoofoofoofo");
}

#[test]
fn remove_buffer_with_empty3() {
    let _watchdog = bounded();
    let made = || {
        let mut other = Buffer::from("foo");
        append_empty(&mut other);
        let mut buffer = Buffer::new();
        buffer.append_static(b"foo").unwrap();
        append_empty(&mut buffer);
        buffer.prepend_buffer(&mut other).unwrap();
        all(&mut buffer, b"foofoo");
        buffer
    };
    let (mut source, mut target) = (made(), made());
    assert_eq!(source.move_to(&mut target, 5).unwrap(), 5);
    all(&mut source, b"o");
    all(&mut target, b"foofoofoofo");
}

#[test]
fn remove_buffer_with_empty_front() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let mut target = Buffer::new();
    buffer.append_static(b"foo").unwrap();
    buffer.prepend(b"").unwrap();
    assert_eq!(buffer.move_to(&mut target, 1).unwrap(), 1);
    buffer.append(b"bar").unwrap();
    all(&mut buffer, b"oobar");
    all(&mut target, b"f");
}

#[test]
fn remove_buffer_adjust_last_with_datap_with_empty() {
    let _watchdog = bounded();
    let mut one = Buffer::from("aaaaaa");
    let mut two = Buffer::new();

    // Two chunks, of which one stays empty.
    let written = one.append_vectored_with(971, |space| {
        assert_eq!(space.len(), 2);
        space[0][0] = b'b';
        1
    });
    assert_eq!(written.unwrap(), 1);
    two.append(b"cc").unwrap();
    two.prepend(b"ddd").unwrap();

    two.prepend_buffer(&mut one).unwrap();
    one.append_buffer(&mut two).unwrap();
    assert_eq!(one.move_to(&mut two, 11).unwrap(), 11);
    all(&mut two, b"aaaaaabdddc");
    all(&mut one, b"c");
}

#[test]
fn add_buffer_with_empty() {
    let _watchdog = bounded();
    for _ in 0..2 {
        let mut other = Buffer::from("foo");
        let mut buffer = Buffer::new();
        buffer.append_static(b"foo").unwrap();
        append_empty(&mut buffer);
        buffer.append_buffer(&mut other).unwrap();
        assert!(other.is_empty());
        all(&mut buffer, b"foofoo");
    }
}

#[test]
fn add_buffer_with_empty2() {
    let _watchdog = bounded();
    for _ in 0..2 {
        let mut other = Buffer::from("foo");
        let mut buffer = Buffer::new();
        append_empty(&mut buffer);
        buffer.append_buffer(&mut other).unwrap();
        assert!(other.is_empty());
        all(&mut buffer, b"foo");
    }
}

#[test]
fn pullup_with_empty() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("foo");
    append_empty(&mut buffer);
    all(&mut buffer, b"foo");

    all(&mut Buffer::new(), b"");

    let mut buffer = Buffer::from("foo");
    append_empty(&mut buffer);
    assert_eq!(buffer.make_contiguous(3).unwrap(), b"foo");
}

#[test]
fn empty_reference_prepend() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    append_empty(&mut buffer);
    buffer.prepend(b"foo").unwrap();
    all(&mut buffer, b"foo");
}

#[test]
fn empty_reference_prepend_buffer() {
    let _watchdog = bounded();
    let mut empty = Buffer::new();
    append_empty(&mut empty);
    let mut buffer = Buffer::from("foo");
    buffer.prepend_buffer(&mut empty).unwrap();
    all(&mut buffer, b"foo");
    all(&mut empty, b"");
}

#[test]
fn expand_overflow() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("1");
    for n in [isize::MAX as usize, usize::MAX] {
        assert!(buffer.reserve(n).is_err());
        all(&mut buffer, b"1");
    }
}

#[test]
fn add1() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    buffer.append(b"1").unwrap();
    buffer.reserve(2048).unwrap();
    buffer.append(b"2").unwrap();
    write!(buffer, "3").unwrap();
    all(&mut buffer, b"123");
}

#[test]
fn add2() {
    let _watchdog = bounded();
    // All but ten bytes of the first chunk.
    let mut bytes = vec![b'P'; 1024 - 48 - 10];
    let mut buffer = Buffer::from(&bytes[..]);
    buffer.reserve(100).unwrap();
    buffer.append(b"2").unwrap();
    write!(buffer, "3").unwrap();
    bytes.extend(b"23");
    all(&mut buffer, &bytes);
}

#[test]
fn prepend() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    // To an empty one; to a new chunk; to the first chunk; to more than one.
    buffer.prepend(b"This string has 29 characters").unwrap();
    buffer.prepend(b"Short.").unwrap();
    buffer.drain(6 + 11).unwrap();
    buffer.prepend(b"it").unwrap();
    let first = buffer.chunks().next().unwrap();
    assert!(first.starts_with(b"it has"));
    buffer.prepend(b"It is no longer true to say ").unwrap();
    let mut text = [0; 128];
    let n = buffer.remove(&mut text).unwrap();
    assert_eq!(
        text[..n],
        *b"It is no longer true to say it has 29 characters"
    );

    // A buffer, to an empty one and to another.
    let mut other = Buffer::new();
    write!(buffer, "Here is string {}. ", 999).unwrap();
    other.prepend_buffer(&mut buffer).unwrap();
    write!(buffer, "Here is string {}. ", 1000).unwrap();
    other.prepend_buffer(&mut buffer).unwrap();
    let n = other.remove(&mut text).unwrap();
    assert_eq!(text[..n], *b"Here is string 1000. Here is string 999. ");

    // What is told of it.
    let mut buffer = Buffer::new();
    buffer.prepend(b"foo").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = told.clone();
    let id = buffer.on_change(move |change| seen.lock().unwrap().push(change));
    buffer.prepend(&[b'A'; 8096]).unwrap();
    buffer.remove_change(id).unwrap();
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].before, told[0].added, told[0].deleted),
        (3, 8096, 0)
    );
    assert_eq!(buffer.make_contiguous(8096).unwrap(), [b'A'; 8096]);
    buffer.drain(8096).unwrap();
    all(&mut buffer, b"foo");
}

#[test]
fn copyout() {
    let _watchdog = bounded();
    static TEXT: &[u8] = b"Still they skirmish to and fro, men my messmates on the snow \
        When we headed off the aurochs turn for turn; \
        When the rich Allobrogenses never kept amanuenses, \
        And our only plots were piled in lakes at Berne.";
    assert_eq!(TEXT.len(), 206);
    let mut buffer = Buffer::new();
    buffer.append_static(&TEXT[..80]).unwrap();
    buffer.append_static(&TEXT[80..160]).unwrap();
    buffer.append(&TEXT[160..]).unwrap();
    assert_eq!(buffer.chunks().count(), 3);

    for (wanted, copied) in [(10, 10), (100, 100), (230, 206)] {
        let mut target = vec![0; wanted];
        assert_eq!(buffer.copy_to(&mut target), copied);
        assert_eq!(target[..copied], TEXT[..copied]);
        assert_eq!(buffer.len(), 206);
    }
    // Within a chunk, to its end, into the second, into the third, and behind the end.
    for (wanted, copied) in [(10, 10), (65, 65), (90, 90), (160, 160), (999, 206 - 15)] {
        let mut target = vec![0; wanted];
        assert_eq!(buffer.copy_from_offset(15, &mut target), copied);
        assert_eq!(target[..copied], TEXT[15..][..copied]);
        assert_eq!(buffer.len(), 206);
    }
}

#[test]
fn iterative() {
    let _watchdog = bounded();
    let letters = "abcdefghijklmnopqrstvuwxyz".repeat(4);
    let mut buffer = Buffer::new();
    let mut sum = 0;
    for _ in 0..1000 {
        for n in 1..letters.len() {
            write!(buffer, "{:.n$}", letters).unwrap();
            sum += n;
        }
    }
    assert_eq!(buffer.len(), sum);
    let mut line = vec![0; letters.len()];
    for _ in 0..1000 {
        for n in 1..letters.len() {
            assert_eq!(buffer.remove(&mut line[..n]).unwrap(), n);
            assert_eq!(line[..n], letters.as_bytes()[..n]);
        }
    }
    assert!(buffer.is_empty());
}
