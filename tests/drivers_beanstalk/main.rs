//! The client of beanstalkd from docs/drivers.md: against beanstalkd, and against a server that
//! says what a test wants.
#![cfg(all(feature = "async", unix))]

#[path = "../../examples/beanstalk/client.rs"]
mod client;
#[path = "../common/mod.rs"]
mod common;

mod live;
mod scripted;

/// The running example of the documentation is short.
#[test]
fn the_client_has_less_than_150_lines_of_code() {
    let client = include_str!("../../examples/beanstalk/client.rs");
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    assert!(client.lines().filter(is_code).count() < 150);
}
