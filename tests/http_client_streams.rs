//! Bodies piece by piece, in both directions, and connections that change their protocol.
#![cfg(feature = "http")]

mod common;
mod http_client_common;

use common::{Bump, bounded, count};
use http_client_common::{Peer, Slot, ask, kind};
use libevent2::buffer::Eol;
use libevent2::http::{
    BodyError, Client, ClientErrorKind, ClientOptions, HeaderMap, HeaderValue, Incoming,
    StatusCode, Upload,
};
use libevent2::stream::Callbacks;
use libevent2::{EventBase, LoopEnd, Timer};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// All of a body, and its end.
type Got = (
    Rc<RefCell<Vec<u8>>>,
    Slot<Result<Option<HeaderMap>, BodyError>>,
);

fn collect(body: &Incoming, client: &Client) -> Got {
    let (bytes, end) = Got::default();
    let (to, place, handle) = (bytes.clone(), end.clone(), client.handle().clone());
    body.on_data(move |data| to.borrow_mut().extend_from_slice(data));
    body.on_end(move |end| {
        assert!(place.borrow_mut().replace(end).is_none());
        handle.exit();
    });
    (bytes, end)
}

/// Opens, and collects the body.
fn open(base: &mut EventBase, client: &Client, url: &str) -> Got {
    let got: Slot<Got> = Rc::default();
    let (place, own) = (got.clone(), client.clone());
    let pending = client.get(url).unwrap().open(move |result| {
        let streaming = result.unwrap();
        assert_eq!(streaming.status, StatusCode::OK);
        place.replace(Some(collect(&streaming.incoming(), &own)));
    });
    base.run().unwrap();
    drop(pending);
    let got = got.borrow_mut().take();
    got.expect("it was opened")
}

