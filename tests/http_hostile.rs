//! Clients that leave at every byte, send in pieces, ask without end, or never read. None of them
//! costs more than its share, and others are served.
#![cfg(feature = "http")]

mod common;
mod http_client;

use common::{Bump, bounded, count};
use http_client::{Client, get, request, with_server};
use libevent2::http::{Limits, Method, Request, Response, Server, StatusCode};
use libevent2::{LoopHandle, Timer};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// How a client goes away.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    /// It says that no more will come, and reads.
    Ending,
    /// It closes, as a process that exits.
    Closing,
    /// Nothing waits to be sent or read any more, as if the wire were cut.
    Resetting,
}

const WAYS: [Leaving; 3] = [Leaving::Ending, Leaving::Closing, Leaving::Resetting];

fn leave(client: Client, how: Leaving) {
    match how {
        Leaving::Ending => {
            let _ = client.stream().shutdown(Shutdown::Write);
            drop(client.read_to_end());
        }
        Leaving::Closing => drop(client),
        Leaving::Resetting => {
            let socket = socket2::SockRef::from(client.stream());
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}

/// Takes so many bytes of an answer.
fn read(client: &Client, length: usize) {
    client.stream().read_exact(&mut vec![0; length]).unwrap();
}

/// Answers with the method, the path and the body.
fn echo(server: &Server) {
    server.fallback(|request: Request| {
        let mut text = format!("{} {} ", request.method(), request.path()).into_bytes();
        text.extend_from_slice(request.body());
        request.reply(StatusCode::OK, text);
    });
}

/// Requests with each framing, and what [`echo`] answers.
fn some_requests() -> [(String, &'static str); 3] {
    [
        (request("GET /a", "\r\n"), "GET /a "),
        (
            request("POST /b", "Content-Length: 5\r\n\r\nhello"),
            "POST /b hello",
        ),
        (
            request(
                "PUT /c",
                "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-End: z\r\n\r\n",
            ),
            "PUT /c hello!",
        ),
    ]
}

#[test]
fn a_client_may_leave_after_each_byte_of_a_request() {
    let _bounded = bounded();
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handled);
    let setup = |server: &Server| {
        server.fallback(move |request: Request| {
            counted.fetch_add(1, Ordering::Relaxed);
            request.reply(StatusCode::OK, "whole");
        });
    };
    with_server(setup, move |addr| {
        for (text, _) in some_requests() {
            for how in WAYS {
                for length in 0..text.len() {
                    let mut client = Client::new(addr);
                    client.send(&text.as_bytes()[..length]);
                    leave(client, how);
                }
                // What came before has been looked at when this is answered.
                assert_eq!(get(addr, "/").text(), "whole");
                let handled = handled.swap(0, Ordering::Relaxed);
                assert_eq!(handled, 1, "half a request was handled: {text}, {how:?}");
            }
        }
    });
}

#[test]
fn a_client_may_leave_after_each_byte_of_an_answer() {
    let _bounded = bounded();
    let (tell, told) = mpsc::channel();
    let setup = move |server: &Server| {
        server.fallback(move |request: Request| {
            let tell = tell.clone();
            request.on_sent(move |sent| {
                let _ = tell.send(sent.complete);
            });
            let length = if request.path() == "/long" {
                32 << 20
            } else {
                9
            };
            request.reply(StatusCode::OK, vec![b'x'; length]);
        });
    };
    with_server(setup, move |addr| {
        let whole = {
            let mut client = Client::new(addr);
            client.send(request("GET /", "Connection: close\r\n\r\n"));
            client.read_to_end().len()
        };
        let wait = Duration::from_secs(10);
        assert!(told.recv_timeout(wait).unwrap());
        for how in [Leaving::Closing, Leaving::Resetting] {
            for length in 0..whole {
                let mut client = Client::new(addr);
                client.send(request("GET /", "Connection: close\r\n\r\n"));
                read(&client, length);
                leave(client, how);
                // Once for each, whatever it is.
                told.recv_timeout(wait).unwrap();
            }
            for length in (0..8 << 20).step_by(1 << 20) {
                let mut client = Client::new(addr);
                client.send(request("GET /long", "\r\n"));
                read(&client, length);
                leave(client, how);
                assert!(!told.recv_timeout(wait).unwrap(), "after {length}, {how:?}");
            }
        }
        assert!(told.try_recv().is_err(), "told twice");
        assert_eq!(get(addr, "/").body.len(), 9);
    });
}

#[test]
fn a_request_may_come_in_two_pieces_wherever_it_is_cut() {
    let _bounded = bounded();
    with_server(echo, |addr| {
        let mut other = Client::new(addr);
        let mut client = Client::new(addr);
        client.stream().set_nodelay(true).unwrap();
        for (text, wanted) in some_requests() {
            for at in 1..text.len() {
                let (first, second) = text.as_bytes().split_at(at);
                client.send(first);
                // The first piece has been read by itself when this is answered.
                other.send(request("GET /other", "\r\n"));
                assert_eq!(other.read().unwrap().text(), "GET /other ");
                client.send(second);
                assert_eq!(client.read().unwrap().text(), wanted, "cut at {at}");
            }
        }
    });
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let _bounded = bounded();
    with_server(echo, |addr| {
        let mut other = Client::new(addr);
        let mut client = Client::new(addr);
        client.stream().set_nodelay(true).unwrap();
        for (text, wanted) in some_requests() {
            for byte in text.as_bytes().chunks(1) {
                client.send(byte);
                other.send(request("GET /other", "\r\n"));
                assert_eq!(other.read().unwrap().text(), "GET /other ");
            }
            assert_eq!(client.read().unwrap().text(), wanted);
        }
    });
}

#[test]
fn a_thousand_requests_may_come_at_once() {
    let _bounded = bounded();
    with_server(echo, |addr| {
        let mut client = Client::new(addr);
        let mut all = String::new();
        for n in 0..1000 {
            let (line, body) = match n % 4 {
                0 => ("GET", String::new()),
                1 => ("HEAD", String::new()),
                2 => ("POST", format!("Content-Length: 3\r\n\r\n{n:03}")),
                _ => (
                    "PUT",
                    format!("Transfer-Encoding: chunked\r\n\r\n3\r\n{n:03}\r\n0\r\n\r\n"),
                ),
            };
            let body = if body.is_empty() { "\r\n" } else { &body };
            all += &request(&format!("{line} /{n}"), body);
        }
        client.send(all);
        for n in 0..1000 {
            let wanted = match n % 4 {
                0 => format!("GET /{n} "),
                1 => String::new(),
                2 => format!("POST /{n} {n:03}"),
                _ => format!("PUT /{n} {n:03}"),
            };
            let answer = match n % 4 {
                1 => client.read_head(),
                _ => client.read(),
            };
            assert_eq!(answer.unwrap().text(), wanted);
        }
        // Nothing else comes.
        client.send(request("GET /last", "\r\n"));
        assert_eq!(client.read().unwrap().text(), "GET /last ");
    });
}

#[test]
fn answers_to_a_pipeline_keep_their_order_however_late_they_are() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        let seen = count();
        server.fallback(move |request: Request| {
            let text = request.path().to_owned();
            // Every second one is answered in a later turn of the loop.
            if seen.bump().is_multiple_of(2) {
                return request.reply(StatusCode::OK, text);
            }
            let handle = request.handle().clone();
            let answer = move |_: &LoopHandle| request.reply(StatusCode::OK, text);
            Timer::after(&handle, Duration::ZERO, answer)
                .unwrap()
                .detach();
        });
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        let all: String = (0..200)
            .map(|n| request(&format!("GET /{n}"), "\r\n"))
            .collect();
        client.send(all);
        for n in 0..200 {
            assert_eq!(client.read().unwrap().text(), format!("/{n}"));
        }
    });
}

