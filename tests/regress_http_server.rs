//! regress_http.c, what it asks of a server: requests and answers.
#![cfg(feature = "http")]

mod common;
mod evhttp_common;

use common::{Bump, bounded, count};
use evhttp_common::{
    Answer, Client, ask, beside, connect, finish, get, listening, request, with_server,
};
use libevent2::evhttp::{HeaderValue, Method, Methods, Request, Server};
use libevent2::{EventBase, Timer};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

const BODY: &str = "This is funny";

/// Answers as the original's http_basic_cb does.
fn basic_cb(request: Request) -> libevent2::Result<()> {
    assert!(request.peer().unwrap().ip().is_loopback());
    let empty = request.headers().contains_key("empty");
    let body = if empty { "" } else { BODY };
    request.reply(200, "Everything is fine", body)
}

fn set_up(server: &Server) {
    server.set_cb("/test", basic_cb).unwrap();
}

fn is_fine(answer: &Answer) {
    assert_eq!((answer.status, answer.text()), (200, BODY));
    assert_eq!(answer.reason, "Everything is fine");
    assert!(answer.header("content-type").is_some());
    assert!(answer.header("date").is_some());
}

/// In two parts, to a second socket, and with an absolute URI.
fn basic_by(line: &str) {
    let _bounded = bounded();
    let line = line.to_owned();
    let (mut base, server, addr) = listening();
    set_up(&server);
    let second = server.listen("127.0.0.1:0").unwrap().local_addr();
    beside(&mut base, addr, move |addr| {
        let mut client = Client::new(addr);
        client.send(format!("{line}\r\nHost: some"));
        client.send("host\r\nConnection: close\r\n\r\n");
        is_fine(&client.read().unwrap());
        for line in [&*line, "GET http://somehost.net/test HTTP/1.1"] {
            let mut client = Client::new(second);
            client.send(format!(
                "{line}\r\nHost: somehost\r\nConnection: close\r\n\r\n"
            ));
            is_fine(&client.read().unwrap());
            assert!(client.is_closed());
        }
    });
    finish(&mut base, server);
}

#[test]
fn base() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    set_up(&server);
    let addr = server.local_addrs()[0];
    is_fine(&beside(&mut base, addr, |addr| get(addr, "/test")));
    // The server goes before its base.
    finish(&mut base, server);
}

#[test]
fn basic() {
    basic_by("GET /test HTTP/1.1");
}

#[test]
fn basic_trailing_space() {
    basic_by("GET /test HTTP/1.1 ");
}

#[test]
fn simple() {
    let _bounded = bounded();
    is_fine(&with_server(set_up, |addr| get(addr, "/test")));
}

#[test]
fn simple_nonconformant() {
    let _bounded = bounded();
    is_fine(&with_server(set_up, |addr| {
        get(addr, "/test?nonconformant%=%zz")
    }));
}

#[test]
fn virtual_host() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    set_up(&server);
    let second = Server::new(&base).unwrap();
    second.set_cb("/funnybunny", basic_cb).unwrap();
    let third = Server::new(&base).unwrap();
    third.set_cb("/blackcoffee", basic_cb).unwrap();
    server.add_virtual_host("foo.com", second).unwrap();
    server.add_virtual_host("bar.*.foo.com", third).unwrap();
    let host = |pattern| server.virtual_host(pattern).unwrap();
    host("foo.com").add_server_alias("manolito.info").unwrap();
    host("bar.*.foo.com")
        .add_server_alias("bonkers.org")
        .unwrap();
    beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        for (host, path, status) in [
            ("somehost", "/funnybunny", 404),
            ("foo.com", "/funnybunny", 200),
            ("bar.magic.foo.com", "/blackcoffee", 200),
            ("manolito.info", "/funnybunny", 200),
            ("bonkers.org:8000", "/blackcoffee", 200),
            // The host of the URI counts.
            ("somehost", "http://manolito.info/funnybunny", 200),
        ] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let answer = client.read().unwrap();
            assert_eq!(answer.status, status, "{host} {path}");
            if status == 404 {
                // An error ends the connection.
                assert!(client.is_closed());
                client = Client::new(addr);
            } else {
                is_fine(&answer);
            }
        }
    });
    finish(&mut base, server);
}

