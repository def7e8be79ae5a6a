//! Connecting by name through a resolver of the program's own: whose addresses are tried, in
//! which order, and what is said when there are none.

mod common;
mod connect_common;
mod dns_common;

use common::bounded;
use connect_common::silent;
use dns_common::{A, AAAA, NO_SUCH_NAME, NameServer, Query, SERVER_FAILURE, impatient};
use libevent2::dns::{Cause, Config, Hosts, Resolver};
use libevent2::stream::{BufferEvent, Callbacks, Peer, Resolve, StreamError, StreamEvent};
use libevent2::{Error, EventBase, Kind, LoopHandle};
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::{Duration, Instant};

const HOST: &str = "www.example.com";
const V4: Ipv4Addr = Ipv4Addr::LOCALHOST;
const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

fn config(server: &NameServer) -> Config {
    impatient(Config::with_servers([server.address()]))
}

/// What became of a connection.
#[derive(Debug, PartialEq)]
enum End {
    Connected(SocketAddr),
    Refused(Peer),
    NotFound(String, Cause),
    TooLate(Peer),
}

fn end(stream: &libevent2::BufferEventRef, event: StreamEvent) -> End {
    match (event, stream.peer()) {
        (StreamEvent::Connected, Peer::Address(address)) => {
            End::Connected(address.ip().expect("it has an IP address"))
        }
        (StreamEvent::Failed(StreamError::Refused { peer }), _) => End::Refused(peer),
        (StreamEvent::Failed(StreamError::ConnectTimedOut { peer }), _) => End::TooLate(peer),
        (StreamEvent::Failed(StreamError::Lookup { peer, source }), _) => {
            let Error::Dns(error) = source else {
                panic!("{peer}: {source:?}");
            };
            End::NotFound(error.name().to_owned(), error.cause())
        }
        other => panic!("{other:?}"),
    }
}

/// A stream that closes when there is a connection, or will be none; and what became of it.
fn connect(
    base: &LoopHandle,
    how: &Resolve,
    host: &str,
    port: u16,
) -> (BufferEvent, Rc<Cell<Option<End>>>) {
    let slot = Rc::new(Cell::new(None));
    let become_ = slot.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        assert!(become_.take().is_none(), "one end");
        become_.set(Some(end(stream, event)));
        stream.close();
    });
    let stream = BufferEvent::connect_host_by(base, how, host, port, handler).unwrap();
    (stream, slot)
}

/// Runs one connection to its end. The loop ends by itself, with the resolver still there.
fn outcome_by(config: Config, choose: fn(Resolve) -> Resolve, host: &str, port: u16) -> End {
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config).unwrap();
    let how = choose(Resolve::by(&resolver));
    let (stream, end) = connect(&base, &how, host, port);
    assert!(end.take().is_none(), "the handler is called by the loop");
    base.run().unwrap();
    assert!(stream.is_closed());
    assert_eq!(base.stats().live(Kind::Lookup), 0);
    end.take().expect("the handler was told")
}

fn outcome(config: Config, host: &str, port: u16) -> End {
    outcome_by(config, |how| how, host, port)
}

/// Where to connect to over IPv4 and over IPv6 at one port, if this machine has both.
fn both() -> Option<(TcpListener, TcpListener, u16)> {
    for _ in 0..100 {
        let v6 = TcpListener::bind((V6, 0)).ok()?;
        let port = v6.local_addr().unwrap().port();
        if let Ok(v4) = TcpListener::bind((V4, port)) {
            return Some((v4, v6, port));
        }
    }
    panic!("no port is free in both families");
}

/// Answers for both families: A first, AAAA in the same moment.
fn ipv4_first() -> NameServer {
    let mut held: Option<Query> = None;
    NameServer::start(move |query| {
        if query.kind == AAAA {
            held = Some(query.clone());
            return vec![];
        }
        let mut answers = vec![query.address(V4, 60)];
        answers.extend(held.take().map(|query| query.address(V6, 60)));
        answers
    })
}

/// Answers AAAA when it is asked again, which is 200 ms later.
fn ipv6_late() -> NameServer {
    let mut asked = false;
    NameServer::start(move |query| match query.kind {
        A => Some(query.address(V4, 60)),
        _ if asked => Some(query.address(V6, 60)),
        _ => {
            asked = true;
            None
        }
    })
}

