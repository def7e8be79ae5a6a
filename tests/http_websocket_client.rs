//! WebSockets of a client: the handshake, what it sends, and what servers do to it.
#![cfg(feature = "websocket")]

mod common;
mod http_websocket_common;

use common::{Bump, bounded, count};
use http_websocket_common::{CLOSE, PING, PONG, Raw, TEXT, closing, masked, plain};
use libevent2::EventBase;
use libevent2::http::websocket::{CloseEvent, ConnectError, WebSocket, WebSocketOptions};
use libevent2::http::{Client, ClientErrorKind, SendError, Server, StatusCode};
use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tungstenite::handshake::derive_accept_key;

/// A server that accepts one connection, and says what a test wants said.
fn serve(serve: impl FnOnce(Raw) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = thread::spawn(move || serve(Raw::of(listener.accept().unwrap().0)));
    (addr, server)
}

/// The head of an answer that accepts the handshake in `head`.
fn accepting(head: &str) -> String {
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then_some(value)
    });
    let accept = derive_accept_key(line.expect("a key").as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    )
}

type Ends = Rc<RefCell<Vec<CloseEvent>>>;

/// Connects, gives the WebSocket to `begin`, and runs the loop until nothing is left; how it ended.
fn connect(
    addr: SocketAddr,
    options: WebSocketOptions,
    begin: impl FnOnce(&WebSocket) + 'static,
) -> Result<Vec<CloseEvent>, ConnectError> {
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let ends = Ends::default();
    let result = Rc::new(RefCell::new(None));
    let (noted, place) = (Rc::clone(&ends), Rc::clone(&result));
    let request = client
        .websocket(&format!("ws://{addr}/path?query"))
        .unwrap();
    let pending = request.options(options).connect(move |result| {
        let result = result.map(|socket| {
            socket.on_close(move |end| noted.borrow_mut().push(end));
            begin(&socket);
        });
        place.replace(Some(result));
    });
    base.run().unwrap();
    drop(pending);
    result.take().expect("the callback has run")?;
    assert_eq!(base.stats().live(libevent2::Kind::BufferEvent), 0);
    Ok(ends.take())
}

fn quick() -> WebSocketOptions {
    WebSocketOptions::new().close_timeout(Duration::from_millis(100))
}

#[test]
fn a_client_and_a_server_of_this_crate_talk_to_each_other() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let options = WebSocketOptions::new().protocol("b");
    let accepting = options.clone();
    server
        .route("/echo", move |request| {
            let socket = request.websocket(&accepting).unwrap();
            socket.on_message(|socket, message| socket.send(message));
        })
        .unwrap();
    let url = format!("ws://{}/echo", server.local_addrs()[0]);
    let client = Client::new(&base).unwrap();
    let seen = count();
    let counted = seen.clone();
    let request = client.websocket(&url).unwrap();
    request
        .options(options.protocol("c"))
        .connect(move |result| {
            let socket = result.unwrap();
            assert_eq!(socket.protocol(), Some("b"));
            for length in [0, 1, 125, 126, 65535, 65536, 1 << 20] {
                socket.send_binary(&vec![7; length]).unwrap();
            }
            socket.send_text("the end").unwrap();
            socket.on_message(move |socket, message| {
                counted.bump();
                match message.as_text() {
                    Some(text) => {
                        assert_eq!(text, "the end");
                        socket.close(1000, "thanks").unwrap();
                    }
                    None => assert!(message.as_bytes().iter().all(|byte| *byte == 7)),
                }
            });
            socket.on_close(move |end| {
                assert_eq!((end.code, end.reason.as_str()), (1000, "thanks"));
                assert!(end.was_clean);
                server.close();
            });
        })
        .detach();
    base.run().unwrap();
    assert_eq!(seen.get(), 8);
}

