//! What a server counts.

use ::http::StatusCode;
use std::cell::Cell;

/// What a server has done, and what it does now; see
/// [`ServerRef::stats`](super::ServerRef::stats).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections that are open now.
    pub connections: usize,
    /// Connections that were ever accepted.
    pub accepted: u64,
    /// Requests that are being answered now.
    pub in_flight: usize,
    /// Requests that were ever begun.
    pub requests: u64,
    /// Answers by the first digit of their status, from 1xx to 5xx.
    pub answers: [u64; 5],
    /// What came and was no request; it was refused.
    pub refused: u64,
    /// Connections that were ended because their client took too long.
    pub timed_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) accepted: Count,
    pub(super) in_flight: Cell<usize>,
    pub(super) requests: Count,
    pub(super) answers: [Count; 5],
    pub(super) refused: Count,
    pub(super) timed_out: Count,
    /// Of connections that have ended.
    pub(super) bytes_in: Cell<u64>,
    pub(super) bytes_out: Cell<u64>,
}

#[derive(Default)]
pub(super) struct Count(Cell<u64>);

impl Count {
    pub(super) fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Counters {
    pub(super) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.answers[class - 1].add();
    }
}
