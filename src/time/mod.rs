//! Time on the loop, for futures.

mod convert;

pub(crate) use convert::{duration, timeval, until};
