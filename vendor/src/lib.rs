//! Finds libevent's C source and compiles it with the [`cc`] crate alone: no cmake, autotools or libclang.
//!
//! A build-dependency of `libevent-sys`, for use in a build script:
//!
//! ```no_run
//! let artifacts = libevent_src::Build::new().build().unwrap_or_else(|error| panic!("{error}"));
//! println!("cargo:rustc-link-search=native={}", artifacts.lib_dir.display());
//! for lib in &artifacts.libs {
//!     println!("cargo:rustc-link-lib=static={lib}");
//! }
//! ```
//!
//! Where the source comes from, first match wins:
//!
//! 1. the folder given to [`Build::source_dir`] (`libevent-sys` passes `LIBEVENT_SOURCE_DIR`);
//! 2. `libevent/` beside this crate's manifest, put there by `fetch.sh` (2.1.13, checksum pinned);
//! 3. a package of the registry pinned by version and checksum, which carries 2.1.12: it works, but lacks the security
//!    fixes of 2.1.13, so [`Artifacts::warnings`] says which.
//!
//! Asserts stay on (`NDEBUG` is never defined): libevent's internal checks are all `EVUTIL_ASSERT`, and without them an
//! abort becomes memory corruption.

mod compile;
mod config;
mod error;
mod files;
mod pin;
mod probe;
mod source;
mod target;

pub use compile::{Artifacts, Build};
pub use config::{Libc, event_config, private_config};
pub use error::Error;
pub use source::{Origin, Source};
pub use target::{Os, Target};
