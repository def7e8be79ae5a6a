//! Four buffers and what should be in them, and the operations that are done to both. Used by the
//! property test `tests/buffer_model.rs` and by the fuzz target `buffer_ops`.

#![allow(dead_code, reason = "each user has its own part")]

pub mod naive;
pub mod op;
mod owners;
mod run;

use libevent2::buffer::{ChangeId, End, FileSegment, SharedBuffer};
use libevent2::{Buffer, Error};
use op::{BUFFERS, Op};
use owners::Owners;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// No buffer keeps more than this: references to references double what there is.
const MOST: usize = 24 * 1024;

/// A buffer and its model.
struct Side {
    buffer: Buffer,
    model: Vec<u8>,
    frozen_front: bool,
    frozen_back: bool,
    change: ChangeId,
    /// The length that the changes add up to.
    counted: Arc<AtomicUsize>,
}

impl Side {
    fn new(mut buffer: Buffer, model: Vec<u8>) -> Side {
        let (change, counted) = watch(&mut buffer);
        Side {
            buffer,
            model,
            frozen_front: false,
            frozen_back: false,
            change,
            counted,
        }
    }

    fn thaw(&mut self) {
        self.buffer.unfreeze(End::Front);
        self.buffer.unfreeze(End::Back);
        (self.frozen_front, self.frozen_back) = (false, false);
    }

    fn check(&self) {
        let Side { buffer, model, .. } = self;
        assert_eq!(buffer.len(), model.len());
        assert_eq!(buffer.is_empty(), model.is_empty());
        assert_eq!(buffer.is_frozen(End::Front), self.frozen_front);
        assert_eq!(buffer.is_frozen(End::Back), self.frozen_back);
        assert_eq!(self.counted.load(Ordering::Relaxed), model.len());
        let mut first = None;
        let mut rest = &model[..];
        for chunk in buffer.chunks() {
            assert!(!chunk.is_empty());
            first.get_or_insert(chunk.len());
            let head;
            (head, rest) = rest.split_at(chunk.len());
            assert_eq!(chunk, head);
        }
        assert!(rest.is_empty());
        if let Some(first) = first {
            assert_eq!(buffer.contiguous_len(), first);
        }
        assert_eq!(*buffer, *model);
    }
}

/// Adds up the changes of a buffer.
fn watch(buffer: &mut Buffer) -> (ChangeId, Arc<AtomicUsize>) {
    let counted = Arc::new(AtomicUsize::new(buffer.len()));
    let seen = counted.clone();
    let id = buffer.on_change(move |change| {
        assert_eq!(change.before, seen.load(Ordering::Relaxed), "{change:?}");
        let after = change.before + change.added - change.deleted;
        seen.store(after, Ordering::Relaxed);
    });
    (id, counted)
}

/// What the operations are done to.
pub struct World {
    sides: [Side; BUFFERS],
    shared: Vec<(SharedBuffer, Vec<u8>)>,
    segment: Option<(FileSegment, Vec<u8>)>,
    owners: Owners,
}

impl World {
    pub fn new() -> World {
        World {
            sides: std::array::from_fn(|_| Side::new(Buffer::new(), Vec::new())),
            shared: Vec::new(),
            segment: None,
            owners: Owners::default(),
        }
    }

    /// Runs one operation, and compares everything.
    pub fn step(&mut self, op: Op) {
        self.run(op);
        for side in &mut self.sides {
            let over = side.model.len().saturating_sub(MOST);
            if over > 0 {
                let front = side.frozen_front;
                side.buffer.unfreeze(End::Front);
                assert_eq!(side.buffer.drain(over).unwrap(), over);
                side.model.drain(..over);
                if front {
                    side.buffer.freeze(End::Front);
                }
            }
            side.check();
        }
        for (shared, model) in &self.shared {
            assert_eq!(shared.len(), model.len());
            assert_eq!(*shared, *model);
        }
        self.owners.none_dropped_twice();
    }

    /// Drops everything, and looks whether every owner was dropped.
    pub fn end(self) {
        let owners = self.owners;
        drop(self.sides);
        drop(self.shared);
        drop(self.segment);
        owners.all_dropped_once();
    }
}

/// Runs a whole sequence.
pub fn check(ops: impl IntoIterator<Item = Op>) {
    let mut world = World::new();
    ops.into_iter().for_each(|op| world.step(op));
    world.end();
}

/// What a call has to say: that an end is frozen if one is.
#[track_caller]
fn answer<T: Debug>(result: Result<T, Error>, frozen: bool) -> Option<T> {
    match result {
        Ok(value) => {
            assert!(!frozen, "frozen, and yet {value:?}");
            Some(value)
        }
        Err(error) => {
            let is_frozen = matches!(error, Error::Frozen { .. });
            assert!(frozen && is_frozen, "{error:?}");
            None
        }
    }
}