#[test]
fn a_client_that_asks_and_never_reads_is_not_answered_without_end() {
    const ANSWER: usize = 64 << 10;
    let _bounded = bounded();
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handled);
    let setup = move |server: &Server| {
        server.fallback(move |request: Request| {
            counted.fetch_add(1, Ordering::Relaxed);
            request.respond(Response::new(StatusCode::OK).body(vec![b'x'; ANSWER]));
        });
    };
    with_server(setup, move |addr| {
        let client = Client::new(addr);
        let limit = Some(Duration::from_millis(200));
        client.stream().set_write_timeout(limit).unwrap();
        let many = request("GET /", "\r\n").repeat(1000);
        let mut rounds = 0;
        while client.stream().write_all(many.as_bytes()).is_ok() {
            rounds += 1;
            assert!(rounds < 2000, "the server reads on");
        }
        // The system holds some megabytes for both sockets; we hold an answer or two.
        let answered = handled.load(Ordering::Relaxed) * ANSWER;
        assert!(answered < 24 << 20, "{answered} bytes for nobody");
        assert_eq!(get(addr, "/").body.len(), ANSWER);
    });
}

#[test]
fn others_are_served_while_one_sends_without_end() {
    let _bounded = bounded();
    with_server(echo, |addr| {
        let client = Client::new(addr);
        let mut stream = client.stream().try_clone().unwrap();
        let flood = std::thread::spawn(move || {
            let many = request("GET /flood", "\r\n").repeat(1000);
            let mut sent = 0;
            while stream.write_all(many.as_bytes()).is_ok() {
                sent += 1;
            }
            sent
        });
        let reader = std::thread::spawn({
            let mut stream = client.stream().try_clone().unwrap();
            move || std::io::copy(&mut stream, &mut std::io::sink())
        });
        for n in 0..20 {
            assert_eq!(get(addr, &format!("/{n}")).text(), format!("GET /{n} "));
        }
        client.stream().shutdown(Shutdown::Both).unwrap();
        assert!(flood.join().unwrap() > 0);
        let _ = reader.join().unwrap();
    });
}

