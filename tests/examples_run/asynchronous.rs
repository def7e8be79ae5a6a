//! The examples in straight lines: `straight_server` and `straight_client`, `async_echo`,
//! `futures_errors`.

use crate::common::bounded;
use crate::program::{Program, connect, noise};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::thread;

#[test]
fn wrong_arguments_of_these_are_named() {
    let _watchdog = bounded();
    let wrong: [(&str, &[&str], &str); 15] = [
        ("async_echo", &["port"], "port"),
        ("async_echo", &["0", "0"], "unexpected argument \"0\""),
        ("beanstalk", &[], "put or work is missing"),
        ("beanstalk", &["eat"], "unexpected argument \"eat\""),
        ("beanstalk", &["put"], "TEXT is missing"),
        ("beanstalk", &["work", "x"], "no TEXT"),
        ("beanstalk", &["--server", "here", "work"], "here"),
        ("futures_errors", &["x"], "unexpected argument \"x\""),
        ("line_driver", &[], "ADDRESS:PORT is missing"),
        ("line_driver", &["here"], "here"),
        ("line_driver", &["127.0.0.1:1"], "COMMAND is missing"),
        ("line_driver", &["127.0.0.1:1", "x"], "refused"),
        ("straight_client", &["here"], "here"),
        ("straight_client", &["127.0.0.1:1"], "refused"),
        ("straight_server", &["70000"], "70000"),
    ];
    for (name, arguments, why) in wrong {
        let end = Program::start(name, arguments).end();
        assert_eq!(end.status.code(), Some(1), "{name} {arguments:?}: {end:?}");
        let error = end.stderr.to_lowercase();
        assert!(error.contains(&why.to_lowercase()), "{name}: {end:?}");
    }
}

/// Row 63: both sides of the program that had no callbacks.
#[test]
fn row_63_the_straight_server_shows_what_the_straight_client_says() {
    let _watchdog = bounded();
    let server = Program::start("straight_server", &["0"]);
    let address = format!("127.0.0.1:{}", server.port());
    let client = Program::start("straight_client", &[&address]).end();
    assert!(client.status.success(), "{client:?}");
    assert_eq!(client.stdout, "42 \"thanks\"\n84 \"thanks\"\n");
    assert_eq!(server.line_with("0"), "0 \"héllo\"");
    assert_eq!(server.line_with("42"), "42 \"world\"");
    server.signal(libc::SIGTERM);
    let end = server.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stderr, "");
}

/// Hundreds at once, one that says half a message and no more, and one that claims too much.
#[test]
fn row_63_the_straight_server_has_time_for_everybody() {
    let _watchdog = bounded();
    let server = Program::start("straight_server", &["0"]);
    let port = server.port();
    let mut silent = connect(port);
    silent.write_all(&[0, 0, 0, 1, 0]).unwrap();
    let mut liar = connect(port);
    liar.write_all(&[0xFF; 8]).unwrap();
    let mut clients: Vec<_> = (0..200).map(|_| connect(port)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let head = [number as u32, 2].map(u32::to_be_bytes).concat();
        client.write_all(&[&head, "ä".as_bytes()].concat()).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut answer = [0; 14];
        client.read_exact(&mut answer).unwrap();
        let (number, length) = ((number as u32 + 42).to_be_bytes(), 6_u32.to_be_bytes());
        assert_eq!(answer[..], [&number, &length, &b"thanks"[..]].concat());
    }
    assert_eq!(liar.read(&mut [0]).unwrap_or(0), 0);
    server.signal(libc::SIGINT);
    let end = server.end();
    assert!(end.status.success(), "{end:?}");
    assert!(
        end.stderr.contains("4294967295 bytes is too long"),
        "{end:?}"
    );
}

fn echoes(client: &mut TcpStream, text: &[u8]) {
    client.write_all(text).unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).unwrap();
    assert!(answer == text);
}

#[test]
fn async_echo_sends_everybody_their_own_words() {
    let _watchdog = bounded();
    let server = Program::start("async_echo", &["0"]);
    let port = server.port();
    let mut clients: Vec<_> = (0..100).map(|_| connect(port)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        echoes(client, format!("I am {number}\r\n\0").as_bytes());
    }
    let (mut client, text) = (connect(port), noise(3_000_000));
    let (mut input, sent) = (client.try_clone().unwrap(), text.clone());
    let writer = thread::spawn(move || {
        input.write_all(&sent).unwrap();
        input.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    writer.join().unwrap();
    assert!(answer == text);
}

#[test]
fn async_echo_serves_who_is_there_after_a_signal() {
    let _watchdog = bounded();
    let server = Program::start("async_echo", &["0"]);
    let port = server.port();
    let mut client = connect(port);
    echoes(&mut client, b"before");
    server.signal(libc::SIGINT);
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        thread::yield_now();
    }
    echoes(&mut client, b"after");
    drop(client);
    let end = server.end();
    assert!(end.status.success(), "{end:?}");
}

#[test]
fn async_echo_ends_at_once_at_the_second_signal() {
    let _watchdog = bounded();
    let server = Program::start("async_echo", &["0"]);
    let port = server.port();
    let mut client = connect(port);
    echoes(&mut client, b"before");
    server.signal(libc::SIGTERM);
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        thread::yield_now();
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.end().status.signal(), Some(libc::SIGTERM));
}

#[test]
fn row_62_futures_errors_are_caught_by_the_nearest_that_knows_them() {
    let _watchdog = bounded();
    let end = Program::start("futures_errors", &[]).end();
    assert!(end.status.success(), "{end:?}");
    let expected = [
        "a half of \"12\" is 6",
        "the inner one: \"twelve\" is no number",
        "a half of \"twelve\" is 0",
        "the outer one: 13 is odd",
        "around the task: 17 is odd",
        "around the task: the task was cancelled",
        "the base: 15 is odd",
    ];
    assert_eq!(end.stdout.lines().collect::<Vec<_>>(), expected);
}
