//! What tells how the server is doing.

pub mod log;
pub mod port;
pub mod stats;
