//! WebSockets by async-tungstenite on the loop, to Python's `websockets` and Node's `ws`.

mod support;

use async_tungstenite::client_async;
use async_tungstenite::tungstenite::{Error, Message};
use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use futures_util::future::join_all;
use futures_util::{AsyncRead, AsyncWrite, StreamExt};
use libevent2::LoopHandle;
use libevent2::net::TcpStream;
use std::sync::Arc;
use support::{Certificate, Program, base, bounded, example, node, output, python, serve};

const PYTHON: &str = r#"
import asyncio, ssl, sys, websockets

async def echo(socket):
    await (await socket.ping(b"are you there"))
    async for message in socket:
        if message == "leave":
            await socket.close(4000, "as you wish")
            return
        # In two frames, now and then.
        await socket.send(message if len(message) % 2 else [message[:10], message[10:]])

async def main():
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*sys.argv[1:])
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None, ssl=tls) as server:
        print("port", server.sockets[0].getsockname()[1])
        await asyncio.Future()

asyncio.run(main())
"#;

const NODE: &str = r#"
const WebSocket = require("ws");
const server = new WebSocket.Server({ host: "127.0.0.1", port: 0 }, () => console.log("port", server.address().port));
server.on("connection", socket => {
    socket.ping("are you there");
    socket.on("message", (data, isBinary) => {
        if (data == "leave") return socket.close(4000, "as you wish");
        socket.send(data, { binary: isBinary });
    });
});
"#;

fn servers() -> Vec<(Program, u16)> {
    let python = python("websockets").map(|mut python| serve(&mut python, PYTHON, &[]));
    let node = node("ws").map(|mut node| serve(&mut node, NODE, &[]));
    python.into_iter().chain(node).collect()
}

#[test]
fn the_example_shows_what_the_server_answers() {
    let _bounded = bounded();
    for (_server, port) in servers() {
        let mut client = example("websocket_client");
        client.args([&format!("ws://127.0.0.1:{port}/"), "hello", "", "wörld"]);
        let mut base = base();
        let handle = base.handle().clone();
        let shown = base.block_on(output(&handle, client)).unwrap();
        assert_eq!(
            shown,
            "101 Switching Protocols\nhello\n\nwörld\nclosed: 1000\n"
        );
    }
}

async fn connect(handle: &LoopHandle, port: u16) -> TcpStream {
    let connected = TcpStream::connect(handle, ([127, 0, 0, 1], port).into()).await;
    connected.unwrap()
}

/// Says `count` messages of this length, each one when the last has come back.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    len: usize,
    count: usize,
) -> Result<(), Error> {
    let (mut socket, _) = client_async("ws://localhost/", stream).await?;
    for number in 0..count {
        let text = Message::text("ü".repeat(len / 2));
        let bytes = Message::binary(vec![number as u8; len]);
        for message in [text, bytes] {
            socket.send(message.clone()).await?;
            let heard = loop {
                match socket.next().await.expect("an answer")? {
                    Message::Ping(sent) => assert_eq!(sent, "are you there"),
                    heard => break heard,
                }
            };
            assert!(heard == message, "{len} bytes");
        }
    }
    socket.close(None).await
}

#[test]
fn messages_of_all_lengths_come_back() {
    let _bounded = bounded();
    for (_server, port) in servers() {
        let mut base = base();
        let handle = base.handle().clone();
        base.block_on(async {
            for len in [0, 1, 125, 126, 65_535, 65_536, 1_000_000, 8_000_000] {
                let stream = connect(&handle, port).await;
                talk(stream, len, 1).await.unwrap();
            }
        })
        .unwrap();
    }
}

#[test]
fn a_hundred_sockets_talk_at_once() {
    let _bounded = bounded();
    for (_server, port) in servers() {
        let mut base = base();
        let handle = base.handle().clone();
        let all = (0..100).map(async |n| talk(connect(&handle, port).await, n * 100, 5).await);
        for talked in base.block_on(join_all(all)).unwrap() {
            talked.unwrap();
        }
    }
}

#[test]
fn sockets_talk_over_tls_as_well() {
    let _bounded = bounded();
    let Some(mut python) = python("websockets") else {
        return;
    };
    let certificate = Certificate::new();
    let files = [certificate.cert(), certificate.key()];
    let files = files.each_ref().map(|file| file.to_str().unwrap());
    let (_server, port) = serve(&mut python, PYTHON, &files);
    let mut trusted = RootCertStore::empty();
    let cert = CertificateDer::from_pem_file(certificate.cert()).unwrap();
    trusted.add(cert).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));

    let mut base = base();
    let handle = base.handle().clone();
    base.block_on(async {
        for len in [0, 125, 65_536, 1_000_000] {
            let plain = connect(&handle, port).await;
            let stream = connector.connect("localhost".try_into().unwrap(), plain);
            talk(stream.await.unwrap(), len, 3).await.unwrap();
        }
    })
    .unwrap();
}

#[test]
fn a_server_that_leaves_says_why() {
    let _bounded = bounded();
    for (_server, port) in servers() {
        let mut base = base();
        let handle = base.handle().clone();
        base.block_on(async {
            let stream = connect(&handle, port).await;
            let (mut socket, _) = client_async("ws://localhost/", stream).await.unwrap();
            socket.send(Message::text("leave")).await.unwrap();
            let mut why = None;
            while let Some(message) = socket.next().await {
                if let Message::Close(end) = message.unwrap() {
                    why = end;
                }
            }
            let why = why.unwrap();
            assert_eq!(
                (u16::from(why.code), why.reason.as_str()),
                (4000, "as you wish")
            );
        })
        .unwrap();
    }
}
