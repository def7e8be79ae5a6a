//! Requests as attackers, old programs and browsers write them: `http_corpus/README.md` says how
//! they are kept.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::Watchdog;
use http_client::{finish, in_background};
use libevent2::EventBase;
use libevent2::http::{HeaderValue, Limits, Request, Response, Server};
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What one file is to do.
struct Case {
    name: String,
    request: Vec<u8>,
    wanted: Outcome,
    /// The client ends its side after it.
    cut: bool,
}

/// What came back, and what became of the connection.
#[derive(PartialEq, Eq)]
struct Outcome {
    answers: Vec<Answer>,
    open: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Answer {
    /// The server's own.
    Status(u16),
    /// The handler's: how it has seen the request.
    Served(String),
    /// It is waited for in vain.
    Missing,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for answer in &self.answers {
            match answer {
                Answer::Status(status) => write!(f, "{status} ")?,
                Answer::Served(saw) => write!(f, "[{saw}] ")?,
                Answer::Missing => f.write_str("nothing ")?,
            }
        }
        f.write_str(if self.open { "open" } else { "close" })
    }
}

impl Outcome {
    /// Reads it as `expected.txt` has it, with a reason behind it.
    fn parse(mut text: &str) -> Option<Self> {
        let mut answers = Vec::new();
        loop {
            text = text.trim_start();
            if let Some(rest) = text.strip_prefix('[') {
                let (saw, rest) = rest.split_once("] ")?;
                answers.push(Answer::Served(saw.to_owned()));
                text = rest;
                continue;
            }
            let (word, rest) = text.split_once(' ')?;
            let open = match word {
                "open" => true,
                "close" => false,
                _ => {
                    answers.push(Answer::Status(word.parse().ok()?));
                    text = rest;
                    continue;
                }
            };
            let reason = rest.trim();
            return (!reason.is_empty()).then_some(Outcome { answers, open });
        }
    }

    fn served(&self) -> usize {
        let served = |answer: &&Answer| matches!(answer, Answer::Served(_));
        self.answers.iter().filter(served).count()
    }
}

/// All cases of a group. Each file has a line, and each line a file.
fn read(group: &Path) -> Vec<Case> {
    let of = group.file_name().unwrap().to_str().unwrap();
    let expected = fs::read_to_string(group.join("expected.txt")).unwrap();
    let cases: Vec<Case> = expected
        .lines()
        .map(|line| {
            let (name, wanted) = line.split_once(' ').expect(line);
            let request = fs::read(group.join(name).with_extension("http"));
            Case {
                name: format!("{of}/{name}"),
                request: request.expect(line),
                wanted: Outcome::parse(wanted).expect(line),
                cut: of == "cut",
            }
        })
        .collect();
    let files = fs::read_dir(group).unwrap().count();
    assert_eq!(files, cases.len() + 1, "{of}: files and lines");
    cases
}

/// How the bytes of a case come.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Whole,
    /// Behind a request that is fine, in the same write.
    Behind,
    Split,
}

