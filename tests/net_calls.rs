//! Which calls of the system an operation takes: counted where they are made.
#![cfg(all(feature = "async", target_os = "linux"))]

mod async_common;
mod common;

use async_common::{run, tcp_from_outside, turn};
use common::bounded;
use libc::{c_int, c_long, c_void, epoll_event, size_t, ssize_t};
use libevent2::net::TcpStream;
use libevent2::{EventBase, EventCounts};
use std::cell::Cell;
use std::future::Future;
use std::io::{Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

thread_local! {
    static EPOLL_CTL: Cell<usize> = const { Cell::new(0) };
    static RECV: Cell<usize> = const { Cell::new(0) };
    static SEND: Cell<usize> = const { Cell::new(0) };
}

fn bump(count: &'static std::thread::LocalKey<Cell<usize>>) {
    count.with(|count| count.set(count.get() + 1));
}

// The program's own functions go before those of the system's library.

#[unsafe(no_mangle)]
extern "C" fn epoll_ctl(epoll: c_int, op: c_int, fd: c_int, event: *mut epoll_event) -> c_int {
    bump(&EPOLL_CTL);
    // SAFETY: the caller's arguments, passed on.
    unsafe { libc::syscall(libc::SYS_epoll_ctl, epoll, op, fd, event) as c_int }
}

#[unsafe(no_mangle)]
extern "C" fn recv(fd: c_int, buf: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    bump(&RECV);
    let nobody = std::ptr::null_mut::<c_void>();
    // SAFETY: the caller's arguments, passed on.
    unsafe { libc::syscall(libc::SYS_recvfrom, fd, buf, length, flags, nobody, nobody) as ssize_t }
}

#[unsafe(no_mangle)]
extern "C" fn send(fd: c_int, buf: *const c_void, length: size_t, flags: c_int) -> ssize_t {
    bump(&SEND);
    let nobody = std::ptr::null_mut::<c_void>();
    let none: c_long = 0;
    // SAFETY: the caller's arguments, passed on.
    unsafe { libc::syscall(libc::SYS_sendto, fd, buf, length, flags, nobody, none) as ssize_t }
}

/// How many calls of `epoll_ctl`, `recv` and `send` this thread makes.
async fn calls(of: impl AsyncFnOnce()) -> [usize; 3] {
    let now = || [EPOLL_CTL.get(), RECV.get(), SEND.get()];
    let before = now();
    of().await;
    let after = now();
    std::array::from_fn(|at| after[at] - before[at])
}

#[test]
fn a_descriptor_is_registered_once_for_its_life() {
    let _bounded = bounded();
    run(async |handle| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let ends = calls(async || {
            let stream = TcpStream::connect(&handle, addr).await.unwrap();
            let (mut outside, _) = listener.accept().unwrap();
            let stream = Rc::new(stream);
            for _ in 0..100 {
                let reader = Rc::clone(&stream);
                let reading = handle.spawn(async move {
                    reader.read_exact(&mut [0; 4]).await.unwrap();
                });
                turn().await;
                outside.write_all(b"ping").unwrap();
                reading.await.unwrap();
                stream.write_all(b"pong").await.unwrap();
                outside.read_exact(&mut [0; 4]).unwrap();
            }
        });
        // Added and deleted.
        assert_eq!(ends.await[0], 2);
    });
}

#[test]
fn a_request_and_its_answer_are_one_recv_and_one_send() {
    let _bounded = bounded();
    run(async |handle| {
        let (server, mut outside) = tcp_from_outside(&handle).await;
        let client = thread::spawn(move || {
            for _ in 0..100 {
                outside.write_all(b"request").unwrap();
                outside.read_exact(&mut [0; 6]).unwrap();
            }
        });
        let made = calls(async || {
            let mut buf = [0; 8192];
            while server.read(&mut buf).await.unwrap() > 0 {
                server.write_all(b"answer").await.unwrap();
            }
        });
        // The last one hears of the end.
        assert_eq!(made.await, [0, 101, 100]);
        client.join().unwrap();
    });
}

#[test]
fn a_stream_that_waits_after_a_read_looks_once_more_and_not_again() {
    let _bounded = bounded();
    run(async |handle| {
        let (stream, mut outside) = tcp_from_outside(&handle).await;
        outside.write_all(b"words").unwrap();
        let reading = handle.spawn(async move {
            let mut buf = [0; 64];
            assert_eq!(stream.read(&mut buf).await.unwrap(), 5);
            stream.read(&mut buf).await
        });
        let before = RECV.get();
        let pause = Duration::from_millis(10);
        while RECV.get() < before + 2 {
            handle.sleep(pause).await;
        }
        for _ in 0..15 {
            handle.sleep(pause).await;
        }
        assert_eq!(RECV.get(), before + 2);
        assert!(!reading.is_finished());
        drop(outside);
        assert_eq!(reading.await.unwrap().unwrap(), 0);
    });
}

#[test]
fn a_loop_does_not_wait_for_a_stream_that_is_gone() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let pending = || handle.num_events(EventCounts::ADDED);
    let before = pending();
    let reads = async {
        let (stream, mut outside) = tcp_from_outside(&handle).await;
        outside.write_all(b"words").unwrap();
        let mut buf = [0; 64];
        assert_eq!(stream.read(&mut buf).await.unwrap(), 5);
        // It is in doubt when it goes.
        let mut more = pin!(stream.read(&mut buf));
        let mut cx = Context::from_waker(Waker::noop());
        let trusted = pending();
        assert!(more.as_mut().poll(&mut cx).is_pending());
        assert_eq!(pending(), trusted + 1);
    };
    base.block_on(reads).unwrap();
    assert_eq!(pending(), before);
    assert_eq!(base.stats().live_total(), 0);
    base.run().unwrap();
}
