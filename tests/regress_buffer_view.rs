//! libevent's own regress cases (test/regress_buffer.c): bytes in several pieces.
//! The whole list, and what is left out, is in docs/regress.md.

mod common;

use common::bounded;
use libevent2::Buffer;
use std::io::IoSlice;

/// As many chunks from `position` on as `n` bytes need, as text.
fn look(buffer: &Buffer, position: usize, n: usize) -> Vec<&str> {
    let mut left = n;
    let mut chunks = Vec::new();
    for chunk in buffer.chunks_from(position) {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(chunk.len());
        chunks.push(str::from_utf8(chunk).unwrap());
    }
    chunks
}

fn fragmented(numbers: impl IntoIterator<Item = usize>) -> Buffer {
    let mut buffer = Buffer::new();
    for number in numbers {
        let mut part = Buffer::from(format!("Contents of chunk [{number}]\n").as_str());
        buffer.append_buffer(&mut part).unwrap();
    }
    buffer
}

#[test]
fn peek() {
    let _watchdog = bounded();
    let buffer = fragmented(0..16);
    let all: Vec<String> = (0..16)
        .map(|number| format!("Contents of chunk [{number}]\n"))
        .collect();

    assert_eq!(buffer.chunks().count(), 16);
    assert_eq!(look(&buffer, 0, usize::MAX), all);
    assert_eq!(look(&buffer, 0, 65_536), all);
    assert_eq!(look(&buffer, 0, 1), all[..1]);
    assert_eq!(look(&buffer, 0, 40), all[..2]);
    assert_eq!(look(&buffer, 0, 60), all[..3]);
    assert_eq!(look(&buffer, 0, 100), all[..5]);

    let empty = Buffer::new();
    assert!(look(&empty, 0, usize::MAX).is_empty());
    assert!(look(&empty, 0, 50).is_empty());

    // From a place within a chunk; from the beginning of one; from the end.
    assert_eq!(
        look(&buffer, 30, 50),
        [" of chunk [1]\n", &*all[2], &*all[3]]
    );
    assert_eq!(look(&buffer, 44, 44), all[2..4]);
    assert!(look(&buffer, buffer.len(), 44).is_empty());
}

#[test]
fn peek_first_gt() {
    let _watchdog = bounded();
    let buffer = fragmented([100, 1]);
    assert_eq!(buffer.chunks_from(0).count(), 2);
    assert_eq!(buffer.chunks_from(22).count(), 2);
    assert_eq!(look(&buffer, 22, 2), ["]\n"]);
    assert_eq!(look(&buffer, 22, 3), ["]\n", "Contents of chunk [1]\n"]);
    assert_eq!(buffer.chunks_from(24).count(), 1);
}

#[test]
fn add_iovec() {
    let _watchdog = bounded();
    let data = [
        "Guilt resembles a sword with two edges.",
        "On the one hand, it cuts for Justice, imposing practical morality upon those who fear it.",
        "Conscience does not always adhere to rational judgment.",
        "Guilt is always a self-imposed burden, but it is not always rightly imposed.",
    ];
    let mut buffer = Buffer::new();
    buffer
        .append_vectored(&data.map(|text| IoSlice::new(text.as_bytes())))
        .unwrap();
    assert_eq!(buffer.len(), data.concat().len());
    for text in data {
        let mut bytes = vec![0; text.len()];
        assert_eq!(buffer.remove(&mut bytes).unwrap(), text.len());
        assert_eq!(bytes, text.as_bytes());
    }
    assert!(buffer.is_empty());
}
