//! The readiness of any descriptor.
#![cfg(feature = "async")]

mod async_common;
mod common;

use async_common::{Woken, bases, run, run_on, turn};
use common::{Bump, DropCount, bounded, count};
use libevent2::net::{AsyncFd, Direction};
use libevent2::{Error, Event, EventBase, Features, Interest, LoopEnd};
use std::fs::File;
use std::future::poll_fn;
use std::io::{ErrorKind, PipeReader, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Two ends of a socket, neither of which blocks.
fn pair() -> (UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    there.set_nonblocking(true).unwrap();
    (here, there)
}

fn nonblocking(pipe: PipeReader) -> PipeReader {
    let stream = socket2::SockRef::from(&pipe);
    stream.set_nonblocking(true).unwrap();
    pipe
}

#[test]
fn a_pipe_is_waited_for() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (reader, mut writer) = pipe().unwrap();
            let reader = Rc::new(AsyncFd::new(&handle, nonblocking(reader)).unwrap());
            let reading = Rc::clone(&reader);
            let task = handle.spawn(async move {
                let mut word = [0; 8];
                let read = |mut pipe: &PipeReader| pipe.read(&mut word);
                let n = reading.io(Direction::Read, read).await.unwrap();
                word[..n].to_vec()
            });
            turn().await;
            assert!(!task.is_finished());
            writer.write_all(b"hello").unwrap();
            assert_eq!(task.await.unwrap(), b"hello");
            drop(writer);
            let read = |mut pipe: &PipeReader| pipe.read(&mut [0; 8]);
            assert_eq!(reader.io(Direction::Read, read).await.unwrap(), 0);
        });
    }
}

#[test]
fn readiness_stays_until_an_operation_would_block() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (here, mut there) = pair();
            let here = AsyncFd::new(&handle, here).unwrap();
            there.write_all(b"ab").unwrap();
            here.readable().await.unwrap();
            here.readable().await.unwrap();
            let read = |mut stream: &UnixStream| stream.read(&mut [0; 1]);
            assert_eq!(here.try_io(Direction::Read, read).unwrap(), 1);
            here.readable().await.unwrap();
            assert_eq!(here.try_io(Direction::Read, read).unwrap(), 1);
            let error = here.try_io(Direction::Read, read).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(here.poll_read_ready(&mut cx).is_pending());
            there.write_all(b"c").unwrap();
            here.readable().await.unwrap();
        });
    }
}

#[test]
fn all_that_wait_are_woken_and_of_those_that_poll_the_last_one() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (here, mut there) = pair();
            let here = Rc::new(AsyncFd::new(&handle, here).unwrap());
            let woken = count();
            let waiters: Vec<_> = (0..1000)
                .map(|_| {
                    let (here, woken) = (Rc::clone(&here), Rc::clone(&woken));
                    handle.spawn(async move {
                        here.readable().await.unwrap();
                        woken.bump();
                    })
                })
                .collect();
            let (first, last) = (Woken::new(), Woken::new());
            for waker in [&first, &last] {
                let waker = Waker::from(waker.clone());
                let mut cx = Context::from_waker(&waker);
                assert!(here.poll_read_ready(&mut cx).is_pending());
                assert!(here.poll_read_ready(&mut cx).is_pending());
            }
            turn().await;
            assert_eq!(woken.get(), 0);
            there.write_all(b"x").unwrap();
            for waiter in waiters {
                waiter.await.unwrap();
            }
            assert_eq!((woken.get(), first.times(), last.times()), (1000, 0, 1));
        });
    }
}

#[test]
fn an_operation_is_polled_until_it_succeeds() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (here, mut there) = pair();
            let here = AsyncFd::new(&handle, here).unwrap();
            let mut byte = [0];
            let mut tries = 0;
            let mut polls = 0;
            let n = poll_fn(|cx| {
                polls += 1;
                if polls == 1 {
                    cx.waker().wake_by_ref();
                }
                if polls == 2 {
                    there.write_all(b"x").unwrap();
                }
                here.poll_io(cx, Direction::Read, |mut stream| {
                    tries += 1;
                    stream.read(&mut byte)
                })
            });
            assert_eq!(n.await.unwrap(), 1);
            assert_eq!(&byte, b"x");
            // It was not tried before the loop had said that it was worth it.
            assert_eq!(tries, 1);
        });
    }
}

