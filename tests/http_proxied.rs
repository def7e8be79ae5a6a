//! Behind a proxy: whose request it is.
#![cfg(all(feature = "http", unix))]

#[cfg(feature = "rustls")]
#[path = "common/rustls.rs"]
mod certificates;
mod common;
mod http_client;

use common::bounded;
use common::peers::peer;
use http_client::{Client, request, with_server};
use libevent2::http::{Limits, Listen, Request, Server, StatusCode, TrustedProxies};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Answers with what it knows of the client.
fn introduce(server: &Server) {
    server.fallback(|request: Request| {
        let peer = request.peer().map(|peer| peer.to_string());
        let client = request.client_addr().map(|addr| addr.to_string());
        let text = format!(
            "{} {} {} {}",
            peer.unwrap_or_default(),
            client.unwrap_or_default(),
            request.scheme(),
            request.host().unwrap_or_default()
        );
        request.reply(StatusCode::OK, text);
    });
}

fn told(client: &mut Client, more: &str) -> Vec<String> {
    client.send(request("GET /", &format!("{more}\r\n")));
    let answer = client.read().expect("an answer");
    answer.text().split(' ').map(str::to_owned).collect()
}

const FORWARDED: &str = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: www.example\r\n";

#[test]
fn a_trusted_proxy_says_whose_request_it_is() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.trust_proxies(TrustedProxies::new(["127.0.0.1"]).unwrap());
            introduce(server);
        },
        |addr| {
            let client = &mut Client::new(addr);
            assert_eq!(
                told(client, FORWARDED)[1..],
                ["192.0.2.7", "https", "www.example"]
            );
            assert_eq!(told(client, "")[1..], ["127.0.0.1", "http", "test"]);
            client.send("GET http://Other:81/ HTTP/1.1\r\nHost: test\r\n\r\n");
            assert!(client.read().unwrap().text().ends_with(" Other:81"));
            client.send("GET / HTTP/1.0\r\n\r\n");
            assert!(client.read().unwrap().text().ends_with(" 127.0.0.1 http "));
        },
    );
}

#[test]
fn nobody_is_trusted_unless_told() {
    let _bounded = bounded();
    with_server(introduce, |addr| {
        let client = &mut Client::new(addr);
        assert_eq!(told(client, FORWARDED)[1..], ["127.0.0.1", "http", "test"]);
    });
}

/// A server that takes connections by the PROXY protocol, beside its usual place.
fn behind_proxy<T>(
    limits: Limits,
    client: impl FnOnce(std::net::SocketAddr) -> T + Send + 'static,
) -> T
where
    T: Send + 'static,
{
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    with_server(
        move |server| {
            server.set_limits(limits);
            server
                .listen_by(Listen::socket(socket).proxy_protocol())
                .unwrap();
            introduce(server);
        },
        move |_| client(addr),
    )
}

#[test]
fn the_proxy_protocol_says_whose_connection_it_is() {
    let _bounded = bounded();
    behind_proxy(Limits::new(), |addr| {
        let client = &mut Client::new(addr);
        client.send("PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n");
        assert_eq!(told(client, "")[..2], ["192.0.2.7:12345", "192.0.2.7"]);
        // It is said once for the connection.
        assert_eq!(
            told(client, FORWARDED)[..2],
            ["192.0.2.7:12345", "192.0.2.7"]
        );

        // In one packet with the request, and in pieces.
        let client = &mut Client::new(addr);
        let line = "PROXY TCP6 2001:db8::7 ::1 1 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
        client.send(line);
        assert!(
            client
                .read()
                .unwrap()
                .text()
                .starts_with("[2001:db8::7]:1 ")
        );
        let client = &mut Client::new(addr);
        for byte in line.as_bytes().chunks(1) {
            client.send(byte);
        }
        assert!(
            client
                .read()
                .unwrap()
                .text()
                .starts_with("[2001:db8::7]:1 ")
        );

        // A health check of the proxy's own, version 2.
        let client = &mut Client::new(addr);
        client.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
        assert_eq!(told(client, "")[1], "127.0.0.1");
    });
}

