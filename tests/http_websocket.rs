//! WebSockets of a server: the handshake, and what handlers do.
#![cfg(feature = "websocket")]

mod common;
mod http_client;
mod http_websocket_common;

use common::{Bump, DropCount, bounded, count};
use http_client::{Client, with_server};
use http_websocket_common::server::{Ends, accept, code_of, echo, note, options};
use http_websocket_common::{ACCEPT, CLOSE, PING, PONG, Raw, TEXT, closing, handshake, masked};
use libevent2::Timer;
use libevent2::http::SendError;
use libevent2::http::websocket::WebSocket;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

// --- the handshake --------------------------------------------------------------------------------

#[test]
fn a_handshake_is_accepted_with_the_key_of_the_rfc() {
    let _bounded = bounded();
    with_server(
        |server| accept(server, options(), |socket| echo(&socket)),
        |addr| {
            let mut client = Raw::connect(addr);
            client.send(handshake("/", ""));
            let answer = client.read_head().to_ascii_lowercase();
            assert!(answer.starts_with("http/1.1 101 "), "{answer}");
            assert!(answer.contains("\r\nupgrade: websocket\r\n"), "{answer}");
            assert!(answer.contains("\r\nconnection: upgrade\r\n"), "{answer}");
            let accept = format!(
                "\r\nsec-websocket-accept: {}\r\n",
                ACCEPT.to_ascii_lowercase()
            );
            assert!(answer.contains(&accept), "{answer}");
            assert!(!answer.contains("content-length"), "{answer}");
            client.text("hello");
            assert_eq!(client.read_text(), "hello");
            client.goodbye();
        },
    );
}

#[test]
fn what_is_sent_behind_the_handshake_is_not_lost() {
    let _bounded = bounded();
    with_server(
        |server| accept(server, options(), |socket| echo(&socket)),
        |addr| {
            let mut client = Raw::connect(addr);
            let early = masked(TEXT, "early");
            client.send([handshake("/", "").into_bytes(), early].concat());
            client.read_head();
            assert_eq!(client.read_text(), "early");
            client.goodbye();
        },
    );
}

#[test]
fn a_handshake_that_is_wrong_is_refused_with_what_is_wrong() {
    let _bounded = bounded();
    let good = handshake("/", "");
    let without = |name: &str| {
        let lines = good.split_inclusive("\r\n");
        lines
            .filter(|line| !line.starts_with(name))
            .collect::<String>()
    };
    let with = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replace(from, to)
    };
    let requests = vec![
        (426, without("Upgrade:")),
        (426, with("Upgrade: websocket", "Upgrade: h2c")),
        (400, without("Connection:")),
        (400, with("Connection: Upgrade", "Connection: keep-alive")),
        (426, without("Sec-WebSocket-Version")),
        (426, with("Version: 13", "Version: 8")),
        (426, with("Version: 13", "Version: 13, 8")),
        (400, without("Sec-WebSocket-Key")),
        (400, with("==", "")),
        (400, with("dGhl", "dGhldGhl")),
        (400, with("dGhl", "????")),
        (
            400,
            handshake("/", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        ),
        (
            400,
            with("GET", "POST").replace(
                "Key:",
                "Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 0\r\nX:",
            ),
        ),
        (400, with("HTTP/1.1", "HTTP/1.0")),
        (400, handshake("/", "Content-Length: 1\r\n") + "x"),
    ];
    let fine = vec![
        with("Upgrade: websocket", "upgrade: h2c, WebSocket"),
        with("Connection: Upgrade", "connection: keep-alive, UPGRADE"),
    ];
    with_server(
        |server| accept(server, options(), |socket| echo(&socket)),
        move |addr| {
            for (status, request) in requests {
                let mut client = Client::new(addr);
                client.send(&request);
                let answer = client.read().unwrap();
                assert_eq!(answer.status, status, "{request}");
                if status == 426 {
                    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
                    assert_eq!(answer.header("upgrade"), Some("websocket"));
                }
            }
            for request in fine {
                let mut client = Raw::connect(addr);
                client.send(&request);
                assert!(client.read_head().starts_with("HTTP/1.1 101 "), "{request}");
                client.goodbye();
            }
        },
    );
}