/// A method with a body, which is also asked for by "Expect: 100-continue".
fn with_body(method: &'static str, data: &'static str, reply: &'static str) {
    let _bounded = bounded();
    let answers = with_server(
        |server| {
            server.set_gencb(move |request: Request| {
                assert_eq!(request.method().as_str(), method);
                assert_eq!(*request.body(), data);
                request.reply(200, "Everything is great", reply)
            });
        },
        move |addr| {
            let mut client = Client::new(addr);
            let length = format!("Content-Length: {}\r\n", data.len());
            client.send(request(&format!("{method} /it"), &length));
            client.send(format!("\r\n{data}"));
            let plain = client.read().unwrap();
            client.send(request(&format!("{method} /it"), &length));
            client.send("Expect: 100-continue\r\n\r\n");
            assert_eq!(client.read().unwrap().status, 100);
            client.send(data);
            [plain, client.read().unwrap()]
        },
    );
    for answer in answers {
        assert_eq!((answer.status, answer.text()), (200, reply));
        assert!(answer.header("content-type").is_some());
    }
}

#[test]
fn post() {
    with_body("POST", "Okay.  Not really printf", BODY);
}

#[test]
fn put() {
    with_body("PUT", "Hi, I'm some PUT data", "That ain't funny");
}

#[test]
fn delete() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            let handler = |request: Request| {
                assert_eq!(request.method(), Method::DELETE);
                basic_cb(request)
            };
            server.set_cb("/deleteit", handler).unwrap();
        },
        |addr| ask(addr, "DELETE /deleteit", "\r\n"),
    );
    is_fine(&answer);
}

#[test]
fn allowed_methods() {
    let _bounded = bounded();
    let statuses = with_server(
        |server| {
            set_up(server);
            server.set_allowed_methods(Methods::PATCH);
        },
        |addr| {
            ["GET /index.html", "PATCH /test", "FLOOP /test"]
                .map(|line| ask(addr, line, "\r\n").status)
        },
    );
    assert_eq!(statuses, [501, 200, 501]);
}

#[test]
fn connection_async() {
    let _bounded = bounded();
    with_server(set_up, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /test", "\r\n"));
        is_fine(&client.read().unwrap());
        client.send(request("GET /test", "Connection: close\r\n\r\n"));
        is_fine(&client.read().unwrap());
        assert!(client.is_closed());
        let empty = ask(addr, "GET /test", "Empty: itis\r\n\r\n");
        assert_eq!((empty.status, empty.text()), (200, ""));
        assert!(empty.header("date").is_some());
        assert_eq!(empty.header("content-length"), Some("0"));
    });
}

#[test]
fn persist_connection() {
    let _bounded = bounded();
    with_server(set_up, |addr| {
        let mut client = Client::new(addr);
        for _ in 0..3 {
            client.send(request("GET /test", "\r\n"));
            is_fine(&client.read().unwrap());
        }
        client.send(request("GET /test", "Empty: itis\r\n\r\n"));
        let empty = client.read().unwrap();
        assert_eq!(empty.header("content-length"), Some("0"));
    });
}

#[test]
fn close_detection() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    server.set_timeout(Duration::from_millis(100));
    let closed = count();
    let closes = Rc::clone(&closed);
    server.set_gencb(move |request: Request| {
        let closes = Rc::clone(&closes);
        request.on_close(move |_| {
            closes.bump();
        });
        basic_cb(request)
    });
    beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /test", "\r\n"));
        is_fine(&client.read().unwrap());
        // Longer than the server waits for the next request.
        assert!(client.is_closed());
        is_fine(&get(addr, "/test"));
    });
    while closed.get() < 2 {
        base.run_once().unwrap();
    }
    assert_eq!(server.in_flight(), 0);
    finish(&mut base, server);
}

