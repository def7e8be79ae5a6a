//! What the tests of futures share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::net::{TcpListener, TcpStream};
use libevent2::{EventBase, EventConfig, LoopHandle};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake};

/// Runs a future on a base of its own.
pub fn run<T>(main: impl AsyncFnOnce(LoopHandle) -> T) -> T {
    run_on(EventBase::new().unwrap(), main)
}

/// Runs a future on a base, which is gone afterwards.
pub fn run_on<T>(mut base: EventBase, main: impl AsyncFnOnce(LoopHandle) -> T) -> T {
    let handle = base.handle().clone();
    base.block_on(main(handle)).unwrap()
}

/// A base for each back end of this system, with edges and without.
pub fn bases() -> impl Iterator<Item = EventBase> {
    let methods = libevent2::supported_methods();
    methods.clone().into_iter().map(move |method| {
        let others = methods.iter().filter(|other| **other != method);
        let config = others.fold(EventConfig::new(), |config, other| {
            config.avoid_method(other)
        });
        let base = config.build().unwrap();
        assert_eq!(base.method(), method);
        base
    })
}

/// Any port of this machine.
pub fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Both ends of a TCP connection.
pub async fn tcp_pair(handle: &LoopHandle) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(handle, local()).unwrap();
    let client = TcpStream::connect(handle, listener.local_addr().unwrap());
    let client = client.await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// One end of a TCP connection on the loop, and the other one outside.
pub async fn tcp_from_outside(handle: &LoopHandle) -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind(handle, local()).unwrap();
    let outside = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    (stream, outside)
}

/// Polls a future so many times, and lets the loop look at its events after each, and drops it.
/// What it gave, if it was done by then.
pub async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let done = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = done {
            return Some(output);
        }
        turn().await;
    }
    None
}

/// Lets the loop look at its events, and do what they ask for.
pub async fn turn() {
    // More than the loop does between two looks.
    for _ in 0..200 {
        libevent2::task::yield_now().await;
    }
}

/// A waker that counts.
#[derive(Default)]
pub struct Woken(AtomicUsize);

impl Woken {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Bytes that tell whether one of them is missing or in the wrong place.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251) as u8 ^ (at >> 12) as u8)
        .collect()
}
