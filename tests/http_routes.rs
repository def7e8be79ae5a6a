//! Whom a request goes to, and where a server listens.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::bounded;
use http_client::{Client, ask, get, in_background, request, with_server};
use libevent2::http::{Limits, Listen, Request, Response, Server, StatusCode};
use libevent2::{Error, EventBase};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

fn say(text: &'static str) -> impl FnMut(Request) {
    move |request: Request| request.reply(StatusCode::OK, text)
}

#[test]
fn a_path_has_a_handler_for_each_method() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        server.route("GET /item/{id}", say("get")).unwrap();
        server.route("PUT /item/{id}", say("put")).unwrap();
        server.route("BREW /pot", say("brew")).unwrap();
        server.route("/any", say("any")).unwrap();
        server.route("POST /any", say("post")).unwrap();
    };
    with_server(setup, |addr| {
        assert_eq!(get(addr, "/item/1").text(), "get");
        assert_eq!(ask(addr, "PUT /item/1", "\r\n").text(), "put");
        assert_eq!(ask(addr, "BREW /pot", "\r\n").text(), "brew");
        assert_eq!(ask(addr, "POST /any", "\r\n").text(), "post");
        assert_eq!(ask(addr, "DELETE /any", "\r\n").text(), "any");
        let head = ask(addr, "HEAD /item/1", "\r\n");
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("3"))
        );
        let refused = ask(addr, "DELETE /item/1", "\r\n");
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, Some("GET, PUT, HEAD, OPTIONS"))
        );
        let options = ask(addr, "OPTIONS /item/1", "\r\n");
        assert_eq!(
            (options.status, options.header("allow")),
            (204, Some("GET, PUT, HEAD, OPTIONS"))
        );
        assert_eq!(ask(addr, "OPTIONS *", "\r\n").status, 204);
        assert_eq!(get(addr, "/nothing").status, 404);
        assert_eq!(ask(addr, "HEAD /pot", "\r\n").status, 405);
    });
}

#[test]
fn a_route_can_be_replaced_and_removed_by_its_own_handler() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        server
            .route("GET /", |request: Request| {
                let server = request.server();
                server.route("GET /", say("second")).unwrap();
                assert!(server.remove_route("PUT /") && !server.remove_route("PUT /"));
                request.reply(StatusCode::OK, "first");
            })
            .unwrap();
        server.route("PUT /", say("put")).unwrap();
    };
    with_server(setup, |addr| {
        assert_eq!(get(addr, "/").text(), "first");
        assert_eq!(get(addr, "/").text(), "second");
        assert_eq!(ask(addr, "PUT /", "\r\n").status, 405);
    });
}

#[test]
fn a_pattern_that_is_none_is_an_error() {
    let base = EventBase::new().unwrap();
    let server = Server::new(&base).unwrap();
    for bad in ["/{a", "G\u{e4}T /", "/{a}/{*b}/c"] {
        assert!(
            matches!(server.route(bad, say("")), Err(Error::Invalid { .. })),
            "{bad}"
        );
    }
    server.route("/{a}", say("")).unwrap();
    assert!(server.route("/{b}", say("")).is_err());
    assert!(server.virtual_host("a b").is_err() && server.virtual_host("*.").is_err());
}

#[test]
fn a_request_goes_to_the_host_that_it_names() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        server.fallback(say("default"));
        let shop = server.virtual_host("Shop.example").unwrap();
        shop.alias("*.shop.example").unwrap();
        shop.route("GET /", say("shop")).unwrap();
        let blog = server.virtual_host("blog.example").unwrap();
        blog.fallback(say("blog"));
        assert!(blog.remove_alias("BLOG.example") && !blog.remove_alias("blog.example"));
        blog.alias("log.example").unwrap();
        let gone = server.virtual_host("gone.example").unwrap();
        assert!(server.remove_virtual_host(&gone) && !server.remove_virtual_host(&gone));
    };
    with_server(setup, |addr| {
        let of = |host: &str, target: &str| {
            let mut client = Client::new(addr);
            client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            client.read().unwrap()
        };
        assert_eq!(of("shop.example:8080", "/").text(), "shop");
        assert_eq!(of("a.b.SHOP.example", "/").text(), "shop");
        assert_eq!(of("shop.example", "/other").status, 404);
        assert_eq!(of("notshop.example", "/").text(), "default");
        assert_eq!(of("log.example", "/x").text(), "blog");
        for other in ["blog.example", "gone.example", "127.0.0.1"] {
            assert_eq!(of(other, "/").text(), "default", "{other}");
        }
        // The target says it before the header does.
        assert_eq!(of("log.example", "http://shop.example/").text(), "shop");
    });
}

