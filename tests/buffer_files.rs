//! Buffers: descriptors, and pieces of files.

#![cfg(unix)]

#[path = "common/mod.rs"]
mod common;

use common::bounded;
use libevent2::buffer::{End, FileSegment};
use libevent2::{Buffer, Error};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A file without a name, with `bytes` in it.
fn file(bytes: &[u8]) -> File {
    // SAFETY: the stream is closed once; the descriptor that is left is nobody else's.
    let mut file = unsafe {
        let stream = libc::tmpfile();
        assert!(!stream.is_null());
        let fd = libc::dup(libc::fileno(stream));
        libc::fclose(stream);
        File::from_raw_fd(fd)
    };
    file.write_all(bytes).unwrap();
    file
}

fn pair() -> (UnixStream, UnixStream) {
    let (one, two) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    two.set_nonblocking(true).unwrap();
    (one, two)
}

#[test]
fn reading_ends_at_the_maximum_and_not_at_4096() {
    let _watchdog = bounded();
    let (mut one, two) = pair();
    let bytes: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
    one.write_all(&bytes).unwrap();
    let mut buffer = Buffer::from("before ");
    assert_eq!(buffer.read_from(&two, 10).unwrap(), 10);
    assert_eq!(buffer.len(), 17);
    assert_eq!(buffer.read_from(&two, 15_000).unwrap(), 15_000);
    assert_eq!(buffer.read_from(&two, 0).unwrap(), 0);
    assert_eq!(buffer.read_from(&two, usize::MAX >> 33).unwrap(), 4990);
    assert_eq!(buffer, [b"before ", &bytes[..]].concat());
}

#[test]
fn many_reads_of_all_sizes_lose_nothing() {
    let _watchdog = bounded();
    let mut file = file(&[]);
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n * 7 / 3) as u8).collect();
    file.write_all(&bytes).unwrap();
    file.rewind().unwrap();
    let mut buffer = Buffer::new();
    let mut all = Vec::new();
    for size in (1..5000).step_by(37).cycle() {
        let n = buffer.read_from(&file, size).unwrap();
        assert!(n <= size);
        if n == 0 {
            break;
        }
        if size % 3 == 0 {
            all.extend(buffer.split_to(size / 2).unwrap().to_vec());
        }
    }
    all.extend(buffer.to_vec());
    assert_eq!(all, bytes);
}

#[test]
fn an_empty_socket_would_block_and_a_closed_one_ends() {
    let _watchdog = bounded();
    let (one, two) = pair();
    let mut buffer = Buffer::from("x");
    let error = buffer.read_from(&two, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(one);
    assert_eq!(buffer.read_from(&two, 100).unwrap(), 0);
    assert_eq!(buffer, "x");
}

#[test]
fn a_directory_cannot_be_read() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let directory = File::open("/").unwrap();
    let error = buffer.read_from(&directory, 100).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
}

#[test]
fn frozen_ends_neither_read_nor_write() {
    let _watchdog = bounded();
    let (mut one, mut two) = pair();
    one.write_all(b"abc").unwrap();
    let mut buffer = Buffer::from("x");
    buffer.freeze(End::Back);
    buffer.freeze(End::Front);
    for error in [
        buffer.read_from(&two, 100).unwrap_err(),
        buffer.write_to(&two, 100).unwrap_err(),
    ] {
        let inner = error.get_ref().unwrap().downcast_ref::<Error>();
        assert!(matches!(inner, Some(Error::Frozen { .. })), "{error:?}");
    }
    let mut bytes = [0; 3];
    two.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"abc");
}

#[test]
fn writing_drops_what_was_written() {
    let _watchdog = bounded();
    let (one, mut two) = pair();
    let mut buffer = Buffer::from("abc");
    buffer.append_static(b"def").unwrap();
    assert_eq!(buffer.write_to(&one, 0).unwrap(), 0);
    assert_eq!(buffer.write_to(&one, 4).unwrap(), 4);
    assert_eq!(buffer, "ef");
    assert_eq!(buffer.write_to(&one, usize::MAX).unwrap(), 2);
    assert_eq!(buffer.write_to(&one, usize::MAX).unwrap(), 0);
    let mut bytes = [0; 6];
    two.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"abcdef");
}