#[test]
fn a_body_comes_piece_by_piece() {
    let _bounded = bounded();
    let peer = Peer::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    );
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for _ in 0..2 {
        let (bytes, end) = open(&mut base, &client, &peer.url("/"));
        assert_eq!(*bytes.borrow(), b"hello");
        let trailers = end.borrow_mut().take().unwrap().unwrap().unwrap();
        assert_eq!(trailers["x"], "y");
        assert_eq!((client.pending(), client.idle_connections()), (0, 1));
    }
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_body_that_breaks_off_ends_with_the_reason() {
    let _bounded = bounded();
    let head = "HTTP/1.1 200 OK\r\n";
    for (said, error) in [
        ("Content-Length: 5\r\n\r\nabc", BodyError::Closed),
        (
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            BodyError::Closed,
        ),
    ] {
        let peer = Peer::saying_once(format!("{head}{said}"));
        let mut base = EventBase::new().unwrap();
        let client = Client::new(&base).unwrap();
        let (bytes, end) = open(&mut base, &client, &peer.url("/"));
        assert_eq!(*bytes.borrow(), b"abc");
        assert_eq!(end.borrow_mut().take(), Some(Err(error)));
    }
    let mut options = ClientOptions::default();
    options.timeouts.body = Some(Duration::from_millis(100));
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let peer = Peer::saying(format!("{head}Content-Length: 5\r\n\r\nabc"));
    let (_, end) = open(&mut base, &client, &peer.url("/"));
    assert_eq!(end.borrow_mut().take(), Some(Err(BodyError::TimedOut)));
    let peer = Peer::saying(format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd"));
    let (_, end) = open(&mut base, &client, &peer.url("/"));
    let end = end.borrow_mut().take();
    assert!(matches!(end, Some(Err(BodyError::Malformed(_)))), "{end:?}");
    assert_eq!((client.pending(), client.connections()), (0, 0));
}

/// Sends without end, and counts what was taken.
fn fountain() -> (Peer, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let peer = Peer::start(move |talk| {
        talk.request();
        talk.say("HTTP/1.1 200 OK\r\n\r\n");
        while let Ok(length) = talk.stream.write(&[b'x'; 65536]) {
            count.fetch_add(length, Ordering::SeqCst);
        }
    });
    (peer, sent)
}

#[test]
fn a_body_that_is_paused_makes_its_server_wait() {
    let _bounded = bounded();
    let (peer, sent) = fountain();
    let mut options = ClientOptions::default();
    // A pause is not the server's fault.
    options.timeouts.body = Some(Duration::from_millis(50));
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let body: Slot<Incoming> = Rc::default();
    let (place, taken) = (body.clone(), Rc::new(Cell::new(0)));
    let add = taken.clone();
    let pending = client.get(&peer.url("/")).unwrap().open(move |result| {
        let incoming = result.unwrap().incoming();
        let pauser = incoming.clone();
        incoming.on_data(move |data| {
            add.set(add.get() + data.len());
            pauser.pause();
        });
        place.replace(Some(incoming));
    });
    base.handle()
        .exit_after(Duration::from_millis(300))
        .unwrap();
    base.run().unwrap();
    let before = taken.get();
    assert!(before > 0 && before <= 65536, "{before}");
    let waits = sent.load(Ordering::SeqCst);
    base.handle()
        .exit_after(Duration::from_millis(100))
        .unwrap();
    base.run().unwrap();
    assert_eq!(taken.get(), before, "it is paused");
    assert_eq!(sent.load(Ordering::SeqCst), waits, "the server waits");
    // Each time it is resumed one piece comes, and not from inside.
    for _ in 0..100 {
        let before = taken.get();
        body.borrow().as_ref().unwrap().resume();
        assert_eq!(taken.get(), before);
        while taken.get() == before {
            base.run_once().unwrap();
        }
    }
    drop(pending);
    assert_eq!(client.connections(), 0);
}

#[test]
fn a_body_that_nobody_asks_for_ends_the_request() {
    let _bounded = bounded();
    let (peer, _) = fountain();
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    client
        .get(&peer.url("/"))
        .unwrap()
        .open(|result| drop(result.unwrap()))
        .detach();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    // Later, from elsewhere.
    let body: Slot<Incoming> = Rc::default();
    let (place, handle) = (body.clone(), client.handle().clone());
    let request = client.get(&peer.url("/")).unwrap();
    request
        .open(move |result| {
            place.replace(Some(result.unwrap().incoming()));
            handle.exit();
        })
        .detach();
    base.run().unwrap();
    assert_eq!(client.connections(), 1);
    drop(body.take());
    assert_eq!((client.connections(), client.pending()), (0, 0));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn a_limit_holds_for_bodies_piece_by_piece_too() {
    let _bounded = bounded();
    let (peer, _) = fountain();
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let got: Slot<Got> = Rc::default();
    let (place, own) = (got.clone(), client.clone());
    let request = client.get(&peer.url("/")).unwrap().max_body(100_000);
    let pending = request.open(move |result| {
        place.replace(Some(collect(&result.unwrap().incoming(), &own)));
    });
    base.run().unwrap();
    let (bytes, end) = got.borrow_mut().take().unwrap();
    assert_eq!(
        end.borrow_mut().take(),
        Some(Err(BodyError::TooLong { limit: 100_000 }))
    );
    assert!(bytes.borrow().len() <= 100_000);
    assert!(!pending.is_pending());
}

// --- uploads ----------------------------------------------------------------------------------------

#[test]
fn a_body_is_sent_piece_by_piece() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let request = client.post(&peer.url("/")).unwrap().upload(None, |upload| {
        upload.send(b"hel")?;
        upload.send(b"")?;
        upload.send(b"lo")?;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("9"));
        upload.finish_with(&trailers)
    });
    assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
    let seen = peer.seen().pop().unwrap();
    let body = "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 9\r\n\r\n";
    assert!(
        seen.ends_with(body) || body.starts_with(&seen[seen.len() - 60..]),
        "{seen}"
    );

    let timed = client
        .post(&peer.url("/"))
        .unwrap()
        .upload(Some(6), |upload| {
            let mut number = 0;
            let slot: Rc<RefCell<Option<Upload>>> = Rc::default();
            let handle = upload.handle().clone();
            slot.replace(Some(upload));
            // From a timer, later.
            let timer = Timer::every(&handle, Duration::from_millis(5), move |timer| {
                let place = slot.borrow();
                let upload = place.as_ref().unwrap();
                upload.send(b"ab").unwrap();
                number += 1;
                if number == 3 {
                    upload.finish().unwrap();
                    timer.close();
                }
            });
            timer.unwrap().detach();
        });
    assert_eq!(ask(&mut base, &client, timed).unwrap().text(), "hello");
    assert!(
        peer.seen()
            .pop()
            .unwrap()
            .ends_with("Content-Length: 6\r\n\r\nababab")
    );
}

#[test]
fn an_announced_length_is_kept() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let checks = count();
    let seen = checks.clone();
    let request = client
        .post(&peer.url("/"))
        .unwrap()
        .upload(Some(4), move |upload| {
            assert!(upload.send(b"12345").is_err());
            upload.send(b"123").unwrap();
            assert!(upload.finish().is_err());
            upload.send(b"4").unwrap();
            assert!(upload.send(b"5").is_err());
            upload.finish().unwrap();
            assert!(upload.finish().is_err());
            seen.bump();
        });
    assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
    assert!(peer.seen().pop().unwrap().ends_with("\r\n\r\n1234"));
    assert_eq!(checks.get(), 1);
}

#[test]
fn an_upload_that_is_dropped_fails_the_request() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| talk.until_gone());
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let request = client.post(&peer.url("/")).unwrap();
    let request = request.upload(None, |upload| upload.send(b"some"));
    let error = kind(ask(&mut base, &client, request));
    assert!(matches!(error, ClientErrorKind::Body(_)), "{error:?}");
    assert_eq!(client.connections(), 0);
}

#[test]
fn an_upload_outlives_its_request_without_harm() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        talk.head();
        talk.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        talk.until_gone();
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let kept: Slot<Upload> = Rc::default();
    let place = kept.clone();
    let request = client
        .post(&peer.url("/"))
        .unwrap()
        .upload(None, move |upload| {
            upload.send(b"x")?;
            place.replace(Some(upload));
            Ok::<_, libevent2::Error>(())
        });
    let answer = ask(&mut base, &client, request).unwrap();
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let upload = kept.borrow_mut().take().unwrap();
    assert!(upload.send(b"y").is_err() && upload.finish().is_err());
    assert_eq!(upload.pending(), 0);
    assert_eq!(client.connections(), 0, "the rest of the body is missing");
}

