//! libevent's own regress cases for `util.h` (test/regress_util.c), through `libevent2::util`.
//!
//! What is left out, and why, is in docs/regress.md.

mod common;

use common::bounded;
use libevent2::Error;
use libevent2::util;
use libevent2::util::{
    AddrHints, AddrInfo, MonotonicFlags, MonotonicTimer, fill_random, http_date, parse_socket_addr,
    set_deferred_accept,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::thread::{self, sleep};
use std::time::{Duration, SystemTime};

// --- addresses ----------------------------------------------------------------------------------

/// The address of a text that has to be one.
fn good(text: &str) -> SocketAddr {
    parse_socket_addr(text).unwrap_or_else(|error| panic!("{text} is a good address: {error}"))
}

fn bad(text: &str) {
    match parse_socket_addr(text) {
        Err(Error::Invalid { what, why }) => {
            assert_eq!(what, "address");
            assert!(why.contains(text), "{why:?} does not name {text:?}");
        }
        other => panic!("{text:?} is no address, but gave {other:?}"),
    }
}

#[test]
fn ipv4_parse() {
    let _watchdog = bounded();
    for (text, expected) in [
        ("1.2.3.4", 0x01020304u32),
        ("255.255.255.255", 0xffffffff),
        ("176.192.208.244", 0xb0c0d0f4),
    ] {
        let address = good(text);
        assert_eq!(address.ip(), IpAddr::V4(Ipv4Addr::from(expected)));
        assert_eq!(address.port(), 0);
        assert_eq!(address.ip().to_string(), text);
    }
    for text in ["256.0.0.0", "ABC", "1.2.3.4.5", "", "1.2.3"] {
        bad(text);
    }
}

#[test]
fn ipv6_parse() {
    let _watchdog = bounded();
    let words = |words: [u32; 4]| {
        let bits = words
            .iter()
            .fold(0u128, |bits, word| bits << 32 | u128::from(*word));
        IpAddr::V6(bits.into())
    };
    // The last column: whether it is how the address is written, by Rust and by libevent.
    for (text, expected, canonical) in [
        ("::", [0, 0, 0, 0], true),
        ("0:0:0:0:0:0:0:0", [0, 0, 0, 0], false),
        ("::1", [0, 0, 0, 1], true),
        // libevent writes these two with dots as well, Rust does not.
        ("::1.2.3.4", [0, 0, 0, 0x01020304], false),
        ("::9:c0a8:1:1", [0, 0, 0x0009c0a8, 0x00010001], true),
        ("ffff:1::", [0xffff0001, 0, 0, 0], true),
        ("ffff:0000::", [0xffff0000, 0, 0, 0], false),
        ("ffff::1234", [0xffff0000, 0, 0, 0x1234], true),
        ("0102::1.2.3.4", [0x01020000, 0, 0, 0x01020304], false),
        ("::ffff:1.2.3.4", [0, 0, 0x0000ffff, 0x01020304], true),
        ("FFFF::", [0xffff0000, 0, 0, 0], false),
    ] {
        let address = good(text);
        assert_eq!(address.ip(), words(expected), "{text}");
        let written = address.ip().to_string();
        assert_eq!(written == text, canonical, "{text} became {written}");
        // However it is written, it is read as the same.
        assert_eq!(good(&written), address);
    }
    for text in [
        "foobar.",
        "foobar",
        "fo:obar",
        "ffff",
        "fffff::",
        "::1.0.1.1000",
        "1:2:33333:4::",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        ":::1",
    ] {
        bad(text);
    }
}

#[test]
fn ipv6_parse_scope() {
    let _watchdog = bounded();
    for (text, scope) in [
        ("2001:DB8::", 0),
        ("2001:DB8::%0", 0),
        ("2001:DB8::%1", 1),
        ("[2001:DB8::%1]:80", 1),
    ] {
        let SocketAddr::V6(address) = good(text) else {
            panic!("{text} is an IPv6 address");
        };
        assert_eq!(address.ip().segments(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(address.scope_id(), scope, "{text}");
    }
    bad("foobar.");
    bad("2001:DB8::%does-not-exist");
}

#[test]
fn sockaddr_port_parse() {
    let _watchdog = bounded();
    for (text, ip, port) in [
        ("[ffff::1]:1000", "ffff::1", 1000),
        ("[ffff::1]", "ffff::1", 0),
        ("::1", "::1", 0),
        ("1:2::1", "1:2::1", 0),
        ("192.168.0.1:50", "192.168.0.1", 50),
        ("1.2.3.4", "1.2.3.4", 0),
        ("1.2.3.4:65535", "1.2.3.4", 65535),
    ] {
        let expected = SocketAddr::new(ip.parse().unwrap(), port);
        assert_eq!(good(text), expected, "{text}");
    }
    for text in [
        "[ffff::1",
        "[ffff::1]:65599",
        "[ffff::1]:0",
        "[ffff::1]:-1",
        // C does not look at these, or reads their beginning.
        "[ffff::1]junk",
        "1.2.3.4:80x",
        "1.2.3.4:",
        "1.2.3.4: 80",
        "1.2.3.4:4294967376",
        "1.2.3.4:99999999999999999999999999",
        "[1.2.3.4]",
        "[]",
    ] {
        bad(text);
    }
    assert!(matches!(
        parse_socket_addr("1.2.3.4\0:80"),
        Err(Error::Invalid { .. })
    ));
    // Longer than C's buffer, in each of its branches.
    let long = "1".repeat(1000);
    bad(&long);
    bad(&format!("[{long}]"));
    bad(&format!("{long}:80"));
    bad(&format!("::{long}%{long}"));
}

#[test]
fn getaddrinfo() {
    let _watchdog = bounded();
    let find = |host: Option<&str>, service: &str, hints: AddrHints| -> Vec<AddrInfo> {
        util::getaddrinfo(host, Some(service), hints)
            .unwrap_or_else(|error| panic!("{host:?} {service}: {error}"))
    };
    let only = |found: &[AddrInfo], address: &str, socket_type: i32, protocol: i32| {
        assert_eq!(found.len(), 1, "no ambiguity: {found:?}");
        assert_eq!(found[0].address, address.parse().unwrap());
        assert_eq!(found[0].socket_type, socket_type);
        assert_eq!(found[0].protocol, protocol);
    };
    let hints = AddrHints::new;
    let (stream, tcp) = (libc::SOCK_STREAM, libc::IPPROTO_TCP);
    let (dgram, udp) = (libc::SOCK_DGRAM, libc::IPPROTO_UDP);

    // As inet_pton.
    let found = find(Some("1.2.3.4"), "8080", hints().tcp());
    only(&found, "1.2.3.4:8080", stream, tcp);
    let found = find(Some("1001:b0b::f00f"), "4321", hints().udp());
    only(&found, "[1001:b0b::f00f]:4321", dgram, udp);

    // Without a host: to listen on, and to connect to.
    let found = find(None, "9999", hints().ipv4().tcp().passive());
    only(&found, "0.0.0.0:9999", stream, tcp);
    let found = find(None, "9998", hints().ipv4().tcp());
    only(&found, "127.0.0.1:9998", stream, tcp);
    let found = find(None, "9997", hints().ipv6().tcp());
    only(&found, "[::1]:9997", stream, tcp);
    let found = find(None, "9996", hints().ipv6().tcp().passive());
    only(&found, "[::]:9996", stream, tcp);

    // Of any family: one of each.
    let found = find(None, "9996", hints().tcp().passive());
    for address in ["[::]:9996", "0.0.0.0:9996"] {
        let address: SocketAddr = address.parse().unwrap();
        let of_family: Vec<_> = found
            .iter()
            .copied()
            .filter(|info| info.address.is_ipv4() == address.is_ipv4())
            .collect();
        only(&of_family, &address.to_string(), stream, tcp);
    }

    // Numbers only, of any protocol.
    let found = util::getaddrinfo(Some("1.2.3.4"), None, hints().numeric_host()).unwrap();
    for (socket_type, protocol) in [(stream, tcp), (dgram, udp)] {
        let of_protocol: Vec<_> = found
            .iter()
            .copied()
            .filter(|info| info.protocol == protocol)
            .collect();
        only(&of_protocol, "1.2.3.4:0", socket_type, protocol);
    }
    let no_name = |result: Result<Vec<AddrInfo>, Error>, expected: &str| match result {
        Err(Error::Lookup { name, code, why }) => {
            assert_eq!(name, expected);
            // glibc has two numbers for a service that is no number.
            assert!(
                [libc::EAI_NONAME, libc::EAI_SERVICE].contains(&code),
                "{code}"
            );
            assert!(!why.is_empty());
        }
        other => panic!("there is no such name, but: {other:?}"),
    };
    let named = util::getaddrinfo(Some("www.example.com"), Some("80"), hints().numeric_host());
    no_name(named, "www.example.com");
    let named = util::getaddrinfo(
        Some("1.2.3.4"),
        Some("http"),
        hints().tcp().numeric_service(),
    );
    no_name(named, "1.2.3.4");

    // A service by its name, where the system has a list of them.
    match util::getaddrinfo(Some("1.2.3.4"), Some("http"), hints().tcp()) {
        Ok(found) => only(&found, "1.2.3.4:80", stream, tcp),
        error => no_name(error, "1.2.3.4"),
    }

    // What the original cannot ask for.
    let error = util::getaddrinfo(None, None, hints()).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    let error = util::getaddrinfo(Some("a\0b"), None, hints()).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}

#[test]
fn a_deferring_listener_still_accepts() {
    let _watchdog = bounded();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    set_deferred_accept(&listener).unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"first").unwrap();
        stream
    });
    let (_stream, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.join().unwrap().local_addr().unwrap());

    let (not_tcp, _) = std::os::unix::net::UnixStream::pair().unwrap();
    let refused = set_deferred_accept(&not_tcp);
    if cfg!(target_os = "linux") {
        assert!(matches!(refused, Err(Error::Os { .. })), "{refused:?}");
    }
}

