//! Requests and answers of an evhttp server.
#![cfg(feature = "http")]

mod common;
mod evhttp_common;

use common::{Bump, bounded, count};
use evhttp_common::{Client, ask, beside, finish, get, listening, post, request, with_server};
use libevent2::evhttp::{HeaderValue, Method, Methods, Request, Sent, Server, Version};
use libevent2::listener::Listener;
use libevent2::{Buffer, Error, EventBase, Timer};
use std::cell::RefCell;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

#[test]
fn a_handler_sees_the_whole_request() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.set_gencb(|request: Request| {
                assert_eq!(request.method(), Method::POST);
                assert_eq!(request.uri(), "/a%20b/%C3%A4?c=d&e#f");
                let uri = request.parsed_uri();
                assert_eq!(uri.path(), Some("/a%20b/%C3%A4"));
                assert_eq!((uri.query(), uri.fragment()), (Some("c=d&e"), Some("f")));
                assert_eq!(request.host(), Some("example.org"));
                assert_eq!(request.version(), Version::HTTP_11);
                assert_eq!(request.headers()["x-one"], "1");
                assert_eq!(request.headers().get_all("x-two").iter().count(), 2);
                assert_eq!(*request.body(), "body");
                assert!(request.peer().unwrap().ip().is_loopback());
                assert_eq!(request.server().in_flight(), 1);
                request.reply(200, None, "")
            });
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(
                "POST /a%20b/ä?c=d&e#f HTTP/1.1\r\nHost: example.org:80\r\nX-One: 1\r\n\
                 X-Two: 2\r\nX-Two: 3\r\nContent-Length: 4\r\n\r\nbody",
            );
            assert_eq!(client.read().unwrap().status, 200);
        },
    );
}

#[test]
fn paths_are_compared_as_c_does() {
    let _bounded = bounded();
    let texts = with_server(
        |server| {
            for path in ["/a", "/a/b", "/ä ö", "*"] {
                let name = path.to_owned();
                server
                    .set_cb(path, move |request| request.reply(200, None, &*name))
                    .unwrap();
            }
        },
        |addr| {
            let asked = [
                "/a",
                "/a?x",
                "/%61",
                "/a%00b",
                "/a%2Fb",
                "/a/b",
                "/%C3%A4%20%C3%B6",
                "/ä%20ö",
                "/a/",
                "/A",
                "/",
                "//a",
                "http://host/a",
            ];
            asked.map(|path| {
                let answer = get(addr, path);
                (answer.status == 200).then(|| answer.text().to_owned())
            })
        },
    );
    let texts = texts.each_ref().map(Option::as_deref);
    let (a, b, umlauts) = (Some("/a"), Some("/a/b"), Some("/ä ö"));
    assert_eq!(
        texts,
        [
            a, a, a, a, b, b, umlauts, umlauts, None, None, None, None, a
        ]
    );
}

#[test]
fn a_reply_has_status_reason_headers_and_body() {
    let _bounded = bounded();
    let answers = with_server(
        |server| {
            server.set_gencb(|mut request: Request| {
                let headers = request.output_headers();
                headers.insert("x-a-name", HeaderValue::from_static("value"));
                headers.append("set-cookie", HeaderValue::from_static("a"));
                headers.append("set-cookie", HeaderValue::from_static("b"));
                headers.insert("content-length", HeaderValue::from_static("99"));
                headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
                match request.uri() {
                    "/reason" => request.reply(299, "My own", "body"),
                    "/usual" => request.reply(404, None, Buffer::from("body")),
                    "/none" => request.reply(204, None, "body"),
                    _ => request.reply(304, None, "body"),
                }
            });
        },
        |addr| ["/reason", "/usual", "/none", "/unchanged"].map(|path| get(addr, path)),
    );
    let lines = answers.each_ref().map(|a| (a.status, &*a.reason, a.text()));
    assert_eq!(
        lines,
        [
            (299, "My own", "body"),
            (404, "Not Found", "body"),
            (204, "No Content", ""),
            (304, "Not Modified", "")
        ]
    );
    for answer in &answers {
        assert_eq!(answer.header("X-A-Name"), Some("value"));
        assert_eq!(answer.all("set-cookie"), ["a", "b"]);
        assert_eq!(answer.header("transfer-encoding"), None);
        let length = (answer.status != 204 && answer.status != 304).then_some("4");
        assert_eq!(answer.header("content-length"), length);
    }
    assert!(
        answers[0]
            .headers
            .iter()
            .any(|(name, _)| name == "X-A-Name")
    );
}

