//! libevent's own regress cases (test/regress_buffer.c): changes, and frozen ends.
//! The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::bounded;
use libevent2::buffer::{ChangeId, End, Eol, FileSegment};
use libevent2::{Buffer, Error};
use regress::pair;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};

type Log = Arc<Mutex<String>>;

fn logged(buffer: &mut Buffer) -> (ChangeId, Log) {
    let log = Log::default();
    let out = log.clone();
    let id = buffer.on_change(move |change| {
        let after = change.before + change.added - change.deleted;
        *out.lock().unwrap() += &format!("{}->{after}; ", change.before);
    });
    (id, log)
}

fn is(log: &Log, expected: &str) {
    assert_eq!(*log.lock().unwrap(), expected);
}

#[test]
fn callbacks() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let (one, log1) = logged(&mut buffer);
    let (two, log2) = logged(&mut buffer);

    write!(buffer, "The {} magic words are spotty pudding", 2).unwrap();
    buffer.enable_change(two, false).unwrap();
    buffer.drain(10).unwrap();
    buffer.prepend(b"Hello").unwrap();
    buffer.enable_change(two, true).unwrap();
    buffer.append_static(b"Goodbye").unwrap();
    buffer.remove_change(one).unwrap();
    buffer.drain(38).unwrap();
    assert!(buffer.remove_change(one).is_err());
    buffer.append(b"X").unwrap();
    buffer.remove_change(two).unwrap();
    buffer.append(b"Y").unwrap();
    is(&log1, "0->36; 36->26; 26->31; 31->38; ");
    is(&log2, "0->36; 31->38; 38->0; 0->1; ");
    assert_eq!(Arc::strong_count(&log1), 1);
    assert_eq!(Arc::strong_count(&log2), 1);
    buffer.clear().unwrap();

    // What reacts to a change does so when the call is done.
    let (_, log) = logged(&mut buffer);
    buffer
        .append(b"This should get drained right away.")
        .unwrap();
    is(&log, "0->35; ");
    buffer.clear().unwrap();
    is(&log, "0->35; 35->0; ");
}

/// That `result` is an error if and only if the end is frozen.
#[track_caller]
fn refused<T: std::fmt::Debug, E: Into<std::io::Error>>(result: Result<T, E>, frozen: bool) {
    match result.map_err(Into::into) {
        Ok(value) => assert!(!frozen, "{value:?}"),
        Err(error) => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            let is_frozen = matches!(inner, Some(Error::Frozen { .. }));
            assert!(frozen && is_frozen, "{error:?}");
        }
    }
}

fn freeze(end: End) {
    let text = "I've known the wind by water banks to shake\n\
        The late leaves down, which frozen where they fell\n\
        And held in ice as dancers in a spell\n\
        Fluttered all winter long into a lake...";
    let (front, back) = (end == End::Front, end == End::Back);
    let (here, there) = pair();
    let mut buffer = Buffer::from(text);
    let mut two = Buffer::from("abc");
    let mut other = Buffer::from("xyz");
    buffer.freeze(end);
    two.freeze(end);

    // At the end of it.
    let before = buffer.to_vec();
    refused(buffer.append(b"abc"), back);
    let written = buffer.append_with(10, |space| {
        space.fill(b'X');
        10
    });
    refused(written, back);
    refused(buffer.append_static(b"I've "), back);
    refused(buffer.write_all(b"Hello world"), back);
    refused(buffer.append_buffer(&mut other), back);
    let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let segment = FileSegment::new(file, 0..20).unwrap();
    refused(buffer.append_segment(&segment, ..), back);
    if front {
        other.append(b"xyz").unwrap();
    }
    assert_eq!(other.write_to(&*here, usize::MAX).unwrap(), 3);
    refused(buffer.read_from(&*there, 4096), back);
    if back {
        assert_eq!(buffer, before);
        assert_eq!(other.read_from(&*there, 4096).unwrap(), 3);
    } else {
        assert_eq!(buffer.len(), before.len() + 3 + 10 + 5 + 11 + 3 + 20 + 3);
    }

    // At the front of it.
    let before = buffer.to_vec();
    refused(buffer.remove(&mut [0]), front);
    refused(buffer.drain(3), front);
    refused(buffer.prepend(b"dummy"), front);
    refused(buffer.read_line(Eol::Lf), front);
    other.append(b"xyz").unwrap();
    refused(buffer.move_to(&mut other, 3), front);
    refused(buffer.drain(3), front);
    refused(buffer.prepend_buffer(&mut other), front);
    for buffer in [&mut buffer, &mut two] {
        let len = buffer.len();
        match buffer.write_to(&*here, usize::MAX) {
            Ok(written) => assert_eq!((written, front), (len, false)),
            Err(error) => refused(Err::<(), _>(error), front),
        }
    }
    if front {
        assert_eq!(buffer, before);
        assert_eq!(two, "abc");
    }

    buffer.unfreeze(end);
    buffer.append(b"end").unwrap();
    buffer.clear().unwrap();
}

#[test]
fn freeze_start() {
    let _watchdog = bounded();
    freeze(End::Front);
}

#[test]
fn freeze_end() {
    let _watchdog = bounded();
    freeze(End::Back);
}
