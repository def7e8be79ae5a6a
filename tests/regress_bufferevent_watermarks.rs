//! libevent's own regress cases for streams (test/regress_bufferevent.c): watermarks. The whole
//! list is in docs/regress.md.
#![cfg(unix)]

mod common;
#[path = "common/streams.rs"]
mod streams;

use common::{Bump, bounded, count};
use libevent2::stream::{Callbacks, Direction, StreamEvent};
use libevent2::{Error, EventBase, LoopEnd};
use std::cell::RefCell;
use std::rc::Rc;
use streams::{Over, bytes};

const LENGTH: usize = 65000;

fn watermarks(over: Over) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let received = Rc::new(RefCell::new(Vec::new()));
    let (sent, done) = (count(), count());
    let (seen, ended) = (sent.clone(), done.clone());
    let writer = Callbacks::new()
        .on_write(move |stream| {
            assert!(stream.output().len() <= 100, "{:?}", stream.output());
            if stream.output().is_empty() {
                seen.bump();
            }
        })
        .on_event(|_, event: StreamEvent| -> () { panic!("{event:?}") });
    let all = received.clone();
    let reader = Callbacks::new()
        .on_read(move |stream| {
            let taken = stream.input().take().to_vec();
            assert!((10..=20).contains(&taken.len()), "{}", taken.len());
            all.borrow_mut().extend(taken);
            if all.borrow().len() == LENGTH {
                ended.bump();
                stream.disable(Direction::READ)?;
            }
            Ok::<(), Error>(())
        })
        .on_event(|_, event: StreamEvent| -> () { panic!("{event:?}") });
    let (first, second) = over.ends(&base, writer, reader);
    first.disable(Direction::READ).unwrap();
    second.enable(Direction::READ).unwrap();
    assert_eq!(first.watermarks(Direction::READ).unwrap().0, 0);
    assert_eq!(second.watermarks(Direction::WRITE).unwrap().0, 0);

    second.set_watermarks(Direction::READ, 10, 20).unwrap();
    assert_eq!(second.watermarks(Direction::READ).unwrap(), (10, 20));
    first.set_watermarks(Direction::WRITE, 100, 2000).unwrap();
    assert_eq!(first.watermarks(Direction::WRITE).unwrap(), (100, 2000));
    let both = first.watermarks(Direction::BOTH).unwrap_err();
    assert!(
        matches!(
            both,
            Error::Invalid {
                what: "direction",
                ..
            }
        ),
        "{both}"
    );

    first.write(&bytes(LENGTH)).unwrap();
    // Nothing is pending then: nobody waits to write what was written.
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((sent.get(), done.get()), (1, 1));
    assert!(*received.borrow() == bytes(LENGTH));
}

#[test]
fn bufferevent_watermarks() {
    watermarks(Over::Sockets);
}

#[test]
fn bufferevent_pair_watermarks() {
    watermarks(Over::Pair);
}
