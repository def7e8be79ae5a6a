//! Bodies that come and go piece by piece.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::bounded;
use http_client::{Client, ask, get, in_background, request, with_server};
use libevent2::http::{
    BodyError, HeaderMap, HeaderValue, Request, Response, Route, Server, StatusCode, header,
};
use libevent2::{EventBase, Timer};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Counts what comes, and answers with the sum.
fn sum(server: &Server) {
    let route = Route::new("POST /sum").body_bytes(1 << 30).streamed();
    server.route(route, answer_with_sum).unwrap();
}

fn answer_with_sum(request: Request) {
    let body = request.incoming().expect("a body");
    let total = Rc::new(Cell::new((0u64, 0u64)));
    let count = Rc::clone(&total);
    body.on_data(move |bytes: &[u8]| {
        let (length, sum) = count.get();
        let more: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
        count.set((length + bytes.len() as u64, sum + more));
    });
    body.on_end(move |end| match end {
        Ok(trailers) => {
            let (length, sum) = total.get();
            let trailer = trailers.and_then(|map| map.get("x-end").cloned());
            let trailer = trailer.map_or(String::new(), |value| {
                format!(" {}", value.to_str().unwrap())
            });
            request.reply(StatusCode::OK, format!("{length} {sum}{trailer}"));
        }
        Err(error) => request.reply(StatusCode::BAD_REQUEST, error.to_string()),
    });
}

#[test]
fn a_streamed_body_is_never_held_in_memory() {
    let _bounded = bounded();
    with_server(sum, |addr| {
        let body = "ab".repeat(50_000);
        let more = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(ask(addr, "POST /sum", &more).text(), "100000 9750000");
        let chunked =
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n3;x=y\r\nbcd\r\n0\r\nX-End: yes\r\n\r\n";
        assert_eq!(ask(addr, "POST /sum", chunked).text(), "4 394 yes");
        // Several on one connection.
        let mut client = Client::new(addr);
        for _ in 0..3 {
            client.send(request("POST /sum", chunked));
            assert_eq!(client.read().unwrap().text(), "4 394 yes");
        }
    });
}

#[test]
fn a_streamed_body_that_goes_wrong_says_how() {
    let _bounded = bounded();
    let ends = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&ends);
    with_server(
        move |server| {
            let route = Route::new("POST /").body_bytes(10).streamed();
            let hear = move |request: Request| {
                let body = request.incoming().unwrap();
                body.on_data(|_: &[u8]| {});
                let log = Rc::clone(&log);
                body.on_end(move |end| {
                    log.borrow_mut().push(end.map(|_| ()));
                    drop(request);
                });
            };
            server.route(route, hear).unwrap();
        },
        |addr| {
            let mut client = Client::new(addr);
            client.send(request(
                "POST /",
                "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n",
            ));
            assert_eq!(client.read().unwrap().status, 500);
            assert!(client.is_closed());
            let mut client = Client::new(addr);
            client.send(request(
                "POST /",
                "Transfer-Encoding: chunked\r\n\r\nb\r\nhello",
            ));
            assert_eq!(client.read().unwrap().status, 500);
            let mut client = Client::new(addr);
            client.send(request("POST /", "Content-Length: 5\r\n\r\nhel"));
            client.stream().shutdown(std::net::Shutdown::Write).unwrap();
            // It may still hear of it.
            assert!(client.read().is_none_or(|answer| answer.status == 500));
        },
    );
    let ends = ends.borrow();
    assert!(matches!(ends[0], Err(BodyError::Malformed(_))), "{ends:?}");
    assert_eq!(ends[1], Err(BodyError::TooLong { limit: 10 }));
    assert_eq!(ends[2], Err(BodyError::Closed));
}

