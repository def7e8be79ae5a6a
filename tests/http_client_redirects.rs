//! Requests that are sent on: where to, how, and with what.
#![cfg(feature = "http")]

mod common;
mod http_client_common;

use common::bounded;
use http_client_common::{Peer, ask, get, kind};
use libevent2::EventBase;
#[cfg(feature = "cookies")]
use libevent2::http::ClientOptions;
use libevent2::http::{Client, ClientErrorKind, Method, StatusCode};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Sends each path `/STATUS/REST` on to `REST`, and answers all others.
fn sender() -> Peer {
    Peer::start(|talk| {
        while let Some(request) = talk.request() {
            let path = request.split(' ').nth(1).unwrap();
            let status = path
                .get(1..4)
                .filter(|digits| digits.parse::<u16>().is_ok());
            match status {
                Some(status) => talk.say(format!(
                    "HTTP/1.1 {status} There\r\nLocation: {}\r\nContent-Length: 4\r\n\r\n",
                    &path[4..]
                )),
                None => talk.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            }
            if !request.starts_with("HEAD ") {
                talk.say(if status.is_some() { "this" } else { "hello" });
            }
        }
    })
}

#[test]
fn a_redirect_is_followed() {
    let _bounded = bounded();
    let peer = sender();
    let answer = get(&peer.url("/301/302/303/307/308/end?q")).unwrap();
    assert_eq!(
        (answer.text().as_ref(), answer.url.as_str()),
        ("hello", &*peer.url("/end?q"))
    );
    assert_eq!((peer.seen().len(), peer.accepted()), (6, 1));
}

#[test]
fn the_method_changes_as_the_status_says() {
    let _bounded = bounded();
    let peer = sender();
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for (status, before, after) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "HEAD", "HEAD"),
    ] {
        let method = Method::from_bytes(before.as_bytes()).unwrap();
        let request = client
            .request(method, &peer.url(&format!("/{status}/to")))
            .unwrap();
        let request = match before {
            "HEAD" => request,
            _ => request.body("data").header("content-type", "text/x"),
        };
        ask(&mut base, &client, request).unwrap();
        let seen = peer.seen().pop().unwrap();
        assert!(
            seen.starts_with(&format!("{after} /to HTTP/1.1\r\n")),
            "{status}: {seen}"
        );
        let kept = !["GET", "HEAD"].contains(&after);
        assert_eq!(seen.ends_with("\r\n\r\ndata"), kept, "{status}: {seen}");
        assert_eq!(
            seen.contains("Content-Type: text/x"),
            kept,
            "{status}: {seen}"
        );
    }
}

#[test]
fn redirects_have_a_limit() {
    let _bounded = bounded();
    let round = Peer::saying("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    let error = kind(get(&round.url("/")));
    assert!(
        matches!(error, ClientErrorKind::TooManyRedirects { limit: 10 }),
        "{error:?}"
    );
    assert_eq!(round.seen().len(), 11);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let request = client.get(&round.url("/")).unwrap().redirects(0);
    let answer = ask(&mut base, &client, request).unwrap();
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::FOUND, Some("/"))
    );
}

#[test]
fn what_is_no_redirect_is_an_answer() {
    let _bounded = bounded();
    for head in [
        "302 Found\r\n",
        "300 Choices\r\nLocation: /x\r\n",
        "304 Same\r\nLocation: /x\r\n",
        "200 OK\r\nLocation: /x\r\n",
    ] {
        let peer = Peer::saying(format!("HTTP/1.1 {head}Content-Length: 0\r\n\r\n"));
        let answer = get(&peer.url("/")).unwrap();
        assert_eq!(answer.status.as_str(), &head[..3]);
        assert_eq!(peer.seen().len(), 1);
    }
}

#[test]
fn a_redirect_to_nowhere_is_an_error() {
    let _bounded = bounded();
    for location in [
        "ftp://a/",
        "http://",
        "http://a b/",
        "mailto:a@b",
        "javascript:x",
    ] {
        let peer = Peer::saying(format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ));
        let error = kind(get(&peer.url("/")));
        assert!(
            matches!(error, ClientErrorKind::Redirect { .. }),
            "{location}: {error:?}"
        );
    }
}