#[test]
fn the_handshake_is_as_the_rfc_has_it_and_frames_have_masks() {
    let _bounded = bounded();
    let (addr, server) = serve(|mut raw| {
        let head = raw.read_head();
        let lower = head.to_ascii_lowercase();
        assert!(head.starts_with("GET /path?query HTTP/1.1\r\n"), "{head}");
        for line in [
            "upgrade: websocket",
            "connection: upgrade",
            "sec-websocket-version: 13",
            "sec-websocket-protocol: a, b",
        ] {
            assert!(lower.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
        }
        // What is sent behind the answer at once is not lost.
        let answer = accepting(&head) + "\r\n";
        raw.send([answer.into_bytes(), plain(TEXT, "early")].concat());
        let mut bytes = [0; 11];
        std::io::Read::read_exact(&mut raw.stream(), &mut bytes).unwrap();
        assert_eq!(bytes[..2], [TEXT, 0x80 | 5]);
        let mask = &bytes[2..6];
        let text: Vec<u8> = (0..5).map(|at| bytes[6 + at] ^ mask[at % 4]).collect();
        assert_eq!(text, b"early");
        raw.send(plain(PING, "are you there"));
        assert_eq!(raw.frame().unwrap(), (PONG, b"are you there".to_vec()));
        raw.send(plain(CLOSE, closing(4000, "bye")));
        assert_eq!(raw.read_close(), (4000, "bye".to_owned()));
    });
    let options = quick().protocol("a").protocol("b");
    let ends = connect(addr, options, |socket| {
        assert_eq!(socket.protocol(), None);
        socket.on_message(|socket, message| socket.send(message));
    });
    server.join().unwrap();
    let end = &ends.unwrap()[0];
    assert_eq!(
        (end.code, end.reason.as_str(), end.was_clean),
        (4000, "bye", true)
    );
}

#[test]
fn a_server_that_answers_wrongly_is_refused() {
    let _bounded = bounded();
    type Change = fn(String) -> String;
    let changes: [Change; 7] = [
        |head| head.replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x"),
        |head| head.replace("Sec-WebSocket-Accept", "X"),
        |head| head.replace("Upgrade: websocket", "Upgrade: h2c"),
        |head| head + "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        |head| head + "Sec-WebSocket-Protocol: c\r\n",
        |head| head + "Sec-WebSocket-Protocol: a, b\r\n",
        |head| head + "Sec-WebSocket-Accept: x\r\n",
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (addr, server) = serve(move |mut raw| {
            let head = raw.read_head();
            raw.send(change(accepting(&head)) + "\r\n");
            assert!(raw.is_closed());
        });
        let options = quick().protocol("a").protocol("b");
        let error = connect(addr, options, |_| unreachable!()).unwrap_err();
        server.join().unwrap();
        let refused = match &error {
            ConnectError::Handshake(_) => true,
            ConnectError::Request(error) => matches!(error.kind(), ClientErrorKind::Malformed(_)),
            _ => false,
        };
        assert!(refused, "{number}: {error}");
    }
}

#[test]
fn a_server_that_does_not_accept_is_named_with_its_status() {
    let _bounded = bounded();
    let (addr, server) = serve(|mut raw| {
        raw.read_head();
        raw.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    });
    let error = connect(addr, quick(), |_| unreachable!()).unwrap_err();
    server.join().unwrap();
    let ConnectError::Request(error) = error else {
        panic!("{error}");
    };
    let ClientErrorKind::NotUpgraded(status) = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(*status, StatusCode::FORBIDDEN);
}

#[test]
fn urls_are_those_of_websockets() {
    let base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for url in [
        "ws://host",
        "WS://host:1/path",
        "wss://host/",
        "https://host/",
    ] {
        assert!(client.websocket(url).is_ok(), "{url}");
    }
    for url in ["", "host", "ftp://host", "ws://", "ws:/host", "ws://a b/"] {
        assert!(client.websocket(url).is_err(), "{url}");
    }
}

/// What a server sends, and the code of the Close that it gets, and of the event.
#[test]
fn a_server_that_breaks_the_protocol_is_told_so() {
    let _bounded = bounded();
    let cases = [
        (masked(TEXT, "a"), 1002),
        (plain(TEXT | 0x40, "a"), 1002),
        (plain(0x83, "a"), 1002),
        (plain(0x80, "a"), 1002),
        (plain(PING, [0; 126]), 1002),
        (plain(CLOSE, [3]), 1002),
        (plain(TEXT, [0xff]), 1007),
        (plain(TEXT, [b'a'; 1001]), 1009),
    ];
    for (bytes, code) in cases {
        let (addr, server) = serve(move |mut raw| {
            let head = raw.read_head();
            raw.send(accepting(&head) + "\r\n");
            raw.send(bytes);
            assert_eq!(raw.read_close().0, code);
            assert!(raw.is_closed());
        });
        let ends = connect(addr, quick().message_bytes(1000), |socket| {
            socket.on_message(|_, _| -> () { unreachable!() });
        });
        server.join().unwrap();
        let end = &ends.unwrap()[0];
        assert_eq!((end.code, end.was_clean), (code, false), "{end:?}");
    }
}

#[test]
fn a_server_that_goes_or_is_silent_is_noticed() {
    let _bounded = bounded();
    let (addr, server) = serve(|mut raw| {
        let head = raw.read_head();
        raw.send(accepting(&head) + "\r\n");
    });
    let ends = connect(addr, quick(), |_| {}).unwrap();
    server.join().unwrap();
    assert_eq!((ends[0].code, ends[0].was_clean), (1006, false));

    let (addr, server) = serve(|mut raw| {
        let head = raw.read_head();
        raw.send(accepting(&head) + "\r\n");
        // Pings, and no Close.
        while let Some((first, _)) = raw.frame() {
            assert_eq!(first, PING);
        }
    });
    let impatient = quick().ping(Some(Duration::from_millis(20)), Duration::from_millis(50));
    let ends = connect(addr, impatient, |_| {}).unwrap();
    server.join().unwrap();
    assert_eq!((ends[0].code, ends[0].was_clean), (1006, false));
}

#[test]
fn a_client_that_closes_waits_for_the_server_and_not_forever() {
    let _bounded = bounded();
    let (addr, server) = serve(|mut raw| {
        let head = raw.read_head();
        raw.send(accepting(&head) + "\r\n");
        assert_eq!(raw.read_close().0, 1000);
        raw.send(plain(TEXT, "too late for the program"));
        raw.send(plain(CLOSE, closing(1000, "")));
        // The server does not close: the client does, when its time is over.
        assert!(raw.is_closed());
    });
    let ends = connect(addr, quick(), |socket| {
        socket.on_message(|_, _| -> () { unreachable!() });
        socket.close(1000, "").unwrap();
        assert_eq!(socket.send_text("late"), Err(SendError::Closed));
    });
    server.join().unwrap();
    let end = &ends.unwrap()[0];
    assert_eq!((end.code, end.was_clean), (1000, true));
}

#[test]
fn what_is_dropped_before_the_answer_is_not_called() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let (addr, server) = serve(|mut raw| {
        assert!(raw.is_closed());
    });
    let request = client.websocket(&format!("ws://{addr}")).unwrap();
    let pending = request.connect(|_| -> () { unreachable!() });
    drop(pending);
    base.run().unwrap();
    drop(client);
    drop(base);
    // It may never have come to a connection.
    drop(std::net::TcpStream::connect(addr));
    server.join().unwrap();
}