#[test]
fn the_name_is_asked_for_in_both_families_at_the_servers_of_the_resolver() {
    let _watchdog = bounded();
    let listener = TcpListener::bind((V4, 0)).unwrap();
    let there = listener.local_addr().unwrap();
    let server = NameServer::start(|query| Some(query.address(V4, 60)));
    let port = there.port();
    assert_eq!(outcome(config(&server), HOST, port), End::Connected(there));
    let mut kinds: Vec<_> = server.queries().iter().map(|query| query.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [A, AAAA]);
    assert_eq!(server.names(), [HOST, HOST]);
}

#[test]
fn one_family_only_is_asked_for_when_the_program_wants_no_other() {
    let _watchdog = bounded();
    let Some((_v4, _v6, port)) = both() else {
        return;
    };
    let server = ipv4_first();
    let end = outcome_by(config(&server), Resolve::ipv4, HOST, port);
    assert_eq!(end, End::Connected((V4, port).into()));
    let server = NameServer::start(|query| Some(query.address(V6, 60)));
    let end = outcome_by(config(&server), Resolve::ipv6, HOST, port);
    assert_eq!(end, End::Connected((V6, port).into()));
    assert_eq!(server.queries().len(), 1);
}

#[test]
fn ipv6_is_tried_first_also_when_its_answer_is_a_moment_late() {
    let _watchdog = bounded();
    let Some((_v4, _v6, port)) = both() else {
        return;
    };
    let there = End::Connected((V6, port).into());
    assert_eq!(outcome(config(&ipv4_first()), HOST, port), there);
}

#[test]
fn ipv4_does_not_wait_for_ipv6_longer_than_a_moment() {
    let _watchdog = bounded();
    let listener = TcpListener::bind((V4, 0)).unwrap();
    let there = listener.local_addr().unwrap();
    let server = NameServer::start(|query| (query.kind == A).then(|| query.address(V4, 60)));
    let quickest = (0..3)
        .map(|_| {
            let begin = Instant::now();
            // Its own time for the other family is no matter.
            let mut config = config(&server);
            config.timeout = Duration::from_secs(5);
            config.family_delay = Duration::from_secs(5);
            let end = outcome(config, HOST, there.port());
            assert_eq!(end, End::Connected(there));
            let took = begin.elapsed();
            // The loop's clock may be behind by some milliseconds.
            assert!(took >= Duration::from_millis(40), "{took:?}");
            took
        })
        .min();
    assert!(quickest < Some(Duration::from_secs(2)), "{quickest:?}");
}

#[test]
fn addresses_that_come_late_join_the_race() {
    let _watchdog = bounded();
    let Some((v4, _v6, port)) = both() else {
        return;
    };
    // All that is known first refuses.
    drop(v4);
    let there = End::Connected((V6, port).into());
    assert_eq!(outcome(config(&ipv6_late()), HOST, port), there);
    // It is silent.
    let (_listener, address, _queue) = silent();
    let Ok(_v6) = TcpListener::bind((V6, address.port())) else {
        return;
    };
    let there = End::Connected((V6, address.port()).into());
    let end = outcome(config(&ipv6_late()), HOST, address.port());
    assert_eq!(end, there);
}

#[test]
fn the_race_is_lost_when_the_late_addresses_are_lost_too() {
    let _watchdog = bounded();
    let nobody = TcpListener::bind((V4, 0)).unwrap().local_addr().unwrap();
    let refused = Peer::Host(format!("{HOST}:{} ({nobody})", nobody.port()));
    // Addresses, nothing, an error, or no answer at all.
    let mut late = vec![ipv6_late()];
    late.push(NameServer::start(|query| Some(query.address(V4, 60))));
    late.push(NameServer::start(|query| {
        Some(match query.kind {
            A => query.address(V4, 60),
            _ => query.error(SERVER_FAILURE),
        })
    }));
    late.push(NameServer::start(|query| {
        (query.kind == A).then(|| query.address(V4, 60))
    }));
    for server in late {
        let end = outcome(config(&server), HOST, nobody.port());
        assert_eq!(end, End::Refused(refused.clone()));
    }
}

#[test]
fn an_answer_with_many_addresses_is_gone_through() {
    let _watchdog = bounded();
    let listener = TcpListener::bind((V4, 0)).unwrap();
    let there = listener.local_addr().unwrap();
    let server = NameServer::start(|query| {
        let mut reply = query.reply();
        if query.kind == A {
            // Nobody listens at the others, and one is there twice.
            for last in [9, 9, 8, 7, 1] {
                reply = reply.a(&query.exact, 60, Ipv4Addr::new(127, 0, 0, last));
            }
        }
        Some(reply.bytes())
    });
    assert_eq!(
        outcome(config(&server), HOST, there.port()),
        End::Connected(there)
    );
}

