//! Bytes of which each says where it belongs.

use crate::api::Api;
use crate::common::{Watchdog, bounded};
use crate::kind::Kind;
use libevent2::{EventBase, LoopHandle};
use std::future::Future;
use std::rc::Rc;
use std::sync::LazyLock;

/// The byte at this place.
pub fn byte(place: usize) -> u8 {
    (place % PERIOD) as u8
}

const PERIOD: usize = 251;

/// As many as any test has in one piece, and one period more.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| (0..300_000).map(byte).collect());

/// The bytes from this place on.
pub fn bytes(from: usize, count: usize) -> &'static [u8] {
    &BYTES[from % PERIOD..][..count]
}

/// Bytes that are received have to be those that belong there.
#[track_caller]
pub fn check(from: usize, received: &[u8]) {
    let expected = bytes(from, received.len());
    if received != expected {
        let wrong = received.iter().zip(expected).position(|(a, b)| a != b);
        panic!(
            "at {}: a byte is lost or doubled",
            from + wrong.unwrap_or_default()
        );
    }
}

/// Sizes of pieces, small and large in turn.
pub const SIZES: [usize; 9] = [1, 4093, 2, 70_001, 7, 64, 1000, 3, 16_384];

/// Writes the places `from..to`, in pieces of these sizes.
pub async fn send<S>(io: &impl Api<S>, from: usize, to: usize, sizes: &[usize]) {
    let mut sizes = sizes.iter().cycle();
    let mut place = from;
    while place < to {
        let size = (*sizes.next().unwrap()).min(to - place);
        let count = io.write(bytes(place, size)).await.unwrap();
        assert!(0 < count && count <= size, "{count} of {size}");
        place += count;
    }
    io.flush().await.unwrap();
}

/// Reads so many bytes, or up to the end; returns how many.
pub async fn receive<S>(io: &impl Api<S>, from: usize, most: usize, sizes: &[usize]) -> usize {
    let mut sizes = sizes.iter().cycle();
    let mut place = from;
    while place - from < most {
        let size = (*sizes.next().unwrap()).min(most - (place - from));
        let mut piece = vec![0; size];
        let count = io.read(&mut piece).await.unwrap();
        if count == 0 {
            break;
        }
        check(place, &piece[..count]);
        place += count;
    }
    place - from
}

/// Runs a case: with two streams, in two places each.
pub fn run<K: Kind, A: Api<K::Stream>, F: Future<Output = ()>>(
    case: impl FnOnce(LoopHandle, Rc<A>, Rc<A>) -> F,
) {
    let _bounded: Watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let (here, there) = K::ends(&handle);
    let case = case(handle, Rc::new(A::over(here)), Rc::new(A::over(there)));
    base.block_on(case).unwrap();
}
