//! Which names are asked for, of whom, how often and how long.

mod common;
mod dns_common;

use common::bounded;
use dns_common::got::{Client, Got, IPV4, IPV6, config, knowing, known, ms};
use dns_common::{
    A, AAAA, NO_SUCH_NAME, NOT_IMPLEMENTED, NameServer, Query, REFUSED, SERVER_FAILURE, impatient,
    labels,
};
use libevent2::dns::{Cause, Config, Hosts};
use libevent2::{LoopEnd, ffi};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

// --- without asking --------------------------------------------------------------------------------

#[test]
fn a_number_is_its_own_answer_in_every_form_that_the_system_takes() {
    let _watchdog = bounded();
    let mut client = Client::new(Config::default());
    for (number, address) in [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("127.1", "127.0.0.1"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
    ] {
        let found = client.host(number).unwrap();
        assert_eq!(found.records, [address.parse::<IpAddr>().unwrap()]);
        assert_eq!(found.name, number);
        assert_eq!((found.ttl, found.canonical_name), (None, None));
    }
    assert_eq!(
        client.ipv4("2001:db8::7").unwrap_err().cause(),
        Cause::NoData
    );
    let got = Got::new();
    let _lookup = client.resolver.lookup_ipv6("192.0.2.7", got.note());
    client.run();
    assert_eq!(got.cause(), Cause::NoData);
}

#[test]
fn what_only_looks_like_a_number_is_asked_for() {
    let _watchdog = bounded();
    let server = knowing();
    let mut client = Client::new(config(&[&server]));
    for name in ["face", "256.1.1.1", "1.2.3.4.5", "x"] {
        assert_eq!(client.host(name).unwrap().name, name);
    }
}

#[test]
fn the_hosts_are_looked_at_first_and_are_all_that_there_is() {
    let _watchdog = bounded();
    let server = knowing();
    let mut config = config(&[&server]);
    config.hosts = Hosts::parse("192.0.2.1 web web.example\n192.0.2.2 WEB");
    config.search = vec!["example".to_owned()];
    let mut client = Client::new(config);
    for name in ["web", "Web", "web."] {
        let found = client.host(name).unwrap();
        assert_eq!(found.records.len(), 2);
        assert_eq!(found.ttl, None);
    }
    let got = Got::new();
    let _lookup = client.resolver.lookup_ipv6("web", got.note());
    client.run();
    assert_eq!(got.cause(), Cause::NoData, "of the other family");
    let got = Got::new();
    let _lookup = client
        .resolver
        .lookup_addr("192.0.2.1".parse().unwrap(), got.note());
    client.run();
    assert_eq!(got.once().unwrap().records, ["web", "web.example"]);
    assert_eq!(server.names(), [""; 0]);
}

#[test]
fn localhost_is_this_machine_whatever_a_server_says() {
    let _watchdog = bounded();
    let server = knowing();
    let mut client = Client::new(config(&[&server]));
    for name in ["localhost", "LocalHost.", "web.localhost"] {
        let found = client.host(name).unwrap().records;
        assert_eq!(
            found,
            [
                IpAddr::from(Ipv6Addr::LOCALHOST),
                Ipv4Addr::LOCALHOST.into()
            ]
        );
    }
    assert_eq!(server.names(), [""; 0]);
    assert!(client.host("localhost.example").is_ok());
    assert_eq!(server.names(), ["localhost.example"; 2]);
}

#[test]
fn a_bad_name_is_asked_of_nobody() {
    let _watchdog = bounded();
    let server = knowing();
    let mut client = Client::new(config(&[&server]));
    let long = "x".repeat(64);
    for name in ["", ".", "a..b", "b\u{fc}cher.example", "a\0b", &long] {
        let error = client.host(name).unwrap_err();
        assert_eq!((error.name(), error.cause()), (name, Cause::BadName));
    }
    assert!(server.queries().is_empty());
}

// --- the search list -------------------------------------------------------------------------------

/// Knows nothing but one name.
fn knowing_only(name: &'static str) -> NameServer {
    NameServer::start(move |query| {
        Some(match query.name == name {
            true => known(query),
            false => query.error(NO_SUCH_NAME),
        })
    })
}

fn names_asked_for(ndots: u8, host: &str) -> Vec<String> {
    let server = knowing_only("nothing");
    let mut config = config(&[&server]);
    config.search = ["one.example", ".two.example."].map(str::to_owned).into();
    config.ndots = ndots;
    let mut client = Client::new(config);
    let error = client.ipv4(host).unwrap_err();
    assert_eq!((error.name(), error.cause()), (host, Cause::NoSuchName));
    server.names()
}

#[test]
fn a_name_with_few_dots_is_looked_for_in_the_domains_first() {
    let _watchdog = bounded();
    let (one, two) = ("www.one.example", "www.two.example");
    assert_eq!(names_asked_for(1, "www"), [one, two, "www"]);
    assert_eq!(names_asked_for(0, "www"), ["www", one, two]);
    assert_eq!(names_asked_for(1, "www."), ["www"]);
    let (one, two) = ("a.b.one.example", "a.b.two.example");
    assert_eq!(names_asked_for(1, "a.b"), ["a.b", one, two]);
    assert_eq!(names_asked_for(2, "a.b"), [one, two, "a.b"]);
}

#[test]
fn the_search_ends_with_the_first_name_that_there_is() {
    let _watchdog = bounded();
    let server = knowing_only("www.two.example");
    let mut config = config(&[&server]);
    config.search = ["one.example", "two.example", "three.example"]
        .map(str::to_owned)
        .into();
    // One question at a time is enough for it.
    config.max_in_flight = 1;
    let mut client = Client::new(config);
    let found = client.host("www").unwrap();
    assert_eq!(found.name, "www.two.example");
    assert_eq!(found.records, [IpAddr::V6(IPV6), IPV4.into()]);
    assert_eq!(server.queries().len(), 4);
}

#[test]
fn a_silent_server_ends_the_search() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut config = config(&[&server]);
    config.search = vec!["example".to_owned()];
    let (cause, _) = Client::new(config).fails("www");
    assert_eq!(cause, Cause::TimedOut);
    assert!(server.names().iter().all(|name| name == "www.example"));
}

