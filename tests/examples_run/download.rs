use crate::common::bounded;
use crate::program::{End, Program, noise};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

/// Serves one client: gives the answer, and closes. Returns what the program made of it, and the
/// request.
fn download(answer: Vec<u8>, arguments: &[&str]) -> (End, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a/b?c", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = BufReader::new(stream.try_clone().unwrap());
        let lines = request.lines().map(Result::unwrap);
        let request = lines.take_while(|line| !line.is_empty()).collect();
        let _ = stream.write_all(&answer);
        request
    });
    let arguments = [&[&*url], arguments].concat();
    let end = Program::start("rate_limited_download", &arguments).end();
    (end, server.join().unwrap())
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), body].concat()
}

#[test]
fn the_body_goes_to_standard_output() {
    let _watchdog = bounded();
    for head in ["Content-Length: 6\r\n", "Server: x\r\n", ""] {
        let (end, request) = download(answer(head, b"a\nb\nc\n"), &[]);
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.stdout, "a\nb\nc\n");
        assert_eq!(request[0], "GET /a/b?c HTTP/1.0");
    }
}

#[test]
fn the_body_goes_to_a_file_whole() {
    let _watchdog = bounded();
    let body = noise(1_000_000);
    let file = std::env::temp_dir().join(format!("libevent2-download-{}", std::process::id()));
    let arguments = ["-o", file.to_str().unwrap(), "--rate", "100000000"];
    let head = "content-length: 1000000\r\n";
    let (end, _) = download(answer(head, &body), &arguments);
    let written = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(end.status.success(), "{end:?}");
    assert!(written == body);
    assert!(end.stderr.contains("1000000 of 1000000 bytes"), "{end:?}");
}

/// A second's worth is there at once; the rest comes as fast as it may.
#[test]
fn it_comes_no_faster_than_it_may() {
    let _watchdog = bounded();
    let body = [b'x'; 400_000];
    let begun = Instant::now();
    let (end, _) = download(answer("", &body), &["--rate", "100000"]);
    let seconds = begun.elapsed().as_secs_f64();
    assert!(end.status.success(), "{end:?}");
    assert!(end.stderr.contains("400000 bytes"), "{end:?}");
    assert!((2.5..8.0).contains(&seconds), "{seconds}");
}

#[test]
fn what_is_no_whole_answer_is_an_error_and_makes_no_file() {
    let _watchdog = bounded();
    let file = std::env::temp_dir().join(format!("libevent2-none-{}", std::process::id()));
    let long = [b"HTTP/1.0 200 OK\r\n", "x".repeat(100_000).as_bytes()].concat();
    let wrong: [(&[u8], &str); 6] = [
        (b"", "before it answered"),
        (b"HTTP/1.0 200 OK\r\nServer: x\r\n", "before it answered"),
        (
            b"HTTP/1.1 404 Not Found\r\n\r\n",
            "the server says 404 Not Found",
        ),
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "encoded",
        ),
        (&long, "does not end"),
    ];
    for (answer, why) in wrong {
        let (end, _) = download(answer.to_vec(), &["-o", file.to_str().unwrap()]);
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        assert!(end.stderr.contains(why), "{end:?}");
        assert!(!file.exists());
    }
    let (end, _) = download(answer("Content-Length: 9\r\n", b"short"), &[]);
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.stderr.contains("before the end"), "{end:?}");
}

#[test]
fn nobody_there_is_an_error() {
    let _watchdog = bounded();
    let end = Program::start("rate_limited_download", &["127.0.0.1:1/x"]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(
        end.stderr.contains("127.0.0.1:1: connection refused"),
        "{end:?}"
    );
}
