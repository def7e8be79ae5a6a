//! Lookups that are awaited.
#![cfg(all(feature = "async", unix))]

mod async_stream_common;
mod common;
mod dns_common;

use async_stream_common::{polled, run};
use common::bounded;
use dns_common::got::{IPV4, IPV6, config, knowing};
use dns_common::{NO_SUCH_NAME, NameServer, PTR};
use libevent2::dns::{Cause, Config, LookupError, Resolver};
use libevent2::task::JoinHandle;
use libevent2::util::AddrHints;
use libevent2::{Error, EventBase};
use std::io;
use std::net::IpAddr;

fn why(error: Error) -> LookupError {
    match error {
        Error::Dns(error) => error,
        error => panic!("{error}"),
    }
}

#[test]
fn names_are_turned_into_addresses_and_back() {
    let _bounded = bounded();
    let server = NameServer::start(|query| {
        Some(match (query.kind, &*query.name) {
            (PTR, _) => query.reply().ptr(&query.exact, 60, "host.example").bytes(),
            (_, "host.example") => dns_common::got::known(query),
            _ => query.error(NO_SUCH_NAME),
        })
    });
    run(async |handle| {
        let resolver = Resolver::new(&handle, config(&[&server])).unwrap();
        let found = resolver.resolve_host("host.example").await.unwrap();
        assert_eq!(found.records, [IpAddr::V6(IPV6), IpAddr::V4(IPV4)]);
        assert_eq!(found.name, "host.example");
        let found = resolver.resolve_ipv4("host.example").await.unwrap();
        assert_eq!(found.records, [IPV4]);
        let found = resolver.resolve_ipv6("host.example").await.unwrap();
        assert_eq!(found.records, [IPV6]);
        let found = resolver.resolve_addr(IPV4.into()).await.unwrap();
        assert_eq!(found.records, ["host.example"]);
        let hints = AddrHints::default();
        let found = resolver.resolve_addrinfo(Some("host.example"), Some("80"), hints);
        assert_eq!(found.await.unwrap().records[0].address.port(), 80);

        let error = why(resolver.resolve_host("nowhere.example").await.unwrap_err());
        assert_eq!(error.cause(), Cause::NoSuchName);
        assert_eq!(error.name(), "nowhere.example");
        let nothing = resolver.resolve_addrinfo(None, None, AddrHints::default());
        assert!(matches!(nothing.await, Err(Error::Invalid { .. })));
    });
}

#[test]
fn the_loop_resolves_as_the_system_does_and_errors_go_up_by_a_question_mark() {
    let _bounded = bounded();
    run(async |handle| {
        let here = handle.resolve("localhost").await.unwrap();
        assert!(here.iter().all(IpAddr::is_loopback), "{here:?}");
        let number = handle.resolve("2001:db8::7").await.unwrap();
        assert_eq!(number, [IpAddr::V6(IPV6)]);

        let failing = async {
            let addresses = handle.resolve("no..where").await?;
            Ok::<_, io::Error>(addresses.len())
        };
        let error = failing.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("no..where"), "{error}");
    });
}

#[test]
fn a_hundred_lookups_are_under_way_at_a_time() {
    let _bounded = bounded();
    let server = knowing();
    run(async |handle| {
        let resolver = std::rc::Rc::new(Resolver::new(&handle, config(&[&server])).unwrap());
        let tasks: Vec<JoinHandle<_>> = (0..100)
            .map(|n| {
                let resolver = resolver.clone();
                handle
                    .spawn(async move { resolver.resolve_ipv4(&format!("host{n}.example")).await })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            let found = task.await.unwrap().unwrap();
            assert_eq!(found.name, format!("host{n}.example"));
            assert_eq!(found.records, [IPV4]);
        }
    });
}

#[test]
fn a_lookup_whose_future_is_dropped_is_cancelled() {
    let _bounded = bounded();
    let server = NameServer::silent();
    run(async |handle| {
        let resolver = Resolver::new(&handle, config(&[&server])).unwrap();
        for times in 0..3 {
            let found = polled(times, resolver.resolve_host("host.example")).await;
            assert!(found.is_none());
            assert_eq!(resolver.lookups(), 0);
        }
    });
}

#[test]
fn a_lookup_ends_with_its_resolver_and_with_its_base() {
    let _bounded = bounded();
    let server = NameServer::silent();
    run(async |handle| {
        let resolver = std::rc::Rc::new(Resolver::new(&handle, config(&[&server])).unwrap());
        let task = handle.spawn({
            let resolver = resolver.clone();
            async move { resolver.resolve_host("host.example").await }
        });
        while resolver.lookups() == 0 {
            libevent2::task::yield_now().await;
        }
        resolver.close();
        let error = why(task.await.unwrap().unwrap_err());
        assert_eq!(error.cause(), Cause::Closed);
        let error = resolver.resolve_host("host.example").await.unwrap_err();
        assert!(matches!(error, Error::Closed { .. }), "{error}");
    });

    let base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let resolver = Resolver::new(&base, Config::default()).unwrap();
    let mut other = EventBase::new().unwrap();
    let mut base = Some(base);
    let end = async { drop(base.take()) };
    let error = other.block_on(async {
        let mut lookup = std::pin::pin!(resolver.resolve_host("127.0.0.1"));
        // It begins, and its base goes before it is told.
        let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(lookup.as_mut().poll(cx)));
        assert!(begun.await.is_pending());
        end.await;
        lookup.await.unwrap_err()
    });
    let error = error.unwrap();
    assert!(matches!(error, Error::Closed { .. }), "{error}");
    let error = other.block_on(handle.resolve("127.0.0.1")).unwrap();
    assert!(matches!(error, Err(Error::Closed { .. })));
}