// --- two families ------------------------------------------------------------------------------------

#[test]
fn a_host_with_one_family_has_that_one() {
    let _watchdog = bounded();
    for (kind, address) in [(A, IpAddr::V4(IPV4)), (AAAA, IPV6.into())] {
        let server = NameServer::start(move |query| {
            Some(match query.kind == kind {
                true => known(query),
                false => query.reply().bytes(),
            })
        });
        assert_eq!(
            Client::new(config(&[&server])).host("www").unwrap().records,
            [address]
        );
    }
}

#[test]
fn a_family_that_is_late_is_waited_for_as_long_as_family_delay() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| (query.kind == A).then(|| known(query)));
    let mut config = config(&[&server]);
    config.timeout = Duration::from_secs(5);
    config.family_delay = ms(150);
    let begun = Instant::now();
    let found = Client::new(config).host("www").unwrap();
    assert_eq!(found.records, [IpAddr::V4(IPV4)]);
    assert!(begun.elapsed() >= ms(140) && begun.elapsed() < ms(2000));
}

// --- time --------------------------------------------------------------------------------------------

#[test]
fn a_question_is_sent_as_often_as_attempts_says() {
    let _watchdog = bounded();
    for attempts in [1, 3] {
        let server = NameServer::silent();
        let mut config = config(&[&server]);
        config.attempts = attempts;
        config.timeout = ms(60);
        let mut client = Client::new(config);
        let begun = Instant::now();
        assert_eq!(client.ipv4("www").unwrap_err().cause(), Cause::TimedOut);
        assert!(begun.elapsed() >= ms(50) * attempts.into());
        assert_eq!(server.queries().len(), usize::from(attempts));
    }
}

