//! What libevent's own test suite (regress_http.c) says of the client; each test has the name of
//! its case.
#![cfg(all(unix, feature = "http"))]

mod common;
mod dns_common;
mod evhttp_client_common;

use common::{Bump, bounded, count};
use dns_common::NameServer;
use evhttp_client_common::{Got, Peer, Seen, Server, ask, noting, refused, text, until};
use libevent2::dns::{Config, Resolver};
use libevent2::evhttp::{ClientError, ClientRequest, Connection, ConnectionFlags};
use libevent2::stream::Resolve;
use libevent2::{Error, EventBase, Timer};
use std::cell::RefCell;
use std::io::Write;
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const BODY: &str = "This is funny";

/// The server of the suite: `/test`, `/chunked`, `/postit`, and others as they are needed.
fn web(peer: &mut Peer, seen: Seen) {
    match seen.path() {
        "/chunked" => {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for chunk in ["This is funny", "but not hilarious.", "bwv 1052"] {
                peer.send(format!("{:x}\r\n{chunk}\r\n", chunk.len()));
            }
            peer.send("0\r\n\r\n");
        }
        _ => {
            let body = if seen.header("Empty").is_some() {
                ""
            } else {
                BODY
            };
            let close = seen.header("Connection") == Some("close");
            let close = if close { "Connection: close\r\n" } else { "" };
            let length = body.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{close}Content-Length: {length}\r\n\r\n{body}"
            ));
        }
    }
}

fn connect(base: &EventBase, server: &Server) -> Connection {
    Connection::new(base, "127.0.0.1", server.port()).unwrap()
}

fn test() -> ClientRequest {
    ClientRequest::get("/test").header("Host", "somehost")
}

/// Three requests: the second asks for the end of the connection unless it is to persist, the third
/// has an empty answer.
fn three(base: &mut EventBase, connection: &Connection, persist: bool) {
    assert_eq!(text(ask(base, connection, test())), (200, BODY.into()));
    let second = match persist {
        true => test(),
        false => test().header("Connection", "close"),
    };
    assert_eq!(text(ask(base, connection, second)), (200, BODY.into()));
    let third = ClientRequest::get("/test").header("Empty", "itis");
    assert_eq!(text(ask(base, connection, third)), (200, String::new()));
}

/// A resolver that knows one name, by a name server that is asked.
fn resolver(base: &EventBase, ip: &'static str) -> (Resolver, NameServer) {
    let server = NameServer::start(move |query| {
        assert_eq!(query.name, "server.test");
        Some(query.address(ip.parse::<IpAddr>().unwrap(), 60))
    });
    let mut config = dns_common::impatient(Config::default());
    config.servers = vec![server.address()];
    (Resolver::new(base, config).unwrap(), server)
}

// --- connections ----------------------------------------------------------------------------------

#[test]
fn connection() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(web);
    let connection = connect(&base, &server);
    assert!(connection.handle().same_base(base.handle()));
    three(&mut base, &connection, false);
    assert_eq!(server.connections(), 2);
}

#[test]
fn persist_connection() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(web);
    let connection = connect(&base, &server);
    three(&mut base, &connection, true);
    assert_eq!(server.connections(), 1);
}

#[test]
fn connection_async() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(web);
    let (resolver, names) = resolver(&base, "127.0.0.1");
    let resolve = Resolve::by(&resolver);
    // The case has a number, which is nobody's to look up.
    let connection = Connection::by(&base, &resolve, "127.0.0.1", server.port()).unwrap();
    three(&mut base, &connection, false);
    assert!(names.queries().is_empty());
    let connection = Connection::by(&base, &resolve, "server.test", server.port()).unwrap();
    three(&mut base, &connection, false);
    assert!(!names.queries().is_empty());
}

#[test]
fn autofree_connection() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(web);
    let connection = connect(&base, &server);
    let left = Rc::new(std::cell::Cell::new(2));
    for _ in 0..2 {
        let left = left.clone();
        let request = test().header("Connection", "close").header("Empty", "itis");
        let request = request.on_done(move |connection, response| {
            assert_eq!(text(response).0, 200);
            left.set(left.get() - 1);
            if left.get() == 0 {
                connection.close();
            }
        });
        connection.send(request).unwrap().detach();
    }
    connection.detach();
    base.run().unwrap();
    assert_eq!((left.get(), base.stats().live_total()), (0, 0));
}

