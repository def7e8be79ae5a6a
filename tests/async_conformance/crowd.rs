//! Many tasks, and tasks that do much.

use crate::api::Api;
use crate::common::bounded;
use crate::kind::Kind;
use crate::pattern::{receive, send};
use libevent2::{EventBase, Timer};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

pub fn thousands<K: Kind, A: Api<K::Stream>>() {
    const ROUNDS: usize = 3;
    const COUNT: usize = 100;
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let done = Rc::new(Cell::new(0));
    for _ in 0..K::MANY {
        let (here, there) = K::ends(base.handle());
        let (here, there) = (A::over(here), A::over(there));
        base.spawn(async move {
            for round in 0..ROUNDS {
                let from = receive(&there, round * COUNT, COUNT, &[COUNT]).await;
                assert_eq!(from, COUNT);
                send(&there, round * COUNT, (round + 1) * COUNT, &[COUNT]).await;
            }
            // Until the other side has all.
            assert_eq!(receive(&there, 0, 1, &[1]).await, 0);
        })
        .detach();
        let done = done.clone();
        base.spawn(async move {
            for round in 0..ROUNDS {
                send(&here, round * COUNT, (round + 1) * COUNT, &[70, 30]).await;
                let count = receive(&here, round * COUNT, COUNT, &[3, 40]).await;
                assert_eq!(count, COUNT);
            }
            here.close().await.unwrap();
            done.set(done.get() + 1);
        })
        .detach();
    }
    base.run().unwrap();
    assert_eq!(done.get(), K::MANY);
    assert_eq!(base.stats().tasks(), 0);
}

/// Talks to itself: what it reads has always come already, or nearly so.
async fn talk<K: Kind, A: Api<K::Stream>>(here: A, there: A) {
    loop {
        assert_eq!(here.write(b"x").await.unwrap(), 1);
        assert_eq!(there.read(&mut [0; 1]).await.unwrap(), 1);
    }
}

/// A timer that stops the loop.
fn ticks(base: &EventBase, count: usize) -> Timer {
    let mut left = count;
    Timer::every(base, Duration::from_millis(1), move |timer| {
        left -= 1;
        if left == 0 {
            timer.handle().exit_now();
        }
    })
    .unwrap()
}

pub fn busy_task<K: Kind, A: Api<K::Stream>>() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = K::ends(base.handle());
    drop(base.spawn(talk::<K, A>(A::over(here), A::over(there))));
    let _ticks = ticks(&base, 10);
    base.run().unwrap();
}

pub fn busy_main<K: Kind, A: Api<K::Stream>>() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = K::ends(base.handle());
    let _ticks = ticks(&base, 10);
    let end = base.block_on(talk::<K, A>(A::over(here), A::over(there)));
    assert!(end.is_err());
}
