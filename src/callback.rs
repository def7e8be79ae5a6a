//! What a callback may return, and how a callback that failed reaches the program.

use crate::base::Inner;
use crate::error::BoxError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a callback may return: nothing, or a `Result` whose error the base then treats by its
/// policy (see [`LoopHandle::on_error`](crate::LoopHandle::on_error)).
pub trait CallbackResult {
    /// The error, if there is one.
    #[doc(hidden)]
    fn outcome(self) -> Outcome;
}

/// What became of one callback.
pub type Outcome = Result<(), BoxError>;

impl CallbackResult for () {
    #[inline(always)]
    fn outcome(self) -> Outcome {
        Ok(())
    }
}

impl<E: Into<BoxError>> CallbackResult for Result<(), E> {
    #[inline]
    fn outcome(self) -> Outcome {
        self.map_err(Into::into)
    }
}

/// Why the loop has to stop.
pub(crate) enum Failure {
    Panic(Box<dyn Any + Send>),
    Error(BoxError),
}

/// Runs code of the user's on behalf of C: a panic or an error ends up in the base instead of in
/// C's frames.
pub(crate) fn guard<O: CallbackResult>(base: &Inner, f: impl FnOnce() -> O) {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => {
            if let Err(error) = result.outcome() {
                base.failed(error);
            }
        }
        Err(payload) => base.panicked(payload),
    }
}