#[test]
fn a_paused_body_makes_its_sender_wait() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let came = Rc::new(Cell::new(0));
    let count = Rc::clone(&came);
    let handle = base.handle().clone();
    let slow = move |request: Request| {
        let body = request.incoming().unwrap();
        let (again, count) = (body.clone(), Rc::clone(&count));
        let handle = handle.clone();
        body.on_data(move |bytes: &[u8]| {
            count.set(count.get() + bytes.len());
            again.pause();
            let go_on = again.clone();
            let timer = Timer::after(&handle, Duration::from_millis(1), move |_| go_on.resume());
            timer.map(Timer::detach)
        });
        body.on_end(move |end| {
            assert!(end.is_ok());
            request.reply(StatusCode::OK, "all");
        });
    };
    server
        .route(Route::new("POST /").body_bytes(1 << 30).streamed(), slow)
        .unwrap();
    let addr = server.local_addrs()[0];
    const LENGTH: usize = 4 << 20;
    let client = in_background(&base, addr, |addr| {
        let more = format!("Content-Length: {LENGTH}\r\n\r\n{}", "x".repeat(LENGTH));
        ask(addr, "POST /", &more).text().to_owned()
    });
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), "all");
    assert_eq!(came.get(), LENGTH);
    http_client::finish(&mut base, server);
}

#[test]
fn an_answer_before_the_body_has_come_is_sent() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let early = |request: Request| request.reply(StatusCode::FORBIDDEN, "no");
        server
            .route(Route::new("POST /").body_bytes(1 << 30).streamed(), early)
            .unwrap();
        server
            .route("GET /", |request: Request| {
                request.reply(StatusCode::OK, "ok")
            })
            .unwrap();
    };
    with_server(setup, |addr| {
        // What is short is read to its end, and the connection is of use.
        let mut client = Client::new(addr);
        client.send(request("POST /", "Content-Length: 5\r\n\r\nhello"));
        assert_eq!(client.read().unwrap().status, 403);
        client.send(request("GET /", "\r\n"));
        assert_eq!(client.read().unwrap().text(), "ok");
        // What is long is not.
        let mut client = Client::new(addr);
        client.send(request(
            "POST /",
            &format!("Content-Length: {}\r\n\r\nhello", 1 << 29),
        ));
        client.try_send(vec![b'x'; 8 << 20]);
        assert_eq!(client.read().unwrap().status, 403);
        // A client that waits for 100 need not send it.
        let mut client = Client::new(addr);
        client.send(request(
            "POST /",
            "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        ));
        assert_eq!(client.read().unwrap().status, 403);
    });
}

#[test]
fn a_client_that_waits_for_100_gets_it_when_the_body_is_wanted() {
    let _bounded = bounded();
    with_server(sum, |addr| {
        let mut client = Client::new(addr);
        client.send(request(
            "POST /sum",
            "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n",
        ));
        assert_eq!(client.read().unwrap().status, 100);
        client.send("a");
        assert_eq!(client.read().unwrap().text(), "1 97");
    });
}

/// Numbers, line by line, as the client takes them.
fn numbers(request: Request) {
    let last: usize = request.param("last").unwrap().parse().unwrap();
    let mut response = Response::new(StatusCode::OK);
    if let Some(length) = request.query() {
        let length = HeaderValue::from_str(length).unwrap();
        response = response.header(header::CONTENT_LENGTH, length);
    }
    let mut next = 0;
    request.start(response).on_drain(move |out| {
        while next < last && out.pending() < 4096 {
            out.send(format!("{next}\n"))?;
            next += 1;
        }
        if next == last {
            out.finish();
        }
        Ok::<(), libevent2::Error>(())
    });
}

#[test]
fn an_answer_in_pieces_follows_its_client() {
    let _bounded = bounded();
    let setup = |server: &Server| server.route("GET /{last}", numbers).unwrap();
    with_server(setup, |addr| {
        let expected: String = (0..20_000).map(|n| format!("{n}\n")).collect();
        let mut client = Client::new(addr);
        client.send(request("GET /20000", "\r\n"));
        let answer = client.read().unwrap();
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        assert!(answer.text() == expected);
        // HEAD has no body, and the connection goes on.
        client.send(request("HEAD /20000", "\r\n"));
        assert_eq!(client.read_head().unwrap().status, 200);
        client.send(request(&format!("GET /20000?{}", expected.len()), "\r\n"));
        let answer = client.read().unwrap();
        assert_eq!(answer.header("transfer-encoding"), None);
        assert!(answer.text() == expected);
        // For HTTP/1.0 its end is that of the connection.
        let mut client = Client::new(addr);
        client.send("GET /20000 HTTP/1.0\r\n\r\n");
        let all = String::from_utf8(client.read_to_end()).unwrap();
        assert!(all.ends_with(&format!("\r\n\r\n{expected}")));
        assert!(!all.contains("chunked") && all.contains("Connection: close"));
    });
}

#[test]
fn trailers_follow_the_last_chunk() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let handler = |request: Request| {
            let out = request.start(Response::new(StatusCode::OK));
            out.send("body").unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("7"));
            out.finish_with(&trailers);
        };
        server.route("/", handler).unwrap();
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "Connection: close\r\n\r\n"));
        let all = String::from_utf8(client.read_to_end()).unwrap();
        assert!(all.ends_with("4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n"), "{all}");
    });
}

