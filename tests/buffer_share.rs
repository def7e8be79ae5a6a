//! Buffers: bytes that they refer to. Every owner is dropped exactly once, on every path.

#[path = "common/mod.rs"]
mod common;

use common::bounded;
use libevent2::buffer::{End, SharedBuffer};
use libevent2::{Buffer, Error};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Bytes that count how often they were dropped, with the bytes inside the value.
struct Counted {
    bytes: [u8; 5],
    dropped: Arc<AtomicUsize>,
}

impl Counted {
    fn new(dropped: &Arc<AtomicUsize>) -> Self {
        Counted {
            bytes: *b"bytes",
            dropped: dropped.clone(),
        }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}

fn count(counter: &Arc<AtomicUsize>) -> usize {
    counter.load(Ordering::SeqCst)
}

#[test]
fn an_owner_is_not_copied() {
    let _watchdog = bounded();
    let bytes = vec![1, 2, 3];
    let address = bytes.as_ptr();
    let mut buffer = Buffer::new();
    buffer.append_shared(bytes).unwrap();
    assert_eq!(buffer.chunks().next().unwrap().as_ptr(), address);
    let text: &'static [u8] = b"static";
    buffer.append_static(text).unwrap();
    assert_eq!(buffer.chunks().nth(1).unwrap().as_ptr(), text.as_ptr());
}

#[test]
fn an_owner_is_dropped_when_its_last_byte_is_taken() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::new();
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    buffer.append(b"behind").unwrap();
    buffer.drain(4).unwrap();
    assert_eq!(count(&dropped), 0);
    buffer.remove(&mut [0; 1]).unwrap();
    assert_eq!(count(&dropped), 1);
    assert_eq!(buffer, "behind");
    drop(buffer);
    assert_eq!(count(&dropped), 1);
}

#[test]
fn an_owner_is_dropped_with_its_buffer() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::new();
    for _ in 0..3 {
        buffer.append_shared(Counted::new(&dropped)).unwrap();
    }
    assert_eq!(count(&dropped), 0);
    drop(buffer);
    assert_eq!(count(&dropped), 3);
}

#[test]
fn an_owner_is_dropped_when_its_bytes_were_joined() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::from("before ");
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    assert_eq!(buffer.make_contiguous(12).unwrap(), b"before bytes");
    assert_eq!(count(&dropped), 1);
    assert_eq!(buffer, "before bytes");
}

#[test]
fn an_owner_is_dropped_when_it_is_refused() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::new();
    buffer.freeze(End::Back);
    let error = buffer.append_shared(Counted::new(&dropped)).unwrap_err();
    assert!(matches!(error, Error::Frozen { .. }), "{error:?}");
    assert_eq!(count(&dropped), 1);
    drop(buffer);
    assert_eq!(count(&dropped), 1);
}

#[test]
fn an_owner_without_bytes_is_dropped_at_once() {
    let _watchdog = bounded();
    struct Empty(Arc<AtomicUsize>);
    impl AsRef<[u8]> for Empty {
        fn as_ref(&self) -> &[u8] {
            &[]
        }
    }
    impl Drop for Empty {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = counter();
    let mut buffer = Buffer::from("x");
    buffer.append_shared(Empty(dropped.clone())).unwrap();
    assert_eq!(count(&dropped), 1);
    buffer.prepend(b"y").unwrap();
    assert_eq!(buffer, "yx");
}

#[test]
fn an_owner_moves_from_buffer_to_buffer_and_thread_to_thread() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut first = Buffer::from("front ");
    first.append_shared(Counted::new(&dropped)).unwrap();
    let mut second = Buffer::new();
    second.append_buffer(&mut first).unwrap();
    drop(first);
    let mut third = Buffer::new();
    // The front is cut out of a chunk, the owner's bytes move as a whole.
    second.move_to(&mut third, 2).unwrap();
    second.move_to(&mut third, 9).unwrap();
    drop(second);
    assert_eq!(third, "front bytes");
    assert_eq!(count(&dropped), 0);
    thread::spawn(move || drop(third)).join().unwrap();
    assert_eq!(count(&dropped), 1);
}

#[test]
fn a_part_of_an_owners_bytes_moves_by_a_copy() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut first = Buffer::new();
    first.append_shared(Counted::new(&dropped)).unwrap();
    let second = first.split_to(2).unwrap();
    assert_eq!(second, "by");
    assert_eq!(first, "tes");
    drop(first);
    assert_eq!(count(&dropped), 1);
    assert_eq!(second, "by");
}

