//! Buffers do what a `Vec<u8>` would, whatever is done to them and to those they share bytes with.

#![cfg(unix)]

#[path = "buffer_model/mod.rs"]
mod buffer_model;
mod common;

use buffer_model::check;
use buffer_model::op::{Op, SIZE};
use common::Watchdog;
use proptest::prelude::*;
use proptest::test_runner::Config;
use std::time::Duration;

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = any::<[u8; SIZE]>().prop_map(Op::decode);
    proptest::collection::vec(op, 1..120)
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
