//! As many clients as there are descriptors for. Alone in its binary: they are the process's.
#![cfg(all(feature = "http", unix))]

mod common;
mod http_client;

use common::bounded;
use http_client::{get, request, with_server};
use libevent2::http::{Request, Server, StatusCode};
use std::io::{Read, Write};
use std::net::TcpStream;

/// How many descriptors this process may have, after asking for more.
fn descriptors() -> usize {
    // SAFETY: rlimit is plain data; the soft limit may go as far as the hard one.
    let limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        // No more than this is of use, and some systems refuse what is called unlimited.
        limit.rlim_cur = limit.rlim_max.min(24_000);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur
    };
    limit as usize
}

#[test]
fn thousands_of_silent_connections_do_not_keep_others_from_being_served() {
    let _bounded = bounded();
    // Both ends are ours.
    let many = (descriptors() - 200) / 2;
    let setup = |server: &Server| {
        server.fallback(|request: Request| request.reply(StatusCode::OK, "served"));
    };
    with_server(setup, move |addr| {
        let mut crowd: Vec<TcpStream> = Vec::new();
        for n in 0..many {
            let client = TcpStream::connect(addr).unwrap();
            // Some say nothing at all, some a little.
            (&client)
                .write_all(&b"GET / HTTP/1.1\r\nHo"[..n % 18])
                .unwrap();
            crowd.push(client);
            if n % 500 == 0 {
                assert_eq!(get(addr, "/").text(), "served", "beside {n}");
            }
        }
        assert_eq!(get(addr, "/").text(), "served", "beside {many}");
        // They have not been forgotten.
        let rest = request("GET /", "Connection: close\r\n\r\n");
        for n in [0, many / 18 * 9, many / 18 * 18 - 1] {
            let mut client = &crowd[n];
            client
                .write_all(&rest.as_bytes()[..]["GET / HTTP/1.1\r\nHo"[..n % 18].len()..])
                .unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with("\r\n\r\nserved"), "{n}: {answer}");
        }
        println!("{many} silent connections");
        drop(crowd);
        assert_eq!(get(addr, "/").text(), "served");
    });
}
