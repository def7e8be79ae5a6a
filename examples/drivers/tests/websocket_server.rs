//! A WebSocket server by tokio-tungstenite on the loop, for Python's `websockets` and Node's `ws`.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use support::{Program, bounded, example, node, python};

/// How long the messages are.
const LENGTHS: &str = "0 1 125 126 65535 65536 1000000 8000000";

const PYTHON: &str = r#"
import asyncio, sys, websockets

async def talk(url, lengths):
    async with websockets.connect(url, max_size=None) as socket:
        for length in lengths:
            for message in ["ü" * (length // 2), bytes(length)]:
                await socket.send(message)
                assert await socket.recv() == message
        await socket.send(["in ", "frag", "ments"])
        assert await socket.recv() == "in fragments"
        await (await socket.ping(b"hello"))
    assert socket.close_code == 1000, socket.close_code

async def main(url, lengths):
    await talk(url, lengths)
    await asyncio.gather(*(talk(url, range(0, 5000, 100)) for _ in range(50)))
    print("done")

asyncio.run(main(sys.argv[1], [int(length) for length in sys.argv[2].split()]))
"#;

const NODE: &str = r#"
const assert = require("assert"), WebSocket = require("ws");
const [url, lengths] = process.argv.slice(1);
const socket = new WebSocket(url);
// All are sent before the first one is back.
const messages = lengths.split(" ").flatMap(n => [Buffer.from("ü".repeat(n / 2)), Buffer.alloc(+n)]);
let next = 0, pongs = 0;
socket.on("open", () => {
    messages.forEach((message, n) => socket.send(message, { binary: n % 2 == 1 }));
    socket.ping("hello");
    socket.send("in ", { fin: false });
    socket.send("fragments", { fin: true });
});
socket.on("pong", () => pongs += 1);
socket.on("message", (data, isBinary) => {
    if (next == messages.length) {
        assert.equal(data.toString(), "in fragments");
        return socket.close(1000);
    }
    assert.ok(data.equals(messages[next]));
    assert.equal(isBinary, next % 2 == 1);
    next += 1;
});
socket.on("close", code => {
    assert.equal(pongs, 1);
    console.log(code == 1000 ? "done" : code);
});
"#;

fn server() -> (Program, String) {
    let mut command = example("websocket_server");
    let server = Program::start(command.arg("127.0.0.1:0"), "KILL");
    let line = server.line_with("listening on ");
    (server, line.replace("listening on ", ""))
}

fn talks(client: &mut Command, script: &str) {
    let (server, url) = server();
    let output = client.args([script, &url, LENGTHS]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "done\n",
        "{output:?}"
    );
    server.line_with(": 17 messages");
    server.signal("INT");
    assert!(server.wait().success());
}

#[test]
fn pythons_messages_come_back() {
    let _bounded = bounded();
    if let Some(mut python) = python("websockets") {
        talks(&mut python, PYTHON);
    }
}

#[test]
fn nodes_messages_come_back() {
    let _bounded = bounded();
    if let Some(mut node) = node("ws") {
        talks(&mut node, NODE);
    }
}

#[test]
fn what_is_no_websocket_is_refused_and_the_others_are_served() {
    let _bounded = bounded();
    let (server, url) = server();
    let addr: SocketAddr = url.strip_prefix("ws://").unwrap().parse().unwrap();
    for nonsense in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{16}\u{3}\u{1}", ""] {
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(nonsense.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        // It may be reset as well.
        let _ = client.read_to_string(&mut answer);
        assert!(!answer.contains(" 101 "), "{answer}");
        let client = client.local_addr().unwrap();
        let line = server.line_with(&client.to_string());
        assert!(!line.ends_with("messages"), "{line}");
    }
    let mut client = example("websocket_client");
    let output = client.args([&url, "still there"]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("\nstill there\n"), "{output:?}");
}