/// T29: evhttp writes the reason, and what it is given of headers, as it is.
#[test]
fn t29_an_answer_cannot_be_split() {
    let _bounded = bounded();
    assert!(HeaderValue::from_bytes(b"a\r\nSet-Cookie: b").is_err());
    let answers = with_server(
        |server| {
            let wrong = |error: Error, what: &str| match error {
                Error::Invalid { what: found, .. } => assert_eq!(found, what),
                other => panic!("{other}"),
            };
            server.set_gencb(move |request: Request| {
                let (result, what) = match request.uri() {
                    "/reason" => (request.reply(200, "OK\r\nX: y", ""), "reason"),
                    "/error" => (request.error(404, "<b>\n"), "reason"),
                    "/start" => (request.start(200, "OK\0").map(drop), "reason"),
                    "/status" => (request.reply(42, None, ""), "status"),
                    _ => (request.reply(101, None, ""), "status"),
                };
                wrong(result.unwrap_err(), what);
            });
        },
        |addr| ["/reason", "/error", "/start", "/status", "/101"].map(|path| get(addr, path)),
    );
    for answer in answers {
        assert_eq!((answer.status, answer.header("x")), (500, None));
    }
}

#[test]
fn an_error_page_says_its_reason_escaped() {
    let _bounded = bounded();
    let answer = with_server(
        |server| server.set_gencb(|request: Request| request.error(404, "<b>&")),
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("GET /", "\r\n"));
            let answer = client.read().unwrap();
            assert!(client.is_closed());
            answer
        },
    );
    assert_eq!((answer.status, &*answer.reason), (404, "<b>&"));
    assert!(answer.text().contains("<h1>404 &lt;b&gt;&amp;</h1>"));
    assert_eq!(answer.header("connection"), Some("close"));
}

/// T22: twice would be a double free, and never a leak and a client that waits.
#[test]
fn t22_an_unanswered_request_is_answered_500() {
    let _bounded = bounded();
    let status = with_server(
        |server| server.set_gencb(|request: Request| drop(request)),
        |addr| get(addr, "/").status,
    );
    assert_eq!(status, 500);
}

#[test]
fn a_request_without_a_handler_is_answered_404() {
    let _bounded = bounded();
    let (get, head) = with_server(
        |server| {
            server.set_gencb(|request: Request| request.reply(200, None, ""));
            server.del_gencb();
        },
        |addr| (get(addr, "/<b>"), ask(addr, "HEAD /", "\r\n")),
    );
    assert_eq!((get.status, head.status), (404, 404));
    assert!(get.text().contains("404 Not Found") && head.body.is_empty());
}

/// T23: evhttp_send asserts that the request is the first of its connection.
#[test]
fn t23_requests_that_come_together_are_answered_one_by_one() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let waiting: Rc<RefCell<Vec<Request>>> = Rc::default();
    let held = Rc::clone(&waiting);
    server.set_gencb(move |request: Request| {
        let handle = request.handle().clone();
        assert_eq!(request.server().in_flight(), 1);
        held.borrow_mut().push(request);
        let held = Rc::clone(&held);
        let timer = Timer::after(&handle, Duration::from_millis(1), move |_| {
            let request = held.borrow_mut().pop().expect("one at a time");
            let text = request.uri().to_owned();
            request.reply(200, None, text)
        });
        timer.map(Timer::detach)
    });
    beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        let all: String = (0..10)
            .map(|turn| request(&format!("GET /{turn}"), "\r\n"))
            .collect();
        client.send(all);
        for turn in 0..10 {
            assert_eq!(client.read().unwrap().text(), format!("/{turn}"));
        }
    });
    finish(&mut base, server);
}

