//! Answers as servers send them, and what the client makes of them.
#![cfg(feature = "http")]

mod common;
mod http_client_common;

use common::bounded;
use http_client_common::{Peer, ask, begin, get, kind};
use libevent2::http::{Client, ClientErrorKind, ClientOptions, Method, StatusCode, Version};
use libevent2::{EventBase, LoopEnd};
use std::net::Shutdown;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_get_is_answered() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let answer = get(&peer.url("/a/b?c=d#not-sent")).unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.version, Version::HTTP_11);
    assert_eq!(answer.body, b"hello");
    assert_eq!(answer.header("content-length"), Some("5"));
    assert_eq!(answer.url, peer.url("/a/b?c=d"));
    let seen = peer.seen().remove(0);
    let agent = concat!("libevent2/", env!("CARGO_PKG_VERSION"));
    let expected = format!(
        "GET /a/b?c=d HTTP/1.1\r\nHost: {}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n",
        peer.address
    );
    assert_eq!(seen, expected);
}

#[test]
fn the_loop_ends_when_all_is_answered() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for _ in 0..3 {
        // One that keeps its connection must not keep the loop.
        let request = client.get(&peer.url("/")).unwrap();
        request.send(|result| drop(result.unwrap())).detach();
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(client.idle_connections(), 1);
    }
    assert_eq!(peer.accepted(), 1, "it was used again");
}

#[test]
fn each_method_is_sent() {
    let _bounded = bounded();
    let peer = Peer::saying("HTTP/1.1 204 No Content\r\n\r\n");
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE",
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = client.request(method.clone(), &peer.url("/")).unwrap();
        let answer = ask(&mut base, &client, request).unwrap();
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        let seen = peer.seen().pop().unwrap();
        assert!(
            seen.starts_with(&format!("{method} / HTTP/1.1\r\n")),
            "{seen}"
        );
        let has_length = seen.contains("Content-Length: 0\r\n");
        assert_eq!(
            has_length,
            ["POST", "PUT", "PATCH"].contains(&method.as_str()),
            "{seen}"
        );
    }
    assert_eq!(peer.accepted(), 1);
    assert!(client.request(Method::CONNECT, &peer.url("/")).is_err());
}

#[test]
fn headers_are_sent_and_those_that_are_none_refused() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let get = || client.get(&peer.url("/")).unwrap();
    let request = get()
        .header("x-one", "1")
        .header("x-one", "2")
        .header("user-agent", "me")
        .header("host", "other.example:81");
    ask(&mut base, &client, request).unwrap();
    let seen = peer.seen().pop().unwrap();
    assert!(seen.contains("X-One: 1\r\nX-One: 2\r\n"), "{seen}");
    assert!(seen.contains("Host: other.example:81\r\n"), "{seen}");
    assert!(seen.contains("User-Agent: me\r\n"), "{seen}");
    assert_eq!(
        seen.matches("ser-").count() + seen.matches("ost:").count(),
        2,
        "{seen}"
    );
    for (name, value) in [
        ("x-split", "a\r\nx-evil: b"),
        ("x split", "a"),
        ("", "a"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("host", "a b"),
    ] {
        let error = kind(ask(&mut base, &client, get().header(name, value)));
        assert!(matches!(error, ClientErrorKind::Invalid(_)), "{error:?}");
    }
    assert_eq!(peer.seen().len(), 1, "none of them was sent");
}

#[test]
fn user_and_password_of_the_url_are_sent() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let answer = get(&format!("http://Aladdin:open%20sesame@{}/", peer.address)).unwrap();
    assert!(!answer.url.contains("sesame"), "{}", answer.url);
    let seen = peer.seen().remove(0);
    assert!(
        seen.contains("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
        "{seen}"
    );
}

#[test]
fn bodies_are_sent_with_their_length() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let post = || client.post(&peer.url("/")).unwrap();
    let body = |peer: &Peer| {
        let seen = peer.seen().pop().unwrap();
        let (head, body) = seen.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.matches("Content-Length").count(), 1, "{head}");
        (head.to_owned(), body.to_owned())
    };
    for length in [0, 1, 16 << 10, (16 << 10) + 1, 3 << 20] {
        let text = "x".repeat(length);
        ask(&mut base, &client, post().body(text.clone())).unwrap();
        assert!(body(&peer).1 == text, "{length}");
    }
    ask(&mut base, &client, post().form([("a b", "ä&"), ("c", "")])).unwrap();
    let (head, form) = body(&peer);
    assert_eq!(form, "a+b=%C3%A4%26&c=");
    assert!(head.contains("Content-Type: application/x-www-form-urlencoded"));
    for length in [0, 5, 700_000] {
        let path = std::env::temp_dir().join(format!("libevent2-client-{}", std::process::id()));
        let text = "y".repeat(length);
        std::fs::write(&path, &text).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        ask(&mut base, &client, post().file(file).unwrap()).unwrap();
        assert!(body(&peer).1 == text, "{length}");
    }
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn an_answer_ends_where_its_head_says() {
    let _bounded = bounded();
    for (answer, body, keeps) in [
        (HELLO, "hello", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            "abcde",
            true,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", true),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            "ok",
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "ok",
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            "ok",
            true,
        ),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok", true),
        // Something behind the answer: the connection is not to be trusted.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200",
            "ok",
            false,
        ),
    ] {
        let peer = Peer::saying(answer);
        let mut base = EventBase::new().unwrap();
        let client = Client::new(&base).unwrap();
        let result = ask(&mut base, &client, client.get(&peer.url("/")).unwrap());
        assert_eq!(result.unwrap().text(), body, "{answer}");
        assert_eq!(client.idle_connections(), usize::from(keeps), "{answer}");
        assert_eq!(client.connections(), usize::from(keeps), "{answer}");
    }
    let peer = Peer::saying_once("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    assert_eq!(get(&peer.url("/")).unwrap().text(), "until the end");
}

