pub use libc::{FILE, sockaddr, timeval, tm};
#[cfg(unix)]
pub use libc::{addrinfo, in_addr, in6_addr, iovec, socklen_t};
pub type evutil_socket_t = core::ffi::c_int;
