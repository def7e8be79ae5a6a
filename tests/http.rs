//! What a request has, and what becomes of an answer.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::peers::peer;
use common::{Bump, bounded, count};
use http_client::{Client, ask, get, post, request, with_server};
use libevent2::http::{
    HeaderValue, Listen, Method, Request, Response, Server, StatusCode, Version, header,
};
use libevent2::{Error, EventBase, Timer};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn several_requests_go_through_one_connection() {
    let _bounded = bounded();
    let answers = with_server(
        |server| {
            let served = count();
            server.fallback(move |request| {
                let text = format!("{} {}", request.path(), served.bump());
                request.reply(StatusCode::OK, text);
            });
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("GET /a", "\r\n"));
            let first = client.read().unwrap();
            // Both at once: the second is read when the first is answered.
            client.send(request("GET /b", "\r\n") + &request("GET /c", "\r\n"));
            [first, client.read().unwrap(), client.read().unwrap()]
        },
    );
    let texts: Vec<_> = answers.iter().map(|answer| answer.text()).collect();
    assert_eq!(texts, ["/a 1", "/b 2", "/c 3"]);
    assert!(answers.iter().all(|answer| answer.header("date").is_some()));
}

#[test]
fn the_client_or_the_answer_may_end_the_connection() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request: Request| {
                let close = HeaderValue::from_static("close");
                request.respond(Response::text("bye").header(header::CONNECTION, close));
            });
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("GET /", "\r\n"));
            assert_eq!(client.read().unwrap().header("connection"), Some("close"));
            assert!(client.is_closed());

            let mut old = Client::new(addr);
            old.send("GET / HTTP/1.0\r\n\r\n");
            assert_eq!(old.read().unwrap().text(), "bye");
            assert!(old.is_closed());
        },
    );
}

#[test]
fn head_gets_the_headers_of_get_and_no_body() {
    let _bounded = bounded();
    let (head, next) = with_server(
        |server| {
            server.fallback(|request: Request| request.respond(Response::text("12345")));
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request("HEAD /", "\r\n"));
            let head = client.read_head().unwrap();
            client.send(request("GET /", "\r\n"));
            (head, client.read().unwrap())
        },
    );
    assert_eq!(head.header("content-length"), Some("5"));
    assert_eq!(next.text(), "12345");
}

#[test]
fn a_request_can_be_answered_later() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            let waiting: Rc<RefCell<Vec<Timer>>> = Rc::default();
            server.fallback(move |request: Request| {
                let handle = request.handle().clone();
                let timer = Timer::after(&handle, Duration::from_millis(20), move |_| {
                    assert!(!request.is_client_gone());
                    request.reply(StatusCode::OK, "at last");
                })?;
                waiting.borrow_mut().push(timer);
                Ok::<(), Error>(())
            });
        },
        |addr| get(addr, "/"),
    );
    assert_eq!((answer.status, answer.text()), (200, "at last"));
}

#[test]
fn an_unanswered_request_is_answered_500() {
    let _bounded = bounded();
    let answer = with_server(
        |server| server.fallback(drop::<Request>),
        |addr| get(addr, "/"),
    );
    assert_eq!(answer.status, 500);
}

#[test]
fn every_status_keeps_its_headers_and_body() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request: Request| {
                let status: u16 = request.path()[1..].parse().unwrap();
                let place = HeaderValue::from_static("/place");
                let response = Response::json("{\"a\":1}")
                    .status(StatusCode::from_u16(status).unwrap())
                    .header(header::LOCATION, place);
                request.respond(response);
            });
        },
        |addr| {
            for status in [200, 201, 302, 400, 404, 418, 500, 503, 599, 999] {
                let answer = get(addr, &format!("/{status}"));
                assert_eq!(answer.status, status);
                assert_eq!(answer.text(), "{\"a\":1}");
                assert_eq!(answer.header("location"), Some("/place"));
                assert_eq!(answer.header("content-type"), Some("application/json"));
            }
            for status in [204, 304] {
                let answer = get(addr, &format!("/{status}"));
                assert_eq!(answer.status, status);
                assert_eq!(answer.header("content-length"), None);
                assert_eq!(answer.header("location"), Some("/place"));
            }
            assert_eq!(get(addr, "/100").status, 500);
        },
    );
}

