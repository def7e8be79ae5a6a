//! What comes back for what a client sends: the cases of the Autobahn testsuite, by behaviour.
#![cfg(feature = "websocket")]

mod common;
mod http_client;
mod http_websocket_common;

use common::bounded;
use http_client::with_server;
use http_websocket_common::{
    BINARY, CLOSE, PING, PONG, Raw, TEXT, closing, head, masked, plain, with_mask,
};
use libevent2::http::Server;
use libevent2::http::websocket::WebSocketOptions;
use std::net::SocketAddr;

/// The most bytes of a message.
const LIMIT: usize = 1 << 17;
/// The most bytes of a frame, at another place.
const FRAME: usize = 1000;

fn echo(server: &Server) {
    let options = [
        ("/", WebSocketOptions::new().message_bytes(LIMIT)),
        ("/frames", WebSocketOptions::new().frame_bytes(FRAME)),
    ];
    for (path, options) in options {
        server
            .route(path, move |request| {
                let socket = request.websocket(&options).unwrap();
                socket.on_message(|socket, message| socket.send(message));
            })
            .unwrap();
    }
}

/// What has to come back.
#[derive(Debug, Clone)]
enum Back {
    Frame(u8, Vec<u8>),
    /// The connection ends with this code, by the server's will.
    Fails(u16),
    /// The client's own Close is answered with this code.
    Closed(u16),
}

use Back::{Closed, Fails, Frame};

struct Case {
    name: String,
    send: Vec<u8>,
    back: Vec<Back>,
}

fn case(name: impl Into<String>, send: impl AsRef<[u8]>, back: &[Back]) -> Case {
    Case {
        name: name.into(),
        send: send.as_ref().to_vec(),
        back: back.to_vec(),
    }
}

/// How the bytes of a case are cut into writes.
const CUTS: [usize; 3] = [usize::MAX, 997, 1];

fn run(addr: SocketAddr, path: &str, case: &Case, cut: usize) {
    let name = format!("{} in pieces of {cut}", case.name);
    let mut raw = Raw::open(addr, path);
    for piece in case.send.chunks(cut) {
        // A server that has heard enough may have closed.
        raw.try_send(piece);
    }
    for back in &case.back {
        match back {
            Frame(first, payload) => {
                let (got, bytes) = raw.frame().unwrap_or_else(|| panic!("{name}: the end"));
                assert_eq!(got, *first, "{name}");
                assert!(bytes == *payload, "{name}: {} bytes", bytes.len());
            }
            Fails(code) | Closed(code) => {
                assert_eq!(raw.read_close().0, *code, "{name}");
                assert!(raw.is_closed(), "{name}");
                return;
            }
        }
    }
    raw.goodbye();
}

fn check(path: &'static str, cases: Vec<Case>) {
    let _bounded = bounded();
    with_server(echo, move |addr| {
        for case in &cases {
            for cut in CUTS {
                // Byte by byte what is long takes long, and shows nothing new.
                if cut > 1 || case.send.len() < 1000 {
                    run(addr, path, case, cut);
                }
            }
        }
    });
}

fn text(payload: &[u8]) -> Back {
    Frame(TEXT, payload.to_vec())
}

#[test]
fn messages_of_all_lengths_come_back() {
    let mut cases = Vec::new();
    for length in [0, 1, 125, 126, 127, 128, 65535, 65536, LIMIT] {
        let letters: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
        let bytes: Vec<u8> = (0..=255).rev().cycle().take(length).collect();
        let name = format!("a text of {length}");
        cases.push(case(name, masked(TEXT, &letters), &[text(&letters)]));
        let name = format!("{length} bytes");
        let back = Frame(BINARY, bytes.clone());
        cases.push(case(name, masked(BINARY, &bytes), &[back]));
    }
    check("/", cases);
}

#[test]
fn pings_are_answered_and_pongs_are_not() {
    let ping = |payload: &[u8]| masked(PING, payload);
    let pong = |payload: &[u8]| Frame(PONG, payload.to_vec());
    let many: Vec<u8> = (0..10u8).flat_map(|n| ping(&[n])).collect();
    let pongs: Vec<_> = (0..10u8).map(|n| pong(&[n])).collect();
    let unasked = [masked(PONG, "x"), masked(PONG, ""), masked(TEXT, "a")].concat();
    check(
        "/",
        vec![
            case("an empty ping", ping(b""), &[pong(b"")]),
            case("a ping", ping(b"hello"), &[pong(b"hello")]),
            case("no text", ping(&[0, 0xff, 0xfe]), &[pong(&[0, 0xff, 0xfe])]),
            case("125 bytes", ping(&[b'x'; 125]), &[pong(&[b'x'; 125])]),
            case("126 bytes", ping(&[b'x'; 126]), &[Fails(1002)]),
            case("ten", many, &pongs),
            case("pongs", unasked, &[text(b"a")]),
        ],
    );
}