#[test]
fn connections_beyond_the_limit_wait_for_others_to_end() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        server.set_limits(Limits::new().connections(2));
        echo(server);
    };
    with_server(setup, |addr| {
        let mut kept: Vec<Client> = (0..2).map(|_| Client::new(addr)).collect();
        for client in &mut kept {
            client.send(request("GET /in", "\r\n"));
            assert_eq!(client.read().unwrap().text(), "GET /in ");
        }
        let mut third = Client::new(addr);
        third.send(request("GET /waiting", "\r\n"));
        let short = Some(Duration::from_millis(100));
        third.stream().set_read_timeout(short).unwrap();
        assert!(third.stream().peek(&mut [0]).is_err(), "it was served");
        let long = Some(Duration::from_secs(30));
        third.stream().set_read_timeout(long).unwrap();
        drop(kept.pop());
        assert_eq!(third.read().unwrap().text(), "GET /waiting ");
    });
}

#[test]
fn the_last_request_of_a_connection_closes_it() {
    let _bounded = bounded();
    let setup = |server: &Server| {
        server.set_limits(Limits::new().requests_per_connection(3));
        echo(server);
    };
    with_server(setup, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n").repeat(5));
        for n in 1..=3 {
            let answer = client.read().unwrap();
            let close = (n == 3).then_some("close");
            assert_eq!(answer.header("connection"), close, "{n}");
        }
        assert!(client.is_closed());
    });
}

/// What comes where nothing should: a second answer is never made of it.
#[test]
fn bytes_behind_the_last_request_are_not_looked_at() {
    let _bounded = bounded();
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handled);
    let setup = move |server: &Server| {
        server.fallback(move |request: Request| {
            assert_ne!(request.path(), "/smuggled");
            counted.fetch_add(1, Ordering::Relaxed);
            assert_eq!(request.method(), Method::GET);
            request.reply(StatusCode::OK, "once");
        });
    };
    with_server(setup, move |addr: SocketAddr| {
        for junk in [
            "\0\0\0\0",
            "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n\r\n",
        ] {
            let mut client = Client::new(addr);
            client.send(request("GET /", "Connection: close\r\n\r\n") + junk);
            assert_eq!(client.read().unwrap().text(), "once");
            assert!(client.is_closed());
        }
        assert_eq!(handled.load(Ordering::Relaxed), 3);
    });
}