#[test]
fn an_owner_is_asked_once_where_it_stays() {
    let _watchdog = bounded();
    /// Gives other bytes each time.
    struct Fickle {
        asked: Cell<usize>,
        bytes: [u8; 3],
        address: Arc<AtomicUsize>,
    }
    impl AsRef<[u8]> for Fickle {
        fn as_ref(&self) -> &[u8] {
            let asked = self.asked.replace(self.asked.get() + 1);
            self.address
                .store(self.bytes.as_ptr() as usize, Ordering::SeqCst);
            &self.bytes[..3 - asked]
        }
    }
    impl Drop for Fickle {
        fn drop(&mut self) {
            assert_eq!(self.asked.get(), 1);
            assert_eq!(
                self.bytes.as_ptr() as usize,
                self.address.load(Ordering::SeqCst)
            );
        }
    }
    let mut buffer = Buffer::new();
    let fickle = Fickle {
        asked: Cell::new(0),
        bytes: [1, 2, 3],
        address: counter(),
    };
    buffer.append_shared(fickle).unwrap();
    assert_eq!(buffer, [1, 2, 3]);
    assert_eq!(buffer.len(), 3);
    buffer.clear().unwrap();
}

#[test]
fn an_owner_that_panics_when_asked_is_dropped() {
    let _watchdog = bounded();
    struct Panics(#[allow(dead_code, reason = "dropped")] Counted);
    impl AsRef<[u8]> for Panics {
        fn as_ref(&self) -> &[u8] {
            panic!("no bytes today")
        }
    }
    let dropped = counter();
    let mut buffer = Buffer::from("x");
    let owner = Panics(Counted::new(&dropped));
    let result = catch_unwind(AssertUnwindSafe(|| buffer.append_shared(owner)));
    assert!(result.is_err());
    assert_eq!(count(&dropped), 1);
    assert_eq!(buffer, "x");
}

/// An owner that does something when it is dropped.
struct Then<F: FnMut()>(F);

impl<F: FnMut()> AsRef<[u8]> for Then<F> {
    fn as_ref(&self) -> &[u8] {
        b"then"
    }
}

impl<F: FnMut()> Drop for Then<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_panic_of_an_owners_drop_comes_out_of_the_call() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::new();
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    buffer.append_shared(Then(|| panic!("first"))).unwrap();
    buffer.append_shared(Then(|| panic!("second"))).unwrap();
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    buffer.append(b"rest").unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| buffer.drain(18)));
    assert_eq!(
        result.unwrap_err().downcast_ref::<&str>().copied(),
        Some("first")
    );
    // All of them were dropped, and the buffer did what it was told.
    assert_eq!(count(&dropped), 2);
    assert_eq!(buffer, "rest");
    buffer.append(b"!").unwrap();
    assert_eq!(buffer, "rest!");
}

#[test]
fn a_panic_of_an_owners_drop_comes_out_of_the_buffers_drop() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::new();
    let counted = Counted::new(&dropped);
    buffer.on_change(move |_| assert_eq!(counted.as_ref().len(), 5));
    buffer.append_shared(Then(|| panic!("on purpose"))).unwrap();
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| drop(buffer)));
    assert!(result.is_err());
    assert_eq!(count(&dropped), 2);
}

#[test]
fn an_owners_drop_may_use_other_buffers() {
    let _watchdog = bounded();
    let dropped = counter();
    let other = Arc::new(Mutex::new(Buffer::new()));
    other
        .lock()
        .unwrap()
        .append_shared(Counted::new(&dropped))
        .unwrap();
    let mut buffer = Buffer::new();
    let in_drop = other.clone();
    buffer
        .append_shared(Then(move || {
            let mut other = in_drop.lock().unwrap();
            other.clear().unwrap();
            other.append(b"from a drop").unwrap();
        }))
        .unwrap();
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    buffer.clear().unwrap();
    assert_eq!(count(&dropped), 2);
    assert_eq!(*other.lock().unwrap(), "from a drop");
}

#[test]
fn an_owner_may_hold_a_buffer() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut inner = Buffer::new();
    inner.append_shared(Counted::new(&dropped)).unwrap();
    let mut outer = Buffer::new();
    outer
        .append_shared(Then(move || inner.clear().unwrap()))
        .unwrap();
    drop(outer);
    assert_eq!(count(&dropped), 1);
}

#[test]
fn an_owner_is_dropped_by_a_thread_that_ends() {
    let _watchdog = bounded();
    thread_local! {
        static KEPT: Cell<Option<Buffer>> = const { Cell::new(None) };
    }
    let dropped = counter();
    // Whether the thread had dropped an owner before it kept one, or after, or not at all.
    for (before, after) in [(false, false), (true, false), (false, true)] {
        let counted = Counted::new(&dropped);
        let drop_one = || Buffer::from(vec![1]).clear().unwrap();
        let thread = thread::spawn(move || {
            if before {
                drop_one();
            }
            let mut buffer = Buffer::new();
            buffer.append_shared(counted).unwrap();
            KEPT.set(Some(buffer));
            if after {
                drop_one();
            }
        });
        thread.join().unwrap();
    }
    // What a thread keeps is dropped after `join` has returned, at times.
    while count(&dropped) < 3 {
        thread::yield_now();
    }
}