#[test]
fn trailers_are_given_and_do_not_become_headers() {
    let _bounded = bounded();
    let peer = Peer::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let answer = get(&peer.url("/")).unwrap();
    assert_eq!(answer.trailers["x-sum"], "7");
    assert_eq!(answer.header("x-sum"), None);
}

#[test]
fn an_answer_to_head_has_no_body_whatever_it_says() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        while let Some(request) = talk.request() {
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
            if request.starts_with("GET") {
                talk.say("hello");
            }
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let head = ask(&mut base, &client, client.head(&peer.url("/")).unwrap()).unwrap();
    assert_eq!(
        (head.body.len(), head.header("content-length")),
        (0, Some("5"))
    );
    let get = ask(&mut base, &client, client.get(&peer.url("/")).unwrap()).unwrap();
    assert_eq!(get.text(), "hello");
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn answers_that_are_not_final_are_passed_over() {
    let _bounded = bounded();
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let peer = Peer::saying(format!("{early}{HELLO}"));
    let answer = get(&peer.url("/")).unwrap();
    assert_eq!(
        (answer.text().as_ref(), answer.header("link")),
        ("hello", None)
    );

    let flood = Peer::start(|talk| {
        talk.request();
        for _ in 0..100_000 {
            talk.say("HTTP/1.1 103 Early Hints\r\n\r\n");
        }
    });
    let error = kind(get(&flood.url("/")));
    assert!(matches!(error, ClientErrorKind::Malformed(_)), "{error:?}");
    let switched = Peer::saying("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
    let error = kind(get(&switched.url("/")));
    assert!(matches!(error, ClientErrorKind::Malformed(_)), "{error:?}");
}

#[test]
fn an_answer_may_come_in_any_pieces() {
    let _bounded = bounded();
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n\
                  5\r\nhello\r\n10;q=\"r\"\r\n0123456789abcdef\r\n0\r\nT: u\r\n\r\n";
    let peer = Peer::start(move |talk| {
        while let Some(request) = talk.request() {
            let size = request[5..].split(' ').next().unwrap().parse().unwrap();
            for piece in answer.as_bytes().chunks(size) {
                talk.say(piece);
            }
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for size in 1..answer.len() {
        let request = client.get(&peer.url(&format!("/{size}"))).unwrap();
        let answer = ask(&mut base, &client, request).unwrap();
        assert_eq!(answer.text(), "hello0123456789abcdef", "{size}");
        assert_eq!(answer.trailers["t"], "u");
    }
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn what_is_no_answer_is_refused() {
    let _bounded = bounded();
    let mut bad: Vec<String> = [
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/11.1 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01",
        "<html>what a server of HTTP/0.9 says</html>\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
    ]
    .map(str::to_owned)
    .to_vec();
    for chunk in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX0\r\n\r\n",
        "\r\n\r\n",
        "10000000000000000\r\nhello",
        "g\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
    ] {
        bad.push(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
        ));
    }
    let many = "A: b\r\n".repeat(200);
    bad.push(format!("HTTP/1.1 200 OK\r\n{many}\r\n"));
    for answer in bad {
        // The connection stays open: it is the bytes that are refused, not their end.
        let peer = Peer::saying(answer.clone());
        let error = kind(get(&peer.url("/")));
        assert!(
            matches!(error, ClientErrorKind::Malformed(_)),
            "{answer:?}: {error:?}"
        );
    }
}

#[test]
fn an_answer_that_ends_too_early_is_an_error_wherever_it_ends() {
    let _bounded = bounded();
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX: y\r\n\r\n0123456789",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\nA: b\r\n\r\n",
    ] {
        let peer = Peer::start(move |talk| {
            let Some(request) = talk.request() else {
                return;
            };
            let length: usize = request[5..].split(' ').next().unwrap().parse().unwrap();
            talk.say(&answer[..length]);
            talk.end();
        });
        let mut base = EventBase::new().unwrap();
        let client = Client::new(&base).unwrap();
        for length in 0..=answer.len() {
            let request = client.get(&peer.url(&format!("/{length}"))).unwrap();
            match (ask(&mut base, &client, request), length) {
                (Ok(_), _) => assert_eq!(length, answer.len()),
                (Err(error), 0) => assert!(matches!(error.kind(), ClientErrorKind::Closed)),
                (Err(error), _) => {
                    let incomplete = matches!(error.kind(), ClientErrorKind::Incomplete);
                    assert!(incomplete && length < answer.len(), "{length}: {error}");
                }
            }
        }
        assert_eq!(client.connections(), 1, "that of the whole answer");
    }
}

#[test]
fn answers_have_their_limits() {
    let _bounded = bounded();
    let mut options = ClientOptions::default();
    options.max_body = 1000;
    options.header_bytes = 2000;
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let mut fetch = |answer: String| {
        let peer = Peer::saying(answer);
        ask(&mut base, &client, client.get(&peer.url("/")).unwrap())
    };
    let head = "HTTP/1.1 200 OK\r\n";
    let chunks = |count| {
        let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
        let body = chunk.repeat(count);
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n")
    };
    assert_eq!(fetch(chunks(10)).unwrap().body.len(), 1000);
    let fits = format!("{head}X: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(1900));
    assert!(fetch(fits).is_ok());
    for (answer, long) in [
        (format!("{head}Content-Length: 1001\r\n\r\n"), "body"),
        (
            format!("{head}Content-Length: 18446744073709551615\r\n\r\n"),
            "body",
        ),
        (chunks(11), "body"),
        (format!("{head}\r\n{}", "x".repeat(1001)), "body"),
        (format!("{head}X: {}\r\n\r\n", "y".repeat(2000)), "head"),
        (format!("{head}X: {}", "y".repeat(100_000)), "head"),
        (format!("HTTP/1.1 200 {}", "O".repeat(100_000)), "head"),
    ] {
        let error = kind(fetch(answer));
        match error {
            ClientErrorKind::TooLong { what, .. } => assert_eq!(what, long),
            error => panic!("{error:?}"),
        }
    }
}

#[test]
fn an_answer_that_comes_before_the_body_was_sent_is_taken() {
    let _bounded = bounded();
    // It reads the head only, refuses, and closes; the rest of the body is in the way.
    let peer = Peer::start(|talk| {
        talk.head();
        talk.say(
            "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
        );
        if talk.number == 0 {
            talk.until_gone();
        } else {
            let _ = talk.stream.shutdown(Shutdown::Both);
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for _ in 0..3 {
        let request = client
            .post(&peer.url("/"))
            .unwrap()
            .body(vec![b'x'; 32 << 20]);
        let answer = ask(&mut base, &client, request).unwrap();
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(client.connections(), 0);
    }
}

#[test]
fn a_server_is_asked_whether_it_wants_the_body() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        while let Some(head) = talk.head() {
            assert!(
                head.contains("Expect: 100-continue\r\n") || head.starts_with("PUT"),
                "{head}"
            );
            let path = head.split(' ').nth(1).unwrap();
            let mut body = [0; 4];
            match path {
                "/yes" => {
                    talk.say("HTTP/1.1 100 Continue\r\n\r\n");
                    std::io::Read::read_exact(&mut talk.stream, &mut body).unwrap();
                    talk.say(HELLO);
                }
                // It does not know the word, and waits.
                "/silent" => {
                    std::io::Read::read_exact(&mut talk.stream, &mut body).unwrap();
                    talk.say(HELLO);
                }
                "/no" => {
                    talk.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
                    talk.until_gone();
                    return;
                }
                "/unknown" if head.contains("Expect") => {
                    talk.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
                    talk.until_gone();
                    return;
                }
                _ => {
                    std::io::Read::read_exact(&mut talk.stream, &mut body).unwrap();
                    talk.say(HELLO);
                }
            }
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for (path, status) in [
        ("/yes", 200),
        ("/silent", 200),
        ("/no", 403),
        ("/unknown", 200),
    ] {
        let request = client.put(&peer.url(path)).unwrap();
        let request = request.body("body").expect_continue();
        let answer = ask(&mut base, &client, request).unwrap();
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}

#[test]
fn many_requests_share_the_connections() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        while let Some(request) = talk.request() {
            let path = request.split(' ').nth(1).unwrap();
            talk.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                path.len()
            ));
        }
    });
    let mut options = ClientOptions::default();
    options.pool.per_host = 4;
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let all: Vec<_> = (0..200)
        .map(|number| {
            let path = format!("/{number}");
            let request = client.get(&peer.url(&path)).unwrap();
            (path, begin(request, &client))
        })
        .collect();
    assert_eq!(client.pending(), 200);
    while client.pending() > 0 {
        base.run().unwrap();
    }
    for (path, (slot, _)) in all {
        assert_eq!(slot.borrow_mut().take().unwrap().unwrap().text(), path);
    }
    assert_eq!((peer.accepted(), client.connections()), (4, 4));
}