#[test]
fn who_does_not_speak_the_proxy_protocol_is_cut_off() {
    let _bounded = bounded();
    behind_proxy(Limits::new(), |addr| {
        for bad in [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 12345 99999\r\n",
            "\r\n\r\n\0\r\nQUIT\n\x31",
        ] {
            let mut client = Client::new(addr);
            client.try_send(bad);
            assert!(client.is_closed(), "{bad:?}");
        }
        let client = &mut Client::new(addr);
        client.send("PROXY UNKNOWN\r\n");
        assert_eq!(told(client, "")[1], "127.0.0.1");
    });
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for() {
    let _bounded = bounded();
    let idle = Duration::from_millis(100);
    behind_proxy(Limits::new().idle(idle), |addr| {
        let begun = Instant::now();
        let mut client = Client::new(addr);
        client.send("PROXY TCP4 ");
        assert!(client.is_closed());
        assert!(begun.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn a_server_that_closes_does_not_wait_for_headers() {
    let _bounded = bounded();
    // `with_server` closes the server when the client has returned, and runs it to its end.
    let left = behind_proxy(Limits::new(), |addr| {
        let mut client = Client::new(addr);
        client.send("PROXY TCP4 ");
        // One that came later is served, so the first one waits.
        let other = &mut Client::new(addr);
        other.send("PROXY UNKNOWN\r\n");
        assert_eq!(told(other, "")[1], "127.0.0.1");
        client
    });
    let mut left = left;
    assert!(left.is_closed());
}

#[test]
fn curl_speaks_the_proxy_protocol() {
    let Some(mut curl) = peer("curl") else { return };
    let _bounded = bounded();
    behind_proxy(Limits::new(), move |addr| {
        let url = format!("http://{addr}/");
        let output = curl.args(["-sS", "--haproxy-protocol", &url]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(text.starts_with("127.0.0.1:"), "{text}");
    });
}

/// nginx in front of the server, on a port of its own; its folder goes with it.
struct Nginx(
    std::process::Child,
    #[expect(dead_code, reason = "for its drop")] tempfile::TempDir,
);

impl Nginx {
    fn start(mut nginx: std::process::Command, server: std::net::SocketAddr, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;
            events {{ }}
            http {{
                access_log off;
                client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
                fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;
                server {{
                    listen 127.0.0.1:{port};
                    location / {{
                        proxy_pass http://{server};
                        proxy_http_version 1.1;
                        proxy_set_header Host $http_host;
                        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                        proxy_set_header X-Forwarded-Proto $scheme;
                        proxy_set_header X-Forwarded-Host $http_host;
                    }}
                }}
            }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let child = nginx
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(file)
            .spawn()
            .unwrap();
        Nginx(child, folder)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nginx_says_whose_request_it_is() {
    let Some(nginx) = peer("nginx") else { return };
    let _bounded = bounded();
    with_server(
        |server| {
            server.trust_proxies(TrustedProxies::new(["127.0.0.1"]).unwrap());
            introduce(server);
        },
        |addr| {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let _nginx = Nginx::start(nginx, addr, port);
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                std::thread::yield_now();
            }
            let client = &mut Client::new(([127, 0, 0, 1], port).into());
            // nginx adds its client, this machine, which is trusted, so the entry before counts;
            // of what it sets itself nothing of the client's is left.
            let spoofed = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
            let told = told(client, spoofed);
            assert_eq!(told[1..], ["192.0.2.7", "http", "test"]);
        },
    );
}

#[cfg(feature = "rustls")]
mod over_tls {
    use super::*;
    use crate::certificates::{WORLD, acceptor};

    #[test]
    fn the_proxy_header_comes_before_tls() {
        let Some(mut curl) = peer("curl") else { return };
        let _bounded = bounded();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, &WORLD.authority.certificate_pem).unwrap();
        with_server(
            move |server| {
                let place = Listen::socket(socket).tls(acceptor()).proxy_protocol();
                server.listen_by(place).unwrap();
                introduce(server);
            },
            move |_| {
                let url = format!("https://{addr}/");
                curl.args(["-sS", "--haproxy-protocol", "--cacert"])
                    .arg(authority)
                    .arg(url);
                let output = curl.output().unwrap();
                let text = String::from_utf8(output.stdout).unwrap();
                assert!(text.contains(" 127.0.0.1 https 127.0.0.1:"), "{text}");
            },
        );
    }
}
