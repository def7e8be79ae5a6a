//! The streams that there are.

use crate::ends::{Over, tcp_pair};
use libevent2::LoopHandle;
use libevent2::net::{TcpStream, UnixStream};
use libevent2::stream::AsyncStream;
#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
use libevent2::task::OnLoop;

/// A kind of stream.
pub trait Kind: 'static {
    type Stream: 'static;
    /// How many pairs of them a test may have at once.
    const MANY: usize;

    /// Two that are each other's peer.
    fn ends(base: &LoopHandle) -> (Self::Stream, Self::Stream);
}

pub struct Tcp;

impl Kind for Tcp {
    type Stream = TcpStream;
    const MANY: usize = 200;

    fn ends(base: &LoopHandle) -> (TcpStream, TcpStream) {
        let (here, there) = tcp_pair();
        (
            TcpStream::from_std(base, here).unwrap(),
            TcpStream::from_std(base, there).unwrap(),
        )
    }
}

pub struct Unix;

impl Kind for Unix {
    type Stream = UnixStream;
    const MANY: usize = 200;

    fn ends(base: &LoopHandle) -> (UnixStream, UnixStream) {
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        (
            UnixStream::from_std(base, here).unwrap(),
            UnixStream::from_std(base, there).unwrap(),
        )
    }
}

macro_rules! buffered {
    ($($(#[$cfg:meta])? $name:ident = $over:expr, $many:expr;)*) => {$(
        $(#[$cfg])?
        pub struct $name;

        $(#[$cfg])?
        impl Kind for $name {
            type Stream = AsyncStream;
            const MANY: usize = $many;

            fn ends(base: &LoopHandle) -> (AsyncStream, AsyncStream) {
                let (here, there) = $over.buffer_events(base);
                (
                    AsyncStream::new(here).unwrap(),
                    AsyncStream::new(there).unwrap(),
                )
            }
        }
    )*};
}

buffered! {
    Buffered = Over::Tcp, 200;
    Pair = Over::Pair, 1_000;
    Filtered = Over::Filter, 200;
    #[cfg(feature = "rustls")]
    Rustls = Over::Rustls, 20;
}

/// In a wrapping that is `Send`.
#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
pub struct Wrapped;

#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
impl Kind for Wrapped {
    type Stream = OnLoop<TcpStream>;
    const MANY: usize = 200;

    fn ends(base: &LoopHandle) -> (Self::Stream, Self::Stream) {
        let (here, there) = Tcp::ends(base);
        (OnLoop::new(base, here), OnLoop::new(base, there))
    }
}