#[test]
fn bad_request() {
    let _bounded = bounded();
    with_server(
        |server| {
            let handler = |mut request: Request| {
                let xml = HeaderValue::from_static("text/xml; charset=UTF-8");
                request.output_headers().insert("content-type", xml);
                request.reply(200, "OK", "Hello, 127.0.0.1!")
            };
            server.set_cb("/badrequest", handler).unwrap();
        },
        |addr| {
            // No request is no bad one.
            let mut client = Client::new(addr);
            client.stream().shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read(), None);

            let mut client = Client::new(addr);
            client.send("GET /badrequest HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
            let answer = client.read().unwrap();
            assert_eq!(answer.text(), "Hello, 127.0.0.1!");
            client.stream().shutdown(Shutdown::Write).unwrap();
            assert!(client.is_closed(), "and no second answer");
        },
    );
}

/// Half of a request; what the server does with it, and how long it takes.
fn half(end: impl FnOnce(&mut Client) + Send + 'static) -> Duration {
    let _bounded = bounded();
    let setup = |server: &Server| {
        set_up(server);
        server.set_timeout(Duration::from_secs(1));
    };
    with_server(setup, |addr| {
        let before = Instant::now();
        let mut client = Client::new(addr);
        client.send("GET /test HTTP/1.1\r\nHost: somehost\r\n");
        end(&mut client);
        assert!(client.is_closed(), "without an answer");
        before.elapsed()
    })
}

#[test]
fn incomplete() {
    let took = half(|client| client.stream().shutdown(Shutdown::Write).unwrap());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn incomplete_timeout() {
    let took = half(|_| ());
    assert!(took >= Duration::from_millis(990), "{took:?}");
}

#[test]
fn on_complete() {
    let _bounded = bounded();
    let sent = count();
    let sents = Rc::clone(&sent);
    let answer = with_server(
        move |server| {
            let handler = move |request: Request| {
                let sents = Rc::clone(&sents);
                request.on_complete(move |what| {
                    assert!(what.complete && what.body_bytes == BODY.len() as u64);
                    sents.bump();
                });
                basic_cb(request)
            };
            server.set_cb("/oncomplete", handler).unwrap();
        },
        |addr| get(addr, "/oncomplete"),
    );
    is_fine(&answer);
    assert_eq!(sent.get(), 1);
}

#[test]
fn highport() {
    let base = EventBase::new().unwrap();
    let high = (65486..=65535).rev();
    let found = high
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|addr| Server::bind(&base, addr).is_ok());
    assert!(found.is_some());
}

#[test]
fn dispatcher() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            let handler = |request: Request| request.reply(200, None, "DISPATCHER_TEST");
            server.set_cb("/", handler).unwrap();
        },
        |addr| get(addr, "/?arg=val"),
    );
    assert_eq!((answer.status, answer.text()), (200, "DISPATCHER_TEST"));
    assert!(answer.header("content-type").is_some());
}

#[test]
fn multi_line_header() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let seen = count();
    let sees = Rc::clone(&seen);
    server.set_gencb(move |request: Request| {
        sees.bump();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-multi"), "aaaaaaaa a END");
        assert_eq!(header("x-multi-extra-ws"), "libevent 2.1");
        assert_eq!(header("x-last"), "last");
        basic_cb(request)
    });
    let status = beside(&mut base, addr, |addr| {
        let more = "X-Multi-Extra-WS:  libevent  \r\n\t\t\t2.1 \r\n\
                    X-Multi:  aaaaaaaa\r\n a\r\n\tEND\r\nX-Last: last\r\n\r\n";
        ask(addr, "GET /test", more).status
    });
    // Later versions of C refuse it.
    assert!(
        matches!((status, seen.get()), (200, 1) | (400, 0)),
        "{status}"
    );
    finish(&mut base, server);
}

#[test]
fn negative_content_length() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            server.set_gencb(|mut request: Request| {
                let negative = HeaderValue::from_static("-100");
                request.output_headers().insert("content-length", negative);
                if request.uri() == "/start" {
                    assert!(request.start(200, None).is_err());
                    return Ok(());
                }
                basic_cb(request)
            });
        },
        |addr| {
            assert_eq!(get(addr, "/start").status, 500);
            get(addr, "/test")
        },
    );
    // It never reaches the client.
    is_fine(&answer);
    assert_eq!(answer.header("content-length"), Some("13"));
}

/// What a client gets that sends all of its request before it reads.
fn send_then_read(addr: SocketAddr, request: &str) -> Option<u16> {
    let mut stream = connect(addr);
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let line = String::from_utf8_lossy(&answer);
    Some(line.get(9..12)?.parse().unwrap())
}

