//! What a lookup's closure may do: everything, to its resolver too.

mod common;
mod dns_common;

use common::{Bump, Count, bounded, count};
use dns_common::NameServer;
use dns_common::got::{Client, Got, IPV4, IPV6, config, knowing, known, ms};
use libevent2::dns::{Cause, Config, Lookup, Resolver};
use libevent2::{EventBase, Kind, LoopEnd, Timer};
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

/// A resolver that closures can have too.
struct Shared {
    resolver: Rc<Resolver>,
    base: EventBase,
}

impl Shared {
    fn new(config: Config) -> Self {
        let base = EventBase::new().unwrap();
        let resolver = Rc::new(Resolver::new(&base, config).unwrap());
        Shared { resolver, base }
    }

    #[track_caller]
    fn run(&mut self) {
        assert_eq!(self.base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(self.base.stats().live(Kind::Lookup), 0);
    }
}

fn chain(resolver: &Rc<Resolver>, left: usize, done: Count) {
    let next = resolver.clone();
    let host = if left.is_multiple_of(3) {
        "127.0.0.1"
    } else {
        "www"
    };
    let lookup = resolver.lookup_ipv4(host, move |found| {
        assert!(found.is_ok());
        done.bump();
        if left > 1 {
            chain(&next, left - 1, done);
        }
    });
    lookup.unwrap().detach();
}

#[test]
fn a_closure_may_start_another_lookup_a_thousand_times() {
    let _watchdog = bounded();
    let server = knowing();
    let mut shared = Shared::new(config(&[&server]));
    let done = count();
    chain(&shared.resolver, 1000, done.clone());
    shared.run();
    assert_eq!(done.get(), 1000);
}

/// Starts `n` lookups of both families; the first closure that is called does `act` to the resolver.
fn first_of(
    n: usize,
    config: Config,
    act: impl FnOnce(&Rc<Resolver>) + 'static,
) -> Vec<Got<IpAddr>> {
    let mut shared = Shared::new(config);
    let act = Rc::new(RefCell::new(Some(act)));
    let lookups: Vec<_> = (0..n)
        .map(|_| {
            let got = Got::new();
            let (note, act) = (got.note(), act.clone());
            let resolver = Rc::downgrade(&shared.resolver);
            let lookup = shared.resolver.lookup_host("www", move |found| {
                let resolver = resolver.upgrade().unwrap();
                if let Some(act) = act.take() {
                    act(&resolver);
                }
                note(found);
                if resolver.lookups() == 0 {
                    // Where C has seen it, it holds the loop.
                    resolver.close();
                }
            });
            lookup.unwrap().detach();
            got
        })
        .collect();
    shared.run();
    assert!(act.borrow().is_none());
    lookups
}

#[test]
fn a_closure_may_close_the_resolver() {
    let _watchdog = bounded();
    let server = knowing();
    // More than C calls back in one turn of the loop.
    let mut lookups = first_of(100, config(&[&server]), |resolver| resolver.close());
    assert_eq!(lookups.remove(0).once().unwrap().records.len(), 2);
    for got in lookups {
        assert_eq!(got.cause(), Cause::Closed);
    }
}

#[test]
fn a_closure_may_drop_the_resolver() {
    let _watchdog = bounded();
    let server = knowing();
    let mut base = EventBase::new().unwrap();
    let slot = Rc::new(RefCell::new(Some(
        Resolver::new(&base, config(&[&server])).unwrap(),
    )));
    let lookups: Vec<_> = (0..50)
        .map(|_| {
            let got = Got::new();
            let (note, own) = (got.note(), slot.clone());
            let slot = slot.borrow();
            let lookup = slot.as_ref().unwrap().lookup_ipv4("www", move |found| {
                drop(own.take());
                note(found);
            });
            lookup.unwrap().detach();
            got
        })
        .collect();
    base.run().unwrap();
    assert_eq!(base.stats().live_total(), 0);
    let found: Vec<_> = lookups.iter().map(Got::once).collect();
    assert_eq!(found.iter().filter(|found| found.is_ok()).count(), 1);
}

#[test]
fn a_closure_may_suspend_and_resume_and_configure_the_resolver() {
    let _watchdog = bounded();
    let (server, other) = (knowing(), knowing());
    let then = config(&[&other]);
    // More than C has under way at a time, so that some are left when the first one is answered.
    let lookups = first_of(300, config(&[&server]), move |resolver| {
        resolver.suspend().unwrap();
        assert!(resolver.is_suspended());
        resolver.set_config(then).unwrap();
        resolver.resume().unwrap();
        assert!(!resolver.as_ptr().is_null());
        resolver.suspend().unwrap();
        resolver.resume().unwrap();
    });
    for got in lookups {
        assert_eq!(got.once().unwrap().records.len(), 2);
    }
    assert!(!other.queries().is_empty());
}

#[test]
fn a_closure_may_cancel_and_drop_other_lookups_and_its_own() {
    let _watchdog = bounded();
    let server = knowing();
    let mut shared = Shared::new(config(&[&server]));
    let handles: Rc<RefCell<Vec<Lookup>>> = Rc::default();
    let lookups: Vec<Got<IpAddr>> = (0..40)
        .map(|_| {
            let got = Got::new();
            let (note, others) = (got.note(), handles.clone());
            let lookup = shared.resolver.lookup_host("www", move |found| {
                note(found);
                for (index, lookup) in others.take().into_iter().enumerate() {
                    // Its own is the first one.
                    assert_eq!(lookup.is_done(), index == 0);
                    match index % 2 {
                        0 => lookup.cancel(),
                        _ => drop(lookup),
                    }
                }
            });
            handles.borrow_mut().push(lookup.unwrap());
            got
        })
        .collect();
    shared.run();
    for (index, got) in lookups.into_iter().enumerate() {
        match index {
            0 => assert!(got.once().is_ok()),
            _ if index % 2 == 0 => assert_eq!(got.cause(), Cause::Cancelled),
            _ => assert!(got.is_empty()),
        }
    }
}

#[test]
fn what_is_dropped_with_a_closure_may_use_the_resolver() {
    let _watchdog = bounded();
    struct Asks(Rc<Resolver>, Count);
    impl Drop for Asks {
        fn drop(&mut self) {
            let count = self.1.clone();
            let lookup = self.0.lookup_ipv4("www", move |_| _ = count.bump());
            match lookup {
                Ok(lookup) => lookup.detach(),
                Err(error) => assert_eq!(error.to_string(), "resolver is closed"),
            }
        }
    }
    let server = knowing();
    let mut shared = Shared::new(config(&[&server]));
    let called = count();
    let asks = Asks(shared.resolver.clone(), called.clone());
    let lookup = shared.resolver.lookup_ipv4("www", move |_| drop(asks));
    drop(lookup.unwrap());
    shared.run();
    assert_eq!(called.get(), 1);
    // The base drops it.
    let asks = Asks(shared.resolver.clone(), called.clone());
    let lookup = shared.resolver.lookup_ipv4("www", move |_| drop(asks));
    lookup.unwrap().detach();
    let Shared { resolver, base } = shared;
    drop(base);
    assert!(resolver.is_closed());
    assert_eq!(called.get(), 1);
}

#[test]
fn a_resolver_may_be_configured_while_questions_are_under_way() {
    let _watchdog = bounded();
    let (silent, knowing) = (NameServer::silent(), knowing());
    let mut client = Client::new(config(&[&silent]));
    let got = Got::new();
    let _lookup = client.resolver.lookup_host("www", got.note()).unwrap();
    client.resolver.set_config(config(&[&knowing])).unwrap();
    client.run();
    assert_eq!(got.once().unwrap().records, [IpAddr::V6(IPV6), IPV4.into()]);
    assert_eq!(knowing.queries().len(), 2);
    let got = Got::new();
    let _lookup = client.resolver.lookup_host("www", got.note()).unwrap();
    client.resolver.set_config(Config::default()).unwrap();
    assert!(client.resolver.servers().is_empty());
    client.resolver.set_config(config(&[&knowing])).unwrap();
    client.resolver.close();
    let error = client.resolver.set_config(Config::default()).unwrap_err();
    assert_eq!(error.to_string(), "resolver is closed");
    client.run();
    assert_eq!(got.cause(), Cause::Closed);
}

#[test]
fn a_suspended_resolver_asks_when_it_is_resumed() {
    let _watchdog = bounded();
    let server = knowing();
    let mut client = Client::new(config(&[&server]));
    // One was sent before, the other one waits.
    let (before, after) = (Got::new(), Got::new());
    let one = client.resolver.lookup_ipv4("before", before.note());
    client.resolver.suspend().unwrap();
    let two = client.resolver.lookup_ipv4("after", after.note());
    client.base.exit_after(ms(100)).unwrap();
    assert_eq!(client.base.run().unwrap(), LoopEnd::Exit);
    assert!(before.is_empty() && after.is_empty());
    client.resolver.resume().unwrap();
    client.run();
    assert!(before.once().is_ok() && after.once().is_ok());
    drop((one, two));
}

#[test]
fn a_question_that_waits_may_be_cancelled() {
    let _watchdog = bounded();
    let server = NameServer::silent();
    let mut few = config(&[&server]);
    few.max_in_flight = 1;
    let mut client = Client::new(few);
    let lookups: Vec<_> = (0..10)
        .map(|_| client.resolver.lookup_host("www", |_| ()).unwrap())
        .collect();
    drop(lookups);
    client.run();
    client.resolver.suspend().unwrap();
    let lookups: Vec<_> = (0..10)
        .map(|_| client.resolver.lookup_host("www", |_| ()).unwrap())
        .collect();
    drop(lookups);
    client.run();
    client.resolver.resume().unwrap();
    client.run();
}

/// The loop's clock stands still in a callback, and C counts by it.
#[test]
fn a_timeout_is_one_also_after_a_long_callback() {
    let _watchdog = bounded();
    let silent = NameServer::silent();
    let mut slow = config(&[&silent]);
    slow.timeout = ms(200);
    slow.attempts = 1;
    let mut shared = Shared::new(slow);
    let got = Got::new();
    let (note, resolver) = (got.note(), shared.resolver.clone());
    let _timer = Timer::after(&shared.base, Duration::ZERO, move |_| {
        thread::sleep(ms(80));
        resolver.lookup_ipv4("www", note).unwrap().detach();
    });
    shared.run();
    assert_eq!(got.cause(), Cause::TimedOut);
}

#[test]
fn an_answer_that_waits_to_be_told_may_be_cancelled() {
    let _watchdog = bounded();
    // Both answers are there in one turn of the loop.
    let server = NameServer::start({
        let mut first = None;
        move |query| match first.take() {
            None => {
                first = Some(known(query));
                Vec::new()
            }
            Some(answer) => vec![answer, known(query)],
        }
    });
    let mut shared = Shared::new(config(&[&server]));
    let lookups: Rc<RefCell<Vec<Lookup>>> = Rc::default();
    let called = count();
    for _ in 0..2 {
        let (called, others) = (called.clone(), lookups.clone());
        let lookup = shared.resolver.lookup_ipv4("www", move |_| {
            called.bump();
            others.borrow_mut().clear();
        });
        lookups.borrow_mut().push(lookup.unwrap());
    }
    shared.run();
    assert_eq!(called.get(), 1);
}
