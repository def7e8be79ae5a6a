//! Order, ends, and waiting.

use crate::api::Api;
use crate::common::bounded;
use crate::kind::Kind;
use crate::pattern::{SIZES, byte, bytes, check, receive, run, send};
use libevent2::EventBase;
use libevent2::task::{OnLoop, promise, yield_now};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

pub fn order<K: Kind, A: Api<K::Stream>>() {
    const COUNT: usize = 400_000;
    run::<K, A, _>(|handle, here, there| async move {
        // Both directions of both streams at once.
        let tasks = [(here.clone(), there.clone()), (there, here)].map(|(from, to)| {
            let sends = handle.spawn(async move { send(&*from, 0, COUNT, &SIZES).await });
            let receives = handle.spawn(async move {
                let sizes = [5, 100_000, 1, 333, 8_192];
                assert_eq!(receive(&*to, 0, COUNT, &sizes).await, COUNT);
            });
            (sends, receives)
        });
        for (sends, receives) in tasks {
            sends.await.unwrap();
            receives.await.unwrap();
        }
    });
}

pub fn vectored<K: Kind, A: Api<K::Stream>>() {
    run::<K, A, _>(|handle, here, there| async move {
        let total = 200_000;
        let reads = handle.spawn(async move { receive(&*there, 0, usize::MAX, &SIZES).await });
        let mut place = 0;
        while place < total {
            // More of them than the system takes at once, and empty ones among them.
            let all = bytes(place, total - place);
            let mut rest = all;
            let mut slices = Vec::new();
            for size in [0, 1, 50, 0, 3, 200, 0].into_iter().cycle().take(3_000) {
                let (piece, after) = rest.split_at(rest.len().min(size));
                slices.push(IoSlice::new(piece));
                rest = after;
            }
            let most = slices.iter().map(|slice| slice.len()).sum();
            let count = here.write_vectored(&slices).await.unwrap();
            assert!(0 < count && count <= most, "{count} of {most}");
            place += count;
        }
        here.flush().await.unwrap();
        here.close().await.unwrap();
        assert_eq!(reads.await.unwrap(), total);
    });
}

pub fn empty<K: Kind, A: Api<K::Stream>>() {
    run::<K, A, _>(|_, here, there| async move {
        let nothing = async || {
            // Also when there is nothing to read, and no end to the peer.
            assert_eq!(there.read(&mut []).await.unwrap(), 0);
            assert_eq!(here.write(&[]).await.unwrap(), 0);
            assert_eq!(here.write_vectored(&[]).await.unwrap(), 0);
            let empty = [IoSlice::new(&[]), IoSlice::new(&[])];
            assert_eq!(here.write_vectored(&empty).await.unwrap(), 0);
            here.flush().await.unwrap();
        };
        nothing().await;
        send(&*here, 0, 10, &[10]).await;
        nothing().await;
        assert_eq!(receive(&*there, 0, 4, &[4]).await, 4);
        nothing().await;
        assert_eq!(receive(&*there, 4, 6, &[100]).await, 6);
        nothing().await;
        here.close().await.unwrap();
        assert_eq!(there.read(&mut []).await.unwrap(), 0);
        assert_eq!(there.read(&mut [0; 9]).await.unwrap(), 0);
        assert_eq!(there.read(&mut []).await.unwrap(), 0);
    });
}

pub fn half_close<K: Kind, A: Api<K::Stream>>() {
    run::<K, A, _>(|handle, here, there| async move {
        let peer = handle.spawn({
            let there = there.clone();
            async move {
                assert_eq!(receive(&*there, 0, usize::MAX, &SIZES).await, 150_000);
                // The end stays the end.
                for _ in 0..3 {
                    assert_eq!(there.read(&mut [0; 10]).await.unwrap(), 0);
                }
                send(&*there, 0, 150_000, &SIZES).await;
                there.close().await.unwrap();
            }
        });
        send(&*here, 0, 150_000, &SIZES).await;
        here.close().await.unwrap();
        let error = here.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
        assert_eq!(receive(&*here, 0, usize::MAX, &SIZES).await, 150_000);
        peer.await.unwrap();
    });
}