#[test]
fn close_detection() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    // It closes what is idle.
    let server = Server::new(|peer| {
        let seen = peer.request().unwrap();
        web(peer, seen);
    });
    let connection = connect(&base, &server);
    connection
        .set_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let closes = count();
    let seen = closes.clone();
    connection.on_close(move |_| {
        seen.bump();
    });
    assert_eq!(text(ask(&mut base, &connection, test())).0, 200);
    until(&mut base, || closes.get() == 1);
    assert_eq!(text(ask(&mut base, &connection, test())).0, 200);
    assert_eq!(server.connections(), 2);
    until(&mut base, || closes.get() == 2);
}

#[test]
fn connection_fail() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    // No stream can be connected to an address of a group.
    let connection = Connection::new(&base, "239.10.20.30", 80).unwrap();
    let got = Got::default();
    let mine = got.clone();
    let owner = Rc::new(RefCell::new(Some(connection)));
    let taken = owner.clone();
    let request = ClientRequest::get("/").on_done(move |_, response| {
        mine.borrow_mut().push(response);
        drop(taken.take());
    });
    let pending = owner.borrow().as_ref().unwrap().send(request).unwrap();
    base.run().unwrap();
    assert!(pending.is_done());
    match got.take().remove(0) {
        Err(ClientError::Connect { address, source }) => {
            assert_eq!(address.to_string(), "239.10.20.30:80");
            assert_eq!(source.raw_os_error(), Some(libc::ENETUNREACH), "{source}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(base.stats().live_total(), 0);
}

/// As the case: without retries it fails at once, with one it waits once, and with three it finds a
/// server that starts late.
fn retry(base: &mut EventBase, connection: &Connection, port: u16, end_of_names: impl FnOnce()) {
    let request = || ClientRequest::get("/?arg=val").header("Host", "somehost");
    connection
        .set_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    connection
        .set_local_address("127.0.0.1".parse().unwrap())
        .unwrap();
    let began = Instant::now();
    assert!(matches!(
        ask(base, connection, request()),
        Err(ClientError::Connect { .. })
    ));
    assert!(began.elapsed() < Duration::from_secs(1));

    end_of_names();
    connection
        .set_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    connection
        .set_initial_retry(Duration::from_millis(500))
        .unwrap();
    connection.set_retries(Some(1)).unwrap();
    let began = Instant::now();
    assert!(matches!(
        ask(base, connection, request()),
        Err(ClientError::Connect { .. })
    ));
    assert!(
        began.elapsed() >= Duration::from_millis(490),
        "{:?}",
        began.elapsed()
    );

    connection
        .set_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    connection.set_retries(Some(3)).unwrap();
    let server = Rc::new(RefCell::new(None));
    let late = server.clone();
    let _timer = Timer::after(base, Duration::from_millis(200), move |_| {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        late.replace(Some(Server::on(listener, |stream| {
            let mut peer = Peer::new(stream);
            while let Some(seen) = peer.request() {
                web(&mut peer, seen);
            }
        })));
    });
    let began = Instant::now();
    assert_eq!(text(ask(base, connection, request())).0, 200);
    assert!(
        began.elapsed() >= Duration::from_millis(490),
        "{:?}",
        began.elapsed()
    );
    drop(server.take());
}

#[test]
fn connection_retry() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let port = refused();
    let connection = Connection::new(&base, "127.0.0.1", port).unwrap();
    retry(&mut base, &connection, port, || ());
}

#[test]
fn connection_retry_conn_address() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (resolver, names) = resolver(&base, "127.0.0.1");
    let port = refused();
    let connection = Connection::by(&base, &Resolve::by(&resolver), "server.test", port).unwrap();
    connection
        .set_flags(ConnectionFlags::REUSE_CONNECTED_ADDR)
        .unwrap();
    // Without name server it goes on with the address that it had.
    retry(&mut base, &connection, port, || drop(names));
}

// --- addresses --------------------------------------------------------------------------------------

fn by_family(resolve: impl FnOnce(&Resolver) -> Resolve, ip: &'static str, name: &str) -> bool {
    let mut base = EventBase::new().unwrap();
    let Ok(listener) = TcpListener::bind((ip, 0)) else {
        return false; // A machine without IPv6.
    };
    let server = Server::on(listener, |stream| {
        let mut peer = Peer::new(stream);
        while let Some(seen) = peer.request() {
            web(&mut peer, seen);
        }
    });
    let (resolver, _names) = resolver(&base, ip);
    let resolve = resolve(&resolver);
    let connection = Connection::by(&base, &resolve, name, server.port()).unwrap();
    three(&mut base, &connection, false);
    assert_eq!(connection.addr(), Some(server.addr));
    true
}

