//! Our streams in the traits that drivers are written for: futures-io's, tokio's and hyper's.
//!
//! All of them go through [`PollIo`](super::PollIo). A trait's crate is needed, no runtime of it.

#[macro_use]
mod each;
#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "tokio")]
mod tokio;
