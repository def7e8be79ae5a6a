//! Buffers: being told what changes.

#[path = "common/mod.rs"]
mod common;

use common::bounded;
use libevent2::buffer::Change;
use libevent2::{Buffer, Error};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

type Seen = Arc<Mutex<Vec<Change>>>;

fn watch(buffer: &mut Buffer) -> Seen {
    let seen = Seen::default();
    let changes = seen.clone();
    buffer.on_change(move |change| changes.lock().unwrap().push(change));
    seen
}

fn change(before: usize, added: usize, deleted: usize) -> Change {
    Change {
        before,
        added,
        deleted,
    }
}

fn taken(seen: &Seen) -> Vec<Change> {
    std::mem::take(&mut seen.lock().unwrap())
}

#[test]
fn every_way_of_changing_a_buffer_is_told() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let seen = watch(&mut buffer);
    buffer.append(b"12345").unwrap();
    assert_eq!(taken(&seen), [change(0, 5, 0)]);
    buffer.prepend(b"0").unwrap();
    assert_eq!(taken(&seen), [change(5, 1, 0)]);
    buffer.append_static(b"67").unwrap();
    assert_eq!(taken(&seen), [change(6, 2, 0)]);
    buffer.append_shared(vec![b'8']).unwrap();
    assert_eq!(taken(&seen), [change(8, 1, 0)]);
    buffer.append_buffer(&mut Buffer::from("9\n")).unwrap();
    assert_eq!(taken(&seen), [change(9, 2, 0)]);
    buffer.drain(3).unwrap();
    assert_eq!(taken(&seen), [change(11, 0, 3)]);
    buffer.remove(&mut [0; 2]).unwrap();
    assert_eq!(taken(&seen), [change(8, 0, 2)]);
    buffer.read_line(libevent2::buffer::Eol::Lf).unwrap();
    assert_eq!(taken(&seen), [change(6, 0, 6)]);
    buffer.append_with(3, |space| space.len()).unwrap();
    assert_eq!(taken(&seen), [change(0, 3, 0)]);
    buffer.move_to(&mut Buffer::new(), 1).unwrap();
    assert_eq!(taken(&seen), [change(3, 0, 1)]);
    buffer.write_all(b"x").unwrap();
    assert_eq!(taken(&seen), [change(2, 1, 0)]);
    buffer.clear().unwrap();
    assert_eq!(taken(&seen), [change(3, 0, 3)]);
}

#[test]
fn what_changes_nothing_is_not_told() {
    let _watchdog = bounded();
    let mut buffer = Buffer::from("text");
    buffer.append_static(b" more").unwrap();
    let seen = watch(&mut buffer);
    buffer.append(b"").unwrap();
    buffer.drain(0).unwrap();
    buffer.reserve(10_000).unwrap();
    buffer.make_contiguous(usize::MAX).unwrap();
    buffer.find(b"x", ..);
    buffer.append_with(5, |_| 0).unwrap();
    buffer.freeze(libevent2::buffer::End::Back);
    buffer.append(b"x").unwrap_err();
    assert_eq!(taken(&seen), []);
}

#[test]
fn both_sides_of_a_move_are_told() {
    let _watchdog = bounded();
    let mut from = Buffer::from("12345");
    let mut to = Buffer::from("0");
    let (from_seen, to_seen) = (watch(&mut from), watch(&mut to));
    from.move_to(&mut to, 2).unwrap();
    assert_eq!(taken(&from_seen), [change(5, 0, 2)]);
    assert_eq!(taken(&to_seen), [change(1, 2, 0)]);
    to.append_buffer(&mut from).unwrap();
    assert_eq!(taken(&from_seen), [change(3, 0, 3)]);
    assert_eq!(taken(&to_seen), [change(3, 3, 0)]);
}

#[test]
fn several_callbacks_are_called_the_latest_first() {
    let _watchdog = bounded();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut buffer = Buffer::new();
    for name in ["first", "second", "third"] {
        let order = order.clone();
        buffer.on_change(move |_| order.lock().unwrap().push(name));
    }
    buffer.append(b"x").unwrap();
    assert_eq!(*order.lock().unwrap(), ["third", "second", "first"]);
}

