//! Raw bindings to the C libevent2 library.
#![allow(missing_docs)]
#[allow(warnings, clippy::all)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
pub mod platform;
pub use bindings::*;
#[cfg(feature = "openssl")]
pub use bindings::ssl::*;
pub use platform::*;