#[test]
fn methods_that_are_not_allowed_are_answered_501() {
    let _bounded = bounded();
    let ask_all = |methods: Option<Methods>| {
        with_server(
            move |server| {
                if let Some(methods) = methods {
                    server.set_allowed_methods(methods);
                }
                server.set_gencb(|request: Request| request.reply(200, None, ""));
            },
            |addr| {
                let methods = [
                    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "FOO",
                ];
                methods.map(|method| ask(addr, &format!("{method} /"), "\r\n").status)
            },
        )
    };
    assert_eq!(ask_all(None), [200, 200, 200, 200, 200, 501, 501, 501, 501]);
    assert_eq!(
        ask_all(Some(Methods::PATCH | Methods::OPTIONS)),
        [501, 501, 501, 501, 501, 200, 501, 200, 501]
    );
}

#[test]
fn head_gets_the_headers_of_get() {
    let _bounded = bounded();
    let answers = with_server(
        |server| {
            server.set_gencb(|mut request: Request| {
                let long = HeaderValue::from_static("1000000");
                request.output_headers().insert("content-length", long);
                match request.uri() {
                    "/body" => request.reply(200, None, "body"),
                    _ => request.reply(200, None, ""),
                }
            });
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("HEAD /body", "\r\n"));
            client.send(request("HEAD /", "\r\n"));
            client.send(request("GET /", "\r\n"));
            let heads = [(); 2].map(|()| client.read_head().unwrap());
            let length = |answer: &evhttp_common::Answer| {
                answer.header("content-length").unwrap().to_owned()
            };
            (
                heads.each_ref().map(length),
                client.read().unwrap().text().to_owned(),
            )
        },
    );
    assert_eq!(answers, (["4".into(), "1000000".into()], String::new()));
}

/// T29: C keeps the pointer that it is given.
#[test]
fn t29_the_default_content_type_is_kept() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    server.set_gencb(|request: Request| request.reply(200, None, "x"));
    let mut ask = |server: &Server, mime: Option<Option<String>>| {
        if let Some(mime) = mime {
            server.set_default_content_type(mime.as_deref()).unwrap();
        }
        beside(&mut base, addr, |addr| {
            get(addr, "/").header("content-type").map(str::to_owned)
        })
    };
    let html = Some("text/html; charset=ISO-8859-1".to_owned());
    assert_eq!(ask(&server, None), html);
    let own = Some("a/".to_owned() + &"b".repeat(1000));
    assert_eq!(ask(&server, Some(own.clone())), own);
    assert_eq!(ask(&server, Some(None)), None);
    for bad in ["a\r\nb: c", "a\0"] {
        assert!(server.set_default_content_type(Some(bad)).is_err());
    }
    assert_eq!(ask(&server, None), None);
    finish(&mut base, server);
}

#[test]
fn hooks_tell_of_the_answer_and_of_the_end_of_the_connection() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let (sent, closed) = (Rc::new(RefCell::new(Vec::<Sent>::new())), count());
    let (sents, closes) = (Rc::clone(&sent), Rc::clone(&closed));
    server.set_gencb(move |request: Request| {
        let (sents, closes) = (Rc::clone(&sents), Rc::clone(&closes));
        request.on_complete(move |what| sents.borrow_mut().push(what));
        request.on_close(move |handle| {
            closes.bump();
            handle.exit();
        });
        request.reply(201, None, "body")
    });
    let seen = Rc::clone(&closed);
    let client = beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        for _ in 0..2 {
            client.send(request("GET /", "\r\n"));
            assert_eq!(client.read().unwrap().status, 201);
        }
        client
    });
    while sent.borrow().len() < 2 {
        base.run_once().unwrap();
    }
    assert_eq!(seen.get(), 0, "the connection lives on");
    drop(client);
    base.run_until_exit().unwrap();
    assert_eq!(closed.get(), 2);
    for what in sent.borrow().iter() {
        assert_eq!((what.status, what.complete), (Some(201), true));
        assert_eq!(what.body_bytes, 4);
    }
    finish(&mut base, server);
}

