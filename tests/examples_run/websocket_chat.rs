use crate::common::bounded;
use crate::program::{Program, connect};
use crate::websockets::{BINARY, CLOSE, Raw, closing, handshake, masked};
use std::io::{Read, Write};

fn enter(port: u16) -> Raw {
    let mut raw = Raw::of(connect(port));
    raw.send(handshake("/chat", ""));
    assert!(raw.read_head().starts_with("HTTP/1.1 101 "));
    raw
}

#[test]
fn what_is_said_goes_to_everybody() {
    let _watchdog = bounded();
    let server = Program::start("websocket_chat", &["0"]);
    let port = server.port();
    let mut one = enter(port);
    assert_eq!(one.read_text(), "* guest1 joins");
    let mut two = enter(port);
    assert_eq!(two.read_text(), "* guest2 joins");
    assert_eq!(one.read_text(), "* guest2 joins");
    two.text("hello");
    assert_eq!(one.read_text(), "guest2: hello");
    assert_eq!(two.read_text(), "guest2: hello");
    two.send(masked(BINARY, "no text"));
    assert_eq!(two.read_close().0, 1003);
    two.send(masked(CLOSE, closing(1003, "")));
    assert!(two.is_closed());
    assert_eq!(one.read_text(), "* guest2 leaves");
    one.goodbye();
}

#[test]
fn there_is_a_page_and_an_interrupt_says_goodbye() {
    let _watchdog = bounded();
    let server = Program::start("websocket_chat", &["0"]);
    let port = server.port();
    let mut browser = connect(port);
    browser
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    browser.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("new WebSocket("));
    let mut guest = enter(port);
    assert_eq!(guest.read_text(), "* guest1 joins");
    server.signal(libc::SIGINT);
    assert_eq!(guest.read_close().0, 1001);
    guest.send(masked(CLOSE, closing(1001, "")));
    assert!(guest.is_closed());
    let end = server.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stderr, "");
}
