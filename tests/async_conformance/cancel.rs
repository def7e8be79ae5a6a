//! Operations that are dropped after 0, 1, 2 … polls, and then made again.

use crate::api::Api;
use crate::kind::Kind;
use crate::pattern::{bytes, check, receive, run, send};
use libevent2::task::yield_now;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// How many polls an operation is given at most before it is dropped.
const MOST: usize = 4;

/// What `future` returns, unless it is dropped after so many polls.
async fn within<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

pub fn reads<K: Kind, A: Api<K::Stream>>() {
    const COUNT: usize = 3_000;
    for polls in 0..=MOST {
        run::<K, A, _>(|handle, here, there| async move {
            let writes = handle.spawn(async move {
                let mut place = 0;
                for size in [1, 2, 17, 100, 5].into_iter().cycle() {
                    send(&*here, place, COUNT.min(place + size), &[size]).await;
                    place += size;
                    if place >= COUNT {
                        break;
                    }
                    for _ in 0..place % 3 {
                        yield_now().await;
                    }
                }
                here.close().await.unwrap();
            });
            let (mut place, mut dropped) = (0, 0);
            let mut buf = [0; 23];
            loop {
                let first = within(polls, there.read(&mut buf)).await;
                let count = match first {
                    Some(count) => count.unwrap(),
                    None => {
                        dropped += 1;
                        if dropped % 2 == 0 {
                            // Something may come meanwhile.
                            yield_now().await;
                        }
                        there.read(&mut buf).await.unwrap()
                    }
                };
                if count == 0 {
                    break;
                }
                check(place, &buf[..count]);
                place += count;
            }
            assert_eq!(place, COUNT);
            assert!(dropped > 0 || polls > 1, "none was dropped");
            writes.await.unwrap();
        });
    }
}

pub fn writes<K: Kind, A: Api<K::Stream>>() {
    const COUNT: usize = 1_500_000;
    const PIECE: usize = 90_000;
    for polls in 0..=MOST {
        run::<K, A, _>(|handle, here, there| async move {
            let reads = handle.spawn(async move {
                let mut place = 0;
                while place < COUNT {
                    let count = receive(&*there, place, 50_000, &[50_000]).await;
                    assert!(count > 0);
                    place += count;
                    for _ in 0..place % 3 {
                        yield_now().await;
                    }
                }
                assert_eq!(there.read(&mut [0; 10]).await.unwrap(), 0);
                place
            });
            let (mut place, mut dropped) = (0, 0);
            while place < COUNT {
                let piece = bytes(place, PIECE.min(COUNT - place));
                let first = within(polls, here.write(piece)).await;
                place += match first {
                    Some(count) => count.unwrap(),
                    None => {
                        dropped += 1;
                        if dropped % 2 == 0 {
                            yield_now().await;
                        }
                        here.write(piece).await.unwrap()
                    }
                };
            }
            assert!(dropped > 0 || polls > 1, "none was dropped");
            here.flush().await.unwrap();
            here.close().await.unwrap();
            assert_eq!(reads.await.unwrap(), COUNT);
        });
    }
}

pub fn closes<K: Kind, A: Api<K::Stream>>() {
    const COUNT: usize = 60_000;
    for polls in 0..=MOST {
        run::<K, A, _>(|handle, here, there| async move {
            let reads = handle.spawn(async move {
                for _ in 0..5 {
                    yield_now().await;
                }
                receive(&*there, 0, usize::MAX, &[10_000]).await
            });
            let mut place = 0;
            while place < COUNT {
                let piece = bytes(place, COUNT - place);
                place += here.write(piece).await.unwrap();
                if within(polls, here.flush()).await.is_none() {
                    here.flush().await.unwrap();
                }
            }
            if within(polls, here.close()).await.is_none() {
                here.close().await.unwrap();
            }
            assert_eq!(reads.await.unwrap(), COUNT);
        });
    }
}