// --- random bytes -------------------------------------------------------------------------------

#[test]
fn rand() {
    let _watchdog = bounded();
    // Each start and end that a copy of four bytes at a time could get wrong.
    for (start, end) in (0..4).flat_map(|start| (28..=32).map(move |end| (start, end))) {
        let mut seen = [0u8; 32];
        for _ in 0..8 {
            let mut bytes = [0u8; 32];
            fill_random(&mut bytes[start..end]).unwrap();
            assert!(bytes[..start].iter().all(|byte| *byte == 0));
            assert!(bytes[end..].iter().all(|byte| *byte == 0));
            for (seen, byte) in seen.iter_mut().zip(bytes) {
                *seen |= byte;
            }
        }
        // One byte stays 0 in eight rounds with a probability of 2^-64.
        assert!(seen[start..end].iter().all(|byte| *byte != 0), "{seen:?}");
    }
    fill_random(&mut []).unwrap();
}

#[test]
fn rand_from_many_threads_gives_no_bytes_twice() {
    let _watchdog = bounded();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let mut blocks = Vec::new();
                for _ in 0..1000 {
                    let mut block = [0u8; 16];
                    fill_random(&mut block).unwrap();
                    blocks.push(block);
                }
                blocks
            })
        })
        .collect();
    let mut blocks: Vec<_> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 4000);
}