#[test]
fn the_first_subprotocol_of_the_client_that_is_known_is_taken() {
    let _bounded = bounded();
    let (seen, known) = (
        Rc::new(RefCell::new(Vec::new())),
        options().protocol("b").protocol("c"),
    );
    let spoken = Rc::clone(&seen);
    with_server(
        |server| {
            accept(server, known, move |socket| {
                spoken
                    .borrow_mut()
                    .push(socket.protocol().map(str::to_owned));
            });
        },
        |addr| {
            for (offer, taken) in [("a, c,b", Some("c")), ("a", None), ("B", None)] {
                let mut client = Raw::connect(addr);
                let offer = format!("Sec-WebSocket-Protocol: {offer}\r\n");
                client.send(handshake("/", &offer));
                let answer = client.read_head().to_ascii_lowercase();
                let line = taken.map(|name| format!("sec-websocket-protocol: {name}\r\n"));
                match line {
                    Some(line) => assert!(answer.contains(&line), "{answer}"),
                    None => assert!(!answer.contains("-protocol"), "{answer}"),
                }
                client.goodbye();
            }
        },
    );
    let seen: Vec<_> = seen.borrow().clone();
    assert_eq!(seen, [Some("c".to_owned()), None, None]);
}

#[test]
fn pages_of_other_origins_are_kept_out_unless_they_are_let_in() {
    let _bounded = bounded();
    with_server(
        |server| {
            let routes = [
                ("/own", options()),
                ("/one", options().origin("https://friend.example")),
                ("/any", options().any_origin()),
            ];
            for (path, options) in routes {
                server
                    .route(path, move |request| drop(request.websocket(&options)))
                    .unwrap();
            }
        },
        |addr| {
            let cases = [
                ("/own", "", 101),
                ("/own", "Origin: http://test\r\n", 101),
                ("/own", "Origin: http://TEST:80\r\n", 101),
                ("/own", "Origin: http://test:81\r\n", 403),
                ("/own", "Origin: http://test.example\r\n", 403),
                ("/own", "Origin: null\r\n", 403),
                (
                    "/own",
                    "Origin: http://test\r\nOrigin: http://test\r\n",
                    403,
                ),
                ("/one", "Origin: https://friend.example\r\n", 101),
                ("/one", "Origin: http://friend.example\r\n", 403),
                ("/one", "Origin: http://test\r\n", 101),
                ("/any", "Origin: http://evil.example\r\n", 101),
            ];
            for (path, origin, status) in cases {
                let mut client = Raw::connect(addr);
                client.send(handshake(path, origin));
                let answer = client.read_head();
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status} ")),
                    "{path} {origin}"
                );
            }
        },
    );
}

// --- what handlers do -----------------------------------------------------------------------------

#[test]
fn a_message_can_be_sent_at_any_time_and_to_all() {
    let _bounded = bounded();
    let all = Rc::new(RefCell::new(Vec::<WebSocket>::new()));
    with_server(
        move |server| {
            accept(server, options(), move |socket| {
                socket.send_text("welcome").unwrap();
                all.borrow_mut().push(socket.clone());
                let others = Rc::clone(&all);
                socket.on_message(move |_, message| {
                    for socket in others.borrow().iter() {
                        socket.send(message).unwrap();
                    }
                });
                let others = Rc::clone(&all);
                let me = socket.clone();
                socket.on_close(move |_| others.borrow_mut().retain(|other| *other != me));
            });
        },
        |addr| {
            let mut clients = [(); 3].map(|()| Raw::open(addr, "/"));
            for client in &mut clients {
                assert_eq!(client.read_text(), "welcome");
            }
            clients[1].text("hello");
            for client in &mut clients {
                assert_eq!(client.read_text(), "hello");
            }
            for client in clients {
                client.goodbye();
            }
        },
    );
}

