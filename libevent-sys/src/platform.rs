//! What differs between systems: the types that libevent takes from the C library, and the functions that not all have.

use core::ffi::c_int;

pub use libc::{FILE, sockaddr, timeval, tm};
#[cfg(not(windows))]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// As in `struct evutil_addrinfo`.
pub type evutil_addrinfo = addrinfo;

/// As in `struct evbuffer_iovec`.
pub type evbuffer_iovec = iovec;

#[cfg(not(windows))]
mod unix {
    use super::c_int;

    pub use libc::{addrinfo, in_addr, in6_addr, iovec, socklen_t};

    /// A socket.
    pub type evutil_socket_t = c_int;

    /// [`evthread_use_pthreads`] is there.
    pub const EVTHREAD_USE_PTHREADS_IMPLEMENTED: c_int = 1;

    unsafe extern "C" {
        /// Makes libevent use POSIX threads for locking. Before any other call.
        pub fn evthread_use_pthreads() -> c_int;
    }
}

/// Written from the headers, not run.
#[cfg(windows)]
mod windows {
    use super::{c_int, sockaddr};
    use core::ffi::{c_char, c_void};

    /// A socket: `intptr_t`.
    pub type evutil_socket_t = isize;

    /// Winsock has no type of its own for it.
    pub type socklen_t = c_int;

    /// [`evthread_use_windows_threads`] is there.
    pub const EVTHREAD_USE_WINDOWS_THREADS_IMPLEMENTED: c_int = 1;

    /// [`evdns_base_config_windows_nameservers`] is there.
    pub const EVDNS_BASE_CONFIG_WINDOWS_NAMESERVERS_IMPLEMENTED: c_int = 1;

    /// libevent's own, because Windows has none.
    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    pub struct iovec {
        /// The first byte.
        pub iov_base: *mut c_void,
        /// How many.
        pub iov_len: usize,
    }

    /// Only pointers to it are used.
    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    pub struct in_addr {
        /// In network order.
        pub s_addr: u32,
    }

    /// Only pointers to it are used.
    #[repr(C, align(2))]
    #[derive(Clone, Copy, Debug)]
    pub struct in6_addr {
        /// In network order.
        pub s6_addr: [u8; 16],
    }

    /// As in ws2tcpip.h.
    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    #[allow(missing_docs)]
    pub struct addrinfo {
        pub ai_flags: c_int,
        pub ai_family: c_int,
        pub ai_socktype: c_int,
        pub ai_protocol: c_int,
        pub ai_addrlen: usize,
        pub ai_canonname: *mut c_char,
        pub ai_addr: *mut sockaddr,
        pub ai_next: *mut addrinfo,
    }

    unsafe extern "C" {
        /// Makes libevent use Windows threads for locking. Before any other call.
        pub fn evthread_use_windows_threads() -> c_int;
        /// Takes the name servers from the registry.
        pub fn evdns_base_config_windows_nameservers(base: *mut crate::evdns_base) -> c_int;
        /// The same for libevent 1.4's hidden base.
        pub fn evdns_config_windows_nameservers() -> c_int;
    }
}
