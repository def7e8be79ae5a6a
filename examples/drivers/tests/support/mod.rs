//! Real servers at the other end, each on a port of its own, in a temporary folder, gone with the
//! value that stands for it.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part"
)]

mod certificate;
mod library;
mod postgres;
mod program;
mod redis;
mod run;

pub use certificate::Certificate;
pub use library::{node, python, serve};
pub use postgres::{PASSWORD, Postgres, USER};
pub use program::{Program, program};
pub use redis::Redis;
pub use run::{Bounded, base, bounded, example, free_port, output};
