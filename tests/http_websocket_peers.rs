//! WebSockets with the libraries that people use: `websockets` of Python and `ws` of Node.
#![cfg(feature = "websocket")]

mod common;
mod http_client;
mod http_websocket_common;

use common::bounded;
use common::peers::peer;
use http_client::with_server;
use http_websocket_common::server::{accept, echo, options};
use libevent2::EventBase;
use libevent2::http::Client;
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

/// What is sent and has to come back, besides what the libraries do by themselves.
const LENGTHS: [usize; 8] = [0, 1, 125, 126, 65535, 65536, 500_000, 1_000_000];

const PYTHON_CLIENT: &str = r#"
import asyncio, sys, websockets

async def main(url, lengths):
    async with websockets.connect(url, max_size=None, subprotocols=["a", "b"]) as socket:
        assert socket.subprotocol == "b"
        for length in lengths:
            for message in ["ü" * (length // 2), bytes(length)]:
                await socket.send(message)
                assert await socket.recv() == message
        await socket.send(["in ", "frag", "ments"])
        assert await socket.recv() == "in fragments"
        await (await socket.ping(b"hello"))
    assert socket.close_code == 1000, socket.close_code
    print("done")

asyncio.run(main(sys.argv[1], [int(length) for length in sys.argv[2:]]))
"#;

const PYTHON_SERVER: &str = r#"
import asyncio, websockets

async def echo(socket):
    await (await socket.ping(b"hello"))
    async for message in socket:
        await socket.send(message if len(message) % 2 else [message[:10], message[10:]])

async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"#;

const NODE_CLIENT: &str = r#"
const assert = require("assert"), WebSocket = require("ws");
const [url, ...lengths] = process.argv.slice(1);
const socket = new WebSocket(url, ["a", "b"]);
const messages = lengths.flatMap(n => [Buffer.from("ü".repeat(n / 2)), Buffer.alloc(+n)]);
let next = 0;
socket.on("open", () => {
    assert.equal(socket.protocol, "b");
    messages.forEach((message, n) => socket.send(message, { binary: n % 2 == 1 }));
    socket.send("in ", { fin: false });
    socket.ping("hello");
    socket.send("fragments", { fin: true });
});
let pongs = 0;
socket.on("pong", () => pongs += 1);
socket.on("message", (data, isBinary) => {
    if (next == messages.length) {
        assert.equal(data.toString(), "in fragments");
        socket.close(1000, "thanks");
        return;
    }
    assert.ok(data.equals(messages[next]));
    assert.equal(isBinary, next % 2 == 1);
    next += 1;
});
socket.on("close", (code, reason) => {
    assert.equal(pongs, 1);
    console.log(code == 1000 && reason == "thanks" ? "done" : code);
});
"#;

const NODE_SERVER: &str = r#"
const WebSocket = require("ws");
const server = new WebSocket.Server({ host: "127.0.0.1", port: 0 }, () => console.log(server.address().port));
server.on("connection", socket => {
    socket.ping("hello");
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
"#;

/// A program with a library of its own; None when it is not there and need not be.
fn with_library(program: &str, flag: &str, probe: &str, package: &str) -> Option<Command> {
    let add = |command: &mut Command| {
        // Where Debian puts them, which other builds of Node do not look for.
        command.env("NODE_PATH", "/usr/share/nodejs");
    };
    let mut command = peer(program)?;
    let mut test = Command::new(program);
    if std::env::var_os("NODE_PATH").is_none() {
        add(&mut command);
        add(&mut test);
    }
    let output = test.args([flag, probe]).output().unwrap();
    if output.status.success() {
        command.arg(flag);
        return Some(command);
    }
    let missing = format!("{program} without the package {package}");
    assert!(std::env::var_os("LIBEVENT2_PEERS").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

fn python() -> Option<Command> {
    // The system's, which Debian's package is for.
    with_library(
        "/usr/bin/python3",
        "-c",
        "import websockets",
        "python3-websockets",
    )
}

fn node() -> Option<Command> {
    with_library("node", "-e", "require('ws')", "node-ws")
}

fn is_served(command: Option<Command>, script: &'static str) {
    let _bounded = bounded();
    let Some(mut command) = command else { return };
    let output = with_server(
        |server| accept(server, options().protocol("b"), |socket| echo(&socket)),
        move |addr| {
            let command = command.arg(script).arg(format!("ws://{addr}/"));
            command
                .args(LENGTHS.map(|length| length.to_string()))
                .output()
        },
    );
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"done\n", "{output:?}");
}

/// Ended with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serves(command: Option<Command>, script: &str) {
    let _bounded = bounded();
    let Some(mut command) = command else { return };
    let child = command.arg(script).stdout(Stdio::piped()).spawn();
    let mut child = Running(child.unwrap());
    let mut port = String::new();
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    stdout.read_line(&mut port).unwrap();

    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let url = format!("ws://127.0.0.1:{}/", port.trim());
    let request = client.websocket(&url).unwrap();
    let ended = Rc::new(Cell::new(None));
    let end = Rc::clone(&ended);
    request
        .connect(move |result| {
            let socket = result.unwrap();
            let mut next = 0;
            let message = |number: usize| "ü".repeat(LENGTHS[number] / 2);
            for number in 0..LENGTHS.len() {
                socket.send_text(&message(number)).unwrap();
                socket.send_binary(message(number).as_bytes()).unwrap();
            }
            socket.on_message(move |socket, got| {
                let expected = message(next / 2);
                assert!(got.as_bytes() == expected.as_bytes(), "{next}");
                assert_eq!(got.as_text().is_some(), next % 2 == 0);
                next += 1;
                if next == 2 * LENGTHS.len() {
                    socket.close(1000, "thanks").unwrap();
                }
            });
            socket.on_close(move |event| end.set(Some((event.code, event.was_clean))));
        })
        .detach();
    base.run().unwrap();
    assert_eq!(ended.get(), Some((1000, true)));
}

#[test]
fn the_client_of_python_is_served() {
    is_served(python(), PYTHON_CLIENT);
}

#[test]
fn the_server_of_python_is_understood() {
    serves(python(), PYTHON_SERVER);
}

#[test]
fn the_client_of_node_is_served() {
    is_served(node(), NODE_CLIENT);
}

#[test]
fn the_server_of_node_is_understood() {
    serves(node(), NODE_SERVER);
}
