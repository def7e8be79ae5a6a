//! Urgent data of TCP, which cuts what is read in two although all of it is there.
#![cfg(all(feature = "async", target_os = "linux"))]

mod common;

use common::bounded;
use libevent2::EventBase;
use libevent2::net::TcpStream;
use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

#[test]
fn what_lies_behind_urgent_data_is_read() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = TcpStream::from_std(&base, listener.accept().unwrap().0).unwrap();
    let urgent = socket2::SockRef::from(&peer);
    for word in [b"one", b"two", b"six"] {
        (&peer).write_all(word).unwrap();
        urgent.send_out_of_band(b"!").unwrap();
    }
    peer.write_all(b"end").unwrap();
    let handle = base.handle().clone();
    let read = async {
        let mut text: Vec<u8> = Vec::new();
        // The peer stays, and sends no more: nothing but what is there says that there is more.
        while text.len() < 12 {
            let mut buf = [0; 100];
            let count = stream.read(&mut buf).await.unwrap();
            text.extend(buf[..count].iter().filter(|byte| **byte != b'!'));
        }
        text
    };
    let text = base.block_on(handle.timeout(Duration::from_secs(5), read));
    assert_eq!(text.unwrap().unwrap(), b"onetwosixend");
    peer.shutdown(Shutdown::Both).unwrap();
}