#[test]
fn ipv6_for_domain() {
    let _bounded = bounded();
    if !by_family(|it| Resolve::by(it), "::1", "server.test") {
        eprintln!("skipped: no IPv6");
    }
}

#[test]
fn set_family() {
    let _bounded = bounded();
    assert!(by_family(|it| Resolve::by(it), "127.0.0.1", "127.0.0.1"));
}

#[test]
fn set_family_ipv4() {
    let _bounded = bounded();
    assert!(by_family(
        |it| Resolve::by(it).ipv4(),
        "127.0.0.1",
        "127.0.0.1"
    ));
}

#[test]
fn set_family_ipv6() {
    let _bounded = bounded();
    if !by_family(|it| Resolve::by(it).ipv6(), "::1", "server.test") {
        eprintln!("skipped: no IPv6");
    }
}

#[test]
fn get_addr() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(web);
    let connection = connect(&base, &server);
    assert_eq!(text(ask(&mut base, &connection, test())).0, 200);
    assert_eq!(connection.addr(), Some(server.addr));
    // Also while it is told that the connection is down.
    let seen = Rc::new(RefCell::new(None));
    let told = seen.clone();
    connection.on_close(move |connection| {
        told.replace(connection.addr());
    });
    ask(&mut base, &connection, test().header("Connection", "close")).unwrap();
    assert_eq!(*seen.borrow(), Some(server.addr));
}

// --- bodies -------------------------------------------------------------------------------------------

#[test]
fn stream_in() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(web);
    for (path, expected) in [
        ("/chunked", "This is funnybut not hilarious.bwv 1052"),
        ("/test", BODY),
    ] {
        let connection = connect(&base, &server);
        let body = Rc::<RefCell<Vec<u8>>>::default();
        let sink = body.clone();
        let request = ClientRequest::get(path)
            .on_chunk(move |chunk| sink.borrow_mut().extend(chunk.to_vec()));
        let response = ask(&mut base, &connection, request).unwrap();
        assert!(response.body().is_empty());
        assert_eq!(*body.borrow(), expected.as_bytes());
    }
}

#[test]
fn stream_in_cancel() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(web);
    let connection = connect(&base, &server);
    let pending = Rc::new(RefCell::new(None::<libevent2::evhttp::Pending>));
    let (mine, chunks) = (pending.clone(), count());
    let seen = chunks.clone();
    let handle = base.handle().clone();
    let request = ClientRequest::get("/chunked")
        .on_chunk(move |_| {
            seen.bump();
            drop(mine.take());
            handle.exit();
        })
        .on_done(|_, _| -> () { panic!("it was cancelled") });
    pending.replace(Some(connection.send(request).unwrap()));
    base.run().unwrap();
    assert_eq!(chunks.get(), 1);
}

#[test]
fn stream_out() {
    let _bounded = bounded();
    // The client's part: what the server streams in small pieces is complete.
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, _| {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for number in 0..1000 {
            let piece = format!("<br>{number}");
            peer.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        }
        peer.send("0\r\n\r\n");
    });
    let connection = connect(&base, &server);
    let (status, body) = text(ask(&mut base, &connection, ClientRequest::get("/streamed")));
    let expected: String = (0..1000).map(|number| format!("<br>{number}")).collect();
    assert_eq!((status, body), (200, expected));
}

#[test]
fn post() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (tell, seen) = channel();
    let server = Server::answering(move |peer, request| {
        tell.send(request.clone()).unwrap();
        web(peer, request);
    });
    let connection = connect(&base, &server);
    for method in ["POST", "PUT"] {
        let request = ClientRequest::new(method.parse().unwrap(), "/postit");
        let request = request
            .header("Host", "somehost")
            .body("Okay.  Not really printf");
        assert_eq!(text(ask(&mut base, &connection, request)).1, BODY);
        let seen = seen.recv().unwrap();
        assert_eq!(seen.line, format!("{method} /postit HTTP/1.1"));
        assert_eq!(seen.body, b"Okay.  Not really printf");
    }
}

#[test]
fn bad_request() {
    let _bounded = bounded();
    // The client's part: a server that answers 400 to a bad one, and then another as ever.
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, seen| match seen.path() {
        "/bad" => peer
            .send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbad"),
        _ => web(peer, seen),
    });
    let connection = connect(&base, &server);
    assert_eq!(
        text(ask(&mut base, &connection, ClientRequest::get("/bad"))),
        (400, "bad".into())
    );
    assert_eq!(text(ask(&mut base, &connection, test())).1, BODY);
}