#[test]
fn shared_bytes_stay_until_the_last_reference_is_gone() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::from("some ");
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    let shared = SharedBuffer::from(buffer);
    assert_eq!(shared.len(), 10);
    assert!(!shared.is_empty());
    assert_eq!(shared.to_vec(), b"some bytes");
    assert_eq!(shared.chunks().count(), 2);
    assert!(format!("{shared:?}").contains("10"));

    let mut outputs = [Buffer::from("1: "), Buffer::from("2: "), Buffer::new()];
    for output in &mut outputs {
        output.append_shared_buffer(&shared).unwrap();
    }
    let other = shared.clone();
    drop(shared);
    assert_eq!(outputs[0], "1: some bytes");
    assert_eq!(outputs[1], "2: some bytes");
    assert_eq!(outputs[2], "some bytes");
    drop(other);
    let [mut first, second, third] = outputs;
    drop((second, third));
    assert_eq!(count(&dropped), 0);
    first.clear().unwrap();
    assert_eq!(count(&dropped), 1);
}

#[test]
fn nobody_writes_into_shared_bytes() {
    let _watchdog = bounded();
    // C's own sharing gives two buffers the same spare memory to write to.
    let mut source = Buffer::new();
    source.append(b"shared").unwrap();
    let mut one = Buffer::new();
    let mut two = Buffer::new();
    one.append_buffer_reference(&mut source).unwrap();
    two.append_buffer_reference(&mut source).unwrap();
    one.append(b" 1111").unwrap();
    two.append(b" 2222").unwrap();
    source.append(b" 3333").unwrap();
    assert_eq!(one.make_contiguous(usize::MAX).unwrap(), b"shared 1111");
    assert_eq!(two.make_contiguous(usize::MAX).unwrap(), b"shared 2222");
    assert_eq!(source.make_contiguous(usize::MAX).unwrap(), b"shared 3333");
    one.prepend(b"<").unwrap();
    assert_eq!(one, "<shared 1111");
    assert_eq!(two, "shared 2222");
}

#[test]
fn a_buffer_that_is_shared_keeps_its_bytes_without_a_copy() {
    let _watchdog = bounded();
    let mut source = Buffer::from("own");
    source.append_static(b"static").unwrap();
    let addresses: Vec<_> = source.chunks().map(<[u8]>::as_ptr).collect();
    let shared = source.share().unwrap();
    let mut target = Buffer::from("before ");
    target.append_shared_buffer(&shared).unwrap();
    assert_eq!(source, "ownstatic");
    assert_eq!(target, "before ownstatic");
    for buffer in [&source, &target] {
        let chunks: Vec<_> = buffer.chunks().map(<[u8]>::as_ptr).collect();
        assert!(chunks.ends_with(&addresses));
    }
    drop((source, shared));
    assert_eq!(target, "before ownstatic");
}

#[test]
fn space_reserved_in_the_target_is_no_harm() {
    let _watchdog = bounded();
    // CVE-2026-63381: C left a pointer to a freed chunk.
    let mut source = Buffer::from("shared");
    let mut target = Buffer::new();
    target.reserve(4096).unwrap();
    target.append_buffer_reference(&mut source).unwrap();
    target.append(b" and more").unwrap();
    assert_eq!(target, "shared and more");
}

#[test]
fn shared_bytes_are_read_by_many_threads() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::from("text ");
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    let shared = SharedBuffer::from(buffer);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let shared = shared.clone();
            thread::spawn(move || {
                for _ in 0..100 {
                    let mut buffer = Buffer::new();
                    buffer.append_shared_buffer(&shared).unwrap();
                    assert_eq!(buffer, "text bytes");
                    assert_eq!(shared, "text bytes");
                }
            })
        })
        .collect();
    drop(shared);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(count(&dropped), 1);
}

#[test]
fn very_many_layers_of_sharing_end_one_after_the_other() {
    let _watchdog = bounded();
    let dropped = counter();
    let mut buffer = Buffer::new();
    buffer.append_shared(Counted::new(&dropped)).unwrap();
    for _ in 0..100_000 {
        buffer.share().unwrap();
    }
    assert_eq!(buffer, "bytes");
    // On a small stack, which dropping them nested would overflow.
    let small = thread::Builder::new().stack_size(64 * 1024);
    small.spawn(move || drop(buffer)).unwrap().join().unwrap();
    assert_eq!(count(&dropped), 1);
}