#[test]
fn a_callback_can_be_replaced_and_the_socket_closed_inside_it() {
    let _bounded = bounded();
    let ends = Ends::default();
    let dropped = count();
    let (noted, drops) = (Rc::clone(&ends), dropped.clone());
    with_server(
        move |server| {
            accept(server, options(), move |socket| {
                note(&socket, &noted);
                let captured = DropCount(drops.clone());
                socket.on_message(move |socket, _| {
                    let _captured = &captured;
                    let first = socket.clone();
                    socket.on_message(move |socket, message| {
                        assert_eq!(*socket, first);
                        socket.send(message).unwrap();
                        socket.close(4001, "enough").unwrap();
                        assert_eq!(socket.send_text("too late"), Err(SendError::Closed));
                        // Twice is fine.
                        socket.close(1000, "").unwrap();
                        assert!(!socket.is_open());
                    });
                });
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            // Of three at once, the third comes after the close.
            let messages = ["one", "two", "three"].map(|text| masked(TEXT, text));
            client.send(messages.concat());
            assert_eq!(client.read_text(), "two");
            assert_eq!(client.read_close(), (4001, "enough".to_owned()));
            client.send(masked(CLOSE, closing(4001, "enough")));
            assert!(client.is_closed());
        },
    );
    assert_eq!(code_of(&ends), [(4001, true)]);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_close_with_a_wrong_code_or_a_long_reason_is_an_error_and_does_nothing() {
    let _bounded = bounded();
    with_server(
        |server| {
            accept(server, options(), |socket| {
                for code in [0, 999, 1004, 1005, 1006, 1015, 2000, 5000] {
                    let error = socket.close(code, "").unwrap_err();
                    assert!(matches!(error, SendError::Invalid(_)), "{code}");
                }
                let long = "r".repeat(124);
                assert!(matches!(
                    socket.close(1000, &long),
                    Err(SendError::Invalid(_))
                ));
                assert!(matches!(socket.ping(&[0; 126]), Err(SendError::Invalid(_))));
                socket.ping(&[7; 125]).unwrap();
                socket.on_pong(|socket, payload| {
                    assert_eq!(payload, [7; 125]);
                    socket.close(1000, &"r".repeat(123))
                });
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            let (first, payload) = client.frame().unwrap();
            assert_eq!(first, PING);
            client.send(masked(PONG, payload));
            assert_eq!(client.read_close().1.len(), 123);
        },
    );
}

#[test]
fn a_paused_socket_gets_nothing_until_it_goes_on() {
    let _bounded = bounded();
    let seen = count();
    let counted = seen.clone();
    with_server(
        move |server| {
            accept(server, options(), move |socket| {
                let seen = counted.clone();
                socket.on_message(move |socket, message| {
                    seen.bump();
                    socket.send(message).unwrap();
                    socket.pause();
                    let (base, socket) = (socket.handle().clone(), socket.clone());
                    let (seen, before) = (seen.clone(), seen.get());
                    let go_on = move |_: &_| {
                        assert_eq!(seen.get(), before);
                        socket.resume();
                    };
                    Timer::after(&base, Duration::from_millis(20), go_on).map(Timer::detach)
                });
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            client.send(["a", "b", "c"].map(|text| masked(TEXT, text)).concat());
            let texts = [(); 3].map(|()| client.read_text());
            assert_eq!(texts, ["a", "b", "c"]);
            client.goodbye();
        },
    );
    assert_eq!(seen.get(), 3);
}

#[test]
fn one_that_does_not_read_fills_no_memory_and_is_drained_when_it_does() {
    let _bounded = bounded();
    const MESSAGE: usize = 64 << 10;
    let most = Rc::new(Cell::new(0));
    let (seen, small) = (Rc::clone(&most), options().pending_bytes(1 << 20));
    with_server(
        move |server| {
            accept(server, small, move |socket| {
                let most = Rc::clone(&seen);
                socket.on_drain(move |socket| {
                    let message = [b'x'; MESSAGE];
                    loop {
                        match socket.send_binary(&message) {
                            Ok(()) => most.set(socket.pending().max(most.get())),
                            Err(SendError::Full { limit, .. }) => {
                                assert_eq!(limit, 1 << 20);
                                return;
                            }
                            Err(_) => return,
                        }
                    }
                });
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            for _ in 0..500 {
                assert_eq!(client.frame().unwrap().1.len(), MESSAGE);
            }
        },
    );
    assert!(
        most.get() > 0 && most.get() < (1 << 20) + MESSAGE,
        "{}",
        most.get()
    );
}

#[test]
fn one_that_asks_and_does_not_read_is_not_read_either() {
    let _bounded = bounded();
    let most = Rc::new(Cell::new(0));
    let (seen, small) = (
        Rc::clone(&most),
        options().pending_bytes(256 << 10).message_bytes(64 << 10),
    );
    with_server(
        move |server| {
            accept(server, small, move |socket| {
                let most = Rc::clone(&seen);
                socket.on_message(move |socket, message| {
                    socket.send(message).unwrap();
                    most.set(socket.pending().max(most.get()));
                });
            });
        },
        |addr| {
            let mut client = Raw::open(addr, "/");
            let stream = client.stream().try_clone().unwrap();
            let sender = std::thread::spawn(move || {
                use std::io::Write;
                let message = masked(TEXT, [b'x'; 60_000]);
                for _ in 0..400 {
                    (&stream).write_all(&message).unwrap();
                }
            });
            for _ in 0..400 {
                assert_eq!(client.read_text().len(), 60_000);
            }
            sender.join().unwrap();
            client.goodbye();
        },
    );
    assert!(most.get() <= 256 << 10, "{}", most.get());
}
