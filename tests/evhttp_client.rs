//! What evhttp's client sends, what it takes for a response, and how it is told what it is to do.
#![cfg(all(unix, feature = "http"))]

mod common;
mod evhttp_client_common;

use common::bounded;
use evhttp_client_common::{Got, Peer, Seen, Server, ask, noting, refused, text, until};
use libevent2::evhttp::{ClientError, ClientRequest, Connection, ConnectionFlags};
use libevent2::stream::Resolve;
use libevent2::{Error, EventBase, Kind};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

fn connect(base: &EventBase, server: &Server) -> Connection {
    Connection::new(base, "127.0.0.1", server.port()).unwrap()
}

/// What becomes of a GET that is answered with this.
fn answered(response: &str) -> Result<(u16, String), ClientError> {
    let mut base = EventBase::new().unwrap();
    let server = Server::saying(response);
    let connection = connect(&base, &server);
    let response = ask(&mut base, &connection, ClientRequest::get("/"));
    response.map(|response| text(Ok(response)))
}

fn refusal(response: &str) -> String {
    answered(response).unwrap_err().to_string()
}

// --- what is sent ---------------------------------------------------------------------------------

/// The request as the server sees it.
fn sent(host: &str, request: ClientRequest) -> Seen {
    let mut base = EventBase::new().unwrap();
    let (tell, seen) = channel();
    let server = Server::answering(move |peer, request| {
        tell.send(request).unwrap();
        peer.ok("");
    });
    let connection = Connection::new(&base, host, server.port()).unwrap();
    ask(&mut base, &connection, request).unwrap();
    seen.recv().unwrap()
}

#[test]
fn a_request_is_sent_as_it_was_made_with_a_host_and_a_length() {
    let _bounded = bounded();
    let request = ClientRequest::post("/a?b=c", "body").header("X-Case", "Kept");
    let seen = sent("127.0.0.1", request);
    assert_eq!(seen.line, "POST /a?b=c HTTP/1.1");
    assert!(seen.header("Host").unwrap().starts_with("127.0.0.1:"));
    assert_eq!(seen.header("Content-Length"), Some("4"));
    assert!(seen.headers.contains(&"X-Case: Kept".to_owned()));
    assert_eq!(seen.body, b"body");
}

#[test]
fn a_body_of_any_method_has_its_length() {
    let _bounded = bounded();
    for method in ["PATCH", "DELETE", "PUT", "OPTIONS"] {
        let request = ClientRequest::new(method.parse().unwrap(), "/").body("0123456789");
        let seen = sent("127.0.0.1", request);
        assert_eq!(seen.body, b"0123456789", "{method}");
        assert!(seen.line.starts_with(method));
    }
    assert_eq!(
        sent("127.0.0.1", ClientRequest::get("/")).header("Content-Length"),
        None
    );
}

#[test]
fn a_host_is_kept_or_taken_from_a_whole_uri() {
    let _bounded = bounded();
    let own = ClientRequest::get("/").header("host", "example.org");
    let seen = sent("127.0.0.1", own);
    assert_eq!(seen.headers, ["host: example.org"]);
    let proxied = ClientRequest::get("http://user@example.org:8080/path?a://b");
    let seen = sent("127.0.0.1", proxied);
    assert_eq!(seen.header("Host"), Some("example.org:8080"));
    let path = ClientRequest::get("/?to=http://elsewhere/");
    assert!(
        sent("127.0.0.1", path)
            .header("Host")
            .unwrap()
            .starts_with("127.0.0.1:")
    );
}

#[test]
fn what_would_be_something_else_on_the_wire_is_refused() {
    let base = EventBase::new().unwrap();
    let connection = Connection::new(&base, "127.0.0.1", 1).unwrap();
    let get = |uri: &str| ClientRequest::get(uri);
    let bad = [
        get(""),
        get("/a b"),
        get("/\r\nX: y"),
        get("/\0"),
        get("/").header("", "v"),
        get("/").header("A B", "v"),
        get("/").header("A\r\nB", "v"),
        get("/").header("A:", "v"),
        get("/").header("A", "v\r\nB: c"),
        get("/").header("A", "v\nB: c"),
        get("/").header("A", "v\r\n continued"),
        get("/").header("A", "v\0"),
        get("/").header("Host", "a").header("host", "b"),
        get("/").header("Transfer-Encoding", "chunked"),
        get("/").header("Content-Length", "5"),
        ClientRequest::post("/", "1234").header("Content-Length", "5"),
        ClientRequest::post("/", "1")
            .header("Content-Length", "1")
            .header("Content-Length", "1"),
        ClientRequest::new("BREW".parse().unwrap(), "/"),
    ];
    for request in bad {
        let said = format!("{request:?}");
        let refused = connection.send(request);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{said}");
    }
    assert_eq!(connection.in_flight(), 0);
    assert!(Connection::new(&base, "127.0.0.1", 0).is_err());
    assert!(Connection::new(&base, "a\r\nb", 80).is_err());
    assert!(Connection::new(&base, "", 80).is_err());
}

