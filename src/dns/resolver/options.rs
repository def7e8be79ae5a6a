//! What C is told of the configuration, all but the servers.

use super::{Config, ResolverRef};
use crate::dns::name;
use crate::error::{Error, Result};
use crate::ffi;
use std::ffi::{CStr, CString};
use std::os::raw::c_int;
use std::time::Duration;

/// When C would probe: as late as it can.
const PROBE: &str = "3600";

/// Whether C can work by it.
pub(super) fn check(config: &Config) -> Result<()> {
    let timeout = Duration::from_millis(1)..=Duration::from_secs(3600);
    if !timeout.contains(&config.timeout) {
        let why = format!("{:?} is not between 1 ms and an hour", config.timeout);
        return Err(Error::invalid("timeout", why));
    }
    if config.family_delay > Duration::from_secs(3600) {
        return Err(Error::invalid("family_delay", "it is more than an hour"));
    }
    if config.deadline.is_zero() {
        return Err(Error::invalid("deadline", "no time is no lookup"));
    }
    for domain in &config.search {
        let domain = domain.trim_matches('.');
        if domain.is_empty() {
            continue;
        }
        name::check(domain)
            .map_err(|why| Error::invalid("search", format!("{domain:?}: {why}")))?;
    }
    for server in &config.servers {
        if server.port() == 0 {
            let why = format!("{server}: nobody can be asked there");
            return Err(Error::invalid("servers", why));
        }
    }
    for (what, size) in [
        ("receive_buffer", config.receive_buffer),
        ("send_buffer", config.send_buffer),
    ] {
        if size.is_some_and(|size| size == 0 || c_int::try_from(size).is_err()) {
            return Err(Error::invalid(what, "the system takes 1 to 2^31 - 1 bytes"));
        }
    }
    if config.edns_size.is_some() && !cfg!(libevent_2_2) {
        let why = "only libevent 2.2 and later know EDNS";
        return Err(Error::invalid("edns_size", why));
    }
    Ok(())
}

impl ResolverRef {
    /// Tells C of it.
    pub(super) fn set_options(&self) {
        let config = self.settings();
        let seconds = |duration: Duration| format!("{:.6}", duration.as_secs_f64());
        self.set_option(c"timeout:", seconds(config.timeout));
        self.set_option(c"attempts:", config.attempts.max(1).to_string());
        self.set_option(c"max-timeouts:", config.max_timeouts.max(1).to_string());
        // 2.2 asks again by TCP while the question by UDP still has its place, and then waits for
        // somebody else's to be answered.
        let least = if cfg!(libevent_2_2) { 2 } else { 1 };
        self.set_option(
            c"max-inflight:",
            config.max_in_flight.max(least).to_string(),
        );
        let randomize = u8::from(config.randomize_case);
        self.set_option(c"randomize-case:", randomize.to_string());
        self.set_option(c"initial-probe-timeout:", PROBE.to_owned());
        let skew = config.family_delay.max(Duration::from_millis(1));
        self.set_option(c"getaddrinfo-allow-skew:", seconds(skew));
        // Zero stands for the system's own size, and is where C begins.
        let size = |size: Option<u32>| size.unwrap_or(0).to_string();
        self.set_option(c"so-rcvbuf:", size(config.receive_buffer));
        self.set_option(c"so-sndbuf:", size(config.send_buffer));
        if let Some(address) = config.bind {
            // C takes no port 0, but one that is missing.
            let text = match address.port() {
                0 => address.ip().to_string(),
                _ => address.to_string(),
            };
            self.set_option(c"bind-to:", text);
        }
        #[cfg(libevent_2_2)]
        self.set_option(
            c"edns-udp-size:",
            config.edns_size.unwrap_or(512).to_string(),
        );
        self.share_search();
    }

    fn set_option(&self, name: &CStr, value: String) {
        let value = CString::new(value).expect("a number or an address has no NUL");
        // SAFETY: alive until it is closed; C strings, which are read during the call.
        let code =
            unsafe { ffi::evdns_base_set_option(self.raw.get(), name.as_ptr(), value.as_ptr()) };
        debug_assert_eq!(code, 0, "{name:?} {value:?}");
    }

    /// Gives C the search list, for C code.
    pub(super) fn share_search(&self) {
        if !self.servers.shared.get() {
            return;
        }
        self.clear_search();
        let config = self.settings();
        let raw = self.raw.get();
        // SAFETY: alive until it is closed; C copies the names.
        unsafe {
            // C looks at the last one first.
            for domain in config.search.iter().rev() {
                if let Ok(domain) = CString::new(domain.as_str()) {
                    ffi::evdns_base_search_add(raw, domain.as_ptr());
                }
            }
            ffi::evdns_base_search_ndots_set(raw, config.ndots.into());
        }
    }

    /// Takes it back.
    pub(super) fn clear_search(&self) {
        if self.servers.shared.get() {
            // SAFETY: alive until it is closed. Requests under way keep the list that they have.
            unsafe { ffi::evdns_base_search_clear(self.raw.get()) };
        }
    }
}
