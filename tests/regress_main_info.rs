//! libevent's own regress cases (test/regress.c, group `main`): what can be asked of a base and of
//! the library. The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, bounded, count};
use libevent2::{
    ConfigFlags, Error, Event, EventBase, EventBuilder, EventConfig, EventCounts, EventInfo,
    Features, Interest, Ready, Signal, supported_methods, version_number,
};
use regress::{alone_in, pair};
use std::cell::Cell;
use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn methods() {
    let _watchdog = bounded();
    let methods = supported_methods();
    let best = methods.first().expect("at least one back end");
    let without_best = EventConfig::new()
        .avoid_method(best)
        .flags(ConfigFlags::IGNORE_ENV)
        .build();
    match methods.len() {
        1 => assert!(matches!(without_best, Err(Error::Unsupported { .. }))),
        _ => assert_ne!(without_best.unwrap().method(), best),
    }
}

#[test]
fn version() {
    let _watchdog = bounded();
    let (text, number) = (libevent2::version(), version_number());
    assert_ne!(number, 0);
    let numbers: Vec<u32> = text
        .split(['.', '-'])
        .take(3)
        .map(|part| part.parse().expect("a number"))
        .collect();
    let [major, minor, patch] = numbers[..] else {
        panic!("{text} has not three numbers");
    };
    assert_eq!(number & 0xffff_ff00, major << 24 | minor << 16 | patch << 8);
}

#[test]
fn base_features() {
    let _watchdog = bounded();
    match EventConfig::new().require(Features::EDGE).build() {
        Ok(base) => assert!(base.features().contains(Features::EDGE)),
        Err(error) => {
            assert!(matches!(error, Error::Unsupported { .. }));
            assert!(
                !EventBase::new()
                    .unwrap()
                    .features()
                    .contains(Features::EDGE)
            );
        }
    }
}

#[test]
fn base_environ() {
    let _watchdog = bounded();
    let variable = format!("EVENT_NO{}", name_of_best().to_uppercase());

    alone_in("base_environ", &[(&variable, "1")], || {
        let other = EventConfig::new().build();
        match supported_methods().len() {
            1 => assert!(matches!(other, Err(Error::Unsupported { .. }))),
            _ => assert_ne!(other.unwrap().method(), name_of_best()),
        }
        let config = EventConfig::new().flags(ConfigFlags::IGNORE_ENV);
        assert_eq!(config.build().unwrap().method(), name_of_best());
    });
}

fn name_of_best() -> String {
    supported_methods().remove(0)
}

#[test]
fn get_assignment() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let other = EventBase::new().unwrap();
    let (_there, here) = pair();
    let event = Event::new(&base, Rc::clone(&here), Interest::READ, |_, _| ()).unwrap();
    assert!(event.handle().same_base(&base) && !event.handle().same_base(&other));
    assert_eq!(event.fd(), here.as_raw_fd());
    assert_eq!(event.interest(), Interest::READ);
    assert!(Rc::ptr_eq(event.source(), &here));
    assert_eq!(event.priority(), base.priorities() / 2);
}

#[test]
fn event_foreach() {
    let _watchdog = bounded();
    let base = EventConfig::new().priorities(8).build().unwrap();
    let mut peers = Vec::new();
    let events: Vec<_> = (0..5)
        .map(|priority| {
            let (here, there) = pair();
            peers.push(there);
            EventBuilder::new(Interest::READ)
                .once()
                .paused()
                .timeout(Duration::from_secs(10))
                .priority(priority)
                .build(&base, here, |_, _| ())
                .unwrap()
        })
        .collect();
    let list = || -> HashMap<i64, Vec<EventInfo>> {
        let mut found = HashMap::<_, Vec<_>>::new();
        for info in base.events().unwrap() {
            found.entry(info.fd).or_default().push(info);
        }
        found.retain(|fd, _| events.iter().any(|event| i64::from(event.fd()) == *fd));
        found
    };
    assert!(list().is_empty());

    events[0].add().unwrap();
    events[1].add().unwrap();
    events[1].activate(Ready::TIMEOUT).unwrap();
    events[2].activate(Ready::TIMEOUT).unwrap();
    events[3].add().unwrap();
    // The last one is left alone.

    let found = list();
    assert_eq!(found.len(), 4);
    for (priority, event) in events[..4].iter().enumerate() {
        let infos = &found[&i64::from(event.fd())];
        assert_eq!(infos.len(), 1, "each is seen once: {infos:?}");
        assert_eq!(infos[0].interest, Interest::READ);
        assert_eq!(infos[0].priority, priority);
        assert!(!infos[0].is_signal && !infos[0].persistent);
    }
    let text = base.dump().unwrap();
    assert!(
        text.contains("Inserted") && text.contains("Active"),
        "{text}"
    );

    for event in &events {
        event.remove();
    }
    assert!(list().is_empty());
}

