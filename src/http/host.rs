//! Whether a Host header names a host (RFC 9110 7.2, RFC 3986 3.2).

use std::net::Ipv6Addr;

/// `name`, `192.0.2.1` or `[2001:db8::1]`, with a `:port` or without.
///
/// Stricter than the grammar in what is read differently by different programs: no empty host
/// (an http URL has none), no comma (which is what a proxy makes of two Host headers), no
/// escapes of delimiters, no port beyond 65535. A user before an `@` is not part of it anyway.
pub(super) fn valid_host(authority: &[u8]) -> bool {
    let (host, port) = match authority.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else {
                return false;
            };
            let (literal, after) = (&rest[..end], &rest[end + 1..]);
            if !valid_literal(literal) {
                return false;
            }
            match after {
                [] => return true,
                [b':', port @ ..] => return valid_port(port),
                _ => return false,
            }
        }
        None => match authority.iter().position(|&byte| byte == b':') {
            Some(at) => (&authority[..at], &authority[at + 1..]),
            None => (authority, &b""[..]),
        },
    };
    valid_name(host) && valid_port(port)
}

/// What is between the brackets.
fn valid_literal(literal: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(literal) else {
        return false;
    };
    // `v1.something` is for addresses that are still to be invented: nobody has one.
    text.parse::<Ipv6Addr>().is_ok()
}

/// Empty stands for the scheme's own port.
fn valid_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
        && (port.is_empty() || str::from_utf8(port).is_ok_and(|p| p.parse::<u16>().is_ok()))
}

fn valid_name(mut name: &[u8]) -> bool {
    if name.is_empty() {
        return false;
    }
    while let Some((&byte, rest)) = name.split_first() {
        name = rest;
        let plain = match byte {
            b'%' => {
                let Some(decoded) = rest.get(..2).and_then(hex) else {
                    return false;
                };
                name = &rest[2..];
                decoded >= 0x80 || is_name_byte(decoded)
            }
            byte => is_name_byte(byte),
        };
        if !plain {
            return false;
        }
    }
    true
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}

/// Unreserved or a sub-delimiter, but no comma.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses_with_or_without_a_port() {
        for host in [
            "example.org",
            "EXAMPLE.org.",
            "localhost:8080",
            "a_b-c.example:",
            "192.0.2.1:65535",
            "[::1]",
            "[2001:db8::1]:443",
            "b%C3%BCcher.example",
            "xn--bcher-kva.example",
        ] {
            assert!(valid_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_host() {
        for host in [
            "",
            ":80",
            "a b",
            "a,b",
            "a, b",
            "user@host",
            "host:80:80",
            "host:-1",
            "host:+80",
            "host:65536",
            "host:99999999999999999999",
            "host:8o",
            "host/path",
            "host?q",
            "host#f",
            "host\\x",
            "a\0b",
            "a\tb",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[]",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "%",
            "%4",
            "%zz",
            "a%2Fb",
            "a%40b",
            "a%00b",
            "bücher.example",
            "http://host",
            "<host>",
        ] {
            assert!(!valid_host(host.as_bytes()), "{host:?}");
        }
    }
}
