//! Safe Rust over the C [libevent](https://libevent.org) library.

#![allow(
    clippy::unnecessary_cast,
    reason = "the types of C's constants differ by target"
)]

pub use libevent_sys as ffi;

mod base;
mod callback;
mod error;
mod event;
mod init;
pub mod log;
mod time;
pub mod util;
mod version;

pub use base::{
    ConfigFlags, EventBase, EventConfig, EventCounts, EventInfo, Features, Kind, LoopEnd,
    LoopHandle, Remote, Stats,
};
pub use callback::CallbackResult;
pub use error::{BoxError, Error, Result};
pub use event::{
    CommonTimeout, Event, EventBuilder, EventCore, EventRef, Idle, IdleRef, Interest, RawSocket,
    Ready, Signal, SignalRef, Source, Timeout, Timer, TimerRef, UserEvent, UserEventRef,
};
pub use init::enable_debug_mode;
pub use version::{supported_methods, version, version_number};