#[test]
fn reserved_bits_and_opcodes_fail() {
    let mut cases = Vec::new();
    for bit in [0x40, 0x20, 0x10, 0x70] {
        let name = format!("bits {bit:#x}");
        cases.push(case(name, masked(TEXT | bit, "a"), &[Fails(1002)]));
        let name = format!("ping with {bit:#x}");
        cases.push(case(name, masked(PING | bit, ""), &[Fails(1002)]));
        let send = [masked(TEXT, "a"), masked(TEXT | bit, "b")].concat();
        let name = format!("text before {bit:#x}");
        cases.push(case(name, send, &[text(b"a"), Fails(1002)]));
    }
    for opcode in (3..8).chain(11..16) {
        for first in [opcode, 0x80 | opcode] {
            let send = [masked(TEXT, "a"), masked(first, "b"), masked(PING, "")].concat();
            let name = format!("opcode {first:#x}");
            cases.push(case(name, send, &[text(b"a"), Fails(1002)]));
        }
    }
    check("/", cases);
}

#[test]
fn fragments_are_put_together_with_what_is_between_them() {
    let frames = |frames: &[(u8, &str)]| {
        let frames = frames.iter().map(|(first, text)| masked(*first, text));
        frames.collect::<Vec<_>>().concat()
    };
    let pong = |payload: &str| Frame(PONG, payload.into());
    check(
        "/",
        vec![
            case(
                "two",
                frames(&[(0x01, "frag"), (0x80, "ment")]),
                &[text(b"fragment")],
            ),
            case(
                "with nothing in them",
                frames(&[(0x02, ""), (0x00, ""), (0x80, "")]),
                &[Frame(BINARY, vec![])],
            ),
            case(
                "a ping between",
                frames(&[
                    (0x01, "a"),
                    (PING, "p"),
                    (0x00, "b"),
                    (PING, "q"),
                    (0x80, "c"),
                ]),
                &[pong("p"), pong("q"), text(b"abc")],
            ),
            case(
                "a close between",
                [masked(0x01, "a"), masked(CLOSE, closing(1000, ""))].concat(),
                &[Closed(1000)],
            ),
            case(
                "a ping in fragments",
                frames(&[(0x09, "a"), (0x80, "b")]),
                &[Fails(1002)],
            ),
            case(
                "a pong in fragments",
                frames(&[(0x0a, "a"), (0x80, "b")]),
                &[Fails(1002)],
            ),
            case(
                "a close in fragments",
                frames(&[(0x08, ""), (0x80, "")]),
                &[Fails(1002)],
            ),
            case(
                "a continuation of nothing",
                frames(&[(0x80, "a")]),
                &[Fails(1002)],
            ),
            case(
                "a first continuation",
                frames(&[(0x00, "a"), (0x80, "b")]),
                &[Fails(1002)],
            ),
            case(
                "a continuation behind a whole one",
                frames(&[(TEXT, "a"), (0x80, "b")]),
                &[text(b"a"), Fails(1002)],
            ),
            case(
                "a text in the middle of one",
                frames(&[(0x01, "a"), (TEXT, "b")]),
                &[Fails(1002)],
            ),
            case(
                "bytes in the middle of a text",
                frames(&[(0x01, "a"), (0x02, "b"), (0x80, "c")]),
                &[Fails(1002)],
            ),
        ],
    );
}

#[test]
fn a_frame_without_a_mask_and_a_length_that_is_too_long_written_fail() {
    let mut short_in_two = vec![TEXT, 0x80 | 126, 0, 125];
    let mut short_in_eight = vec![TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 5];
    let mut middle_in_eight = vec![BINARY, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    short_in_two = with_mask(short_in_two, &[b'a'; 125]);
    short_in_eight = with_mask(short_in_eight, b"hello");
    middle_in_eight = with_mask(middle_in_eight, &[0; 0xffff]);
    let negative = [TEXT, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5];
    check(
        "/",
        vec![
            case("no mask", plain(TEXT, "a"), &[Fails(1002)]),
            case("a ping without", plain(PING, ""), &[Fails(1002)]),
            case(
                "a close without",
                plain(CLOSE, closing(1000, "")),
                &[Fails(1002)],
            ),
            case("125 in two bytes", short_in_two, &[Fails(1002)]),
            case("5 in eight bytes", short_in_eight, &[Fails(1002)]),
            case("65535 in eight bytes", middle_in_eight, &[Fails(1002)]),
            case("the highest bit", negative, &[Fails(1002)]),
        ],
    );
}

#[test]
fn what_is_utf8_comes_back_wherever_it_is_cut() {
    let mut cases = Vec::new();
    let all = "κόσμε \u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\0\u{fffe}\u{fdd0} ü€😀";
    let bytes = all.as_bytes();
    cases.push(case("in one", masked(TEXT, bytes), &[text(bytes)]));
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        let send = [masked(0x01, first), masked(0x80, second)].concat();
        cases.push(case(format!("cut at {at}"), send, &[text(bytes)]));
    }
    let mut each = masked(0x01, "");
    for byte in bytes {
        each.extend(masked(0x00, [*byte]));
    }
    each.extend(masked(0x80, ""));
    cases.push(case("a byte in a frame", each, &[text(bytes)]));
    check("/", cases);
}

