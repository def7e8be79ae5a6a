//! A stream as the traits of others have it.

use super::super::{Direction, Input};
use super::AsyncStream;
use super::wait::Step;
use crate::net::PollIo;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

impl PollIo for AsyncStream {
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll(cx, Direction::READ, || {
            self.step_read(|input| fill(bytes, input))
        })
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, Direction::WRITE, || self.step_write_some(slices))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, Direction::WRITE, || self.step_flush())
    }

    fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, Direction::WRITE, || self.step_shutdown())
    }
}

impl AsyncStream {
    /// Asks `step` once, for a trait that polls.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        step: impl FnOnce() -> Step<T>,
    ) -> Poll<io::Result<T>> {
        ready!(self.stream.handle().inner().spend(cx));
        match step() {
            Step::Done(result) => Poll::Ready(result),
            Step::More(_) => {
                let waiters = self.waiters(direction);
                let before = waiters.polled.replace(Some(cx.waker().clone()));
                drop(before);
                Poll::Pending
            }
        }
    }

    /// Writes as much as there is room for. Returns how much.
    fn step_write_some(&self, slices: &[IoSlice<'_>]) -> Step<usize> {
        self.step_write(|room| {
            let mut left = room;
            for slice in slices {
                let count = slice.len().min(left);
                self.stream.write(&slice[..count])?;
                left -= count;
            }
            Ok(room - left)
        })
    }
}

/// Moves bytes from the front of the input. Returns how many.
fn fill(bytes: &mut [MaybeUninit<u8>], input: &Input<'_>) -> usize {
    let moved = input.with(|input| {
        let mut count = 0;
        for chunk in input.chunks() {
            let room = &mut bytes[count..];
            for (slot, &byte) in room.iter_mut().zip(chunk) {
                slot.write(byte);
            }
            count += chunk.len().min(room.len());
            if count == bytes.len() {
                break;
            }
        }
        input.drain(count)
    });
    moved.and_then(|drained| drained).unwrap_or(0)
}