#[test]
fn secrets_stay_with_their_origin() {
    let _bounded = bounded();
    let other = Peer::saying(HELLO);
    let to = other.url("/there");
    let peer = Peer::start(move |talk| {
        while let Some(request) = talk.request() {
            let to = if request.starts_with("GET /away") {
                to.as_str()
            } else {
                "/stay"
            };
            if request.starts_with("GET /stay") {
                talk.say(HELLO);
            } else {
                talk.say(format!(
                    "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
                ));
            }
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for by_url in [false, true] {
        for away in [false, true] {
            let user = if by_url { "user:secret@" } else { "" };
            let path = if away { "/away" } else { "/here" };
            let request = client
                .get(&format!("http://{user}{}{path}", peer.address))
                .unwrap();
            let request = match by_url {
                true => request,
                false => request.basic_auth("user", "secret"),
            };
            ask(
                &mut base,
                &client,
                request.header("cookie", "a=b").header("x-own", "1"),
            )
            .unwrap();
            let seen = if away { other.seen() } else { peer.seen() }.pop().unwrap();
            assert_eq!(seen.contains("Authorization: Basic"), !away, "{seen}");
            assert_eq!(seen.contains("Cookie: a=b"), !away, "{seen}");
            assert!(seen.contains("X-Own: 1"), "{seen}");
            let host = if away { other.address } else { peer.address };
            assert!(seen.contains(&format!("Host: {host}\r\n")), "{seen}");
        }
    }
}

#[test]
fn a_body_that_is_there_once_is_not_sent_on() {
    let _bounded = bounded();
    let peer = sender();
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let put = |path: &str| {
        client
            .put(&peer.url(path))
            .unwrap()
            .upload(Some(4), |upload| {
                upload.send(b"data")?;
                upload.finish()
            })
    };
    let request = put("/307/to");
    let error = kind(ask(&mut base, &client, request));
    assert!(matches!(error, ClientErrorKind::Unrepeatable), "{error:?}");
    let request = put("/303/to");
    assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
}

#[test]
fn the_body_of_a_redirect_is_not_read_to_no_end() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        let Some(request) = talk.request() else {
            return;
        };
        if request.starts_with("GET /end") {
            return talk.say(HELLO);
        }
        talk.say("HTTP/1.1 302 Found\r\nLocation: /end\r\nTransfer-Encoding: chunked\r\n\r\n");
        while std::io::Write::write_all(&mut talk.stream, b"4\r\nmore\r\n").is_ok() {}
    });
    assert_eq!(get(&peer.url("/")).unwrap().text(), "hello");
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_come_back_if_they_are_wanted() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        while let Some(request) = talk.request() {
            let more = if request.starts_with("GET /login") {
                "302 Found\r\nLocation: /home\r\nSet-Cookie: id=1; Path=/; HttpOnly\r\n\
                 Set-Cookie: other=2; Path=/elsewhere\r\nSet-Cookie: evil=3; Domain=example.org\r\n"
            } else {
                "200 OK\r\n"
            };
            talk.say(format!("HTTP/1.1 {more}Content-Length: 0\r\n\r\n"));
        }
    });
    for wanted in [false, true] {
        let mut options = ClientOptions::default();
        options.cookies = wanted;
        let mut base = EventBase::new().unwrap();
        let client = Client::with(&base, options).unwrap();
        ask(&mut base, &client, client.get(&peer.url("/login")).unwrap()).unwrap();
        let seen = peer.seen().pop().unwrap();
        assert!(seen.starts_with("GET /home "));
        assert_eq!(seen.contains("Cookie: id=1\r\n"), wanted, "{seen}");
        assert!(!seen.contains("other") && !seen.contains("evil"), "{seen}");
        let own = client
            .get(&peer.url("/"))
            .unwrap()
            .header("cookie", "mine=4");
        ask(&mut base, &client, own).unwrap();
        let seen = peer.seen().pop().unwrap();
        assert_eq!(seen.matches("Cookie:").count(), 1, "{seen}");
    }
}