// --- clocks -------------------------------------------------------------------------------------

/// The clock goes on by what was slept: never by less than that (but for its resolution), and on a
/// busy machine by more.
fn monotonic_resolution(flags: MonotonicFlags) {
    let _watchdog = bounded();
    let coarse = flags.is_empty();
    let pause = Duration::from_millis(if coarse { 40 } else { 1 });
    // A coarse clock goes on by steps of up to 10 ms.
    let tolerance = Duration::from_micros(if coarse { 20_000 } else { 300 });
    let mut timer = MonotonicTimer::new(flags).unwrap();
    let mut times = Vec::new();
    for _ in 0..10 {
        times.push(timer.now());
        sleep(pause);
    }
    assert!(times.windows(2).all(|two| two[0] < two[1]), "{times:?}");
    let average = (times[9] - times[0]) / 9;
    assert!(average + tolerance >= pause, "{average:?} for {pause:?}");
    assert!(average < pause + Duration::from_millis(400), "{average:?}");
}

/// The steps that can be seen are small.
fn monotonic_precision(flags: MonotonicFlags) {
    let _watchdog = bounded();
    let mut timer = MonotonicTimer::new(flags).unwrap();
    let mut times = vec![timer.now()];
    while times.len() < 30 {
        let now = timer.now();
        let last = times[times.len() - 1];
        assert!(now >= last);
        if now > last {
            times.push(now);
        }
    }
    // The smallest is the clock's own; a busy machine makes the others larger.
    let steps = times.windows(2).map(|two| two[1] - two[0]);
    let step = steps.min().expect("29 steps");
    let largest = match flags.contains(MonotonicFlags::PRECISE) {
        true => Duration::from_micros(500),
        false => Duration::from_millis(25),
    };
    assert!(step < largest, "{step:?}");
}

