//! What a callback may return, and what becomes of one that fails.

use crate::error::BoxError;
use std::any::Any;
use std::os::raw::c_void;
use std::rc::Rc;

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

/// The object behind a data pointer of C's, with a count for the length of the callback: whatever
/// the callback does to it, it stays until this one is dropped.
///
/// # Safety
/// `arg` is what `Rc::as_ptr` of an `Rc<T>` gave, and somebody has a count on it now.
#[inline(always)]
pub(crate) unsafe fn retain<T>(arg: *mut c_void) -> Rc<T> {
    let object = arg.cast_const().cast::<T>();
    // SAFETY: the caller's promise; the count taken is the one that is returned.
    unsafe {
        Rc::increment_strong_count(object);
        Rc::from_raw(object)
    }
}
