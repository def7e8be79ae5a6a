//! `reactor_download`, against our own server.

use crate::common::bounded;
use crate::program::{End, Program};
use libevent2::http::{Request, Server, StatusCode};
use libevent2::{EventBase, Timer};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// How many bytes a file has.
const FILE: usize = 300_000;
/// How long the server thinks about a slow one.
const SLOW: Duration = Duration::from_secs(1);

/// Runs the program while a server serves `/file`, `/slow/…` and `/half`, and what is missing.
fn download(urls: impl FnOnce(SocketAddr) -> Vec<String>) -> End {
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let address = server.local_addrs()[0];
    let file = |request: Request| request.reply(StatusCode::OK, vec![b'x'; FILE]);
    server.route("/file", file).unwrap();
    server
        .route("/slow/{number}", |request: Request| {
            let handle = request.handle().clone();
            let later = Timer::after(&handle, SLOW, |_| request.reply(StatusCode::OK, "slow"));
            later.map(Timer::detach)
        })
        .unwrap();
    let remote = base.remote().unwrap();
    let urls = urls(address);
    let program = thread::spawn(move || {
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        let end = Program::start("reactor_download", &urls).end();
        remote.stop().unwrap();
        end
    });
    base.run_until_exit().unwrap();
    program.join().unwrap()
}

/// Row 21, and what the program of the seed was to print.
#[test]
fn one_download_says_how_many_bytes_came() {
    let _watchdog = bounded();
    let end = download(|server| vec![format!("http://{server}/file")]);
    assert!(end.status.success(), "{end:?}");
    assert!(
        end.stdout
            .starts_with(&format!("Received {FILE} bytes from http://")),
        "{end:?}"
    );
    assert_eq!(end.stdout.lines().count(), 1);
    assert!(
        end.stderr
            .starts_with(&format!("1 of 1 downloads, {FILE} bytes, ")),
        "{end:?}"
    );
}

/// A hundred that take a second each take little more than that together: not the three of the row
/// on a machine that is not busy with other tests.
#[test]
fn row_21_a_hundred_slow_downloads_take_the_time_of_few() {
    let _watchdog = bounded();
    let begun = Instant::now();
    let slow = |server| {
        (0..100)
            .map(|n| format!("http://{server}/slow/{n}"))
            .collect()
    };
    let end = download(slow);
    let took = begun.elapsed();
    assert!(end.status.success(), "{end:?}");
    let received = end
        .stdout
        .lines()
        .filter(|line| line.starts_with("Received 4 bytes from "));
    assert_eq!(received.count(), 100);
    assert!(
        end.stderr.contains("100 of 100 downloads, 400 bytes"),
        "{end:?}"
    );
    assert!(took >= SLOW && took < 10 * SLOW, "{took:?}");
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let _watchdog = bounded();
    let end = download(|server| {
        let mut urls: Vec<_> = (0..10).map(|_| format!("http://{server}/file")).collect();
        urls.insert(3, format!("http://{server}/missing"));
        urls.insert(5, "http://127.0.0.1:1/".to_owned());
        urls.insert(7, "gopher://x/".to_owned());
        urls
    });
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert_eq!(end.stdout.lines().count(), 10, "{end:?}");
    for why in [
        "/missing: the server says 404 Not Found",
        "refused",
        "gopher",
        "10 of 13 downloads",
    ] {
        assert!(end.stderr.contains(why), "{why}: {end:?}");
    }
}

#[test]
fn an_answer_that_is_cut_off_is_a_failure() {
    let _watchdog = bounded();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 1000]);
        client
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
            .unwrap();
    });
    let end = Program::start("reactor_download", &[&url]).end();
    server.join().unwrap();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.stderr.contains("in the middle of the body"), "{end:?}");
    assert_eq!(end.stdout, "");
}

#[test]
fn wrong_arguments_of_it_are_named() {
    let _watchdog = bounded();
    for (arguments, why) in [
        (&[][..], "URL is missing"),
        (&["--at-once", "0", "x"], "zero"),
    ] {
        let end = Program::start("reactor_download", arguments).end();
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        assert!(end.stderr.contains(why), "{end:?}");
    }
}
