//! What only the streams use: pieces of files that the system sends.

#![cfg(unix)]

use super::{Buffer, End, FileSegment};
use crate::{Error, ffi};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;

/// EVBUFFER_FLAG_DRAINS_TO_FD: what the output of a bufferevent over a socket has.
const DRAINS_TO_FD: u64 = 1;

fn output() -> Buffer {
    let buffer = Buffer::new();
    // SAFETY: alive; nothing is in it yet.
    unsafe { ffi::evbuffer_set_flags(buffer.as_ptr(), DRAINS_TO_FD) };
    buffer
}

fn segment() -> (FileSegment, u64) {
    let file = File::open("Cargo.toml").unwrap();
    let len = file.metadata().unwrap().len();
    (FileSegment::new(file, 10..len).unwrap(), len - 10)
}

fn send_all(output: &Buffer) -> Vec<u8> {
    let (one, mut two) = UnixStream::pair().unwrap();
    while !output.is_empty() {
        // SAFETY: the evbuffer is alive, and is written as the flag promises.
        let wrote = unsafe { ffi::evbuffer_write(output.as_ptr(), one.as_raw_fd()) };
        assert!(wrote > 0);
    }
    drop(one);
    let mut got = Vec::new();
    two.read_to_end(&mut got).unwrap();
    got
}

#[test]
fn parts_of_a_segment_are_sent_by_the_system() {
    let (segment, len) = segment();
    let all = std::fs::read("Cargo.toml").unwrap().split_off(10);
    let mut output = output();
    output.append(b"header ").unwrap();
    // SAFETY: as the output of a socket: it is only written.
    unsafe {
        segment.add_to_socket_output(output.as_ptr(), ..).unwrap();
        segment.add_to_socket_output(output.as_ptr(), 5..9).unwrap();
        segment.add_to_socket_output(output.as_ptr(), 5..5).unwrap();
    }
    output.append(b" end").unwrap();
    assert_eq!(output.len() as u64, 7 + len + 4 + 4);
    let expected = [b"header ", &all[..], &all[5..9], b" end"].concat();
    assert_eq!(send_all(&output), expected);
}

#[test]
fn a_segment_is_released_when_the_last_output_is_done() {
    let (segment, _) = segment();
    let (sender, released) = channel();
    segment.on_release(move || sender.send(()).unwrap());
    let (one, two) = (output(), output());
    // SAFETY: as the outputs of sockets: they are only written.
    unsafe {
        segment.add_to_socket_output(one.as_ptr(), 0..3).unwrap();
        segment.add_to_socket_output(two.as_ptr(), 3..6).unwrap();
    }
    drop(segment);
    drop(two);
    assert!(released.try_recv().is_err());
    assert_eq!(send_all(&one).len(), 3);
    drop(one);
    assert_eq!(released.iter().count(), 1);
}

#[test]
fn a_refused_part_leaves_the_segment_usable() {
    let (segment, len) = segment();
    let mut output = output();
    output.freeze(End::Back);
    // SAFETY: as the output of a socket: it is only written.
    let add = |range| unsafe { segment.add_to_socket_output(output.as_ptr(), range) };
    assert!(matches!(add(0..3), Err(Error::Frozen { .. })));
    assert!(matches!(add(0..len + 1), Err(Error::Invalid { .. })));
    output.unfreeze(End::Back);
    // SAFETY: as above.
    unsafe { segment.add_to_socket_output(output.as_ptr(), 0..3) }.unwrap();
    assert_eq!(send_all(&output).len(), 3);
}
