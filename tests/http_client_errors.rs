//! What the client says when there is no answer: why, of which URL, and in time.
#![cfg(feature = "http")]

mod common;
mod connect_common;
mod dns_common;
mod http_client_common;

use common::bounded;
use dns_common::{A, NO_SUCH_NAME, NameServer, impatient};
use http_client_common::{Peer, ask, get, kind, never};
use libevent2::EventBase;
use libevent2::dns::{Config, Resolver};
use libevent2::http::{Client, ClientErrorKind, ClientOptions, Phase, Timeouts};
use libevent2::stream::{Resolve, StreamError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SHORT: Duration = Duration::from_millis(150);

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn what_is_no_url_is_refused_at_once() {
    let base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for bad in [
        "",
        "/a",
        "example.org",
        "ftp://a/",
        "http://",
        "http://a b/",
        "http://a/\r\nx",
    ] {
        let error = client.get(bad).unwrap_err().to_string();
        assert!(error.starts_with("url: "), "{error}");
    }
}

#[test]
fn a_refused_connection_is_told_as_such() {
    let _bounded = bounded();
    let url = format!("http://{}/x?y", nobody());
    let error = get(&url).unwrap_err();
    assert_eq!(
        (error.url(), error.method().as_str()),
        (url.as_str(), "GET")
    );
    let refused = matches!(
        error.kind(),
        ClientErrorKind::Connect(StreamError::Refused { .. })
    );
    assert!(refused, "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("GET {url}: connecting to ")),
        "{error}"
    );
}

#[test]
fn a_name_that_is_none_is_told_as_such() {
    let _bounded = bounded();
    let server = NameServer::start(|query| Some(query.error(NO_SUCH_NAME)));
    let mut base = EventBase::new().unwrap();
    let resolver =
        Resolver::new(&base, impatient(Config::with_servers([server.address()]))).unwrap();
    let mut options = ClientOptions::default();
    options.resolve = Resolve::by(&resolver);
    let client = Client::with(&base, options).unwrap();
    let request = client.get("http://nowhere.example/").unwrap();
    let error = kind(ask(&mut base, &client, request));
    assert!(matches!(error, ClientErrorKind::Lookup(_)), "{error:?}");
}

#[test]
fn a_name_is_looked_up() {
    let _bounded = bounded();
    let local = Ipv4Addr::LOCALHOST;
    let server = NameServer::start(move |query| {
        Some(if query.kind == A {
            query.address(local, 60)
        } else {
            query.reply().bytes()
        })
    });
    let peer = Peer::saying(HELLO);
    let mut base = EventBase::new().unwrap();
    let resolver =
        Resolver::new(&base, impatient(Config::with_servers([server.address()]))).unwrap();
    let mut options = ClientOptions::default();
    options.resolve = Resolve::by(&resolver);
    let client = Client::with(&base, options).unwrap();
    let url = format!("http://Some.Example:{}/", peer.address.port());
    assert_eq!(
        ask(&mut base, &client, client.get(&url).unwrap())
            .unwrap()
            .text(),
        "hello"
    );
    let host = format!("Host: some.example:{}\r\n", peer.address.port());
    assert!(peer.seen()[0].contains(&host), "{}", peer.seen()[0]);
}

/// The phase in which it was given up, and after how long.
fn stalled(url: &str, set: impl FnOnce(&mut Timeouts), options: ClientOptions) -> Phase {
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let mut timeouts = Timeouts::default();
    set(&mut timeouts);
    let request = client.post(url).unwrap().timeouts(timeouts);
    let request = request.body(vec![b'x'; 16 << 20]);
    let began = Instant::now();
    let outcome = ask(&mut base, &client, request);
    assert!(
        began.elapsed() >= SHORT - Duration::from_millis(10),
        "{:?}",
        began.elapsed()
    );
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!((client.connections(), client.pending()), (0, 0));
    match kind(outcome) {
        ClientErrorKind::TimedOut(phase) => phase,
        error => panic!("{error:?}"),
    }
}

#[test]
fn each_phase_has_its_time() {
    let _bounded = bounded();
    let usual = ClientOptions::default;
    let (_listener, silent, _queue) = connect_common::silent();
    let connect = |timeouts: &mut Timeouts| timeouts.connect = Some(SHORT);
    assert_eq!(
        stalled(&format!("http://{silent}/"), connect, usual()),
        Phase::Connect
    );

    // It takes the connection, and nothing of the request.
    let deaf = Peer::start(|_| {
        loop {
            std::thread::park()
        }
    });
    let send = |timeouts: &mut Timeouts| timeouts.send = Some(SHORT);
    assert_eq!(stalled(&deaf.url("/"), send, usual()), Phase::Request);
    let total = |timeouts: &mut Timeouts| timeouts.total = Some(SHORT);
    assert_eq!(stalled(&deaf.url("/"), total, usual()), Phase::Total);

    for said in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let dumb = Peer::start(move |talk| {
            talk.request();
            talk.say(said);
            talk.until_gone();
        });
        let answer = |timeouts: &mut Timeouts| timeouts.answer = Some(SHORT);
        assert_eq!(stalled(&dumb.url("/"), answer, usual()), Phase::Answer);
    }
    for said in [
        "Content-Length: 5\r\n\r\n",
        "Content-Length: 5\r\n\r\nabcd",
        "\r\nabc",
    ] {
        let slow = Peer::start(move |talk| {
            talk.request();
            talk.say(format!("HTTP/1.1 200 OK\r\n{said}"));
            talk.until_gone();
        });
        let body = |timeouts: &mut Timeouts| timeouts.body = Some(SHORT);
        assert_eq!(stalled(&slow.url("/"), body, usual()), Phase::Body);
    }
}

