//! Any sequence of operations on four buffers that share bytes, against vectors.

#![no_main]

#[path = "../../tests/buffer_model/mod.rs"]
mod buffer_model;

use buffer_model::op::{Op, SIZE};
use libfuzzer_sys::fuzz_target;

/// Longer sequences find no more, and take long.
const MOST: usize = 400;

fuzz_target!(|data: &[u8]| {
    let ops = data.as_chunks::<SIZE>().0.iter().take(MOST);
    buffer_model::check(ops.map(|bytes| Op::decode(*bytes)));
});
