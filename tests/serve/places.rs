//! Where it listens, besides an address: TLS, Unix sockets, sockets that it is given.

use crate::common::bounded;
use crate::program::{Answer, Folder, Server, evserve};
use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

#[test]
fn it_speaks_tls_with_a_certificate_of_its_own() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let server = Server::with(evserve().arg(&folder.0).args(["-p", "0", "--tls"]));
    assert!(
        server.url.starts_with("https://127.0.0.1:"),
        "{}",
        server.url
    );
    assert_eq!(server.curl_with("a.txt", &["-k"]).text(), "text");
    let url = format!("{}a.txt", server.url);
    let trusting = Command::new("curl")
        .args(["-sS", "--max-time", "30", &url])
        .output()
        .unwrap();
    assert!(!trusting.status.success(), "nobody knows the certificate");
}

#[test]
fn it_speaks_tls_with_a_certificate_that_it_is_given() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.put("cert.pem", made.cert.pem());
    folder.put("key.pem", made.signing_key.serialize_pem());
    let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let flags = ["-p", "0", "-b", "localhost", "--cert", &cert, "--key", &key];
    let mut server = Server::with(evserve().arg(&folder.0).args(flags));
    let port = server
        .url
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    server.url = format!("https://localhost:{port}/");
    assert_eq!(
        server.curl_with("a.txt", &["--cacert", &cert]).text(),
        "text"
    );
    for wrong in [
        &["--cert", &cert][..],
        &["--cert", &key, "--key", &key],
        &["--cert", "/no", "--key", "/no"],
    ] {
        let out = evserve()
            .arg(&folder.0)
            .args(["-p", "0"])
            .args(wrong)
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(2), "{wrong:?}");
    }
}

fn curl_unix(socket: &str, path: &str) -> Answer {
    let out = Command::new("curl")
        .args(["-sS", "-i", "--max-time", "30", "--unix-socket", socket])
        .arg(format!("http://localhost/{path}"))
        .output();
    Answer::new(out.unwrap())
}

#[test]
fn it_listens_on_a_unix_socket_and_takes_it_away() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let path = folder.path("sock");
    let socket = path.to_str().unwrap();
    // One that was ended hard leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    let mut server = Server::with(evserve().arg(&folder.0).args(["--unix", socket]));
    assert_eq!(server.url, format!("unix:{socket}"));
    assert_eq!(curl_unix(socket, "a.txt").text(), "text");

    // One that is alive is not replaced, and neither is what is no socket.
    folder.put("file", "");
    for path in [socket, folder.path("file").to_str().unwrap()] {
        let out = evserve()
            .arg(&folder.0)
            .args(["--unix", path])
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&out.stderr).contains(path));
    }
    assert_eq!(curl_unix(socket, "a.txt").text(), "text");
    server.signal(libc::SIGTERM);
    assert!(server.wait().success());
    assert!(!path.exists());
}

#[test]
fn it_takes_sockets_that_it_is_started_with() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let path = folder.path("sock");
    let listener = UnixListener::bind(&path).unwrap();
    // As systemd does it: descriptor 3, and the number of the process. A shell can do both.
    let script = format!(
        "exec 3<&{}; export LISTEN_FDS=1 LISTEN_PID=$$; exec {} {}",
        listener.as_raw_fd(),
        env!("CARGO_BIN_EXE_evserve"),
        folder.0.display()
    );
    socket2::SockRef::from(&listener)
        .set_cloexec(false)
        .unwrap();
    let server = Server::with(Command::new("sh").args(["-c", &script]));
    assert_eq!(curl_unix(path.to_str().unwrap(), "a.txt").text(), "text");
    drop(server);
    assert!(path.exists(), "it is not its own");

    // Of another process: it listens on its own.
    let mut command = evserve();
    command
        .arg(&folder.0)
        .args(["-p", "0"])
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1");
    assert!(Server::with(&mut command).url.starts_with("http://"));
    // What is no socket that listens.
    let script = format!(
        "exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec {}",
        env!("CARGO_BIN_EXE_evserve")
    );
    let out = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("descriptor 3"));
    drop((
        fs::remove_file(&path),
        UnixStream::connect(&path).map(|mut stream| stream.write_all(b"")),
    ));
}

#[test]
fn a_connection_goes_no_faster_than_it_may() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.bin", vec![b'x'; 300_000]);
    for tls in [&[][..], &["--tls"]] {
        let flags = ["-p", "0", "--throttle", "200K"];
        let server = Server::with(evserve().arg(&folder.0).args(flags).args(tls));
        let begun = std::time::Instant::now();
        assert_eq!(server.curl_with("a.bin", &["-k"]).body.len(), 300_000);
        // A second's worth may go at once.
        assert!(begun.elapsed().as_millis() >= 400, "{:?}", begun.elapsed());
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_proxy_says_who_the_client_is() {
    let _bounded = bounded();
    let flags = ["-p", "0", "--proxy-protocol", "--echo"];
    let mut server = Server::with(evserve().args(flags));
    assert_eq!(server.curl_with("x", &["--haproxy-protocol"]).status, 200);
    assert!(server.log().contains(" 127.0.0.1:"));
    let mut stream = std::net::TcpStream::connect(server.addr()).unwrap();
    let head = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\nGET /y HTTP/1.1\r\nHost: h\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert!(server.log().contains(" 192.0.2.7:4711 \"GET /y\" 200 "));
}
