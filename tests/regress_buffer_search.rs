//! libevent's own regress cases (test/regress_buffer.c): lines, patterns and positions.
//! The whole list, and what is left out, is in docs/regress.md.

mod common;

use common::bounded;
use libevent2::Buffer;
use libevent2::buffer::Eol;

/// A buffer of one chunk per part.
fn chunked(parts: &[&str]) -> Buffer {
    let mut buffer = Buffer::new();
    for part in parts {
        buffer.append_buffer(&mut Buffer::from(*part)).unwrap();
    }
    assert_eq!(buffer.chunks().count(), parts.len());
    buffer
}

#[track_caller]
fn lines(buffer: &mut Buffer, eol: Eol, expected: &[&str]) {
    for line in expected {
        let got = buffer.read_line(eol).unwrap();
        assert_eq!(got.as_deref(), Some(line.as_bytes()));
    }
}

#[track_caller]
fn no_line(buffer: &mut Buffer, eol: Eol) {
    assert_eq!(buffer.read_line(eol).unwrap(), None);
}

#[test]
fn readln() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("complex silly newline\r\n\n\r\n\n\rmore\0\n");
    lines(&mut buffer, Eol::Any, &["complex silly newline", "more\0"]);
    assert!(buffer.is_empty());
    buffer.append(b"\nno newline").unwrap();
    lines(&mut buffer, Eol::Any, &[""]);
    no_line(&mut buffer, Eol::Any);
    buffer.clear().unwrap();

    let text = b"Line with\rin the middle\nLine with good crlf\r\n\nfinal\n";
    buffer.append(text).unwrap();
    let expected = [
        "Line with\rin the middle",
        "Line with good crlf",
        "",
        "final",
    ];
    lines(&mut buffer, Eol::Crlf, &expected);
    buffer.append(b"x").unwrap();
    no_line(&mut buffer, Eol::Crlf);

    let strict = Eol::CrlfStrict;
    let text = b" and a bad crlf\nand a good one\r\n\r\nMore\r";
    buffer.append(text).unwrap();
    let expected = ["x and a bad crlf\nand a good one", ""];
    lines(&mut buffer, strict, &expected);
    no_line(&mut buffer, strict);
    buffer.append(b"\n").unwrap();
    lines(&mut buffer, strict, &["More"]);
    assert!(buffer.is_empty());
    let text = b"An internal CR\r is not an eol\r\nNor is a lack of one";
    buffer.append(text).unwrap();
    lines(&mut buffer, strict, &["An internal CR\r is not an eol"]);
    no_line(&mut buffer, strict);
    buffer.append(b"\r\n").unwrap();
    lines(&mut buffer, strict, &["Nor is a lack of one"]);
    assert!(buffer.is_empty());

    buffer.append(b"An\rand a nl\n\nText").unwrap();
    lines(&mut buffer, Eol::Lf, &["An\rand a nl", ""]);
    no_line(&mut buffer, Eol::Lf);
    buffer.append(b"\n").unwrap();
    lines(&mut buffer, Eol::Lf, &["Text"]);
    assert!(buffer.is_empty());

    let text = b"NUL\n\0\0The all-zeros character which may serve\0\
        to accomplish time fill\0and media fill";
    buffer.append(text).unwrap();
    let expected = [
        "NUL\n",
        "",
        "The all-zeros character which may serve",
        "to accomplish time fill",
    ];
    lines(&mut buffer, Eol::Nul, &expected);
    no_line(&mut buffer, Eol::Nul);

    // Ends that lie in two chunks.
    let text = [" and a bad crlf\nand a good one\r", "\n\r", "\nMore\r"];
    let mut buffer = chunked(&text);
    let expected = [" and a bad crlf\nand a good one", ""];
    lines(&mut buffer, strict, &expected);
    no_line(&mut buffer, strict);
    buffer.append(b"\n").unwrap();
    lines(&mut buffer, strict, &["More"]);
    assert!(buffer.is_empty());

    let mut buffer = chunked(&["one line\ntwo line\nblue line"]);
    lines(&mut buffer, Eol::Lf, &["one line", "two line"]);
    no_line(&mut buffer, Eol::Lf);
}

