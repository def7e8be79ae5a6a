//! The PROXY protocol, versions 1 and 2: what a proxy sends before the first byte of a
//! connection, so that it is known whose connection it passes on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line of version 1, with its end.
const LONGEST_LINE: usize = 107;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Extensions longer than this are no honest ones.
const LONGEST_BLOCK: usize = 4096;

/// What the bytes at the beginning of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Preface {
    /// The beginning of a header: read more.
    Partial,
    /// No header. The connection is to be closed.
    Bad(&'static str),
    /// A whole header of `len` bytes.
    Done { len: usize, source: Source },
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The proxy's own, for a health check, or one that it does not know more of: the addresses
    /// are those of the connection.
    Own,
    /// Of a client of the proxy's.
    Client {
        addr: SocketAddr,
        /// What it was connected to.
        server: SocketAddr,
    },
    /// Of a client on the proxy's machine, by a Unix socket.
    Unix,
}

use Preface::{Bad, Partial};

/// Reads the header that `bytes` begin with. No more than it has to be looked at is kept: about
/// 4 KiB.
pub(super) fn parse(bytes: &[u8]) -> Preface {
    match bytes {
        [b'P', ..] => line(bytes),
        [b'\r', ..] => block(bytes),
        [] => Partial,
        _ => Bad("no PROXY header"),
    }
}

fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let len = bytes.len().min(with.len());
    bytes[..len] == with[..len]
}

/// Version 1: `PROXY TCP4 source destination port port`.
fn line(bytes: &[u8]) -> Preface {
    if !begins(bytes, b"PROXY ") {
        return Bad("no PROXY header");
    }
    let window = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
        return match bytes.len() < LONGEST_LINE {
            true => Partial,
            false => Bad("a PROXY line without an end"),
        };
    };
    let len = end + 2;
    let Ok(text) = str::from_utf8(&bytes[..end]) else {
        return Bad("a PROXY line that is no text");
    };
    let words: Vec<_> = text.split(' ').collect();
    let source = match words[..] {
        // Whatever else there is, is to be ignored.
        ["PROXY", "UNKNOWN", ..] => Some(Source::Own),
        ["PROXY", "TCP4", source, destination, from, to] => {
            client::<Ipv4Addr>(source, destination, from, to)
        }
        ["PROXY", "TCP6", source, destination, from, to] => {
            client::<Ipv6Addr>(source, destination, from, to)
        }
        _ => None,
    };
    match source {
        Some(source) => Preface::Done { len, source },
        None => Bad("a PROXY line with odd addresses"),
    }
}

fn client<A: std::str::FromStr + Into<IpAddr>>(
    source: &str,
    destination: &str,
    from: &str,
    to: &str,
) -> Option<Source> {
    let ip = |text: &str| text.parse::<A>().ok().map(Into::into);
    Some(Source::Client {
        addr: SocketAddr::new(ip(source)?, port(from)?),
        server: SocketAddr::new(ip(destination)?, port(to)?),
    })
}

/// No sign, no zero in front.
fn port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let padded = digits.len() > 1 && digits.starts_with('0');
    digits.parse().ok().filter(|_| plain && !padded)
}

/// Version 2, which is binary.
fn block(bytes: &[u8]) -> Preface {
    if !begins(bytes, SIGNATURE) {
        return Bad("no PROXY header");
    }
    if bytes.get(12).is_some_and(|byte| byte >> 4 != 2) {
        return Bad("a PROXY header of another version");
    }
    let Some(&[version_command, family, high, low]) = bytes.get(12..16) else {
        return Partial;
    };
    let size = usize::from(u16::from_be_bytes([high, low]));
    if size > LONGEST_BLOCK {
        return Bad("a PROXY header that is too long");
    }
    let Some(payload) = bytes.get(16..16 + size) else {
        return Partial;
    };
    let source = match (version_command & 0xf, family) {
        // LOCAL: what follows is not to be looked at.
        (0, _) => Some(Source::Own),
        (1, 0x00) => Some(Source::Own),
        (1, 0x11) => inet::<4>(payload),
        (1, 0x21) => inet::<16>(payload),
        (1, 0x31) => (payload.len() >= 216).then_some(Source::Unix),
        _ => return Bad("a PROXY header for no stream"),
    };
    match source {
        Some(source) => Preface::Done {
            len: 16 + size,
            source,
        },
        None => Bad("a PROXY header that is too short"),
    }
}

