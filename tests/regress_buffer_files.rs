//! libevent's own regress cases (test/regress_buffer.c): pieces of files.
//! The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::bounded;
use libevent2::buffer::FileSegment;
use libevent2::stream::{BufferEvent, Callbacks};
use libevent2::{Buffer, Event, EventBase, Interest};
use regress::pair;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file with these bytes, to write and to read. Its name is gone.
fn file(bytes: &[u8]) -> File {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("libevent2-regress-{}-{number}", process::id());
    let path: PathBuf = std::env::temp_dir().join(name);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    file.write_all(bytes).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

#[test]
fn file_segment_add_cleanup_cb() {
    let _watchdog = bounded();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let segment = FileSegment::new(file(b"file_segment_test_file"), 0..22).unwrap();
    segment.on_release(move || {
        seen.fetch_add(1, Ordering::Relaxed);
    });
    let mut buffer = Buffer::new();
    buffer.append_segment(&segment, ..).unwrap();
    assert_eq!(buffer, b"file_segment_test_file");

    assert_eq!(calls.load(Ordering::Relaxed), 0);
    drop(segment);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    drop(buffer);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

/// How the bytes get from the file to the socket.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// The output of a stream, from which the system sends them.
    Sendfile,
    /// A buffer; the file is empty before any of it is sent.
    Copy,
    /// A buffer.
    Linear,
    /// A buffer; the segment is gone before any of it is sent.
    NoSegment,
}

#[derive(Clone, Copy, PartialEq)]
enum Of {
    Small,
    Big,
}

/// What of the file is a segment, and what of the segment is added.
#[derive(Clone, Copy, PartialEq)]
struct Offsets {
    file: bool,
    segment: bool,
}

const WHOLE: Offsets = Offsets {
    file: false,
    segment: false,
};
const IN_FILE: Offsets = Offsets {
    file: true,
    ..WHOLE
};
const IN_SEGMENT: Offsets = Offsets {
    segment: true,
    ..WHOLE
};
const IN_BOTH: Offsets = Offsets {
    file: true,
    segment: true,
};

/// Sends a piece of a file through a socket, and compares what arrives.
fn add_file(by: By, of: Of, offsets: Offsets) {
    let _watchdog = bounded();
    let data = match of {
        Of::Small => b"here is a relatively small string.".to_vec(),
        Of::Big => {
            let mut state = 123_456_789_u32;
            let random = || {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                (state >> 16) as u8
            };
            std::iter::repeat_with(random).take(512 * 1024).collect()
        }
    };
    let len = data.len();
    let outer = match offsets.file {
        true => len / 4 + 1..len / 4 + len / 2,
        false => 0..len,
    };
    let inner = match offsets.segment {
        true => outer.len() / 3..outer.len() / 3 + outer.len() / 2,
        false => 0..outer.len(),
    };
    let expected = data[outer.clone()][inner.clone()].to_vec();
    assert!(!expected.is_empty());

    let file = file(&data);
    let writable = file.try_clone().unwrap();
    let wide = |range: Range<usize>| range.start as u64..range.end as u64;
    let segment = FileSegment::new(file, wide(outer)).unwrap();

    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    let arrived = receiver(&base, there);
    if by == By::Sendfile {
        let here = Rc::into_inner(here).unwrap();
        let stream = BufferEvent::from_socket(&base, here, Callbacks::new()).unwrap();
        stream
            .output()
            .append_segment(&segment, wide(inner))
            .unwrap();
        assert_eq!(stream.output().len(), expected.len());
        stream.close_when_flushed();
        stream.detach();
        base.run().unwrap();
    } else {
        let mut buffer = Buffer::new();
        buffer.append_segment(&segment, wide(inner)).unwrap();
        assert_eq!(buffer.len(), expected.len());
        let segment = (by != By::NoSegment).then_some(segment);
        if by == By::Copy {
            // A mapping would end the process now.
            writable.set_len(0).unwrap();
        }
        let written = sender(&base, here, buffer);
        base.run().unwrap();
        assert_eq!(written.get(), expected.len());
        drop(segment);
    }
    assert!(arrived.borrow().len() == expected.len());
    assert!(*arrived.borrow_mut().make_contiguous(usize::MAX).unwrap() == *expected);
}

/// Reads to the end of the stream.
fn receiver(base: &EventBase, socket: Rc<UnixStream>) -> Rc<RefCell<Buffer>> {
    let arrived = Rc::new(RefCell::new(Buffer::new()));
    let buffer = arrived.clone();
    let event = Event::new(base, socket, Interest::READ, move |event, _| {
        loop {
            match buffer.borrow_mut().read_from(event.source(), 1024) {
                Ok(0) => return event.remove(),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    return;
                }
            }
        }
    });
    event.unwrap().detach();
    arrived
}

/// Writes what there is, and closes.
fn sender(base: &EventBase, socket: Rc<UnixStream>, buffer: Buffer) -> Rc<Cell<usize>> {
    let written = Rc::new(Cell::new(0));
    let total = written.clone();
    let mut buffer = buffer;
    let event = Event::new(base, socket, Interest::WRITE, move |event, _| {
        while !buffer.is_empty() {
            match buffer.write_to(event.source(), usize::MAX) {
                Ok(n) => total.set(total.get() + n),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    return;
                }
            }
        }
        event.source().shutdown(std::net::Shutdown::Write).unwrap();
        event.remove();
    });
    event.unwrap().detach();
    written
}

#[test]
fn add_file_sendfile() {
    add_file(By::Sendfile, Of::Small, WHOLE);
}

#[test]
fn add_file_mmap() {
    add_file(By::Copy, Of::Small, WHOLE);
}

#[test]
fn add_file_linear() {
    add_file(By::Linear, Of::Small, WHOLE);
}

#[test]
fn add_file_nosegment() {
    add_file(By::NoSegment, Of::Small, WHOLE);
}

#[test]
fn add_big_file_sendfile() {
    add_file(By::Sendfile, Of::Big, WHOLE);
}

#[test]
fn add_big_file_mmap() {
    add_file(By::Copy, Of::Big, WHOLE);
}

#[test]
fn add_big_file_linear() {
    add_file(By::Linear, Of::Big, WHOLE);
}

#[test]
fn add_big_file_nosegment() {
    add_file(By::NoSegment, Of::Big, WHOLE);
}

#[test]
fn add_file_offset_sendfile() {
    add_file(By::Sendfile, Of::Big, IN_FILE);
}

#[test]
fn add_file_offset_mmap() {
    add_file(By::Copy, Of::Big, IN_FILE);
}

#[test]
fn add_file_offset_linear() {
    add_file(By::Linear, Of::Big, IN_FILE);
}

#[test]
fn add_file_offset_nosegment() {
    add_file(By::NoSegment, Of::Big, IN_FILE);
}

#[test]
fn add_file_offset2_sendfile() {
    add_file(By::Sendfile, Of::Big, IN_SEGMENT);
}

#[test]
fn add_file_offset2_mmap() {
    add_file(By::Copy, Of::Big, IN_SEGMENT);
}

#[test]
fn add_file_offset2_linear() {
    add_file(By::Linear, Of::Big, IN_SEGMENT);
}

#[test]
fn add_file_offset3_sendfile() {
    add_file(By::Sendfile, Of::Big, IN_BOTH);
}

#[test]
fn add_file_offset3_mmap() {
    add_file(By::Copy, Of::Big, IN_BOTH);
}

#[test]
fn add_file_offset3_linear() {
    add_file(By::Linear, Of::Big, IN_BOTH);
}