#[test]
fn failure() {
    let _bounded = bounded();
    // Turned round: what is no response is refused, and the next request gets its own.
    let mut base = EventBase::new().unwrap();
    let server = Server::answering(|peer, seen| match seen.path() {
        "/illegal" => peer.send("illegal response\r\n\r\n"),
        _ => web(peer, seen),
    });
    let connection = connect(&base, &server);
    let got = ask(&mut base, &connection, ClientRequest::get("/illegal"));
    assert!(matches!(got, Err(ClientError::BadResponse(_))));
    assert_eq!(text(ask(&mut base, &connection, test())).1, BODY);
}

/// Half a response, and then the end or silence.
fn half(ends: bool) -> ClientError {
    let mut base = EventBase::new().unwrap();
    let server = Server::new(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        if !ends {
            peer.until_end();
        }
    });
    let connection = connect(&base, &server);
    connection
        .set_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    ask(&mut base, &connection, test()).unwrap_err()
}

#[test]
fn incomplete() {
    let _bounded = bounded();
    assert!(matches!(half(true), ClientError::Eof));
}

#[test]
fn incomplete_timeout() {
    let _bounded = bounded();
    assert!(matches!(half(false), ClientError::TimedOut));
}

#[test]
fn negative_content_length() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
    let connection = connect(&base, &server);
    let got = ask(&mut base, &connection, test());
    assert!(matches!(got, Err(ClientError::BadResponse(_))));
    let request = ClientRequest::post("/", "").header("Content-Length", "-100");
    assert!(matches!(
        connection.send(request),
        Err(Error::Invalid { .. })
    ));
}

#[test]
fn multi_line_header() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::saying(
        "HTTP/1.1 200 OK\r\nX-Multi:  aaaaaaaa\r\n a\r\n\tEND\r\nX-Last: last\r\nContent-Length: 0\r\n\r\n",
    );
    let connection = connect(&base, &server);
    let response = ask(&mut base, &connection, test()).unwrap();
    assert_eq!(response.headers()["x-multi"], "aaaaaaaa a END");
    assert_eq!(response.headers()["x-last"], "last");
}

// --- sizes ----------------------------------------------------------------------------------------------

/// A server with limits, as libevent's: too much in the head is 400, in the body 413, and what is
/// expected of it but 100-continue is 417. It closes without reading the rest.
fn strict(stream: std::net::TcpStream) {
    const LIMIT: usize = (3 << 20) - 2;
    let mut control = stream.try_clone().unwrap();
    let mut peer = Peer::new(stream);
    while let Some(mut seen) = peer.head() {
        let head: usize = seen.line.len() + seen.headers.iter().map(String::len).sum::<usize>();
        let length = seen
            .header("Content-Length")
            .map_or(0, |it| it.parse().unwrap());
        let expect = seen.header("Expect").map(str::to_owned);
        let mut refuse = |status: &str| {
            let answer =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            control.write_all(answer.as_bytes()).unwrap();
        };
        match expect.as_deref() {
            _ if head > LIMIT => return refuse("400 Bad Request"),
            Some("100-continue") if length > LIMIT => return refuse("413 Too Large"),
            Some("100-continue") => {
                peer.send("HTTP/1.1 100 Continue\r\n\r\n");
                peer.body(&mut seen);
                web(&mut peer, seen);
            }
            Some(_) => return refuse("417 Expectation Failed"),
            None if length > LIMIT => return refuse("413 Too Large"),
            None => {
                peer.body(&mut seen);
                web(&mut peer, seen);
            }
        }
    }
}

