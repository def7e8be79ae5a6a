//! Our streams by the traits of futures-io, tokio and hyper: each kind of stream by each trait
//! does the same.

#![cfg(all(feature = "futures-io", feature = "tokio", feature = "hyper"))]

mod async_stream_common;
mod common;
mod io_traits_common;

use async_stream_common::{EACH, MOMENT, bytes, run, tcp_pair};
use common::bounded;
use io_traits_common::{
    Both, ByFutures, ByHyper, ByTokio, Reads, Writes, close, flush, read, read_to_end, write_all,
    write_slices,
};
use libevent2::LoopHandle;
use libevent2::net::{TcpStream, UnixStream};
use libevent2::stream::AsyncStream;
use libevent2::task::OnLoop;
use std::future::poll_fn;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Two ends of a connection, of a kind of stream and by a crate's traits.
struct Ends {
    kind: String,
    near: Box<dyn Both>,
    far: Box<dyn Both>,
}

fn tcp(handle: &LoopHandle) -> (TcpStream, TcpStream) {
    let (near, far) = tcp_pair();
    let stream = |socket| TcpStream::from_std(handle, socket).unwrap();
    (stream(near), stream(far))
}

fn by_each<S>(kind: &str, make: impl Fn() -> (S, S)) -> Vec<Ends>
where
    S: futures_io::AsyncRead + futures_io::AsyncWrite,
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite,
    S: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let ends = |by: &str, near: Box<dyn Both>, far: Box<dyn Both>| Ends {
        kind: format!("{kind} by {by}"),
        near,
        far,
    };
    let ((a, b), (c, d), (e, f)) = (make(), make(), make());
    vec![
        ends("futures-io", Box::new(ByFutures(a)), Box::new(ByFutures(b))),
        ends("tokio", Box::new(ByTokio(c)), Box::new(ByTokio(d))),
        ends("hyper", Box::new(ByHyper(e)), Box::new(ByHyper(f))),
    ]
}

/// Sockets, and what keeps them on the loop.
fn sockets(handle: &LoopHandle) -> Vec<Ends> {
    let mut ends = by_each("TcpStream", || tcp(handle));
    ends.extend(by_each("UnixStream", || UnixStream::pair(handle).unwrap()));
    ends.extend(by_each("OnLoop<TcpStream>", || {
        let (near, far) = tcp(handle);
        (OnLoop::new(handle, near), OnLoop::new(handle, far))
    }));
    ends
}

/// All of them, with bufferevents of every kind.
fn all(handle: &LoopHandle) -> Vec<Ends> {
    let mut ends = sockets(handle);
    for over in EACH {
        let kind = format!("AsyncStream over {over:?}");
        ends.extend(by_each(&kind, || over.ends(handle)));
    }
    ends
}

/// Polls without a chance to be woken: whether it would have to wait.
fn now<T>(poll: impl FnOnce(&mut std::task::Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut std::task::Context::from_waker(Waker::noop()))
}

#[test]
fn all_that_is_written_arrives_and_then_the_end() {
    let _bounded = bounded();
    run(async |handle| {
        let sent: Rc<Vec<u8>> = bytes(150_000).into();
        for Ends { kind, near, far } in all(&handle) {
            let (mut near, mut far) = (near, far);
            let sending = Rc::clone(&sent);
            let writer = handle.spawn(async move {
                write_all(&mut *near, &sending).await?;
                write_slices(&mut *near, &sending).await?;
                flush(&mut *near).await?;
                close(&mut *near).await?;
                // The other direction is still open.
                read_to_end(&mut *near).await
            });
            let got = read_to_end(&mut *far).await.unwrap();
            assert!(
                got == [&sent[..], &sent[..]].concat(),
                "{kind}: {}",
                got.len()
            );
            assert_eq!(read(&mut *far, &mut [0; 8]).await.unwrap(), 0, "{kind}");
            write_all(&mut *far, b"goodbye").await.unwrap();
            close(&mut *far).await.unwrap();
            assert_eq!(writer.await.unwrap().unwrap(), b"goodbye", "{kind}");
        }
    });
}

