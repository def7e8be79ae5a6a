//! Raw bindings to the C [libevent2](https://libevent.org) library, linked from the system or compiled from source.
//!
//! Every public function, type and constant of `event2/*.h` is here under its C name; what is deprecated (`event2/*_compat.h`)
//! is in [`compat`], and what needs OpenSSL (`event2/bufferevent_ssl.h`) comes with the feature `openssl`. Function-like macros
//! are `#[inline]` functions. For a safe API use the crate `libevent2`.
//!
//! # Not bound
//!
//! * `evbuffer_add_vprintf`, `evutil_vsnprintf`: a `va_list` differs by target and Rust cannot make one. The variadic
//!   `evbuffer_add_printf` and `evutil_snprintf` are bound.
//! * `evutil_secure_rng_add_bytes`: in the library or not, depending on the C library that libevent was compiled against.
//! * `EVRPC_*` and `EVTAG_*`: they paste tokens to write one C function per message type.
//! * `LIBEVENT_VERSION`: ask [`event_get_version`].
//! * `EV_INT64_MAX` and the like: `i64::MAX`.
//! * `evutil_offsetof`: use [`core::mem::offset_of!`].
//! * the `TAILQ_*` macros: walk `evkeyvalq::tqh_first` and `evkeyval::next.tqe_next`.
//!
//! # Differences from C
//!
//! * [`evutil_socket_t`] is a type, not a macro: `c_int`, and `isize` on Windows.
//! * [`evutil_timercmp`] returns an [`Ordering`](core::cmp::Ordering) instead of taking an operator.
//! * [`LIBEVENT_VERSION_NUMBER`] is the version of the headers this crate was built with;
//!   [`event_get_version_number`] asks the library that runs.
//!
//! # For build scripts of dependents
//!
//! `DEP_EVENT_VERSION_NUMBER` (hexadecimal, `02010d00`), `DEP_EVENT_INCLUDE` and `DEP_EVENT_LIB` (folders, joined as in `PATH`;
//! empty when the compiler finds them by itself), `DEP_EVENT_ROOT` (when there is one folder above both), `DEP_EVENT_VENDORED`
//! and `DEP_EVENT_OPENSSL` (`0` or `1`). The README tells how a libevent is found, and which variables steer that.
//!
//! # What was run
//!
//! Linux on x86-64. The shape for macOS and the BSDs is the same code; the one for Windows (`evutil_socket_t`, the Windows-only
//! functions, the structures of Winsock) is written from the headers and was not run.

#![no_std]
#![allow(non_camel_case_types, non_snake_case)]

/// Names as in C, generated from the headers.
#[allow(
    missing_docs,
    warnings,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub mod compat;
mod gai;
mod macros;
mod platform;
mod util;

#[cfg(feature = "openssl")]
pub use bindings::ssl::*;
pub use bindings::*;
pub use gai::*;
pub use macros::*;
pub use platform::*;
pub use util::*;

include!(concat!(env!("OUT_DIR"), "/version.rs"));