#[test]
fn a_removed_callback_is_dropped_and_not_called() {
    let _watchdog = bounded();
    let held = Arc::new(());
    let mut buffer = Buffer::new();
    let captured = held.clone();
    let id = buffer.on_change(move |_| panic!("{captured:?} is gone"));
    let seen = watch(&mut buffer);
    assert_eq!(Arc::strong_count(&held), 2);
    buffer.remove_change(id).unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
    buffer.append(b"x").unwrap();
    assert_eq!(taken(&seen).len(), 1);
    let error = buffer.remove_change(id).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    buffer.enable_change(id, true).unwrap_err();
}

#[test]
fn a_callback_of_another_buffer_is_not_removed() {
    let _watchdog = bounded();
    let mut one = Buffer::new();
    let mut two = Buffer::new();
    let id = one.on_change(|_| ());
    two.on_change(|_| ());
    two.remove_change(id).unwrap_err();
    two.enable_change(id, false).unwrap_err();
    one.remove_change(id).unwrap();
}

#[test]
fn a_callback_is_switched_off_and_on() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let id = buffer.on_change(move |change| *counted.lock().unwrap() += change.added);
    buffer.enable_change(id, false).unwrap();
    buffer.append(b"missed").unwrap();
    assert_eq!(*count.lock().unwrap(), 0);
    buffer.enable_change(id, true).unwrap();
    buffer.append(b"seen").unwrap();
    assert_eq!(*count.lock().unwrap(), 4);
}

#[test]
fn a_panic_comes_out_of_the_call_whose_work_is_done() {
    let _watchdog = bounded();
    let mut buffer = Buffer::new();
    let seen = watch(&mut buffer);
    buffer.on_change(|change| assert!(change.added != 3, "three"));
    let result = catch_unwind(AssertUnwindSafe(|| buffer.append(b"123")));
    assert!(result.is_err());
    // The other one was told, and the one that panicked is called again.
    assert_eq!(taken(&seen), [change(0, 3, 0)]);
    assert_eq!(buffer, "123");
    buffer.append(b"4").unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| buffer.append(b"567")));
    assert!(result.is_err());
    assert_eq!(buffer, "1234567");
}

#[test]
fn a_callback_may_change_other_buffers() {
    let _watchdog = bounded();
    let log = Arc::new(Mutex::new(Buffer::new()));
    let log_seen = watch(&mut log.lock().unwrap());
    let mut buffer = Buffer::new();
    let writer = log.clone();
    buffer.on_change(move |change| {
        let line = format!("+{} ", change.added);
        writer.lock().unwrap().append(line.as_bytes()).unwrap();
    });
    buffer.append(b"12").unwrap();
    buffer.append(b"3").unwrap();
    assert_eq!(*log.lock().unwrap(), "+2 +1 ");
    assert_eq!(taken(&log_seen).len(), 2);
}

#[test]
fn a_callback_that_is_running_is_told_of_the_next_change_afterwards() {
    let _watchdog = bounded();
    // One call changes a buffer twice, and the first change makes all others be told at once.
    let mut target = Buffer::new();
    let nested = Arc::new(Mutex::new(0_usize));
    let depth = nested.clone();
    target.on_change(move |_| {
        let mut depth = depth.try_lock().expect("not called inside itself");
        *depth += 1;
        Buffer::from(vec![1]).clear().unwrap();
    });
    let mut source = Buffer::from("bytes");
    target.append_buffer_reference(&mut source).unwrap();
    target.share().unwrap();
    assert_eq!(*nested.lock().unwrap(), 3);
}

#[test]
fn callbacks_are_dropped_with_the_buffer_on_any_thread() {
    let _watchdog = bounded();
    let held = Arc::new(());
    let mut buffer = Buffer::new();
    for _ in 0..3 {
        let captured = held.clone();
        buffer.on_change(move |_| drop(captured.clone()));
    }
    buffer.append(b"x").unwrap();
    assert_eq!(Arc::strong_count(&held), 4);
    std::thread::spawn(move || {
        buffer.append(b"y").unwrap();
        drop(buffer);
    })
    .join()
    .unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn callbacks_are_dropped_when_the_buffer_is_given_away() {
    let _watchdog = bounded();
    let held = Arc::new(());
    let mut buffer = Buffer::from("x");
    let captured = held.clone();
    buffer.on_change(move |_| drop(captured.clone()));
    let shared = libevent2::buffer::SharedBuffer::from(buffer);
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(shared, "x");
}