// --- what is a response -----------------------------------------------------------------------------

#[test]
fn a_response_is_told_with_status_reason_headers_and_body() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::saying(
        "HTTP/1.1 404 Not  here\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 3\r\n\r\nabc",
    );
    let connection = connect(&base, &server);
    let response = ask(&mut base, &connection, ClientRequest::get("/")).unwrap();
    assert_eq!(response.status().as_u16(), 404);
    assert_eq!(response.reason(), b"Not  here");
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a", "b"]);
    assert_eq!(response.into_body(), "abc");
}

#[test]
fn a_body_without_a_length_ends_with_the_connection_whatever_connection_says() {
    let _bounded = bounded();
    for connection in [
        "",
        "Connection: keep-alive\r\n",
        "Connection: x\r\n",
        "Connection: close\r\n",
    ] {
        let got = answered(&format!("HTTP/1.1 200 OK\r\n{connection}\r\nall of it"));
        assert_eq!(got.unwrap(), (200, "all of it".into()), "{connection}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let _bounded = bounded();
    let with = |headers: &str| refusal(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n0\r\n\r\n"));
    for headers in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 5, 5",
        "Content-Length:",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "A B: c",
        ": c",
        "A\x01: c",
        "A: \x01",
        "no colon",
    ] {
        let error = with(headers);
        assert!(error.starts_with("bad response"), "{headers}: {error}");
    }
}

#[test]
fn a_status_is_a_number_of_three_digits() {
    let _bounded = bounded();
    for status in ["-200", "20", "0", "abc", "1000", "99", "2000000000000"] {
        let error = refusal(&format!(
            "HTTP/1.1 {status} OK\r\nContent-Length: 0\r\n\r\n"
        ));
        assert!(error.starts_with("bad response"), "{status}: {error}");
    }
    for line in [
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        "HTTP/1.-1 200 OK",
        "SIP/1.1 200 OK",
        "x",
    ] {
        let error = refusal(&format!("{line}\r\nContent-Length: 0\r\n\r\n"));
        assert!(error.starts_with("bad response"), "{line}: {error}");
    }
}

#[test]
fn an_interim_response_is_not_the_final_one() {
    let _bounded = bounded();
    for code in [101, 102, 103, 199] {
        let early =
            format!("HTTP/1.1 {code} Wait\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let error = answered(&early).unwrap_err();
        assert!(
            matches!(error, ClientError::Interim(told) if told == code),
            "{error}"
        );
    }
    // 100 is C's own affair, wanted or not; its headers are not those of the final one.
    let server = Server::answering(|peer, _| {
        peer.send("HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nX: 2\r\nContent-Length: 2\r\n\r\nok");
    });
    let mut base = EventBase::new().unwrap();
    let connection = connect(&base, &server);
    let response = ask(&mut base, &connection, ClientRequest::get("/")).unwrap();
    assert_eq!(response.headers().len(), 2);
    assert_eq!(response.body(), "ok");
}

#[test]
fn trailers_are_read_and_dropped() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.send("3\r\nabc\r\n0\r\nX-Trailer: yes\r\nHost: evil\r\n\r\n");
    });
    let connection = connect(&base, &server);
    for _ in 0..2 {
        let response = ask(&mut base, &connection, ClientRequest::get("/")).unwrap();
        assert_eq!(response.headers().len(), 1);
        assert_eq!(response.body(), "abc");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn responses_without_a_body_leave_the_connection_as_it_is() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, seen| match seen.path() {
        "/204" => peer.send("HTTP/1.1 204 No Content\r\n\r\n"),
        "/304" => peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
        _ if seen.line.starts_with("HEAD") => {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        }
        _ => peer.ok("rest"),
    });
    let connection = connect(&base, &server);
    let head = ClientRequest::new("HEAD".parse().unwrap(), "/");
    for (request, status) in [
        (ClientRequest::get("/204"), 204),
        (ClientRequest::get("/304"), 304),
        (head, 200),
    ] {
        let got = text(ask(&mut base, &connection, request));
        assert_eq!(got, (status, String::new()));
    }
    assert_eq!(
        text(ask(&mut base, &connection, ClientRequest::get("/"))).1,
        "rest"
    );
    assert_eq!(server.connections(), 1);
}