fn constraints(read_on_write_error: bool) {
    let mut base = EventBase::new().unwrap();
    let server = Server::on(TcpListener::bind("127.0.0.1:0").unwrap(), strict);
    let connection = connect(&base, &server);
    if read_on_write_error {
        connection
            .set_flags(ConnectionFlags::READ_ON_WRITE_ERROR)
            .unwrap();
    }
    connection
        .set_local_address("127.0.0.1".parse().unwrap())
        .unwrap();
    let long = "a".repeat((3 << 20) - 1);
    let mut status = |request: ClientRequest| {
        let request = request.header("Host", "somehost");
        ask(&mut base, &connection, request).map(|it| it.status().as_u16())
    };
    let get = ClientRequest::get("/?arg=val").header("Longheader", long.as_str());
    assert_eq!(status(get).unwrap(), 400);
    assert_eq!(status(ClientRequest::get(format!("/{long}"))).unwrap(), 400);
    // The server closes with most of it unread: the system may throw its answer away by a reset,
    // so that there is either the answer, if it is looked for, or an end.
    for (request, expected) in [
        (ClientRequest::post("/", long.as_str()), 413),
        (
            ClientRequest::post("/", &long[..1 << 20]).header("Expect", "101-continue"),
            417,
        ),
    ] {
        match status(request) {
            Ok(told) => assert_eq!(told, expected),
            Err(error) => assert!(matches!(error, ClientError::Eof), "{error}"),
        }
    }
    let expecting = |body: &str| ClientRequest::post("/", body).header("Expect", "100-continue");
    assert_eq!(status(expecting(&long)).unwrap(), 413);
    assert_eq!(status(expecting(&long[..1 << 20])).unwrap(), 200);
}

#[test]
fn data_length_constraints() {
    let _bounded = bounded();
    constraints(false);
}

/// A server that answers before it has read the body, stops reading, and closes when it is told.
#[test]
fn read_on_write_error() {
    let _bounded = bounded();
    constraints(true);
    // What the flag is for: the response is there, though not all of the request could be sent.
    for (flags, found) in [
        (ConnectionFlags::READ_ON_WRITE_ERROR, true),
        (ConnectionFlags::empty(), false),
    ] {
        let mut base = EventBase::new().unwrap();
        let server = Server::on(TcpListener::bind("127.0.0.1:0").unwrap(), |stream| {
            let mut control = stream.try_clone().unwrap();
            let mut peer = Peer::new(stream);
            peer.head();
            control
                .write_all(
                    b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                )
                .unwrap();
            // The client has it before the connection breaks.
            std::thread::sleep(Duration::from_millis(200));
        });
        let connection = connect(&base, &server);
        connection.set_flags(flags).unwrap();
        let request = ClientRequest::post("/", vec![b'a'; 32 << 20]);
        match ask(&mut base, &connection, request) {
            Ok(response) => assert!(found && response.status().as_u16() == 413),
            Err(error) => assert!(!found && matches!(error, ClientError::Eof), "{error}"),
        }
    }
}

#[test]
fn lingering_close() {
    let _bounded = bounded();
    // The client's part: a server that reads to the end before it refuses is heard.
    let mut base = EventBase::new().unwrap();
    let server = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    let connection = connect(&base, &server);
    let request = ClientRequest::post("/", vec![b'a'; 3 << 20]);
    assert_eq!(text(ask(&mut base, &connection, request)).0, 413);
}

#[test]
fn non_lingering_close() {
    let _bounded = bounded();
    // The client's part: one that closes at once is an end.
    let mut base = EventBase::new().unwrap();
    let server = Server::new(|peer| {
        peer.head();
    });
    let connection = connect(&base, &server);
    let request = ClientRequest::post("/", vec![b'a'; 32 << 20]);
    assert!(matches!(
        ask(&mut base, &connection, request),
        Err(ClientError::Eof)
    ));
}

// --- ownership --------------------------------------------------------------------------------------------

#[test]
fn request_own() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    // Each request is owned, in C's sense: also one that fails is freed once.
    let connection = Connection::new(&base, "127.0.0.1", refused()).unwrap();
    let got = Got::default();
    let pending = connection.send(noting(test(), &got)).unwrap();
    until(&mut base, || !got.borrow().is_empty());
    assert!(matches!(got.borrow()[0], Err(ClientError::Connect { .. })));
    drop(connection);
    drop(pending);
}

#[test]
fn terminate_chunked() {
    let _bounded = bounded();
    // The client's part: it resets a chunked response of a server that never ends it.
    let mut base = EventBase::new().unwrap();
    let (tell, gone) = channel();
    let server = Server::new(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.send("8\r\n01234567\r\n");
        peer.until_end();
        tell.send(()).unwrap();
    });
    let connection = connect(&base, &server);
    let chunks = count();
    let seen = chunks.clone();
    let request = test().on_chunk(move |_| {
        seen.bump();
    });
    let pending = connection.send(request).unwrap();
    until(&mut base, || chunks.get() == 1);
    drop(pending);
    base.run().unwrap();
    gone.recv_timeout(Duration::from_secs(20)).unwrap();
}
