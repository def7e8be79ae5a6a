//! Clients that send anything, or go at any byte: the others are served all the same.
#![cfg(feature = "websocket")]

mod common;
mod http_client;
mod http_websocket_common;

use common::{Bump, bounded, count};
use http_client::with_server;
use http_websocket_common::server::{accept, echo, options};
use http_websocket_common::{BINARY, CLOSE, PING, Raw, TEXT, closing, handshake, masked};
use std::net::{Shutdown, SocketAddr};

/// Numbers that are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

fn is_served(addr: SocketAddr) {
    let mut raw = Raw::open(addr, "/");
    raw.text("still there?");
    assert_eq!(raw.read_text(), "still there?");
    raw.goodbye();
}

#[test]
fn whatever_is_sent_is_answered_by_frames_and_ends() {
    let _bounded = bounded();
    with_server(
        |server| accept(server, options(), |socket| echo(&socket)),
        |addr| {
            let mut numbers = Numbers(0x5eed);
            for round in 0..300 {
                let mut raw = Raw::open(addr, "/");
                // Some begin well, so that there is a state to be in.
                if round % 2 == 0 {
                    raw.try_send(masked(0x01, "the beginning"));
                }
                if round % 3 == 0 {
                    let first = numbers.below(256) as u8;
                    raw.try_send(masked(first, numbers.bytes(200)));
                }
                raw.try_send(numbers.bytes(2000));
                // Nothing follows, whatever the frame was to be.
                let _ = raw.stream().shutdown(Shutdown::Write);
                while raw.frame().is_some() {}
            }
            is_served(addr);
        },
    );
}

#[test]
fn a_client_may_go_at_every_byte() {
    let _bounded = bounded();
    let (begun, ended) = (count(), count());
    let (begins, ends) = (begun.clone(), ended.clone());
    with_server(
        move |server| {
            accept(server, options(), move |socket| {
                begins.bump();
                echo(&socket);
                let ends = ends.clone();
                socket.on_close(move |_| {
                    ends.bump();
                });
            });
        },
        |addr| {
            let talk = [
                handshake("/", "").into_bytes(),
                masked(TEXT, "a text"),
                masked(PING, "a ping"),
                masked(0x02, "frag"),
                masked(0x80, "ment"),
                masked(BINARY, [0; 200]),
                masked(CLOSE, closing(1000, "bye")),
            ];
            let talk = talk.concat();
            for end in 0..talk.len() {
                let mut raw = Raw::connect(addr);
                raw.try_send(&talk[..end]);
                if end % 2 == 0 {
                    let _ = raw.stream().shutdown(Shutdown::Both);
                }
            }
            is_served(addr);
        },
    );
    assert!(begun.get() > 100, "{}", begun.get());
    // Those that are left when the server is closed end with it.
    assert_eq!(ended.get(), begun.get());
}

#[test]
fn hundreds_that_are_silent_do_no_harm() {
    let _bounded = bounded();
    with_server(
        |server| accept(server, options(), |socket| echo(&socket)),
        |addr| {
            let silent: Vec<_> = (0..400).map(|_| Raw::open(addr, "/")).collect();
            is_served(addr);
            drop(silent);
            is_served(addr);
        },
    );
}