#[test]
fn a_full_socket_would_block_and_keeps_the_rest() {
    let _watchdog = bounded();
    let (one, mut two) = pair();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|n| n as u8).collect();
    let mut buffer = Buffer::from(bytes.clone());
    let mut got = Vec::new();
    loop {
        match buffer.write_to(&one, usize::MAX) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                let end = two.read_to_end(&mut got).unwrap_err();
                assert_eq!(end.kind(), ErrorKind::WouldBlock);
            }
        }
    }
    drop(one);
    two.read_to_end(&mut got).unwrap();
    assert!(got == bytes);
}

#[test]
fn a_peer_that_is_gone_is_an_error_and_the_bytes_stay() {
    let _watchdog = bounded();
    let (one, two) = pair();
    drop(two);
    let mut buffer = Buffer::from("abc");
    let error = buffer.write_to(&one, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(buffer, "abc");
}

#[test]
fn parts_of_a_segment_are_added() {
    let _watchdog = bounded();
    let segment = FileSegment::new(file(b"0123456789"), 2..8).unwrap();
    assert_eq!(segment.len(), 6);
    assert!(!segment.is_empty());
    let mut buffer = Buffer::from(">");
    buffer.append_segment(&segment, ..).unwrap();
    buffer.append_segment(&segment, 1..3).unwrap();
    buffer.append_segment(&segment, ..=0).unwrap();
    buffer.append_segment(&segment, 5..).unwrap();
    buffer.append_segment(&segment, 6..6).unwrap();
    assert_eq!(buffer, ">2345673427");
    let shown = format!("{segment:?}");
    assert!(
        shown.contains("start: 2") && shown.contains("len: 6"),
        "{shown}"
    );
}

#[test]
fn a_segment_may_be_all_or_nothing_of_a_file() {
    let _watchdog = bounded();
    let segment = FileSegment::new(OwnedFd::from(file(b"abc")), 0..3).unwrap();
    let mut buffer = Buffer::new();
    buffer.append_segment(&segment, ..).unwrap();
    assert_eq!(buffer, "abc");
    let nothing = FileSegment::new(file(b"abc"), 3..3).unwrap();
    assert!(nothing.is_empty());
    buffer.append_segment(&nothing, ..).unwrap();
    let empty = FileSegment::new(file(b""), 0..0).unwrap();
    buffer.append_segment(&empty, 0..0).unwrap();
    assert_eq!(buffer, "abc");
}

#[test]
#[allow(clippy::reversed_empty_ranges, reason = "what is tested")]
fn bytes_that_a_file_does_not_have_are_refused() {
    let _watchdog = bounded();
    for range in [0..11, 11..11, 5..4, 11..12, 0..u64::MAX, u64::MAX..u64::MAX] {
        let error = FileSegment::new(file(b"0123456789"), range.clone()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&range.end.to_string()), "{text}");
        assert!(text.contains("10 bytes"), "{text}");
    }
    let segment = FileSegment::new(file(b"0123456789"), 2..6).unwrap();
    let mut buffer = Buffer::new();
    for range in [0..5, 5..5, 3..2, 0..u64::MAX] {
        let error = buffer.append_segment(&segment, range).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(error.to_string().contains("4 bytes"), "{error}");
    }
    buffer.append_segment(&segment, ..=u64::MAX).unwrap_err();
    buffer.append_segment(&segment, 5..).unwrap_err();
    assert!(buffer.is_empty());
}

