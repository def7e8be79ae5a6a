//! What several of the programs do, each on its own loop.

pub mod hello;
pub mod tasks;

/// What a connection reads to, as large as the argument says; else 64 KiB.
pub fn buffer() -> Vec<u8> {
    let size = std::env::args().nth(1);
    let size = size.map_or(64 * 1024, |size| size.parse().expect("a number"));
    vec![0; size]
}
