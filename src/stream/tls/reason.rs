//! Why a connection over TLS broke, in OpenSSL's words.

use super::super::{Peer, StreamError};
use super::sys;
use openssl::ssl::SslRef;
use openssl::x509::X509VerifyResult;
use std::io;
use std::os::raw::c_ulong;

/// The connection ended without notice.
pub(super) fn cut_off(peer: Peer, shaking_hands: bool) -> StreamError {
    let reason = match shaking_hands {
        true => "the peer closed the connection during the handshake",
        false => "the peer closed the connection without notice: the end may be missing",
    };
    StreamError::Tls {
        peer,
        reason: reason.to_owned(),
        truncated: !shaking_hands,
    }
}

/// What OpenSSL's errors mean, and the last one of the system where it had none.
pub(super) fn explain(
    ssl: &SslRef,
    peer: Peer,
    errors: &[c_ulong],
    errno: io::Error,
    shaking_hands: bool,
) -> StreamError {
    /// What `SSL_get_error` says, which libevent puts before what the queue had.
    const LAST_KIND: c_ulong = 16;
    let queue: Vec<_> = errors.iter().filter(|code| **code > LAST_KIND).collect();
    if queue.is_empty() {
        return match is_hard(&errno) {
            true => StreamError::from_os(peer, errno),
            false => cut_off(peer, shaking_hands),
        };
    }
    let mut reasons = Vec::new();
    for code in queue {
        if let Some(error) = sys::system_error(*code) {
            return StreamError::from_os(peer, error);
        }
        let mut reason = sys::reason(*code);
        if reason.starts_with("unexpected eof") {
            return cut_off(peer, shaking_hands);
        }
        if reason == "certificate verify failed" && ssl.verify_result() != X509VerifyResult::OK {
            reason = format!("{reason}: {}", ssl.verify_result().error_string());
        }
        reasons.push(reason);
    }
    StreamError::Tls {
        peer,
        reason: reasons.join("; "),
        truncated: false,
    }
}

/// Whether that is why a connection broke, and not what an earlier call left behind.
fn is_hard(errno: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        NetworkDown, NetworkUnreachable, NotConnected, TimedOut,
    };
    matches!(
        errno.kind(),
        BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | NotConnected
            | TimedOut
    )
}
