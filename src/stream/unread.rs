//! What the peer has sent and nobody will read.

use crate::ffi;
use std::os::raw::c_int;

/// Takes a little of what nobody has read, such as the tickets that a TLS 1.3 server sends after
/// the handshake: the system would answer for it by a reset, which may overtake what was sent.
pub(super) fn discard(fd: ffi::evutil_socket_t) {
    if fd < 0 {
        return;
    }
    let mut scratch = [0u8; 4096];
    for _ in 0..4 {
        // SAFETY: plain system call on our descriptor, into our memory; it does not block.
        let count = unsafe {
            libc::recv(
                fd as c_int,
                scratch.as_mut_ptr().cast(),
                scratch.len(),
                libc::MSG_DONTWAIT,
            )
        };
        if count <= 0 {
            return;
        }
    }
}
