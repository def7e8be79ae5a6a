//! Pages that load themselves again.

use crate::common::bounded;
use crate::program::{Folder, Server, evserve};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

#[test]
fn a_page_is_told_when_a_file_has_changed() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("index.html", "<p>first");
    folder.put("a.css", "p{}");
    let mut server = Server::with(evserve().arg(&folder.0).args(["-p", "0", "--live-reload"]));
    let page = server.curl("");
    assert!(
        page.text().starts_with("<p>first") && page.text().contains("EventSource(\"/__live\")")
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(server.curl("a.css").text(), "p{}");

    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream
        .write_all(b"GET /__live HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    let mut events = BufReader::new(stream);
    let mut next = |wanted: &str| loop {
        let mut line = String::new();
        assert_ne!(
            events.read_line(&mut line).unwrap(),
            0,
            "it has ended before {wanted}"
        );
        if line.contains(wanted) {
            return line;
        }
    };
    assert!(next("Content-Type:").contains("text/event-stream"));
    next("retry:");
    // Until it is seen: the first look may still be under way.
    let css = folder.path("a.css");
    let writer = std::thread::spawn(move || {
        for length in 1.. {
            if std::fs::write(&css, "x".repeat(length)).is_err() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    assert_eq!(next("data:").trim(), "data: changed");
    // A page that listens does not keep it from its end.
    server.signal(libc::SIGTERM);
    assert!(server.wait().success());
    drop(folder);
    writer.join().unwrap();
}