#[test]
fn no_lookup_takes_longer_than_its_deadline() {
    let _watchdog = bounded();
    let silent = NameServer::silent();
    let patient = || {
        let mut config = config(&[&silent]);
        config.timeout = Duration::from_secs(10);
        config.deadline = ms(100);
        config
    };
    let in_time = |client: &mut Client| {
        let (cause, took) = client.fails("www.example");
        assert_eq!(cause, Cause::TimedOut);
        assert!(took >= ms(90) && took < ms(3000), "{took:?}");
    };
    in_time(&mut Client::new(patient()));

    let mut suspended = Client::new(patient());
    suspended.resolver.suspend().unwrap();
    in_time(&mut suspended);

    let mut full = patient();
    full.max_in_flight = 1;
    let mut full = Client::new(full);
    let lookups: Vec<_> = (0..3)
        .map(|_| {
            let got = Got::new();
            let lookup = full.resolver.lookup_host("www", got.note());
            lookup.unwrap().detach();
            got
        })
        .collect();
    in_time(&mut full);
    assert!(
        lookups
            .into_iter()
            .all(|got| got.cause() == Cause::TimedOut)
    );
}

// --- servers -----------------------------------------------------------------------------------------

#[test]
fn a_server_that_failed_is_none_that_was_silent() {
    let _watchdog = bounded();
    for (code, cause) in [
        (SERVER_FAILURE, Cause::ServerFailed),
        (REFUSED, Cause::Refused),
        (NOT_IMPLEMENTED, Cause::NotImplemented),
    ] {
        let server = NameServer::start(move |query| Some(query.error(code)));
        let mut config = config(&[&server]);
        config.timeout = Duration::from_secs(5);
        let (told, took) = Client::new(config).fails("www.example.com");
        assert_eq!(told, cause);
        assert!(took < ms(2000));
    }
}

#[test]
fn the_first_server_is_asked_as_long_as_it_answers() {
    let _watchdog = bounded();
    let (first, second) = (knowing(), knowing());
    let mut client = Client::new(config(&[&first, &second]));
    for _ in 0..3 {
        assert_eq!(client.host("www").unwrap().records.len(), 2);
    }
    assert_eq!(first.queries().len(), 6);
    assert!(second.queries().is_empty());
}

#[test]
fn a_dead_server_costs_one_timeout_and_no_family() {
    let _watchdog = bounded();
    let (dead, live) = (NameServer::silent(), knowing());
    let mut config = config(&[&dead, &live]);
    config.timeout = ms(400);
    config.family_delay = ms(100);
    let mut client = Client::new(config);
    let mut slow = 0;
    for _ in 0..5 {
        let begun = Instant::now();
        let found = client.host("www").unwrap();
        assert_eq!(found.records, [IpAddr::V6(IPV6), IPV4.into()]);
        slow += usize::from(begun.elapsed() >= ms(300));
    }
    assert_eq!(slow, 1);
    assert_eq!(dead.queries().len(), 2);
}

#[test]
fn a_dead_server_is_tried_again_after_retry_failed() {
    let _watchdog = bounded();
    let (dead, live) = (NameServer::silent(), knowing());
    let mut config = config(&[&dead, &live]);
    config.timeout = ms(50);
    config.attempts = 1;
    config.retry_failed = ms(300);
    let mut client = Client::new(config);
    assert!(client.ipv4("www").is_ok());
    assert!(client.ipv4("www").is_ok());
    assert_eq!(dead.queries().len(), 1);
    client.base.exit_after(ms(400)).unwrap();
    assert_eq!(client.base.run_until_exit().unwrap(), LoopEnd::Exit);
    assert!(client.ipv4("www").is_ok());
    assert_eq!(dead.queries().len(), 2);
}

#[test]
fn who_refuses_fails_or_talks_nonsense_is_followed_by_the_next_server_at_once() {
    let _watchdog = bounded();
    let nonsense = |query: &Query| {
        let mut reply = query.reply();
        reply.question = labels("another.example");
        reply.bytes()
    };
    let refused = |query: &Query| query.error(REFUSED);
    let unknown = |query: &Query| query.error(NOT_IMPLEMENTED);
    let failed = |query: &Query| query.error(SERVER_FAILURE);
    let answers: [fn(&Query) -> Vec<u8>; 4] = [refused, unknown, failed, nonsense];
    for answer in answers {
        let bad = NameServer::start(move |query| Some(answer(query)));
        let good = knowing();
        let mut config = config(&[&bad, &good]);
        config.timeout = Duration::from_secs(5);
        let mut client = Client::new(config);
        let begun = Instant::now();
        for _ in 0..3 {
            assert_eq!(client.host("www").unwrap().records.len(), 2);
        }
        assert!(begun.elapsed() < ms(2000));
    }
}