#[test]
fn half_an_answer_is_never_taken_for_a_whole_one() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let handler = |request: Request| {
            let path = request.path().to_owned();
            let long = Response::new(StatusCode::OK)
                .header(header::CONTENT_LENGTH, HeaderValue::from_static("10"));
            let out = request.start(if path == "/short" {
                long
            } else {
                Response::new(StatusCode::OK)
            });
            out.send("half").unwrap();
            match path.as_str() {
                "/abort" => out.abort(),
                "/short" => out.finish(),
                _ => drop(out),
            }
        };
        server.fallback(handler);
        server
            .route("/long", |request: Request| {
                let ten = HeaderValue::from_static("10");
                let out = request
                    .start(Response::new(StatusCode::OK).header(header::CONTENT_LENGTH, ten));
                assert!(out.send("12345678901").is_err());
                out.send("1234567890").unwrap();
                out.finish();
                assert!(out.send("x").is_err() && !out.is_open());
            })
            .unwrap();
    };
    with_server(setup, |addr| {
        for path in ["/dropped", "/abort", "/short"] {
            let mut client = Client::new(addr);
            client.send(request(&format!("GET {path}"), "\r\n"));
            let all = String::from_utf8(client.read_to_end()).unwrap();
            assert!(
                !all.ends_with("0\r\n\r\n") && !all.ends_with("1234567890"),
                "{path}: {all}"
            );
        }
        assert_eq!(get(addr, "/long").text(), "1234567890");
    });
}

#[test]
fn a_handler_hears_that_its_client_has_left() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let left = Rc::new(Cell::new(0));
    let count = Rc::clone(&left);
    let kept = RefCell::new(Vec::new());
    server.fallback(move |request: Request| {
        let count = Rc::clone(&count);
        let handle = request.handle().clone();
        request.on_disconnect(move || {
            count.set(count.get() + 1);
            handle.exit_now();
        });
        kept.borrow_mut().push(request);
    });
    let addr = server.local_addrs()[0];
    let client = in_background(&base, addr, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
    });
    base.run_until_exit().unwrap();
    while left.get() == 0 {
        base.run_once().unwrap();
    }
    client.join().unwrap();
    assert_eq!(left.get(), 1);
    server.fallback(|_| {});
    http_client::finish(&mut base, server);
}

#[test]
fn who_asks_late_for_the_end_of_a_body_hears_it_from_the_loop() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let late = |request: Request| {
            let body = request.incoming().unwrap();
            let again = body.clone();
            body.on_data(|_: &[u8]| {});
            body.on_end(move |_| {
                let inside = Rc::new(Cell::new(true));
                let seen = Rc::clone(&inside);
                again.on_end(move |end| {
                    let text = format!("{} {}", end.is_ok(), seen.get());
                    request.reply(StatusCode::OK, text);
                });
                inside.set(false);
            });
        };
        server.route(Route::new("POST /").streamed(), late).unwrap();
    };
    with_server(setup, |addr| {
        let answer = ask(addr, "POST /", "Content-Length: 5\r\n\r\nhello");
        assert_eq!(answer.text(), "true false");
    });
}