#[test]
fn there_can_be_several_headers_of_a_name_and_any_bytes_in_them() {
    let _bounded = bounded();
    let answer = with_server(
        |server| {
            server.fallback(|request: Request| {
                let seen = request.headers().get_all("x-a");
                let seen: Vec<&[u8]> = seen.iter().map(HeaderValue::as_bytes).collect();
                assert_eq!(seen, [&b"1"[..], b"2", b"\xc3\xa4"]);
                let mut response = Response::new(StatusCode::OK);
                for cookie in ["a=1", "b=2"] {
                    let cookie = HeaderValue::from_static(cookie);
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
                request.respond(response);
            });
        },
        |addr| ask(addr, "GET /", "X-A: 1\r\nx-a:2\r\nX-a: ä\r\n\r\n"),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.all("Set-Cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.header("content-length"), Some("0"));
}

#[test]
fn the_query_is_split_off_before_anything_is_decoded() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request: Request| {
                let path = String::from_utf8_lossy(&request.decoded_path()).into_owned();
                let pairs: Vec<_> = request.query_pairs().collect();
                let text = format!("{} {path} {:?} {pairs:?}", request.path(), request.query());
                request.reply(StatusCode::OK, text);
            });
        },
        |addr| {
            let text = |path| get(addr, path).text().to_owned();
            assert_eq!(text("/a%3Fb"), "/a%3Fb /a?b None []");
            assert_eq!(
                text("/a?b%26=c+d&e&%3D=%C3%A4?"),
                "/a /a Some(\"b%26=c+d&e&%3D=%C3%A4?\") \
                 [(\"b&\", \"c d\"), (\"e\", \"\"), (\"=\", \"ä?\")]"
            );
            assert_eq!(
                text("http://test/abs?x"),
                "/abs /abs Some(\"x\") [(\"x\", \"\")]"
            );
            assert_eq!(text("/ä"), "/%C3%A4 /ä None []");
        },
    );
}

#[test]
fn routes_are_found_by_the_decoded_path_and_give_their_parameters() {
    let _bounded = bounded();
    with_server(
        |server| {
            let say = |what: &'static str| {
                move |request: Request| {
                    let name = request.param("name").unwrap_or("-").to_owned();
                    request.reply(StatusCode::OK, format!("{what} {name}"));
                }
            };
            server.route("/fixed", say("fixed")).unwrap();
            server.route("/by/{name}", say("by")).unwrap();
            server.route("/under/{*name}", say("under")).unwrap();
            assert!(matches!(
                server.route("/by/{other}", say("x")),
                Err(Error::Invalid { .. })
            ));
            assert!(matches!(
                server.route("/a{", say("x")),
                Err(Error::Invalid { .. })
            ));
        },
        |addr| {
            let text = |path| get(addr, path).text().to_owned();
            assert_eq!(text("/fixed?x"), "fixed -");
            assert_eq!(text("/f%69xed"), "fixed -");
            assert_eq!(text("/by/ä%20b"), "by ä b");
            assert_eq!(text("/by/a%2Fb"), "by a/b");
            assert_eq!(text("/by/%252F"), "by %2F");
            assert_eq!(text("/by/%FF"), "by \u{fffd}");
            assert_eq!(text("/under/a/b%3F"), "under a/b?");
            assert_eq!(get(addr, "/by/a/b").status, 404);
            assert_eq!(get(addr, "/by%2Fa").status, 404);
        },
    );
}

#[test]
fn bodies_arrive_whole() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request: Request| {
                let mut body = request.method().to_string().into_bytes();
                body.extend(request.body());
                request.reply(StatusCode::OK, body);
            });
        },
        |addr| {
            assert_eq!(post(addr, "/", "x=1").text(), "POSTx=1");
            assert_eq!(post(addr, "/", "").text(), "POST");
            let big = "y".repeat(1 << 20);
            assert_eq!(post(addr, "/", &big).body.len(), 4 + big.len());
            let put = ask(addr, "PUT /", "Content-Length: 3\r\n\r\na\0b");
            assert_eq!(put.body, b"PUTa\0b");
            for method in ["GET", "DELETE", "OPTIONS", "PATCH"] {
                let more = "Content-Length: 4\r\n\r\nhai ";
                assert_eq!(
                    ask(addr, &format!("{method} /"), more).text(),
                    format!("{method}hai ")
                );
            }
            let chunked =
                "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
            assert_eq!(
                ask(addr, "POST /", chunked).text(),
                "POSTabc0123456789abcdef"
            );
        },
    );
}

