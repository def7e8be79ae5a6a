//! DNS on the loop, over libevent's evdns: a [`Resolver`] that never blocks, and a [`Server`].

mod answer;
mod config;
mod error;
mod log;
mod name;
mod resolver;
mod server;

pub use answer::Answer;
pub use config::{Config, Hosts};
pub use error::{Cause, LookupError};
pub use log::{flush_logger, set_logger};
pub use resolver::{Lookup, Resolver, ResolverRef};
pub use server::Server;
