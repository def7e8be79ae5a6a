//! `echo_server` and `hello_world`.

use crate::common::bounded;
use crate::common::peers::peer;
use crate::program::{Program, connect, noise};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

fn echoes(client: &mut TcpStream, text: &[u8]) {
    client.write_all(text).unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, text);
}

#[test]
fn echo_sends_everybody_their_own_words() {
    let _watchdog = bounded();
    let server = Program::start("echo_server", &["0"]);
    let port = server.port();
    let mut clients: Vec<_> = (0..10).map(|_| connect(port)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        echoes(client, format!("I am {number}\r\n\0").as_bytes());
    }
    if let Ok(mut client) = TcpStream::connect(("::1", port)) {
        echoes(&mut client, b"by IPv6");
    }
}

#[test]
fn echo_answers_all_that_came_before_the_end() {
    let _watchdog = bounded();
    let server = Program::start("echo_server", &["0"]);
    let port = server.port().to_string();
    let Some(mut nc) = peer("nc") else { return };
    let mut client = nc
        .args(["-N", "127.0.0.1", &port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = noise(3_000_000);
    let mut input = client.stdin.take().unwrap();
    let sent = text.clone();
    let writer = thread::spawn(move || input.write_all(&sent).unwrap());
    let output = client.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.stdout == text);
}

#[test]
fn echo_reads_no_more_from_who_does_not_read() {
    let _watchdog = bounded();
    let server = Program::start("echo_server", &["0"]);
    let mut client = connect(server.port());
    client
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let chunk = noise(1 << 20);
    let mut sent = 0;
    let stuck = loop {
        match client.write(&chunk[sent % chunk.len()..]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        assert!(sent < 64 << 20, "it takes everything");
    };
    assert_eq!(stuck.kind(), ErrorKind::WouldBlock);
    server.has_less_than(16);

    let mut end = client.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        all
    });
    end.shutdown(Shutdown::Write).unwrap();
    end.flush().unwrap();
    let expected: Vec<u8> = chunk.iter().copied().cycle().take(sent).collect();
    assert!(reader.join().unwrap() == expected);
}

#[test]
fn echo_lets_its_clients_finish() {
    let _watchdog = bounded();
    for signum in [libc::SIGINT, libc::SIGTERM] {
        let server = Program::start("echo_server", &["0"]);
        let port = server.port();
        let mut client = connect(port);
        echoes(&mut client, b"before");
        server.signal(signum);
        assert_eq!(server.line_with("left"), "1 clients left");
        TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        echoes(&mut client, b"after");
        drop(client);
        let end = server.end();
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.stderr, "");
    }
}

#[test]
fn echo_ends_at_once_on_the_second_interrupt() {
    let _watchdog = bounded();
    let server = Program::start("echo_server", &["0"]);
    let mut client = connect(server.port());
    echoes(&mut client, b"here");
    server.signal(libc::SIGINT);
    server.line_with("left");
    server.signal(libc::SIGINT);
    assert_eq!(server.end().status.signal(), Some(libc::SIGINT));
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn echo_outlives_a_reset() {
    let _watchdog = bounded();
    let server = Program::start("echo_server", &["0"]);
    let port = server.port();
    let client = connect(port);
    let socket = socket2::SockRef::from(&client);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    (&client).write_all(b"never mind").unwrap();
    drop(client);
    echoes(&mut connect(port), b"still there");
}

#[test]
fn hello_world_greets_and_hangs_up() {
    let _watchdog = bounded();
    let server = Program::start("hello_world", &["0"]);
    let port = server.port();
    for _ in 0..3 {
        let mut text = String::new();
        connect(port).read_to_string(&mut text).unwrap();
        assert_eq!(text, "Hello, World!\n");
        server.line_with("flushed answer");
    }
}

#[test]
fn hello_world_ends_two_seconds_after_an_interrupt() {
    let _watchdog = bounded();
    let server = Program::start("hello_world", &["0"]);
    let port = server.port();
    let begun = Instant::now();
    server.signal(libc::SIGINT);
    server.line_with("two seconds");
    // Until then it works on.
    let mut text = String::new();
    connect(port).read_to_string(&mut text).unwrap();
    let end = server.end();
    assert!(end.status.success(), "{end:?}");
    assert!(end.stdout.ends_with("done\n"), "{end:?}");
    assert!(begun.elapsed() >= Duration::from_millis(1900));
}