#[test]
fn a_client_may_wait_for_100_before_it_sends_the_body() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request: Request| {
                let body = request.body().to_vec();
                request.reply(StatusCode::OK, body);
            });
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request(
                "POST /",
                "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
            ));
            assert_eq!(client.read().unwrap().status, 100);
            client.send("abc");
            assert_eq!(client.read().unwrap().text(), "abc");
        },
    );
}

#[test]
fn a_request_tells_where_it_came_from_and_how() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    // Not every machine has it.
    let has_v6 = server.listen("[::1]:0").is_ok();
    server.fallback(|request: Request| {
        assert_eq!(request.method(), Method::GET);
        let peer = request.peer().unwrap();
        assert!(peer.ip().is_loopback());
        let text = format!(
            "{} {:?} {}",
            peer,
            request.version(),
            request.server().in_flight()
        );
        request.reply(StatusCode::OK, text);
    });
    let addrs = server.local_addrs();
    assert_eq!(addrs.len(), if has_v6 { 2 } else { 1 });
    let client = http_client::in_background(&base, addrs[0], move |_| {
        for addr in addrs {
            let mut client = Client::new(addr);
            let own = client.stream().local_addr().unwrap();
            client.send(request("GET /", "\r\n"));
            let text = client.read().unwrap().text().to_owned();
            assert_eq!(text, format!("{own} {:?} 1", Version::HTTP_11));
        }
    });
    base.run_until_exit().unwrap();
    client.join().unwrap();
    http_client::finish(&mut base, server);
}

#[test]
fn a_hook_hears_what_became_of_the_answer() {
    let _bounded = bounded();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&heard);
    with_server(
        |server| {
            server.fallback(move |request: Request| {
                let log = Rc::clone(&log);
                request.on_sent(move |sent| {
                    let status = sent.status.map(|status| status.as_u16());
                    log.borrow_mut()
                        .push((status, sent.body_bytes, sent.complete));
                });
                if request.path() == "/drop" {
                    return;
                }
                request.reply(StatusCode::ACCEPTED, "12345");
            });
        },
        |addr| {
            get(addr, "/");
            ask(addr, "HEAD /", "\r\n");
            get(addr, "/drop");
        },
    );
    let page = "500 Internal Server Error\n".len() as u64;
    assert_eq!(
        *heard.borrow(),
        [
            (Some(202), 5, true),
            (Some(202), 0, true),
            (Some(500), page, true)
        ]
    );
}

#[test]
fn curl_is_content() {
    let _bounded = bounded();
    let Some(mut curl) = peer("curl") else { return };
    let (status, out) = with_server(
        |server| {
            server.fallback(|request: Request| {
                let sum: u64 = request.body().iter().map(|&byte| u64::from(byte)).sum();
                let text = format!("{} {sum}\n", request.method());
                request.reply(StatusCode::OK, text);
            });
        },
        move |addr| {
            let url = format!("http://{addr}/a?b");
            let sent = "x".repeat(100_000);
            let out = curl
                .args(["-sS", "--fail", &url, "--next", "-sS", "-d", &sent, &url])
                .args([
                    "--next",
                    "-sS",
                    "-d",
                    "y",
                    "-H",
                    "Transfer-Encoding: chunked",
                    &url,
                ])
                .output()
                .expect("curl runs");
            (out.status, String::from_utf8(out.stdout).unwrap())
        },
    );
    assert!(status.success());
    assert_eq!(out, "GET 0\nPOST 12000000\nPOST 121\n");
}

#[test]
fn what_cannot_be_listened_on_is_an_error() {
    let base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let taken = server.listen(server.local_addrs()[0]).unwrap_err();
    assert!(matches!(taken, Error::Os { .. }));
    assert!(
        taken.to_string().starts_with("listening on 127.0.0.1:"),
        "{taken}"
    );
    assert!(server.listen("no address").is_err());
    assert!(server.listen("192.0.2.1:0").is_err());
    let (connected, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(server.listen_by(Listen::socket(connected)).is_err());
    server.close();
    assert!(matches!(
        server.listen("127.0.0.1:0"),
        Err(Error::Closed { .. })
    ));
    drop(server);
    let handle = base.handle().clone();
    drop(base);
    assert!(matches!(Server::new(&handle), Err(Error::Closed { .. })));
}