#[test]
fn an_answer_may_come_from_another_thread() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        server
            .route("/square/{n}", |request: Request| {
                let n: u64 = request.param("n").unwrap().parse().unwrap();
                let responder = request.into_responder().unwrap();
                thread::spawn(move || match n {
                    0 => drop(responder),
                    n => responder.respond(Response::text((n * n).to_string())),
                });
            })
            .unwrap();
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        for n in 1..50 {
            client.send(request(&format!("GET /square/{n}"), "\r\n"));
            assert_eq!(client.read().unwrap().text(), (n * n).to_string());
        }
        assert_eq!(get(addr, "/square/0").status, 500);
    });
}

#[test]
fn an_answer_from_a_thread_that_is_late_harms_nobody() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    server.fallback(move |request: Request| {
        send.send(request.into_responder().unwrap()).unwrap();
    });
    let addr = server.local_addrs()[0];
    let client = in_background(&base, addr, move |addr| {
        let mut clients: Vec<_> = (0..3).map(|_| Client::new(addr)).collect();
        for client in &mut clients {
            client.send(request("GET /", "\r\n"));
        }
        let responders: Vec<_> = (0..3).map(|_| receive.recv().unwrap()).collect();
        drop(clients);
        responders
    });
    base.run_until_exit().unwrap();
    let mut responders = client.join().unwrap();
    responders
        .pop()
        .unwrap()
        .respond(Response::text("nobody hears it"));
    base.run_nonblocking().unwrap();
    drop((server, base));
    responders
        .pop()
        .unwrap()
        .respond(Response::text("nobody is there"));
}

#[test]
fn a_server_listens_at_several_places() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server.listen("[::1]:0").unwrap();
    let path = std::env::temp_dir().join(format!("libevent2-http-{}.sock", std::process::id()));
    server.listen_by(Listen::unix(&path)).unwrap();
    let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.listen_by(Listen::socket(given)).unwrap();
    server.fallback(|request: Request| {
        let text = format!("{:?}", request.peer().map(|peer| peer.ip()));
        request.reply(StatusCode::OK, text);
    });
    let addrs = server.local_addrs();
    assert_eq!((addrs.len(), server.places().len()), (3, 4));
    let socket = path.clone();
    let client = in_background(&base, addrs[0], move |_| {
        assert_eq!(get(addrs[0], "/").text(), "Some(127.0.0.1)");
        assert_eq!(get(addrs[1], "/").text(), "Some(::1)");
        assert_eq!(get(addrs[2], "/").text(), "Some(127.0.0.1)");
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nNone"), "{answer}");
    });
    base.run_until_exit().unwrap();
    client.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    http_client::finish(&mut base, server);
}

#[test]
fn more_connections_than_allowed_have_to_wait() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        server.set_limits(Limits::new().connections(2).requests_per_connection(2));
        server.fallback(say("served"));
    };
    with_server(setup, |addr| {
        let mut first = Client::new(addr);
        first.send(request("GET /", "\r\n"));
        assert_eq!(first.read().unwrap().header("connection"), None);
        let mut second = Client::new(addr);
        second.send(request("GET /", "\r\n"));
        assert_eq!(second.read().unwrap().text(), "served");
        let mut third = Client::new(addr);
        third.send(request("GET /", "\r\n"));
        let limit = Some(Duration::from_millis(100));
        third.stream().set_read_timeout(limit).unwrap();
        let waits = std::io::Read::read(&mut third.stream(), &mut [0]);
        assert!(waits.is_err(), "it was served beside two others");
        // The second request of the first one is its last.
        first.send(request("GET /", "\r\n"));
        assert_eq!(first.read().unwrap().header("connection"), Some("close"));
        assert!(first.is_closed());
        third.stream().set_read_timeout(None).unwrap();
        assert_eq!(third.read().unwrap().text(), "served");
    });
}

#[test]
fn what_a_server_does_is_counted() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server.route("/", say("12345")).unwrap();
    let addr = server.local_addrs()[0];
    let client = in_background(&base, addr, |addr| {
        get(addr, "/");
        get(addr, "/nothing");
        let mut client = Client::new(addr);
        client.send("GARBAGE\r\n\r\n");
        client.read();
        assert!(client.is_closed());
    });
    base.run_until_exit().unwrap();
    client.join().unwrap();
    while server.connection_count() > 0 {
        base.run_once().unwrap();
    }
    let stats = server.stats();
    assert_eq!(
        (stats.accepted, stats.connections, stats.requests),
        (3, 0, 2)
    );
    assert_eq!((stats.answers, stats.refused), ([0, 1, 0, 2, 0], 1));
    assert!(stats.bytes_in > 80 && stats.bytes_out > 300, "{stats:?}");
    http_client::finish(&mut base, server);
}

#[test]
fn what_is_not_finished_in_time_is_broken_off() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let kept = std::cell::RefCell::new(Vec::new());
    server.fallback(move |request: Request| {
        request.server().close_within(Duration::from_millis(50));
        kept.borrow_mut().push(request);
    });
    let addr = server.local_addrs()[0];
    let client = in_background(&base, addr, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        assert!(client.is_closed());
    });
    server.on_closed(|handle| handle.exit());
    while !server.is_closed() {
        base.run_until_exit().unwrap();
    }
    client.join().unwrap();
}