#[test]
fn text_that_is_not_utf8_fails_wherever_it_is() {
    let invalid: [&[u8]; 21] = [
        b"\x80",
        b"\xbf",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xe0\x9f\xbf",
        b"\xf0\x80\x80\xaf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        // Not to their ends.
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xce\xba\xe1\xbd",
    ];
    let mut cases = Vec::new();
    for bytes in invalid {
        let name = |how: &str| format!("{bytes:x?} {how}");
        let around = [b"before ", bytes].concat();
        let fails = &[Fails(1007)];
        cases.push(case(name("alone"), masked(TEXT, bytes), fails));
        cases.push(case(name("last"), masked(TEXT, &around), fails));
        let middle = [&around, &b" after"[..]].concat();
        cases.push(case(name("in the middle"), masked(TEXT, &middle), fails));
        let fragments = [masked(0x01, &around), masked(0x80, " after")].concat();
        cases.push(case(name("in the first of two"), fragments, fails));
        let fragments = [masked(0x01, "before"), masked(0x80, bytes)].concat();
        cases.push(case(name("in the second"), fragments, fails));
        let first = [masked(0x01, &bytes[..1]), masked(0x80, &bytes[1..])].concat();
        cases.push(case(name("cut"), first, fails));
        let back = Frame(BINARY, bytes.to_vec());
        cases.push(case(name("as bytes"), masked(BINARY, bytes), &[back]));
        let close = [&1000u16.to_be_bytes(), bytes].concat();
        cases.push(case(name("as a reason"), masked(CLOSE, close), fails));
    }
    check("/", cases);
}

/// A fragment that cannot become UTF-8 any more fails before the message is whole.
#[test]
fn text_fails_as_soon_as_it_cannot_be_utf8_any_more() {
    let send = [masked(0x01, "before"), masked(0x00, b"\xed\xa0\x80")].concat();
    check("/", vec![case("no last frame", send, &[Fails(1007)])]);
}

#[test]
fn a_close_is_answered_with_its_own_code_or_as_a_fault() {
    let close = |payload: &[u8]| masked(CLOSE, payload);
    let mut cases = vec![
        case("no code", close(b""), &[Closed(1005)]),
        case("half a code", close(b"\x03"), &[Fails(1002)]),
        case(
            "125 bytes",
            close(&closing(1000, &"r".repeat(123))),
            &[Closed(1000)],
        ),
        case(
            "126 bytes",
            close(&closing(1000, &"r".repeat(124))),
            &[Fails(1002)],
        ),
        case(
            "a message behind it",
            [close(&closing(1000, "")), masked(TEXT, "too late")].concat(),
            &[Closed(1000)],
        ),
        case(
            "a ping behind it",
            [close(&closing(1000, "")), masked(PING, "too late")].concat(),
            &[Closed(1000)],
        ),
        case(
            "two",
            [close(&closing(1000, "")), close(&closing(1001, ""))].concat(),
            &[Closed(1000)],
        ),
        case(
            "messages before it",
            [
                masked(TEXT, "a"),
                masked(TEXT, "b"),
                close(&closing(1000, "r")),
            ]
            .concat(),
            &[text(b"a"), text(b"b"), Closed(1000)],
        ),
    ];
    let valid = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999,
    ];
    for code in valid {
        let payload = closing(code, "because");
        cases.push(case(format!("{code}"), close(&payload), &[Closed(code)]));
    }
    let invalid = [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ];
    for code in invalid {
        let payload = closing(code, "because");
        cases.push(case(format!("{code}"), close(&payload), &[Fails(1002)]));
    }
    check("/", cases);
}

#[test]
fn a_message_that_is_too_long_fails_before_it_is_read() {
    let too_much = vec![b'x'; LIMIT + 1];
    // Nothing of the payload is ever sent.
    let promise = |length| with_mask(head(BINARY, length, true), b"");
    let (half, rest) = too_much.split_at(LIMIT / 2);
    let fragments = [masked(0x02, half), masked(0x00, &rest[1..])];
    let mut fine = fragments.concat();
    fine.extend(masked(0x80, ""));
    let mut over = fragments.concat();
    over.extend(masked(0x80, "x"));
    check(
        "/",
        vec![
            case("one byte more", masked(BINARY, &too_much), &[Fails(1009)]),
            case("a promise", promise(LIMIT + 1), &[Fails(1009)]),
            case("a huge promise", promise(1 << 62), &[Fails(1009)]),
            case(
                "just so in fragments",
                fine,
                &[Frame(BINARY, too_much[1..].to_vec())],
            ),
            case("too long in fragments", over, &[Fails(1009)]),
        ],
    );
}

#[test]
fn a_frame_may_have_its_own_limit() {
    let most = [b'x'; FRAME];
    let twice = [masked(0x02, most), masked(0x80, most)].concat();
    check(
        "/frames",
        vec![
            case(
                "as long as may be",
                masked(BINARY, most),
                &[Frame(BINARY, most.to_vec())],
            ),
            case("two", twice, &[Frame(BINARY, most.repeat(2))]),
            case("longer", masked(BINARY, [b'x'; FRAME + 1]), &[Fails(1009)]),
        ],
    );
}
