//! `EVUTIL_EAI_*` and `EVUTIL_AI_*`: the C library's own numbers where it has them, libevent's where not.
//!
//! A number is missing here on a system whose headers could not be looked at; tests/abi.rs compares those that are there with C.

use core::ffi::c_int;

/// A lookup was cancelled: libevent's own number, on every system.
pub const EVUTIL_EAI_CANCEL: c_int = -90001;

macro_rules! from_libc {
    ($($(#[$attribute:meta])* $name:ident = $value:expr;)*) => {$(
        $(#[$attribute])*
        #[doc = concat!("`", stringify!($value), "`.")]
        pub const $name: c_int = $value;
    )*};
}

#[cfg(not(windows))]
from_libc! {
    EVUTIL_EAI_AGAIN = libc::EAI_AGAIN;
    EVUTIL_EAI_BADFLAGS = libc::EAI_BADFLAGS;
    EVUTIL_EAI_FAIL = libc::EAI_FAIL;
    EVUTIL_EAI_FAMILY = libc::EAI_FAMILY;
    EVUTIL_EAI_MEMORY = libc::EAI_MEMORY;
    EVUTIL_EAI_NONAME = libc::EAI_NONAME;
    EVUTIL_EAI_SERVICE = libc::EAI_SERVICE;
    EVUTIL_EAI_SOCKTYPE = libc::EAI_SOCKTYPE;
    EVUTIL_EAI_SYSTEM = libc::EAI_SYSTEM;
    EVUTIL_AI_PASSIVE = libc::AI_PASSIVE;
    EVUTIL_AI_CANONNAME = libc::AI_CANONNAME;
    EVUTIL_AI_NUMERICHOST = libc::AI_NUMERICHOST;
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
from_libc! {
    EVUTIL_EAI_NODATA = libc::EAI_NODATA;
    // Not in the crate libc.
    EVUTIL_EAI_ADDRFAMILY = if cfg!(target_os = "linux") { -9 } else { 1 };
}

#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
from_libc! {
    EVUTIL_AI_NUMERICSERV = libc::AI_NUMERICSERV;
    EVUTIL_AI_V4MAPPED = libc::AI_V4MAPPED;
    EVUTIL_AI_ALL = libc::AI_ALL;
    EVUTIL_AI_ADDRCONFIG = libc::AI_ADDRCONFIG;
}
