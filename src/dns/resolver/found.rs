//! What a lookup finds, until it becomes an answer.

use crate::dns::Answer;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) ipv4: Vec<Ipv4Addr>,
    pub(super) ipv6: Vec<Ipv6Addr>,
    pub(super) names: Vec<String>,
    pub(super) canonical: Option<String>,
    pub(super) ttl: Option<Duration>,
}

impl Found {
    /// Nothing yet, under this name.
    pub(super) fn named(name: &str) -> Self {
        Found {
            name: name.to_owned(),
            ..Found::default()
        }
    }

    pub(super) fn with_addresses(name: &str, addresses: impl Iterator<Item = IpAddr>) -> Self {
        let mut found = Found::named(name);
        for address in addresses {
            match address {
                IpAddr::V4(ip) => found.ipv4.push(ip),
                IpAddr::V6(ip) => found.ipv6.push(ip),
            }
        }
        found
    }

    /// IPv6 first.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let ipv6 = self.ipv6.iter().copied().map(IpAddr::V6);
        let ipv4 = self.ipv4.iter().copied().map(IpAddr::V4);
        ipv6.chain(ipv4).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty() && self.names.is_empty()
    }

    pub(super) fn answer<T>(mut self, records: impl FnOnce(&mut Self) -> Vec<T>) -> Answer<T> {
        Answer {
            records: records(&mut self),
            name: self.name,
            canonical_name: self.canonical,
            ttl: self.ttl,
        }
    }
}
