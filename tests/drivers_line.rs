//! Row 64: the driver to begin others with, in futures and in callbacks, against a server that says
//! what a test wants.
#![cfg(all(feature = "async", unix))]

#[path = "../examples/line_driver/callbacks.rs"]
mod callbacks;
#[path = "../examples/line_driver/client.rs"]
mod client;
mod common;
#[path = "../examples/line_driver/protocol.rs"]
mod protocol;

use client::Client;
use common::bounded;
use libevent2::buffer::Eol;
use libevent2::net::{TcpListener, TcpStream};
use libevent2::stream::AsyncStream;
use libevent2::task::promise;
use libevent2::{BufferEvent, EventBase, LoopHandle};
use protocol::{Error, Fields};
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Waker};

const GREETING: &str = "OK MPD 0.23.5\n";

/// Runs a test with the address of a server that greets everybody, answers each command by `answer`,
/// and closes where that is None.
fn with_server(
    answer: fn(&str) -> Option<&'static str>,
    test: impl AsyncFnOnce(LoopHandle, SocketAddr),
) {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let inside = handle.clone();
    let server = handle.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            drop(inside.spawn(serve(inside.clone(), socket, answer)));
        }
    });
    base.block_on(test(handle, address)).unwrap();
    server.cancel();
}

async fn serve(handle: LoopHandle, socket: TcpStream, answer: fn(&str) -> Option<&'static str>) {
    let stream = AsyncStream::from_socket(&handle, socket.into_std()).unwrap();
    stream.write(GREETING.as_bytes()).await.unwrap();
    while let Ok(Some(line)) = stream.read_line(Eol::Lf).await {
        match answer(std::str::from_utf8(&line).unwrap()) {
            Some(text) => stream.write(text.as_bytes()).await.unwrap(),
            None => return drop(stream.flush().await),
        }
    }
}

fn usual(command: &str) -> Option<&'static str> {
    Some(match command {
        "ping" => "OK\n",
        "status" => "volume: 50\nstate: play\nOK\n",
        "title" => "Title: a: b\nOK\n",
        "odd" => "what is this\n",
        "end" => return None,
        _ => "ACK [5@0] {} unknown command\n",
    })
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

async fn connect(handle: &LoopHandle, address: SocketAddr) -> Client {
    let stream = AsyncStream::connect(handle, address).await.unwrap();
    Client::new(stream).await.unwrap()
}

fn lost(result: Result<Fields, Error>) -> ErrorKind {
    match result {
        Err(Error::Lost(error)) => error.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_64_commands_are_answered_refused_and_lost() {
    with_server(usual, async |handle, address| {
        let mut client = connect(&handle, address).await;
        client.ping().await.unwrap();
        let status = fields(&[("volume", "50"), ("state", "play")]);
        assert_eq!(client.ask("status").await.unwrap(), status);
        assert_eq!(
            client.ask("title").await.unwrap(),
            fields(&[("Title", "a: b")])
        );
        let refused = client.ask("fly").await.unwrap_err().to_string();
        assert_eq!(refused, "the server refuses: [5@0] {} unknown command");
        let broken = client.ask("ping\nfly").await.unwrap_err();
        assert!(matches!(broken, Error::NotALine(_)));
        client.ping().await.unwrap();
        assert_eq!(lost(client.ask("end").await), ErrorKind::UnexpectedEof);
        assert!(client.ping().await.is_err());
    });
}

#[test]
fn row_64_what_is_not_the_protocol_is_an_error() {
    with_server(usual, async |handle, address| {
        let mut client = connect(&handle, address).await;
        assert_eq!(lost(client.ask("odd").await), ErrorKind::InvalidData);
    });
    with_server(usual, async |handle, _| {
        let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = AsyncStream::connect(&handle, address).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        socket
            .write_all(b"220 mail.example ESMTP\r\n")
            .await
            .unwrap();
        assert!(Client::new(stream).await.is_err());
    });
}

/// Dropped after any number of polls, a command shifts no answer.
#[test]
fn row_64_who_does_not_wait_shifts_no_answer() {
    for polls in 0..3 {
        with_server(usual, async |handle, address| {
            let mut client = connect(&handle, address).await;
            let mut cx = Context::from_waker(Waker::noop());
            for command in ["status", "fly"] {
                let mut dropped = pin!(client.ask(command));
                for _ in 0..polls {
                    let _ = dropped.as_mut().poll(&mut cx);
                }
            }
            assert_eq!(
                client.ask("title").await.unwrap(),
                fields(&[("Title", "a: b")])
            );
        });
    }
}

#[test]
fn row_64_callbacks_hear_the_same() {
    with_server(usual, async |handle, address| {
        let nothing = libevent2::stream::Callbacks::new();
        let stream = BufferEvent::connect(&handle, address, nothing).unwrap();
        let client = callbacks::Client::new(stream).unwrap();
        let ask = |command: &str| {
            let (promise, answer) = promise();
            client
                .ask(command, |result| promise.resolve(result))
                .unwrap();
            answer
        };
        // All at once, before there is a connection.
        let answers = ["ping", "status", "fly", "title", "end", "ping"].map(ask);
        let mut results = Vec::new();
        for answer in answers {
            results.push(answer.await.unwrap());
        }
        let [ping, status, fly, title, end, after] = results.try_into().unwrap();
        assert_eq!(ping.unwrap(), fields(&[]));
        assert_eq!(
            status.unwrap(),
            fields(&[("volume", "50"), ("state", "play")])
        );
        assert!(matches!(fly, Err(Error::Refused(_))));
        assert_eq!(title.unwrap(), fields(&[("Title", "a: b")]));
        assert_eq!(lost(end), ErrorKind::UnexpectedEof);
        assert_eq!(lost(after), ErrorKind::UnexpectedEof);
        assert!(client.ask("ping", drop).is_err());
        assert!(matches!(client.ask("a\nb", drop), Err(Error::NotALine(_))));
    });
}

#[test]
fn row_64_callbacks_hear_of_what_is_not_the_protocol() {
    with_server(usual, async |handle, address| {
        let nothing = libevent2::stream::Callbacks::new();
        let stream = BufferEvent::connect(&handle, address, nothing).unwrap();
        let client = callbacks::Client::new(stream).unwrap();
        let (promise, answer) = promise();
        client.ask("odd", |result| promise.resolve(result)).unwrap();
        assert_eq!(lost(answer.await.unwrap()), ErrorKind::InvalidData);
    });
}

/// The template is short: a driver of this kind has less than a hundred lines.
#[test]
fn row_64_the_driver_has_less_than_100_lines() {
    let client = include_str!("../examples/line_driver/client.rs");
    let protocol = include_str!("../examples/line_driver/protocol.rs");
    assert!(client.lines().count() + protocol.lines().count() < 100);
}