// --- memory -----------------------------------------------------------------------------------------

#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}

/// Bodies of any length take little memory, in both directions. The server is a thread of this
/// process, with 64 KiB of its own.
#[cfg(target_os = "linux")]
#[test]
fn long_bodies_take_little_memory() {
    const LENGTH: usize = 256 << 20;
    const MARGIN: usize = 32 << 20;
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        let mut piece = vec![b'x'; 65536];
        while let Some(head) = talk.head() {
            if head.starts_with("PUT") {
                let mut left = LENGTH;
                while left > 0 {
                    left -= talk.stream.read(&mut piece).unwrap();
                }
                talk.say(HELLO);
            } else {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
                talk.say(head);
                for _ in 0..LENGTH / piece.len() {
                    talk.say(&piece);
                }
            }
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let before = peak();
    let got = Rc::new(Cell::new(0));
    let (add, handle) = (got.clone(), base.handle().clone());
    let pending = client.get(&peer.url("/")).unwrap().open(move |result| {
        let body = result.unwrap().incoming();
        body.on_data(move |data| add.set(add.get() + data.len()));
        body.on_end(move |end| {
            end.unwrap();
            handle.exit();
        });
    });
    base.run().unwrap();
    drop(pending);
    assert_eq!(got.get(), LENGTH);
    let mut left = LENGTH;
    let request = client.put(&peer.url("/")).unwrap();
    let request = request.upload(Some(LENGTH as u64), move |upload| {
        upload.on_drain(move |upload| {
            let piece = left.min(65536);
            left -= piece;
            upload.send(&[b'y'; 65536][..piece])?;
            if left == 0 {
                upload.finish()?;
            }
            Ok::<_, libevent2::Error>(())
        });
    });
    assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
    let file = tempfile_of(LENGTH as u64);
    let request = client.put(&peer.url("/")).unwrap().file(file).unwrap();
    assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
    let grown = peak() - before;
    // AddressSanitizer keeps what was freed.
    assert!(cfg!(asan) || grown < MARGIN, "{grown} bytes more");
}

#[cfg(target_os = "linux")]
fn tempfile_of(length: u64) -> std::fs::File {
    let path = std::env::temp_dir().join(format!("libevent2-long-{}", std::process::id()));
    let file = std::fs::File::create_new(&path).unwrap();
    file.set_len(length).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

// --- upgrades ---------------------------------------------------------------------------------------

#[test]
fn a_connection_changes_its_protocol() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        let head = talk.head().unwrap();
        assert!(
            head.contains("Connection: Upgrade\r\nUpgrade: shout\r\n"),
            "{head}"
        );
        // What belongs to the new protocol comes with the head.
        talk.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: Shout\r\nX: y\r\n\r\nready\r\n");
        let mut word = [0; 5];
        talk.stream.read_exact(&mut word).unwrap();
        talk.say(String::from_utf8_lossy(&word).to_uppercase());
        talk.say("\r\n");
        talk.until_gone();
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let lines: Rc<RefCell<Vec<String>>> = Rc::default();
    let heard = lines.clone();
    let pending = client
        .get(&peer.url("/"))
        .unwrap()
        .upgrade("shout", move |result| {
            let upgraded = result.unwrap();
            assert_eq!(upgraded.headers["x"], "y");
            let handler = Callbacks::new().on_read(move |stream| {
                while let Some(line) = stream.input().read_line(Eol::Crlf) {
                    heard.borrow_mut().push(String::from_utf8(line).unwrap());
                    if heard.borrow().len() == 2 {
                        stream.close();
                    } else {
                        stream.write(b"hello").unwrap();
                    }
                }
            });
            upgraded.into_stream(handler).unwrap().detach();
        });
    base.run().unwrap();
    assert_eq!(*lines.borrow(), ["ready", "HELLO"]);
    assert_eq!((client.connections(), client.pending()), (0, 0));
    drop(pending);
}

#[test]
fn an_upgrade_that_is_refused_says_so() {
    let _bounded = bounded();
    for (said, refused) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        (
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 101 Switching\r\nUpgrade: other\r\n\r\n", false),
        ("HTTP/1.1 101 Switching\r\n\r\n", false),
    ] {
        let peer = Peer::saying(said);
        let mut base = EventBase::new().unwrap();
        let client = Client::new(&base).unwrap();
        let calls = count();
        let called = calls.clone();
        let request = client.get(&peer.url("/")).unwrap();
        let pending = request.upgrade("shout", move |result| {
            called.bump();
            match result.unwrap_err().into_kind() {
                ClientErrorKind::NotUpgraded(_) => assert!(refused),
                ClientErrorKind::Malformed(_) => assert!(!refused),
                error => panic!("{error:?}"),
            }
        });
        base.run().unwrap();
        assert_eq!((calls.get(), client.connections()), (1, 0));
        drop(pending);
    }
}
