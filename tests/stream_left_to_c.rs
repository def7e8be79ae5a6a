//! Streams that libevent itself reads, because C code works on them too.
#![cfg(unix)]

mod common;

use common::bounded;
use libevent2::EventBase;
use libevent2::stream::{BufferEvent, Callbacks};
use std::cell::Cell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// 2.1 reads 4096 bytes in a turn, whatever it is told.
#[test]
fn what_c_reads_in_a_turn_is_as_much_as_its_version_can() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let message = vec![b'x'; 40 * 1024];
    let first = Rc::new(Cell::new(0));
    let seen = Rc::clone(&first);
    let stream = BufferEvent::from_socket(
        &base,
        ours,
        Callbacks::new().on_read(move |stream| {
            if seen.get() == 0 {
                seen.set(stream.input().len());
            }
            if stream.input().len() == 40 * 1024 {
                stream.close();
            }
        }),
    )
    .unwrap();
    assert!(!stream.as_ptr().is_null());
    theirs.write_all(&message).unwrap();
    base.run().unwrap();
    let expected = if cfg!(libevent_2_2) {
        message.len()
    } else {
        4096
    };
    assert_eq!(first.get(), expected);
}