pub fn back_pressure<K: Kind, A: Api<K::Stream>>() {
    const PIECE: usize = 20_000;
    const MOST: usize = 64 << 20;
    run::<K, A, _>(|handle, here, there| async move {
        // Nobody reads: some time no more is taken.
        let mut place = 0;
        let pause = Duration::from_millis(100);
        while let Ok(count) = handle.timeout(pause, here.write(bytes(place, PIECE))).await {
            place += count.unwrap();
            assert!(place < MOST, "nothing holds the writer back");
        }
        // It goes on as soon as somebody reads.
        let writes = handle.spawn({
            let here = here.clone();
            async move { send(&*here, place, place + 300_000, &[PIECE]).await }
        });
        yield_now().await;
        assert!(!writes.is_finished());
        let all = place + 300_000;
        assert_eq!(receive(&*there, 0, all, &SIZES).await, all);
        writes.await.unwrap();
    });
}

/// What a peer of TLS is that goes without its last message.
const WITHOUT_A_WORD: [ErrorKind; 2] = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];

pub fn peer_gone<K: Kind, A: Api<K::Stream>>() {
    run::<K, A, _>(|handle, here, there| async move {
        let reads = handle.spawn({
            let here = here.clone();
            async move { here.read(&mut [0; 10]).await }
        });
        yield_now().await;
        drop(there);
        match reads.await.unwrap() {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert!(WITHOUT_A_WORD.contains(&error.kind()), "{error:?}"),
        }
        // Not at once, as what the system takes may be lost: but no writer goes on for ever, nor
        // waits, and no signal ends the process.
        let write = async {
            loop {
                if let Err(error) = here.write(&[0; 1000]).await {
                    return error;
                }
                if let Err(error) = here.flush().await {
                    return error;
                }
            }
        };
        let error = handle
            .timeout(Duration::from_secs(20), write)
            .await
            .unwrap();
        let broken = error.kind() == ErrorKind::BrokenPipe;
        assert!(
            broken || WITHOUT_A_WORD.contains(&error.kind()),
            "{error:?}"
        );
    });
}

pub fn base_gone<K: Kind, A: Api<K::Stream>>() {
    let _bounded = bounded();
    let gone = EventBase::new().unwrap();
    let (here, there) = K::ends(gone.handle());
    let (here, there) = (Rc::new(A::over(here)), Rc::new(A::over(there)));
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    base.block_on(async {
        let read = {
            let here = here.clone();
            async move { here.read(&mut [0; 10]).await.map(drop) }
        };
        let read = handle.spawn(read);
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(!read.is_finished());
        drop(gone);
        let error = read.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
        assert!(there.read(&mut [0; 10]).await.is_err());
        assert!(there.write(b"more").await.is_err());
        drop((here, there));
    })
    .unwrap();
}

pub fn moves<K: Kind, A: Api<K::Stream>>() {
    run::<K, A, _>(|handle, here, there| async move {
        let read = Box::pin(async move {
            let mut buf = [0; 10];
            let count = there.read(&mut buf).await.unwrap();
            check(0, &buf[..count]);
            count
        });
        let place: Rc<RefCell<Pin<Box<dyn Future<Output = usize>>>>> = Rc::new(RefCell::new(read));
        // Polled by a task that then waits for ever, and goes; then by another one.
        for _ in 0..3 {
            let place = place.clone();
            let first = handle.spawn(poll_fn(move |cx| {
                assert!(place.borrow_mut().as_mut().poll(cx).is_pending());
                Poll::<()>::Pending
            }));
            yield_now().await;
            first.cancel();
            let _ = first.await;
        }
        let last = handle.spawn(poll_fn(move |cx| place.borrow_mut().as_mut().poll(cx)));
        yield_now().await;
        send(&*here, 0, 5, &[5]).await;
        assert!((1..=5).contains(&last.await.unwrap()));
    });
}

pub fn thread<K: Kind, A: Api<K::Stream>>() {
    run::<K, A, _>(|handle, here, there| async move {
        let remote = handle.remote().unwrap();
        let reads = handle.spawn(async move { receive(&*there, 0, 100, &[1]).await });
        for place in 0..100 {
            let (promise, promised) = promise();
            let promise = OnLoop::new(&handle, promise);
            let remote = remote.clone();
            thread::spawn(move || {
                let byte = byte(place);
                remote.post(move |_| promise.into_inner().resolve(byte))
            });
            let byte: u8 = promised.await.unwrap();
            assert_eq!(here.write(&[byte]).await.unwrap(), 1);
            here.flush().await.unwrap();
        }
        assert_eq!(reads.await.unwrap(), 100);
    });
}