#[test]
fn a_server_that_closes_runs_the_hooks_of_idle_connections() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let closed = count();
    let closes = Rc::clone(&closed);
    server.set_gencb(move |request: Request| {
        let closes = Rc::clone(&closes);
        request.on_close(move |_| {
            closes.bump();
        });
        request.reply(200, None, "")
    });
    let mut client = beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        client.read().unwrap();
        client
    });
    while server.in_flight() > 0 {
        base.run_once().unwrap();
    }
    finish(&mut base, server);
    assert_eq!(closed.get(), 1);
    assert!(client.is_closed());
}

#[test]
fn sockets_come_and_go() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::new(&base).unwrap();
    server.set_gencb(|request: Request| request.reply(200, None, ""));
    let first = server.listen("127.0.0.1:0").unwrap();
    let second = server
        .listen_on(TcpListener::bind("127.0.0.1:0").unwrap())
        .unwrap();
    let other = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(&base, other, |_, _| -> () { panic!("it is evhttp's") }).unwrap();
    let third = server.bind_listener(listener).unwrap();
    let all = [first, second, third];
    assert_eq!(server.bound_sockets(), all);
    for socket in all {
        let status = beside(&mut base, socket.local_addr(), |addr| get(addr, "/").status);
        assert_eq!(status, 200);
    }
    assert!(server.remove_socket(second) && !server.remove_socket(second));
    assert!(TcpStream::connect(second.local_addr()).is_err());
    let status = beside(&mut base, third.local_addr(), |addr| get(addr, "/").status);
    assert_eq!(status, 200);
    finish(&mut base, server);
    assert!(TcpStream::connect(first.local_addr()).is_err());
}

/// T29: evhttp ends the process when the address of a client has no text.
#[test]
fn t29_a_socket_that_is_not_of_the_internet_is_refused() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let server = Server::new(&base).unwrap();
    let folder = std::env::temp_dir();
    let path = |name| folder.join(format!("evhttp-{}-{name}", std::process::id()));
    let unix = UnixListener::bind(path("a")).unwrap();
    let refused = server.listen_on(TcpListener::from(OwnedFd::from(unix)));
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    let listener = Listener::bind_unix(&base, path("b"), |_, _| ()).unwrap();
    let refused = server.bind_listener(listener);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert!(server.bound_sockets().is_empty());
    let _ = (
        std::fs::remove_file(path("a")),
        std::fs::remove_file(path("b")),
    );

    let other = EventBase::new().unwrap();
    let elsewhere = Listener::bind(&other, "127.0.0.1:0".parse().unwrap(), |_, _| ()).unwrap();
    assert!(server.bind_listener(elsewhere).is_err());
}

#[test]
fn a_long_body_moves_on_without_a_copy() {
    let _bounded = bounded();
    let body = "0123456789".repeat(100_000);
    let sent = body.clone();
    let answer = with_server(
        |server| {
            server.set_gencb(|mut request: Request| {
                let body = std::mem::take(request.body_mut());
                request.reply(200, None, body)
            });
        },
        move |addr| post(addr, "/", &sent),
    );
    assert!(answer.text() == body);
}

#[test]
fn a_large_answer_arrives_whole() {
    let _bounded = bounded();
    const LINE: &str = "This is funny";
    let answer = with_server(
        |server| {
            let body = LINE.repeat(1 << 20);
            server.set_gencb(move |request: Request| request.reply(200, None, &*body));
        },
        |addr| get(addr, "/large"),
    );
    assert_eq!(answer.body.len(), LINE.len() << 20);
    assert!(
        answer
            .body
            .chunks(LINE.len())
            .all(|part| part == LINE.as_bytes())
    );
}
