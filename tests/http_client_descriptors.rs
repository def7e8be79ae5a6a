//! The descriptors of a client, alone in its process: no other test opens any meanwhile.
#![cfg(feature = "http")]

mod common;
mod http_client_common;

use common::bounded;
use http_client_common::Peer;
use libevent2::EventBase;
use libevent2::http::Client;
use std::time::Duration;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn bases_with_clients_come_and_go_without_descriptors_left() {
    let _bounded = bounded();
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let peer = Peer::start(|talk| {
        talk.request();
        talk.say(HELLO);
        talk.request();
    });
    let round = |calls: usize| {
        let mut base = EventBase::new().unwrap();
        let client = Client::new(&base).unwrap();
        for _ in 0..calls {
            client.get(&peer.url("/")).unwrap().send(|_| ()).detach();
        }
        base.handle().exit_after(Duration::from_millis(5)).unwrap();
        base.run().unwrap();
    };
    round(3);
    // Those of the server's side go when its threads have seen the end.
    let settle = || {
        let mut last = 0;
        for _ in 0..200 {
            let now = descriptors();
            if now == last {
                break;
            }
            last = now;
            std::thread::sleep(Duration::from_millis(50));
        }
        last
    };
    let before = settle();
    for calls in 0..20 {
        round(calls);
    }
    let after = settle();
    assert!(
        after <= before + 2,
        "{before} descriptors before, {after} after"
    );
}