#[test]
fn only_regular_files_have_segments() {
    let _watchdog = bounded();
    let (one, _two) = pair();
    for file in [
        File::open("/dev/null").unwrap(),
        File::open("/").unwrap(),
        File::from(OwnedFd::from(one)),
    ] {
        let error = FileSegment::new(file, 0..0).unwrap_err();
        assert!(error.to_string().contains("regular file"), "{error}");
    }
}

#[test]
fn a_file_that_became_shorter_is_an_error() {
    let _watchdog = bounded();
    let file = file(b"0123456789");
    let segment = FileSegment::new(file.try_clone().unwrap(), 0..10).unwrap();
    file.set_len(4).unwrap();
    let mut buffer = Buffer::from("x");
    buffer.append_segment(&segment, 0..4).unwrap();
    let error = buffer.append_segment(&segment, 0..10).unwrap_err();
    assert_eq!(error.io().unwrap().kind(), ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("0 to 10"), "{error}");
    assert_eq!(buffer, "x0123");
}

#[test]
fn what_was_added_stays_when_the_file_changes() {
    let _watchdog = bounded();
    let mut file = file(b"before");
    let segment = FileSegment::new(file.try_clone().unwrap(), 0..6).unwrap();
    let mut buffer = Buffer::new();
    buffer.append_segment(&segment, ..).unwrap();
    file.rewind().unwrap();
    file.write_all(b"behind").unwrap();
    file.set_len(0).unwrap();
    assert_eq!(buffer, "before");
}

#[test]
fn the_position_in_the_file_stays() {
    let _watchdog = bounded();
    let mut file = file(b"0123456789");
    file.seek(std::io::SeekFrom::Start(3)).unwrap();
    let segment = FileSegment::new(file.try_clone().unwrap(), 0..10).unwrap();
    Buffer::new().append_segment(&segment, 5..7).unwrap();
    assert_eq!(file.stream_position().unwrap(), 3);
}

#[test]
fn a_frozen_end_takes_no_segment() {
    let _watchdog = bounded();
    let segment = FileSegment::new(file(b"abc"), 0..3).unwrap();
    let mut buffer = Buffer::new();
    buffer.freeze(End::Back);
    let error = buffer.append_segment(&segment, ..).unwrap_err();
    assert!(matches!(error, Error::Frozen { .. }), "{error:?}");
}

#[test]
fn a_segment_is_released_once_with_its_last_part() {
    let _watchdog = bounded();
    let released = Arc::new(());
    let segment = FileSegment::new(file(b"abc"), 0..3).unwrap();
    segment.on_release(|| panic!("another one took its place"));
    let captured = released.clone();
    segment.on_release(move || drop(captured));
    let mut buffer = Buffer::new();
    buffer.append_segment(&segment, ..).unwrap();
    drop(segment);
    assert_eq!(Arc::strong_count(&released), 2);
    buffer.drain(2).unwrap();
    assert_eq!(Arc::strong_count(&released), 2);
    buffer.drain(1).unwrap();
    assert_eq!(Arc::strong_count(&released), 1);
}

#[test]
fn a_segment_that_nothing_was_added_of_is_released_by_its_drop() {
    let _watchdog = bounded();
    let (sender, released) = std::sync::mpsc::channel();
    let segment = FileSegment::new(file(b"abc"), 0..3).unwrap();
    segment.on_release(move || sender.send(()).unwrap());
    assert!(released.try_recv().is_err());
    drop(segment);
    assert_eq!(released.iter().count(), 1);
}

#[test]
fn a_release_that_panics_does_so_out_of_the_call() {
    let _watchdog = bounded();
    let segment = FileSegment::new(file(b"abc"), 0..3).unwrap();
    segment.on_release(|| panic!("on purpose"));
    let mut buffer = Buffer::new();
    buffer.append_segment(&segment, ..).unwrap();
    buffer.append(b"d").unwrap();
    drop(segment);
    assert!(catch_unwind(AssertUnwindSafe(|| buffer.drain(3))).is_err());
    assert_eq!(buffer, "d");
}
