use crate::common::bounded;
use crate::program::{Program, connect, noise};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn proxy_to(upstream: &TcpListener) -> Program {
    let upstream = upstream.local_addr().unwrap().to_string();
    Program::start("simple_proxy", &["127.0.0.1:0", &upstream])
}

/// A client of the proxy, and what the server has of it.
fn pair(proxy: &Program) -> impl Fn(&TcpListener) -> (TcpStream, TcpStream) + use<> {
    let port = proxy.port();
    move |upstream| {
        let client = connect(port);
        (client, upstream.accept().unwrap().0)
    }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn words_go_both_ways() {
    let _watchdog = bounded();
    let upstream = listener();
    let proxy = proxy_to(&upstream);
    let pair = pair(&proxy);
    for _ in 0..3 {
        let (mut client, mut server) = pair(&upstream);
        let mut text = [0; 5];
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
        server.write_all(b"there").unwrap();
        client.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"there");
    }
}

#[test]
fn half_of_a_connection_can_end_first() {
    let _watchdog = bounded();
    let upstream = listener();
    let proxy = proxy_to(&upstream);
    let pair = pair(&proxy);
    for client_first in [true, false] {
        let (client, server) = pair(&upstream);
        let (mut first, mut second) = match client_first {
            true => (&client, &server),
            false => (&server, &client),
        };
        first.write_all(b"question").unwrap();
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(second), b"question");
        // The other half is open, for as long as that one likes.
        second.write_all(b"one ").unwrap();
        let mut text = [0; 4];
        first.read_exact(&mut text).unwrap();
        second.write_all(b"two").unwrap();
        second.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(first), b"two");
    }
    proxy.signal(libc::SIGINT);
    let end = proxy.end();
    assert!(end.status.success(), "nothing is left of them: {end:?}");
}

#[test]
fn a_client_is_closed_when_there_is_no_server() {
    let _watchdog = bounded();
    let nobody = listener();
    let proxy = proxy_to(&nobody);
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let port = proxy.port();
    assert_eq!(read_all(&connect(port)), b"");
    proxy.signal(libc::SIGINT);
    let end = proxy.end();
    assert!(end.status.success(), "{end:?}");
    let why = format!("simple_proxy: {address}: connection refused\n");
    assert_eq!(end.stderr, why);
}

#[test]
fn a_reset_at_one_end_closes_the_other() {
    let _watchdog = bounded();
    let upstream = listener();
    let proxy = proxy_to(&upstream);
    let pair = pair(&proxy);
    for client_breaks in [true, false] {
        let (client, server) = pair(&upstream);
        let (breaks, left) = match client_breaks {
            true => (client, server),
            false => (server, client),
        };
        (&breaks).write_all(b"last words").unwrap();
        let mut text = [0; 10];
        (&left).read_exact(&mut text).unwrap();
        let socket = socket2::SockRef::from(&breaks);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(breaks);
        assert_eq!(read_all(&left), b"");
    }
    // It still works.
    let (mut client, mut server) = pair(&upstream);
    client.write_all(b"!").unwrap();
    server.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_slow_reader_slows_the_writer_and_not_the_memory() {
    let _watchdog = bounded();
    let upstream = listener();
    let proxy = proxy_to(&upstream);
    let (mut client, mut server) = pair(&proxy)(&upstream);
    let all = noise(64 * MIB);
    let sent = all.clone();
    let writer = thread::spawn(move || {
        client.write_all(&sent).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        read_all(&client)
    });

    let mut got = Vec::new();
    let mut piece = vec![0; 4 * MIB];
    // It stops reading now and then, for long enough that all that can pile up does.
    while got.len() < 40 * MIB {
        server.read_exact(&mut piece).unwrap();
        got.extend_from_slice(&piece);
        thread::sleep(Duration::from_millis(50));
        proxy.has_less_than(16);
    }
    assert!(!writer.is_finished());
    server.read_to_end(&mut got).unwrap();
    proxy.has_less_than(16);
    assert!(got == all);

    // And as much back.
    server.write_all(&all).unwrap();
    drop(server);
    assert!(writer.join().unwrap() == all);
    proxy.has_less_than(16);
}

#[test]
fn an_interrupt_lets_connections_finish() {
    let _watchdog = bounded();
    let upstream = listener();
    let proxy = proxy_to(&upstream);
    let port = proxy.port();
    let mut client = connect(port);
    let (server, _) = upstream.accept().unwrap();
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.line_with("left"), "1 connections left");
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    client.write_all(b"the end").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&server), b"the end");
    drop(server);
    assert_eq!(read_all(&client), b"");
    let end = proxy.end();
    assert!(end.status.success(), "{end:?}");
}