/// What libevent counts, in the order of the original: active, virtual, added, and their sums.
const COUNTS: [EventCounts; 7] = [
    EventCounts::ACTIVE,
    EventCounts::VIRTUAL,
    EventCounts::ADDED,
    EventCounts::ACTIVE.union(EventCounts::VIRTUAL),
    EventCounts::ACTIVE.union(EventCounts::ADDED),
    EventCounts::VIRTUAL.union(EventCounts::ADDED),
    EventCounts::all(),
];

fn waits_for_a_read(base: &EventBase, source: UnixStream) -> Event<UnixStream> {
    EventBuilder::new(Interest::READ)
        .once()
        .timeout(Duration::from_millis(100))
        .build(base, source, |event, _| event.handle().exit())
        .unwrap()
}

#[test]
fn event_base_get_num_events() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, _there) = UnixStream::pair().unwrap();
    let counts = |base: &EventBase| COUNTS.map(|which| base.num_events(which));
    assert_eq!(counts(&base), [0; 7]);

    let event = waits_for_a_read(&base, here);
    // It counts twice: for the descriptor and for the timeout.
    assert_eq!(counts(&base), [0, 0, 2, 0, 2, 2, 2]);

    event.activate(Ready::READ).unwrap();
    assert_eq!(counts(&base), [1, 0, 3, 1, 4, 3, 4]);

    base.run().unwrap();
    assert_eq!(counts(&base), [0; 7]);
}

#[test]
fn event_base_get_max_events() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    let most = |base: &EventBase| COUNTS.map(|which| base.max_events(which, false));

    let event = waits_for_a_read(&base, here);
    let removed = waits_for_a_read(&base, there);
    removed.remove();
    assert_eq!(most(&base), [0, 0, 4, 0, 4, 4, 4]);

    event.activate(Ready::READ).unwrap();
    assert_eq!(most(&base), [1, 0, 4, 1, 5, 4, 5]);

    base.run().unwrap();
    assert_eq!(base.max_events(EventCounts::ACTIVE, true), 1);
    assert_eq!(base.max_events(EventCounts::VIRTUAL, true), 0);
    assert_eq!(base.max_events(EventCounts::ADDED, true), 4);
    // Each was read and begun anew.
    assert_eq!(most(&base), [0; 7]);
}

#[test]
fn active_by_fd() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    let long = Duration::from_secs(600);

    // Of descriptors and signals that have no event, or cannot have one: nothing happens.
    for fd in [1000, -1, i32::MAX, i32::MIN] {
        base.activate_fd(fd, Ready::READ).unwrap();
        base.activate_fd(fd, Ready::all()).unwrap();
    }
    for signum in [1000, -1, 0, i32::MAX, i32::MIN] {
        base.activate_signal(signum).unwrap();
    }
    assert_eq!(base.num_events(EventCounts::ACTIVE), 0);

    let got: Rc<[Cell<Option<Ready>>; 4]> = Rc::default();
    let watch = |nth: usize, source: &Rc<UnixStream>, interest, timeout: Option<Duration>| {
        let mut builder = EventBuilder::new(interest).once();
        if let Some(timeout) = timeout {
            builder = builder.timeout(timeout);
        }
        let got = Rc::clone(&got);
        let callback = move |_: &_, ready| assert_eq!(got[nth].replace(Some(ready)), None);
        builder.build(&base, Rc::clone(source), callback).unwrap()
    };
    let _events = [
        watch(0, &here, Interest::READ, Some(long)),
        watch(1, &here, Interest::WRITE, None),
        watch(2, &there, Interest::READ, None),
        watch(3, &there, Interest::READ, Some(long)),
    ];
    let hangups = count();
    let seen = Rc::clone(&hangups);
    let _signal = Signal::new(&base, libc::SIGHUP, move |_| {
        seen.bump();
    })
    .unwrap();

    base.activate_fd(here.as_raw_fd(), Ready::WRITE).unwrap();
    base.activate_fd(there.as_raw_fd(), Ready::READ).unwrap();
    base.activate_fd(there.as_raw_fd(), Ready::TIMEOUT).unwrap();
    base.activate_signal(libc::SIGHUP).unwrap();
    base.run_once().unwrap();

    let got: Vec<_> = got.iter().map(Cell::get).collect();
    let both = Ready::READ | Ready::TIMEOUT;
    assert_eq!(
        got,
        [None, Some(Ready::WRITE), Some(Ready::READ), Some(both)]
    );
    assert_eq!(hangups.get(), 1);
}