#[test]
fn an_operation_that_is_interrupted_is_made_again() {
    let _bounded = bounded();
    run(async |handle| {
        let (here, _there) = pair();
        let here = AsyncFd::new(&handle, here).unwrap();
        let mut tries = 0;
        let write = |_: &UnixStream| {
            tries += 1;
            if tries < 3 {
                return Err(ErrorKind::Interrupted.into());
            }
            Ok(())
        };
        here.io(Direction::Write, write).await.unwrap();
        assert_eq!(tries, 3);
        let failing = |_: &UnixStream| Err::<(), _>(std::io::Error::other("no"));
        let error = here.io(Direction::Write, failing).await.unwrap_err();
        assert_eq!(error.to_string(), "no");
    });
}

#[test]
fn a_peer_that_has_closed_makes_both_directions_ready() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (here, there) = pair();
            let here = AsyncFd::new(&handle, here).unwrap();
            drop(there);
            here.readable().await.unwrap();
            here.writable().await.unwrap();
        });
    }
}

#[test]
fn what_was_given_comes_back_and_the_loop_is_done_with_it() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, mut there) = pair();
    let fd = AsyncFd::new(&base, here).unwrap();
    let waker = Waker::from(Woken::new());
    let mut cx = Context::from_waker(&waker);
    assert!(fd.poll_read_ready(&mut cx).is_pending());
    there.write_all(b"x").unwrap();
    let mut here = fd.into_inner();
    assert_eq!(here.read(&mut [0; 4]).unwrap(), 1);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    // It may be watched again.
    let again = AsyncFd::new(&base, here).unwrap();
    base.block_on(again.writable()).unwrap().unwrap();
}

#[test]
fn a_descriptor_may_be_watched_twice() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (here, mut there) = pair();
            let here = Rc::new(here);
            let first = AsyncFd::new(&handle, Rc::clone(&here)).unwrap();
            there.write_all(b"ab").unwrap();
            first.readable().await.unwrap();
            // The second one comes too late for the news.
            let second = AsyncFd::new(&handle, Rc::clone(&here)).unwrap();
            let read = |stream: &Rc<UnixStream>| (&**stream).read(&mut [0; 1]);
            assert_eq!(second.io(Direction::Read, read).await.unwrap(), 1);
            drop(first);
            assert_eq!(second.io(Direction::Read, read).await.unwrap(), 1);
            let reading = handle.spawn(async move { second.io(Direction::Read, read).await });
            turn().await;
            assert!(!reading.is_finished());
            there.write_all(b"c").unwrap();
            assert_eq!(reading.await.unwrap().unwrap(), 1);
        });
    }
}

#[test]
fn a_descriptor_that_cannot_be_watched_is_refused() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    if base.method() == "epoll" {
        let file = File::open("/proc/self/exe").unwrap();
        let error = AsyncFd::new(&base, file).unwrap_err();
        assert!(matches!(error, Error::Os { .. }), "{error}");
    }
    let (here, _there) = pair();
    let here = Rc::new(here);
    let _event = Event::new(&base, Rc::clone(&here), Interest::READ, |_, _| {}).unwrap();
    if base.features().contains(Features::EDGE) {
        let error = AsyncFd::new(&base, here).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
}

/// A descriptor that counts when it is dropped.
struct Counted(UnixStream, #[expect(dead_code)] DropCount);

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[test]
fn the_descriptor_is_dropped_once_with_its_value_or_after_its_base() {
    let _bounded = bounded();
    for mut base in bases() {
        let drops = count();
        let (here, there) = pair();
        let kept = AsyncFd::new(&base, Counted(here, DropCount(drops.clone()))).unwrap();
        let gone = AsyncFd::new(&base, Counted(there, DropCount(drops.clone()))).unwrap();
        base.block_on(kept.writable()).unwrap().unwrap();
        drop(gone);
        assert_eq!(drops.get(), 1);
        drop(base);
        assert_eq!(drops.get(), 1);
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Err(error)) = kept.poll_read_ready(&mut cx) else {
            panic!("nobody will tell");
        };
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        // An operation without the loop is as good as ever.
        let write = |counted: &Counted| (&counted.0).write(b"x");
        let error = kept.try_io(Direction::Write, write).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        drop(kept);
        assert_eq!(drops.get(), 2);
    }
}