#[test]
fn a_read_waits_for_the_first_byte_and_takes_what_there_is() {
    let _bounded = bounded();
    run(async |handle| {
        for Ends { kind, near, far } in all(&handle) {
            let (mut near, mut far) = (near, far);
            let reader = handle.spawn(async move {
                let mut buf = [0; 100];
                let count = read(&mut *far, &mut buf).await?;
                io::Result::Ok(buf[..count].to_vec())
            });
            libevent2::task::yield_now().await;
            assert!(!reader.is_finished(), "{kind}");
            write_all(&mut *near, b"some").await.unwrap();
            flush(&mut *near).await.unwrap();
            assert_eq!(reader.await.unwrap().unwrap(), b"some", "{kind}");
        }
    });
}

#[test]
fn a_read_into_little_room_leaves_the_rest_for_the_next() {
    let _bounded = bounded();
    run(async |handle| {
        for Ends { kind, near, far } in all(&handle) {
            let (mut near, mut far) = (near, far);
            write_all(&mut *near, b"abcde").await.unwrap();
            close(&mut *near).await.unwrap();
            let mut got = Vec::new();
            for _ in 0..5 {
                let mut one = [0];
                assert_eq!(read(&mut *far, &mut one).await.unwrap(), 1, "{kind}");
                got.push(one[0]);
            }
            assert_eq!(got, b"abcde", "{kind}");
            assert_eq!(read(&mut *far, &mut [0]).await.unwrap(), 0, "{kind}");
        }
    });
}

#[test]
fn without_room_or_bytes_nothing_is_waited_for() {
    let _bounded = bounded();
    run(async |handle| {
        for Ends { kind, near, far } in sockets(&handle) {
            let (mut near, mut far) = (near, far);
            let read = poll_fn(|cx| Poll::Ready(far.poll_read(cx, &mut []))).await;
            assert!(matches!(read, Poll::Ready(Ok(0))), "{kind}: {read:?}");
            let wrote = poll_fn(|cx| Poll::Ready(near.poll_write(cx, &[]))).await;
            assert!(matches!(wrote, Poll::Ready(Ok(0))), "{kind}: {wrote:?}");
            let none = [IoSlice::new(&[]), IoSlice::new(&[])];
            let wrote = poll_fn(|cx| Poll::Ready(near.poll_write_vectored(cx, &none))).await;
            assert!(matches!(wrote, Poll::Ready(Ok(0))), "{kind}: {wrote:?}");
        }
    });
}

#[test]
fn all_of_them_say_that_they_write_many_slices_at_once() {
    let _bounded = bounded();
    run(async |handle| {
        for Ends { kind, near, .. } in all(&handle) {
            assert!(near.is_write_vectored(), "{kind}");
        }
    });
}

/// Writes until there is no more room, which is a finite number of bytes.
async fn fill(handle: &LoopHandle, to: &mut dyn Writes) -> usize {
    let part = [7; 16 * 1024];
    let (mut written, mut before) = (0, usize::MAX);
    while written != before {
        before = written;
        while let Poll::Ready(count) = now(|cx| to.poll_write(cx, &part)) {
            written += count.unwrap();
            assert!(written < 64 << 20, "no bound");
        }
        // The system finds more room yet, and what a task may do in one go comes to an end.
        handle.sleep(MOMENT / 4).await;
    }
    written
}