/// Two addresses of `N` bytes and two ports; extensions may follow.
fn inet<const N: usize>(payload: &[u8]) -> Option<Source>
where
    IpAddr: From<[u8; N]>,
{
    let ip = |at: usize| Some(IpAddr::from(*payload.get(at..)?.first_chunk::<N>()?));
    let port = |at: usize| Some(u16::from_be_bytes(*payload.get(at..)?.first_chunk::<2>()?));
    Some(Source::Client {
        addr: SocketAddr::new(ip(0)?, port(2 * N)?),
        server: SocketAddr::new(ip(N)?, port(2 * N + 2)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(len: usize, addr: &str, server: &str) -> Preface {
        let source = Source::Client {
            addr: addr.parse().unwrap(),
            server: server.parse().unwrap(),
        };
        Preface::Done { len, source }
    }

    fn v2(version_command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let size = (payload.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &size, payload].concat()
    }

    fn v2_tcp4() -> Vec<u8> {
        v2(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80])
    }

    #[test]
    fn lines_name_both_ends() {
        let line = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\nGET / HTTP/1.1\r\n";
        assert_eq!(parse(line), done(40, "192.0.2.7:12345", "10.0.0.1:80"));
        let line = b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n";
        assert_eq!(
            parse(line),
            done(line.len(), "[2001:db8::7]:1", "[::1]:65535")
        );
        let line = b"PROXY UNKNOWN ffff:f...f:ffff whatever\r\n";
        let own = Preface::Done {
            len: line.len(),
            source: Source::Own,
        };
        assert_eq!(parse(line), own);
    }

    #[test]
    fn a_line_is_spelled_in_one_way_only() {
        for bad in [
            "PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 12345 80 \r\n",
            "PROXY TCP4  192.0.2.7 10.0.0.1 12345 80\r\n",
            "PROXY TCP4 192.0.2.07 10.0.0.1 12345 80\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 012345 80\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 +1 80\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 65536 80\r\n",
            "PROXY TCP4 ::1 ::1 1 80\r\n",
            "PROXY TCP6 192.0.2.7 10.0.0.1 1 80\r\n",
            "PROXY UDP4 192.0.2.7 10.0.0.1 1 80\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY \r\n",
            "proxy TCP4 192.0.2.7 10.0.0.1 12345 80\r\n",
            "GET / HTTP/1.1\r\n",
            "\r\nGET / HTTP/1.1\r\n",
        ] {
            assert!(matches!(parse(bad.as_bytes()), Bad(_)), "{bad:?}");
        }
        let endless = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 93]].concat();
        assert_eq!(parse(&endless[..106]), Partial);
        assert!(matches!(parse(&endless), Bad(_)));
    }

    #[test]
    fn blocks_name_both_ends() {
        let block = v2_tcp4();
        assert_eq!(parse(&block), done(28, "192.0.2.7:12345", "10.0.0.1:80"));
        let mut payload = [0; 36];
        (payload[15], payload[31], payload[33], payload[35]) = (1, 2, 3, 4);
        let block = v2(0x21, 0x21, &payload);
        assert_eq!(parse(&block), done(52, "[::1]:3", "[::2]:4"));
        let unix = v2(0x21, 0x31, &[0; 216]);
        assert!(matches!(
            parse(&unix),
            Preface::Done {
                len: 232,
                source: Source::Unix
            }
        ));
    }

    #[test]
    fn extensions_are_skipped_and_health_checks_are_the_proxys_own() {
        let mut payload = v2_tcp4()[16..].to_vec();
        payload.extend([0x03, 0, 4, 1, 2, 3, 4]);
        let block = v2(0x21, 0x11, &payload);
        assert_eq!(parse(&block), done(35, "192.0.2.7:12345", "10.0.0.1:80"));
        for block in [v2(0x20, 0, &[]), v2(0x20, 0x11, &[1, 2]), v2(0x21, 0, &[9])] {
            let own = Preface::Done {
                len: block.len(),
                source: Source::Own,
            };
            assert_eq!(parse(&block), own);
        }
    }

    #[test]
    fn odd_blocks_are_refused() {
        for (version_command, family, size) in [
            (0x11, 0x11, 12),
            (0x22, 0x11, 12),
            (0x21, 0x12, 12),
            (0x21, 0x41, 12),
            (0x21, 0x11, 11),
            (0x21, 0x21, 12),
            (0x21, 0x31, 100),
            (0x21, 0x11, 4097),
        ] {
            let block = v2(version_command, family, &vec![0; size]);
            assert!(
                matches!(parse(&block), Bad(_)),
                "{version_command:x} {family:x} {size}"
            );
        }
    }

    #[test]
    fn every_beginning_of_a_header_asks_for_more() {
        let line = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n";
        for header in [&line[..], &v2_tcp4()] {
            for len in 0..header.len() {
                assert_eq!(parse(&header[..len]), Partial, "{len}");
            }
        }
    }
}
