//! Which addresses of a host to try first: those to which this machine has the best way (RFC 6724,
//! section 6, as far as it can be seen from here).

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Orders addresses of both families; those of one stay as the name server gave them.
pub(super) fn order(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let ipv4 = addresses.iter().filter(|address| address.is_ipv4()).count();
    match ipv4 == 0 || ipv4 == addresses.len() {
        true => addresses,
        false => order_by(addresses, source),
    }
}

/// The address with which this machine would reach another one, if it has a way there. Nothing is
/// sent.
fn source(destination: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(destination).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn order_by(
    mut addresses: Vec<SocketAddr>,
    source: impl Fn(SocketAddr) -> Option<IpAddr>,
) -> Vec<SocketAddr> {
    addresses.sort_by_cached_key(|&address| {
        let to = Policy::of(address.ip());
        let from = source(address).map(Policy::of);
        // Rules 1, 2, 5, 6 and 8. What is less comes first.
        (
            from.is_none(),
            from.is_some_and(|from| from.scope != to.scope),
            from.is_some_and(|from| from.label != to.label),
            Reverse(to.precedence),
            to.scope,
        )
    });
    addresses
}

/// How an address compares with others.
#[derive(Clone, Copy)]
struct Policy {
    precedence: u8,
    /// A source goes with a destination of the same label.
    label: u8,
    /// How far it reaches: 2 is the link, 14 the world.
    scope: u8,
}

impl Policy {
    fn of(ip: IpAddr) -> Self {
        let (segments, scope) = match ip {
            IpAddr::V4(ip) => {
                let local = ip.is_loopback() || ip.is_link_local();
                let scope = if local { 2 } else { 14 };
                (ip.to_ipv6_mapped().segments(), scope)
            }
            IpAddr::V6(ip) => (ip.segments(), scope(ip)),
        };
        // RFC 6724, section 2.1.
        let (precedence, label) = match segments {
            [0, 0, 0, 0, 0, 0, 0, 1] => (50, 0),
            [0, 0, 0, 0, 0, 0xffff, ..] => (35, 4),
            [0, 0, 0, 0, 0, 0, ..] => (1, 3),
            [0x2002, ..] => (30, 2),
            [0x2001, 0, ..] => (5, 5),
            [0x3ffe, ..] => (1, 12),
            [first, ..] if first & 0xfe00 == 0xfc00 => (3, 13),
            [first, ..] if first & 0xffc0 == 0xfec0 => (1, 11),
            _ => (40, 1),
        };
        Policy {
            precedence,
            label,
            scope,
        }
    }
}

fn scope(ip: Ipv6Addr) -> u8 {
    let [first, ..] = ip.segments();
    match first {
        _ if ip.is_multicast() => (first & 0xf) as u8,
        _ if ip.is_loopback() || first & 0xffc0 == 0xfe80 => 2,
        _ if first & 0xffc0 == 0xfec0 => 5,
        _ => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order of these addresses on a machine with these ones.
    fn ordered(machine: &[&str], addresses: &[&str]) -> Vec<String> {
        let parse = |text: &&str| text.parse::<IpAddr>().unwrap();
        let own: Vec<_> = machine.iter().map(parse).collect();
        let addresses = addresses.iter().map(|text| (parse(text), 80).into());
        let order = order_by(addresses.collect(), |to| {
            let own = own.iter().filter(|ip| ip.is_ipv4() == to.is_ipv4());
            let reach = |ip: IpAddr| Policy::of(ip).scope;
            own.max_by_key(|ip| reach(**ip) == reach(to.ip())).copied()
        });
        order.iter().map(|to| to.ip().to_string()).collect()
    }

    const V6: &str = "2001:db8:1::1";
    const V4: &str = "198.51.100.121";

    #[test]
    fn ipv6_comes_first_where_there_is_a_way_to_it() {
        assert_eq!(ordered(&["2001:db8::2", "10.0.0.2"], &[V4, V6]), [V6, V4]);
        assert_eq!(
            ordered(&["::1", "127.0.0.1"], &["127.0.0.1", "::1"]),
            ["::1", "127.0.0.1"]
        );
    }

    #[test]
    fn what_cannot_be_reached_comes_last() {
        assert_eq!(ordered(&["10.0.0.2"], &[V6, V4]), [V4, V6]);
        assert_eq!(ordered(&["2001:db8::2"], &[V4, V6]), [V6, V4]);
        assert_eq!(ordered(&[], &[V4, V6]), [V6, V4]);
    }

    /// The examples of RFC 6724, section 10.2, that do with these rules.
    #[test]
    fn an_address_for_the_link_or_for_tunnels_only_is_no_way_to_the_world() {
        let link = ["fe80::1", "198.51.100.117"];
        assert_eq!(ordered(&link, &[V6, V4]), [V4, V6]);
        let tunnel = ["2002:c633:6401::2", "198.51.100.117"];
        assert_eq!(ordered(&tunnel, &[V6, V4]), [V4, V6]);
        // Nor one for the own site, which it is to the site.
        let site = ["fd00::2", "10.0.0.2"];
        assert_eq!(ordered(&site, &[V6, V4]), [V4, V6]);
        let both = ["fe80::2", "2001:db8::2"];
        assert_eq!(ordered(&both, &[V6, "fe80::1"]), ["fe80::1", V6]);
    }

    #[test]
    fn equals_stay_in_order() {
        let machine = ["2001:db8::2", "10.0.0.2"];
        let given = [
            "2001:db8:3::1",
            "2001:db8:1::1",
            "203.0.113.9",
            "198.51.100.1",
        ];
        assert_eq!(ordered(&machine, &given), given);
    }

    #[test]
    fn one_family_is_not_ordered_and_two_are() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let one = vec![parse("8.8.8.8:1"), parse("127.0.0.1:1")];
        assert_eq!(order(one.clone()), one);
        let two = vec![parse("127.0.0.1:1"), parse("[::1]:1")];
        let has_ipv6 = source(two[1]).is_some();
        assert_eq!(order(two)[0].is_ipv6(), has_ipv6);
    }
}