#[test]
fn a_writer_waits_for_a_reader_who_is_slow_and_is_woken_then() {
    let _bounded = bounded();
    run(async |handle| {
        for Ends { kind, near, far } in all(&handle) {
            let (mut near, mut far) = (near, far);
            // A handshake may have to come first.
            write_all(&mut *near, &[7]).await.unwrap();
            flush(&mut *near).await.unwrap();
            read(&mut *far, &mut [0]).await.unwrap();
            let filled = fill(&handle, &mut *near).await;
            assert!(filled > 0, "{kind}");
            let writer = handle.spawn(async move {
                write_all(&mut *near, &[8; 100_000]).await?;
                close(&mut *near).await
            });
            libevent2::task::yield_now().await;
            assert!(!writer.is_finished(), "{kind}");
            let got = read_to_end(&mut *far).await.unwrap();
            writer.await.unwrap().unwrap();
            assert!(
                got.len() >= filled + 100_000,
                "{kind}: {filled}, {}",
                got.len()
            );
            assert!(got.ends_with(&[8; 100_000]), "{kind}");
        }
    });
}

#[test]
fn a_read_that_was_given_up_takes_nothing() {
    let _bounded = bounded();
    run(async |handle| {
        for Ends { kind, near, far } in all(&handle) {
            let (mut near, mut far) = (near, far);
            for _ in 0..3 {
                let mut buf = [0; 10];
                let given_up = now(|cx| far.poll_read(cx, &mut buf));
                assert!(given_up.is_pending(), "{kind}");
            }
            write_all(&mut *near, b"all of it").await.unwrap();
            close(&mut *near).await.unwrap();
            assert_eq!(
                read_to_end(&mut *far).await.unwrap(),
                b"all of it",
                "{kind}"
            );
        }
    });
}

/// The one that polled last is woken, as the traits demand: a stream may go to another task.
#[test]
fn who_polled_last_is_woken() {
    let _bounded = bounded();
    run(async |handle| {
        for Ends { kind, near, far } in all(&handle) {
            let (mut near, mut far) = (near, far);
            assert!(
                now(|cx| far.poll_read(cx, &mut [0; 10])).is_pending(),
                "{kind}"
            );
            let reader = handle.spawn(async move {
                let mut buf = [0; 10];
                read(&mut *far, &mut buf).await
            });
            write_all(&mut *near, b"hello").await.unwrap();
            flush(&mut *near).await.unwrap();
            assert_eq!(reader.await.unwrap().unwrap(), 5, "{kind}");
        }
    });
}

#[test]
fn writing_to_who_has_gone_fails_and_harms_nobody() {
    let _bounded = bounded();
    run(async |handle| {
        for Ends { kind, near, far } in sockets(&handle) {
            let mut near = near;
            drop(far);
            let error = loop {
                if let Err(error) = write_all(&mut *near, &[7; 10_000]).await {
                    break error;
                }
            };
            let kinds = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
            assert!(kinds.contains(&error.kind()), "{kind}: {error:?}");
            // The peer that has gone is no error of closing.
            let _ = close(&mut *near).await;
        }
    });
}

#[test]
fn halves_work_on_their_own_and_end_what_they_write_when_they_go() {
    let _bounded = bounded();
    run(async |handle| {
        let split = || {
            let (near, far) = tcp(&handle);
            let ((a, b), (c, d)) = (near.into_split(), far.into_split());
            (a, b, c, d)
        };
        let (r1, w1, r2, w2) = split();
        let (r3, w3, r4, w4) = split();
        let (r5, w5, r6, w6) = split();
        type Reader = Box<dyn Reads>;
        type Writer = Box<dyn Writes>;
        let all: [(Reader, Writer, Reader, Writer); 3] = [
            (
                Box::new(ByFutures(r1)),
                Box::new(ByFutures(w1)),
                Box::new(ByFutures(r2)),
                Box::new(ByFutures(w2)),
            ),
            (
                Box::new(ByTokio(r3)),
                Box::new(ByTokio(w3)),
                Box::new(ByTokio(r4)),
                Box::new(ByTokio(w4)),
            ),
            (
                Box::new(ByHyper(r5)),
                Box::new(ByHyper(w5)),
                Box::new(ByHyper(r6)),
                Box::new(ByHyper(w6)),
            ),
        ];
        for (mut near_reads, mut near_writes, mut far_reads, mut far_writes) in all {
            let echo = handle.spawn(async move {
                let all = read_to_end(&mut *far_reads).await.unwrap();
                write_slices(&mut *far_writes, &all).await.unwrap();
            });
            let sent = bytes(200_000);
            write_all(&mut *near_writes, &sent).await.unwrap();
            drop(near_writes);
            assert!(read_to_end(&mut *near_reads).await.unwrap() == sent);
            echo.await.unwrap();
        }
    });
}