#[test]
fn bytes_behind_a_response_cost_the_connection_and_nothing_else() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale");
    });
    let connection = connect(&base, &server);
    for _ in 0..3 {
        assert_eq!(
            text(ask(&mut base, &connection, ClientRequest::get("/"))).1,
            "ok"
        );
        // The rest arrives.
        while !connection.as_ptr().is_null() {
            base.run_once().unwrap();
        }
    }
    assert_eq!(server.connections(), 3);
    // In C the mark of the idle connection would end the process at the next failure to connect.
    drop(server);
    let failed = ask(&mut base, &connection, ClientRequest::get("/"));
    assert!(matches!(failed, Err(ClientError::Connect { .. })));
}

#[test]
fn a_response_of_http_1_0_ends_its_connection_unless_it_says_otherwise() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, seen| {
        let keep = if seen.path() == "/keep" {
            "Connection: Keep-Alive\r\n"
        } else {
            ""
        };
        peer.send(format!(
            "HTTP/1.0 200 OK\r\n{keep}Content-Length: 2\r\n\r\nok"
        ));
    });
    let connection = connect(&base, &server);
    for (path, connections) in [("/keep", 1), ("/keep", 1), ("/", 1), ("/", 2)] {
        assert_eq!(
            text(ask(&mut base, &connection, ClientRequest::get(path))).1,
            "ok"
        );
        assert_eq!(server.connections(), connections);
    }
}

#[test]
fn a_response_may_end_at_each_byte_and_have_any_byte_changed() {
    let _bounded = bounded();
    const WHOLE: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n\
                         3\r\nabc\r\n0\r\nT: u\r\n\r\n";
    let answer = |bytes: &[u8]| {
        let mut base = EventBase::new().unwrap();
        let server = Server::saying(bytes);
        let connection = connect(&base, &server);
        connection
            .set_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        ask(&mut base, &connection, ClientRequest::get("/"))
    };
    for length in 0..WHOLE.len() {
        assert!(answer(&WHOLE.as_bytes()[..length]).is_err(), "{length}");
    }
    assert_eq!(text(answer(WHOLE.as_bytes())), (200, "abc".into()));
    for at in 0..WHOLE.len() {
        for byte in [0, b' ', b'\n', b'-', b':', b'9', 0xff] {
            let mut bytes = WHOLE.as_bytes().to_vec();
            bytes[at] = byte;
            // Whatever it is, it is told once, and nothing is read from elsewhere.
            if let Ok(response) = answer(&bytes) {
                assert!(response.body().len() <= WHOLE.len());
            }
        }
    }
}

// --- Expect -----------------------------------------------------------------------------------------

#[test]
fn a_body_waits_until_the_server_has_asked_for_it() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::new(|peer: &mut Peer| {
        while let Some(mut seen) = peer.head() {
            if seen.path() == "/no" {
                // Without the body: what follows must not be taken for it.
                peer.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            peer.body(&mut seen);
            peer.ok(&String::from_utf8(seen.body).unwrap());
        }
    });
    let connection = connect(&base, &server);
    let request = |path| ClientRequest::post(path, "the body").header("Expect", "100-continue");
    assert_eq!(
        text(ask(&mut base, &connection, request("/"))),
        (200, "the body".into())
    );
    assert_eq!(
        text(ask(&mut base, &connection, request("/"))),
        (200, "the body".into())
    );
    assert_eq!(server.connections(), 1);
    assert_eq!(text(ask(&mut base, &connection, request("/no"))).0, 417);
    assert_eq!(
        text(ask(&mut base, &connection, request("/"))),
        (200, "the body".into())
    );
    assert_eq!(server.connections(), 2);
}