const AFTER: &[u8] = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n";
const BEFORE: &[u8] = b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends a case, and a request that must be served behind it if, and only if, the connection stays.
fn play(addr: SocketAddr, case: &Case, sent: Sent) -> Outcome {
    let mut stream = connect(addr);
    let mut bytes = case.request.clone();
    if !case.cut {
        bytes.extend_from_slice(AFTER);
    }
    if matches!(sent, Sent::Behind) {
        bytes.splice(0..0, BEFORE.iter().copied());
    }
    let pieces = match sent {
        Sent::Split if bytes.len() < 1000 => bytes.chunks(1),
        Sent::Split => bytes.chunks(97),
        _ => bytes.chunks(bytes.len().max(1)),
    };
    for piece in pieces {
        // It may have been refused already.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    if case.cut {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let after = Answer::Served("GET /after".to_owned());
    let mut seen = Vec::new();
    let mut chunk = [0; 65536];
    let (mut answers, open) = loop {
        let Ok(length) = stream.read(&mut chunk) else {
            let mut answers = answers(&seen, case, false);
            answers.push(Answer::Missing);
            break (answers, false);
        };
        seen.extend_from_slice(&chunk[..length]);
        let answers = answers(&seen, case, length == 0);
        let open = answers.last() == Some(&after);
        if open || length == 0 {
            break (answers, open);
        }
    };
    if open {
        answers.pop();
    }
    if matches!(sent, Sent::Behind) {
        let before = Answer::Served("GET /before".to_owned());
        match answers.first() {
            Some(first) if *first == before => drop(answers.remove(0)),
            _ => answers.insert(0, Answer::Missing),
        }
    }
    Outcome { answers, open }
}

/// All whole answers; at the end there may be nothing else.
fn answers(mut bytes: &[u8], case: &Case, over: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
        let head = str::from_utf8(&bytes[..end]).unwrap();
        assert!(head.starts_with("HTTP/1."), "{}: {head}", case.name);
        let status = head[9..12].parse().unwrap();
        let field = |name: &str| {
            let mut lines = head.split("\r\n");
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let saw = field("X-Saw").map(str::to_owned);
        let head_only = status == 100 || saw.as_ref().is_some_and(|saw| saw.starts_with("HEAD "));
        let length = match field("Content-Length") {
            Some(length) if !head_only => length.parse().unwrap(),
            _ => 0,
        };
        if bytes.len() < end + 4 + length {
            break;
        }
        bytes = &bytes[end + 4 + length..];
        match saw {
            Some(saw) => answers.push(Answer::Served(saw)),
            // A client of HTTP/1.0 would take it for the answer.
            None if status == 100 && !case.request.windows(8).any(|word| word == b"HTTP/1.0") => {}
            None => answers.push(Answer::Status(status)),
        }
    }
    assert!(!over || bytes.is_empty(), "{}: half an answer", case.name);
    answers
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    let limit = Some(Duration::from_secs(5));
    stream.set_read_timeout(limit).unwrap();
    stream.set_write_timeout(limit).unwrap();
    stream
}

/// A client that is there all the time, and is served whatever the others do.
struct Bystander(TcpStream);

impl Bystander {
    fn ask(&mut self, case: &str) {
        self.0
            .write_all(b"GET /by HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect(case);
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        while !seen.ends_with(b"\r\n\r\nok") {
            let length = self.0.read(&mut chunk).expect(case);
            assert!(length > 0, "{case}: the other client was closed");
            seen.extend_from_slice(&chunk[..length]);
        }
    }
}

/// What the handler has seen of a request, on one line.
fn seen(request: &Request) -> String {
    let mut text = format!("{} {}", request.method(), request.path());
    if let Some(query) = request.query() {
        text += &format!("?{query}");
    }
    if !request.body().is_empty() {
        text += &format!(" {}", request.body().escape_ascii());
    }
    if request.headers().contains_key("x-probe") {
        text += " with X-Probe";
    }
    text
}

fn check(group: &str) {
    let _bounded = Watchdog::new(Duration::from_secs(120));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_corpus");
    let cases = read(&folder.join(group));
    let handled = Arc::new(AtomicUsize::new(0));
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server.set_limits(Limits::new().header_bytes(4096).body_bytes(100));
    let count = Arc::clone(&handled);
    server.fallback(move |request: Request| {
        count.fetch_add(1, Ordering::Relaxed);
        let saw = HeaderValue::from_str(&seen(&request)).unwrap();
        request.respond(Response::text("ok").header("x-saw", saw));
    });
    let addr = server.local_addrs()[0];
    let client = in_background(&base, addr, move |addr| {
        let mut bystander = Bystander(connect(addr));
        let mut wrong = Vec::new();
        for case in &cases {
            for sent in [Sent::Whole, Sent::Behind, Sent::Split] {
                let before = handled.load(Ordering::Relaxed);
                let got = play(addr, case, sent);
                bystander.ask(&case.name);
                let others = 1 + usize::from(matches!(sent, Sent::Behind)) + usize::from(got.open);
                let handled = handled.load(Ordering::Relaxed) - before - others;
                if got != case.wanted || handled != case.wanted.served() {
                    let (name, wanted) = (&case.name, &case.wanted);
                    wrong.push(format!(
                        "{name} ({sent:?}):\n  came:   {got:?}, {handled} handled\n  wanted: {wanted:?}"
                    ));
                    break;
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {}:\n{}",
            wrong.len(),
            cases.len(),
            wrong.join("\n")
        );
    });
    base.run_until_exit().unwrap();
    let result = client.join();
    finish(&mut base, server);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// A test for each group, so that they run beside each other and a failure names its own.
macro_rules! groups {
    ($($test:ident: $group:literal,)*) => {
        const GROUPS: &[&str] = &[$($group),*];
        $(#[test]
        fn $test() {
            check($group);
        })*
    };
}

groups! {
    chunks_are_read_in_one_way: "chunks",
    connections_stay_or_end_as_agreed: "connection",
    lengths_are_read_in_one_way: "content_length",
    half_a_request_is_none: "cut",
    headers_are_names_and_values: "headers",
    a_request_has_one_host: "host",
    methods_are_tokens: "methods",
    a_request_line_has_three_words: "request_line",
    targets_are_taken_as_they_are_or_refused: "targets",
    trailers_change_nothing: "trailers",
    transfer_codings_are_read_in_one_way: "transfer_encoding",
}

#[test]
fn each_group_has_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_corpus");
    let mut groups: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    groups.sort();
    assert_eq!(groups, GROUPS);
}
