//! What is read from `hosts`.

use crate::common::bounded;
use libevent2::dns::Hosts;
use std::net::IpAddr;
use std::time::Instant;

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addresses(hosts: &Hosts, name: &str) -> Vec<String> {
    hosts.addresses(name).map(|ip| ip.to_string()).collect()
}

fn names<'a>(hosts: &'a Hosts, address: &str) -> Vec<&'a str> {
    hosts.names(ip(address)).collect()
}

#[test]
fn a_line_of_hosts_has_an_address_and_its_names() {
    for (line, expected) in [
        ("192.0.2.1 a", &["a"][..]),
        ("192.0.2.1\ta.example  a\t\tb ", &["a.example", "a", "b"]),
        ("  192.0.2.1 a\r", &["a"]),
        ("192.0.2.1 a # b c", &["a"]),
        ("192.0.2.1 a#b c", &["a"]),
        ("192.0.2.1 a.", &["a"]),
        ("192.0.2.1 A.Example", &["A.Example"]),
        ("192.0.2.1 a _b a-1", &["a", "_b", "a-1"]),
        ("192.0.2.1 . a..b \u{fc} c", &["c"]),
        ("192.0.2.1", &[]),
        ("192.0.2.1 # a", &[]),
        ("# 192.0.2.1 a", &[]),
        ("#192.0.2.1 a", &[]),
        ("a 192.0.2.1", &[]),
        ("192.0.2.1:80 a", &[]),
        ("192.0.2.1/24 a", &[]),
        ("192.0.2.001 a", &[]),
        ("", &[]),
    ] {
        let hosts = Hosts::parse(line);
        assert_eq!(names(&hosts, "192.0.2.1"), expected, "{line:?}");
        assert_eq!(hosts.is_empty(), expected.is_empty(), "{line:?}");
        for name in expected {
            assert_eq!(addresses(&hosts, name), ["192.0.2.1"], "{line:?}");
        }
    }
}

#[test]
fn a_host_is_found_in_any_case_and_with_a_dot_at_its_end() {
    let hosts = Hosts::parse("192.0.2.1 Web.Example.\n2001:db8::1 wEB.eXAMPLE");
    for name in ["web.example", "WEB.EXAMPLE", "Web.Example."] {
        assert_eq!(addresses(&hosts, name), ["192.0.2.1", "2001:db8::1"]);
    }
    for name in [
        "",
        ".",
        "web",
        "web.example..",
        ".web.example",
        "web.example\0",
    ] {
        assert_eq!(hosts.addresses(name).len(), 0, "{name:?}");
    }
    assert_eq!(names(&hosts, "192.0.2.1"), ["Web.Example"]);
    assert_eq!(names(&hosts, "192.0.2.2"), [""; 0]);
}

#[test]
fn addresses_and_names_keep_their_order_and_are_there_once() {
    let mut hosts = Hosts::parse(
        "192.0.2.2 a b\n2001:db8::1 a\n192.0.2.1 b a B\n192.0.2.2 A a. c\n2001:db8:0:0::1 a",
    );
    hosts.add("a.", ip("192.0.2.3"));
    hosts.add("A", ip("192.0.2.2"));
    assert_eq!(
        addresses(&hosts, "a"),
        ["192.0.2.2", "2001:db8::1", "192.0.2.1", "192.0.2.3"]
    );
    assert_eq!(addresses(&hosts, "b"), ["192.0.2.2", "192.0.2.1"]);
    assert_eq!(names(&hosts, "192.0.2.2"), ["a", "b", "c"]);
    assert_eq!(names(&hosts, "192.0.2.1"), ["b", "a"]);
}

#[test]
fn an_address_with_a_zone_is_passed_over() {
    let hosts = Hosts::parse("::1 localhost\nfe80::1%lo0 localhost\nfe80::1 a");
    assert_eq!(addresses(&hosts, "localhost"), ["::1"]);
    assert_eq!(names(&hosts, "fe80::1"), ["a"]);
}

#[test]
fn hosts_are_equal_by_what_they_say() {
    let hosts = Hosts::parse("192.0.2.1 a b # one\n192.0.2.2 c");
    let mut same = Hosts::default();
    for (name, address) in [("c", "192.0.2.2"), ("a", "192.0.2.1"), ("b.", "192.0.2.1")] {
        same.add(name, ip(address));
    }
    assert_eq!(hosts, same);
    same.add("d", ip("192.0.2.2"));
    assert_ne!(hosts, same);
}

/// A search of all lines for each line would take minutes.
#[test]
fn many_hosts_are_read_and_found_at_once() {
    let _watchdog = bounded();
    const MANY: u32 = 100_000;
    let address = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
    let started = Instant::now();

    // As in a list of hosts to block, and the other way round.
    let blocked: String = (0..MANY)
        .map(|n| format!("0.0.0.0 ad{n}.example\n"))
        .collect();
    let blocked = Hosts::parse(&blocked);
    let spread: String = (0..MANY)
        .map(|n| format!("{} pool\n", address(n)))
        .collect();
    let spread = Hosts::parse(&spread);

    for n in 0..MANY {
        let unspecified = ip("0.0.0.0");
        assert!(
            blocked
                .addresses(&format!("AD{n}.example"))
                .eq([unspecified])
        );
        assert!(spread.names(address(n)).eq(["pool"]));
    }
    assert_eq!(blocked.names(ip("0.0.0.0")).len(), MANY as usize);
    assert_eq!(spread.addresses("pool").len(), MANY as usize);
    println!("{MANY} hosts, twice: {:?}", started.elapsed());
}
