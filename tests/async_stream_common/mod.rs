//! Pairs of streams of every kind, to be awaited.

#![allow(dead_code, reason = "each test binary uses its own part")]

#[cfg(feature = "openssl")]
#[path = "../common/tls.rs"]
mod openssl_ends;
#[cfg(feature = "rustls")]
#[path = "../common/rustls.rs"]
mod rustls_ends;

use libevent2::stream::{AsyncStream, BufferEvent, Callbacks, Filter, FilterIo, RateLimit};
use libevent2::{BoxError, Buffer, EventBase, LoopHandle};
use std::future::{Future, poll_fn};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// What the bytes of a stream go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Tcp,
    Unix,
    Pair,
    Filter,
    PairFilter,
    /// Fast enough for a test, and all libevent's own.
    RateLimit,
    #[cfg(feature = "rustls")]
    Rustls,
    #[cfg(feature = "rustls")]
    RustlsOverFilter,
    #[cfg(feature = "openssl")]
    Openssl,
    #[cfg(feature = "openssl")]
    OpensslOverPair,
}

pub const EACH: &[Over] = &[
    Over::Tcp,
    Over::Unix,
    Over::Pair,
    Over::Filter,
    Over::PairFilter,
    Over::RateLimit,
    #[cfg(feature = "rustls")]
    Over::Rustls,
    #[cfg(feature = "rustls")]
    Over::RustlsOverFilter,
    #[cfg(feature = "openssl")]
    Over::Openssl,
    #[cfg(feature = "openssl")]
    Over::OpensslOverPair,
];

pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

impl Over {
    /// A client and a server, as bufferevents.
    pub fn buffer_events(self, base: &LoopHandle) -> (BufferEvent, BufferEvent) {
        let none = Callbacks::new;
        let unix = || {
            let (near, far) = UnixStream::pair().unwrap();
            let stream = |socket| BufferEvent::from_socket(base, socket, none()).unwrap();
            (stream(near), stream(far))
        };
        let pair = || BufferEvent::pair(base, none(), none()).unwrap();
        let filtered = |(near, far)| {
            let stream = |below| BufferEvent::filter(below, Flip, none()).unwrap();
            (stream(near), stream(far))
        };
        match self {
            Over::Tcp => {
                let (near, far) = tcp_pair();
                let stream = |socket| BufferEvent::from_socket(base, socket, none()).unwrap();
                (stream(near), stream(far))
            }
            Over::Unix => unix(),
            Over::Pair => pair(),
            Over::Filter => filtered(unix()),
            Over::PairFilter => filtered(pair()),
            Over::RateLimit => {
                let (near, far) = unix();
                let rate = RateLimit::per_second(20_000_000).tick(Duration::from_millis(5));
                near.set_rate_limit(rate).unwrap();
                far.set_rate_limit(rate).unwrap();
                (near, far)
            }
            #[cfg(feature = "rustls")]
            Over::Rustls => rustls(unix()),
            #[cfg(feature = "rustls")]
            Over::RustlsOverFilter => rustls(filtered(unix())),
            #[cfg(feature = "openssl")]
            Over::Openssl => openssl(unix()),
            #[cfg(feature = "openssl")]
            Over::OpensslOverPair => openssl(pair()),
        }
    }

    /// A client and a server.
    pub fn ends(self, base: &LoopHandle) -> (AsyncStream, AsyncStream) {
        let (near, far) = self.buffer_events(base);
        (
            AsyncStream::new(near).unwrap(),
            AsyncStream::new(far).unwrap(),
        )
    }
}

#[cfg(feature = "rustls")]
pub fn rustls((near, far): (BufferEvent, BufferEvent)) -> (BufferEvent, BufferEvent) {
    let connector = rustls_ends::connector();
    let acceptor = rustls_ends::acceptor();
    (
        connector.wrap(near, "localhost", Callbacks::new()).unwrap(),
        acceptor.wrap(far, Callbacks::new()).unwrap(),
    )
}

#[cfg(feature = "openssl")]
pub fn openssl((near, far): (BufferEvent, BufferEvent)) -> (BufferEvent, BufferEvent) {
    let (connector, acceptor) = openssl_ends::ends();
    (
        connector.wrap(near, "localhost", Callbacks::new()).unwrap(),
        acceptor.wrap(far, Callbacks::new()).unwrap(),
    )
}

/// Changes every byte.
struct Flip;

impl Flip {
    fn pass(source: &mut Buffer, out: &mut Buffer) -> Result<(), BoxError> {
        let mut bytes = source.to_vec();
        source.clear()?;
        bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
        Ok(out.append(&bytes)?)
    }
}

impl Filter for Flip {
    fn input(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        _: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        Flip::pass(source, out)
    }

    fn output(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        _: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        Flip::pass(source, out)
    }
}

/// Runs what a test awaits, with a handle on its loop.
pub fn run<T>(test: impl AsyncFnOnce(LoopHandle) -> T) -> T {
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let result = base.block_on(test(handle)).unwrap();
    assert_eq!(base.stats().live_total(), 0, "nothing is left on the loop");
    result
}

/// Polls a future so often, once in each turn of the loop, and drops it if it is not done then.
pub async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            // What was polled for the last time is not waited for.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

/// Bytes that tell where they are.
pub fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n / 7 + n / 65_521) as u8).collect()
}

pub const MOMENT: Duration = Duration::from_millis(20);