#[test]
fn monotonic_res() {
    monotonic_resolution(MonotonicFlags::empty());
}

#[test]
fn monotonic_res_precise() {
    monotonic_resolution(MonotonicFlags::PRECISE);
}

#[test]
fn monotonic_res_fallback() {
    monotonic_resolution(MonotonicFlags::FALLBACK);
}

#[test]
fn monotonic_prc() {
    monotonic_precision(MonotonicFlags::empty());
}

#[test]
fn monotonic_prc_precise() {
    monotonic_precision(MonotonicFlags::PRECISE);
}

#[test]
fn monotonic_prc_fallback() {
    monotonic_precision(MonotonicFlags::FALLBACK);
}

#[test]
fn a_clock_goes_on_from_where_another_thread_left_it() {
    let _watchdog = bounded();
    let mut timer = MonotonicTimer::new(MonotonicFlags::PRECISE).unwrap();
    let first = timer.now();
    let (mut timer, second) = thread::spawn(move || {
        let second = timer.now();
        (timer, second)
    })
    .join()
    .unwrap();
    assert!(first <= second && second <= timer.now());
}

// --- dates --------------------------------------------------------------------------------------

#[test]
fn date_rfc1123() {
    let _watchdog = bounded();
    for (seconds, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (946684799, "Fri, 31 Dec 1999 23:59:59 GMT"),
        (946684800, "Sat, 01 Jan 2000 00:00:00 GMT"),
        (981072000, "Fri, 02 Feb 2001 00:00:00 GMT"),
        (1015113600, "Sun, 03 Mar 2002 00:00:00 GMT"),
        (1049414400, "Fri, 04 Apr 2003 00:00:00 GMT"),
        (1083715200, "Wed, 05 May 2004 00:00:00 GMT"),
        (1118016000, "Mon, 06 Jun 2005 00:00:00 GMT"),
        (1152230400, "Fri, 07 Jul 2006 00:00:00 GMT"),
        (1186531200, "Wed, 08 Aug 2007 00:00:00 GMT"),
        (1220918400, "Tue, 09 Sep 2008 00:00:00 GMT"),
        (1255132800, "Sat, 10 Oct 2009 00:00:00 GMT"),
        (1289433600, "Thu, 11 Nov 2010 00:00:00 GMT"),
        (1323648000, "Mon, 12 Dec 2011 00:00:00 GMT"),
        (4294967296, "Sun, 07 Feb 2106 06:28:16 GMT"),
        (253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (1456704000, "Mon, 29 Feb 2016 00:00:00 GMT"),
        (1435708800, "Wed, 01 Jul 2015 00:00:00 GMT"),
        (1481866376, "Fri, 16 Dec 2016 05:32:56 GMT"),
    ] {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(http_date(moment).unwrap(), text);
        // A part of a second changes nothing.
        let later = moment + Duration::from_nanos(999_999_999);
        assert_eq!(http_date(later).unwrap(), text);
    }

    let before = |seconds| SystemTime::UNIX_EPOCH - Duration::from_secs(seconds);
    assert_eq!(
        http_date(before(1)).unwrap(),
        "Wed, 31 Dec 1969 23:59:59 GMT"
    );
    let a_little_before = SystemTime::UNIX_EPOCH - Duration::from_nanos(1);
    assert_eq!(
        http_date(a_little_before).unwrap(),
        "Wed, 31 Dec 1969 23:59:59 GMT"
    );
    assert_eq!(
        http_date(before(30_610_224_000)).unwrap(),
        "Wed, 01 Jan 1000 00:00:00 GMT"
    );

    // A header has room for four digits of a year.
    let year_10000 = SystemTime::UNIX_EPOCH + Duration::from_secs(253402300800);
    for moment in [year_10000, before(30_610_224_001)] {
        let error = http_date(moment).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
}