#[test]
fn of_the_causes_of_two_families_the_one_that_says_most_is_told() {
    let _watchdog = bounded();
    type Reply = fn(&Query) -> Option<Vec<u8>>;
    let cases: [(Reply, Cause); 4] = [
        (|query| Some(query.error(NO_SUCH_NAME)), Cause::NoSuchName),
        (|query| Some(query.reply().bytes()), Cause::NoData),
        (
            |query| {
                Some(match query.kind {
                    A => query.reply().bytes(),
                    _ => query.error(SERVER_FAILURE),
                })
            },
            Cause::ServerFailed,
        ),
        (
            |query| (query.kind == A).then(|| query.reply().bytes()),
            Cause::TimedOut,
        ),
    ];
    for (answer, cause) in cases {
        let server = NameServer::start(answer);
        assert_eq!(
            outcome(config(&server), HOST, 80),
            End::NotFound(HOST.to_owned(), cause)
        );
    }
}

#[test]
fn without_a_server_and_with_a_name_that_cannot_be_the_handler_hears_so() {
    let _watchdog = bounded();
    for (host, cause) in [
        (HOST, Cause::NoServer),
        ("a..b", Cause::BadName),
        ("bücher.example", Cause::BadName),
        (&"x".repeat(300), Cause::BadName),
    ] {
        assert_eq!(
            outcome(Config::default(), host, 80),
            End::NotFound(host.to_owned(), cause)
        );
    }
}

#[test]
fn the_text_of_a_failed_lookup_names_the_host_once_for_each_part() {
    let _watchdog = bounded();
    let server = NameServer::start(|query| Some(query.error(NO_SUCH_NAME)));
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config(&server)).unwrap();
    let text = Rc::new(RefCell::new(String::new()));
    let slot = text.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        let StreamEvent::Failed(error) = event else {
            panic!("{event:?}");
        };
        *slot.borrow_mut() = error.to_string();
        stream.close();
    });
    let how = Resolve::by(&resolver);
    let stream = BufferEvent::connect_host_by(&base, &how, HOST, 80, handler).unwrap();
    assert_eq!(stream.peer(), Peer::Host(format!("{HOST}:80")));
    base.run().unwrap();
    assert_eq!(
        *text.borrow(),
        format!("{HOST}:80: looking up {HOST}: there is no such name")
    );
}

// --- the hosts file, numbers, and the search list ------------------------------------------------

/// T14: C's `bufferevent_socket_connect_hostname` took this for a success without an address.
#[test]
fn a_host_that_the_hosts_file_has_in_the_other_family_only_is_not_found() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut config = config(&server);
    config.hosts = Hosts::parse("::1 six localhost\n127.0.0.1 four");
    let four = |config: &Config, host| outcome_by(config.clone(), Resolve::ipv4, host, 80);
    for host in ["six", "localhost"] {
        let end = four(&config, host);
        assert_eq!(end, End::NotFound(host.to_owned(), Cause::NoData));
    }
    let end = outcome_by(config.clone(), Resolve::ipv6, "four", 80);
    assert_eq!(end, End::NotFound("four".to_owned(), Cause::NoData));
    // The same of a number.
    assert_eq!(
        four(&config, "::1"),
        End::NotFound("::1".to_owned(), Cause::NoData)
    );
    assert!(server.queries().is_empty(), "nobody is asked");
}

#[test]
fn what_the_hosts_file_has_is_enough_whatever_the_family() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut config = config(&server);
    config.hosts = Hosts::parse("127.0.0.1 four.example\n::1 both\n127.0.0.1 both");
    let listener = TcpListener::bind((V4, 0)).unwrap();
    let there = listener.local_addr().unwrap();
    for host in ["four.example", "FOUR.example.", "both"] {
        let end = outcome(config.clone(), host, there.port());
        assert_eq!(end, End::Connected(there));
    }
    let end = outcome_by(config, Resolve::ipv4, "127.0.0.1", there.port());
    assert_eq!(end, End::Connected(there));
    assert!(server.queries().is_empty(), "nobody is asked");
}

