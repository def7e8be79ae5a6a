//! How it ends.

use crate::common::bounded;
use crate::program::{Folder, Server, evserve};
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};

/// A download of a long file that is under way, at a pace that leaves time.
fn slow_download(server: &Server, bytes_per_second: &str) -> Child {
    let mut curl = Command::new("curl")
        .args(["-sS", "--max-time", "50", "--limit-rate", bytes_per_second])
        .arg(format!("{}long", server.url))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is there");
    let mut first = [0];
    let out = curl.stdout.as_mut().unwrap();
    out.read_exact(&mut first).unwrap();
    curl
}

const LONG: u64 = 48 << 20;

fn folder_with_long_file() -> Folder {
    let folder = Folder::new();
    folder.put("a.txt", "text");
    File::create(folder.path("long"))
        .unwrap()
        .set_len(LONG)
        .unwrap();
    folder
}

#[test]
fn a_signal_lets_downloads_finish() {
    let _bounded = bounded();
    let folder = folder_with_long_file();
    for signum in [libc::SIGTERM, libc::SIGINT] {
        let mut server = Server::start(&folder.0);
        let mut curl = slow_download(&server, "24M");
        server.signal(signum);
        // It listens no more when the signal has arrived.
        let addr = server
            .url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        while std::net::TcpStream::connect(&addr).is_ok() {}
        assert!(
            server.child.try_wait().unwrap().is_none(),
            "it does not wait"
        );
        let mut rest = Vec::new();
        curl.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
        assert!(curl.wait().unwrap().success());
        assert_eq!(rest.len() as u64 + 1, LONG);
        assert_eq!(server.wait().code(), Some(0));
        let mut log = server.log();
        while !log.contains("/long") {
            log = server.log();
        }
        assert!(
            log.contains(&format!(" 200 {LONG} ")) && !log.contains("aborted"),
            "{log}"
        );
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let _bounded = bounded();
    let folder = folder_with_long_file();
    for (signum, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let mut server = Server::start(&folder.0);
        let mut curl = slow_download(&server, "1M");
        server.signal(signum);
        let addr = server
            .url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        while std::net::TcpStream::connect(&addr).is_ok() {}
        server.signal(signum);
        assert_eq!(server.wait().code(), Some(code));
        drop(curl.stdout.take());
        let _ = curl.kill();
        assert!(!curl.wait().unwrap().success());
    }
}

#[test]
fn a_client_that_goes_in_the_middle_harms_nobody() {
    let _bounded = bounded();
    let folder = folder_with_long_file();
    let mut server = Server::start(&folder.0);
    let mut curl = slow_download(&server, "1M");
    curl.kill().unwrap();
    curl.wait().unwrap();
    let line = server.log();
    assert!(
        line.contains("/long\" 200 ") && line.ends_with(" aborted\n"),
        "{line}"
    );
    assert_eq!(server.curl("long").body.len() as u64, LONG);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_takes_too_long_after_a_signal_is_broken_off() {
    let _bounded = bounded();
    let folder = folder_with_long_file();
    let flags = ["-p", "0", "--grace", "200"];
    let mut server = Server::with(evserve().arg(&folder.0).args(flags));
    let mut curl = slow_download(&server, "1M");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    drop(curl.stdout.take());
    let _ = curl.kill();
    assert!(!curl.wait().unwrap().success());
}