#[test]
fn borrowed_halves_work_both_ways_at_a_time() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = UnixStream::pair(&handle).unwrap();
        let echo = handle.spawn(async move {
            let (read_half, write_half) = far.split();
            let (mut from, mut to) = (ByTokio(read_half), ByTokio(write_half));
            let mut buf = [0; 1000];
            loop {
                match read(&mut from, &mut buf).await.unwrap() {
                    0 => break close(&mut to).await.unwrap(),
                    count => write_all(&mut to, &buf[..count]).await.unwrap(),
                }
            }
        });
        let (read_half, write_half) = near.split();
        let (mut from, mut to) = (ByHyper(read_half), ByFutures(write_half));
        let sent = bytes(500_000);
        let writing = async {
            write_all(&mut to, &sent).await.unwrap();
            close(&mut to).await.unwrap();
        };
        let mut writing = std::pin::pin!(writing);
        let mut reading = std::pin::pin!(read_to_end(&mut from));
        let mut written = false;
        let got = poll_fn(|cx| {
            written = written || writing.as_mut().poll(cx).is_ready();
            reading.as_mut().poll(cx)
        });
        assert!(got.await.unwrap() == sent);
        echo.await.unwrap();
    });
}

fn is_send<T: Send + Sync>(value: T) -> T {
    value
}

#[test]
fn on_loop_is_send_and_panics_where_it_does_not_belong() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = tcp(&handle);
        let near = is_send(OnLoop::new(&handle, near));
        let elsewhere = handle.spawn_blocking(move || {
            let mut near = near;
            assert!(!tokio::io::AsyncWrite::is_write_vectored(&near));
            let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                now(|cx| futures_io::AsyncRead::poll_read(Pin::new(&mut near), cx, &mut [0]))
            }));
            assert!(read.is_err());
            // Its way home is to be dropped there.
            drop(near);
        });
        elsewhere.await.unwrap();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn what_came_before_a_reset_is_read_before_its_error() {
    let _bounded = bounded();
    run(async |handle| {
        for by in 0..3 {
            let (near, mut outside) = tcp_pair();
            let near = TcpStream::from_std(&handle, near).unwrap();
            outside.write_all(b"last words").unwrap();
            near.readable().await.unwrap();
            let mut stream: Box<dyn Reads> = match by {
                0 => Box::new(ByFutures(near)),
                1 => Box::new(ByTokio(near)),
                _ => Box::new(ByHyper(near)),
            };
            let mut words = [0; 10];
            assert_eq!(read(&mut *stream, &mut words).await.unwrap(), 10);
            let socket = socket2::SockRef::from(&outside);
            socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
            drop(outside);
            let error = read(&mut *stream, &mut words).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(&words, b"last words");
        }
    });
}

/// For `tokio::io::copy` and the like, a stream must be one type that has it all.
#[test]
fn an_async_stream_has_all_the_traits() {
    fn has_all<T>()
    where
        T: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite,
        T: hyper::rt::Read + hyper::rt::Write,
    {
    }
    has_all::<AsyncStream>();
    has_all::<TcpStream>();
    has_all::<UnixStream>();
    has_all::<OnLoop<AsyncStream>>();
    has_all::<OnLoop<OnLoop<TcpStream>>>();
}