#[test]
fn both_families_are_of_one_name_of_the_search_list() {
    let _watchdog = bounded();
    let Some((v4, _v6, port)) = both() else {
        return;
    };
    drop(v4);
    // `host.inner` has IPv4 only. That something else, which is called `host.outer`, has IPv6, is
    // no reason to connect to it.
    let server = NameServer::start(|query| {
        Some(match (&*query.name, query.kind) {
            ("host.inner", _) => query.address(V4, 60),
            ("host.outer", _) => query.address(V6, 60),
            _ => query.error(NO_SUCH_NAME),
        })
    });
    let mut config = config(&server);
    config.search = vec!["none".into(), "inner".into(), "outer".into()];
    let refused = Peer::Host(format!("host:{port} (127.0.0.1:{port})"));
    assert_eq!(outcome(config.clone(), "host", port), End::Refused(refused));
    assert!(server.names().iter().all(|name| name != "host.outer"));
    // A dot at the end says that nothing is missing.
    let end = outcome(config, "host.outer.", port);
    assert_eq!(end, End::Connected((V6, port).into()));
}

// --- how it ends early -------------------------------------------------------------------------------

/// T17: C connects for a bufferevent that was freed, when the lookup is done.
#[test]
fn a_stream_that_goes_during_the_lookup_takes_the_lookup_with_it() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config(&server)).unwrap();
    let how = Resolve::by(&resolver);
    let streams: Vec<_> = (0..3).map(|_| connect(&base, &how, HOST, 80)).collect();
    base.run_nonblocking().unwrap();
    assert_eq!(resolver.lookups(), 3);
    for (index, (stream, end)) in streams.into_iter().enumerate() {
        match index {
            0 => drop(stream),
            1 => stream.close(),
            _ => stream.close_when_flushed(),
        }
        assert!(end.take().is_none());
    }
    assert_eq!(resolver.lookups(), 0);
    let begin = Instant::now();
    base.run().unwrap();
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(200), "{took:?}");
}

#[test]
fn a_stream_that_goes_while_addresses_are_tried_takes_the_late_ones_with_it() {
    let _watchdog = bounded();
    let (_listener, address, _queue) = silent();
    let server = NameServer::start(|query| (query.kind == A).then(|| query.address(V4, 60)));
    let mut base = EventBase::new().unwrap();
    let mut config = config(&server);
    config.timeout = Duration::from_secs(5);
    let resolver = Resolver::new(&base, config).unwrap();
    let (stream, end) = connect(&base, &Resolve::by(&resolver), HOST, address.port());
    // The resolution delay is over, and the one address does not answer.
    base.handle()
        .exit_after(Duration::from_millis(150))
        .unwrap();
    base.run().unwrap();
    assert_eq!(resolver.lookups(), 1);
    drop(stream);
    assert_eq!(resolver.lookups(), 0);
    base.run().unwrap();
    assert!(end.take().is_none());
}

#[test]
fn a_base_that_goes_closes_streams_lookups_and_its_resolver() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    for turns in [0, 1] {
        let mut base = EventBase::new().unwrap();
        let resolver = Resolver::new(&base, config(&server)).unwrap();
        let (stream, end) = connect(&base, &Resolve::by(&resolver), HOST, 80);
        connect(&base, &Resolve::by(&resolver), HOST, 81).0.detach();
        connect(&base, &Resolve::base(), "localhost", 1).0.detach();
        for _ in 0..turns {
            base.run_nonblocking().unwrap();
        }
        drop(base);
        assert!(stream.is_closed() && resolver.is_closed());
        assert!(end.take().is_none());
    }
}

#[test]
fn a_resolver_that_is_closed_fails_the_lookup_that_is_under_way() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config(&server)).unwrap();
    let how = Resolve::by(&resolver);
    let (_stream, end) = connect(&base, &how, HOST, 80);
    base.run_nonblocking().unwrap();
    drop(resolver);
    base.run().unwrap();
    assert_eq!(
        end.take(),
        Some(End::NotFound(HOST.to_owned(), Cause::Closed))
    );
    let error = BufferEvent::connect_host_by(&base, &how, HOST, 80, Callbacks::new());
    assert!(matches!(error, Err(Error::Closed { what: "resolver" })));
    // A number needs none.
    let (_stream, end) = connect(&base, &how, "127.0.0.1", 1);
    base.run().unwrap();
    let nobody = Peer::from(SocketAddr::from((V4, 1)));
    assert_eq!(end.take(), Some(End::Refused(nobody)));
}

