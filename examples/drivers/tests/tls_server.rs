//! hyper over tokio-rustls on the loop, for curl and OpenSSL.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Output, Stdio};
use support::{Certificate, Program, bounded, example, program};

struct Server {
    program: Program,
    addr: SocketAddr,
    certificate: Certificate,
}

impl Server {
    fn start() -> Self {
        let certificate = Certificate::new();
        let mut command = example("tls_server");
        command.arg("127.0.0.1:0");
        command.args([certificate.cert(), certificate.key()]);
        let program = Program::start(&mut command, "KILL");
        let line = program.line_with("listening on https://");
        let addr = line.rsplit('/').next().unwrap().parse().unwrap();
        Server {
            program,
            addr,
            certificate,
        }
    }

    /// curl, with what it is to do.
    fn curl(&self, args: &[&str]) -> Option<Output> {
        let mut curl = program("curl")?;
        curl.args(["--silent", "--show-error", "--cacert"])
            .arg(self.certificate.cert())
            .args(args)
            .arg(format!("https://localhost:{}/", self.addr.port()));
        Some(curl.output().unwrap())
    }
}

#[test]
fn what_curl_posts_comes_back_by_http1_and_http2() {
    let _bounded = bounded();
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let (file, back) = (folder.path().join("file"), folder.path().join("back"));
    let large: Vec<u8> = (0..4_u32 << 20).map(|i| (i ^ (i >> 8)) as u8).collect();
    std::fs::write(&file, &large).unwrap();
    let data = format!("@{}", file.to_str().unwrap());
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let args = [
            flag,
            "--data-binary",
            &data,
            "--write-out",
            "%{http_version}",
            "--output",
            back.to_str().unwrap(),
        ];
        let Some(output) = server.curl(&args) else {
            return;
        };
        assert_eq!(output.stdout, version.as_bytes(), "{output:?}");
        assert!(std::fs::read(&back).unwrap() == large, "{flag}");
    }
    server.program.signal("INT");
    assert!(server.program.wait().success());
}

#[test]
fn openssl_finds_the_certificate_good_and_the_end_clean() {
    let _bounded = bounded();
    let server = Server::start();
    for version in ["-tls1_2", "-tls1_3"] {
        let Some(mut openssl) = program("openssl") else {
            return;
        };
        openssl
            .args(["s_client", "-quiet", "-verify_return_error", version])
            .args(["-verify_hostname", "localhost", "-CAfile"])
            .arg(server.certificate.cert())
            .args(["-connect", &server.addr.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = openssl.spawn().unwrap();
        let request = b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello";
        // Left open: who closes is the server.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(request).unwrap();
        let output = child.wait_with_output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(
            answer.starts_with("HTTP/1.0 200 ") && answer.ends_with("\r\n\r\nhello"),
            "{output:?}"
        );
    }
}

#[test]
fn who_speaks_no_tls_is_refused_and_the_others_are_served() {
    let _bounded = bounded();
    let server = Server::start();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\xff\xff", b""] {
        let mut client = TcpStream::connect(server.addr).unwrap();
        client.write_all(nonsense).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        // An alert at most.
        assert!(answer.len() <= 7, "{answer:?}");
        let client = client.local_addr().unwrap();
        server.program.line_with(&format!("{client}: "));
    }
    let Some(output) = server.curl(&["--data", "still there"]) else {
        return;
    };
    assert_eq!(output.stdout, b"still there", "{output:?}");
}

#[test]
fn a_client_that_trusts_somebody_else_leaves() {
    let _bounded = bounded();
    let server = Server::start();
    let other = Certificate::new();
    let cacert = ["--cacert", other.cert().to_str().unwrap()].map(str::to_owned);
    let Some(output) = server.curl(&[&cacert[0], &cacert[1]]) else {
        return;
    };
    assert!(!output.status.success(), "{output:?}");
    server.program.line_with("nknown");
}
