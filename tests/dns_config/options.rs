//! What the options of `resolv.conf` set.

use libevent2::dns::Config;
use std::time::Duration;

/// What an option makes of the defaults.
fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// A change of one field.
type Change = fn(&mut Config);

#[test]
fn an_option_sets_its_field() {
    let table: &[(&str, Change)] = &[
        ("ndots:0", |c| c.ndots = 0),
        ("ndots:15", |c| c.ndots = 15),
        ("timeout:2", |c| c.timeout = Duration::from_secs(2)),
        ("timeout:0.25", |c| c.timeout = Duration::from_millis(250)),
        ("timeout:0.001", |c| c.timeout = Duration::from_millis(1)),
        ("attempts:1", |c| c.attempts = 1),
        ("attempts:255", |c| c.attempts = 255),
        ("max-timeouts:7", |c| c.max_timeouts = 7),
        ("max-inflight:65000", |c| c.max_in_flight = 65_000),
        ("initial-probe-timeout:0.5", |c| {
            c.retry_failed = Duration::from_millis(500)
        }),
        ("getaddrinfo-allow-skew:1.5", |c| {
            c.family_delay = Duration::from_millis(1500)
        }),
        ("randomize-case:0", |c| c.randomize_case = false),
        ("randomize-case:1", |_| {}),
        ("bind-to:192.0.2.1", |c| c.bind = "192.0.2.1:0".parse().ok()),
        ("bind-to:192.0.2.1:5353", |c| {
            c.bind = "192.0.2.1:5353".parse().ok()
        }),
        ("bind-to:[::1]:5353", |c| c.bind = "[::1]:5353".parse().ok()),
        ("so-rcvbuf:10240", |c| c.receive_buffer = Some(10_240)),
        ("so-sndbuf:10240", |c| c.send_buffer = Some(10_240)),
        ("so-rcvbuf:10240 so-rcvbuf:0", |_| {}),
        ("ndots:2 attempts:1", |c| (c.ndots, c.attempts) = (2, 1)),
        ("ndots:2 ndots:3", |c| c.ndots = 3),
        ("ndots:2 rotate ndots:x", |c| c.ndots = 2),
    ];
    for (option, change) in table {
        let text = format!("options {option}");
        assert_eq!(Config::parse(&text), with(change), "{option}");
    }
    assert_eq!(
        Config::parse("options ndots:2\noptions attempts:1 # timeout:9"),
        with(|c| (c.ndots, c.attempts) = (2, 1))
    );
}

#[test]
fn an_option_out_of_range_is_the_nearest_in_it() {
    let huge = "9".repeat(400);
    let table: &[(&str, Change)] = &[
        ("ndots:16", |c| c.ndots = 15),
        ("ndots:HUGE", |c| c.ndots = 15),
        ("timeout:31", |c| c.timeout = Duration::from_secs(30)),
        ("timeout:HUGE", |c| c.timeout = Duration::from_secs(30)),
        ("timeout:inf", |c| c.timeout = Duration::from_secs(30)),
        ("attempts:0", |c| c.attempts = 1),
        ("attempts:256", |c| c.attempts = 255),
        ("attempts:HUGE", |c| c.attempts = 255),
        ("max-timeouts:0", |c| c.max_timeouts = 1),
        ("max-timeouts:256", |c| c.max_timeouts = 255),
        ("max-inflight:0", |c| c.max_in_flight = 1),
        ("max-inflight:65001", |c| c.max_in_flight = 65_000),
        ("max-inflight:HUGE", |c| c.max_in_flight = 65_000),
        ("initial-probe-timeout:3600", |c| {
            c.retry_failed = Duration::from_secs(1800)
        }),
        ("getaddrinfo-allow-skew:HUGE", |c| {
            c.family_delay = Duration::from_secs(3600)
        }),
        ("randomize-case:2", |_| {}),
        ("so-rcvbuf:HUGE", |c| {
            c.receive_buffer = Some(i32::MAX as u32)
        }),
        ("so-sndbuf:2147483648", |c| {
            c.send_buffer = Some(i32::MAX as u32)
        }),
    ];
    for (option, change) in table {
        let text = format!("options {}", option.replace("HUGE", &huge));
        assert_eq!(Config::parse(&text), with(change), "{option}");
    }
}

#[test]
fn an_option_that_makes_no_sense_changes_nothing() {
    for name in [
        "ndots",
        "timeout",
        "attempts",
        "max-timeouts",
        "max-inflight",
        "initial-probe-timeout",
        "getaddrinfo-allow-skew",
        "randomize-case",
        "bind-to",
        "so-rcvbuf",
        "so-sndbuf",
        "edns-udp-size",
        "no-such-option",
    ] {
        for value in [
            "", ":", ":-1", ":x", ":2x", ":2:2", ":nan", ":#", ":\0", ":\u{663}", "2",
        ] {
            let text = format!("options {name}{value}");
            assert_eq!(Config::parse(&text), Config::default(), "{text:?}");
        }
    }
    for option in [
        "timeout:0",
        "timeout:0.0009",
        "bind-to:localhost",
        "bind-to:1.2.3.4:0",
    ] {
        let text = format!("options {option}");
        assert_eq!(Config::parse(&text), Config::default(), "{text:?}");
    }
    assert_eq!(Config::parse("option ndots:2"), Config::default());
    assert_eq!(
        Config::parse("sortlist 192.0.2.0/24\noptions"),
        Config::default()
    );
}

/// `options edns0` stands in the file that systemd-resolved writes: with libevent 2.1, which cannot,
/// a resolver must not be refused for it.
#[test]
fn the_size_of_answers_is_set_where_libevent_can() {
    for (options, size) in [
        ("edns0", 1200),
        ("edns0 trust-ad", 1200),
        ("edns-udp-size:4096", 4096),
        ("edns-udp-size:4096 edns0", 4096),
        ("edns0 edns-udp-size:4096", 4096),
        ("edns-udp-size:1", 512),
        ("edns-udp-size:65536", 65_535),
    ] {
        let found = Config::parse(&format!("options {options}")).edns_size;
        assert_eq!(found, cfg!(libevent_2_2).then_some(size), "{options}");
    }
}