#[test]
fn a_resolver_of_another_base_is_refused() {
    let _watchdog = bounded();
    let (base, other) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let resolver = Resolver::new(&other, Config::default()).unwrap();
    let how = Resolve::by(&resolver);
    let error = BufferEvent::connect_host_by(&base, &how, HOST, 80, Callbacks::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "resolver: it lives on another event base"
    );
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn the_write_timeout_bounds_the_lookup_and_so_does_the_deadline_of_the_resolver() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut base = EventBase::new().unwrap();
    let mut config = config(&server);
    config.timeout = Duration::from_secs(5);
    config.deadline = Duration::from_millis(300);
    let resolver = Resolver::new(&base, config).unwrap();
    let how = Resolve::by(&resolver);
    let (hurried, late) = connect(&base, &how, HOST, 80);
    hurried
        .set_timeouts(None, Some(Duration::from_millis(30)))
        .unwrap();
    let (_patient, not_found) = connect(&base, &how, HOST, 80);
    let begin = Instant::now();
    base.run().unwrap();
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    let peer = Peer::Host(format!("{HOST}:80"));
    assert_eq!(late.take(), Some(End::TooLate(peer)));
    assert_eq!(
        not_found.take(),
        Some(End::NotFound(HOST.to_owned(), Cause::TimedOut))
    );
}

#[test]
fn a_handler_that_hears_of_a_failure_may_try_the_next_host() {
    let _watchdog = bounded();
    let listener = TcpListener::bind((V4, 0)).unwrap();
    let there = listener.local_addr().unwrap();
    let server = NameServer::start(|query| {
        Some(match &*query.name {
            HOST => query.address(V4, 60),
            _ => query.error(NO_SUCH_NAME),
        })
    });
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config(&server)).unwrap();
    let how = Resolve::by(&resolver);
    let second = Rc::new(RefCell::new(None));
    let slot = second.clone();
    let again = how.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        assert!(matches!(event, StreamEvent::Failed(_)), "{event:?}");
        *slot.borrow_mut() = Some(connect(stream.handle(), &again, HOST, there.port()));
        stream.close();
    });
    let first = BufferEvent::connect_host_by(&base, &how, "nobody.example", 80, handler).unwrap();
    base.run().unwrap();
    assert!(first.is_closed());
    let (_, end) = second.take().expect("it was tried");
    assert_eq!(end.take(), Some(End::Connected(there)));
}

#[test]
fn a_thousand_names_are_looked_up_at_once() {
    const MANY: usize = 1000;
    let _watchdog = bounded();
    let nobody = TcpListener::bind((V4, 0)).unwrap().local_addr().unwrap();
    let server = NameServer::start(|query| Some(query.address(V4, 60)));
    let mut base = EventBase::new().unwrap();
    // Patient, as that may take a while.
    let config = Config::with_servers([server.address()]);
    let resolver = Resolver::new(&base, config).unwrap();
    let how = Resolve::by(&resolver);
    let streams: Vec<_> = (0..MANY)
        .map(|n| connect(&base, &how, &format!("host{n}.example"), nobody.port()))
        .collect();
    assert_eq!(resolver.lookups(), MANY);
    base.run().unwrap();
    for (stream, end) in streams {
        assert!(stream.is_closed());
        assert!(matches!(end.take(), Some(End::Refused(_))));
    }
}

// --- the system's resolver -----------------------------------------------------------------------

#[test]
fn the_system_looks_up_names_when_it_is_asked_to() {
    let _watchdog = bounded();
    let listener = TcpListener::bind((V4, 0)).unwrap();
    let there = listener.local_addr().unwrap();
    let mut base = EventBase::new().unwrap();
    for how in [Resolve::system(), Resolve::system().ipv4()] {
        let (stream, end) = connect(&base, &how, "localhost", there.port());
        let peer = Peer::Host(format!("localhost:{}", there.port()));
        assert_eq!(stream.peer(), peer);
        base.run().unwrap();
        assert_eq!(end.take(), Some(End::Connected(there)));
    }
    let heard = Rc::new(Cell::new(false));
    let failed = heard.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        let StreamEvent::Failed(StreamError::Lookup { source, .. }) = event else {
            panic!("{event:?}");
        };
        assert!(matches!(source, Error::Lookup { .. }), "{source:?}");
        failed.set(true);
        stream.close();
    });
    let how = Resolve::system().ipv6();
    let stream = BufferEvent::connect_host_by(&base, &how, "127.0.0.1", 80, handler).unwrap();
    base.run().unwrap();
    assert!(heard.get() && stream.is_closed());
}
