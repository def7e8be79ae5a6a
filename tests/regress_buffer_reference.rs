//! libevent's own regress cases (test/regress_buffer.c): bytes that belong to somebody else.
//! The whole list, and what is left out, is in docs/regress.md.

mod common;

use common::bounded;
use libevent2::{Buffer, ffi};
use std::fmt::Write;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

static CHUNK1: &[u8] = b"If you have found the answer to such a problem";
static CHUNK2: &[u8] = b"you ought to write it up for publication";

/// Bytes that count how often they are dropped.
struct Counted(&'static [u8], Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted(bytes: &'static [u8]) -> (Counted, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    (Counted(bytes, drops.clone()), drops)
}

fn drops(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

#[track_caller]
fn takes(buffer: &mut Buffer, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    assert_eq!(buffer.remove(&mut bytes).unwrap(), expected.len());
    assert_eq!(bytes, expected.as_bytes());
}

#[test]
fn reference() {
    let _watchdog = bounded();
    static TEXT: &[u8] = b"this is what we add as read-only memory.";
    let (owner, dropped) = counted(TEXT);
    let mut source = Buffer::new();
    let mut target = Buffer::new();
    source.append_shared(owner).unwrap();

    let written = target.append_with(TEXT.len(), |space| {
        let (head, tail) = space.split_at_mut(10);
        assert_eq!(source.remove(head).unwrap(), head.len());
        // Nothing is written in front of what is not ours.
        source.prepend(b"aaaaa").unwrap();
        source.drain(5).unwrap();
        assert_eq!(source.remove(tail).unwrap(), tail.len());
        TEXT.len()
    });
    assert_eq!(written.unwrap(), TEXT.len());
    assert!(source.is_empty());
    assert_eq!(drops(&dropped), 1);
    assert_eq!(target.make_contiguous(TEXT.len()).unwrap(), TEXT);
}

#[test]
fn reference2() {
    let _watchdog = bounded();
    let mut bytes = vec![b'P'; 1024 - 48 - 10];
    let mut buffer = Buffer::from(&bytes[..]);
    buffer.reserve(100).unwrap();
    buffer.append_static(b"2").unwrap();
    write!(buffer, "3").unwrap();
    bytes.extend(b"23");
    assert_eq!(buffer.len(), bytes.len());
    assert_eq!(buffer.make_contiguous(usize::MAX).unwrap(), bytes);
}

#[test]
fn add_reference() {
    let _watchdog = bounded();
    let (owner1, drops1) = counted(CHUNK1);
    let (owner2, drops2) = counted(CHUNK2);
    let mut one = Buffer::new();
    one.append_shared(owner1).unwrap();
    one.append(b", ").unwrap();
    one.append_shared(owner2).unwrap();
    assert_eq!(one.len(), CHUNK1.len() + 2 + CHUNK2.len());
    // It is not a copy.
    assert_eq!(one.chunks().next().unwrap().as_ptr(), CHUNK1.as_ptr());

    takes(&mut one, "If you");
    takes(&mut one, " have");
    one.prepend(b"I have ").unwrap();
    assert!(CHUNK1.starts_with(b"If you"));

    // All but one byte of the first, and that one.
    one.drain(7).unwrap();
    one.drain(CHUNK1.len() - 11 - 1).unwrap();
    assert_eq!(drops(&drops1), 0);
    takes(&mut one, "m");
    assert_eq!((drops(&drops1), drops(&drops2)), (1, 0));

    // The rest of the second goes to another buffer.
    one.drain(6).unwrap();
    let mut two = Buffer::from("I ");
    two.append_buffer(&mut one).unwrap();
    assert_eq!(drops(&drops2), 0);
    takes(&mut two, "I ought to write");
    two.clear().unwrap();
    assert_eq!((drops(&drops1), drops(&drops2)), (1, 1));

    // It goes with its buffer.
    let (owner3, drops3) = counted(b"ketchup bottle");
    one.append(b"You shake and shake the ").unwrap();
    one.append_shared(owner3).unwrap();
    one.append(b". Nothing comes and then a lot'll.").unwrap();
    assert_eq!(drops(&drops3), 0);
    drop(one);
    assert_eq!(drops(&drops3), 1);
}

fn knuth() -> Buffer {
    let mut buffer = Buffer::from(CHUNK1);
    buffer.append(b", ").unwrap();
    buffer.append(CHUNK2).unwrap();
    buffer
}

#[test]
fn multicast() {
    let _watchdog = bounded();
    let mut one = knuth();
    let mut two = Buffer::new();
    two.append_buffer_reference(&mut one).unwrap();
    assert_eq!(one.len(), two.len());
    assert_eq!(one, two.to_vec());
    // The same bytes, not copies of them.
    let starts = [&one, &two].map(|buffer| buffer.chunks().next().unwrap().as_ptr());
    assert_eq!(starts[0], starts[1]);

    // A reference to references: C refuses it.
    let mut three = Buffer::new();
    three.append_buffer_reference(&mut two).unwrap();
    assert_eq!(three, one.to_vec());

    for buffer in [&mut one, &mut two] {
        takes(buffer, "If you");
        takes(buffer, " have");
        // What the others see stays as it is.
        buffer.prepend(b"I have ").unwrap();
    }
    drop(one);
    takes(&mut two, "I have");
    takes(&mut two, "  foun");
    drop(two);
    assert_eq!(three, knuth().to_vec());
}

#[test]
fn multicast_drain() {
    let _watchdog = bounded();
    let mut one = knuth();
    let len = one.len();
    let mut two = Buffer::new();
    two.append_buffer_reference(&mut one).unwrap();
    assert_eq!(two.len(), len);
    assert_eq!(one.drain(len).unwrap(), len);
    assert_eq!(two.len(), len);
    assert_eq!(two.drain(len).unwrap(), len);
    assert!(one.is_empty() && two.is_empty());
}

#[test]
fn multicast_empty_chain() {
    let _watchdog = bounded();
    let mut one = Buffer::from(CHUNK1);
    let mut two = Buffer::new();
    two.append_static(b"").unwrap();
    let raw = two.as_ptr();
    // A chunk without a byte, as C makes it: the safe functions leave it out.
    // SAFETY: alive; there is nothing that could be referred to.
    let code = unsafe { ffi::evbuffer_add_reference(raw, ptr::null(), 0, None, ptr::null_mut()) };
    assert_eq!(code, 0);
    assert_eq!(two.len(), 0);

    two.append_buffer_reference(&mut one).unwrap();
    assert_eq!(two.len(), CHUNK1.len());
    assert_eq!(two.make_contiguous(usize::MAX).unwrap(), CHUNK1);
}
