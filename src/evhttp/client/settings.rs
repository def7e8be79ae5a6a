//! How a connection connects and what it allows.

use crate::{ffi, time};
use std::ffi::CString;
use std::net::{IpAddr, SocketAddr};
use std::os::raw::c_int;
use std::ptr;
use std::time::Duration;

/// How long C waits for a connection, unless it is told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
/// The longest time between two attempts, as in C.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

bitflags::bitflags! {
    /// What a [`Connection`](super::Connection) does in special cases.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct ConnectionFlags: u32 {
        /// Connects to the address that it was connected to before, without looking up the name
        /// again.
        #[doc(alias = "EVHTTP_CON_REUSE_CONNECTED_ADDR")]
        const REUSE_CONNECTED_ADDR = ffi::EVHTTP_CON_REUSE_CONNECTED_ADDR as u32;
        /// Reads the response of a server that has closed before it had all of the request.
        #[doc(alias = "EVHTTP_CON_READ_ON_WRITE_ERROR")]
        const READ_ON_WRITE_ERROR = ffi::EVHTTP_CON_READ_ON_WRITE_ERROR as u32;
    }
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) local_ip: Option<IpAddr>,
    pub(super) local_port: u16,
    pub(super) flags: ConnectionFlags,
    pub(super) timeout: Option<Duration>,
    pub(super) retries: Option<u32>,
    pub(super) first_pause: Duration,
    pub(super) max_headers: Option<usize>,
    pub(super) max_body: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            local_ip: None,
            local_port: 0,
            flags: ConnectionFlags::empty(),
            timeout: None,
            retries: Some(0),
            first_pause: Duration::from_secs(2),
            max_headers: Some(64 * 1024),
            max_body: Some(64 * 1024 * 1024),
        }
    }
}

impl Settings {
    pub(super) fn connect_timeout(&self) -> Duration {
        self.timeout.unwrap_or(CONNECT_TIMEOUT)
    }

    /// How long to wait before attempt number `done + 1`; `None` when there is to be no other.
    pub(super) fn pause_after(&self, done: u32) -> Option<Duration> {
        if self.retries.is_some_and(|retries| done >= retries) {
            return None;
        }
        let factor = 2u32.checked_pow(done).unwrap_or(u32::MAX);
        Some(self.first_pause.saturating_mul(factor).min(LONGEST_PAUSE))
    }

    /// # Safety
    /// `raw` is alive.
    pub(super) unsafe fn apply_timeout(&self, raw: *mut ffi::evhttp_connection) {
        let timeout = self.timeout.map(time::timeval);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the caller's promise; the timeval is copied.
        unsafe { ffi::evhttp_connection_set_timeout_tv(raw, timeout) };
        // libevent 2.2 has a time of its own for connecting.
        #[cfg(libevent_2_2)]
        {
            let timeout = time::timeval(self.connect_timeout());
            // SAFETY: as above.
            unsafe { ffi::evhttp_connection_set_connect_timeout_tv(raw, &timeout) };
        }
    }

    /// # Safety
    /// `raw` is alive.
    pub(super) unsafe fn apply_limits(&self, raw: *mut ffi::evhttp_connection) {
        let or_none = |limit: Option<usize>| limit.map_or(-1, |n| isize::try_from(n).unwrap_or(-1));
        // SAFETY: the caller's promise; negative is C's word for no limit.
        unsafe {
            ffi::evhttp_connection_set_max_headers_size(raw, or_none(self.max_headers) as _);
            ffi::evhttp_connection_set_max_body_size(raw, or_none(self.max_body) as _);
            ffi::evhttp_connection_set_flags(raw, self.flags.bits() as c_int);
        }
    }

    /// All that a new connection is to be told.
    ///
    /// # Safety
    /// `raw` is alive, and was never connected: C asserts that.
    pub(super) unsafe fn apply(&self, raw: *mut ffi::evhttp_connection, to: &SocketAddr) {
        let family = if to.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        let local_ip = self
            .local_ip
            .map(|ip| CString::new(ip.to_string()).unwrap_or_default());
        // SAFETY: the caller's promise; the address is copied.
        unsafe {
            ffi::evhttp_connection_set_family(raw, family);
            if let Some(ip) = local_ip {
                ffi::evhttp_connection_set_local_address(raw, ip.as_ptr());
            }
            if self.local_port != 0 {
                ffi::evhttp_connection_set_local_port(raw, self.local_port);
            }
            if self.timeout.is_some() {
                self.apply_timeout(raw);
            }
            self.apply_limits(raw);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_an_hour() {
        let mut settings = Settings {
            retries: Some(3),
            ..Settings::default()
        };
        let seconds = |settings: &Settings, done| settings.pause_after(done).map(|d| d.as_secs());
        assert_eq!(seconds(&settings, 0), Some(2));
        assert_eq!(seconds(&settings, 2), Some(8));
        assert_eq!(seconds(&settings, 3), None);
        settings.retries = None;
        assert_eq!(seconds(&settings, 10), Some(2048));
        assert_eq!(seconds(&settings, u32::MAX), Some(3600));
    }
}
