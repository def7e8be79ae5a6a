//! Hosts that are numbers.

use crate::util::{self, AddrHints};
use std::net::IpAddr;

/// The address that a host is, in one of the forms that libevent and the system take.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    // The usual forms first: this is for every lookup.
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    // A name has something else in it than what numbers are made of.
    let numeric = |byte: u8| byte.is_ascii_hexdigit() || b".:%xX".contains(&byte);
    if !host.bytes().all(numeric) && !host.contains('%') {
        return None;
    }
    let hints = AddrHints::new().tcp().numeric_host();
    let found = util::getaddrinfo(Some(host), None, hints).ok()?;
    Some(found.first()?.address.ip())
}
