//! Buffers do what a `Vec<u8>` would, whatever is done to them and to those they share bytes with.

#![cfg(unix)]

#[path = "buffer_model/mod.rs"]
mod buffer_model;
mod common;

use buffer_model::check;
use buffer_model::op::{Op, SIZE};
use common::Watchdog;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;
use std::time::Duration;

/// Each sequence is made of a few kinds of operations on a few of the buffers: what takes several
/// of the same kind in a row is hardly ever met when all kinds are equally likely.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    let palette = vec(any::<[u8; 2]>(), 2..12);
    let ops = vec((any::<Index>(), any::<[u8; SIZE - 2]>()), 1..100);
    (palette, ops).prop_map(|(palette, ops)| {
        ops.iter()
            .map(|(choice, [n0, n1, m0, m1, seed])| {
                let [kind, buffers] = *choice.get(&palette);
                Op::decode([kind, buffers, *n0, *n1, *m0, *m1, *seed])
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn buffers_that_share_bytes_are_like_vectors(ops in ops()) {
        let _watchdog = Watchdog::new(Duration::from_secs(300));
        check(ops);
    }
}
