//! A host and a service, each a name or a number, and what a socket for them is like.

use super::found::Found;
use super::plan::Plan;
use super::question::Kind;
use super::{ResolverRef, numeric};
use crate::dns::{Cause, LookupError};
use crate::error::Error;
use crate::util::{self, AddrHints, AddrInfo};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// What makes an [`AddrInfo`] of an address: a port, and the kinds of sockets.
pub(super) struct Sockets {
    /// With any address.
    patterns: Vec<AddrInfo>,
    /// Whether each pattern is an answer as it stands.
    complete: bool,
}

impl Sockets {
    pub(super) fn of(&self, found: &mut Found) -> Vec<AddrInfo> {
        if self.complete {
            return self.patterns.clone();
        }
        let v6 = found.ipv6.drain(..).map(IpAddr::V6);
        let v4 = found.ipv4.drain(..).map(IpAddr::V4);
        let with = |ip: IpAddr| {
            self.patterns.iter().map(move |pattern| AddrInfo {
                address: SocketAddr::new(ip, pattern.address.port()),
                ..*pattern
            })
        };
        v6.chain(v4).flat_map(with).collect()
    }
}

impl ResolverRef {
    /// How a host and a service are found.
    pub(super) fn address_plan(
        &self,
        host: Option<&str>,
        service: Option<&str>,
        hints: AddrHints,
    ) -> (Plan, Sockets) {
        let name = host.or(service).unwrap_or_default();
        // The system takes such a number modulo 2^16.
        if service.is_some_and(is_no_port) {
            let error = LookupError::new(name, Cause::BadName);
            let error = error.because("a port is a number up to 65535");
            return (Plan::Known(Err(error)), Sockets::none());
        }
        // Numbers, and services by name, which are in a file.
        let number = match host {
            Some(host) => util::getaddrinfo(Some(host), service, hints.numeric_host()),
            None => util::getaddrinfo(None, service, hints),
        };
        let is_name = |error: &Error| matches!(error, Error::Lookup { code, .. } if *code == libc::EAI_NONAME);
        match (host, number) {
            (_, Ok(patterns)) => {
                let complete = Sockets {
                    patterns,
                    complete: true,
                };
                (Plan::Known(Ok(Found::named(name))), complete)
            }
            (Some(host), Err(error)) if is_name(&error) && !hints.is_numeric_host() => {
                self.name_plan(host, service, hints)
            }
            (Some(host), Err(_)) if is_of_another_family(host, hints) => {
                let error = LookupError::new(host, Cause::NoData);
                (Plan::Known(Err(error)), Sockets::none())
            }
            (_, Err(error)) => (failed(name, &error), Sockets::none()),
        }
    }

    fn name_plan(&self, host: &str, service: Option<&str>, hints: AddrHints) -> (Plan, Sockets) {
        let (ipv4, ipv6) = hints.families();
        let placeholder = if ipv4 { "0.0.0.0" } else { "::" };
        let patterns = match util::getaddrinfo(
            Some(placeholder),
            service,
            hints.numeric_host().for_pattern(),
        ) {
            Ok(patterns) => patterns,
            Err(error) => return (failed(host, &error), Sockets::none()),
        };
        let sockets = Sockets {
            patterns,
            complete: false,
        };
        let (has_ipv4, has_ipv6) = match hints.wants_configured_families() {
            true => match (has_route("192.0.2.1:53"), has_route("[2001:db8::1]:53")) {
                // As in C: a machine without a network has itself.
                (false, false) => (true, true),
                one_or_both => one_or_both,
            },
            false => (true, true),
        };
        let mut plan = self.plan(host, ipv4 && has_ipv4, ipv6 && has_ipv6);
        if let Plan::Ask { kinds, .. } = &mut plan {
            if kinds.is_empty() {
                let error = LookupError::new(host, Cause::NoData);
                let error = error.because("this machine has no address of that family");
                return (Plan::Known(Err(error)), sockets);
            }
            if hints.wants_canonical_name() {
                for kind in kinds {
                    *kind = match *kind {
                        Kind::Ipv4 => Kind::CanonicalIpv4,
                        Kind::Ipv6 => Kind::CanonicalIpv6,
                        other => other,
                    };
                }
            }
        }
        (plan, sockets)
    }
}

impl Sockets {
    fn none() -> Self {
        Sockets {
            patterns: Vec::new(),
            complete: true,
        }
    }
}

/// Whether it is a number, but not one that is wanted.
fn is_of_another_family(host: &str, hints: AddrHints) -> bool {
    let (ipv4, ipv6) = hints.families();
    numeric::address(host).is_some_and(|ip| if ip.is_ipv4() { !ipv4 } else { !ipv6 })
}

fn is_no_port(service: &str) -> bool {
    let number = !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_digit());
    number && service.parse::<u16>().is_err()
}

fn failed(name: &str, error: &Error) -> Plan {
    let why = match error {
        Error::Lookup { why, .. } => why.clone(),
        other => other.to_string(),
    };
    Plan::Known(Err(LookupError::new(name, Cause::BadName).because(why)))
}

/// Whether a datagram could be sent there; none is.
fn has_route(address: &str) -> bool {
    let any = if address.starts_with('[') {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    UdpSocket::bind(any).is_ok_and(|socket| socket.connect(address).is_ok())
}
