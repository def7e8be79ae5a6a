//! The examples as a user has them: each runs as a process, and its peers are real sockets.
//!
//! `cargo test` builds the examples before; this one alone needs `cargo build --examples`.

#[cfg(feature = "openssl")]
#[path = "../common/tls.rs"]
mod certificates;
#[path = "../common/mod.rs"]
mod common;
#[path = "../dns_common/mod.rs"]
mod dns_common;

#[cfg(feature = "async")]
mod asynchronous;
mod chat;
mod delay;
mod dns_example;
mod dns_lookup;
mod dns_server;
mod download;
#[cfg(feature = "async")]
mod drivers;
mod program;
mod proxy;
mod proxy_tls;
#[cfg(all(feature = "async", feature = "http"))]
mod reactor;
mod resolve_many;
mod servers;
mod tail;
#[cfg(feature = "websocket")]
mod websocket_chat;
#[cfg(feature = "websocket")]
#[path = "../http_websocket_common/mod.rs"]
mod websockets;

use common::bounded;
use program::Program;

const ALL: &[&str] = &[
    #[cfg(feature = "async")]
    "async_echo",
    #[cfg(feature = "async")]
    "beanstalk",
    "chat",
    "delay_load",
    "delay_server",
    "dns_lookup",
    "dns_server",
    "echo_server",
    #[cfg(feature = "async")]
    "futures_errors",
    "hello_world",
    #[cfg(feature = "async")]
    "line_driver",
    "rate_limited_download",
    #[cfg(all(feature = "async", feature = "http"))]
    "reactor_download",
    "resolve_many",
    "simple_proxy",
    #[cfg(feature = "async")]
    "straight_client",
    #[cfg(feature = "async")]
    "straight_server",
    "tail_files",
    #[cfg(feature = "websocket")]
    "websocket_chat",
];

#[test]
fn each_tells_how_it_is_used() {
    let _watchdog = bounded();
    for name in ALL {
        for option in ["--help", "-h"] {
            let end = Program::start(name, &[option]).end();
            assert!(end.status.success(), "{name}: {end:?}");
            assert!(end.stdout.starts_with(&format!("Usage: {name} ")));
            assert_eq!(end.stderr, "");
        }
    }
}

#[test]
fn each_refuses_an_option_that_it_does_not_have() {
    let _watchdog = bounded();
    for name in ALL {
        let end = Program::start(name, &["--fast"]).end();
        assert_eq!(end.status.code(), Some(1), "{name}: {end:?}");
        assert_eq!(end.stderr, format!("{name}: invalid option '--fast'\n"));
    }
}

#[test]
fn wrong_arguments_are_named() {
    let _watchdog = bounded();
    let wrong: [(&str, &[&str], &str); 28] = [
        ("chat", &["70000"], "70000"),
        ("chat", &["0", "0"], "unexpected argument \"0\""),
        ("delay_load", &[], "ADDRESS:PORT is missing"),
        ("delay_load", &["localhost"], "localhost"),
        ("delay_server", &["--delay", "soon"], "not a number"),
        ("delay_server", &["--delay", "-1"], "not a time"),
        ("delay_server", &["--port"], "missing argument"),
        ("delay_server", &["--workers", "0"], "--workers"),
        ("dns_lookup", &[], "NAME is missing"),
        ("dns_lookup", &["x", "--server", "here"], "here"),
        ("dns_lookup", &["x", "--timeout", "0"], "deadline"),
        ("dns_lookup", &["x", "--timeout", "-1"], "not a time"),
        ("echo_server", &["port"], "port"),
        ("hello_world", &["1", "2"], "\"2\""),
        ("rate_limited_download", &[], "URL is missing"),
        ("rate_limited_download", &["https://x/"], "only http"),
        ("rate_limited_download", &["http:///"], "no host"),
        ("rate_limited_download", &["x:y/"], "no port"),
        ("rate_limited_download", &["x", "--rate", "0"], "zero"),
        ("resolve_many", &[], "FILE is missing"),
        ("resolve_many", &["a", "b"], "unexpected argument \"b\""),
        ("resolve_many", &["/no/such/file"], "/no/such/file"),
        ("resolve_many", &["a", "--concurrency", "0"], "zero"),
        ("resolve_many", &["a", "--server", "here"], "here"),
        ("simple_proxy", &["127.0.0.1:0"], "UPSTREAM is missing"),
        ("simple_proxy", &["here", "127.0.0.1:1"], "here"),
        ("simple_proxy", &["127.0.0.1:0", "there"], "there"),
        ("tail_files", &[], "FILE is missing"),
    ];
    for (name, arguments, why) in wrong {
        let end = Program::start(name, arguments).end();
        assert_eq!(end.status.code(), Some(1), "{name} {arguments:?}: {end:?}");
        assert!(end.stderr.contains(why), "{name} {arguments:?}: {end:?}");
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let _watchdog = bounded();
    let holder = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    for name in ["chat", "echo_server", "hello_world"] {
        let end = Program::start(name, &[&port]).end();
        assert_eq!(end.status.code(), Some(1), "{name}: {end:?}");
        assert!(end.stderr.contains(&port), "{name}: {end:?}");
    }
}
