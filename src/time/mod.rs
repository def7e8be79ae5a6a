//! Time on the loop, for futures: [`sleep`](crate::LoopHandle::sleep),
//! [`interval`](crate::LoopHandle::interval) and [`timeout`](crate::LoopHandle::timeout). Callbacks
//! have [`Timer`](crate::Timer).

mod convert;
#[cfg(feature = "async")]
mod interval;
#[cfg(feature = "async")]
mod sleep;
#[cfg(feature = "async")]
mod timed;

pub(crate) use convert::{duration, timeval, until};
#[cfg(feature = "async")]
pub use interval::Interval;
#[cfg(feature = "async")]
pub use sleep::Sleep;
#[cfg(feature = "async")]
pub use timed::{Elapsed, Timed};