/// What the first server cannot answer is asked of the second, which is dead: that must not be the
/// end of what the first one can.
#[test]
fn one_name_that_fails_does_not_leave_the_others_to_a_dead_server() {
    let _watchdog = bounded();
    let good = NameServer::start(|query| {
        Some(match query.name.as_str() {
            "broken" => query.error(SERVER_FAILURE),
            _ => known(query),
        })
    });
    let dead = NameServer::silent();
    let mut config = config(&[&good, &dead]);
    config.timeout = ms(400);
    config.attempts = 3;
    let mut client = Client::new(config);
    let mut slow = 0;
    for _ in 0..3 {
        let begun = Instant::now();
        let (broken, fine) = (Got::new(), Got::new());
        let one = client.resolver.lookup_ipv4("broken", broken.note());
        let two = client.resolver.lookup_ipv4("www", fine.note());
        client.run();
        assert_eq!(broken.cause(), Cause::ServerFailed);
        assert!(fine.once().is_ok());
        slow += usize::from(begun.elapsed() >= ms(300));
        drop((one, two));
    }
    assert_eq!(slow, 1, "the second server is known to be dead");
}

#[test]
fn when_all_servers_fail_one_of_them_says_why() {
    let _watchdog = bounded();
    let failing = || NameServer::start(|query| Some(query.error(SERVER_FAILURE)));
    let (one, two, three) = (failing(), failing(), failing());
    let mut client = Client::new(config(&[&one, &two, &three]));
    let (cause, took) = client.fails("www.example");
    assert_eq!(cause, Cause::ServerFailed);
    assert!(took < ms(1000));
    let silent = [(); 3].map(|()| NameServer::silent());
    let mut config = config(&silent.each_ref());
    config.timeout = ms(50);
    let (cause, took) = Client::new(config).fails("www.example");
    assert_eq!(cause, Cause::TimedOut);
    assert!(took < ms(1000));
}

#[test]
fn without_a_server_there_is_nobody_to_ask() {
    let _watchdog = bounded();
    let (cause, took) = Client::new(impatient(Config::default())).fails("www.example");
    assert_eq!(cause, Cause::NoServer);
    assert!(took < ms(2000));
}

/// Answers the first question that comes by TCP.
fn answer_by_tcp(listener: TcpListener) -> io::Result<()> {
    let (mut stream, from) = listener.accept()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut question)?;
    let answer = known(&Query::parse(&question, from).unwrap());
    let length = (answer.len() as u16).to_be_bytes();
    stream.write_all(&[&length, &answer[..]].concat())?;
    // Until the other side has read it.
    stream.read_exact(&mut [0])
}

/// libevent 2.2 asks again by TCP. With room for one question only it forgot that one.
#[test]
fn an_answer_that_is_cut_off_is_asked_for_by_tcp_or_is_an_error() {
    let _watchdog = bounded();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = NameServer::start_on(address, |query| Some(query.reply().truncated().bytes()));
    let by_tcp = thread::spawn(move || answer_by_tcp(listener));
    let mut narrow = config(&[&server]);
    narrow.max_in_flight = 1;
    narrow.timeout = Duration::from_secs(2);
    let found = Client::new(narrow).ipv4("www");
    // Ends the thread where nobody came.
    drop(TcpStream::connect(address));
    _ = by_tcp.join().unwrap();
    match ffi::LIBEVENT_VERSION_NUMBER >= 0x0202_0000 {
        true => assert_eq!(found.unwrap().records, [IPV4]),
        false => assert_eq!(found.unwrap_err().cause(), Cause::Truncated),
    }
}
