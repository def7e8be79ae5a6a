//! How a lookup is done: from what is known, or by asking, and for which names.

use super::found::Found;
use super::question::Kind;
use super::{ResolverRef, numeric};
use crate::dns::{Cause, Config, LookupError, name};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What there is to do.
pub(super) enum Plan {
    /// It needs nobody.
    Known(Result<Found, LookupError>),
    Ask {
        /// The names to try, one after the other.
        names: VecDeque<String>,
        kinds: Vec<Kind>,
    },
}

impl ResolverRef {
    /// How the addresses of a host are found.
    pub(super) fn plan(&self, host: &str, ipv4: bool, ipv6: bool) -> Plan {
        if let Some(address) = numeric::address(host) {
            return known(
                Found::with_addresses(host, [address].into_iter()),
                host,
                ipv4,
                ipv6,
            );
        }
        let mut kinds = Vec::new();
        if ipv6 {
            kinds.push(Kind::Ipv6);
        }
        if ipv4 {
            kinds.push(Kind::Ipv4);
        }
        if let Err(why) = name::check(host) {
            let error = LookupError::new(host, Cause::BadName).because(why);
            return Plan::Known(Err(error));
        }
        let config = self.settings();
        let name = host.strip_suffix('.').unwrap_or(host);
        let hosts = Found::with_addresses(name, config.hosts.addresses(name));
        if !hosts.is_empty() {
            return known(hosts, host, ipv4, ipv6);
        }
        if is_localhost(name) {
            let here = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
            return known(
                Found::with_addresses(name, here.into_iter()),
                host,
                ipv4,
                ipv6,
            );
        }
        Plan::Ask {
            names: names(host, &config),
            kinds,
        }
    }

    /// How the name of an address is found.
    pub(super) fn reverse_plan(&self, address: IpAddr) -> Plan {
        let config = self.settings();
        let found = Found {
            name: address.to_string(),
            names: config.hosts.names(address).map(str::to_owned).collect(),
            ..Found::default()
        };
        match found.is_empty() {
            false => Plan::Known(Ok(found)),
            true => Plan::Ask {
                names: [found.name].into(),
                kinds: vec![Kind::Name(address)],
            },
        }
    }
}

/// A name that is this machine's on every machine, and nobody else's business (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next();
    last.is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
}

/// What is known without asking, as far as it is wanted.
fn known(mut found: Found, host: &str, ipv4: bool, ipv6: bool) -> Plan {
    if !ipv4 {
        found.ipv4.clear();
    }
    if !ipv6 {
        found.ipv6.clear();
    }
    Plan::Known(match found.is_empty() {
        true => Err(LookupError::new(host, Cause::NoData)),
        false => Ok(found),
    })
}

/// The names to try for one, in order.
fn names(host: &str, config: &Config) -> VecDeque<String> {
    if let Some(complete) = host.strip_suffix('.') {
        return [complete.to_owned()].into();
    }
    let dots = host.bytes().filter(|&byte| byte == b'.').count();
    let domains = config.search.iter().map(|domain| domain.trim_matches('.'));
    let mut names: VecDeque<_> = domains
        .filter(|domain| !domain.is_empty())
        .map(|domain| format!("{host}.{domain}"))
        .filter(|name| name::check(name).is_ok())
        .collect();
    match dots >= config.ndots.into() {
        true => names.push_front(host.to_owned()),
        false => names.push_back(host.to_owned()),
    }
    names
}
