//! The examples do what they say, and end.

mod common;

#[cfg(feature = "http")]
#[path = "../examples/hello_http.rs"]
#[allow(dead_code, reason = "its main waits for Ctrl-C")]
mod hello_http;
#[path = "../examples/port_from_c.rs"]
mod port_from_c;
#[path = "../examples/readable.rs"]
mod readable;
#[path = "../examples/remote.rs"]
mod remote;
#[path = "../examples/signals.rs"]
#[allow(dead_code, reason = "its main waits for ten seconds")]
mod signals;
#[path = "../examples/timers.rs"]
mod timers;

use std::time::Duration;

#[test]
fn timers_ends_by_itself() {
    let _watchdog = common::bounded();
    timers::main().unwrap();
}

#[test]
fn signals_ends_when_its_time_is_over() {
    let _watchdog = common::bounded();
    signals::run(Duration::from_millis(20)).unwrap();
}

#[test]
fn readable_ends_with_its_child() {
    let _watchdog = common::bounded();
    readable::main().unwrap();
}

#[test]
fn remote_ends_when_the_work_is_done() {
    let _watchdog = common::bounded();
    remote::main().unwrap();
}

#[test]
fn port_from_c_ends_after_its_ticks() {
    let _watchdog = common::bounded();
    port_from_c::main().unwrap();
}

#[cfg(feature = "http")]
#[test]
fn hello_http_answers() {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    let _watchdog = common::bounded();
    let mut base = libevent2::EventBase::new().unwrap();
    let server = hello_http::serve(&base, "127.0.0.1:0").unwrap();
    let address = server.local_addrs()[0];
    let remote = base.remote().unwrap();
    let client = std::thread::spawn(move || {
        let answers = ["/hello/Ada", "/slow", "/else"].map(|path| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            (head[9..12].to_owned(), body.to_owned())
        });
        remote.stop().unwrap();
        answers
    });
    base.run().unwrap();
    let answers = client.join().unwrap();
    let expected = [
        ("200", "Hello, Ada!\n"),
        ("200", "That took a while.\n"),
        ("404", "There is no /else.\n"),
    ];
    let expected = expected.map(|(status, body)| (status.to_owned(), body.to_owned()));
    assert_eq!(answers, expected);
}
