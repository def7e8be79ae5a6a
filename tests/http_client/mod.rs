//! An HTTP client that says exactly what it sends, and a server to say it to.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::http::Server;
use libevent2::{EventBase, Kind};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} twice: {self:?}");
        all.first().copied()
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// A connection, on which requests can follow one another.
pub struct Client {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    pub fn new(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        // The watchdog is for a server that hangs; this says where.
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).unwrap();
        stream.set_write_timeout(limit).unwrap();
        Client {
            stream,
            seen: Vec::new(),
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends as much as the server takes.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// One answer; `None` when the connection ends without.
    pub fn read(&mut self) -> Option<Answer> {
        self.read_to(false)
    }

    /// The answer to a HEAD request, which is without the body that it tells of.
    pub fn read_head(&mut self) -> Option<Answer> {
        self.read_to(true)
    }

    fn read_to(&mut self, head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.seen.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more() {
                assert!(self.seen.is_empty(), "half an answer: {:?}", self.seen);
                return None;
            }
        };
        let head_bytes: Vec<u8> = self.seen.drain(..end).collect();
        let text = String::from_utf8(head_bytes).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        assert!(status_line.starts_with("HTTP/1."), "{status_line}");
        let mut answer = Answer {
            status: status_line[9..12].parse().unwrap(),
            headers: lines
                .map(|line| {
                    let (name, value) = line.split_once(": ").unwrap();
                    (name.to_owned(), value.to_owned())
                })
                .collect(),
            body: Vec::new(),
        };
        if head || matches!(answer.status, 100 | 204 | 304) {
            return Some(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.read_chunks();
            return Some(answer);
        }
        let len: usize = answer.header("content-length").unwrap().parse().unwrap();
        while self.seen.len() < len {
            assert!(
                self.more(),
                "the body ended after {} of {len}",
                self.seen.len()
            );
        }
        answer.body = self.seen.drain(..len).collect();
        Some(answer)
    }

    fn more(&mut self) -> bool {
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(n) => {
                self.seen.extend_from_slice(&chunk[..n]);
                n > 0
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// A chunked body, to its last chunk; trailers are thrown away.
    fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line();
            let len = usize::from_str_radix(&line, 16).unwrap();
            if len == 0 {
                while !self.read_line().is_empty() {}
                return body;
            }
            while self.seen.len() < len + 2 {
                assert!(self.more(), "the body ended in a chunk");
            }
            body.extend(self.seen.drain(..len));
            assert_eq!(self.read_line(), "");
        }
    }

    /// A line, without its end.
    pub fn read_line(&mut self) -> String {
        let end = loop {
            match self.seen.windows(2).position(|end| end == b"\r\n") {
                Some(at) => break at,
                None => assert!(self.more(), "half a line: {:?}", self.seen),
            }
        };
        let line: Vec<u8> = self.seen.drain(..end + 2).collect();
        String::from_utf8(line[..end].to_vec()).unwrap()
    }

    /// Whether the server has closed the connection, after everything that was read.
    pub fn is_closed(&mut self) -> bool {
        self.seen.is_empty() && !self.more()
    }

    /// Everything up to the end of the connection.
    pub fn read_to_end(mut self) -> Vec<u8> {
        while self.more() {}
        self.seen
    }
}

/// A request line and a `Host`; `more` is what follows them.
pub fn request(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: test\r\n{more}")
}

/// Asks once, on a connection of its own.
pub fn ask(addr: SocketAddr, line: &str, more: &str) -> Answer {
    let mut client = Client::new(addr);
    client.send(request(line, &format!("Connection: close\r\n{more}")));
    let answer = if line.starts_with("HEAD ") {
        client.read_head()
    } else {
        client.read()
    };
    assert!(client.is_closed());
    answer.expect("an answer")
}

pub fn get(addr: SocketAddr, path: &str) -> Answer {
    ask(addr, &format!("GET {path}"), "\r\n")
}

pub fn post(addr: SocketAddr, path: &str, body: &str) -> Answer {
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    ask(addr, &format!("POST {path}"), &length)
}

/// Runs a server that `setup` has given its handlers, until `client`, on a thread of its own, is
/// done; then closes it and looks that nothing is left.
pub fn with_server<T: Send + 'static>(
    setup: impl FnOnce(&Server),
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    setup(&server);
    let client = in_background(&base, server.local_addrs()[0], client);
    base.run_until_exit().unwrap();
    let result = client.join();
    finish(&mut base, server);
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs `client` beside the loop, and stops the loop after it.
pub fn in_background<T: Send + 'static>(
    base: &EventBase,
    addr: SocketAddr,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    struct StopAtEnd(libevent2::Remote);
    impl Drop for StopAtEnd {
        fn drop(&mut self) {
            let _ = self.0.stop();
        }
    }
    let stop = StopAtEnd(base.remote().unwrap());
    thread::spawn(move || {
        let _stop = stop;
        client(addr)
    })
}

/// Closes the server, and checks that nothing is left of it when the loop has run.
pub fn finish(base: &mut EventBase, server: Server) {
    drop(server);
    base.run().unwrap();
    let stats = base.stats();
    assert_eq!(stats.live(Kind::HttpServer), 0);
    assert_eq!(stats.live(Kind::HttpRequest), 0);
}