#[test]
fn search_eol() {
    let _watchdog = bounded();
    let buffer = Buffer::from("string! \r\n\r\nx\n");
    assert_eq!(buffer.find_eol(0, Eol::Crlf), Some((8, 2)));
    assert_eq!(buffer.find_eol(8, Eol::Crlf), Some((8, 2)));
    assert_eq!(buffer.find_eol(9, Eol::Crlf), Some((9, 1)));
    assert_eq!(buffer.find_eol(9, Eol::CrlfStrict), Some((10, 2)));
    assert_eq!(buffer.find_eol(0, Eol::Lf), Some((9, 1)));
    assert_eq!(buffer.find_eol(9, Eol::Lf), Some((9, 1)));
    assert_eq!(buffer.find_eol(10, Eol::Lf), Some((11, 1)));
    assert_eq!(buffer.find_eol(buffer.len(), Eol::Lf), None);
}

#[test]
fn find() {
    let _watchdog = bounded();
    // What was there before is behind the end now.
    let mut buffer = Buffer::from("1234567890\r\n");
    buffer.clear().unwrap();
    buffer.append(b"1234567890\r").unwrap();
    assert_eq!(buffer.find(b"\r\n", ..), None);

    buffer.clear().unwrap();
    let mut text = [b'a'; 256];
    text[255] = b'x';
    buffer.append(&text).unwrap();
    assert_eq!(buffer.find(b"xy", ..), None);
    assert_eq!(buffer.find(b"ax", ..), Some(254));
}

#[test]
fn ptr_set() {
    let _watchdog = bounded();
    let buffer = Buffer::new();
    assert_eq!(buffer.find(b"", 0..), Some(0));
    assert_eq!(buffer.find(b"", 1..), None);

    let mut buffer = Buffer::new();
    for (byte, n) in [(1, 5000), (2, 4000), (3, 3000)] {
        let written = buffer.append_with(n, |space| {
            space.fill(byte);
            n
        });
        assert_eq!(written.unwrap(), n);
    }
    assert_eq!(buffer.len(), 12_000);

    for (position, byte) in [
        (0, 1),
        (4999, 1),
        (5000, 2),
        (10_000, 3),
        (11_000, 3),
        (11_999, 3),
    ] {
        assert_eq!(buffer.find(b"", position..), Some(position));
        let chunk = buffer.chunks_from(position).next().unwrap();
        assert_eq!(chunk[0], byte, "at {position}");
        let left: usize = buffer.chunks_from(position).map(<[u8]>::len).sum();
        assert_eq!(left, 12_000 - position);
    }
    // The end is a place, too; behind it there is none.
    assert_eq!(buffer.find(b"", 12_000..), Some(12_000));
    assert_eq!(buffer.chunks_from(12_000).count(), 0);
    assert_eq!(buffer.find(b"", 13_000..), None);
    assert_eq!(buffer.chunks_from(13_000).count(), 0);
}

#[test]
fn search() {
    let _watchdog = bounded();
    let buffer = Buffer::new();
    assert_eq!(buffer.find(b"x", ..), None);
    assert_eq!(buffer.find(b"x", 0..), None);
    assert_eq!(buffer.find(b"x", 0..0), None);

    let buffer = chunked(&["hello", "foo", "cat", "attack"]);
    assert_eq!(buffer.find(b"attack", ..), Some(11));
    assert_eq!(buffer.find(b"attacker", ..), None);

    // From where the last search ended.
    assert_eq!(buffer.find(b"oc", ..), Some(7));
    assert_eq!(buffer.find(b"cat", 7..), Some(8));
    assert_eq!(buffer.find(b"tacking", 8..), None);
    assert_eq!(buffer.find(b"foo", 5..), Some(5));
    assert_eq!(buffer.find(b"tat", 5 + 2..), Some(10));

    // Up to the first t of "attack".
    assert_eq!(buffer.find(b"foo", ..12), Some(5));
    assert_eq!(buffer.find(b"foocata", ..12), Some(5));
    assert_eq!(buffer.find(b"foocatat", ..12), None);
    assert_eq!(buffer.find(b"ack", ..12), None);

    // Up to the last byte.
    assert_eq!(buffer.find(b"attack", ..17), Some(11));
    assert_eq!(buffer.find(b"attack", 11..17), Some(11));
    assert_eq!(buffer.find(b"attack", 17..17), None);
    assert_eq!(buffer.find(b"attack", 17..), None);
}