// --- on_header, on_chunk --------------------------------------------------------------------------------

#[test]
fn the_head_comes_before_the_chunks_and_they_before_the_end() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
    });
    let connection = connect(&base, &server);
    let log = Rc::<RefCell<Vec<String>>>::default();
    let (first, second) = (log.clone(), log.clone());
    let request = ClientRequest::get("/")
        .on_header(move |head| {
            first.borrow_mut().push(head.status().to_string());
            true
        })
        .on_chunk(move |chunk| {
            second
                .borrow_mut()
                .push(String::from_utf8(chunk.to_vec()).unwrap());
        });
    let response = ask(&mut base, &connection, request).unwrap();
    assert!(response.body().is_empty());
    assert_eq!(*log.borrow(), ["200 OK", "abc", "def"]);
}

#[test]
fn a_head_that_is_not_wanted_ends_the_request() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| peer.ok("body"));
    let connection = connect(&base, &server);
    let request = ClientRequest::get("/")
        .on_header(|_| false)
        .on_chunk(|_| -> () { panic!("a chunk") });
    let got = ask(&mut base, &connection, request);
    assert!(matches!(got, Err(ClientError::Unwanted)));
    assert_eq!(
        text(ask(&mut base, &connection, ClientRequest::get("/"))).1,
        "body"
    );
}

// --- errors ------------------------------------------------------------------------------------------------

#[test]
fn each_cause_has_its_error() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let get = || ClientRequest::get("/");

    let connection = Connection::new(&base, "127.0.0.1", refused()).unwrap();
    match ask(&mut base, &connection, get()) {
        Err(ClientError::Connect { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
        }
        other => panic!("{other:?}"),
    }

    let server = Server::silent();
    let connection = connect(&base, &server);
    connection
        .set_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(matches!(
        ask(&mut base, &connection, get()),
        Err(ClientError::TimedOut)
    ));

    for early in [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    ] {
        let error = answered(early).unwrap_err();
        assert!(matches!(error, ClientError::Eof), "{early}: {error}");
    }
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let error = answered(chunks).unwrap_err();
    assert!(
        matches!(error, ClientError::Body | ClientError::BadResponse(_)),
        "{error}"
    );

    let name = Connection::new(&base, "no-such-host.invalid", 80).unwrap();
    let resolver = libevent2::dns::Resolver::new(&base, libevent2::dns::Config::default()).unwrap();
    name.set_resolve(&Resolve::by(&resolver)).unwrap();
    assert!(matches!(
        ask(&mut base, &name, get()),
        Err(ClientError::Lookup(_))
    ));

    let connection = connect(&base, &server);
    connection
        .set_local_address("192.0.2.1".parse().unwrap())
        .unwrap();
    assert!(matches!(
        ask(&mut base, &connection, get()),
        Err(ClientError::Bind(_))
    ));
}

#[test]
fn an_attempt_to_connect_that_nobody_answers_times_out() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (full, _, _held) = full_backlog();
    let connection =
        Connection::new(&base, "127.0.0.1", full.local_addr().unwrap().port()).unwrap();
    connection
        .set_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let got = ask(&mut base, &connection, ClientRequest::get("/"));
    assert!(
        matches!(got, Err(ClientError::ConnectTimedOut { .. })),
        "{got:?}"
    );
}

/// A listener whose queue is full: the system answers nobody.
fn full_backlog() -> (std::net::TcpListener, u16, Vec<std::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let listener = std::net::TcpListener::from(socket);
    let addr = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
        held.push(stream);
    }
    (listener, addr.port(), held)
}

#[test]
fn limits_hold_and_are_there_from_the_beginning() {
    let _bounded = bounded();
    let long = format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
        "a".repeat(70_000)
    );
    assert!(matches!(answered(&long), Err(ClientError::BadResponse(_))));

    let mut base = EventBase::new().unwrap();
    let server = Server::saying(long);
    let connection = connect(&base, &server);
    connection.set_max_headers_size(None).unwrap();
    assert_eq!(
        text(ask(&mut base, &connection, ClientRequest::get("/"))).0,
        200
    );

    let body = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890";
    let chunks =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n";
    for text in [body, chunks] {
        let server = Server::saying(text);
        let connection = connect(&base, &server);
        connection.set_max_body_size(Some(10)).unwrap();
        assert!(matches!(
            ask(&mut base, &connection, ClientRequest::get("/")),
            Err(ClientError::Body)
        ));
        connection.set_max_body_size(Some(11)).unwrap();
        assert!(ask(&mut base, &connection, ClientRequest::get("/")).is_ok());
    }
}