#[test]
fn a_lookup_that_takes_too_long_is_part_of_connecting() {
    let _bounded = bounded();
    let server = NameServer::silent();
    let mut config = Config::with_servers([server.address()]);
    config.deadline = Duration::from_secs(20);
    let mut base = EventBase::new().unwrap();
    let resolver = Resolver::new(&base, config).unwrap();
    let mut options = ClientOptions::default();
    options.resolve = Resolve::by(&resolver);
    options.timeouts.connect = Some(SHORT);
    let client = Client::with(&base, options).unwrap();
    let error = kind(ask(
        &mut base,
        &client,
        client.get("http://slow.example/").unwrap(),
    ));
    assert!(
        matches!(error, ClientErrorKind::TimedOut(Phase::Connect)),
        "{error:?}"
    );
}

#[test]
fn who_sends_a_byte_now_and_then_is_ended_by_the_total() {
    let _bounded = bounded();
    let drip = Peer::start(|talk| {
        talk.request();
        talk.say("HTTP/1.1 200 OK\r\n");
        // Each wait is shorter than the limit of its phase.
        while std::io::Write::write_all(&mut talk.stream, b"X: y\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let request = client.get(&drip.url("/")).unwrap();
    let request = request.timeout(Duration::from_millis(400));
    let error = ask(&mut base, &client, request).unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn a_body_that_comes_slowly_but_steadily_is_waited_for() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| {
        talk.request();
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for _ in 0..10 {
            std::thread::sleep(SHORT / 3);
            talk.say("x");
        }
        talk.until_gone();
    });
    let mut options = ClientOptions::default();
    options.timeouts.body = Some(SHORT);
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let answer = ask(&mut base, &client, client.get(&peer.url("/")).unwrap());
    assert_eq!(answer.unwrap().text(), "xxxxxxxxxx");
}

#[test]
fn waiting_for_a_connection_counts() {
    let _bounded = bounded();
    let peer = Peer::start(|talk| talk.until_gone());
    let mut options = ClientOptions::default();
    options.pool.per_host = 1;
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let first = client.get(&peer.url("/")).unwrap().send(never);
    let second = client.get(&peer.url("/")).unwrap().timeout(SHORT);
    let error = ask(&mut base, &client, second).unwrap_err();
    assert!(error.is_timeout());
    assert_eq!((client.pending(), client.connections()), (1, 1));
    drop(first);
    assert_eq!((client.pending(), client.connections()), (0, 0));
}

#[test]
fn a_connection_that_could_not_be_made_is_tried_again_as_often_as_wanted() {
    let _bounded = bounded();
    let address = nobody();
    let mut options = ClientOptions::default();
    options.connect_retries = 3;
    options.retry_delay = Duration::from_millis(30);
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let url = format!("http://{address}/");
    let began = Instant::now();
    let error = kind(ask(&mut base, &client, client.post(&url).unwrap()));
    assert!(matches!(error, ClientErrorKind::Connect(_)), "{error:?}");
    let waited = Duration::from_millis(30 + 60 + 120);
    assert!(began.elapsed() >= waited, "{:?}", began.elapsed());

    // The server comes up meanwhile.
    let accepted = std::sync::Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let listener = TcpListener::bind(address).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        count.fetch_add(1, Ordering::SeqCst);
        std::io::Read::read(&mut stream, &mut [0; 1024]).unwrap();
        std::io::Write::write_all(&mut stream, HELLO.as_bytes()).unwrap();
    });
    let answer = ask(&mut base, &client, client.post(&url).unwrap());
    assert_eq!(answer.unwrap().text(), "hello");
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_as_good_as_an_address() {
    let _bounded = bounded();
    let path = std::env::temp_dir().join(format!("libevent2-client-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut talk = http_client_common::Talk {
            stream,
            number: 0,
            seen: std::sync::Arc::default(),
        };
        for _ in 0..2 {
            let request = talk.request().unwrap();
            assert!(request.contains("Host: docker\r\n"), "{request}");
            talk.say(HELLO);
        }
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for _ in 0..2 {
        let request = client.get("http://docker/info").unwrap().unix(&path);
        assert_eq!(ask(&mut base, &client, request).unwrap().text(), "hello");
    }
    assert_eq!(client.connections(), 1);
    server.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    let request = client.get("http://docker/info").unwrap().unix(&path);
    let error = kind(ask(&mut base, &client, request));
    assert!(matches!(error, ClientErrorKind::Connect(_)), "{error:?}");
}
