//! What a callback may return, and what becomes of one that fails.

use crate::error::BoxError;
use std::any::Any;

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