#[test]
fn data_length_constraints() {
    let _bounded = bounded();
    const SIZE: usize = 3 << 20;
    let setup = |server: &Server| {
        server.set_gencb(|request: Request| request.reply(200, None, "DISPATCHER_TEST"));
        server.set_max_headers_size(SIZE - 1);
        server.set_max_body_size(SIZE as u64 - 2);
    };
    with_server(setup, |addr| {
        let long = "a".repeat(SIZE - 1);
        let close = "Connection: close\r\n";
        let refused = |line: &str, more: String, status| {
            let got = send_then_read(addr, &request(line, &format!("{close}{more}")));
            // A client that is not done when the server closes may see that only.
            assert!(
                got.is_none() || got == Some(status),
                "{got:?}, not {status}"
            );
        };
        refused("GET /?arg=val", format!("Longheader: {long}\r\n\r\n"), 400);
        refused(&format!("GET /{long}"), "\r\n".into(), 400);
        let body = |expect: &str, body: &str| {
            format!("{expect}Content-Length: {}\r\n\r\n{body}", body.len())
        };
        refused("POST /", body("", &long), 413);
        // One that asks first knows before it sends.
        let expect = "Expect: 100-continue\r\n";
        let mut client = Client::new(addr);
        client.send(request(
            "POST /",
            &body(expect, "").replace(": 0", ": 3145727"),
        ));
        assert_eq!(client.read().unwrap().status, 413);
        let mut client = Client::new(addr);
        client.send(request(
            "POST /",
            &body(expect, "").replace(": 0", ": 1048576"),
        ));
        assert_eq!(client.read().unwrap().status, 100);
        client.send(&long[..1 << 20]);
        assert_eq!(client.read().unwrap().text(), "DISPATCHER_TEST");
        let answer = ask(addr, "POST /", &body("Expect: 101-continue\r\n", "x"));
        assert_eq!(answer.status, 417);
    });
}

/// The answer reaches a client whose request the server does not read to its end.
#[test]
fn read_on_write_error() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        set_up(server);
        server.set_max_body_size(1000);
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        client.send(request("POST /", "Content-Length: 3000000\r\n\r\nabc"));
        assert_eq!(client.read().unwrap().status, 413);
        // What it goes on to send, nobody takes.
        client.try_send(vec![b'a'; 2_999_997]);
        is_fine(&get(addr, "/test"));
    });
}

fn too_long(lingering: bool) -> Option<u16> {
    let _bounded = bounded();
    let setup = move |server: &Server| {
        server.set_lingering_close(lingering);
        server.set_max_body_size((3 << 20) / 2);
    };
    with_server(setup, |addr| {
        let body = "a".repeat(3 << 20);
        let more = format!(
            "Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        send_then_read(addr, &request("POST /", &more))
    })
}

#[test]
fn non_lingering_close() {
    let got = too_long(false);
    assert!(matches!(got, None | Some(413)), "{got:?}");
}

#[test]
fn lingering_close() {
    assert_eq!(too_long(true), Some(413));
}

#[test]
fn write_during_read() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    server
        .set_cb("/delay", |request: Request| {
            let handle = request.handle().clone();
            let mut request = Some(request);
            let soon = Duration::from_millis(20);
            let timer = Timer::after(&handle, soon, move |_| {
                basic_cb(request.take().expect("called once"))
            });
            timer.map(Timer::detach)
        })
        .unwrap();
    beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /delay", "\r\n"));
        // More comes while the answer is awaited.
        client.send("FOOBAR");
        is_fine(&client.read().unwrap());
    });
    finish(&mut base, server);
}

/// A body that HEAD should not have: refused, where C reads it as the next request.
#[test]
fn request_extra_body() {
    let _bounded = bounded();
    with_server(set_up, |addr| {
        let body = "this is the body that HEAD should not have".repeat(10_000);
        for path in ["/test", "/nothing"] {
            let mut client = Client::new(addr);
            let head = format!(
                "Connection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            client.send(request(&format!("HEAD {path}"), &head));
            client.try_send(&body);
            assert!(client.read_head().is_none_or(|answer| answer.status == 400));
            is_fine(&get(addr, "/test"));
        }
    });
}