// --- the connection ------------------------------------------------------------------------------------------

#[test]
fn requests_queue_and_are_answered_in_order_over_one_connection() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, seen| peer.ok(seen.path()));
    let connection = connect(&base, &server);
    let got = Got::default();
    for number in 0..20 {
        let request = noting(ClientRequest::get(format!("/{number}")), &got);
        connection.send(request).unwrap().detach();
    }
    assert_eq!(connection.in_flight(), 20);
    until(&mut base, || got.borrow().len() == 20);
    let bodies: Vec<_> = got
        .take()
        .into_iter()
        .map(|response| text(response).1)
        .collect();
    assert_eq!(
        bodies,
        (0..20)
            .map(|number| format!("/{number}"))
            .collect::<Vec<_>>()
    );
    assert_eq!((connection.in_flight(), server.connections()), (0, 1));
    assert_eq!(base.stats().live(Kind::HttpConnection), 1);
}

#[test]
fn what_cannot_be_set_while_connected_says_so_instead_of_ending_the_process() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| peer.ok(""));
    let connection = connect(&base, &server);
    let local = "127.0.0.1".parse().unwrap();
    connection.set_local_address(local).unwrap();
    connection.set_local_port(0).unwrap();
    let pending = connection.send(ClientRequest::get("/")).unwrap();
    base.run_nonblocking().unwrap();
    assert!(matches!(
        connection.set_local_address(local),
        Err(Error::Invalid { .. })
    ));
    drop(pending);
    base.run_nonblocking().unwrap();
    connection.set_local_address(local).unwrap();
    ask(&mut base, &connection, ClientRequest::get("/")).unwrap();
    assert!(matches!(
        connection.set_local_port(1),
        Err(Error::Invalid { .. })
    ));
    assert!(matches!(
        connection.set_resolve(&Resolve::system()),
        Err(Error::Invalid { .. })
    ));
    assert!(matches!(
        connection.set_timeout(Some(Duration::ZERO)),
        Err(Error::Invalid { .. })
    ));
    connection.close();
    assert!(matches!(
        connection.set_retries(None),
        Err(Error::Closed { .. })
    ));
    assert!(matches!(
        connection.send(ClientRequest::get("/")),
        Err(Error::Closed { .. })
    ));
}

#[test]
fn settings_reach_c() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| peer.ok(""));
    let connection = connect(&base, &server);
    connection.set_flags(ConnectionFlags::all()).unwrap();
    assert_eq!(connection.peer(), ("127.0.0.1", server.port()));
    assert_eq!(connection.addr(), None);
    assert!(connection.as_ptr().is_null());
    ask(&mut base, &connection, ClientRequest::get("/")).unwrap();
    assert_eq!(connection.addr(), Some(server.addr));
    assert!(!connection.as_ptr().is_null());
    assert!(format!("{connection:?}").contains("127.0.0.1"));
}

#[test]
fn all_addresses_of_a_host_are_tried() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| peer.ok("found"));
    let mut config = libevent2::dns::Config::default();
    // Nobody listens on the first ones.
    let hosts = "::1 two.test\n127.0.0.9 two.test\n127.0.0.1 two.test\n";
    config.hosts = libevent2::dns::Hosts::parse(hosts);
    let resolver = libevent2::dns::Resolver::new(&base, config).unwrap();
    let connection =
        Connection::by(&base, &Resolve::by(&resolver), "two.test", server.port()).unwrap();
    assert_eq!(
        text(ask(&mut base, &connection, ClientRequest::get("/"))).1,
        "found"
    );
    assert_eq!(connection.addr().unwrap().ip().to_string(), "127.0.0.1");
}

#[test]
fn a_loop_without_requests_and_connections_ends() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let connection = connect(&base, &server);
    let began = Instant::now();
    base.run().unwrap();
    connection.send(ClientRequest::get("/")).unwrap().detach();
    base.run().unwrap();
    assert_eq!(connection.in_flight(), 0);
    assert!(began.elapsed() < Duration::from_secs(30));
}
