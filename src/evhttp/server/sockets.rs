//! What is asked of a socket that is C's.

use crate::ffi;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpStream;

/// Whether the other end has closed the connection or its sending side, or the connection broke.
pub(super) fn is_gone(fd: ffi::evutil_socket_t) -> bool {
    match borrow(fd).peek(&mut [0]) {
        Ok(seen) => seen == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// The socket as one of std's, which does not close it.
fn borrow(fd: ffi::evutil_socket_t) -> ManuallyDrop<TcpStream> {
    #[cfg(unix)]
    use std::os::fd::FromRawFd;
    #[cfg(windows)]
    use std::os::windows::io::FromRawSocket;
    // SAFETY: an open socket: its connection is alive. It is used by the caller's expression
    // only, and never closed by this value.
    unsafe {
        #[cfg(unix)]
        return ManuallyDrop::new(TcpStream::from_raw_fd(fd));
        #[cfg(windows)]
        return ManuallyDrop::new(TcpStream::from_raw_socket(fd as _));
    }
}
